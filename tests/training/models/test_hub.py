"""Fetching from a hub: what is wanted comes, a rerun goes on, and every refusal is a sentence."""

from __future__ import annotations

import pytest

from personae.errors import DiskFull, ModelError
from personae.progress import silent
from tests.fakes.artefacts import safetensors_bytes
from tests.fakes.model_hub import FakeHub
from training.models.hub import fetch_from_hub

WEIGHTS = safetensors_bytes({"a": [1.0] * 5000})
FILES = {
    "config.json": b"{}",
    "tokenizer.json": b'{"a": 1}',
    "model.safetensors": WEIGHTS,
    "pytorch_model.bin": b"code",
    "README.md": b"words",
}


@pytest.fixture
def hub():
    with FakeHub(dict(FILES)) as hub:
        yield hub


def test_weights_and_tokenizer_come_and_nothing_that_could_run_code(hub, tmp_path):
    told = []
    licence = fetch_from_hub(
        "owner/name",
        tmp_path / "partial",
        progress=lambda doing, done, total: told.append((done, total)),
        endpoint=hub.url,
    )
    assert licence == "apache-2.0"
    names = {path.name for path in (tmp_path / "partial").rglob("*") if path.is_file()}
    assert names == {"config.json", "tokenizer.json", "model.safetensors"}
    assert (tmp_path / "partial" / "model.safetensors").read_bytes() == WEIGHTS
    wanted = sum(len(FILES[name]) for name in names)
    assert told[-1] == (wanted, wanted)


def test_a_rerun_fetches_only_what_is_missing(hub, tmp_path):
    hub.withheld = {"model.safetensors"}
    with pytest.raises(ModelError, match="goes on where it stopped"):
        fetch_from_hub("owner/name", tmp_path / "p", progress=silent, endpoint=hub.url)
    assert (tmp_path / "p" / "config.json").is_file()
    hub.withheld = set()
    hub.asked.clear()
    fetch_from_hub("owner/name", tmp_path / "p", progress=silent, endpoint=hub.url)
    fetched = [asked.rpartition("/")[2] for asked in hub.asked if asked.startswith("GET /owner")]
    assert fetched == ["model.safetensors"]


def test_a_card_without_a_licence_points_to_the_page(tmp_path):
    with FakeHub(dict(FILES), licence=None) as hub:
        found = fetch_from_hub("owner/name", tmp_path / "p", progress=silent, endpoint=hub.url)
    assert found == "see https://huggingface.co/owner/name"


@pytest.mark.parametrize(
    ("status", "code", "sentence"),
    [
        (
            403,
            "GatedRepo",
            "accept its licence at https://huggingface.co/owner/name and set HF_TOKEN",
        ),
        (401, "RepoNotFound", "Hugging Face has no model owner/name"),
        (404, "RepoNotFound", "Hugging Face has no model owner/name"),
        (500, "", "Hugging Face refused owner/name"),
    ],
)
def test_refusals_say_what_to_do(hub, tmp_path, status, code, sentence):
    hub.refuse_with = (status, code)
    with pytest.raises(ModelError, match=sentence):
        fetch_from_hub("owner/name", tmp_path / "p", progress=silent, endpoint=hub.url)


def test_without_a_network_it_is_a_sentence_not_a_traceback(tmp_path):
    """Port 9 (discard) of loopback answers nobody."""
    with pytest.raises(ModelError, match=r"can't be reached.*models fetch owner/name"):
        fetch_from_hub("owner/name", tmp_path / "p", progress=silent, endpoint="http://127.0.0.1:9")


def test_a_repository_without_safetensors_is_refused(hub, tmp_path):
    del hub.files["model.safetensors"]
    with pytest.raises(ModelError, match="has no safetensors weights"):
        fetch_from_hub("owner/name", tmp_path / "p", progress=silent, endpoint=hub.url)


def test_too_little_room_is_said_before_the_first_file(hub, tmp_path):
    class Huge(bytes):
        def __len__(self) -> int:
            return 10**18

    hub.files["model.safetensors"] = Huge(WEIGHTS)
    with pytest.raises(DiskFull, match="Fetching the model owner/name"):
        fetch_from_hub("owner/name", tmp_path / "p", progress=silent, endpoint=hub.url)
    assert not any("/resolve/" in path for path in hub.asked)

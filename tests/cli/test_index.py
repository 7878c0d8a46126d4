"""`personae index show` and `rollback`, as a person types them."""

from __future__ import annotations

import json

import pytest

from serving.retrieval.build import build_index
from serving.retrieval.snapshot import current_snapshot
from serving.retrieval.vectors import DENSE
from tests.cli.test_cli import personae
from tests.conftest import REPOSITORY
from tests.fakes.artefacts import WordEmbedder, write_test_corpus


@pytest.fixture
def indexed(tmp_path):
    """(options, folder of the indexes) of a home with two indexes of lincoln."""
    (tmp_path / "personae.toml").write_text(f'[personae]\ncast = "{REPOSITORY / "cast"}"\n')
    home = tmp_path / "var"
    write_test_corpus(home / "corpora" / "lincoln", "lincoln")
    for _ in range(2):
        build_index("lincoln", home / "corpora" / "lincoln", home / "indexes", WordEmbedder())
    return ["--config", str(tmp_path / "personae.toml")], home / "indexes"


async def test_show_says_what_is_kept_in_use_and_of_what_it_was_made(indexed):
    options, indexes = indexed
    code, out, err = await personae(*options, "index", "show", "lincoln", "--verify")
    assert (code, err) == (0, "")
    newest, kept = current_snapshot(indexes, "lincoln").name, out.splitlines()
    assert kept[0].startswith(f"lincoln {newest}  in use") and "kept" in kept[4]
    assert "2 documents, 2 passages, 8 sentences" in out
    assert "flat: exact" in out and "embedder words (cdcdcdcd), 64 numbers, mean" in out


async def test_show_of_all_says_who_has_none_and_json_is_json(indexed):
    options, _ = indexed
    code, out, err = await personae(*options, "index", "show")
    assert code == 0 and "roosevelt: no index" in out + err
    code, out, _ = await personae(*options, "index", "show", "lincoln", "--json")
    shown = json.loads(out)
    assert [one["in_use"] for one in shown] == [True, False]
    assert shown[0]["manifest"]["settings"]["embedder"] == "words"


async def test_a_changed_byte_is_found_by_verify(indexed):
    options, indexes = indexed
    path = current_snapshot(indexes, "lincoln") / DENSE
    data = path.read_bytes()
    path.write_bytes(data[:-4] + bytes(byte ^ 1 for byte in data[-4:]))
    code, out, _ = await personae(*options, "index", "show", "lincoln", "--verify")
    assert code == 1 and "missing or damaged" in out and "index build lincoln" in out


async def test_rollback_goes_back_by_one_and_says_when_there_is_no_more(indexed):
    options, indexes = indexed
    before = current_snapshot(indexes, "lincoln")
    code, out, err = await personae(*options, "index", "rollback", "lincoln")
    assert (code, err) == (0, "") and "2 documents, 2 passages" in out
    assert current_snapshot(indexes, "lincoln").name < before.name
    code, _, err = await personae(*options, "index", "rollback", "lincoln")
    assert code == 1 and "no index before" in err

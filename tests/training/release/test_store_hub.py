"""The hub as a store, with huggingface_hub's own client: one commit, private, taken up again, no secrets."""

from __future__ import annotations

import pytest

from personae.errors import AdapterError, ConfigError, UnknownVersion
from personae.registry import Registry
from tests.fakes.artefacts import add_adapter
from tests.fakes.hub_repository import TOKEN, FakeHubRepository, Repository
from training.release.card import CARD, model_card
from training.release.pull import pull
from training.release.store_hub import HubStore
from training.release.stores import open_store, push, versions_in

NAME = "owner/lincoln-voice"

# huggingface_hub 2.4 uploads with a parameter that its HTTP library has renamed.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")


@pytest.fixture
def hub(monkeypatch):
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    # A setting of the foreign library, which it reads from the environment once: the plain protocol.
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_XET", True)
    with FakeHubRepository() as hub:
        yield hub


@pytest.fixture
def version(cast, tmp_path):
    return add_adapter(Registry(tmp_path / "here"), cast["lincoln"], 1, tmp_path / "scratch")


@pytest.fixture
def card(cast, version):
    return model_card(
        cast["lincoln"], version.manifest, base_licence="Apache-2.0", form="LoRA", facts=[]
    )


def test_a_version_goes_up_in_one_commit_into_a_private_repository_and_comes_back(
    hub, cast, version, card, tmp_path
):
    store = HubStore(NAME, endpoint=hub.url)
    assert push(version, cast["lincoln"], store, card=card)
    repository = hub.repositories[NAME]
    assert repository.private
    assert len(repository.commits) == 2
    below = f"lincoln/{version.folder.name}"
    assert set(repository.files) == {
        CARD,
        f"{below}/adapter_config.json",
        f"{below}/adapter_model.safetensors",
        f"{below}/manifest.json",
    }
    assert cast["lincoln"].disclosure in repository.files[CARD].decode()
    other = Registry(tmp_path / "there")
    found = pull("lincoln", None, store, other)
    assert found.manifest == version.manifest
    for name in version.manifest.files:
        assert (found.folder / name).read_bytes() == (version.folder / name).read_bytes()
    assert not push(found, cast["lincoln"], store, card=card), "it is there already"
    assert len(repository.commits) == 2


def test_what_was_uploaded_before_a_push_broke_off_is_not_sent_again(hub, cast, version, card):
    store = HubStore(NAME, endpoint=hub.url)
    hub.break_commits = True
    with pytest.raises(ConfigError, match="it goes on where it stopped"):
        push(version, cast["lincoln"], store, card=card)
    assert len(hub.uploads) == 1
    assert versions_in(store) == []
    hub.break_commits = False
    assert push(version, cast["lincoln"], store, card=card)
    assert len(hub.uploads) == 1


def test_a_public_repository_is_written_to_only_when_it_was_said_and_with_rights(
    hub, cast, version, card
):
    hub.repositories[NAME] = Repository(private=False)
    with pytest.raises(AdapterError, match="--public"):
        push(version, cast["lincoln"], HubStore(NAME, endpoint=hub.url), card=card)
    public = HubStore(NAME, public=True, endpoint=hub.url)
    without = cast["lincoln"].model_copy(update={"rights": None})
    with pytest.raises(AdapterError, match=r"\[rights\] owner"):
        push(version, without, public, card=card)
    assert not hub.repositories[NAME].files
    assert push(version, cast["lincoln"], public, card=card)


def test_a_new_public_repository_wants_rights_too(hub, cast, version, card):
    without = cast["lincoln"].model_copy(update={"rights": None})
    with pytest.raises(AdapterError, match=r"\[rights\] owner"):
        push(version, without, HubStore(NAME, public=True, endpoint=hub.url), card=card)
    assert not hub.repositories


def test_another_version_of_the_same_number_is_refused(hub, cast, version, card, tmp_path):
    store = HubStore(NAME, endpoint=hub.url)
    push(version, cast["lincoln"], store, card=card)
    other = add_adapter(
        Registry(tmp_path / "b"), cast["lincoln"], 1, tmp_path / "s2", config={"x": 1}
    )
    with pytest.raises(AdapterError, match="with other contents"):
        push(other, cast["lincoln"], store, card=card)


def test_without_the_right_token_it_is_a_sentence_without_the_token(
    hub, cast, version, card, monkeypatch
):
    wrong = "hf_" + "w" * 34
    monkeypatch.setenv("HF_TOKEN", wrong)
    with pytest.raises(ConfigError, match="HF_TOKEN") as refused:
        push(version, cast["lincoln"], HubStore(NAME, endpoint=hub.url), card=card)
    assert wrong not in str(refused.value)


def test_somebody_elses_account_is_a_sentence(hub, cast, version, card):
    store = HubStore("stranger/voice", endpoint=hub.url)
    with pytest.raises(ConfigError, match=r"does not let this token.*403"):
        push(version, cast["lincoln"], store, card=card)


def test_a_repository_that_is_not_there_has_no_versions(hub, tmp_path):
    store = HubStore(NAME, endpoint=hub.url)
    assert versions_in(store, "lincoln") == []
    with pytest.raises(UnknownVersion, match="no complete version of lincoln"):
        pull("lincoln", None, store, Registry(tmp_path / "there"))


def test_without_a_network_it_is_a_sentence(cast, version, card):
    """Port 9 (discard) of loopback answers nobody."""
    store = HubStore(NAME, endpoint="http://127.0.0.1:9")
    with pytest.raises(ConfigError, match=r"can't be reached"):
        push(version, cast["lincoln"], store, card=card)


@pytest.mark.parametrize("typed", ["hf://lincoln", "hf://a/b/c", "hf://../x", "hf://owner/-x"])
def test_what_is_no_repository_is_said(typed):
    with pytest.raises(ConfigError, match="is no repository"):
        open_store(typed)

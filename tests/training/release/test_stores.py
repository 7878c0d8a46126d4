"""What holds for every store, shown on a folder: whole or absent, never changed, and nothing trusted."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from personae.errors import AdapterError, ConfigError, UnknownVersion
from personae.manifest import MANIFEST, hash_files
from personae.registry import Registry
from tests.fakes.artefacts import add_adapter
from training.release.card import CARD
from training.release.pull import pull
from training.release.store_folder import FolderStore
from training.release.stores import open_store, push, versions_in


@pytest.fixture
def lincoln(cast):
    return cast["lincoln"]


@pytest.fixture
def here(tmp_path):
    return Registry(tmp_path / "here")


@pytest.fixture
def there(tmp_path):
    return Registry(tmp_path / "there")


@pytest.fixture
def version(here, lincoln, tmp_path):
    return add_adapter(here, lincoln, 1, tmp_path / "scratch")


@pytest.fixture
def store(tmp_path):
    return FolderStore(tmp_path / "store")


@pytest.fixture
def stored(version, lincoln, store, tmp_path) -> Path:
    """The version's folder in the store."""
    push(version, lincoln, store, card="a card")
    return tmp_path / "store" / "lincoln" / version.folder.name


def test_there_and_back_again(version, lincoln, store, stored, there):
    assert not push(version, lincoln, store, card="a card"), "it was there"
    told = []
    found = pull("lincoln", None, store, there, progress=lambda *all: told.append(all))
    assert found.manifest == version.manifest
    assert hash_files(found.folder) == version.manifest.files
    assert told[-1][1] == told[-1][2] > 0
    assert [path.name for path in found.folder.parent.iterdir()] == [found.folder.name]
    assert pull("lincoln", 1, store, there) == found, "a second pull is done at once"


def test_a_folder_store_is_a_registry(stored, tmp_path, version):
    assert Registry(tmp_path / "store").find("lincoln").manifest == version.manifest
    assert (tmp_path / "store" / "lincoln" / CARD).read_text() == "a card"


def test_listing_says_what_is_complete(store, stored, here, lincoln, tmp_path):
    second = add_adapter(here, lincoln, 2, tmp_path / "s2")
    push(second, lincoln, store, card="")
    (tmp_path / "store" / "lincoln" / second.folder.name / MANIFEST).unlink()
    (tmp_path / "store" / "lincoln" / "letters").mkdir()
    listed = versions_in(store)
    assert [(found.version, found.complete) for found in listed] == [(1, True), (2, False)]
    assert versions_in(store, "roosevelt") == []


def test_the_newest_complete_one_comes(store, stored, here, there, lincoln, tmp_path):
    second = add_adapter(here, lincoln, 2, tmp_path / "s2")
    push(second, lincoln, store, card="")
    assert pull("lincoln", None, store, there).version == 2
    (tmp_path / "store" / "lincoln" / second.folder.name / MANIFEST).unlink()
    assert pull("lincoln", None, store, Registry(tmp_path / "third")).version == 1
    with pytest.raises(UnknownVersion, match=r"no lincoln v2. There are: v1"):
        pull("lincoln", 2, store, Registry(tmp_path / "third"))


def test_an_interrupted_push_is_taken_up_again(version, lincoln, store, stored):
    weights = stored / "adapter_model.safetensors"
    (stored / MANIFEST).unlink()
    (stored / "adapter_config.json").unlink()
    (stored / ".adapter_config.json.sending-x").write_text("cut")
    before = weights.stat().st_ino
    assert push(version, lincoln, store, card="")
    assert weights.stat().st_ino == before, "the weights were not sent again"
    assert {path.name for path in stored.iterdir()} == {*version.manifest.files, MANIFEST}


def test_a_version_in_a_store_never_changes(lincoln, store, stored, tmp_path):
    other = add_adapter(
        Registry(tmp_path / "o"), lincoln, 1, tmp_path / "s2", config={"lora_alpha": 9}
    )
    before = hash_files(stored)
    with pytest.raises(AdapterError, match="with other contents"):
        push(other, lincoln, store, card="")
    assert hash_files(stored) == before
    assert len(versions_in(store)) == 1


def test_another_manifest_of_the_same_files_is_refused(here, version, lincoln, store, stored):
    manifest = version.folder / MANIFEST
    claimed = json.loads(manifest.read_text()) | {"gate": "forced: I like it (failed: identity)"}
    manifest.write_text(json.dumps(claimed))
    with pytest.raises(AdapterError, match="with another manifest"):
        push(here.find("lincoln"), lincoln, store, card="")


def test_a_damaged_version_is_not_pushed(version, lincoln, store, tmp_path):
    (version.folder / "adapter_config.json").write_text("{}")
    with pytest.raises(AdapterError, match="differ from their manifest"):
        push(version, lincoln, store, card="")
    assert not (tmp_path / "store").exists()


def test_a_link_in_a_version_is_not_pushed(version, lincoln, store, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("x")
    (version.folder / "notes.txt").symlink_to(secret)
    with pytest.raises(AdapterError, match="holds a link"):
        push(version, lincoln, store, card="")


def test_a_file_that_was_exchanged_is_found_out_and_nothing_is_added(store, stored, there):
    weights = stored / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x01")
    with pytest.raises(AdapterError, match="differs from its manifest"):
        pull("lincoln", None, store, there)
    assert there.versions("lincoln") == []


def test_a_pull_goes_on_with_the_files_it_has(store, stored, version, there):
    weights = stored / "adapter_model.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[:-4] + b"\x01\x02\x03\x04")
    with pytest.raises(AdapterError):
        pull("lincoln", None, store, there)
    weights.write_bytes(whole)
    settings = stored / "adapter_config.json"
    settings.write_bytes(b"?" * settings.stat().st_size)  # would be found out if fetched again
    aside = there.root / "lincoln" / f".{version.folder.name}.pulling"
    assert [path.name for path in aside.iterdir()] == ["adapter_config.json"]
    found = pull("lincoln", None, store, there)
    assert hash_files(found.folder) == version.manifest.files
    assert not aside.exists()


def renamed(stored: Path, files: dict[str, bytes]) -> Path:
    """A store's version with these files in its manifest, under the name their hashes give it."""
    manifest = json.loads((stored / MANIFEST).read_text())
    manifest["files"] |= {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}
    sha256 = hashlib.sha256(json.dumps(manifest["files"], sort_keys=True).encode()).hexdigest()
    target = stored.parent / f"v1-{sha256[:8]}"
    stored.rename(target)
    (target / MANIFEST).write_text(json.dumps(manifest))
    return target


@pytest.mark.parametrize(
    "name", ["../../evil.txt", "/etc/evil", "sub/evil.txt", "..", ".hidden", "a\nb", "a\\b", ""]
)
def test_a_name_that_leads_elsewhere_is_refused(store, stored, there, tmp_path, name):
    renamed(stored, {name: b"evil"})
    with pytest.raises(AdapterError, match="names the file"):
        pull("lincoln", None, store, there)
    assert not list(tmp_path.rglob("*evil*"))


@pytest.mark.parametrize("name", ["adapter_model.bin", "weights.PT", "code.py", "a.pkl"])
def test_a_file_that_could_run_code_is_refused(store, stored, there, name):
    target = renamed(stored, {name: b"code"})
    (target / name).write_bytes(b"code")
    with pytest.raises(AdapterError, match="could run code"):
        pull("lincoln", None, store, there)


def test_files_beside_the_manifests_stay_where_they_are(store, stored, there):
    (stored / "readme.txt").write_text("look here")
    found = pull("lincoln", None, store, there)
    assert not (found.folder / "readme.txt").exists()


def test_a_moved_version_is_refused(store, stored, there):
    stored.rename(stored.with_name("v9-" + stored.name[-8:]))
    with pytest.raises(AdapterError, match="edited or moved"):
        pull("lincoln", None, store, there)


def test_an_unreadable_or_endless_manifest_is_refused(store, stored, there):
    (stored / MANIFEST).write_text("{]")
    with pytest.raises(AdapterError, match="can't be read"):
        pull("lincoln", None, store, there)
    (stored / MANIFEST).write_bytes(b" " * (5 << 20))
    with pytest.raises(AdapterError, match="larger than 4 MB"):
        pull("lincoln", None, store, there)


def test_a_version_of_impossible_size_is_not_fetched(store, stored, there):
    with (stored / "adapter_model.safetensors").open("r+b") as file:
        file.truncate(30 << 30)
    with pytest.raises(AdapterError, match="that is no adapter"):
        pull("lincoln", None, store, there)


def test_links_in_a_store_are_not_followed(store, stored, there, tmp_path):
    outside = tmp_path / "outside.safetensors"
    weights = stored / "adapter_model.safetensors"
    weights.rename(outside)
    weights.symlink_to(outside)
    with pytest.raises(AdapterError, match=r"lacks adapter_model\.safetensors"):
        pull("lincoln", None, store, there)
    moved = tmp_path / "moved"
    stored.rename(moved)
    stored.symlink_to(moved)
    assert versions_in(store) == []
    with pytest.raises(AdapterError, match="links in a store are not followed"):
        store.read(f"lincoln/{stored.name}/{MANIFEST}", 100)


def test_a_number_taken_here_by_another_version_is_said(store, stored, there, lincoln, tmp_path):
    add_adapter(there, lincoln, 1, tmp_path / "s2", config={"lora_alpha": 9})
    with pytest.raises(AdapterError, match="is here already with other contents"):
        pull("lincoln", None, store, there)


def test_two_versions_of_one_number_are_not_guessed_at(store, stored, here, there, lincoln):
    twin = stored.with_name("v1-00000000")
    twin.mkdir()
    (twin / MANIFEST).write_text("{}")
    with pytest.raises(AdapterError, match="two versions lincoln v1"):
        pull("lincoln", None, store, there)


def test_addresses(tmp_path):
    assert isinstance(open_store(str(tmp_path)), FolderStore)
    with pytest.raises(ConfigError, match="ftp:// is no store"):
        open_store("ftp://example.org/x")
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="is a file"):
        versions_in(open_store(str(tmp_path / "file")))

"""An archive is read without trusting anything in it, and nothing of it reaches the disk."""

from __future__ import annotations

import io
import os
import stat
import struct
import zipfile

import pytest
from pydantic import TypeAdapter

from personae.errors import CorpusError
from tests.training.ingest.zips import folder_of, zip_of
from training.ingest.archive import Limits
from training.ingest.open_archive import located, open_archive

BIG = 1 << 30


def names(path, **options):
    with open_archive(path, "an export", **options) as archive:
        return archive.names


def read(path, name, limit_bytes=BIG, **options):
    with open_archive(path, "an export", **options) as archive:
        return archive.read(name, limit_bytes)


def zip_with(path, *members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for info, content in members:
            file.writestr(info, content)
    return path


@pytest.mark.parametrize("make", [zip_of, folder_of])
def test_names_and_bytes_of_a_zip_and_of_a_folder_are_the_same(tmp_path, make):
    made = make(
        tmp_path / "a.zip",
        {
            "b/two.txt": "zwei",
            "one.txt": "eins",
            "__MACOSX/one.txt": "x",
            ".hidden": "x",
            "b/.git/y": "x",
        },
    )
    assert names(made) == ["b/two.txt", "one.txt"]
    assert read(made, "b/two.txt") == b"zwei"


@pytest.mark.parametrize(
    "name",
    [
        "../evil.txt",
        "a/../../evil.txt",
        "/etc/evil",
        "C:\\evil.txt",
        "..\\evil.txt",
        "\\\\host\\evil",
    ],
)
def test_a_member_that_points_out_of_the_archive_refuses_all_of_it(tmp_path, name):
    made = zip_of(tmp_path / "a.zip", {"good.txt": "x", name: "evil"})
    with pytest.raises(CorpusError, match=r"a\.zip has a member that points out of it.*download"):
        names(made)
    assert sorted(path.name for path in tmp_path.parent.rglob("evil*")) == []


def test_links_are_passed_over_in_zips_and_folders(tmp_path):
    (tmp_path / "secret.txt").write_text("A secret.")
    link = zipfile.ZipInfo("link.txt")
    link.create_system = 3
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    made = zip_with(tmp_path / "a.zip", (link, str(tmp_path / "secret.txt")), ("good.txt", "x"))
    folder = folder_of(tmp_path / "f", {"good.txt": "x"})
    (folder / "link.txt").symlink_to(tmp_path / "secret.txt")
    (folder / "linked").symlink_to(tmp_path)
    os.mkfifo(folder / "pipe.txt")
    assert names(made) == names(folder) == ["good.txt"]


def test_an_encrypted_zip_says_to_unpack_it(tmp_path):
    made = zip_of(tmp_path / "a.zip", {"good.txt": "x"})
    raw = bytearray(made.read_bytes())
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        raw[raw.index(signature) + offset] |= 1
    made.write_bytes(raw)
    with pytest.raises(CorpusError, match=r"a\.zip is encrypted.*Unpack it with its password"):
        names(made)


def test_a_member_that_would_be_unpacked_at_once_is_refused_when_it_is_wanted(tmp_path):
    made = tmp_path / "a.zip"
    with zipfile.ZipFile(made, "w") as file:
        file.writestr("good.txt", "x")
        file.writestr("other.txt", "x", zipfile.ZIP_BZIP2)
    assert read(made, "good.txt") == b"x"
    with pytest.raises(CorpusError, match=r"other\.txt in .*a\.zip is packed in an unusual way"):
        read(made, "other.txt")


def test_a_bomb_is_noticed_while_it_unfolds_whatever_the_zip_says_of_its_size(tmp_path):
    made = zip_of(tmp_path / "a.zip", {"bomb.txt": b"0" * (20 << 20), "good.txt": "x"})
    with pytest.raises(CorpusError, match=r"bomb\.txt in .*a\.zip swells to more than 200 times"):
        read(made, "bomb.txt")
    with pytest.raises(CorpusError, match=r"bomb\.txt in .*a\.zip is larger than 1 MB"):
        read(made, "bomb.txt", 1 << 20)
    assert read(made, "good.txt") == b"x"
    lying = bytearray(made.read_bytes())
    lying[lying.index(b"PK\x01\x02") + 24 :][:4] = struct.pack("<I", 5)
    at = lying.index(b"PK\x01\x02") + 24
    lying[at : at + 4] = struct.pack("<I", 5)
    made.write_bytes(lying)
    with pytest.raises(CorpusError, match=r"bomb\.txt in .*a\.zip"):
        read(made, "bomb.txt")


def test_all_that_is_read_together_is_limited_and_so_is_the_number_of_members(tmp_path):
    files = {f"{number}.txt": "x" * 1000 for number in range(5)}
    for made in (zip_of(tmp_path / "a.zip", files), folder_of(tmp_path / "f", files)):
        with open_archive(made, "an export", limits=Limits(total_bytes=2500)) as archive:
            archive.read("0.txt", BIG)
            archive.read("1.txt", BIG)
            with pytest.raises(CorpusError, match="more than 0 MB to read"):
                archive.read("2.txt", BIG)
        with pytest.raises(CorpusError, match=r"members|files"):
            names(made, limits=Limits(members=4))


def test_a_zip_in_a_zip_is_a_member_and_is_not_opened(tmp_path):
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w") as file:
        file.writestr("tweets.js", "x")
    made = zip_of(tmp_path / "a.zip", {"inner.zip": inner.getvalue()})
    assert names(made) == ["inner.zip"]


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_name_that_is_there_twice_is_refused_when_it_is_wanted(tmp_path):
    made = zip_with(tmp_path / "a.zip", ("a.txt", "one"), ("a.txt", "two"), ("b.txt", "x"))
    assert names(made) == ["a.txt", "b.txt"]
    assert read(made, "b.txt") == b"x"
    with pytest.raises(CorpusError, match=r"a\.txt in .*twice"):
        read(made, "a.txt")


def test_names_of_other_packers_are_read_as_they_were_meant(tmp_path):
    made = zip_of(tmp_path / "a.zip", {"caf\u00e9.txt": "x", "posts\\tea.txt": "y"})
    raw = made.read_bytes()
    # A packer that writes UTF-8 and does not say so.
    for signature, offset in ((b"PK\x03\x04", 7), (b"PK\x01\x02", 9)):
        at = raw.index(signature) + offset
        raw = raw[:at] + bytes([raw[at] & ~0x08]) + raw[at + 1 :]
    made.write_bytes(raw)
    assert names(made) == ["caf\u00e9.txt", "posts/tea.txt"]
    assert read(made, "caf\u00e9.txt") == b"x"
    folder = folder_of(tmp_path / "f", {"cafe\u0301.txt": "z"})
    assert names(folder) == ["caf\u00e9.txt"]
    assert read(folder, "caf\u00e9.txt") == b"z"


def test_a_damaged_zip_a_missing_one_and_what_is_no_archive_are_told_apart(tmp_path):
    made = zip_of(tmp_path / "a.zip", {"a.txt": os.urandom(50_000)})
    raw = bytearray(made.read_bytes())
    raw[20_000] ^= 0xFF
    made.write_bytes(raw)
    with pytest.raises(CorpusError, match=r"a\.txt in .*is damaged.*again"):
        read(made, "a.txt")
    made.write_bytes(raw[:30_000])
    with pytest.raises(CorpusError, match=r"a\.zip is not an export: neither a whole zip"):
        names(made)
    with pytest.raises(CorpusError, match=r"gone\.zip does not exist"):
        names(tmp_path / "gone.zip")
    (tmp_path / "a.txt").write_text("x")
    with pytest.raises(CorpusError, match=r"nor one of its files|nor a folder"):
        names(tmp_path / "a.txt")
    assert names(tmp_path / "a.txt", files=(".txt",)) == ["a.txt"]


@pytest.mark.parametrize("path", ["~nobody-here/a.zip", "x" * 5000])
def test_a_path_that_cannot_be_one_is_said(tmp_path, path):
    with pytest.raises(CorpusError, match=r"can't be looked up .*Correct `path`"):
        located(path, tmp_path)


def test_json_with_half_a_character_is_mended_and_of_another_shape_refused(tmp_path):
    made = folder_of(tmp_path / "f", {"a.json": '["\\ud83d tea", "\\ud83c\\udf75"]'})
    with open_archive(made, "an export") as archive:
        assert archive.json("a.json", BIG, TypeAdapter(list[str])) == ["\ufffd tea", "\U0001f375"]
        with pytest.raises(CorpusError, match=r"a\.json is not the JSON .*\(at its root"):
            archive.json("a.json", BIG, TypeAdapter(dict[str, str]))

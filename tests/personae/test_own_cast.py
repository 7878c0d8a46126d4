"""Personas that are made, fed, changed and put away: whole at any moment, and nobody else's touched."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

import pytest

from personae.config import Config, load_config
from personae.errors import (
    DraftInvalid,
    PersonaFixed,
    PersonaTaken,
    UnknownPersona,
    UploadRefused,
)
from personae.own_cast import OwnCast
from personae.own_writing import OwnWriting
from personae.persona import load_cast, load_persona
from personae.persona_draft import PersonaDraft
from tests.fakes.character_cards import card

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture
def config(tmp_path: Path) -> Config:
    (tmp_path / "personae.toml").write_text(f'[personae]\ncast = "{REPOSITORY / "cast"}"\n')
    return load_config({}, folder=tmp_path)


@pytest.fixture
def own(config: Config) -> OwnCast:
    return OwnCast(config)


@pytest.fixture
def writing(own: OwnCast) -> OwnWriting:
    own.create(ada())
    return OwnWriting(own)


def ada(**changes) -> PersonaDraft:
    return PersonaDraft(id="ada", display_name="Ada Lovelace").model_copy(update=changes)


def files(folder: Path, **named: bytes) -> list[tuple[str, Path]]:
    """Uploads that lie in a scratch folder."""
    folder.mkdir(exist_ok=True)
    listed = []
    for number, (name, data) in enumerate(named.items()):
        (folder / str(number)).write_bytes(data)
        listed.append((name, folder / str(number)))
    return listed


def one(folder: Path, name: str, data: bytes) -> list[tuple[str, Path]]:
    (place := folder / "an upload").write_bytes(data)
    return [(name, place)]


def zipped(**named: str) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, text in named.items():
            archive.writestr(name, text)
    return file.getvalue()


def test_own_personas_are_the_last_folder_of_the_cast(config, own):
    own.create(ada())
    assert config.cast == [REPOSITORY / "cast", config.home / "cast"]
    assert load_cast(config.cast).folder("ada") == config.home / "cast" / "ada"


def test_a_cast_that_names_the_own_folder_has_it_once(tmp_path):
    (tmp_path / "personae.toml").write_text('[personae]\ncast = ["var/cast", "cast"]\n')
    config = load_config({}, folder=tmp_path)
    assert config.cast == [tmp_path / "cast", tmp_path / "var" / "cast"]


def test_an_id_of_any_cast_is_taken(own):
    own.create(ada())
    for taken in ("ada", "lincoln"):
        with pytest.raises(PersonaTaken, match=taken):
            own.create(ada(id=taken))


def test_a_draft_with_problems_leaves_nothing(config, own):
    with pytest.raises(DraftInvalid):
        own.create(ada(disclosure="me"))
    assert not config.own_cast.exists()


def test_nothing_of_the_making_is_seen(config, own):
    own.create(ada())
    assert [path.name for path in config.home.iterdir()] == ["cast"]
    assert [path.name for path in config.own_cast.iterdir()] == ["ada"]


def test_a_card_is_kept_whole_and_its_background_is_writing(own):
    folder = own.create(ada(card=card(), background="# Known\n\nA fact."))
    assert json.loads((folder / "card.json").read_text()) == card()
    assert (folder / "writing" / "background.md").read_text() == "# Known\n\nA fact.\n"


def test_from_afar_no_file_of_the_machine_is_a_source(own, writing):
    for path in ("/etc", "../lincoln", "a/../../b", "~/x", "..\\x"):
        source = {"kind": "folder", "path": path}
        with pytest.raises(DraftInvalid, match="uploaded"):
            own.create(ada(id="eve", sources=[source]), from_afar=True)
        with pytest.raises(DraftInvalid, match="uploaded"):
            writing.add_source("ada", source)
    with pytest.raises(DraftInvalid, match="uploaded"):
        writing.add_source("ada", {"kind": "folder", "path": "writing", "pattern": "../**/*"})
    own.create(ada(id="eve", sources=[{"kind": "folder", "path": "/srv/texts"}]))  # by hand: yes


def test_texts_are_laid_down_as_utf_8_and_told(tmp_path, own, writing):
    outcome = writing.take(
        "ada",
        files(
            tmp_path / "up",
            **{
                "essays/tea.txt": "Tea, and naïve".encode("cp1252"),
                "C:\\notes\\x.md": "# X".encode("utf-16"),
                "y.html": b"\xef\xbb\xbf<p>Y</p>",
            },
        ),
    )
    assert outcome.taken == ["essays/tea.txt", "notes/x.md", "y.html"] and not outcome.refused
    assert outcome.notes == ["essays/tea.txt was no UTF-8 and was read as Windows-1252."]
    folder = own.folder("ada") / "writing"
    assert (folder / "essays" / "tea.txt").read_text() == "Tea, and naïve"
    assert (folder / "notes" / "x.md").read_text() == "# X"
    assert [name for name, _bytes in writing.files("ada")] == [
        "essays/tea.txt", "notes/x.md", "y.html"
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "data", "why"),
    [
        ("../up.txt", b"x", "no name"),
        ("a/../../up.txt", b"x", "no name"),
        ("..\\up.txt", b"x", "no name"),
        (".env.txt", b"x", "Hidden"),
        ("__MACOSX/a.txt", b"x", "Hidden"),
        ("a\x07.txt", b"x", "no name"),
        ("/".join("abcdefghi") + ".txt", b"x", "too long"),
        ("x" * 200 + ".txt", b"x", "too long"),
        ("", b"x", "no name"),
        ("a.pdf", b"%PDF", "not read"),
        ("a.exe", b"MZ", "not read"),
        ("a.txt", b"a\0b", "no text"),
        ("a.epub", b"x", "EPUB"),
        ("a.zip", b"x", "no whole zip"),
        ("feed.xml", b"<rss/>", "not read"),
        ("a.zip", zipped(**{"a.pdf": "x"}), "Nothing in this zip"),
        ("a.zip", zipped(**{"../a.txt": "x", "b.txt": "y"}), "points out of it"),
        ("slack.zip", zipped(**{"channels.json": "[]", "users.json": "[]"}), "whose to take"),
    ],
)
def test_what_is_not_taken_is_told_with_its_reason_and_nothing_gets_out(
    tmp_path, config, writing, name, data, why
):
    before = set(tmp_path.rglob("*"))
    outcome = writing.take("ada", one(tmp_path, name, data))
    assert [(given, why in reason) for given, reason in outcome.refused] == [(name[:200], True)]
    assert outcome.taken == [] and writing.files("ada") == []
    assert set(tmp_path.rglob("*")) - before <= {tmp_path / "an upload"}


def test_a_folder_where_a_file_must_be_is_told(tmp_path, writing):
    writing.take("ada", one(tmp_path, "a.txt", b"x"))
    outcome = writing.take("ada", one(tmp_path, "a.txt/b.txt", b"y"))
    assert [name for name, _why in outcome.refused] == ["a.txt/b.txt"]


def test_a_zip_of_texts_is_unpacked_and_the_rest_of_it_passed_over(tmp_path, writing):
    data = zipped(
        **{
            "all/a.txt": "A",
            "all/b.md": "B",
            "all/c.jpg": "C",
            "__MACOSX/a.txt": "M",
            ".x.txt": "H",
        }
    )
    outcome = writing.take("ada", one(tmp_path, "My essays.zip", data))
    assert outcome.taken == ["My essays/all/a.txt", "My essays/all/b.md"] and not outcome.refused


def test_names_in_a_zip_are_utf_8_also_where_the_packer_forgot_to_say_so(tmp_path, writing):
    """As macOS packs them: the letters are UTF-8, the flag for it (bit 11) is not set."""
    said = zipped(**{"über Tee.txt": "Tee"})
    unsaid = said.replace(b"PK\3\4\x14\0\0\x08", b"PK\3\4\x14\0\0\0").replace(
        b"PK\1\2\x14\3\x14\0\0\x08", b"PK\1\2\x14\3\x14\0\0\0"
    )
    assert said != unsaid
    for name, data in (("said.zip", said), ("unsaid.zip", unsaid)):
        outcome = writing.take("ada", one(tmp_path, name, data))
        assert outcome.taken == [f"{name[:-4]}/über Tee.txt"]


def test_a_zip_that_unpacks_to_too_much_is_refused_while_it_unpacks(tmp_path, own):
    own.create(ada())
    writing = OwnWriting(own, most_bytes=1 << 20)
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(4):
            archive.writestr(f"{number}.txt", "a" * 400_000)
    outcome = writing.take("ada", one(tmp_path, "bomb.zip", file.getvalue()))
    assert "more than there is room" in outcome.refused[0][1]
    assert sum(size for _name, size in writing.files("ada")) <= 1 << 20


def test_what_would_be_unpacked_at_once_whatever_it_swells_to_is_not_unpacked(tmp_path, writing):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_BZIP2) as archive:
        archive.writestr("a.txt", "a")
        archive.writestr("b.xml", "http://wordpress.org/export/1.2/")
    outcome = writing.take("ada", one(tmp_path, "a.zip", file.getvalue()))
    assert "unusual way" in outcome.refused[0][1] and writing.files("ada") == []


def test_writing_in_a_folder_called_exports_is_dropped_as_writing(tmp_path, writing):
    writing.take("ada", one(tmp_path, "exports.zip", zipped(**{"a.txt": "A"})))
    assert writing.files("ada") == [("exports/a.txt", 1)]
    writing.drop("ada", "exports/a.txt")
    assert writing.files("ada") == []


def kinds(own: OwnCast) -> list[str]:
    return [source.kind for source in load_persona(own.folder("ada") / "persona.toml").sources]


def test_exports_are_recognised_and_become_sources(tmp_path, own, writing):
    wordpress = b'<rss xmlns:wp="http://wordpress.org/export/1.2/"></rss>'
    uploads = {
        "blog.xml": wordpress,
        "medium.zip": zipped(**{"posts/2020-01-02_On-tea-0123456789ab.html": "<p>x</p>"}),
        "substack.zip": zipped(**{"posts.csv": "post_id", "posts/1.a.html": "x"}),
        "twitter.zip": zipped(**{"data/tweets.js": "window.YTD"}),
        "package.zip": zipped(**{"Messages/c123/messages.json": "[]"}),
    }
    outcome = writing.take("ada", files(tmp_path / "up", **uploads))
    assert outcome.refused == []
    assert kinds(own) == ["wordpress", "medium", "substack", "x_archive", "discord_export"]
    assert (own.folder("ada") / "exports" / "blog.xml").read_bytes() == wordpress

    slack = zipped(**{"channels.json": "[]", "users.json": "[]"})
    writing.take("ada", one(tmp_path, "slack.zip", slack), user="U1")
    assert kinds(own)[-1] == "slack_export"
    writing.take(
        "ada", one(tmp_path, "slack.zip", slack), user="U2"
    )  # the same file, read otherwise
    assert kinds(own).count("slack_export") == 1 and writing.sources("ada")[-1]["user"] == "U2"


def test_the_folder_of_writing_is_a_source_while_it_holds_any_or_there_is_no_other(
    tmp_path, own, writing
):
    assert kinds(own) == ["folder"]
    writing.add_source("ada", {"kind": "site", "url": "https://example.org/"})
    assert kinds(own) == ["site"]
    writing.take("ada", one(tmp_path, "a.txt", b"A"))
    assert kinds(own) == ["site", "folder"]
    writing.drop("ada", "a.txt")
    assert kinds(own) == ["site"]
    with pytest.raises(UploadRefused, match=r"no file .a\.txt"):
        writing.drop("ada", "a.txt")


def test_an_export_that_is_dropped_is_no_source_any_more(tmp_path, own, writing):
    writing.take("ada", one(tmp_path, "m.zip", zipped(**{"posts/draft_x.html": "x"})))
    assert kinds(own) == ["medium"]
    writing.drop("ada", "exports/m.zip")
    assert kinds(own) == ["folder"] and writing.files("ada") == []


def test_what_was_edited_by_hand_stays(tmp_path, own, writing):
    path = own.folder("ada") / "persona.toml"
    path.write_text(path.read_text().replace("[retrieval]", "# mine\n[retrieval]"))
    writing.add_source("ada", {"kind": "site", "url": "https://example.org/"})
    assert "# mine" in path.read_text()


def test_personas_of_others_are_not_touched(own, writing):
    for change in (own.remove, writing.files, lambda its: writing.take(its, [])):
        with pytest.raises(PersonaFixed, match="was not made here"):
            change("lincoln")
        with pytest.raises(UnknownPersona):
            change("nobody")
        with pytest.raises(UnknownPersona):
            change("../ada")


def test_a_removed_persona_is_kept_with_all_that_was_made_for_it(config, own):
    own.create(ada())
    for made in (config.corpora, config.indexes):
        (made / "ada").mkdir(parents=True)
    kept = own.remove("ada")
    assert sorted(path.name for path in kept.iterdir()) == ["corpora", "indexes", "persona"]
    assert "ada" not in load_cast(config.cast)
    own.create(ada())  # nothing was trained: the id is free again


def test_the_id_of_a_removed_persona_that_was_trained_stays_taken(config, own):
    own.create(ada())
    (config.adapters / "ada").mkdir(parents=True)
    own.remove("ada")
    with pytest.raises(PersonaTaken, match="trained"):
        own.create(ada())

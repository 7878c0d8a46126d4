"""Whatever is in a download, a reader answers with documents or with a sentence, and writes nothing.

Every reader gets its own small export, cut off, with changed bytes, with one file exchanged for something
hostile. What may come out: documents that a corpus can store, or CorpusError that names the place.
"""

from __future__ import annotations

import json
import random
import zipfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from personae.corpus import Document
from personae.errors import CorpusError
from tests.training.ingest.exports import EXPORTS
from tests.training.ingest.zips import zip_of
from training.ingest import discord_export, slack_export, tidy, wordpress
from training.ingest.folder import plain_markdown
from training.ingest.html_text import text_of_html
from training.ingest.x_posts import Tweet, post_of

PAPER = {
    "nothing": b"",
    "zeros": b"\0" * 5000,
    "random": random.Random(1).randbytes(5000),
    "latin": "caf\xe9 ".encode("latin-1") * 100,
    "utf-16 cut off": "tea".encode("utf-16")[:-1],
    "deep list": b"[" * 100_000,
    "deep list, closed": b"[" * 50_000 + b"]" * 50_000,
    "deep object": b'{"a":' * 50_000,
    "deep xml": b"<a>" * 50_000,
    "a number": b"42",
    "a huge number": b"[" + b"9" * 10_000 + b"]",
    "not a number": b"[NaN, Infinity, -Infinity]",
    "null": b"null",
    "list of nulls": b"[null, null]",
    "strings": b'["a", "b"]',
    "half characters": (
        b'[{"id": "\\ud800", "ID": "\\udfff", "tweet": {"id": "\\ud800", "full_text": "\\udc00 tea"}}]'
    ),
    "wrong kinds": json.dumps(
        [{"id": {}, "tweet": [], "text": 3, "ID": [], "Contents": {}, "messages": 1}]
    ).encode(),
    "entity bomb": b'<!DOCTYPE a [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;">]><rss>&b;</rss>',
    "outside entity": b'<!DOCTYPE a [<!ENTITY a SYSTEM "file:///etc/passwd">]><rss>&a;</rss>',
    "other encoding": b'<?xml version="1.0" encoding="utf-7"?><rss/>',
    "bomb": b" " * (12 << 20),
}


def outcome(name: str, folder: Path) -> list[Document] | None:
    """The documents of the archive in `folder`, None where it was refused; and nothing else happened."""
    export = EXPORTS[name]
    before = sorted(folder.rglob("*"))
    try:
        documents = list(export.read(export.source, folder))
    except CorpusError as err:
        assert str(folder) in str(err)
        assert ". " in str(err)
        documents = None
    for document in documents or ():
        assert Document.model_validate_json(document.model_dump_json()) == document
    assert sorted(folder.rglob("*")) == before
    return documents


def place_of(name: str, folder: Path) -> Path:
    return folder / ("a.epub" if name == "epub" else "a.zip")


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "home").mkdir()
    return tmp_path / "home"


@pytest.mark.parametrize("name", EXPORTS)
def test_the_exports_to_be_damaged_are_good_ones(name, folder):
    zip_of(place_of(name, folder), EXPORTS[name].files)
    assert outcome(name, folder)


@pytest.mark.parametrize("paper", PAPER)
@pytest.mark.parametrize("name", EXPORTS)
def test_an_export_with_something_else_in_its_main_file(name, paper, folder):
    export = EXPORTS[name]
    zip_of(place_of(name, folder), {**export.files, export.main: PAPER[paper]})
    documents = outcome(name, folder)
    text = " ".join(document.text for document in documents or ())
    assert "root:" not in text
    assert "haha" not in text


@pytest.mark.parametrize("name", EXPORTS)
def test_an_export_that_was_cut_off_or_changed_on_the_way(name, folder):
    """Twenty cuts and forty changed bytes, the same in every run."""
    place = zip_of(place_of(name, folder), EXPORTS[name].files)
    whole = place.read_bytes()
    chance = random.Random(name)
    for _ in range(20):
        place.write_bytes(whole[: chance.randrange(len(whole))])
        assert outcome(name, folder) is None
    for _ in range(40):
        raw = bytearray(whole)
        raw[chance.randrange(len(raw))] ^= 1 << chance.randrange(8)
        place.write_bytes(raw)
        outcome(name, folder)


@pytest.mark.parametrize("name", EXPORTS)
def test_an_export_that_lacks_any_one_of_its_files(name, folder):
    files = EXPORTS[name].files
    for missing in files:
        zip_of(place_of(name, folder), {one: text for one, text in files.items() if one != missing})
        outcome(name, folder)


def test_a_member_that_would_fill_the_disk_is_never_written(folder, tmp_path):
    with zipfile.ZipFile(folder / "a.zip", "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("../outside.xml", "<rss/>")
    assert outcome("wordpress", folder) is None
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["a.zip", "home"]


TEXTS = some.text(max_size=300) | some.lists(
    some.sampled_from(
        ["<p>", "</p>", "<ul>", "<li>", "<pre>", "<code>", "<h1>", "<", ">", "&#x110000;", "&amp;", "<!",
         "<![", "]]>", "[caption]", "[/caption]", "[a b=", "\n\n", "```", "**", "_", "<@U1", "|x>", "- ",
         "> ", "<t:99999999999999:R>", "@a ", "https://t.co/a", "RT @", "\ud800", "\x00", "\u0130"]
    ),
    max_size=60,
).map("".join)  # fmt: skip


@settings(max_examples=150)
@given(TEXTS)
def test_any_text_at_all_becomes_text_that_can_be_stored(text):
    results = [
        tidy.tidy(text_of_html(text).text),
        tidy.tidy(wordpress.text_of_post(text)),
        slack_export.text_of_message(text, {}),
        discord_export.text_of_message(text),
        tidy.tidy(plain_markdown(text)),
        tidy.one_line(text),
        tidy.title_from(tidy.tidy(text)),
        tidy.iso_day(text),
        post_of(
            Tweet.model_validate({"id": "1", "full_text": tidy.tidy(text), "created_at": "x"})
        ).text,
    ]
    for result in results:
        result.encode("utf-8")
        assert "\x00" not in result

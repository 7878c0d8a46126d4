"""A draft becomes a persona whose file reads back as itself, or every problem is told with its field."""

from __future__ import annotations

import tomllib

import pytest

from personae.errors import DraftInvalid
from personae.persona import Persona
from personae.persona_draft import OWN_SOURCE, PersonaDraft, drafted, parse_draft, suggested_id
from personae.persona_toml import source_toml, with_source, without_source
from personae.sources import SiteSource, WordpressSource

WHOLE = {
    "id": "ada",
    "display_name": "Ada Lovelace",
    "about": "Plain, dry sentences; gardens and engines",
    "rights": {"owner": "Nobody", "licence": "public domain", "statement": "Letters."},
}


def test_two_answers_are_enough_and_the_rest_is_by_template():
    made = drafted(PersonaDraft(id="ada", display_name="Ada Lovelace"))
    persona = made.checked()
    assert persona.disclosure == "An imitation of Ada Lovelace, not the person."
    assert persona.ask.system.startswith("You are an imitation of Ada Lovelace. ")
    assert "first person" in persona.ask.system and "Ada Lovelace" in persona.rewrite.system
    assert persona.sources == [OWN_SOURCE] and persona.retrieval.mode == "adaptive"
    assert any("rights" in warning for warning in made.warnings)
    assert any("manner" in warning for warning in made.warnings)


def test_a_whole_draft_warns_of_nothing():
    made = drafted(parse_draft(WHOLE))
    assert made.warnings == [] and made.problems == []
    assert "Manner and subjects: Plain, dry sentences; gardens and engines." in made.file


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"about": 'He said "no".\r\nThen """nothing""" \\ more\ttabs.\n\n' + "word " * 90},
        {"about": "One line\nand another\nthat ends in a quotation mark" + " x" * 200 + '"'},
        {"display_name": 'Ann "Nan" O\\Neill', "style_anchors": ['"Quoted"\nlines', "\\"]},
        {"kind": "character", "about": "é—…\u2028", "language": "de", "tics": ["ah,"]},
        {"picture": "https://example.org/a.png", "base_model": "owner/name", "mode": "strict"},
        {"sources": [{"kind": "site", "url": "https://example.org/", "exclude": ["*x*"]}]},
        {"background": "# What", "sources": [{"kind": "folder", "path": "/a b"}]},
    ],
)
def test_the_file_reads_back_as_the_persona(fields):
    made = drafted(parse_draft({**WHOLE, **fields}))
    assert Persona.model_validate(tomllib.loads(made.file)) == made.checked()


def test_every_problem_is_told_at_once_with_its_field():
    draft = {
        "id": "9 lives",
        "description": "x" * 101,
        "disclosure": "Surely me.",
        "about": "Then <|im_end|> comes",
        "picture": "http://example.org/me.png",
        "sources": [{"kind": "site", "url": "example.org"}, {"kind": "radio"}],
        "rights": {"owner": "Somebody"},
    }
    with pytest.raises(DraftInvalid) as caught:
        drafted(parse_draft(draft)).checked()
    told = dict(caught.value.problems)
    assert told.keys() == {
        "about", "description", "disclosure", "display_name", "id", "picture", "rights.statement",
        "sources.0.url", "sources.1",
    }  # fmt: skip
    assert all(sentence.endswith((".", '"')) for sentence in told.values()), told
    assert "imitation" in told["disclosure"] and "radio" not in told["sources.1"]
    sent = caught.value.to_wire()
    assert sent["code"] == "draft_invalid"
    assert {"field": "rights.statement", "message": "This is missing; fill it in."} in sent[
        "problems"
    ]


def test_unknown_fields_and_wrong_types_are_told_with_their_fields():
    with pytest.raises(DraftInvalid) as caught:
        parse_draft({"id": "ada", "nickname": "A", "tics": "ah", "rights": {"owners": "x"}})
    assert {field for field, _ in caught.value.problems} == {"nickname", "tics", "rights.owners"}


def test_rights_that_were_left_empty_are_none():
    made = drafted(parse_draft({**WHOLE, "rights": {"owner": " ", "licence": "", "statement": ""}}))
    assert made.checked().rights is None
    assert "[rights] with owner" in made.file


def test_an_author_without_licence_or_consent_is_warned_that_nothing_is_published():
    made = drafted(parse_draft({**WHOLE, "rights": {"owner": "Me", "statement": "Mine."}}))
    assert any("published" in warning for warning in made.warnings)
    assert "# Add `licence` or `consent`" in made.file


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("Ada Lovelace", "ada-lovelace"),
        ("Jean-Paul Sartre", "jean-paul-sartre"),
        ("50 Cent", "cent"),
        ("Æthelflæd", "aethelflaed"),
        ("孔子", ""),
        ("A" * 50, "a" * 32),
    ],
)
def test_an_id_is_suggested_that_people_can_type(name, wanted):
    assert suggested_id(name) == wanted


def test_a_source_is_added_to_and_taken_out_of_an_edited_file():
    text = drafted(parse_draft(WHOLE)).file + "\n# my own note\n"
    site = SiteSource(kind="site", url="https://example.org/")
    export = WordpressSource(kind="wordpress", path="exports/blog.xml", author="ada")
    more = with_source(with_source(text, site), export)
    persona = Persona.model_validate(tomllib.loads(more))
    assert persona.sources == [OWN_SOURCE, site, export] and "# my own note" in more
    less = without_source(without_source(more, OWN_SOURCE), site)
    assert Persona.model_validate(tomllib.loads(less)).sources == [export]
    assert "# my own note" in less and without_source(text, site) == text
    assert source_toml(export).splitlines()[1] == 'kind = "wordpress"'

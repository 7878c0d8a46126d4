"""The persona file: strict, told whole, forgiving to those who mistype a name."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from personae.errors import PersonaFileError, UnknownPersona
from personae.persona import Cast, load_cast, load_persona, persona_files

GOOD = """
id = "ada"
display_name = "Ada Lovelace"
description = "Notes on the engine"
disclosure = "An imitation of Ada Lovelace, not the person."
refusal = "I wrote nothing on that."
[ask]
system = "You are Ada."
[rewrite]
system = "You are Ada."
[[sources]]
kind = "folder"
path = "notes"
[rights]
owner = "nobody"
licence = "public domain"
statement = "old"
"""


def write(folder: Path, text: str, name: str = "ada") -> Path:
    path = folder / name / "persona.toml"
    path.parent.mkdir(parents=True)
    path.write_text(text, encoding="utf-8")
    return path


def test_a_good_file_loads_with_defaults(tmp_path):
    persona = load_persona(write(tmp_path, GOOD))
    assert persona.ask.sampling.max_tokens == 300
    assert persona.retrieval.passages == 4


def test_every_problem_is_told_at_once(tmp_path):
    """Five mistakes, five sentences, one reading."""
    broken = (
        GOOD.replace('id = "ada"', 'id = "Ada Lovelace"')
        .replace("An imitation of Ada Lovelace, not the person.", "Ada herself")
        .replace('refusal = "I wrote nothing on that."', "")
        .replace("[ask]", "[ask]\ncolour = 3")
        .replace('kind = "folder"', 'kind = "carrier pigeon"')
    )
    with pytest.raises(PersonaFileError) as caught:
        load_persona(write(tmp_path, broken))
    text = str(caught.value)
    assert "ask.colour: unknown key" in text
    assert "refusal: missing" in text
    assert "carrier pigeon" in text
    assert "id:" in text
    assert str(tmp_path) in text
    assert len(caught.value.problems) >= 4


@pytest.mark.parametrize(
    "address",
    [
        "http://example.org/a.png", "https://", "//example.org/a.png", "https://user:key@example.org/a.png",
        "https://example.org/a b.png", "https://example.org/ü.png", "javascript:alert(1)", "data:image/png,x",
        "https://[::1", "https://example.org/" + "a" * 2000, "https://example.org/<x>", "",
    ],
)  # fmt: skip
def test_a_picture_is_a_plain_https_address(tmp_path, address):
    good = load_persona(write(tmp_path / "good", f'picture = "https://example.org/a.png"\n{GOOD}'))
    assert good.picture == "https://example.org/a.png"
    with pytest.raises(PersonaFileError, match="picture must be an https address"):
        load_persona(write(tmp_path, f'picture = "{address}"\n{GOOD}'))


def test_disclosure_must_say_imitation(tmp_path):
    broken = GOOD.replace("An imitation of Ada Lovelace, not the person.", "Ada herself")
    with pytest.raises(PersonaFileError, match="imitation"):
        load_persona(write(tmp_path, broken))


@pytest.mark.parametrize("text", ["id = ", "\ufffe", "[ask"])
def test_what_is_no_toml_is_told(tmp_path, text):
    with pytest.raises(PersonaFileError, match="TOML"):
        load_persona(write(tmp_path, text))


def test_id_and_folder_agree(tmp_path):
    with pytest.raises(PersonaFileError, match='differs from its folder "byron"'):
        load_persona(write(tmp_path, GOOD, name="byron"))


def test_problems_of_several_files_come_together(tmp_path):
    write(tmp_path, "id = ", name="one")
    write(tmp_path, "id = ", name="two")
    with pytest.raises(PersonaFileError) as caught:
        load_cast([tmp_path])
    assert "one" in str(caught.value) and "two" in str(caught.value)


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("lincon", "lincoln"),
        ("Lincoln", "lincoln"),
        ("abraham", "lincoln"),
        ("rosevelt", "roosevelt"),
        ("paul graham", "pg"),
        ("pgg", "pg"),
        ("wait but", "wbw"),
    ],
)
def test_unknown_names_get_the_nearest_ones(cast: Cast, typed, meant):
    with pytest.raises(UnknownPersona) as caught:
        cast[typed]
    assert meant in str(caught.value)


def test_unknown_names_near_nothing_get_the_list(cast: Cast):
    with pytest.raises(UnknownPersona, match="lincoln, pg, roosevelt, wbw"):
        cast["x" * 500]


def test_shipped_cast_is_whole(cast: Cast):
    """Every shipped persona discloses what it is and says on what ground its corpus is used."""
    assert set(cast) == {"lincoln", "pg", "roosevelt", "wbw"}
    for persona in cast.values():
        assert "imitation" in persona.disclosure.lower()
        assert persona.rights is not None and persona.rights.statement


def test_a_file_that_was_edited_in_place_has_another_stamp(tmp_path):
    """Same length, same file, and the time of its content put back, as some synchronisers do."""
    path = write(tmp_path, GOOD)
    before = persona_files([tmp_path])
    assert persona_files([tmp_path]) == before
    stat = path.stat()
    time.sleep(0.05)  # file systems stamp by a clock of some milliseconds
    path.write_text(GOOD.replace("Notes on", "Words on"), encoding="utf-8")
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert path.stat().st_size == stat.st_size and path.stat().st_mtime_ns == stat.st_mtime_ns
    assert persona_files([tmp_path]) != before

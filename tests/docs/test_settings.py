"""Every setting of the server and every key of the persona file is told, and no other."""

from __future__ import annotations

import re

import pytest

from docs.generator.objects import reachable
from docs.generator.settings import SECTIONS, refreshed
from personae import config
from personae.persona import Gates, Persona
from personae.sources import SiteSource
from tests.conftest import REPOSITORY

PAGE = (REPOSITORY / "docs" / "configuration.md").read_text(encoding="utf-8")


def test_every_section_of_the_configuration_is_told():
    told = set(re.findall(r"^## `\[(\w+)\]`$", PAGE, flags=re.MULTILINE))
    assert told == {*SECTIONS, "personae"}
    assert {*told, "engines"} == set(config._SECTIONS), "what a file may hold"


def test_every_setting_is_told_with_its_section():
    for section, model in SECTIONS.items():
        part = PAGE.split(f"## `[{section}]`")[1].split("\n## ")[0]
        assert set(re.findall(r"^\| `(\w+)`", part, flags=re.MULTILINE)) == set(model.model_fields)
    for variable in config._SECRET_VARIABLES.values():
        assert f"`{variable}`" in PAGE


def test_a_default_that_changed_is_written_anew():
    stale = PAGE.replace("| `port` | `8420` |", "| `port` | `80` |")
    assert stale != PAGE
    assert refreshed(stale) == PAGE
    without = re.sub(r"^\| `port` .*\n", "", PAGE, flags=re.MULTILINE)
    assert "| `port` | `8420` |" in refreshed(without)
    with pytest.raises(ValueError, match="prot"):
        refreshed(PAGE.replace("| `port` |", "| `prot` |"))


def test_every_key_of_the_persona_file_is_told():
    text = (REPOSITORY / "docs" / "persona-file.md").read_text(encoding="utf-8")
    parts = reachable([Persona])
    assert {Gates, SiteSource} <= set(parts)
    for model in parts:
        for field in model.model_fields:
            assert re.search(rf"`\[?\[?{field}\b", text), f"{model.__name__}.{field}"

"""Docs that cannot rot: every setting, key and link of the guides exists, and the other way round."""

from __future__ import annotations

import re

import pytest
from pydantic import BaseModel

from personae import config
from personae.persona import (
    AskTask,
    Cleaning,
    Evaluation,
    Gates,
    Persona,
    RetrievalSettings,
    RewriteTask,
    Rights,
    Sampling,
    TrainingChoices,
)
from personae.sources import (
    DiscordExportSource,
    FolderSource,
    MediumSource,
    SiteSource,
    SlackExportSource,
    SotuSource,
    SubstackSource,
    WordpressSource,
    XArchiveSource,
)
from tests.conftest import REPOSITORY

SECTIONS = {
    "gateway": config.GatewayConfig,
    "engine": config.EngineConfig,
    "retrieval": config.RetrievalConfig,
    "deadlines": config.DeadlineConfig,
    "observability": config.ObservabilityConfig,
    "adapters": config.AdaptersConfig,
    "synthesis": config.SynthesisConfig,
}
PERSONA_PARTS: list[type[BaseModel]] = [
    Persona, AskTask, RewriteTask, Sampling, RetrievalSettings, Rights, Cleaning, TrainingChoices, Evaluation,
    Gates, SotuSource, FolderSource, SiteSource, WordpressSource, XArchiveSource, MediumSource,
    SubstackSource, SlackExportSource, DiscordExportSource,
]  # fmt: skip
GUIDES = sorted(path for path in REPOSITORY.rglob("*.md") if not {".venv", "var"} & set(path.parts))


def test_every_setting_is_documented_with_its_section():
    text = (REPOSITORY / "docs" / "configuration.md").read_text()
    for section, model in SECTIONS.items():
        part = text.split(f"## `[{section}]`")[1].split("\n## ")[0]
        documented = set(re.findall(r"^\| `(\w+)`", part, flags=re.MULTILINE))
        assert documented == set(model.model_fields), section
    for variable in config._SECRET_VARIABLES.values():
        assert f"`{variable}`" in text


def test_every_key_of_the_persona_file_is_documented():
    text = (REPOSITORY / "docs" / "persona-file.md").read_text()
    for model in PERSONA_PARTS:
        for field in model.model_fields:
            assert re.search(rf"`\[?\[?{field}\b", text), f"{model.__name__}.{field}"


@pytest.mark.parametrize("guide", GUIDES, ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_links_between_files_lead_somewhere(guide):
    text = guide.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", text):
        if not re.match(r"[a-z]+:", target):
            assert (guide.parent / target).exists(), f"{guide}: {target}"


def test_commands_of_the_readme_exist():
    """Every `personae …` command of the README is one the program knows."""
    from personae.cli import cli

    text = (REPOSITORY / "README.md").read_text()
    blocks = "\n".join(re.findall(r"```[a-z]*\n(.*?)```", text, flags=re.DOTALL))
    called = re.findall(r"(?:^|&& |\$ )personae ([a-z]+)(?: ([a-z]+))?", blocks, flags=re.MULTILINE)
    assert called
    for command, sub in called:
        assert command in cli.commands, command
        group = cli.commands[command]
        if hasattr(group, "commands"):
            assert sub in group.commands, f"{command} {sub}"

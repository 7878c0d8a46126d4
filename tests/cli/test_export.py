"""`personae adapters export | push | pull` as a person types them."""

from __future__ import annotations

import json
import shutil

import click
import pytest
from click.testing import CliRunner

from personae.cli import Context
from personae.cli.export import adapters_export, adapters_pull, adapters_push
from personae.errors import ConfigError, ModelError, UnknownPersona, UnknownVersion
from personae.registry import Registry
from tests.conftest import REPOSITORY

SHIPPED = max(
    (path.name.partition("-")[0] for path in (REPOSITORY / "cast/lincoln/adapters").iterdir()),
    key=lambda name: int(name[1:]),
)


@pytest.fixture
def typed(tmp_path):
    """Run a command in an empty home; gives what it printed on stdout."""
    cast = tmp_path / "cast"
    for name in ("lincoln", "pg"):
        shutil.copytree(REPOSITORY / "cast" / name, cast / name)
    file = tmp_path / "personae.toml"
    file.write_text(f'[personae]\nhome = "{tmp_path / "home"}"\ncast = ["{cast}"]\n')

    def run(command: click.Command, *arguments: str) -> str:
        result = CliRunner().invoke(
            command, list(arguments), obj=Context(file, "cpu-demo"), standalone_mode=False
        )
        if result.exception is not None:
            raise result.exception
        return result.stdout

    return run


def test_a_shipped_voice_is_pushed_listed_and_pulled(typed, tmp_path):
    store = str(tmp_path / "store")
    assert typed(adapters_push, "lincoln", SHIPPED, store) == f"lincoln {SHIPPED} is in {store}.\n"
    assert "already" in typed(adapters_push, "lincoln", SHIPPED, store)
    (listed,) = json.loads(typed(adapters_pull, "lincoln", store, "--list", "--json"))
    assert (listed["version"], listed["complete"]) == (SHIPPED, True)
    assert f"{SHIPPED} " in typed(adapters_pull, "lincoln", store, "--list")
    shutil.rmtree(tmp_path / "home")
    done = json.loads(typed(adapters_pull, "lincoln", SHIPPED, store, "--json"))
    assert (done["version"], done["changed"]) == (SHIPPED, True)
    assert Registry(tmp_path / "home" / "adapters").find("lincoln").problem is None
    assert "was here" in typed(adapters_pull, "lincoln", store)
    card = (tmp_path / "store" / "lincoln" / "README.md").read_text()
    assert "An imitation of Abraham Lincoln, not the person." in card


def test_what_cannot_be_done_is_said(typed, tmp_path):
    store = str(tmp_path / "store")
    with pytest.raises(UnknownPersona):
        typed(adapters_pull, "nobody", store)
    with pytest.raises(UnknownVersion, match="no complete version of lincoln"):
        typed(adapters_pull, "lincoln", store)
    with pytest.raises(UnknownVersion, match="pg has no adapter version yet"):
        typed(adapters_push, "pg", "v1", store)
    with pytest.raises(click.UsageError, match="at most a version and a store"):
        typed(adapters_pull, "lincoln", "v1", "v2", store)


def test_export_says_what_is_missing(typed, tmp_path):
    out = str(tmp_path / "out")
    with pytest.raises(ConfigError, match="go with --format gguf"):
        typed(adapters_export, "lincoln", "--out", out, "--type", "q8_0")
    with pytest.raises(ConfigError, match=r"q4_k_m is not written here.*gibberish.*f16"):
        typed(adapters_export, "lincoln", "--out", out, "--format", "gguf", "--type", "q4_k_m")
    with pytest.raises(ModelError, match="personae models fetch smollm2-135m"):
        typed(adapters_export, "lincoln", "--out", out)

"""`personae train try` and `personae train publish` as a person types them, and what a gateway then says."""

from __future__ import annotations

import asyncio
import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from bot.core.gateway_client import GatewayClient
from personae.cli import Context
from personae.cli.adapters import adapters
from personae.cli.doctor import examine
from personae.cli.prepare import import_shipped_adapters
from personae.cli.publish import publish_command, table, try_command
from personae.errors import AdapterError, PersonaeError
from personae.verdict import GateRow
from personae.wire import AdapterChange
from tests.fakes.artefacts import BASE
from tests.training.conftest import TINY
from tests.training.release.runs import evaluate, write_run
from training.models.fetch import write_model_manifest
from training.release.try_out import find_run


@pytest.fixture(scope="session")
def base_models(models, tmp_path_factory) -> Path:
    """The tiny model under the name that the fake engine serves."""
    folder = tmp_path_factory.mktemp("base") / BASE.id
    shutil.copytree(models / TINY, folder)
    (folder / "personae-model.json").unlink()
    write_model_manifest(folder, BASE.id, source="made by a test", licence="none")
    return folder.parent


@pytest.fixture
def run(gateway, lincoln, base_models) -> Path:
    """A finished run in the home of a running gateway."""
    shutil.copytree(base_models, gateway.config.models, dirs_exist_ok=True)
    gateway.engine.log_probs = "left out"  # those it makes up are no real model's
    return write_run(gateway.config.runs, lincoln, gateway.config.models, BASE.id)


@pytest.fixture
def personae(gateway):
    """Run a command of this gateway's configuration; gives the result."""
    context = Context(gateway.config.home.parent / "personae.toml", None)

    async def run(command, *arguments: str):
        environment = {"PERSONAE_ADMIN_KEY": gateway.admin_key}
        return await asyncio.to_thread(
            CliRunner().invoke,
            command,
            list(arguments),
            obj=context,
            env=environment,
            standalone_mode=False,
        )

    return run


@pytest.fixture
def upcoming(gateway, run, cast) -> str:
    """The name of the next version, after those that come with the repository."""
    import_shipped_adapters(gateway.config, cast, cast["lincoln"])
    return f"v{gateway.registry.next_version('lincoln')}"


def client(gateway) -> GatewayClient:
    return GatewayClient(gateway.url, admin_key=gateway.admin_key)


async def test_what_passes_is_published_with_its_table(gateway, run, lincoln, personae, upcoming):
    evaluate(run, lincoln, base_model=BASE.id)
    result = await personae(publish_command, "lincoln")
    assert (result.exception, result.return_value) == (None, 0)
    assert "passed  identity" in result.stdout and "at least 0.9" in result.stdout
    assert "FAILED" not in result.stdout
    assert (
        f"Published lincoln {upcoming}. Put it in charge with `personae adapters reload lincoln`."
        in (result.stdout)
    )
    assert "is not ours to start" in result.stdout
    assert gateway.registry.find("lincoln").manifest.alive.outcome == "skipped"


async def test_what_fails_is_refused_with_every_failed_row(
    gateway, run, lincoln, personae, upcoming
):
    evaluate(run, lincoln, {"identity": 0.4, "rewrite_copy": 0.8}, base_model=BASE.id)
    result = await personae(publish_command, "lincoln")
    assert (result.exception, result.return_value) == (None, 1)
    failed = [line.split()[1] for line in result.stdout.splitlines() if line.startswith("FAILED")]
    assert failed == ["rewrite_copy", "identity"]
    assert "failed 2 gates. Nothing was changed." in result.stderr
    assert "Published" not in result.stdout
    assert gateway.registry.next_version("lincoln") == int(upcoming.removeprefix("v"))


async def test_a_refusal_as_json_holds_the_rows(gateway, run, lincoln, personae):
    evaluate(run, lincoln, {"identity": 0.4}, base_model=BASE.id)
    result = await personae(publish_command, "lincoln", "--json")
    reply = json.loads(result.stdout)
    assert result.return_value == 1 and reply["version"] is None
    assert [row["name"] for row in reply["gates"] if not row["passed"]] == ["identity"]
    assert json.loads((run / "gates.json").read_text()) == reply["gates"], "and are kept in the run"
    assert "failed 1 gate" in reply["problem"]


async def test_a_forced_version_is_marked_wherever_it_is_listed(
    gateway, run, lincoln, personae, upcoming
):
    """List, reload, personas and history, through the gateway and the command line."""
    before = {one.name: one.manifest.gate for one in gateway.registry.versions("lincoln")}
    evaluate(run, lincoln, {"identity": 0.4}, base_model=BASE.id)
    result = await personae(publish_command, "lincoln", "--force", "--reason", "a demo")
    gate = "forced: a demo (failed: identity)"
    assert f"Published lincoln {upcoming} ({gate})." in result.stdout
    async with client(gateway) as asked:
        outcome = await asked.reload("lincoln", AdapterChange(actor="me"))
        notice = f"{upcoming} was published by force: a demo (failed: identity)."
        assert outcome.message == f"lincoln now speaks with {upcoming}, before that v1. {notice}"
        listed = (await asked.adapters()).personas
        (versions,) = [persona.versions for persona in listed if persona.persona == "lincoln"]
        assert {one.version: one.gate for one in versions} == before | {upcoming: gate}
        cards = (await asked.personas()).personas
        (card,) = [card for card in cards if card.id == "lincoln"]
        assert notice in card.notice
        history = (await asked.history("lincoln")).entries
        assert (history[0].gate, history[0].message) == (gate, outcome.message)
        back = await asked.rollback("lincoln", AdapterChange(actor="me"))
        assert "force" not in back.message
        cards = (await asked.personas()).personas
        assert not any("force" in (card.notice or "") for card in cards)
    result = await personae(adapters, "list", "--url", gateway.url)
    lines = {line.split()[0]: line for line in result.stdout.splitlines()}
    assert lines[upcoming].endswith(f"[{gate}]")
    shown = await personae(adapters, "history", "lincoln", "--url", gateway.url)
    assert f"[{gate}]" in shown.stdout


async def test_the_live_version_s_figures_are_the_bar(gateway, run, lincoln, personae, cast):
    evaluate(run, lincoln, {"identity": 1.0}, base_model=BASE.id)
    assert (await personae(publish_command, "lincoln")).return_value == 0
    async with client(gateway) as asked:
        await asked.reload("lincoln", AdapterChange(actor="me"))
    later = write_run(
        gateway.config.runs, lincoln, gateway.config.models, BASE.id,
        scale=0.6, finished_at="2026-03-01T00:00:00+00:00",
    )  # fmt: skip
    evaluate(later, lincoln, {"identity": 0.95}, base_model=BASE.id)
    result = await personae(publish_command, "lincoln")
    assert result.return_value == 1
    assert "FAILED  identity v live" in result.stdout
    assert "failed 1 gate" in result.stderr


async def test_what_was_not_evaluated_is_told_before_anything_is_tried(run, personae):
    result = await personae(publish_command, "lincoln")
    assert isinstance(result.exception, AdapterError)
    assert "Run `personae train evaluate`" in str(result.exception)


async def test_a_reason_without_force_is_a_mistake(run, personae):
    result = await personae(publish_command, "lincoln", "--reason", "x")
    assert "--reason belongs to --force" in str(result.exception)


async def test_without_rights_a_version_can_be_tried_and_not_published(
    gateway, cast, base_models, personae
):
    shutil.copytree(base_models, gateway.config.models, dirs_exist_ok=True)
    run = write_run(gateway.config.runs, cast["pg"], gateway.config.models, BASE.id)
    evaluate(run, cast["pg"], base_model=BASE.id)
    result = await personae(publish_command, "pg", "--force", "--reason", "x")
    assert "Fill in [rights] licence or consent" in str(result.exception)
    result = await personae(try_command, "pg", "What", "about", "work?")
    assert result.exception is None
    assert "smollm2-135m with the prompt alone:" in result.stdout
    assert f"pg, run {run.name}:" in result.stdout
    assert "An imitation of Paul Graham" in result.stdout
    assert "Not published" in result.stdout
    assert gateway.registry.versions("pg") == []
    findings = [finding for finding in examine(gateway.config) if finding.what == "rights"]
    assert [finding.sentence.split()[0] for finding in findings] == ["pg", "wbw"]


async def test_base_and_adapter_are_heard_side_by_side(gateway, run, lincoln, personae):
    result = await personae(try_command, "lincoln", "Keep to the rules.", "--rewrite", "--json")
    tried = json.loads(result.stdout)
    assert (tried["task"], tried["prompt"]) == ("rewrite", "Keep to the rules.")
    assert tried["base"] != tried["adapter"]
    assert tried["published"] is False
    again = await personae(try_command, "lincoln", "Keep to the rules.", "--rewrite", "--json")
    assert json.loads(again.stdout) == tried, "the same seed"


def test_the_run_finished_last_is_taken_unless_one_is_named(tmp_path, lincoln, models):
    with pytest.raises(PersonaeError, match="no finished training run yet"):
        find_run(tmp_path, "lincoln")
    old = write_run(tmp_path, lincoln, models, TINY, scale=0.1)
    new = write_run(
        tmp_path, lincoln, models, TINY, scale=0.2, finished_at="2026-05-01T00:00:00+00:00"
    )
    (tmp_path / "lincoln" / "unfinished").mkdir()
    assert find_run(tmp_path, "lincoln") == new
    assert find_run(tmp_path, "lincoln", old.name[:6]) == old
    with pytest.raises(PersonaeError, match=f"begin with x. There are: .*{old.name}"):
        find_run(tmp_path, "lincoln", "x")
    with pytest.raises(PersonaeError, match="several finished runs"):
        find_run(tmp_path, "lincoln", "")


def test_the_table_shows_value_bounds_and_threshold():
    row = {"against": "threshold", "passed": True, "sentence": "s"}
    rows = [
        GateRow(name="alive", value=0.012, sentence="alive: It speaks.", against="threshold", passed=True),
        GateRow(name="identity", value=0.9666, low=0.9, high=1.0, threshold=0.9, **row),
        GateRow(name="identity", value=None, threshold=0.9, **row | {"against": "live", "passed": False}),
        GateRow(name="live", value=None, **row | {"against": "live", "sentence": "Left out."}),
        GateRow(name="copied_words", value=41, threshold=40, at_least=False, **row),
    ]  # fmt: skip
    assert [" ".join(line.split()) for line in table(rows)] == [
        "passed alive 0.012 It speaks.",
        "passed identity 0.967 (0.9 … 1) at least 0.9",
        "FAILED identity v live – at least 0.9",
        "passed live – Left out.",
        "passed copied_words 41 at most 40",
    ]

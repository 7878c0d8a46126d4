"""`personae train try` and `personae train publish`: hear a finished run, then let it into the registry.

    publish   evaluation (made before) → alive check in the real engine → gates and rights → registry

Verdicts are kept in the run's folder: that of the alive check (`alive.json`), so that a rerun goes on from
there, and those of the gates (`gates.json`), for whoever looks at the run later.
"""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import TYPE_CHECKING

import click
from pydantic import BaseModel, ConfigDict, ValidationError

from personae.cli.terminal import print_json, say, shown_progress
from personae.config import Config
from personae.errors import AdapterError
from personae.files import write_atomic
from personae.persona import Cast, Persona, load_cast
from personae.progress import Progress
from personae.registry import RegisteredVersion, Registry
from personae.training_run import ALIVE, GATES
from personae.verdict import LIVE, AliveVerdict, GateRow
from personae.weights import model_folder

if TYPE_CHECKING:
    from personae.cli import Context
    from training.evaluate.evaluation import Evaluation

_json_option = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
_run_option = click.option(
    "--run", "run_key", help="Key of the training run (default: the one finished last)."
)


class Published(BaseModel):
    """What `publish --json` prints. `version` is None where it was refused; then `problem` says why."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    persona: str
    run: str
    version: str | None
    gate: str | None
    gates: list[GateRow]
    alive: AliveVerdict
    problem: str | None = None


@click.command("try")
@click.argument("persona")
@click.argument("words", nargs=-1, required=True)
@click.option("--rewrite", is_flag=True, help="Rewrite the words instead of answering them.")
@_run_option
@_json_option
@click.pass_obj
def try_command(
    context: Context,
    persona: str,
    words: tuple[str, ...],
    rewrite: bool,
    run_key: str | None,
    as_json: bool,
) -> None:
    """Hear base model and adapter side by side on this machine, before anything is published."""
    from training.release.try_out import find_run, try_out

    config = context.config()
    member = load_cast(config.cast)[persona]
    run = find_run(config.runs, persona, run_key)
    with shown_progress() as progress:
        tried = try_out(
            run,
            member,
            " ".join(words),
            task="rewrite" if rewrite else "ask",
            models=config.models,
            progress=progress,
        )
    if as_json:
        print_json(tried)
        return
    click.echo(f"{tried.base_model} with the prompt alone:\n{tried.base}\n")
    click.echo(f"{persona}, run {tried.run}:\n{tried.adapter}\n")
    click.echo(f"— {member.disclosure} Not published: only you heard this.")


@click.command("publish")
@click.argument("persona")
@_run_option
@click.option("--force", is_flag=True, help="Publish although gates fail; it stays visible.")
@click.option("--reason", default="", help="Why, for whoever sees the version later.")
@_json_option
@click.pass_obj
def publish_command(
    context: Context, persona: str, run_key: str | None, force: bool, reason: str, as_json: bool
) -> int:
    """Publish PERSONA's trained voice, if it is alive, passes its gates, and its rights are named."""
    from training.release.try_out import find_run

    config = context.config()
    cast = load_cast(config.cast)
    member = cast[persona]
    run = find_run(config.runs, persona, run_key)
    if reason and not force:
        raise AdapterError("--reason belongs to --force. Give both or neither.")
    with shown_progress() as progress:
        published = release(
            config, cast, member, run, force_reason=reason if force else None, progress=progress
        )
    show(published, as_json=as_json)
    return 0 if published.version is not None else 1


def release(
    config: Config,
    cast: Cast,
    persona: Persona,
    run: Path,
    *,
    force_reason: str | None = None,
    progress: Progress,
) -> Published:
    """Alive check → gates → registry, for a run that was evaluated.

    A refusal by gates is no exception: it comes back with its table, and with `problem`.

    Raises:
        AdapterError: the run is unfinished, unmeasured or damaged, or rights are missing.
        ModelError: the base model is gone, or the engine does not start.
        EngineUnavailable: the engine stopped answering in the middle of the check.
    """
    from personae.cli.prepare import import_shipped_adapters
    from training.release.candidate import candidate
    from training.release.gates import failed
    from training.release.publish import judge_run, publish
    from training.release.rights import require_rights

    require_rights(persona)
    # First, so that the new one gets a number above them.
    import_shipped_adapters(config, cast, persona)
    registry = Registry(config.adapters)
    judge_run(
        run, persona, alive=None, live=None
    )  # unmeasured? Then no minute is spent on an engine.
    found = candidate(run, persona, models=config.models, registry=registry, progress=progress)
    alive = _alive(config, persona, run, found, progress)
    live = live_evaluation(config, persona, registry, base_model=alive.base_model)
    rows = judge_run(run, persona, alive=alive, live=live)
    write_atomic(run / GATES, json.dumps([row.model_dump() for row in rows], indent=2) + "\n")
    _show_in_report(run, rows)
    try:
        version = publish(
            run,
            persona,
            models=config.models,
            registry=registry,
            alive=alive,
            live=live,
            force_reason=force_reason,
            progress=progress,
        )
    except AdapterError as err:
        if not failed(rows):
            raise
        return Published(
            persona=persona.id,
            run=run.name,
            version=None,
            gate=None,
            gates=rows,
            alive=alive,
            problem=str(err),
        )
    return Published(
        persona=persona.id,
        run=run.name,
        version=version.name,
        gate=version.manifest.gate if version.manifest else None,
        gates=rows,
        alive=alive,
    )


def _show_in_report(run: Path, rows: list[GateRow]) -> None:
    """The report shows the verdict, whichever it is; one without its evidence stays as it was."""
    from training.evaluate.evaluate import FOLDER
    from training.evaluate.evaluation import read_evaluation
    from training.evaluate.evidence import EVIDENCE
    from training.evaluate.report import write_report

    folder = run / FOLDER
    if (folder / EVIDENCE).is_file():
        write_report(folder, read_evaluation(folder), gates=rows)


def show(published: Published, *, as_json: bool) -> None:
    """The table of gates, and how it ended."""
    if as_json:
        print_json(published)
        return
    for line in table(published.gates):
        click.echo(line)
    if published.problem is not None:
        say(f"Error: {published.problem}")
        return
    if published.alive.outcome == "skipped":
        say(published.alive.sentence)
    forced = "" if published.gate == "passed" else f" ({published.gate})"
    click.echo(
        f"Published {published.persona} {published.version}{forced}. "
        f"Put it in charge with `personae adapters reload {published.persona}`."
    )


def table(gates: list[GateRow]) -> list[str]:
    """Passed or failed, name, value with bounds, threshold.

    passed  identity                0.967 (0.9 … 1)          at least 0.9
    """
    rows = []
    for gate in gates:
        value = _number(gate.value)
        if gate.low is not None and gate.high is not None:
            value += f" ({_number(gate.low)} … {_number(gate.high)})"
        limit = ""
        if gate.threshold is not None:
            limit = f"{'at least' if gate.at_least else 'at most'} {_number(gate.threshold)}"
        elif gate.name in (LIVE, "alive"):
            limit = gate.sentence.removeprefix("alive: ")
        rows.append(
            f"{'passed' if gate.passed else 'FAILED'}  {gate.title:<28}{value:<26}{limit}".rstrip()
        )
    return rows


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}".rstrip("0").rstrip(".")


def _alive(
    config: Config, persona: Persona, run: Path, found: RegisteredVersion, progress: Progress
) -> AliveVerdict:
    """The verdict of this run's adapter: one that passed is kept, any other is asked for again."""
    from serving.alive_check import alive_check

    assert found.manifest is not None
    try:
        kept = AliveVerdict.model_validate_json((run / ALIVE).read_bytes())
        if kept.outcome == "passed" and kept.adapter_sha256 == found.manifest.content_sha256:
            return kept
    except (FileNotFoundError, ValidationError):
        pass  # not made yet, or damaged: it is made again
    base_model = found.manifest.base_model.id
    verdict = asyncio.run(
        alive_check(
            persona,
            found,
            engine=config.engine_for(base_model),
            model=model_folder(config.models, base_model),
            log_file=config.logs / f"alive-{persona.id}.log",
            progress=progress,
        )
    )
    write_atomic(run / ALIVE, verdict.model_dump_json(indent=2) + "\n")
    return verdict


def live_evaluation(
    config: Config, persona: Persona, registry: Registry, *, base_model: str
) -> Evaluation | None:
    """What was measured of the version that speaks by the ledger; None if there is none, or it has none.

    Raises:
        LedgerUnavailable: the database can't be read.
    """
    from serving.ledger import Ledger
    from serving.service import ledger_url
    from training.evaluate.evaluation import EVALUATION, read_evaluation

    ledger = Ledger(ledger_url(config))
    try:
        version = ledger.pointer(persona.id, base_model).live
    finally:
        ledger.close()
    for known in registry.versions(persona.id):
        if known.version == version and (known.folder / EVALUATION).is_file():
            try:
                return read_evaluation(known.folder)
            except AdapterError as err:
                say(f"{persona.id} {known.name} can't be compared with: {err}")
    return None

"""`personae bench serving|overload`: measure this machine, with ratios that can be compared.

Each starts processes of its own in a scratch home, and leaves nothing behind, however it ends.
"""

from __future__ import annotations

import asyncio
import json
import shlex
import signal
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from personae.cli.prepare import ensure_model
from personae.cli.terminal import say, shown_progress
from personae.config import Config
from personae.progress import Progress

if TYPE_CHECKING:
    from personae.cli import Context

_json_option = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")


@click.group()
def bench() -> None:
    """Measure this machine: speed, exactness, reloads, overload."""


@bench.command("serving")
@click.option("--quick", is_flag=True, help="Fewer repetitions: within ten minutes on two cores.")
@click.option(
    "--report",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="Rewrite the table and plots of this document (docs/benchmarks.md).",
)
@_json_option
@click.pass_obj
def bench_serving(context: Context, quick: bool, report: Path | None, as_json: bool) -> None:
    """Gateway against engine, adapters against base, reloads under load.

    Starts an engine with eight personas, then vLLM without our plugin. Takes about half an hour on
    two cores.
    """
    from serving.bench.report import table, write_report
    from serving.bench.serving_run import FULL, QUICK, run_serving_bench

    config = context.config()
    with shown_progress() as progress:
        _prepare(config, progress)
        result = _run(
            run_serving_bench(config, sizes=QUICK if quick else FULL, progress=progress), config
        )
    if report is not None:
        for path in write_report(result, report):
            say(f"Wrote {path}")
    click.echo(json.dumps(result, indent=2) if as_json else table(result))


@bench.command("overload")
@click.option("--minutes", type=click.FloatRange(0.1), default=5.0, show_default=True)
@click.option("--clients", type=click.IntRange(1), help="Default: four times what is safe.")
@_json_option
@click.pass_obj
def bench_overload(context: Context, minutes: float, clients: int | None, as_json: bool) -> None:
    """Four times the load that is safe: everybody gets an answer or an honest refusal."""
    from serving.bench.overload import run_overload_bench

    config = context.config()
    with shown_progress() as progress:
        _prepare(config, progress)
        result = _run(
            run_overload_bench(config, minutes=minutes, clients=clients, progress=progress), config
        )
    if as_json:
        click.echo(json.dumps(result, indent=2))
        return
    for name, value in result.items():
        if name != "details":
            click.echo(f"{name.replace('_', ' '):<36}{value}")


def _prepare(config: Config, progress: Progress) -> None:
    ensure_model(config, config.engine.base_model, progress=progress)
    ensure_model(config, config.retrieval.embedder, progress=progress)


def _run(work: Coroutine[Any, Any, dict[str, Any]], config: Config) -> dict[str, Any]:
    """Run a bench; SIGTERM ends it as Ctrl-C does. Adds what it was measured on."""
    from serving.bench.machine import described

    where = described()

    async def until_stopped() -> dict[str, Any]:
        task = asyncio.ensure_future(work)
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
        return await task

    try:
        result = asyncio.run(until_stopped())
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None
    result["details"] |= where | {
        "base_model": config.engine.base_model,
        "profile": config.profile,
        "command": shlex.join(["personae", *sys.argv[1:]]),
    }
    return result

"""`personae bench …`: measure this machine, with ratios that can be compared.

Each works in a scratch home, and leaves nothing behind, however it ends.
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

from personae.cli.bench_training import training
from personae.cli.prepare import ensure_model
from personae.cli.terminal import say, shown_progress
from personae.config import Config
from personae.progress import Progress
from personae.weights import model_folder

if TYPE_CHECKING:
    from personae.cli import Context

_json_option = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
_existing_file = click.Path(path_type=Path, dir_okay=False, exists=True)


@click.group()
def bench() -> None:
    """Measure this machine: speed, reloads, overload, capacity, search, answers, training."""


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
    from serving.bench.report import require_place, table, write_report
    from serving.bench.serving_run import FULL, QUICK, run_serving_bench

    if report is not None:
        require_place(report)
    config = context.config()
    with shown_progress() as progress:
        _prepare(config, progress)
        result = _run(
            run_serving_bench(config, sizes=QUICK if quick else FULL, progress=progress), config
        )
    click.echo(json.dumps(result, indent=2) if as_json else table(result))
    if report is not None:
        for path in write_report(result, report):
            say(f"Wrote {path}")


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


@bench.command("retrieval")
@click.option(
    "--passages", type=_existing_file, help="JSON lines of id and text: what should be found."
)
@click.option(
    "--questions", type=_existing_file, help="JSON lines of question and passage_id, for them."
)
@click.option(
    "--size",
    "sizes",
    type=click.IntRange(100),
    multiple=True,
    default=(1_000, 1_000_000),
    show_default=True,
    help="Synthetic passages to search; may be given several times.",
)
@_json_option
@click.pass_obj
def bench_retrieval(
    context: Context,
    passages: Path | None,
    questions: Path | None,
    sizes: tuple[int, ...],
    as_json: bool,
) -> None:
    """How well each way of searching finds what it should, and how quick a search is.

    A million synthetic passages take some minutes to make, and a few gigabytes of the temporary folder.
    """
    from serving.bench.retrieval_run import ablation, search_speed
    from serving.retrieval.embedder import Embedder
    from serving.retrieval.reranker import CrossEncoderReranker

    if (passages is None) != (questions is None):
        raise click.UsageError("--passages and --questions belong together.")
    config = context.config()
    with shown_progress() as progress:
        ensure_model(config, config.retrieval.embedder, progress=progress)
        embedder = Embedder(model_folder(config.models, config.retrieval.embedder))
        named = config.retrieval.reranker
        reranker = CrossEncoderReranker(model_folder(config.models, named)) if named else None

        async def measured() -> dict[str, Any]:
            result: dict[str, Any] = {"details": {"embedder": embedder.id, "reranker": named}}
            if passages is not None and questions is not None:
                result["found"] = ablation(
                    passages, questions, embedder, reranker=reranker, progress=progress
                )
            result["speed"] = await search_speed(sizes, embedder, progress=progress)
            return result

        result = _run(measured(), config)
    if as_json:
        click.echo(json.dumps(result, indent=2))
        return
    for way, figures in result.get("found", {}).items():
        recall = "  ".join(f"@{cut} {share:.3f}" for cut, share in figures["recall"].items())
        click.echo(f"{way:<34}{recall}  MRR {figures['mrr']:.3f}  {figures['p50_ms']:.1f} ms")
    for size, figures in result["speed"].items():
        click.echo(
            f"{int(size):>9,} passages  p50 {figures['p50_ms']:.1f} ms  p95 {figures['p95_ms']:.1f} ms"
            f"  event loop held {figures['loop_held_ms_max']:.1f} ms at most"
        )


@bench.command("answers")
@click.option("--passages", type=_existing_file, required=True, help="JSON lines of id and text.")
@click.option(
    "--questions",
    type=_existing_file,
    required=True,
    help="JSON lines of question and passage_id.",
)
@click.option(
    "--outside",
    type=_existing_file,
    help="Questions the passages do not answer, one a line (default: fifty of ours).",
)
@click.option("--mode", type=click.Choice(["strict", "adaptive", "creative"]), default="strict")
@click.option("--limit", type=click.IntRange(1), help="Only so many questions of each kind.")
@_json_option
@click.pass_obj
def bench_answers(
    context: Context,
    passages: Path,
    questions: Path,
    outside: Path | None,
    mode: str,
    limit: int | None,
    as_json: bool,
) -> None:
    """How right the answers are, on a real engine: nearness to the passages, citations, abstention."""
    from serving.bench.answers_run import answer_quality
    from serving.bench.retrieval_run import OUTSIDE_QUESTIONS
    from serving.retrieval.evaluate import read_outside_questions, read_questions

    config = context.config()
    asked = read_questions(questions)[:limit]
    beyond = (
        read_outside_questions(outside)
        if outside is not None
        else read_outside_questions(OUTSIDE_QUESTIONS)[1::2]
    )[:limit]
    with shown_progress() as progress:
        _prepare(config, progress)

        async def measured() -> dict[str, Any]:
            result = await answer_quality(
                config, passages, asked, beyond, mode=mode, progress=progress
            )
            return result | {"details": {"mode": mode, "samples": result.pop("samples")}}

        result = _run(measured(), config)
    if as_json:
        click.echo(json.dumps(result, indent=2))
        return
    for name, value in result.items():
        if name != "details":
            click.echo(f"{name.replace('_', ' '):<24}{value}")


@bench.command("capacity")
@click.option("--figures", type=_existing_file, help="What an engine was measured to do (JSON).")
@click.option(
    "--engines", type=click.IntRange(1, 64), multiple=True, default=(1, 2, 4, 8), show_default=True
)
@click.option("--prompt-tokens", type=click.FloatRange(1), default=840.0, show_default=True)
@click.option("--answer-tokens", type=click.FloatRange(1), default=160.0, show_default=True)
@click.option(
    "--first-token",
    type=click.FloatRange(0.01),
    default=10.0,
    show_default=True,
    help="Seconds within which 95 % of the answers are to begin.",
)
@click.option("--minutes", type=click.FloatRange(1), default=30.0, show_default=True)
@click.option("--seed", type=int, default=1, show_default=True)
@_json_option
@click.pass_obj
def bench_capacity(
    context: Context,
    figures: Path | None,
    engines: tuple[int, ...],
    prompt_tokens: float,
    answer_tokens: float,
    first_token: float,
    minutes: float,
    seed: int,
    as_json: bool,
) -> None:
    """How many questions so many engines answer in time: one is measured, the rest is simulated."""
    from serving.bench.capacity import Demand, Promise
    from serving.bench.capacity_run import capacity, measure_engine, read_figures, table

    config = context.config()
    with shown_progress() as progress:

        async def worked_out() -> dict[str, Any]:
            if figures is not None:
                known = read_figures(figures)
            else:
                known = await measure_engine(config, progress=progress)
            result = await asyncio.to_thread(
                capacity,
                known,
                engines=engines,
                demand=Demand(prompt_tokens, answer_tokens),
                promise=Promise(first_token),
                minutes=minutes,
                seeds=[seed, seed + 1, seed + 2],
                progress=progress,
            )
            return result | {"details": {}}

        if figures is None:
            _prepare(config, progress)
        result = _run(worked_out(), config)
    click.echo(json.dumps(result, indent=2) if as_json else table(result))


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


bench.add_command(training)

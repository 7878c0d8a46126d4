"""`personae bench training`: our trainer against TRL's, on this machine."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from personae.cli.prepare import ensure_corpus, ensure_model
from personae.cli.terminal import say, shown_progress
from personae.cli.training_samples import recipe
from personae.persona import load_cast
from personae.weights import model_folder

if TYPE_CHECKING:
    from personae.cli import Context


@click.command("training")
@click.option("--persona", "name", help="Whose corpus to train on (default: the first with one).")
@click.option(
    "--quick", is_flag=True, help="Fewer steps and one round: a few minutes on two cores."
)
@click.option(
    "--report",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="Rewrite the table of this document (docs/benchmarks.md).",
)
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@click.pass_obj
def training(
    context: Context, name: str | None, quick: bool, report: Path | None, as_json: bool
) -> None:
    """Our trainer against TRL's SFTTrainer: speed, memory and loss on the same samples.

    Each training runs in a fresh process, in turns. Takes about half an hour on two cores.
    """
    from personae.corpus import read_corpus
    from serving.bench.machine import described
    from training.bench.against_trl import FULL, QUICK, run_training_bench
    from training.bench.report import require_place, table, write_report

    if report is not None:
        require_place(report)
    config = context.config()
    cast = load_cast(config.cast)
    persona = cast[name or next(iter(cast))]
    base_model = persona.base_model or config.engine.base_model
    where = described()
    with shown_progress() as progress:
        ensure_model(config, base_model, progress=progress)
        ensure_corpus(config, cast, persona, progress=progress)
        result = run_training_bench(
            persona,
            read_corpus(config.corpora / persona.id)[1],
            model_folder(config.models, base_model),
            sizes=QUICK if quick else FULL,
            settings=recipe(config, persona),
            progress=progress,
        )
    result["details"] |= where | {
        "persona": persona.id,
        "base_model": base_model,
        "profile": config.profile,
        "command": shlex.join(["personae", *sys.argv[1:]]),
    }
    click.echo(json.dumps(result, indent=2) if as_json else table(result))
    if report is not None:
        for path in write_report(result, report):
            say(f"Wrote {path}")

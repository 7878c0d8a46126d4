"""`personae train evaluate`: measure a run or a published version, and show the figures."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from personae.cli.terminal import print_json, say, shown_progress
from personae.errors import ConfigError
from personae.persona import load_cast
from personae.registry import Registry, parse_version

if TYPE_CHECKING:
    from personae.cli import Context
    from training.evaluate.evaluation import Evaluation


@click.command("evaluate")
@click.argument("persona")
@click.option("--run", "run_key", help="Key of the training run (default: the one finished last).")
@click.option("--version", help="A published version instead, for example v3.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@click.pass_obj
def evaluate_command(
    context: Context, persona: str, run_key: str | None, version: str | None, as_json: bool
) -> None:
    """Measure an adapter of PERSONA on its held-out documents. Interrupted, a rerun goes on."""
    from personae.cli.prepare import ensure_corpus, ensure_model
    from training.evaluate.evaluate import (
        FOLDER,
        SHARED,
        evaluate_adapter,
        evaluate_run,
    )
    from training.evaluate.evaluation import REPORT
    from training.evaluate.made_of import made_of_version
    from training.release.try_out import find_run

    if run_key is not None and version is not None:
        raise ConfigError("--run and --version exclude each other. Leave one of them out.")
    config = context.config()
    cast = load_cast(config.cast)
    member = cast[persona]
    base_model = member.base_model or config.engine.base_model
    embedder = config.retrieval.embedder
    with shown_progress() as progress:
        for model in (base_model, embedder):
            ensure_model(config, model, progress=progress)
        ensure_corpus(config, cast, member, progress=progress)
        if version is not None:
            found = Registry(config.adapters).find(persona, parse_version(version))
            if found.manifest is None:
                raise ConfigError(found.problem or f"{found.folder} has no manifest.")
            # A version's folder is never written to.
            folder = config.runs / persona / found.folder.name / FOLDER
            evaluation = evaluate_adapter(
                member,
                found.folder,
                folder,
                made_of=made_of_version(found.manifest, config.corpora / persona),
                persona_folder=cast.folder(persona),
                corpora=config.corpora,
                models=config.models,
                base_model=base_model,
                embedder=embedder,
                shared=config.runs / persona / SHARED,
                progress=progress,
            )
        else:
            run = find_run(config.runs, persona, run_key)
            folder = run / FOLDER
            evaluation = evaluate_run(
                member,
                run,
                persona_folder=cast.folder(persona),
                corpora=config.corpora,
                models=config.models,
                base_model=base_model,
                embedder=embedder,
                progress=progress,
            )
    if as_json:
        print_json(evaluation)
        return
    for line in figure_table(evaluation):
        click.echo(line)
    say(f"Report: {folder / REPORT}")


def figure_table(evaluation: Evaluation) -> list[str]:
    """A line a figure: name, value, bounds, how many it rests on."""
    wide = max(map(len, evaluation.figures), default=0)
    return [
        f"{name:<{wide}}  {found.value:>8.3f}  {found.low:>8.3f} to {found.high:>8.3f}  n = {found.n}"
        for name, found in evaluation.figures.items()
    ]

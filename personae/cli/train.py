"""`personae train`: make a voice, measure it, publish it.

`run` does it all: models and corpus → samples → plan → training → evaluation → alive check → gates →
registry. Each part finds what it finished before, so a rerun goes on where the last one stopped.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from personae.cli.evaluate import evaluate_command
from personae.cli.plan import plan as plan_command
from personae.cli.plan import planned
from personae.cli.publish import publish_command, release, show, try_command
from personae.cli.synthesize import synthesize, written_samples
from personae.cli.terminal import print_json, say, shown_progress
from personae.cli.training_samples import (
    adapter_rank,
    ensure_training_input,
    recipe,
    revised_samples,
    samples_of,
)
from personae.config import Config
from personae.errors import AdapterError
from personae.persona import Cast, Persona, load_cast
from personae.progress import Progress

if TYPE_CHECKING:
    from personae.cli import Context
    from training.samples.dataset import Dataset
    from training.tune.run_folder import TrainSettings

_LIVE_SECONDS = 20.0


@click.group()
def train() -> None:
    """Voices: plan, train, measure, try, publish."""


@train.command("run")
@click.argument("persona")
@click.option("--steps", type=click.IntRange(1), help="Training steps (default: the recipe's).")
@click.option(
    "--sweep",
    "trials",
    type=click.IntRange(2, 1000),
    help="Try so many settings first, in short trainings.",
)
@click.option(
    "--sweep-minutes",
    type=click.FloatRange(min=1),
    default=60.0,
    show_default=True,
    help="No trial begins after so long.",
)
@click.option(
    "--revisions-until",
    metavar="TIME",
    help="Of the answers that operators revised, only those revised until then (default: all).",
)
@click.option("--publish/--no-publish", default=True, help="Add the result to the registry.")
@click.option("--force", is_flag=True, help="Publish although gates fail; it stays visible.")
@click.option("--reason", default="", help="Why, for whoever sees the version later.")
@click.option("--json", "as_json", is_flag=True, help="Print what was published as JSON.")
@click.pass_obj
def train_run(
    context: Context,
    persona: str,
    steps: int | None,
    trials: int | None,
    sweep_minutes: float,
    revisions_until: str | None,
    publish: bool,
    force: bool,
    reason: str,
    as_json: bool,
) -> int:
    """Train a voice for PERSONA, measure it, and publish it if it passes its gates.

    Interrupted at any moment, the same command goes on where it stopped.
    """
    if reason and not force:
        raise AdapterError("--reason belongs to --force. Give both or neither.")
    config = context.config()
    cast = load_cast(config.cast)
    member = cast[persona]
    live = _Live()
    # Operators may revise while it trains; what goes on below, in another process, must find the same run.
    until = revisions_until or _newest_revision(config, member)
    with shown_progress() as progress:
        run = _trained(config, cast, member, steps, trials, sweep_minutes, until, progress, live)
    say(f"Trained: {run}")
    if live.steps:
        # What glibc kept for the training makes an evaluation in the same process four times as slow. The
        # same command in a fresh one finds the run finished and goes on.
        sys.stdout.flush()
        again = ["--revisions-until", until] if until and not revisions_until else []
        os.execv(sys.executable, [*sys.orig_argv, *again])  # noqa: S606 - this very command
    with shown_progress() as progress:
        _measure(config, cast, member, run, progress)
    if not publish:
        say(f'Not published. Hear it with `personae train try {persona} "Who are you?"`.')
        return 0
    with shown_progress() as progress:
        published = release(
            config, cast, member, run, force_reason=reason if force else None, progress=progress
        )
    if as_json:
        print_json(published)
    else:
        show(published, as_json=False)
    return 0 if published.version is not None else 1


def _trained(
    config: Config,
    cast: Cast,
    persona: Persona,
    steps: int | None,
    trials: int | None,
    sweep_minutes: float,
    revisions_until: str | None,
    progress: Progress,
    live: _Live,
) -> Path:
    """The finished run of the settings asked for, or of those a sweep chose."""
    from training.tune.plan import sentences
    from training.tune.sweep import sweep
    from training.tune.train import train_adapter

    ensure_training_input(config, cast, persona, progress=progress)
    written, price = written_samples(config, persona, progress=progress)

    settings = recipe(config, persona, steps=steps)
    revised = revised_samples(config, persona, settings, until=revisions_until)
    if revised:
        say(f"  (To go on with the same ones later: --revisions-until {revisions_until}.)")

    def samples(settings: TrainSettings) -> Dataset:
        return samples_of(
            config, persona, settings, synthesized=written, revised=revised, progress=progress
        )

    def trained(settings: TrainSettings) -> Path:
        return train_adapter(
            persona,
            persona_folder=cast.folder(persona.id),
            models=config.models,
            base_model=persona.base_model or config.engine.base_model,
            corpora=config.corpora,
            runs=config.runs,
            settings=settings,
            max_adapter_rank=adapter_rank(config, persona),
            dataset=samples(settings),
            progress=progress,
            live=live,
        )

    found = planned(
        config, cast, persona, settings, samples(settings), price, only_new=True, progress=progress
    )
    for line in sentences(found) if found is not None else ():
        say(line)
    if trials is not None:
        settings = sweep(
            trained,
            settings,
            config.runs / persona.id / "sweep",
            trials=trials,
            minutes=sweep_minutes,
            max_adapter_rank=adapter_rank(config, persona),
            progress=progress,
        )
        say(
            f"The sweep chose a rate of {settings.learning_rate:.2g}, rank {settings.rank} and "
            f"{settings.steps} steps."
        )
    return trained(settings)


def _newest_revision(config: Config, persona: Persona) -> str | None:
    from training.samples.revisions import newest_revision

    return newest_revision(config.feedback, persona.id)


def _measure(config: Config, cast: Cast, persona: Persona, run: Path, progress: Progress) -> None:
    from training.evaluate.evaluate import FOLDER, evaluate_run
    from training.evaluate.evaluation import REPORT

    evaluate_run(
        persona,
        run,
        persona_folder=cast.folder(persona.id),
        corpora=config.corpora,
        models=config.models,
        base_model=persona.base_model or config.engine.base_model,
        embedder=config.retrieval.embedder,
        progress=progress,
    )
    say(f"Measured: {run / FOLDER / REPORT}")


class _Live:
    """Says loss, speed and time left now and then, and counts the steps."""

    def __init__(self) -> None:
        self.steps = 0
        self._said = time.monotonic()

    def __call__(self, line: str) -> None:
        self.steps += 1
        if time.monotonic() - self._said >= _LIVE_SECONDS:
            self._said = time.monotonic()
            say(f"  {line}")


train.add_command(plan_command)
train.add_command(synthesize)
train.add_command(evaluate_command)
train.add_command(try_command)
train.add_command(publish_command)

"""`personae train`: make a voice, measure it, publish it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from personae.cli.terminal import say, shown_progress
from personae.persona import load_cast
from personae.registry import Registry

if TYPE_CHECKING:
    from personae.cli import Context


@click.group()
def train() -> None:
    """Voices: train an adapter and publish it to the registry."""


@train.command("run")
@click.argument("persona")
@click.option("--steps", type=click.IntRange(1), help="Training steps (default: the recipe's).")
@click.option("--publish/--no-publish", default=True, help="Add the result to the registry.")
@click.pass_obj
def train_run(context: Context, persona: str, steps: int | None, publish: bool) -> None:
    """Train an adapter for PERSONA on its base model. Interrupted, a rerun goes on."""
    from personae.cli.prepare import ensure_corpus, ensure_model, import_shipped_adapters
    from training.release.publish import publish as publish_run
    from training.tune.train import TrainSettings, train_adapter

    config = context.config()
    cast = load_cast(config.cast)
    member = cast[persona]
    base_model = member.base_model or config.engine.base_model
    settings = TrainSettings() if steps is None else TrainSettings(steps=steps)
    with shown_progress() as progress:
        ensure_model(config, base_model, progress=progress)
        ensure_corpus(config, cast, member, progress=progress)
        run = train_adapter(
            member,
            persona_folder=cast.folder(persona),
            models=config.models,
            base_model=base_model,
            corpora=config.corpora,
            runs=config.runs,
            settings=settings,
            progress=progress,
        )
    click.echo(f"Trained: {run}")
    if publish:
        # First, so that the new one gets a number above them.
        import_shipped_adapters(config, cast, member)
        with shown_progress() as progress:
            added = publish_run(
                run,
                member,
                models=config.models,
                registry=Registry(config.adapters),
                progress=progress,
            )
        click.echo(
            f"Published {persona} {added.name}. "
            f"Put it in charge with `personae adapters reload {persona}`."
        )
    else:
        say("Publish it with `personae train run` again, without --no-publish.")

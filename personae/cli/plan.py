"""`personae train plan`: what a training will take, before it begins."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from personae.cli.synthesize import written_samples
from personae.cli.terminal import print_json, say, shown_progress
from personae.cli.training_samples import (
    adapter_rank,
    ensure_training_input,
    recipe,
    revised_samples,
    samples_of,
)
from personae.config import Config
from personae.persona import Cast, Persona, load_cast
from personae.progress import Progress

if TYPE_CHECKING:
    from personae.cli import Context
    from training.samples.dataset import Dataset
    from training.synthesize.price import Price
    from training.tune.plan import Estimate, SynthesisCost
    from training.tune.run_folder import TrainSettings


@click.command("plan")
@click.argument("persona")
@click.option("--steps", type=click.IntRange(1), help="Training steps (default: the recipe's).")
@click.option("--json", "as_json", is_flag=True, help="Print the plan as JSON.")
@click.pass_obj
def plan(context: Context, persona: str, steps: int | None, as_json: bool) -> None:
    """Time, memory, tokens and money of training PERSONA, from a few steps measured here."""
    from training.tune.plan import sentences

    config = context.config()
    cast = load_cast(config.cast)
    member = cast[persona]
    with shown_progress() as progress:
        ensure_training_input(config, cast, member, progress=progress)
        settings = recipe(config, member, steps=steps)
        written, price = written_samples(config, member, ask=False, progress=progress)
        revised = revised_samples(config, member, settings, until=None)
        samples = samples_of(
            config, member, settings, synthesized=written, revised=revised, progress=progress
        )
        found = planned(config, cast, member, settings, samples, price, progress=progress)
        assert found is not None
    if as_json:
        print_json(found)
        return
    for line in sentences(found):
        click.echo(line)
    say(f"Begin with `personae train run {persona}`.")


def planned(
    config: Config,
    cast: Cast,
    persona: Persona,
    settings: TrainSettings,
    samples: Dataset,
    price: Price | None,
    *,
    only_new: bool = False,
    progress: Progress,
) -> Estimate | None:
    """What a training of these samples will take; None, if `only_new`, where it was begun before."""
    from training.tune.plan import estimate
    from training.tune.prepare import prepare

    prepared = prepare(
        persona,
        persona_folder=cast.folder(persona.id),
        models=config.models,
        base_model=persona.base_model or config.engine.base_model,
        corpora=config.corpora,
        settings=settings,
        max_adapter_rank=adapter_rank(config, persona),
        dataset=samples,
        progress=progress,
    )
    if only_new and (config.runs / persona.id / prepared.plan.key).is_dir():
        return None
    return estimate(
        prepared,
        max_adapter_rank=adapter_rank(config, persona),
        runs=config.runs,
        synthesis=None if price is None else _cost(price),
        progress=progress,
    )


def _cost(price: Price) -> SynthesisCost:
    from training.tune.plan import SynthesisCost

    return SynthesisCost(requests=price.requests, tokens=price.tokens, money=price.money)

"""`personae train synthesize`: samples written with the help of a model, priced before they are paid for."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from personae.cli.terminal import print_json, say, shown_progress
from personae.cli.training_samples import ensure_training_input, sample_length
from personae.config import Config
from personae.corpus import Document, read_corpus
from personae.persona import Persona, load_cast
from personae.progress import Progress

if TYPE_CHECKING:
    from personae.cli import Context
    from training.samples.pairs import Sample
    from training.synthesize.make import Synthesis
    from training.synthesize.price import Price


@click.command("synthesize")
@click.argument("persona")
@click.option("--dry-run", is_flag=True, help="Say what it would ask and cost; ask nothing.")
@click.option("--samples", type=click.IntRange(20, 100_000), help="How many to aim for.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@click.pass_obj
def synthesize(
    context: Context, persona: str, dry_run: bool, samples: int | None, as_json: bool
) -> None:
    """Have a model write training samples for PERSONA: questions, plain versions, titles.

    The model is the one of [synthesis] in personae.toml, any with an OpenAI-compatible API. Interrupted,
    a rerun goes on and pays for nothing twice.
    """
    from training.synthesize import make

    config = context.config()
    make.require_configured(config.synthesis)
    cast = load_cast(config.cast)
    member = cast[persona]
    with shown_progress() as progress:
        ensure_training_input(config, cast, member, progress=progress)
        order = _order(config, member, samples)
        priced = order.price()
        if dry_run:
            _show_price(priced, as_json)
            return
        _warn(priced)
        made = order.write(progress)
    report = make.read_synthesis(order.folder)
    assert report is not None, "written by synthesize"
    if as_json:
        print_json(report)
    else:
        _show(report, made)


def written_samples(
    config: Config, persona: Persona, *, ask: bool = True, progress: Progress
) -> tuple[list[Sample], Price | None]:
    """What the model of [synthesis] writes for a persona, and what was still to be paid; nothing without one.

    Args:
        ask: False asks for nothing, and gives what was written before.
    """
    from training.synthesize import make

    if config.synthesis.url is None:
        return [], None
    order = _order(config, persona, None)
    priced = order.price()
    if ask:
        _warn(priced)
        return order.write(progress), priced
    written = make.read_samples(order.folder) if make.read_synthesis(order.folder) else []
    return written, priced


@dataclass(frozen=True)
class _Order:
    """One persona's synthesis: what it is made from, and where it is kept."""

    config: Config
    persona: Persona
    training: list[Document]
    vocabulary: set[str]
    folder: Path
    samples: int

    def price(self) -> Price:
        from training.synthesize.make import price_synthesis

        return price_synthesis(
            self.persona,
            self.training,
            config=self.config.synthesis,
            folder=self.folder,
            samples=self.samples,
            vocabulary=self.vocabulary,
        )

    def write(self, progress: Progress) -> list[Sample]:
        from training.synthesize.make import synthesize

        return synthesize(
            self.persona,
            self.training,
            config=self.config.synthesis,
            key=self.config.secrets.synthesis_key,
            folder=self.folder,
            embed=_embedder(self.config),
            samples=self.samples,
            vocabulary=self.vocabulary,
            length=sample_length(
                self.config, self.persona.base_model or self.config.engine.base_model
            ),
            progress=progress,
        )


def _order(config: Config, persona: Persona, samples: int | None) -> _Order:
    from training.samples.dataset import split_documents
    from training.synthesize import make

    _manifest, documents = read_corpus(config.corpora / persona.id)
    training, _held_out = split_documents(documents)
    return _Order(
        config=config,
        persona=persona,
        training=training,
        vocabulary={w for doc in documents for w in re.findall(r"[a-z]+", doc.text.lower())},
        folder=config.runs / persona.id / make.FOLDER,
        samples=samples or make.DEFAULT_SAMPLES,
    )


def _embedder(config: Config) -> Callable[[Sequence[str]], Any]:
    from personae.weights import model_folder
    from serving.retrieval.embedder import Embedder

    return Embedder(model_folder(config.models, config.retrieval.embedder), threads=2).embed


def _warn(priced: Price) -> None:
    """What is worth knowing before the first request."""
    if not priced.prices_known:
        say(
            "  No prices are set, so only token_budget holds. For a hosted model set input_price and "
            "output_price in [synthesis]."
        )
    if not priced.within_budget:
        say("  The budget will end before all is asked; raise budget or token_budget for more.")


def _show_price(priced: Price, as_json: bool) -> None:
    if as_json:
        print_json(priced)
        return
    for kind, part in priced.kinds.items():
        stored = f" (and {part.stored:,} paid before)" if part.stored else ""
        click.echo(f"  {kind:9} {part.requests:6,} requests  {part.tokens:10,} tokens{stored}")
    money = (
        f"about {priced.money:.2f} in money, {priced.most_money:.2f} at most; "
        if priced.prices_known
        else "no prices set; "
    )
    click.echo(
        f"{priced.model}: {priced.requests:,} requests, about {priced.tokens:,} tokens, {money}"
        f"{priced.minutes:.1f} minutes or more at the rate limits."
    )
    click.echo(
        f"Spent before: {priced.spent_money:.2f} of {priced.budget_money:.2f}, "
        f"{priced.spent_tokens:,} of {priced.budget_tokens:,} tokens."
    )
    _warn(priced)


def _show(report: Synthesis, made: Sequence[Sample]) -> None:
    rejected = sum(sum(reasons.values()) for reasons in report.rejected.values())
    click.echo(
        f"{report.persona}: {len(made):,} samples by {report.model}; filters took {rejected:,}. "
        f"Paid {report.tokens:,} tokens, {report.money:.2f} in money, in all runs."
    )
    for kind, reasons in report.rejected.items():
        found = ", ".join(f"{reason} {count}" for reason, count in sorted(reasons.items()))
        click.echo(f"  {kind}: {report.kept.get(kind, 0)} kept; {found}")
    if report.missing:
        lacking = ", ".join(f"{count} {kind}" for kind, count in report.missing.items())
        click.echo(
            f"The budget was reached; not asked: {lacking}. Raise budget or token_budget in "
            "[synthesis] and run it again to go on."
        )

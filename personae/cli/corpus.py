"""`personae corpus`: the writing of a persona, and what cleaning took from it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from personae.cli.terminal import print_json, say, shown_progress
from personae.persona import Cleaning, load_cast

if TYPE_CHECKING:
    from personae.cli import Context
    from training.clean.report import CleaningReport, RuleReport

_json_option = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
_RULES = [name for name, field in Cleaning.model_fields.items() if field.annotation is bool]


@click.group()
def corpus() -> None:
    """The writing of a persona."""


@corpus.command("ingest")
@click.argument("persona")
@_json_option
@click.pass_obj
def corpus_ingest(context: Context, persona: str, as_json: bool) -> None:
    """Read the sources of PERSONA into its corpus, and clean it."""
    from training.clean.report import read_report
    from training.ingest.ingest import ingest

    config = context.config()
    cast = load_cast(config.cast)
    with shown_progress() as progress:
        manifest = ingest(cast[persona], cast.folder(persona), config.corpora, progress=progress)
    if as_json:
        print_json(manifest)
        return
    click.echo(f"{persona}: {manifest.documents:,} documents, {manifest.words:,} words.")
    report = read_report(config.corpora / persona, persona)
    _print_summaries(report)
    if manifest.words != report.words_before:
        say(f"What went and why: personae corpus show {persona}")


@corpus.command("show")
@click.argument("persona")
@click.option("--rule", type=click.Choice(_RULES), help="Only this rule of cleaning.")
@click.option(
    "--samples", type=click.IntRange(0), default=2, show_default=True, help="Shown of each rule."
)
@_json_option
@click.pass_obj
def corpus_show(
    context: Context, persona: str, rule: str | None, samples: int, as_json: bool
) -> None:
    """What cleaning took from the sources of PERSONA, and why."""
    from training.clean.report import REMOVED, read_report

    config = context.config()
    folder = config.corpora / load_cast(config.cast)[persona].id
    report = read_report(folder, persona).limited(rule=rule, samples=samples)
    if as_json:
        print_json(report)
        return
    click.echo(
        f"{persona}: {report.documents_after:,} of {report.documents_before:,} documents and "
        f"{report.words_after:,} of {report.words_before:,} words stayed."
    )
    _print_summaries(report)
    for one in report.rules:
        _print_rule(one)
    if any(one.documents_removed for one in report.rules):
        say(f"All documents removed as a whole: {folder / REMOVED}")


def _print_summaries(report: CleaningReport) -> None:
    from training.clean.report import summary

    for rule in report.rules:
        if line := summary(rule):
            click.echo(f"  {line}")
    for warning in report.warnings:
        say(warning)


def _print_rule(rule: RuleReport) -> None:
    if not rule.on:
        click.echo(f"\n{rule.rule}: switched off")
    elif rule.why or rule.notes:
        click.echo(f"\n{rule.rule}")
    for why, count in rule.why.items():
        click.echo(f"  {count:,} × {why}")
    for note in rule.notes:
        click.echo(f"  {note}")
    for sample in rule.samples:
        click.echo(f"    {sample.document_id}: {sample.text}")

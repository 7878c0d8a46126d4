"""`personae corpus`: the writing of a persona."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from personae.cli.terminal import print_json, shown_progress
from personae.persona import load_cast

if TYPE_CHECKING:
    from personae.cli import Context

_json_option = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")


@click.group()
def corpus() -> None:
    """The writing of a persona."""


@corpus.command("ingest")
@click.argument("persona")
@_json_option
@click.pass_obj
def corpus_ingest(context: Context, persona: str, as_json: bool) -> None:
    """Read the sources of PERSONA into its corpus."""
    from training.ingest.ingest import ingest

    config = context.config()
    cast = load_cast(config.cast)
    with shown_progress() as progress:
        manifest = ingest(cast[persona], cast.folder(persona), config.corpora, progress=progress)
    if as_json:
        print_json(manifest)
    else:
        click.echo(f"{persona}: {manifest.documents:,} documents, {manifest.words:,} words.")

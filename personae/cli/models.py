"""`personae models`: base models and embedders on disk."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from personae.cli.terminal import say, shown_progress
from personae.weights import model_folder, verify_model

if TYPE_CHECKING:
    from personae.cli import Context


@click.group()
def models() -> None:
    """Base models and embedders."""


@models.command("fetch")
@click.argument("model_id")
@click.pass_obj
def models_fetch(context: Context, model_id: str) -> None:
    """Fetch MODEL_ID: smollm2-135m or minilm (no network), or a Hugging Face id such as owner/name."""
    import os

    from training.models.fetch import fetch_model

    config = context.config()
    with shown_progress() as progress:
        folder = fetch_model(
            model_id,
            config.models,
            progress=progress,
            token=os.environ.get("HF_TOKEN"),
            tell=say,
        )
    click.echo(f"{model_id} is in {folder}")


@models.command("verify")
@click.argument("model_id")
@click.pass_obj
def models_verify(context: Context, model_id: str) -> None:
    """Read all the files of a fetched model and compare their hashes."""
    manifest = verify_model(model_folder(context.config().models, model_id))
    click.echo(f"{model_id} is sound ({len(manifest.files)} files, {manifest.licence}).")

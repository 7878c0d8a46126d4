"""`personae ray app`: the engine of this configuration as a document for `serve deploy`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from personae.persona import load_cast

if TYPE_CHECKING:
    from personae.cli import Context


@click.group()
def ray() -> None:
    """Engines on a Ray cluster (docs/scaling.md)."""


@ray.command("app")
@click.option("--replicas", type=click.IntRange(1), default=2, show_default=True)
@click.option(
    "--most-replicas",
    type=click.IntRange(1),
    help="Let Ray add some up to this many under load (default: the number stays as you set it).",
)
@click.option(
    "--model-source",
    help="Where nodes find the base model: a path that each has, s3://…, or a Hugging Face id (default).",
)
@click.option("--cpu", "on_cpu", is_flag=True, help="On cores instead of GPUs.")
@click.option("--personas", type=click.IntRange(1), help="Voices to hold (default: of this cast).")
@click.option("--host", default="0.0.0.0", show_default=True, help="Where each node listens.")  # noqa: S104
@click.option("--port", type=click.IntRange(1, 65535), default=8000, show_default=True)
@click.pass_obj
def ray_app(
    context: Context,
    replicas: int,
    most_replicas: int | None,
    model_source: str | None,
    on_cpu: bool,
    personas: int | None,
    host: str,
    port: int,
) -> None:
    """Print the application as YAML: personae ray app > serve.yaml && serve deploy serve.yaml"""
    import yaml  # type: ignore[import-untyped]

    from serving.ray_app import serve_config

    config = context.config()
    document = serve_config(
        config.engine,
        personas=len(load_cast(config.cast)) if personas is None else personas,
        guests=config.adapter_changes.guests,
        replicas=replicas,
        most_replicas=most_replicas,
        model_source=model_source,
        on_cpu=on_cpu,
        host=host,
        port=port,
    )
    click.echo(yaml.safe_dump(document, sort_keys=False, width=100), nl=False)

"""`personae feedback`: what people think of answers, as figures, as files to train on, and forgotten."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, get_args

import click

from personae.cli.talk import gateway_client
from personae.cli.terminal import print_json, say
from personae.errors import RequestError
from personae.feedback_wire import FeedbackForgotten, FeedbackFormat, FeedbackSummary, ForgetRequest
from personae.files import write_atomic
from personae.wire import Surface

if TYPE_CHECKING:
    from personae.cli import Context

_url_option = click.option("--url", help="Gateway (default: the one of this configuration).")
_json_option = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")


@click.group()
def feedback() -> None:
    """What people think of answers: show it, export it, forget it."""


@feedback.command()
@click.argument("persona")
@_url_option
@_json_option
@click.pass_obj
def show(context: Context, persona: str, url: str | None, as_json: bool) -> None:
    """Ratings of each version of PERSONA, and the latest reasons."""

    async def fetch() -> FeedbackSummary:
        async with gateway_client(context.config(), url) as client:
            return await client.feedback_summary(persona)

    summary = asyncio.run(fetch())
    if as_json:
        print_json(summary)
        return
    if not summary.versions:
        click.echo(f"Nobody has rated {summary.persona} yet.")
    for version in summary.versions:
        name = version.adapter_version or "by prompt"
        click.echo(
            f"{name:<10} on {version.base_model}: {version.up} up, {version.down} down, "
            f"{version.revisions} revised"
        )
    for said in summary.reasons:
        question = " ".join(said.question.split())
        version_name = said.adapter_version or "by prompt"
        click.echo(f"{said.at[:10]}  {said.rating:<4}  {version_name:<9}  {said.reason}")
        click.echo(f"{'':<12}to: {question}")


@feedback.command()
@click.argument("persona")
@click.option(
    "--format",
    "format_",
    type=click.Choice(get_args(FeedbackFormat)),
    required=True,
    help='What for: TRL\'s KTOTrainer, DPOTrainer or SFTTrainer, or "revisions" for personae train.',
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    help="File to write (default: standard output).",
)
@_url_option
@click.pass_obj
def export(
    context: Context, persona: str, format_: FeedbackFormat, output: Path | None, url: str | None
) -> None:
    """Feedback on PERSONA as JSON Lines to train on."""

    async def fetch() -> bytes:
        async with gateway_client(context.config(), url) as client:
            return await client.export_feedback(persona, format_)

    found = asyncio.run(fetch())
    count = found.count(b"\n")
    if output is None:
        click.echo(found, nl=False)
    else:
        try:
            write_atomic(output, found, mode=0o600)
        except OSError as err:
            raise RequestError(f"{output} can't be written ({err.strerror}).") from err
    say(f"{count} line{'' if count == 1 else 's'}{'' if output is None else f' in {output}'}.")


@feedback.command()
@click.argument("user")
@click.option(
    "--surface",
    type=click.Choice(get_args(Surface)),
    required=True,
    help="Where they are known by that id.",
)
@_url_option
@_json_option
@click.pass_obj
def forget(context: Context, user: str, surface: Surface, url: str | None, as_json: bool) -> None:
    """Delete all feedback of USER (such as "discord:1234"), and all on what they asked."""

    async def delete() -> FeedbackForgotten:
        async with gateway_client(context.config(), url) as client:
            return await client.forget_feedback(ForgetRequest(user=user, surface=surface))

    result = asyncio.run(delete())
    if as_json:
        print_json(result)
    else:
        what = "1 entry was" if result.deleted == 1 else f"{result.deleted} entries were"
        click.echo(f"{what} deleted.")

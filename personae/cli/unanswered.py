"""`personae unanswered`: what people asked that a persona has not written about."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import click

from personae.cli.talk import gateway_client
from personae.cli.terminal import print_json
from personae.wire import UnansweredCleared, UnansweredList

if TYPE_CHECKING:
    from personae.cli import Context


@click.command()
@click.argument("persona")
@click.option("--clear", is_flag=True, help="Forget them.")
@click.option("--url", help="Gateway (default: the one of this configuration).")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@click.pass_obj
def unanswered(context: Context, persona: str, clear: bool, url: str | None, as_json: bool) -> None:
    """Questions that PERSONA has not written about, the one asked last first."""

    async def fetch() -> UnansweredList | UnansweredCleared:
        async with gateway_client(context.config(), url) as client:
            if clear:
                return await client.clear_unanswered(persona)
            return await client.unanswered(persona)

    result = asyncio.run(fetch())
    if as_json:
        print_json(result)
    elif isinstance(result, UnansweredCleared):
        what = "1 question" if result.deleted == 1 else f"{result.deleted} questions"
        were = "was" if result.deleted == 1 else "were"
        click.echo(f"{what} to {result.persona} {were} deleted.")
    elif not result.questions:
        click.echo(f"{result.persona} has left no question unanswered.")
    else:
        for question in result.questions:
            times = f"{question.times}×" if question.times > 1 else ""
            day = question.last_at[:10]
            click.echo(f"{day}  {times:<4} {question.relevance:.2f}  {question.question}")

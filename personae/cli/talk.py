"""`personae ask`, `personae rewrite`, `personae personas`: a running gateway from the terminal."""

from __future__ import annotations

import asyncio
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from personae.cli.terminal import print_json, sources
from personae.config import Config
from personae.errors import RequestError, from_wire
from personae.keys import read_admin_key
from personae.wire import (
    AskRequest,
    Completion,
    Delta,
    Done,
    ErrorEvent,
    Meta,
    PersonaList,
    Queued,
    RewriteRequest,
)

if TYPE_CHECKING:
    from bot.core.gateway_client import GatewayClient
    from personae.cli import Context

_url_option = click.option("--url", help="Gateway (default: the one of this configuration).")
_json_option = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
_temperature_option = click.option(
    "--temperature", type=click.FloatRange(0, 2), help="0 gives the same answer each time."
)


def _iso_date(_context: click.Context, _option: click.Parameter, value: str | None) -> str | None:
    if value is not None and not re.fullmatch(r"\d{4}(-\d{2}(-\d{2})?)?", value):
        raise click.BadParameter('a date is written "1862", "1862-12" or "1862-12-01".')
    return value


def gateway_client(config: Config, url: str | None = None) -> GatewayClient:
    """A client of the gateway with the keys this machine has for it."""
    from bot.core.gateway_client import GatewayClient

    admin_key = read_admin_key(config)
    api_key = config.secrets.api_key
    return GatewayClient(
        url or config.gateway_url,
        api_key=api_key.get_secret_value() if api_key else None,
        admin_key=admin_key.get_secret_value() if admin_key else None,
    )


@click.command()
@click.argument("persona")
@click.argument("question", nargs=-1)
@click.option(
    "--since",
    callback=_iso_date,
    metavar="DATE",
    help='Only from writing since then ("1862", "1862-12-01").',
)
@click.option("--until", callback=_iso_date, metavar="DATE", help="Only from writing until then.")
@click.option("--source", help="Only from documents whose id or link holds this.")
@click.option("--quotes", is_flag=True, help="Show the sentence of each source that is meant.")
@_temperature_option
@_url_option
@_json_option
@click.pass_obj
def ask(
    context: Context,
    persona: str,
    question: tuple[str, ...],
    since: str | None,
    until: str | None,
    source: str | None,
    quotes: bool,
    temperature: float | None,
    url: str | None,
    as_json: bool,
) -> None:
    """Ask PERSONA a QUESTION (words, or standard input)."""
    text = " ".join(question) if question else _standard_input("question")
    request = AskRequest(
        persona=persona,
        question=text,
        since=since,
        until=until,
        source=source,
        temperature=temperature,
        surface="cli",
    )
    client = gateway_client(context.config(), url)
    asyncio.run(stream_to_terminal(client, request, as_json, quotes=quotes))


@click.command()
@click.argument("persona")
@click.argument("text", nargs=-1)
@click.option(
    "-f",
    "--file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Read the text from a file.",
)
@_temperature_option
@_url_option
@_json_option
@click.pass_obj
def rewrite(
    context: Context,
    persona: str,
    text: tuple[str, ...],
    file: Path | None,
    temperature: float | None,
    url: str | None,
    as_json: bool,
) -> None:
    """Rewrite TEXT in the voice of PERSONA (words, --file, or standard input)."""
    if text and file is not None:
        raise click.UsageError("Give the text as words or with --file, not both.")
    if text:
        words = " ".join(text)
    else:
        words = _read_text(file) if file is not None else _standard_input("text")
    request = RewriteRequest(persona=persona, text=words, temperature=temperature, surface="cli")
    asyncio.run(stream_to_terminal(gateway_client(context.config(), url), request, as_json))


@click.command()
@_url_option
@_json_option
@click.pass_obj
def personas(context: Context, url: str | None, as_json: bool) -> None:
    """List the personas of a running gateway."""

    async def fetch() -> PersonaList:
        async with gateway_client(context.config(), url) as client:
            return await client.personas()

    listed = asyncio.run(fetch())
    if as_json:
        print_json(listed)
        return
    for card in listed.personas:
        voice = f"voice {card.adapter_version}" if card.adapter_version else "prompt only"
        click.echo(f"{card.id:<16} {card.display_name}: {card.description}")
        click.echo(f"{'':<16} {voice} on {card.base_model}, {card.passages:,} passages indexed")
        if card.notice:
            click.echo(f"{'':<16} {card.notice}")


async def stream_to_terminal(
    client: GatewayClient,
    request: AskRequest | RewriteRequest,
    as_json: bool = False,
    *,
    quotes: bool = False,
) -> None:
    """Print an answer as it grows, then its sources and what it is.

    Args:
        quotes: whether the sentence meant stands below the sources.

    Raises:
        PersonaeError: the gateway refused, or the answer ended with an error.
    """
    from bot.core.answer_stream import Anew
    from bot.core.sentences import speaker, whole_seconds

    say = speaker(None)

    meta: Meta | None = None
    text: list[str] = []
    async with client:
        async for event in client.stream(request):
            if isinstance(event, Anew):
                text.clear()
                click.echo(f"\n[{say('asking-again')}]\n", err=True)
            elif isinstance(event, Queued) and not as_json:
                seconds = whole_seconds(event.eta_seconds)
                click.echo(say("in-line", position=event.position, seconds=seconds), err=True)
            elif isinstance(event, Meta):
                meta = event
            elif isinstance(event, Delta):
                text.append(event.text)
                if not as_json:
                    click.echo(event.text, nl=False)
                    sys.stdout.flush()
            elif isinstance(event, ErrorEvent):
                if text and not as_json:
                    click.echo()
                raise from_wire(event.model_dump())
            elif isinstance(event, Done) and meta is not None:
                if as_json:
                    print_json(Completion(text="".join(text).strip(), meta=meta, done=event))
                else:
                    _print_ending(meta, event, quotes)


def _print_ending(meta: Meta, done: Done, quotes: bool) -> None:
    click.echo("\n")
    if done.finish_reason == "length":
        click.echo("(The answer reached its length limit.)")
    used = set(done.used_citations)
    shown = [its for its in meta.citations if not used or its.number in used]
    for line in sources(shown, done.provenance):
        click.echo(line)
    for its in shown if quotes else []:
        click.echo(f"[{its.number}] “{its.quote}”")
    if meta.quoted:
        click.echo(meta.notice or "")
        return
    voice = f"voice {meta.adapter_version}" if meta.adapter_version else "prompt only"
    click.echo(f"— {meta.disclosure} ({voice} on {meta.base_model})")
    if meta.notice:
        click.echo(meta.notice)


def _standard_input(what: str) -> str:
    if sys.stdin.isatty():
        raise click.UsageError(f"Give the {what} as words, or send it on standard input.")
    try:
        return sys.stdin.buffer.read().decode("utf-8")
    except UnicodeDecodeError as err:
        raise RequestError(f"The {what} on standard input is not UTF-8 text.") from err


def _read_text(file: Path) -> str:
    try:
        return file.read_bytes().decode("utf-8")
    except UnicodeDecodeError as err:
        raise RequestError(f"{file} is not UTF-8 text. Save it as UTF-8 and try again.") from err
    except OSError as err:
        raise RequestError(f"{file} can't be read ({err.strerror}).") from err

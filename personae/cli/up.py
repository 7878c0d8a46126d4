"""`personae up`: prepare what is missing, start engine, gateway and bots, stay until Ctrl-C."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Coroutine
from pathlib import Path
from typing import TYPE_CHECKING

import click

from personae.cli.prepare import prepare
from personae.cli.talk import gateway_client, stream_to_terminal
from personae.cli.terminal import say, shown_progress
from personae.config import Config
from personae.errors import PersonaeError
from personae.keys import ensure_admin_key
from personae.logs import log_to_file, log_to_stderr
from personae.persona import Cast, load_cast
from personae.wire import AskRequest, RewriteRequest

if TYPE_CHECKING:
    from personae.cli import Context
    from serving.child_process import ChildProcess
    from serving.service import Service

_TOY_NOTICE = """\
About this model: SmolLM2-135M is a toy, 50 times smaller than what you would serve people. It shows
that everything works: voices by adapters, sources from the index, reloads. It writes in the manner of
its author and gets facts wrong, so believe the sources below an answer, not the answer. A real base
model is one setting and one command away: see "A real model" in README.md."""

_DEMO = (
    AskRequest(
        persona="lincoln",
        question="What should we do about the Union and slavery?",
        surface="cli",
    ),
    RewriteRequest(
        persona="roosevelt",
        text="Big companies are useful. But they have to follow the rules like everyone else, "
        "and the government should keep an eye on them.",
        surface="cli",
    ),
)


@click.command()
@click.option("--host", help="Address to listen on (default: 127.0.0.1, this machine only).")
@click.option("--port", type=click.IntRange(0, 65535), help="Port (default: 8420).")
@click.option("--demo", is_flag=True, help="Show one question and one rewrite when ready.")
@click.option("--no-bots", is_flag=True, help="Do not start Discord and Slack.")
@click.pass_obj
def up(context: Context, host: str | None, port: int | None, demo: bool, no_bots: bool) -> None:
    """Start everything and stay: engine, gateway, and the bots whose tokens are set."""
    config = context.config()
    changed: dict[str, object] = {}
    if host is not None:
        changed["host"] = host
    if port is not None:
        changed["port"] = port
    config = config.model_copy(update={"gateway": config.gateway.model_copy(update=changed)})
    cast = load_cast(config.cast)
    from serving.service import require_free_port

    require_free_port(config.gateway)
    config, key_file = ensure_admin_key(config)
    if config.observability.log_to == "stderr":
        log_to_stderr(config.observability.log_format)
    else:
        log_to_file(config.logs / "gateway.log", config.observability.log_format)
    with shown_progress() as progress:
        prepare(config, cast, progress=progress)
    asyncio.run(_run(config, cast, key_file=key_file, demo=demo, bots=not no_bots))


async def _run(
    config: Config, cast: Cast, *, key_file: Path | None, demo: bool, bots: bool
) -> None:
    from serving.service import running_service

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    async with running_service(config, cast) as service:
        started = time.monotonic()
        if not await _ready_or_stopped(service, config, stop):
            say("Stopping.")
            return
        say(f"The engine was ready after {time.monotonic() - started:.0f} s.")
        if demo:
            await _until(stop, _show_demo(config, cast, service.url))
        if stop.is_set():
            say("Stopping.")
            return
        async with _running_bots(config, service.url, enabled=bots) as lines:
            _say_ready(config, service, key_file, lines)
            await stop.wait()
            service.answerer.stop_admitting()
            say("Stopping: no new requests, answers in progress may end. (Ctrl-C was heard.)")
    say("Stopped.")


async def _ready_or_stopped(service: Service, config: Config, stop: asyncio.Event) -> bool:
    """Wait until the engine is ready (True) or somebody wants to stop (False)."""
    for engine in config.all_engines:
        if engine.url is None:
            say(f"Starting vLLM with {engine.base_model}; this takes about a minute on a CPU.")
        else:
            say(f"Waiting for the engine of {engine.base_model}.")
    last = 0.0

    def tick(seconds: float) -> None:
        nonlocal last
        if sys.stderr.isatty():
            click.echo(f"\r  {seconds:3.0f} s", nl=False, err=True)
        elif seconds - last >= 10:
            last = seconds
            say(f"  {seconds:.0f} s")

    await _until(stop, service.wait_ready(tick=tick))
    if sys.stderr.isatty():
        click.echo("\r", nl=False, err=True)
    return not stop.is_set()


async def _until(stop: asyncio.Event, work: Coroutine[None, None, None]) -> None:
    """Run a coroutine, but give it up when somebody wants to stop."""
    task = asyncio.create_task(work)
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({task, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            await task
    finally:
        for pending in (task, stopping):
            pending.cancel()
            with contextlib.suppress(asyncio.CancelledError, PersonaeError):
                await pending


async def _show_demo(config: Config, cast: Cast, url: str) -> None:
    for request in _DEMO:
        if request.persona not in cast:
            continue
        if isinstance(request, AskRequest):
            click.echo(f"\n$ personae ask {request.persona} '{request.question}'\n")
        else:
            click.echo(f"\n$ personae rewrite {request.persona} '{request.text}'\n")
        try:
            await stream_to_terminal(gateway_client(config, url), request)
        except PersonaeError as err:
            click.echo(f"Error: {err}", err=True)


_BOTS = (
    # (name, module, the sets of variables it can start with, its guide)
    ("Discord", "bot.on_discord", (("DISCORD_TOKEN",),), "docs/discord.md"),
    (
        "Slack",
        "bot.on_slack",
        (
            ("SLACK_BOT_TOKEN", "SLACK_APP_TOKEN"),
            ("SLACK_BOT_TOKEN", "SLACK_SIGNING_SECRET"),
            ("SLACK_CLIENT_ID", "SLACK_CLIENT_SECRET", "SLACK_PUBLIC_URL"),
        ),
        "docs/slack.md",
    ),
)


@contextlib.asynccontextmanager
async def _running_bots(config: Config, url: str, *, enabled: bool) -> AsyncIterator[list[str]]:
    """Start the bots whose tokens are set; gives a line about each."""
    from serving.child_process import ChildProcess

    lines: list[str] = []
    running: list[ChildProcess] = []
    watchers: list[asyncio.Task[None]] = []
    environment = dict(os.environ)
    environment |= {"PERSONAE_GATEWAY_URL": url, "PERSONAE_HOME": str(config.home.absolute())}
    if config.secrets.admin_key is not None:
        environment["PERSONAE_ADMIN_KEY"] = config.secrets.admin_key.get_secret_value()
    try:
        for name, module, ways, guide in _BOTS:
            # Of the ways to start it, that for which the least is missing.
            missing = min(
                ([variable for variable in way if not os.environ.get(variable)] for way in ways),
                key=len,
            )
            if not enabled:
                lines.append(f"{name}: not started (--no-bots)")
            elif missing:
                lines.append(f"{name}: not connected; set {' and '.join(missing)} (how: {guide})")
            else:
                log_file = config.logs / f"{name.lower()}.log"
                child = ChildProcess(
                    name,
                    [sys.executable, "-m", module],
                    environment=environment,
                    log_file=log_file,
                    fatal_exit_codes=(2,),
                )
                await child.start()
                running.append(child)
                watchers.append(asyncio.create_task(_tell_if_it_gives_up(child)))
                lines.append(f"{name}: connecting; its log is {log_file}")
        yield lines
    finally:
        for watcher in watchers:
            watcher.cancel()
        await asyncio.gather(*(child.stop(grace_seconds=10) for child in running))


async def _tell_if_it_gives_up(child: ChildProcess) -> None:
    await child.gave_up.wait()
    say(f"{child.name} stopped and will not be started again: {child.last_lines(1)}")


def _say_ready(config: Config, service: Service, key_file: Path | None, bots: list[str]) -> None:
    say("")
    if config.profile == "cpu-demo":
        say(_TOY_NOTICE + "\n")
    say(f"Ready. Open {service.url}/ and ask.")
    say(f"  API    {service.url}/v1   (OpenAI clients too, model = a persona's id)")
    say(f"  try    personae ask lincoln 'What holds a nation together?'   (here: {_command()})")
    if key_file is not None:
        say(f"  admin  the admin key is in {key_file}")
    for line in bots:
        say(f"  {line}")
    say("Ctrl-C stops everything.")


def _command() -> str:
    """How to call this program from the shell of the person who started it."""
    program = Path(sys.argv[0])
    return str(program) if program.name == "personae" else f"{sys.executable} -m personae.cli"

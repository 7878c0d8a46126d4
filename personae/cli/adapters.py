"""`personae adapters`: the versions of the voices a server has, and which of them speaks."""

from __future__ import annotations

import asyncio
import getpass
from typing import TYPE_CHECKING

import click

from personae.cli.export import (
    StoreChange,
    adapters_export,
    adapters_pull,
    adapters_push,
    find_version,
)
from personae.cli.talk import gateway_client
from personae.cli.terminal import print_json
from personae.config import Config
from personae.errors import AdapterError, ConfigError
from personae.manifest import PASSED, BaseModelRef, verify_adapter
from personae.persona import Persona, load_cast
from personae.prompt import fingerprint
from personae.registry import RegisteredVersion, Registry, parse_version
from personae.weights import model_folder, module_shapes, read_model_manifest
from personae.wire import AdapterChange, AdapterHistory, AdapterList, AdapterOutcome

if TYPE_CHECKING:
    from personae.cli import Context

_json_option = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
_url_option = click.option("--url", help="Gateway (default: the one of this configuration).")


@click.group()
def adapters() -> None:
    """Versions of the voices: list, verify, reload, roll back."""


@adapters.command("list")
@_url_option
@_json_option
@click.pass_obj
def adapters_list(context: Context, url: str | None, as_json: bool) -> None:
    """List the versions a running gateway knows."""

    async def fetch() -> AdapterList:
        async with gateway_client(context.config(), url) as client:
            return await client.adapters()

    listed = asyncio.run(fetch())
    if as_json:
        print_json(listed)
        return
    for persona in listed.personas:
        click.echo(f"{persona.persona}: {persona.live or 'prompt only'}")
        if persona.problem is not None:
            click.echo(f"  {persona.problem}")
        for version in persona.versions:
            why = _unproven(version.gate) + (f"  {version.problem}" if version.problem else "")
            click.echo(
                f"  {version.version:<5} {version.sha8}  {version.state:<10}"
                f"{version.base_model}  {version.created_at}{why}"
            )


def _unproven(gate: str) -> str:
    """What is shown of a version's gates: nothing if it passed them.

    >>> _unproven("forced: a demo (failed: identity)")
    '  [forced: a demo (failed: identity)]'
    """
    return f"  [{gate}]" if gate not in ("", PASSED) else ""


@adapters.command("history")
@click.argument("persona")
@_url_option
@_json_option
@click.pass_obj
def adapters_history(context: Context, persona: str, url: str | None, as_json: bool) -> None:
    """Who changed the voice of PERSONA, when, from where, why, and what came of it."""

    async def fetch() -> AdapterHistory:
        async with gateway_client(context.config(), url) as client:
            return await client.history(persona)

    history = asyncio.run(fetch())
    if as_json:
        print_json(history)
        return
    for entry in history.entries:
        move = f"{entry.before or 'prompt only'} → {entry.after or 'prompt only'}"
        why = (f" ({entry.reason})" if entry.reason else "") + _unproven(entry.gate)
        click.echo(
            f"{entry.at[:19]}  {entry.action:<8} {entry.outcome:<9} {move}  {entry.actor}{why}"
        )
        if entry.outcome == "refused" or entry.action in ("fallback", "restore"):
            click.echo(f"{'':21}{entry.message}")


@adapters.command("verify")
@click.argument("persona")
@click.argument("version", required=False)
@click.pass_obj
def adapters_verify(context: Context, persona: str, version: str | None) -> None:
    """Check a version's files, base model and prompts without an engine."""
    config = context.config()
    member = load_cast(config.cast)[persona]
    wanted = None if version is None else parse_version(version)
    found = Registry(config.adapters).find(persona, wanted)
    base_model = verify_here(config, member, found)
    click.echo(f"{persona} {found.name} is sound and fits {base_model}.")


def verify_here(config: Config, persona: Persona, version: RegisteredVersion) -> str:
    """Check a version offline against the base model its persona speaks on here; gives its id.

    Raises:
        ConfigError: no engine serves the base model the persona wants.
        ModelError: the base model has not been fetched.
        AdapterError: the version does not fit; says why.
    """
    engine = config.engine_for(persona.base_model)
    if engine is None:
        from serving.bases import no_engine_for

        assert persona.base_model is not None
        raise ConfigError(
            no_engine_for(persona.id, persona.base_model, instead=config.engine.base_model)
        )
    if version.manifest is None or version.problem is not None:
        raise AdapterError(version.problem or f"{version.folder} has no manifest.")
    base = BaseModelRef(
        id=engine.base_model, weights_sha256=version.manifest.base_model.weights_sha256
    )
    shapes = None
    if engine.url is None:  # the weights of an engine that is not ours are not known here
        folder = model_folder(config.models, engine.base_model)
        fetched = read_model_manifest(folder)
        base = BaseModelRef(id=fetched.id, weights_sha256=fetched.weights_sha256)
        shapes = module_shapes(folder)
    verify_adapter(
        version.folder,
        persona=persona.id,
        base_model=base,
        prompt_fingerprint=fingerprint(persona),
        base_shapes=shapes,
    )
    return base.id


def _change(reason: str, version: str | None = None) -> AdapterChange:
    return AdapterChange(
        version=version, actor=f"cli:{getpass.getuser()}", surface="cli", reason=reason
    )


def _print_outcome(outcome: AdapterOutcome, as_json: bool) -> None:
    if as_json:
        print_json(outcome)
    else:
        click.echo(outcome.message)


@adapters.command("reload")
@click.argument("persona")
@click.argument("version", required=False)
@click.option("--reason", default="", help="Why, for the history.")
@_url_option
@_json_option
@click.pass_obj
def adapters_reload(
    context: Context,
    persona: str,
    version: str | None,
    reason: str,
    url: str | None,
    as_json: bool,
) -> None:
    """Let PERSONA speak with VERSION (default: the newest), without dropping a request."""

    async def change() -> AdapterOutcome:
        async with gateway_client(context.config(), url) as client:
            return await client.reload(persona, _change(reason, version))

    _print_outcome(asyncio.run(change()), as_json)


@adapters.command("rollback")
@click.argument("persona")
@click.option("--reason", default="", help="Why, for the history.")
@_url_option
@_json_option
@click.pass_obj
def adapters_rollback(
    context: Context, persona: str, reason: str, url: str | None, as_json: bool
) -> None:
    """Let PERSONA speak with the version before."""

    async def change() -> AdapterOutcome:
        async with gateway_client(context.config(), url) as client:
            return await client.rollback(persona, _change(reason))

    _print_outcome(asyncio.run(change()), as_json)


@adapters.command("publish")
@click.argument("persona")
@click.argument("version", required=False)
@_json_option
@click.pass_obj
def adapters_publish(context: Context, persona: str, version: str | None, as_json: bool) -> None:
    """Put VERSION of PERSONA (default: the newest) where engines on Ray fetch adapters from.

    A reload does so too; this takes the time before, and no gateway need run.
    """
    from serving.adapter_store import AdapterStore

    config = context.config()
    member, found = find_version(config, persona, version)
    verify_here(config, member, found)
    engine = config.engine_for(member.base_model) or config.engine
    if engine.adapter_store is None:
        raise ConfigError(
            f"{engine.base_model} takes its adapters from this machine, so there is nowhere to publish to. "
            'Engines on Ray have a store: [engine] kind = "ray", adapter_store = "s3://bucket/prefix".'
        )
    store = AdapterStore.at(engine.adapter_store)
    try:
        changed = store.publish(found.engine_name, found.folder)
    finally:
        store.close()
    if as_json:
        print_json(
            StoreChange(
                persona=persona,
                version=found.name,
                sha8=found.folder.name[-8:],
                store=store.name,
                changed=changed,
            )
        )
        return
    words = "is in" if changed else "was already in"
    click.echo(f"{persona} {found.name} {words} {store.name}.")


adapters.add_command(adapters_export)
adapters.add_command(adapters_push)
adapters.add_command(adapters_pull)

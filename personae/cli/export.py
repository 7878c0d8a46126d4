"""`personae adapters export | push | pull`: a version as files for other programs, and in other places."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal, cast

import click
from pydantic import BaseModel

from personae.cli.terminal import print_json, say, shown_progress
from personae.config import Config
from personae.errors import ConfigError, ModelError
from personae.persona import Persona, load_cast
from personae.registry import RegisteredVersion, Registry, parse_version
from personae.weights import model_folder, read_model_manifest

if TYPE_CHECKING:
    from personae.cli import Context

_json_option = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")


class StoreChange(BaseModel):
    """What `push` or `pull` did."""

    persona: str
    version: str
    sha8: str
    store: str
    changed: bool
    """False: it was there already."""


class StoreEntry(BaseModel):
    """A version as `pull --list` shows it."""

    persona: str
    version: str
    sha8: str
    bytes: int
    complete: bool


@click.command("export")
@click.argument("persona")
@click.argument("version", required=False)
@click.option(
    "--format",
    "form",
    type=click.Choice(["merged", "gguf", "peft"]),
    default="merged",
    show_default=True,
    help="A whole model at 16 bit, one GGUF file, or the LoRA alone.",
)
@click.option(
    "--out", type=click.Path(path_type=Path), required=True, help="Folder to make; must not exist."
)
@click.option("--type", "gguf_type", help="Of GGUF: f16 (default), bf16 or q8_0.")
@click.option(
    "--converter",
    type=click.Path(path_type=Path),
    help="llama.cpp's convert_hf_to_gguf.py (default: the one on PATH; Llama models need none).",
)
@click.option("--base", help="Merge into this model: the 16-bit twin of a quantised base.")
@_json_option
@click.pass_obj
def adapters_export(
    context: Context,
    persona: str,
    version: str | None,
    form: str,
    out: Path,
    gguf_type: str | None,
    converter: Path | None,
    base: str | None,
    as_json: bool,
) -> None:
    """Write a version of PERSONA (default: the newest) as files for other programs."""
    from training.release.export import Wanted, export_version
    from training.release.gguf import gguf_type as parse_type

    if form != "gguf" and (gguf_type or converter):
        raise ConfigError("--type and --converter go with --format gguf.")
    config = context.config()
    member, found = find_version(config, persona, version)
    wanted = Wanted(
        format=cast(Literal["merged", "gguf", "peft"], form),
        gguf_type=parse_type(gguf_type or "f16"),
        converter=converter,
        base=base,
    )
    with shown_progress() as progress:
        export = export_version(found, member, wanted, out, models=config.models, progress=progress)
    if as_json:
        print_json(export)
        return
    click.echo(f"{persona} {found.name} is in {out} ({form}, {export.type}).")
    off = export.measured.get("largest_logit_difference_from_base_with_adapter")
    if off is not None:
        click.echo(
            f"Checked: a logit differs by at most {off:.2g} from base with adapter, and by "
            f"{export.measured['largest_logit_difference_from_base']:.2g} from the base alone."
        )
    if member.rights is None:
        say("Its persona.toml names no rights: do not pass it on.")


@click.command("push")
@click.argument("persona")
@click.argument("version")
@click.argument("store")
@click.option("--public", is_flag=True, help="On the hub: a repository that everyone may read.")
@_json_option
@click.pass_obj
def adapters_push(
    context: Context, persona: str, version: str, store: str, public: bool, as_json: bool
) -> None:
    """Send VERSION of PERSONA to STORE: a folder, s3://bucket/prefix or hf://owner/name."""
    from training.release.card import model_card
    from training.release.stores import open_store, push

    config = context.config()
    member, found = find_version(config, persona, version)
    if found.manifest is None:
        raise ConfigError(found.problem or f"{found.folder} has no manifest.")
    target = open_store(store, public=public)
    card = model_card(
        member,
        found.manifest,
        base_licence=_licence(config, found.manifest.base_model.id),
        form="LoRA in peft's form (safetensors)",
        facts=[],
    )
    with shown_progress() as progress:
        changed = push(found, member, target, card=card, progress=progress)
    _report(found, target.name, changed, as_json, "is in" if changed else "was already in")


@click.command("pull")
@click.argument("persona")
@click.argument("version_and_store", nargs=-1, required=True, metavar="[VERSION] STORE")
@click.option("--list", "only_list", is_flag=True, help="Show what the store has; fetch nothing.")
@_json_option
@click.pass_obj
def adapters_pull(
    context: Context,
    persona: str,
    version_and_store: tuple[str, ...],
    only_list: bool,
    as_json: bool,
) -> None:
    """Bring a version of PERSONA (default: the newest) from STORE into the registry."""
    from training.release.pull import pull
    from training.release.stores import open_store, versions_in

    if len(version_and_store) > 2:
        raise click.UsageError("Give at most a version and a store.")
    *typed, address = version_and_store
    config = context.config()
    load_cast(config.cast)[persona]
    store = open_store(address)
    if only_list:
        entries = [
            StoreEntry(
                persona=stored.persona,
                version=f"v{stored.version}",
                sha8=stored.folder[-8:],
                bytes=sum(stored.sizes.values()),
                complete=stored.complete,
            )
            for stored in versions_in(store, persona)
        ]
        _print_entries(entries, store.name, as_json)
        return
    wanted = parse_version(typed[0]) if typed else None
    registry = Registry(config.adapters)
    before = {known.name for known in registry.versions(persona)}
    with shown_progress() as progress:
        found = pull(persona, wanted, store, registry, progress=progress)
    changed = found.name not in before
    _report(found, store.name, changed, as_json, "came from" if changed else "was here, as in")
    if not as_json:
        click.echo(f"See whether it fits here: personae adapters verify {persona} {found.name}")


def find_version(
    config: Config, persona: str, version: str | None
) -> tuple[Persona, RegisteredVersion]:
    """The persona, and its version of this name or the newest; shipped ones are taken in first."""
    from personae.cli.prepare import import_shipped_adapters

    members = load_cast(config.cast)
    member = members[persona]
    import_shipped_adapters(config, members, member)
    registry = Registry(config.adapters)
    return member, registry.find(persona, None if version is None else parse_version(version))


def _licence(config: Config, base_model: str) -> str:
    """The base model's licence as its manifest says; it need not be fetched to push an adapter."""
    try:
        return read_model_manifest(model_folder(config.models, base_model)).licence
    except ModelError:
        return f"as of {base_model}"


def _report(
    version: RegisteredVersion, store: str, changed: bool, as_json: bool, words: str
) -> None:
    if as_json:
        print_json(
            StoreChange(
                persona=version.persona,
                version=version.name,
                sha8=version.folder.name[-8:],
                store=store,
                changed=changed,
            )
        )
        return
    click.echo(f"{version.persona} {version.name} {words} {store}.")


def _print_entries(entries: list[StoreEntry], store: str, as_json: bool) -> None:
    if as_json:
        print_json(entries)
        return
    if not entries:
        click.echo(f"{store} has no version of it.")
    for entry in entries:
        state = "" if entry.complete else "  unfinished"
        click.echo(f"{entry.version:<5} {entry.sha8}  {entry.bytes / 1e6:8.1f} MB{state}")

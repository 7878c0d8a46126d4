"""The command line as Markdown: every command of `personae`, as click knows it."""

from __future__ import annotations

import inspect
from collections.abc import Iterator

import click

from docs.generator.blocks import cell


def blocks() -> dict[str, str]:
    from personae.cli import cli

    commands = [
        entry for entry in _walk(cli, ("personae",)) if not isinstance(entry[1], click.Group)
    ]
    return {
        "overview": _overview(commands),
        "commands": "\n\n".join(_section(path, command) for path, command in commands),
        "everywhere": _options(cli),
    }


def _walk(
    command: click.Command, path: tuple[str, ...]
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    yield path, command
    if isinstance(command, click.Group):
        for name, child in command.commands.items():
            if not child.hidden:
                yield from _walk(child, (*path, name))


def _overview(commands: list[tuple[tuple[str, ...], click.Command]]) -> str:
    lines = ["| command | |", "|---|---|"]
    for path, command in commands:
        title = " ".join(path)
        said = (command.short_help or command.help or "").strip().partition("\n\n")[0]
        lines.append(f"| [`{title}`](#{title.replace(' ', '-')}) | {cell(said)} |")
    return "\n".join(lines)


def _section(path: tuple[str, ...], command: click.Command) -> str:
    title = " ".join(path)
    pieces = command.collect_usage_pieces(click.Context(command))
    paragraphs = inspect.cleandoc(command.help or "").split("\n\n")
    said = "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)
    parts = [f"### {title}", f"```\n{title} {' '.join(pieces)}\n```", said]
    if options := _options(command):
        parts.append(options)
    return "\n\n".join(part for part in parts if part)


def _options(command: click.Command) -> str:
    rows = []
    for parameter in command.params:
        if not isinstance(parameter, click.Option) or parameter.hidden:
            continue
        names = ", ".join(f"`{name}`" for name in (*parameter.opts, *parameter.secondary_opts))
        if not parameter.is_flag and not parameter.count:
            names += f" {parameter.make_metavar(click.Context(command))}"
        said = parameter.help or ""
        if parameter.required:
            said = f"{said} Required.".strip()
        elif _is_told(parameter.default) and "default" not in said.lower():
            said = f"{said} (default: {parameter.default})".strip()
        rows.append(f"| {cell(names)} | {cell(said)} |")
    return "\n".join(["| option | |", "|---|---|", *rows]) if rows else ""


def _is_told(default: object) -> bool:
    """Whether a default is worth a word: not for switches, nor where nothing means nothing."""
    return (
        isinstance(default, str | int | float) and not isinstance(default, bool) and default != ""
    )

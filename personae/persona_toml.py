"""Writing a persona.toml that people like to read and edit: keys in the order of the docs, long texts as
blocks.

In: a `Persona`. Out: TOML text that reads back as the same persona (`persona_toml` makes sure). What has its
default is left out, but for the settings people change first. Sources can be added to a file that
somebody edited by hand: the rest of it stays as it is, comments included.
"""

from __future__ import annotations

import json
import tomllib
from typing import Any

from pydantic import BaseModel

from personae.errors import InternalError
from personae.persona import Persona, Rights
from personae.sources import Source

_BLOCK_CHARACTERS = 300
"""From here on a text of several lines reads better as a block."""


def persona_toml(persona: Persona, *, heading: str, rights_note: str = "") -> str:
    """The file of a persona.

    Args:
        heading: comment at its top, one line or several.
        rights_note: comment where rights are not given.

    Raises:
        InternalError: it would not read back as this persona.
    """
    parts = [_comment(heading), _top(persona)]
    parts += [_task("ask", persona), _task("rewrite", persona)]
    parts.append(
        "# mode: strict (only what the writing says), adaptive (marks what is quoted), creative (answers "
        "everything)\n"
        + _table("retrieval", persona.retrieval, always={"mode", "passages", "passage_words"})
    )
    parts += [
        _table(name, getattr(persona, name), always=set())
        for name in ("cleaning", "training", "gates")
        if getattr(persona, name) != Persona.model_fields[name].default
    ]
    parts += [source_toml(source) for source in persona.sources]
    parts.append(_rights(persona.rights, rights_note))
    text = "\n".join(part for part in parts if part)
    if Persona.model_validate(tomllib.loads(text)) != persona:
        raise InternalError(f"The file of {persona.id} does not read back as it was meant.")
    return text


def source_toml(source: Source) -> str:
    """One `[[sources]]` block."""
    fields = source.model_dump(exclude_defaults=True, exclude_none=True)
    lines = [f"{name} = {_value(value)}" for name, value in {"kind": source.kind, **fields}.items()]
    return "\n".join(["[[sources]]", *lines]) + "\n"


def with_source(text: str, source: Source) -> str:
    """A persona file with one source more, at its end."""
    return f"{text.rstrip()}\n\n{source_toml(source)}"


def without_source(text: str, source: Source) -> str:
    """A persona file without a source, where that stands in it as `source_toml` writes it."""
    block = source_toml(source)
    before, found, after = text.partition(block)
    return f"{before.rstrip()}\n\n{after.lstrip()}" if found else text


def _top(persona: Persona) -> str:
    lines = [
        f"{name} = {_value(getattr(persona, name))}"
        for name in ("id", "display_name", "description", "disclosure", "refusal")
    ]
    lines += [
        f"{name} = {_value(getattr(persona, name))}"
        for name in ("language", "picture", "base_model", "tics")
        if getattr(persona, name) != Persona.model_fields[name].default
    ]
    if persona.style_anchors:
        anchors = "".join(f"    {_string(anchor)},\n" for anchor in persona.style_anchors)
        lines += ["", "# Shown to a base model that has no adapter for this voice."]
        lines.append(f"style_anchors = [\n{anchors}]")
    return "\n".join(lines) + "\n"


def _task(name: str, persona: Persona) -> str:
    task = getattr(persona, name)
    limit = next(field for field in type(task).model_fields if field.startswith("max_"))
    sampling = ", ".join(f"{key} = {_value(its)}" for key, its in task.sampling)
    return (
        f"[{name}]\nsystem = {_value(task.system)}\n{limit} = {getattr(task, limit)}\n"
        f"sampling = {{ {sampling} }}\n"
    )


def _table(name: str, model: BaseModel, *, always: set[str]) -> str:
    defaults = type(model)()
    lines = [
        f"{key} = {_value(value)}"
        for key, value in model
        if key in always or value != getattr(defaults, key)
    ]
    return "\n".join([f"[{name}]", *lines]) + "\n"


def _rights(rights: Rights | None, note: str) -> str:
    if rights is None:
        return _comment(note)
    lines = [f"{key} = {_value(value)}" for key, value in rights if value is not None]
    return "\n".join(["[rights]", *lines, *([_comment(note).rstrip()] if note else [])]) + "\n"


def _comment(text: str) -> str:
    """Characters that a comment may not hold can't come in by a name."""
    shown = "".join(c if c.isprintable() or c == "\n" else " " for c in text)
    return "".join(f"# {line}".rstrip() + "\n" for line in shown.splitlines())


def _value(value: Any) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case int() | float():
            return repr(value)
        case str():
            return _block(value) if _wants_block(value) else _string(value)
        case list() | tuple():
            return f"[{', '.join(_string(item) for item in value)}]"
    raise InternalError(f"A persona file has no place for a {type(value).__name__}.")


def _wants_block(text: str) -> bool:
    return "\n" in text and (len(text) > _BLOCK_CHARACTERS or text.count("\n") > 1)


def _string(text: str) -> str:
    """A JSON string is a TOML string, but for DEL, which TOML wants written out."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _block(text: str) -> str:
    lines = "\n".join(_string(line)[1:-1] for line in text.split("\n"))
    if '"""' not in text and not text.endswith('"'):  # single quotation marks may stand in a block
        lines = lines.replace('\\"', '"')
    return f'"""\n{lines}"""'

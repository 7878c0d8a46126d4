"""Objects that go over HTTP: a heading, a sentence and a table of fields for each pydantic model.

Types, limits and defaults come from the model's JSON schema; meanings from the docstrings below the fields.
"""

from __future__ import annotations

import ast
import inspect
import json
import re
import textwrap
import typing
from collections.abc import Iterable, Iterator
from typing import Any

from pydantic import BaseModel

from docs.generator.blocks import cell

Model = type[BaseModel]


def reachable(roots: Iterable[Model]) -> list[Model]:
    """The models, and those that their fields are made of; each once, a model before its parts."""
    seen: dict[Model, None] = {}

    def visit(model: Model) -> None:
        if model in seen:
            return
        seen[model] = None
        for field in model.model_fields.values():
            for part in _models_in(field.annotation):
                visit(part)

    for root in roots:
        visit(root)
    return list(seen)


def anchor(model: Model) -> str:
    return f"[`{model.__name__}`](#{model.__name__.lower()})"


def section(model: Model) -> str:
    """`### Name`, what its docstring says, and its fields."""
    schema = model.model_json_schema(mode="serialization" if _is_reply(model) else "validation")
    needed = set() if _is_reply(model) else set(schema.get("required", ()))
    notes = field_notes(model)
    lines = [f"### {model.__name__}", ""]
    if (said := _own_docstring(model)) is not None:
        lines += [said, ""]
    if not model.model_fields:
        return "\n".join([*lines, "No fields."])
    lines += ["| field | type | default | |", "|---|---|---|---|"]
    for name in model.model_fields:
        field = schema["properties"][name]
        default = "required" if name in needed else _default(field, reply=_is_reply(model))
        lines.append(
            f"| `{name}` | {cell(kind(field))} | {cell(default)} | {cell(_as_json(notes.get(name, '')))} |"
        )
    return "\n".join(lines)


def kind(field: dict[str, Any]) -> str:
    """A JSON schema in words: `text, at most 200 characters`."""
    if "anyOf" in field:
        return " or ".join(dict.fromkeys(kind(choice) for choice in field["anyOf"]))
    if "$ref" in field:
        name = field["$ref"].rpartition("/")[2]
        return f"[`{name}`](#{name.lower()})"
    if "const" in field:
        return f"`{json.dumps(field['const'])}`"
    if "enum" in field:
        return ", ".join(f"`{json.dumps(choice)}`" for choice in field["enum"])
    match field.get("type"):
        case "array":
            inner = field.get("prefixItems")
            of = (
                " and ".join(kind(part) for part in inner)
                if inner
                else kind(field.get("items", {}))
            )
            most = f", at most {field['maxItems']}" if "maxItems" in field and not inner else ""
            return f"list of {of}{most}"
        case "string":
            return "text" + _limits(field)
        case "integer":
            return "whole number" + _limits(field)
        case "number":
            return "number" + _limits(field)
        case "boolean":
            return "true or false"
        case "null":
            return "null"
        case "object":
            values = field.get("additionalProperties")
            return f"object of {kind(values)}" if isinstance(values, dict) and values else "object"
    return "anything"


def field_notes(model: Model) -> dict[str, str]:
    """What stands below each field in the source, base classes first."""
    notes: dict[str, str] = {}
    for base in reversed(model.__mro__):
        if not (isinstance(base, type) and issubclass(base, BaseModel)) or base is BaseModel:
            continue
        body = ast.parse(textwrap.dedent(inspect.getsource(base))).body[0]
        assert isinstance(body, ast.ClassDef)
        name = ""
        for statement in body.body:
            match statement:
                case ast.AnnAssign(target=ast.Name(id=name)):
                    pass
                case ast.Expr(value=ast.Constant(value=str(words))) if name:
                    notes[name] = words.strip()
    return notes


def _as_json(note: str) -> str:
    """Python's words for JSON's values, as readers of this page know them."""
    names = {"None": "null", "True": "true", "False": "false"}
    return re.sub(r"\b(None|True|False)\b", lambda found: names[found[0]], note)


def _models_in(annotation: Any) -> Iterator[Model]:
    if inspect.isclass(annotation) and issubclass(annotation, BaseModel):
        yield annotation
    for part in typing.get_args(annotation):
        yield from _models_in(part)


def _is_reply(model: Model) -> bool:
    """Those that come from the gateway: unknown keys in them are for older clients to ignore."""
    return model.model_config.get("extra") != "forbid"


def _own_docstring(model: Model) -> str | None:
    written = model.__dict__.get("__doc__")
    return " ".join(written.split()) if written else None


def _default(field: dict[str, Any], *, reply: bool) -> str:
    if "default" not in field:
        return "" if reply else "see there"
    return f"`{json.dumps(field['default'], ensure_ascii=False)}`"


def _limits(field: dict[str, Any]) -> str:
    limits = []
    if "minLength" in field and field["minLength"] > 0:
        limits.append(f"at least {field['minLength']} character{'s' * (field['minLength'] > 1)}")
    if "maxLength" in field:
        limits.append(f"at most {field['maxLength']:,} characters")
    if "minimum" in field or "maximum" in field:
        limits.append(_range(field.get("minimum"), field.get("maximum")))
    if "pattern" in field:
        limits.append(f"like `{field['pattern']}`")
    return f" ({'; '.join(limits)})" if limits else ""


def _range(low: float | None, high: float | None) -> str:
    if low is None:
        return f"at most {high:,g}"
    return f"at least {low:,g}" if high is None else f"{low:,g} to {high:,g}"

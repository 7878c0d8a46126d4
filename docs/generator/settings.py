"""The default of every key in docs/configuration.md; what a key means is written there by hand."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from docs.generator.blocks import cell
from docs.generator.objects import field_notes
from personae import config

SECTIONS: Mapping[str, type[BaseModel]] = {
    str(field.validation_alias or name): field.annotation
    for name, field in config.Config.model_fields.items()
    if isinstance(field.annotation, type)
    and issubclass(field.annotation, BaseModel)
    and field.annotation is not config.Secrets
}


def refreshed(page: str) -> str:
    """The page with every key's default as it is; a key without a row gets one below the others.

    Raises:
        ValueError: the page lacks a section, or has a key that there is not.
    """
    for name, model in SECTIONS.items():
        heading = f"## `[{name}]`\n"
        if heading not in page:
            raise ValueError(f"docs/configuration.md has no {heading.strip()}")
        before, _, rest = page.partition(heading)
        part, mark, after = rest.partition("\n## ")
        page = before + heading + _section(name, model, part) + mark + after
    return page


def _section(name: str, model: type[BaseModel], part: str) -> str:
    rows = {
        key: (default, meaning)
        for key, default, meaning in re.findall(
            r"^\| `(\w+)` \| (.*?) \| ?(.*?) ?\|$", part, flags=re.MULTILINE
        )
    }
    if strangers := set(rows) - set(model.model_fields):
        raise ValueError(f"[{name}] has no {', '.join(sorted(strangers))}")
    notes = field_notes(model)
    table = ["| key | default | meaning |", "|---|---|---|"]
    for key in [*rows, *(key for key in model.model_fields if key not in rows)]:
        written, meaning = rows.get(key, ("", ""))
        default = _default(name, model, key)
        if default == "none" and written:
            default = written  # what then happens is for people to say
        table.append(f"| `{key}` | {default} | {meaning or cell(notes.get(key, ''))} |")
    found = re.search(r"^\| key \|.*?\n(?=\n|\Z)", part + "\n", flags=re.MULTILINE | re.DOTALL)
    if found is None:
        raise ValueError(f"[{name}] has no table of keys")
    return part[: found.start()] + "\n".join(table) + part[found.end() - 1 :]


def _default(section: str, model: type[BaseModel], key: str) -> str:
    """`4096`; with what the profiles of `[engine]` put in its place."""
    plain = model.model_fields[key].get_default(call_default_factory=True)
    said = [] if plain is PydanticUndefined else [_value(plain)]
    if section == "engine":
        by_value: dict[str, list[str]] = {}
        for profile, values in config.PROFILES.items():
            if key in values and values[key] != plain:
                by_value.setdefault(_value(values[key]), []).append(f"`{profile}`")
        if len(by_value) > 2:
            return "by profile"
        said += [f"{value} in {' and '.join(names)}" for value, names in by_value.items()]
    return "; ".join(said)


def _value(value: Any) -> str:
    return "none" if value is None else f"`{json.dumps(value)}`"

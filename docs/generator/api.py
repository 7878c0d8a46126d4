"""What docs/api.md gets from the code: tables of routes, the events of a stream, all objects."""

from __future__ import annotations

from pydantic import BaseModel

from docs.generator.blocks import cell
from docs.generator.objects import anchor, reachable, section
from docs.generator.routes import EVENTS, GROUPS, Body, all_routes


def blocks() -> dict[str, str]:
    bodies = [body for route in all_routes() for body in (route.takes, route.gives)]
    models = [body for body in bodies if isinstance(body, type)]
    return {
        "routes": "\n\n".join(_group(name) for name in GROUPS),
        "events": _events(),
        "objects": "\n\n".join(section(model) for model in reachable([*models, *EVENTS.values()])),
    }


def _group(name: str) -> str:
    lines = [f"### {name}", "", "| route | key | takes | gives | |", "|---|---|---|---|---|"]
    for route in GROUPS[name]:
        lines.append(
            f"| `{route.method} {route.path}` | {route.key} | {_body(route.takes)} "
            f"| {_body(route.gives)} | {cell(route.says)} |"
        )
    return "\n".join(lines)


def _body(body: Body) -> str:
    if isinstance(body, type) and issubclass(body, BaseModel):
        return anchor(body)
    return cell(body or "")


def _events() -> str:
    lines = ["| event | data |", "|---|---|"]
    return "\n".join([*lines, *(f"| `{name}` | {anchor(kind)} |" for name, kind in EVENTS.items())])

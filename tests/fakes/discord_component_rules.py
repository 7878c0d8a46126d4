"""What Discord refuses of buttons, menus, layouts and modals. Pure.

Source: docs.discord.com (Component Reference) as of API v10.
"""

from __future__ import annotations

from typing import Any

from tests.fakes.discord_refusal import at_most, invalid, known_fields, length, names, units

ROW, BUTTON, MENU, INPUT, SECTION, DISPLAY, CONTAINER, LABEL = 1, 2, 3, 4, 9, 10, 17, 18
_SELECTS = (3, 5, 6, 7, 8)
_LINK, _PREMIUM = 5, 6

_SELECT_FIELDS = (
    "custom_id options channel_types placeholder default_values min_values max_values disabled"
    " required"
)
_FIELDS: dict[int, frozenset[str]] = {
    kind: names(f"type id {own}")
    for kind, own in {
        ROW: "components",
        BUTTON: "style label emoji custom_id sku_id url disabled",
        **dict.fromkeys(_SELECTS, _SELECT_FIELDS),
        INPUT: "custom_id style label min_length max_length required value placeholder",
        SECTION: "components accessory",
        DISPLAY: "content",
        11: "media description spoiler",
        12: "items",
        13: "file spoiler",
        14: "divider spacing",
        CONTAINER: "components accent_color spoiler",
        LABEL: "label description component",
        19: "custom_id min_values max_values required",
    }.items()
}
_OPTION_FIELDS = frozenset({"label", "value", "description", "emoji", "default"})


def check_components(components: list[Any], *, v2: bool) -> None:
    """The components of a message."""
    if not v2 and len(components) > 5:
        raise invalid("components", "Must be 5 or fewer in length.")
    seen: set[str] = set()
    count = shown = 0
    waiting = [(f"components.{n}", part, True) for n, part in enumerate(components)]
    while waiting:
        path, part, top = waiting.pop()
        count += 1
        kind = part.get("type")
        if kind not in _FIELDS or kind in (INPUT, LABEL):
            raise invalid(f"{path}.type", "Not a component of messages.")
        if top and kind != ROW and not v2:
            raise invalid(f"{path}.type", "The top level takes action rows only.")
        _check_one(part, path, seen)
        if kind == DISPLAY:
            length(part.get("content"), f"{path}.content", 1, 4000)
            shown += units(part["content"])
        children = part.get("components") or []
        waiting += [(f"{path}.components.{n}", child, False) for n, child in enumerate(children)]
        if part.get("accessory"):
            waiting.append((f"{path}.accessory", part["accessory"], False))
    if count > 40:
        raise invalid("components", "Must be 40 or fewer in total.")
    if shown > 4000:
        raise invalid("components", "The text displays exceed 4000 characters in total.")


def check_modal(data: dict[str, Any]) -> None:
    """The window that asks somebody for text: labels or rows with one input each."""
    known_fields(data, frozenset({"custom_id", "title", "components"}), "data")
    length(data.get("custom_id"), "data.custom_id", 1, 100)
    length(data.get("title"), "data.title", 1, 45)
    components = at_most(data.get("components"), "data.components", 5)
    if not components:
        raise invalid("data.components", "Must be between 1 and 5 in length.")
    seen: set[str] = set()
    for n, part in enumerate(components):
        path = f"data.components.{n}"
        kind = part.get("type")
        if kind not in (ROW, LABEL, DISPLAY):
            raise invalid(f"{path}.type", "A modal takes labels, texts and rows of one input.")
        known_fields(part, _FIELDS[kind], path)
        if kind == DISPLAY:
            continue
        inner = part.get("component") if kind == LABEL else (part.get("components") or [None])[0]
        if kind == LABEL:
            length(part.get("label"), f"{path}.label", 1, 45)
            if part.get("description") is not None:
                length(part["description"], f"{path}.description", 1, 100)
        elif len(part.get("components") or []) != 1:
            raise invalid(f"{path}.components", "A row of a modal holds one input.")
        if not isinstance(inner, dict) or inner.get("type") not in (INPUT, *_SELECTS, 19):
            raise invalid(path, "This is nothing to fill in.")
        _check_one(inner, f"{path}.component", seen)
        if kind == ROW and inner["type"] == INPUT:
            length(inner.get("label"), f"{path}.components.0.label", 1, 45)


def _check_one(part: dict[str, Any], path: str, seen: set[str]) -> None:
    kind = part["type"]
    known_fields(part, _FIELDS[kind], path)
    if "custom_id" in part:
        length(part["custom_id"], f"{path}.custom_id", 1, 100)
        if part["custom_id"] in seen:
            raise invalid(f"{path}.custom_id", "Component custom id cannot be duplicated.")
        seen.add(part["custom_id"])
    elif kind in (*_SELECTS, INPUT):
        raise invalid(f"{path}.custom_id", "This field is required.")
    if part.get("label") is not None and kind in (BUTTON, INPUT):
        length(part["label"], f"{path}.label", 0, 80 if kind == BUTTON else 45)
    if kind == ROW:
        _check_row(part, path)
    elif kind == BUTTON:
        _check_button(part, path)
    elif kind in _SELECTS:
        _check_select(part, path)
    elif kind == INPUT:
        _check_input(part, path)


def _check_row(part: dict[str, Any], path: str) -> None:
    children = part.get("components") or []
    if not 1 <= len(children) <= 5:
        raise invalid(f"{path}.components", "Must be between 1 and 5 in length.")
    kinds = [child.get("type") for child in children]
    if any(kind in _SELECTS for kind in kinds) and len(kinds) > 1:
        raise invalid(f"{path}.components", "A menu stands alone in its row.")
    if set(kinds) - {BUTTON, *_SELECTS, INPUT}:
        raise invalid(f"{path}.components", "A row takes buttons or one menu.")


def _check_button(part: dict[str, Any], path: str) -> None:
    style = part.get("style")
    if style not in range(1, 7):
        raise invalid(f"{path}.style", "Must be one of 1 to 6.")
    if (style == _LINK) != ("url" in part) or (style == _LINK and "custom_id" in part):
        raise invalid(f"{path}.url", "A link button has a url and no custom id; no other has one.")
    if style not in (_LINK, _PREMIUM) and "custom_id" not in part:
        raise invalid(f"{path}.custom_id", "A custom id is required.")
    if not part.get("label") and not part.get("emoji") and style != _PREMIUM:
        raise invalid(f"{path}.label", "A button needs a label or an emoji.")


def _check_select(part: dict[str, Any], path: str) -> None:
    if part.get("placeholder") is not None:
        length(part["placeholder"], f"{path}.placeholder", 0, 150)
    least, most = part.get("min_values", 1), part.get("max_values", 1)
    if not (0 <= least <= 25 and 1 <= most <= 25 and least <= most):
        raise invalid(f"{path}.max_values", "Must be between min_values and 25.")
    if part["type"] != MENU:
        return
    options = at_most(part.get("options"), f"{path}.options", 25)
    if not options:
        raise invalid(f"{path}.options", "Must be between 1 and 25 in length.")
    for n, option in enumerate(options):
        here = f"{path}.options.{n}"
        known_fields(option, _OPTION_FIELDS, here)
        length(option.get("label"), f"{here}.label", 1, 100)
        length(option.get("value"), f"{here}.value", 1, 100)
        if option.get("description") is not None:
            length(option["description"], f"{here}.description", 0, 100)
    if len({option["value"] for option in options}) < len(options):
        raise invalid(f"{path}.options", "The specified option value is already used.")


def _check_input(part: dict[str, Any], path: str) -> None:
    if part.get("style") not in (1, 2):
        raise invalid(f"{path}.style", "Must be 1 or 2.")
    for name, least, most in (
        ("value", 0, part.get("max_length") or 4000),
        ("placeholder", 0, 100),
    ):
        if part.get(name) is not None:
            length(part[name], f"{path}.{name}", least, most)
    for name, least in (("min_length", 0), ("max_length", 1)):
        if part.get(name) is not None and not least <= part[name] <= 4000:
            raise invalid(f"{path}.{name}", f"Must be between {least} and 4000.")

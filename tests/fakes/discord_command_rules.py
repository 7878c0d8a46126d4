"""What Discord refuses of a bot's commands: names, options, choices, localizations, sizes. Pure.

Source: docs.discord.com (Application Commands) as of API v10.
"""

from __future__ import annotations

import re
from typing import Any

from tests.fakes.discord_refusal import (
    Refusal,
    at_most,
    invalid,
    known_fields,
    length,
    names,
    units,
)
from tests.fakes.discord_rules import check_choices

SUB_COMMAND, SUB_COMMAND_GROUP, STRING, INTEGER, NUMBER = 1, 2, 3, 4, 10
_COMMAND_NAME = re.compile(r"[-_'\w]{1,32}")
_COMMAND_FIELDS = names(
    "name type description name_localizations description_localizations options nsfw contexts"
    " integration_types default_member_permissions dm_permission handler"
)
_OPTION_FIELDS = names(
    "name type description name_localizations description_localizations required choices options"
    " channel_types min_value max_value min_length max_length autocomplete"
)
_LOCALES = names(
    "id da de en-GB en-US es-ES es-419 fr hr it lt hu nl no pl pt-BR ro fi sv-SE vi tr cs el bg ru"
    " uk hi th zh-CN ja zh-TW ko"
)


def check_commands(commands: Any) -> None:
    """The body of a bulk overwrite of global commands."""
    if not isinstance(commands, list):
        raise invalid("", "Must be a list.")
    names: set[tuple[int, str]] = set()
    for n, command in enumerate(commands):
        known_fields(command, _COMMAND_FIELDS, str(n))
        kind = command.get("type", 1)
        name = command.get("name")
        if kind == 1:
            _check_name(name, f"{n}.name")
            length(command.get("description"), f"{n}.description", 1, 100)
            _check_options(command.get("options"), f"{n}.options", depth=0)
            if _characters(command) > 8000:
                raise invalid(str(n), "Command exceeds maximum size of 8000.")
        else:
            length(name, f"{n}.name", 1, 32)
            if command.get("description"):
                raise invalid(f"{n}.description", "Context menu commands have no description.")
        _check_localizations(command, str(n), menu=kind != 1)
        if (kind, name) in names:
            raise invalid(f"{n}.name", "Application command names must be unique.")
        names.add((kind, name))
        for field in ("contexts", "integration_types"):
            allowed = {0, 1, 2} if field == "contexts" else {0, 1}
            values = command.get(field)
            if values is not None and (not values or set(values) - allowed):
                raise invalid(f"{n}.{field}", f"Must be some of {sorted(allowed)}.")
    for kind, most in ((1, 100), (2, 15), (3, 15)):
        if sum(1 for k, _ in names if k == kind) > most:
            raise Refusal(400, 30032, "Maximum number of application commands reached")


def _check_name(name: Any, path: str) -> None:
    if not isinstance(name, str) or not _COMMAND_NAME.fullmatch(name) or name != name.lower():
        raise invalid(path, "Command name is invalid.")


def _check_options(options: Any, path: str, *, depth: int) -> None:
    options = at_most(options, path, 25)
    names = [option.get("name") for option in options]
    if len(names) != len(set(names)):
        raise invalid(path, "Option names must be unique.")
    nested = [option.get("type") in (SUB_COMMAND, SUB_COMMAND_GROUP) for option in options]
    if any(nested) and not all(nested):
        raise invalid(path, "Sub-command and regular options can not be mixed.")
    optional_seen = False
    for n, option in enumerate(options):
        here, kind = f"{path}.{n}", option.get("type")
        known_fields(option, _OPTION_FIELDS, here)
        _check_name(option.get("name"), f"{here}.name")
        _check_localizations(option, here)
        length(option.get("description"), f"{here}.description", 1, 100)
        if kind not in range(1, 12):
            raise invalid(f"{here}.type", "Unknown option type.")
        if kind in (SUB_COMMAND, SUB_COMMAND_GROUP):
            if depth > (0 if kind == SUB_COMMAND_GROUP else 1):
                raise invalid(f"{here}.type", "Sub-commands are nested too deeply.")
            _check_options(option.get("options"), f"{here}.options", depth=depth + 1)
            continue
        if option.get("required"):
            if optional_seen:
                raise invalid(here, "Required options must be placed before non-required options.")
        else:
            optional_seen = True
        _check_option_values(option, here, kind)


def _check_option_values(option: dict[str, Any], here: str, kind: int) -> None:
    if option.get("choices") and option.get("autocomplete"):
        raise invalid(here, "Autocomplete and choices exclude each other.")
    if option.get("autocomplete") and kind not in (STRING, INTEGER, NUMBER):
        raise invalid(f"{here}.autocomplete", "Not available for this option type.")
    check_choices(option.get("choices"), f"{here}.choices")
    for name, least in (("min_length", 0), ("max_length", 1)):
        value = option.get(name)
        if value is None:
            continue
        if kind != STRING or not least <= value <= 6000:
            raise invalid(f"{here}.{name}", f"Must be between {least} and 6000, on a string.")


def _check_localizations(thing: dict[str, Any], here: str, *, menu: bool = False) -> None:
    for field in ("name", "description"):
        path = f"{here}.{field}_localizations"
        for locale, text in (thing.get(f"{field}_localizations") or {}).items():
            if locale not in _LOCALES:
                raise invalid(f"{path}.{locale}", "Unknown locale.")
            if field == "name" and not menu:
                _check_name(text, f"{path}.{locale}")
            else:
                length(text, f"{path}.{locale}", 1, 32 if field == "name" else 100)


def _characters(command: dict[str, Any]) -> int:
    own = units(command.get("name") or "") + units(command.get("description") or "")
    own += sum(units(str(choice[key])) for choice in command.get("choices") or [] for key in choice)
    return own + sum(_characters(option) for option in command.get("options") or [])

"""What Discord refuses, counts and would do with a message. Pure: JSON in, a verdict out.

Sources: docs.discord.com (Application Commands, Interactions, Messages, Rate Limits) as of API v10.
Where the documentation leaves a choice, the stricter reading stands here: lengths are counted in
UTF-16 code units, which is never less than characters.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from typing import Any

COMMAND, COMPONENT, AUTOCOMPLETE, MODAL = 2, 3, 4, 5
MESSAGE_CALLBACK, DEFER_CALLBACK, AUTOCOMPLETE_CALLBACK, MODAL_CALLBACK = 4, 5, 8, 9
SUPPRESS_EMBEDS, EPHEMERAL, COMPONENTS_V2 = 1 << 2, 1 << 6, 1 << 15
_MESSAGE_FLAGS = SUPPRESS_EMBEDS | EPHEMERAL | 1 << 12 | COMPONENTS_V2

SUB_COMMAND, SUB_COMMAND_GROUP, STRING, INTEGER, NUMBER = 1, 2, 3, 4, 10
_COMMAND_NAME = re.compile(r"[-_'\w]{1,32}")


class Refusal(Exception):
    """An error reply of Discord's API."""

    def __init__(self, status: int, code: int, message: str, errors: Any = None) -> None:
        super().__init__(f"{status} {code} {message} {errors or ''}")
        self.status = status
        self.body: dict[str, Any] = {"code": code, "message": message}
        if errors:
            self.body["errors"] = errors


def invalid(path: str, problem: str) -> Refusal:
    """50035 with its nested errors, for a path such as "0.options.1.name"."""
    errors: dict[str, Any] = {"_errors": [{"code": "BASE_TYPE_BAD", "message": problem}]}
    for part in reversed(path.split(".")):
        errors = {part: errors}
    return Refusal(400, 50035, "Invalid Form Body", errors)


def units(text: str) -> int:
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def _length(value: Any, path: str, least: int, most: int) -> None:
    if not isinstance(value, str):
        raise invalid(path, "This field is required and must be a string.")
    if not least <= units(value) <= most:
        raise invalid(path, f"Must be between {least} and {most} in length.")


def _at_most(values: Any, path: str, most: int) -> list[Any]:
    if values is None:
        return []
    if not isinstance(values, list):
        raise invalid(path, "Must be a list.")
    if len(values) > most:
        raise invalid(path, f"Must be {most} or fewer in length.")
    return values


# --- messages -------------------------------------------------------------------------------------


def check_message(body: dict[str, Any], *, new: bool) -> None:
    """The body of a message that is made (`new`) or edited."""
    content = body.get("content")
    if content is not None:
        _length(content, "content", 0, 2000)
    flags = body.get("flags") or 0
    if flags & ~_MESSAGE_FLAGS:
        raise invalid("flags", "Unknown flags.")
    embeds = _at_most(body.get("embeds"), "embeds", 10)
    if sum(_check_embed(embed, f"embeds.{n}") for n, embed in enumerate(embeds)) > 6000:
        raise invalid("embeds", "Embed size exceeds maximum size of 6000.")
    components = _at_most(body.get("components"), "components", 40)
    _check_components(components, v2=bool(flags & COMPONENTS_V2))
    if flags & COMPONENTS_V2 and (content or embeds):
        raise invalid("content", "The flag IS_COMPONENTS_V2 excludes content and embeds.")
    _check_allowed_mentions(body.get("allowed_mentions"))
    empty = not (content or "").strip() and not embeds and not components
    if empty and (new or "content" in body):
        raise Refusal(400, 50006, "Cannot send an empty message")


def _check_embed(embed: dict[str, Any], path: str) -> int:
    total = 0
    for name, most in (("title", 256), ("description", 4096)):
        if embed.get(name) is not None:
            _length(embed[name], f"{path}.{name}", 0, most)
            total += units(embed[name])
    for name, key, most in (("footer", "text", 2048), ("author", "name", 256)):
        if embed.get(name):
            _length(embed[name].get(key), f"{path}.{name}.{key}", 1, most)
            total += units(embed[name][key])
    for n, field in enumerate(_at_most(embed.get("fields"), f"{path}.fields", 25)):
        _length(field.get("name"), f"{path}.fields.{n}.name", 1, 256)
        _length(field.get("value"), f"{path}.fields.{n}.value", 1, 1024)
        total += units(field["name"]) + units(field["value"])
    return total


def _check_components(components: list[Any], *, v2: bool) -> None:
    if not v2 and len(components) > 5:
        raise invalid("components", "Must be 5 or fewer in length.")
    seen: set[str] = set()
    count = 0
    waiting = [(f"components.{n}", part) for n, part in enumerate(components)]
    while waiting:
        path, part = waiting.pop()
        count += 1
        children = part.get("components") or []
        if part.get("type") == 1 and not 1 <= len(children) <= 5:
            raise invalid(f"{path}.components", "Must be between 1 and 5 in length.")
        if not v2 and path.count(".") == 1 and part.get("type") != 1:
            raise invalid(f"{path}.type", "The top level takes action rows only.")
        if "custom_id" in part:
            _length(part["custom_id"], f"{path}.custom_id", 1, 100)
            if part["custom_id"] in seen:
                raise invalid(f"{path}.custom_id", "Component custom id cannot be duplicated.")
            seen.add(part["custom_id"])
        if part.get("label") is not None:
            _length(part["label"], f"{path}.label", 0, 80)
        waiting += [(f"{path}.components.{n}", child) for n, child in enumerate(children)]
    if count > 40:
        raise invalid("components", "Must be 40 or fewer in total.")


def _check_allowed_mentions(allowed: dict[str, Any] | None) -> None:
    if allowed is None:
        return
    parse = allowed.get("parse") or []
    if set(parse) - {"roles", "users", "everyone"}:
        raise invalid("allowed_mentions.parse", "Unknown mention type.")
    for kind in ("roles", "users"):
        _at_most(allowed.get(kind), f"allowed_mentions.{kind}", 100)
        if kind in parse and allowed.get(kind):
            raise invalid("allowed_mentions", f"parse and {kind} are mutually exclusive.")


def pings(content: str, allowed: dict[str, Any] | None) -> set[str]:
    """Whom the message would ping: "everyone", "here", "user:<id>", "role:<id>".

    Without `allowed_mentions` Discord parses everything.
    """
    parse = {"roles", "users", "everyone"} if allowed is None else set(allowed.get("parse") or [])
    found = set()
    if "everyone" in parse:
        found |= set(re.findall(r"@(everyone|here)", content))
    for kind, pattern in (("user", r"<@!?(\d+)>"), ("role", r"<@&(\d+)>")):
        named = set((allowed or {}).get(f"{kind}s") or [])
        found |= {
            f"{kind}:{target}"
            for target in re.findall(pattern, content)
            if f"{kind}s" in parse or target in named
        }
    return found


def previews(content: str, flags: int) -> list[str]:
    """The addresses under which Discord would unfold a card."""
    if flags & SUPPRESS_EMBEDS:
        return []
    outside_code = re.sub(r"```.*?```|`[^`\n]+`", "", content, flags=re.DOTALL)
    return re.findall(r"(?<!<)https?://[^\s<>]+", outside_code)


# --- interactions ---------------------------------------------------------------------------------


def check_callback(kind: int, body: dict[str, Any]) -> None:
    """The first response to an interaction of type `kind`."""
    callback, data = body.get("type"), body.get("data") or {}
    allowed = {
        COMMAND: {MESSAGE_CALLBACK, DEFER_CALLBACK, MODAL_CALLBACK},
        COMPONENT: {MESSAGE_CALLBACK, DEFER_CALLBACK, 6, 7, MODAL_CALLBACK},
        AUTOCOMPLETE: {AUTOCOMPLETE_CALLBACK},
        MODAL: {MESSAGE_CALLBACK, DEFER_CALLBACK, 6, 7},
    }[kind]
    if callback not in allowed:
        raise invalid("type", f"Interaction type {kind} takes no callback of type {callback}.")
    if callback == MESSAGE_CALLBACK:
        check_message(data, new=True)
    elif callback == DEFER_CALLBACK and set(data) - {"flags"}:
        raise invalid("data", "A deferred response carries flags only.")
    elif callback == AUTOCOMPLETE_CALLBACK:
        _check_choices(data.get("choices"), "data.choices")
    elif callback == MODAL_CALLBACK:
        _length(data.get("custom_id"), "data.custom_id", 1, 100)
        _length(data.get("title"), "data.title", 1, 45)
        if not 1 <= len(_at_most(data.get("components"), "data.components", 5)) <= 5:
            raise invalid("data.components", "Must be between 1 and 5 in length.")


def _check_choices(choices: Any, path: str) -> None:
    for n, choice in enumerate(_at_most(choices, path, 25)):
        _length(choice.get("name"), f"{path}.{n}.name", 1, 100)
        if isinstance(choice.get("value"), str):
            _length(choice["value"], f"{path}.{n}.value", 0, 100)
        elif not isinstance(choice.get("value"), int | float):
            raise invalid(f"{path}.{n}.value", "This field is required.")


# --- commands -------------------------------------------------------------------------------------


def check_commands(commands: Any) -> None:
    """The body of a bulk overwrite of global commands."""
    if not isinstance(commands, list):
        raise invalid("", "Must be a list.")
    names: set[tuple[int, str]] = set()
    for n, command in enumerate(commands):
        kind = command.get("type", 1)
        name = command.get("name")
        if kind == 1:
            _check_name(name, f"{n}.name")
            _length(command.get("description"), f"{n}.description", 1, 100)
            _check_options(command.get("options"), f"{n}.options", depth=0)
            if _characters(command) > 8000:
                raise invalid(str(n), "Command exceeds maximum size of 8000.")
        else:
            _length(name, f"{n}.name", 1, 32)
            if command.get("description"):
                raise invalid(f"{n}.description", "Context menu commands have no description.")
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
    options = _at_most(options, path, 25)
    names = [option.get("name") for option in options]
    if len(names) != len(set(names)):
        raise invalid(path, "Option names must be unique.")
    nested = [option.get("type") in (SUB_COMMAND, SUB_COMMAND_GROUP) for option in options]
    if any(nested) and not all(nested):
        raise invalid(path, "Sub-command and regular options can not be mixed.")
    optional_seen = False
    for n, option in enumerate(options):
        here, kind = f"{path}.{n}", option.get("type")
        _check_name(option.get("name"), f"{here}.name")
        _length(option.get("description"), f"{here}.description", 1, 100)
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
    _check_choices(option.get("choices"), f"{here}.choices")
    for name, least in (("min_length", 0), ("max_length", 1)):
        value = option.get(name)
        if value is None:
            continue
        if kind != STRING or not least <= value <= 6000:
            raise invalid(f"{here}.{name}", f"Must be between {least} and 6000, on a string.")


def _characters(command: dict[str, Any]) -> int:
    own = units(command.get("name") or "") + units(command.get("description") or "")
    own += sum(units(str(choice[key])) for choice in command.get("choices") or [] for key in choice)
    return own + sum(_characters(option) for option in command.get("options") or [])


# --- rate limits ----------------------------------------------------------------------------------


@dataclass
class Verdict:
    taken: bool
    headers: dict[str, str]
    retry_after: float


class RateLimits:
    """Windows by route: `limit` requests in `seconds`, counted from the first of them."""

    def __init__(self) -> None:
        self._windows: dict[str, tuple[float, int]] = {}

    def take(self, bucket: str, limit: int, seconds: float) -> Verdict:
        now = time.monotonic()
        ends, used = self._windows.get(bucket, (0.0, 0))
        if now >= ends:
            ends, used = now + seconds, 0
        taken = used < limit
        used += taken
        self._windows[bucket] = (ends, used)
        left = ends - now
        headers = {
            "X-RateLimit-Limit": str(limit),
            "X-RateLimit-Remaining": str(limit - used),
            "X-RateLimit-Reset": f"{time.time() + left:.3f}",
            "X-RateLimit-Reset-After": f"{left:.3f}",
            "X-RateLimit-Bucket": f"{abs(hash(bucket)):032x}",
        }
        if not taken:
            headers |= {"Retry-After": str(int(left) + 1), "X-RateLimit-Scope": "user"}
        return Verdict(taken, headers, left)

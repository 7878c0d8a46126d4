"""What Discord refuses, counts and would do with a message. Pure: JSON in, a verdict out.

Sources: docs.discord.com (Interactions, Messages) as of API v10.
"""

from __future__ import annotations

import re
from typing import Any

from tests.fakes.discord_component_rules import check_components, check_modal
from tests.fakes.discord_refusal import (
    Refusal,
    at_most,
    invalid,
    known_fields,
    length,
    names,
    units,
)

COMMAND, COMPONENT, AUTOCOMPLETE, MODAL = 2, 3, 4, 5
MESSAGE_CALLBACK, DEFER_CALLBACK, AUTOCOMPLETE_CALLBACK, MODAL_CALLBACK = 4, 5, 8, 9
DEFER_UPDATE_CALLBACK, UPDATE_CALLBACK = UPDATES = 6, 7
SUPPRESS_EMBEDS, EPHEMERAL, COMPONENTS_V2 = 1 << 2, 1 << 6, 1 << 15
GUILDS, GUILD_MESSAGES, DIRECT_MESSAGES = 1 << 0, 1 << 9, 1 << 12
"""Intents."""
_MESSAGE_FLAGS = SUPPRESS_EMBEDS | EPHEMERAL | 1 << 12 | COMPONENTS_V2
_MESSAGE_FIELDS = names(
    "content embeds flags allowed_mentions components attachments tts nonce enforce_nonce"
    " message_reference sticker_ids poll"
)
_WEBHOOK_FIELDS = _MESSAGE_FIELDS | {"username", "avatar_url", "thread_name", "applied_tags"}
_EMBED_FIELDS = names(
    "title type description url timestamp color footer image thumbnail video provider author"
    " fields flags"
)
_MENTION_FIELDS = frozenset({"parse", "roles", "users", "replied_user"})


# --- messages -------------------------------------------------------------------------------------


def check_message(
    body: dict[str, Any],
    *,
    new: bool,
    was_v2: bool = False,
    webhook: bool = False,
    own_files: bool = False,
) -> None:
    """The body of a message that is made (`new`) or edited.

    Args:
        was_v2: the message that is edited is made of components.
        webhook: name and picture may be given with it.
        own_files: files come along, so that nothing else is needed.
    """
    known_fields(body, _WEBHOOK_FIELDS if webhook else _MESSAGE_FIELDS, "")
    content = body.get("content")
    if content is not None:
        length(content, "content", 0, 2000)
    flags = body.get("flags") or 0
    if flags & ~_MESSAGE_FLAGS:
        raise invalid("flags", "Unknown flags.")
    v2 = was_v2 or bool(flags & COMPONENTS_V2)
    embeds = at_most(body.get("embeds"), "embeds", 10)
    if sum(_check_embed(embed, f"embeds.{n}") for n, embed in enumerate(embeds)) > 6000:
        raise invalid("embeds", "Embed size exceeds maximum size of 6000.")
    components = at_most(body.get("components"), "components", 40)
    check_components(components, v2=v2)
    if v2 and (content or embeds):
        raise invalid("content", "The flag IS_COMPONENTS_V2 excludes content and embeds.")
    _check_allowed_mentions(body.get("allowed_mentions"))
    if webhook and body.get("username") is not None:
        _check_webhook_name(body["username"])
    files = own_files or bool(at_most(body.get("attachments"), "attachments", 10))
    empty = not (content or "").strip() and not embeds and not components and not files
    if empty and (new or "content" in body):
        raise Refusal(400, 50006, "Cannot send an empty message")


def _check_webhook_name(name: Any) -> None:
    length(name, "username", 1, 80)
    if name.casefold() in ("everyone", "here") or re.search(r"clyde|discord", name.casefold()):
        raise invalid("username", f"Username cannot contain {name!r}.")


def _check_embed(embed: dict[str, Any], path: str) -> int:
    known_fields(embed, _EMBED_FIELDS, path)
    total = 0
    for name, most in (("title", 256), ("description", 4096)):
        if embed.get(name) is not None:
            length(embed[name], f"{path}.{name}", 0, most)
            total += units(embed[name])
    for name, key, most in (("footer", "text", 2048), ("author", "name", 256)):
        if embed.get(name):
            length(embed[name].get(key), f"{path}.{name}.{key}", 1, most)
            total += units(embed[name][key])
    for n, field in enumerate(at_most(embed.get("fields"), f"{path}.fields", 25)):
        length(field.get("name"), f"{path}.fields.{n}.name", 1, 256)
        length(field.get("value"), f"{path}.fields.{n}.value", 1, 1024)
        total += units(field["name"]) + units(field["value"])
    return total


def _check_allowed_mentions(allowed: dict[str, Any] | None) -> None:
    if allowed is None:
        return
    known_fields(allowed, _MENTION_FIELDS, "allowed_mentions")
    parse = allowed.get("parse") or []
    if set(parse) - {"roles", "users", "everyone"}:
        raise invalid("allowed_mentions.parse", "Unknown mention type.")
    for kind in ("roles", "users"):
        at_most(allowed.get(kind), f"allowed_mentions.{kind}", 100)
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


def check_callback(
    kind: int, body: dict[str, Any], *, on_v2: bool = False, own_files: bool = False
) -> None:
    """The first response to an interaction of type `kind`."""
    known_fields(body, frozenset({"type", "data"}), "")
    callback, data = body.get("type"), body.get("data") or {}
    allowed = {
        COMMAND: {MESSAGE_CALLBACK, DEFER_CALLBACK, MODAL_CALLBACK},
        COMPONENT: {MESSAGE_CALLBACK, DEFER_CALLBACK, *UPDATES, MODAL_CALLBACK},
        AUTOCOMPLETE: {AUTOCOMPLETE_CALLBACK},
        MODAL: {MESSAGE_CALLBACK, DEFER_CALLBACK, *UPDATES},
    }[kind]
    if callback not in allowed:
        raise invalid("type", f"Interaction type {kind} takes no callback of type {callback}.")
    if callback == MESSAGE_CALLBACK:
        check_message(data, new=True, own_files=own_files)
    elif callback == UPDATE_CALLBACK:
        check_message(data, new=False, was_v2=on_v2, own_files=own_files)
    elif callback in (DEFER_CALLBACK, DEFER_UPDATE_CALLBACK) and set(data) - {"flags"}:
        raise invalid("data", "A deferred response carries flags only.")
    elif callback == AUTOCOMPLETE_CALLBACK:
        check_choices(data.get("choices"), "data.choices")
    elif callback == MODAL_CALLBACK:
        check_modal(data)


def check_choices(choices: Any, path: str) -> None:
    for n, choice in enumerate(at_most(choices, path, 25)):
        length(choice.get("name"), f"{path}.{n}.name", 1, 100)
        if isinstance(choice.get("value"), str):
            length(choice["value"], f"{path}.{n}.value", 0, 100)
        elif not isinstance(choice.get("value"), int | float):
            raise invalid(f"{path}.{n}.value", "This field is required.")

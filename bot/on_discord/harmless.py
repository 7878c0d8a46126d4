"""A model's words → the same words, harmless on Discord. Pure: strings in, strings out.

A model repeats what it read, and what it read may be written against us. So nothing it says pings,
unfolds a preview card, invites into another server, turns the reading direction, hides in characters
that nobody sees, or looks like the bot's own small print. Code and addresses stay as they are.
"""

from __future__ import annotations

import re

from discord.utils import escape_mentions

from bot.on_discord.pages import URL_PATTERN

_HOST_PATTERN = r"discord\.gg|discord(?:app)?\.com/invite|discord\.me|dsc\.gg|invite\.gg"
_INVITE_PATTERN = (
    rf"(?:https?://)?(?:www\.|ptb\.|canary\.)?(?P<host>{_HOST_PATTERN})"
    r"/+(?!…)[^\s<>()\[\]`]+"
)
_INVITE = re.compile(_INVITE_PATTERN, re.IGNORECASE)
_INVITING_HOST = re.compile(rf"(?:{_HOST_PATTERN})(?=/)", re.IGNORECASE)
# In this order: what stands first is not looked into for what stands later.
_QUIET = re.compile(
    rf"(?P<code>```.*?(?:```|\Z)|`[^`\n]+`)"
    rf"|(?P<invite>\[[^\[\]\n]*\]\(<?{_INVITE_PATTERN.replace('?P<host>', '?:')}>?\)"
    rf"|<?{_INVITE_PATTERN.replace('?P<host>', '?:')}>?)"
    rf"|\[(?P<label>[^\[\]\n]*)\]\(<?(?P<target>{URL_PATTERN})>?\)"
    rf"|(?P<angled><{URL_PATTERN}>)"
    rf"|(?P<bare>{URL_PATTERN})"
    rf"|(?P<mention>@(?:everyone|here|[!&]?[0-9]+))"
    rf"|(?P<command></[^<>\n]{{1,120}}:[0-9]{{1,20}}>)"
    rf"|(?P<small>^[ \t>]*-\#)",
    re.DOTALL | re.MULTILINE | re.IGNORECASE,
)
_AFTER_URL = ".,;:!?'\"*_~|`]}”’"

# Embeddings, overrides and isolates turn the reading direction of everything after them.
_TURNING = "\u202a-\u202e\u2066-\u2069"
# Zero-width space and joiners of words, fillers, soft hyphen, byte order mark, interlinear marks.
_UNSEEN = (
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b\u2060-\u2064\u206a-\u206f\u3164\ufeff"
    "\uffa0\ufff9-\ufffb\u200e\u200f"
)
_CONTROL = "\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029"
_STRIPPED = re.compile(f"[{_TURNING}{_UNSEEN}{_CONTROL}]")
# Emoji and some scripts need joiners between their letters; between others they only hide.
_JOINER = re.compile(r"(?<![^\x00-\u024f])[\u200c\u200d]+|[\u200c\u200d]+(?![^\x00-\u024f])")
# Tag characters spell flags after a black flag, and hidden messages anywhere else.
_TAGS = re.compile(r"(?<![\U0001f3f4\U000e0020-\U000e007f])[\U000e0000-\U000e007f]+")
_MOST_MARKS = 4
_MARKS = re.compile(
    rf"([\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u20d0-\u20ff]{{{_MOST_MARKS}}})"
    r"[\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u20d0-\u20ff]+"
)


def seen(text: str) -> str:
    """`text` without characters that can't be seen, or that turn what stands around them."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    text = _TAGS.sub("", _STRIPPED.sub("", text))
    return _MARKS.sub(r"\1", _JOINER.sub("", text))


def quiet(text: str) -> str:
    """A model's words with nothing that pings, lures or unfolds.

    `AllowedMentions.none()` already keeps Discord from pinging; the zero-width space keeps the
    words from pinging when another bot or a person repeats them.
    """
    return _QUIET.sub(_quiet_token, seen(text))


def _quiet_token(token: re.Match[str]) -> str:
    if token["invite"]:
        return _INVITE.sub(_without_code, token["invite"].rpartition("(")[2].strip("<>)"))
    if token["target"]:
        label = _INVITE.sub(_without_code, escape_mentions(token["label"]))
        return f"[{label}](<{_uninviting(token['target'])}>)"
    if token["bare"]:
        url = token["bare"].rstrip(_AFTER_URL)
        return f"<{_uninviting(url)}>{token['bare'][len(url) :]}"
    if token["angled"]:
        return _uninviting(token["angled"])
    if token["mention"]:
        return f"@\u200b{token['mention'][1:]}"
    if token["command"]:
        return f"<\u200b{token['command'][1:]}"
    if token["small"]:
        return token["small"].replace("-#", "\\-#")
    return token.group()


def _without_code(invite: re.Match[str]) -> str:
    """An invitation that can be read and not be followed."""
    return f"{invite['host'].lower()}/…"


def _uninviting(address: str) -> str:
    """An address that leads where it led, with no invitation to be found in it."""
    return _INVITING_HOST.sub(lambda host: host.group().replace(".", "%2E"), address)

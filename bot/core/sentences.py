"""Every sentence of the bots that a person can meet, in one place.

Sentences about errors of the gateway come with the errors themselves (`personae.errors`).
"""

from __future__ import annotations

from collections.abc import Iterable

THINKING = "…"
STOPPED = "Stopped."
NOTHING_SAID = "The model gave no answer. Please ask again in other words."
RESTARTING = "The bot is being stopped, so this ends here. Please ask again in a minute."
SOURCES = "Sources"
CONTINUED = "(continued)"
REWRITING = "Rewriting. The result appears here, for you only."
NOT_IN_CHANNEL = (
    "I'm not a member of this channel, so the answer comes here, for you only. "
    "Invite me to the channel and everybody can read along."
)
TOO_LONG_PRIVATELY = (
    "(Slack allows no more private messages for one command, so the rest is missing. "
    "Ask in a channel or a direct message for the whole.)"
)
CUT_SHORT = "(The answer reached its length limit.)"
UNEXPECTED = "Something went wrong on our side, and it was logged. Please try again."
COMMAND_CHANGED = (
    "This command has changed since your app last saw it. "
    "Reload Discord (Ctrl+R, or close the app and open it again) and try once more."
)
ADMINS_ONLY = "Only an administrator of this server may do that."
NO_ADMIN_KEY = (
    "This bot has no admin key. Set PERSONAE_ADMIN_KEY for the bot to the gateway's key, "
    "and start it again."
)
NO_PERSONAS = "This server has no personas yet. Its operator can add one under cast/."
ASK_USAGE = (
    "Usage: `/ask <persona> <question>`, for example `/ask lincoln What holds a nation together?`"
)
REWRITE_USAGE = (
    "Usage: `/rewrite <persona> <text>`, for example `/rewrite roosevelt We should try harder.`"
)
ADMIN_USAGE = (
    "Usage: `/personae reload <persona> [version]`, `/personae rollback <persona>`, "
    "`/personae list`"
)
MENTION_USAGE = (
    "Mention me with a persona and a question, "
    "for example `@personae lincoln What holds a nation together?`"
)


_ENDINGS = {1: "st", 2: "nd", 3: "rd"}


def disclosure(line: str) -> str:
    """The line under every answer. It says what this is: an imitation."""
    return f"— {line}"


def asked(who: str, persona: str, question: str) -> str:
    """The line above an answer in a channel, where the question itself was not visible."""
    return f"{who} asked {persona}: {question}"


def personas_here(ids: Iterable[str]) -> str:
    return f"Personas here: {', '.join(sorted(ids)) or 'none yet'}."


def in_line(position: int, seconds: float) -> str:
    """Where a question stands while others are answered."""
    ending = "th" if position % 100 in (11, 12, 13) else _ENDINGS.get(position % 10, "th")
    return f"In line: {position}{ending}, about {max(1, round(seconds))} s."


def retry_in(seconds: float) -> str:
    return f"(Try again in about {max(1, round(seconds))} s.)"

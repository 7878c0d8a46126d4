"""Every sentence of the bots that a person can meet, in one place.

Sentences about errors of the gateway come with the errors themselves (`personae.errors`).
"""

from __future__ import annotations

THINKING = "…"
STOPPED = "Stopped."
NOTHING_SAID = "The model gave no answer. Please ask again in other words."
CUT_SHORT = "(The answer reached its length limit.)"
UNEXPECTED = "Something went wrong on our side, and it was logged. Please try again."
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
ADMIN_USAGE = "Usage: `/personae reload <persona> [version]`, `/personae rollback <persona>`, `/personae list`"
MENTION_USAGE = "Mention me with a persona and a question, for example `@personae lincoln What holds a nation together?`"


def disclosure(line: str) -> str:
    """The line under every answer. It says what this is: an imitation."""
    return f"— {line}"


def retry_in(seconds: float) -> str:
    return f"(Try again in about {max(1, round(seconds))} s.)"

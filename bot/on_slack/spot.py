"""A spot in a Slack workspace where something can be shown. No I/O."""

from __future__ import annotations

from dataclasses import dataclass

from bot.core.people import Place


@dataclass(frozen=True)
class Spot:
    """Ids only: nothing here is a secret.

    Attributes:
        user: for whom it is: native streams and private messages need to know.
        direct: a conversation with the bot alone.
    """

    team: str
    channel: str
    user: str
    thread: str | None = None

    @property
    def direct(self) -> bool:
        return self.channel.startswith("D")

    @property
    def reference(self) -> dict[str, str]:
        found = {"team": self.team, "channel": self.channel, "user": self.user}
        return found | ({"thread": self.thread} if self.thread else {})

    def place(self) -> Place:
        return Place("slack", self.team, self.channel, self.thread, self.direct)


def spot_of(reference: dict[str, str]) -> Spot | None:
    """The spot that a surface's reference names; None where it names none."""
    if not {"team", "channel", "user"} <= reference.keys():
        return None
    return Spot(reference["team"], reference["channel"], reference["user"], reference.get("thread"))

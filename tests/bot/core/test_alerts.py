"""Unanswered questions reach the operator: at once, then together, and private ones as a count only."""

from __future__ import annotations

import asyncio

from bot.core.alerts import Alerts
from bot.core.sentences import speaker
from bot.state.store import State
from personae.wire import Delta
from tests.bot.core.bench import (
    DONE,
    META,
    SERVER,
    RecordedSurface,
    ScriptedGateway,
    ask,
    running_desk,
)

say = speaker("en")


class Board:
    """A channel that takes alerts; `open` holds them back."""

    def __init__(self) -> None:
        self.posted: list[tuple[str, str, str]] = []
        self.failures = 0

    async def post(self, server: str, channel: str, sentence: str) -> None:
        if self.failures:
            self.failures -= 1
            raise ConnectionError("the platform is away")
        self.posted.append((server, channel, sentence))

    async def until(self, count: int) -> None:
        while len(self.posted) < count:
            await asyncio.sleep(0.005)


async def test_the_first_is_told_at_once_and_the_rest_together() -> None:
    board = Board()
    alerts = Alerts(board.post, every_seconds=0.05)
    alerts.tell("s", "c", "Lincoln", "One?", say)
    await board.until(1)
    for number in range(8):
        alerts.tell("s", "c", "Lincoln", f"More {number}?", say)
    alerts.tell("s", "c", "Lincoln", None, say)
    alerts.tell("s", "c", "Roosevelt", "Else?", say)
    await board.until(3)
    texts = [text for _, _, text in board.posted]
    assert texts[0] == "Lincoln has not written about this and said so:\n- One?"
    together = next(text for text in texts[1:] if text.startswith("Lincoln"))
    assert "- More 4?" in together and "More 5" not in together
    assert "… and 3 more." in together and "(one private question)" in together
    while alerts._waiting:
        await asyncio.sleep(0.005)
    await alerts.close()


async def test_a_post_that_fails_does_not_end_the_next() -> None:
    board = Board()
    board.failures = 1
    alerts = Alerts(board.post, every_seconds=0.01)
    alerts.tell("s", "c", "Lincoln", "Lost?", say)
    await asyncio.sleep(0)
    alerts.tell("s", "c", "Lincoln", "Told?", say)
    await board.until(1)
    assert "Told?" in board.posted[0][2]
    await alerts.close()


async def test_an_abstained_answer_is_told_in_the_servers_channel(
    script: ScriptedGateway, state: State
) -> None:
    board = Board()
    abstained = DONE.model_copy(update={"finish_reason": "abstained"})
    script.script = [META, Delta(text="I have not written about it."), abstained]
    async with running_desk(script.url, state, alert=board.post, alert_seconds=0.01) as desk:
        await desk.answer(ask("Of computers?"), RecordedSurface())
        assert board.posted == [], "no channel is set"
        await state.set_setting("discord", SERVER, "", "alerts_channel", "ops")
        await desk.answer(ask("Of computers?"), RecordedSurface())
        await board.until(1)
        await desk.answer(ask("A secret?", private=True), RecordedSurface())
        await board.until(2)
    assert board.posted[0][:2] == (SERVER, "ops") and "- Of computers?" in board.posted[0][2]
    assert "secret" not in board.posted[1][2] and "one private question" in board.posted[1][2]

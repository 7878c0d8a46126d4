"""Answers that a process left without an end (a crash, a lost machine) are begun anew, or get a true end.

In: the open answers of processes that are gone, a function that finds the place again where one is shown, and
one that answers there. Each is taken up once: the state hands it to one process only, and an answer that is
cut off twice, or was begun long ago, is only told of.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from bot.core import views
from bot.core.people import Platform
from bot.core.sentences import speaker
from bot.core.surface import Surface
from bot.state.records import AnswerRecord
from bot.state.store import State
from personae.errors import PersonaeError

log = logging.getLogger(__name__)

Reopen = Callable[[AnswerRecord], Awaitable[Surface | None]]

Again = Callable[[AnswerRecord, Surface], Awaitable[bool]]
"""Answers the question of a record once more on a surface, and closes that; False where it can't be, and then
nothing was shown or closed."""

RECOVERED = "desk.recovered"
"""Key of ours among a record's `extra`: this answer was begun anew for one that was cut off."""
WORTH_SECONDS = 900.0
"""Nobody waits any longer for an answer; an older question is not asked again unasked."""
_AT_ONCE = 16
_SHOW_SECONDS = 120.0


async def recover(
    state: State, platform: Platform, owner: str, reopen: Reopen, again: Again
) -> int:
    """See each of them to an end; how many there were. What a platform raises is logged."""
    try:
        left = await state.open_answers(platform, owner)
    except PersonaeError as err:
        log.warning("answers that a restart cut off can't be looked for: %s", err)
        return 0
    some_at_once = asyncio.Semaphore(_AT_ONCE)

    async def end(record: AnswerRecord) -> None:
        async with some_at_once:
            await _end(state, record, reopen, again)

    await asyncio.gather(*(end(record) for record in left))
    if left:
        log.info("%d answers that a restart cut off were taken up", len(left))
    return len(left)


def _is_worth_another(record: AnswerRecord, now: float) -> bool:
    return (
        bool(record.question)
        and not record.private
        and RECOVERED not in record.extra
        and now - record.begun_at < WORTH_SECONDS
    )


async def _end(state: State, record: AnswerRecord, reopen: Reopen, again: Again) -> None:
    surface: Surface | None = None
    try:
        async with asyncio.timeout(_SHOW_SECONDS):
            surface = await reopen(record)
        worth = _is_worth_another(record, state.clock())
        if surface is not None and not surface.gone and worth:
            answered = await again(record, surface)
            if answered:
                surface = None  # closed with the answer
        async with asyncio.timeout(_SHOW_SECONDS):
            if surface is not None and not surface.gone:
                await surface.show(views.recovered(record, speaker(record.locale)))
    except Exception:
        log.warning("answer %s was cut off, and its end can't be shown", record.id, exc_info=True)
    finally:
        if surface is not None:
            await closed(surface)
    try:
        await state.end_answer(record.id, state="failed", text="")
    except PersonaeError as err:
        log.warning("answer %s was cut off, and stays open: %s", record.id, err)


async def closed(surface: Surface) -> None:
    """Close a surface, whatever its platform says to that."""
    try:
        await surface.close()
    except Exception:
        log.warning("a surface could not be closed", exc_info=True)

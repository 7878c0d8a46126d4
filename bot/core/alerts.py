"""Tells operators what a persona has not written about, at most once a minute for each persona.

The first question is told at once; those of the next minute go together. Only counts are told of private
questions and of people who keep nothing. It knows how to post through a function it is given.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from bot.core.sentences import Say
from bot.core.views import one_line

log = logging.getLogger(__name__)

Post = Callable[[str, str, str], Awaitable[None]]
"""Server, channel, Markdown."""

_MOST_TOLD = 5
_QUESTION_CHARACTERS = 300


@dataclass
class _Waiting:
    questions: list[str] = field(default_factory=list)
    more: int = 0
    private: int = 0

    def add(self, question: str | None) -> None:
        if question is None:
            self.private += 1
        elif len(self.questions) < _MOST_TOLD:
            self.questions.append(one_line(question, _QUESTION_CHARACTERS))
        else:
            self.more += 1

    @property
    def empty(self) -> bool:
        return not (self.questions or self.private)


class Alerts:
    def __init__(self, post: Post | None, *, every_seconds: float = 60.0) -> None:
        self._post = post
        self._every_seconds = every_seconds
        self._waiting: dict[tuple[str, str, str], _Waiting] = {}
        self._telling: set[asyncio.Task[None]] = set()

    def tell(self, server: str, channel: str, persona: str, question: str | None, say: Say) -> None:
        """A persona abstained. `question` None: nobody else may read it."""
        if self._post is None:
            return
        key = (server, channel, persona)
        waiting = self._waiting.get(key)
        if waiting is not None:
            waiting.add(question)
            return
        self._waiting[key] = _Waiting()
        self._waiting[key].add(question)
        task = asyncio.create_task(self._tell(key, say), name="alert")
        self._telling.add(task)
        task.add_done_callback(self._telling.discard)

    async def close(self) -> None:
        running = set(self._telling)
        for task in running:
            task.cancel()
        if running:
            await asyncio.wait(running)

    async def _tell(self, key: tuple[str, str, str], say: Say) -> None:
        """What is there now, then a minute's worth, until a minute was quiet."""
        assert self._post is not None
        server, channel, persona = key
        try:
            while not (told := self._waiting[key]).empty:
                self._waiting[key] = _Waiting()
                try:
                    await self._post(server, channel, _sentence(persona, told, say))
                except Exception:
                    # Whatever a platform raises: an alert that is lost must not end those after it.
                    log.warning("an alert about %s could not be posted", persona, exc_info=True)
                await asyncio.sleep(self._every_seconds)
        finally:
            del self._waiting[key]


def _sentence(persona: str, told: _Waiting, say: Say) -> str:
    lines = [say("alert-title", persona=persona)]
    lines += [f"- {say('alert-question', question=question)}" for question in told.questions]
    if told.more:
        lines.append(say("alert-more", count=told.more))
    if told.private:
        lines.append(say("alert-private", count=told.private))
    return "\n".join(lines)

"""A state whose clock the test sets."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from bot.state.records import AnswerRecord
from bot.state.store import State

NOON = 1_800_014_400.0
"""Some noon, UTC."""
DAY = 86400.0


class Clock:
    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def state(state_url: str, clock: Clock) -> AsyncIterator[State]:
    async with State.open(state_url, clock=clock) as state:
        yield state


def an_answer(number: object, **changes: Any) -> AnswerRecord:
    """Ada's answer with this number in #general, on Discord."""
    values: dict[str, Any] = {
        "id": f"a{number}",
        "platform": "discord",
        "owner": "app",
        "server": "S",
        "channel": "C",
        "thread": "T",
        "conversation": "discord:S:C:T",
        "person_key": "discord:ada",
        "person_name": "Ada",
        "task": "ask",
        "persona": "lincoln",
        "question": "What about Toronto?",
    }
    return AnswerRecord(**(values | changes))


async def ended(state: State, record: AnswerRecord, *, keep: bool = True, **changes: Any) -> None:
    """Begin and finish an answer."""
    values: dict[str, Any] = {
        "state": "finished",
        "text": "Four score …",
        "persona": record.persona,
        "adapter_version": "v2",
        "base_model": "smollm2-135m",
        "prompt_fingerprint": "f1",
        "request_id": f"r-{record.id}",
        "citations": [{"title": "Address", "url": "https://example.org/1"}],
    }
    await state.begin_answer(record, keep=keep)
    await state.end_answer(record.id, **(values | changes))


async def said(
    state: State, number: object, *, person: str = "discord:ada", **changes: Any
) -> None:
    """A question and its answer in the conversation of `an_answer`; the answer is begun if need be."""
    values: dict[str, Any] = {
        "person_key": person,
        "question": f"question {number}",
        "answer": f"answer {number}",
        "answer_id": f"a{number}",
        "most_turns": 12,
    }
    key = changes.pop("key", "discord:S:C:T")
    values |= changes
    if await state.answer(values["answer_id"]) is None:
        await state.begin_answer(an_answer(number, person_key=person, conversation=key))
    await state.remember(key, **values)

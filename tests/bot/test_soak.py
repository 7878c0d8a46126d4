"""A leak makes a soak fail: of objects known or new, of dead references, of tasks, of memory."""

from __future__ import annotations

from typing import Any

import pytest

from tests.bot.soak import figures, flat

DEAD = "weakref.ReferenceType of NoneType"


def looks(**grows: float) -> list[dict[str, Any]]:
    """An hour of looks, a hundred questions apart; each name grows by so much with every question."""
    told = []
    for asked in range(0, 3_000, 100):
        types = {"builtins.dict": 50_000, DEAD: 300}
        if "new" in grows and asked >= 500:
            types["ours.New"] = int((asked - 500) * grows["new"])
        types["builtins.dict"] += int(asked * grows.get("old", 0))
        types[DEAD] += int(asked * grows.get("dead", 0))
        told.append(
            {
                "asked": asked,
                "rss_bytes": (100 << 20) + int(asked * grows.get("bytes", 0)),
                "objects": sum(types.values()),
                "tasks": 20 + int(asked * grows.get("tasks", 0)),
                "types": types,
                "longest_step_cpu_seconds": 0.01,
            }
        )
    return told


def is_flat(told: list[dict[str, Any]], complaints: tuple[str, ...] = ()) -> bool:
    return flat(figures(told) | {"complaints": list(complaints)})


def test_nothing_grows() -> None:
    assert is_flat(looks()) and is_flat(looks(old=0.01, dead=0.1, bytes=100))


@pytest.mark.parametrize("what", ["old", "new", "dead", "tasks"])
def test_one_for_each_question_is_a_leak(what: str) -> None:
    assert not is_flat(looks(**{what: 1.0}))


def test_memory_that_grows_and_a_platform_that_complains() -> None:
    assert not is_flat(looks(bytes=8_000))
    assert not is_flat(looks(), complaints=("a 429 was ignored",))

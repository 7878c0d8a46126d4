"""How many adapters an engine is started for, and who gets the places.

In: sizes of the cast and of the configuration. Out: vLLM's arguments, and the room that guests have. Pure.
"""

from __future__ import annotations

_KEPT_FREE = 2
"""Slots: one for a version that is being tried, and one that stays free (see serving/vllm_plugin)."""


def engine_arguments_for(cast_size: int, slots: int, *, guests: int = 0) -> dict[str, int]:
    """How many adapters the engine holds.

    In one batch: every persona's live version, the guests beside them, one that is being tried, and a
    free slot (see serving/vllm_plugin). In memory: twice that and two, so live and previous versions of
    all fit beside those that drain. Source of the sizes: research on slot starvation.
    """
    on_device = max(slots, cast_size + guests + _KEPT_FREE)
    return {"max_loras": on_device, "max_cpu_loras": 2 * on_device + 2}


def room_for_guests(cast_size: int, guests: int, slots: int | None) -> int:
    """How many guests there is room for: personas that joined a running engine take their places.

    >>> engine_arguments_for(4, 6, guests=4)["max_loras"]
    10
    >>> [room_for_guests(size, 4, 10) for size in (4, 6, 12)]
    [4, 2, 0]
    """
    if slots is None:
        return guests
    return max(0, min(guests, slots - _KEPT_FREE - cast_size))

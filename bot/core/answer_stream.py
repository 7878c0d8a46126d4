"""The events of one answer, whatever becomes of the gateway that gives them.

In: a way to ask a gateway at an address. Out: the events, once. Where a gateway goes away amid its answer (it
was killed, it is being restarted, the network broke), the question is asked again, at another gateway or at
the same one once it is back, and `Anew` says that what came before is void. A gateway that refuses because it
can't answer now is passed over, too. Nobody is waited for who never took the question.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass

from bot.core.gateways import Gateways
from personae.errors import Busy, EngineUnavailable, GatewayRestarting, PersonaeError
from personae.wire import ErrorEvent, Event

_FIRST_PAUSE_SECONDS = 0.5
_LONGEST_PAUSE_SECONDS = 4.0


@dataclass(frozen=True)
class Anew:
    """The answer broke off and begins again: forget what was said."""


class Lost(Exception):
    """A gateway took the question and went away with it."""

    def __init__(self, error: PersonaeError) -> None:
        super().__init__(error.message)
        self.error = error


Ask = Callable[[str], AsyncGenerator[Event, None]]
"""An answer of the gateway at this address, to its `Done` or `ErrorEvent`. Raises `Lost`,
or a `PersonaeError` where the gateway refused."""


async def told(
    ask: Ask, gateways: Gateways, *, person: str | None, restart_seconds: float
) -> AsyncGenerator[Event | Anew, None]:
    """The events of one answer, ending with `Done` or `ErrorEvent`.

    Args:
        restart_seconds: how long somebody who was answered already waits for a gateway to be there again;
            0: the others are asked once, and nobody waits.

    Raises:
        PersonaeError: before the first event only: no gateway takes the question.
    """
    most_losses = max(2 if restart_seconds else 1, len(gateways.addresses))
    losses = 0
    until: float | None = None
    pause = _FIRST_PAUSE_SECONDS
    now = asyncio.get_running_loop().time
    while True:
        failure: PersonaeError | None = None
        for address in gateways.in_order(person):
            try:
                async with contextlib.aclosing(ask(address)) as events:
                    async for event in events:
                        yield event
                gateways.answered(address)
                return
            except Lost as lost:
                gateways.failed(address)
                failure, losses = lost.error, losses + 1
                if losses >= most_losses:
                    yield ErrorEvent(**failure.to_wire())
                    return
                until = until or now() + restart_seconds
                yield Anew()
            except (EngineUnavailable, Busy) as err:
                failure = err
                if isinstance(err, EngineUnavailable):
                    gateways.failed(address)
                elif until is None:
                    break  # they share the work: where one has too much of it, all have
                if isinstance(err, GatewayRestarting) and restart_seconds:
                    until = until or now() + restart_seconds  # it promises to come back
            except PersonaeError as err:
                failure, until = err, None
                break
        assert failure is not None
        if until is None or now() >= until:
            if not losses:
                raise failure
            yield ErrorEvent(**failure.to_wire())
            return
        await asyncio.sleep(pause)
        pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)

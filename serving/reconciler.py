"""The tasks that make an engine follow the ledger, for as long as the gateway runs.

`keep_reconciled` mends everything every few seconds; `keep_followed` asks twice a second whether another
gateway has moved a pointer, so that all of them speak with the same version within two seconds.
"""

from __future__ import annotations

import asyncio
import logging

from personae.errors import PersonaeError
from serving.adapters import Adapters
from serving.engine_host import EngineHost

log = logging.getLogger(__name__)

FOLLOW_SECONDS = 0.5


async def keep_reconciled(adapters: Adapters, engine: EngineHost, *, every_seconds: float) -> None:
    """Reconcile until cancelled. An engine that is not ready is `Adapters.restore`'s business."""
    while True:
        await asyncio.sleep(every_seconds)
        if not engine.ready:
            continue
        try:
            await adapters.reconcile()
        except PersonaeError as err:
            log.warning("adapters could not be reconciled: %s", err)
        except Exception:  # whatever it was, the next time may go well
            log.exception("a reconciliation failed")


async def keep_followed(
    adapters: Adapters, engine: EngineHost, *, every_seconds: float = FOLLOW_SECONDS
) -> None:
    """Follow pointers that moved, until cancelled. A persona that loads holds up no other."""
    following: dict[str, asyncio.Task[None]] = {}
    failing = False
    try:
        while True:
            await asyncio.sleep(every_seconds)
            if not engine.ready:
                continue
            try:
                changed = await adapters.changed_elsewhere()
                failing = False
            except PersonaeError as err:
                if not failing:  # twice a second would drown the log
                    log.warning("changes by other gateways can't be seen: %s", err)
                failing = True
                continue
            for persona in changed:
                if persona not in following or following[persona].done():
                    following[persona] = asyncio.create_task(
                        _follow(adapters, persona), name=f"follow-{persona}"
                    )
    finally:
        for task in following.values():
            task.cancel()
        await asyncio.gather(*following.values(), return_exceptions=True)


async def _follow(adapters: Adapters, persona: str) -> None:
    try:
        await adapters.follow(persona)
    except PersonaeError as err:
        log.warning("%s: a change can't be followed yet: %s", persona, err)
    except Exception:  # whatever it was, the next time may go well
        log.exception("%s: following a change failed", persona)

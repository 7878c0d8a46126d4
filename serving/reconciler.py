"""The task that makes an engine follow the ledger, every few seconds, for as long as the gateway runs."""

from __future__ import annotations

import asyncio
import logging

from personae.errors import PersonaeError
from serving.adapters import Adapters
from serving.engine_host import EngineHost

log = logging.getLogger(__name__)


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

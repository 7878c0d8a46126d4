"""What is written down about changes of adapters: lines of the ledger's history, numbers, the log.

A change that moves the pointer is written with it, or not made (`Ledger.swap`). Everything else that
happened is noted as well as it can be: a history that can't be written hides no error from anybody.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Literal

from personae.errors import DiskFull, LedgerUnavailable, PersonaeError
from personae.wire import AdapterChange
from serving.ledger import Change, Ledger

log = logging.getLogger(__name__)

Action = Literal["adopt", "reload", "rollback", "fallback", "restore"]
Outcome = Literal["done", "unchanged", "refused"]


@dataclass(frozen=True)
class Cause:
    """Who wants a change, from where, and why."""

    actor: str
    surface: str
    reason: str = ""

    @classmethod
    def of(cls, change: AdapterChange) -> Cause:
        return cls(change.actor, change.surface, change.reason)


OURS = Cause("personae", "gateway")
FIRST_START = Cause("personae", "gateway", "first start with this base model")
WATCH = Cause("watch", "gateway", "a new version appeared in the registry")


class ChangeLog:
    """Changes of the personas on one base model.

    Args:
        observe: called as (persona, action, outcome) after each, for metrics.
    """

    def __init__(
        self, ledger: Ledger, *, base_model: str, observe: Callable[[str, str, str], None]
    ) -> None:
        self._ledger = ledger
        self._base_model = base_model
        self.observe = observe

    def line(
        self,
        persona: str,
        action: Action,
        before: int | None,
        after: int | None,
        cause: Cause,
        outcome: Outcome,
        message: str,
    ) -> Change:
        return Change(
            persona=persona,
            base_model=self._base_model,
            action=action,
            before=before,
            after=after,
            actor=cause.actor,
            surface=cause.surface,
            reason=cause.reason,
            outcome=outcome,
            message=message,
        )

    async def note(self, line: Change) -> None:
        """Write down what moved no pointer."""
        self.observe(line.persona, line.action, line.outcome)
        try:
            await asyncio.to_thread(self._ledger.record, line)
        except (DiskFull, LedgerUnavailable) as err:
            log.error("%s of %s is not in the history: %s", line.action, line.persona, err)

    @contextlib.asynccontextmanager
    async def refusals(
        self, persona: str, action: Action, live: int | None, cause: Cause
    ) -> AsyncIterator[None]:
        """Note what a change was refused for; the refusal itself goes on to whoever asked."""
        try:
            yield
        except PersonaeError as err:
            log.warning("%s of %s refused: %s", action, persona, err.code)
            await self.note(self.line(persona, action, live, live, cause, "refused", str(err)))
            raise

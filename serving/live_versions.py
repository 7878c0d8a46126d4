"""Which version speaks for each persona: the ledger's pointer is the wish, and this is what comes of it.

When the live version can't be used (its folder is gone, say) another one speaks, `problem` tells, and the
pointer stays, so that the wish comes true once it can. Whoever changes a persona here holds its lock
(`serving.adapters`).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable

from personae.errors import AdapterError, DiskFull, LedgerUnavailable
from personae.registry import Registry
from personae.wire import AdapterOutcome
from serving.change_log import FIRST_START, OURS, Action, Cause, ChangeLog
from serving.ledger import Ledger, Pointer
from serving.loaded_adapters import LoadedAdapters
from serving.variants import Voice

log = logging.getLogger(__name__)


class LiveVersions:
    """The versions of a cast that speak on one base model.

    Args:
        base_model: its id, under which the ledger keeps the pointers.
    """

    def __init__(
        self,
        *,
        registry: Registry,
        ledger: Ledger,
        loaded: LoadedAdapters,
        changes: ChangeLog,
        base_model: str,
    ) -> None:
        self._registry = registry
        self._ledger = ledger
        self._loaded = loaded
        self._changes = changes
        self._base_model = base_model
        self._pointers: dict[str, Pointer] = {}
        """As last seen in the ledger."""
        self._speaking: dict[str, int] = {}
        self._to_adopt: set[str] = set()
        self._problems: dict[str, str] = {}

    def speaking(self, persona: str) -> int | None:
        """The version that speaks; None for the base model."""
        return self._speaking.get(persona)

    def pointer(self, persona: str) -> Pointer:
        """The live and the previous version by the ledger, as this process last saw it."""
        return self._pointers.get(persona, Pointer())

    def problem(self, persona: str) -> str | None:
        """Why a persona does not speak with the version it should."""
        return self._problems.get(persona)

    def needed(self, personas: Iterable[str]) -> set[str]:
        """Names of the versions that have to stay in the engine."""
        names = set()
        for persona in personas:
            pointer = self.pointer(persona)
            versions = (pointer.live, pointer.previous, self.speaking(persona))
            names |= {Voice(persona, version).name for version in versions if version is not None}
        return names

    def silence(self, persona: str) -> None:
        """Let no version speak until `follow` has looked again."""
        self._speaking.pop(persona, None)

    def forget(self, persona: str) -> None:
        """It has left the cast. What the ledger says of it stays there."""
        self.silence(persona)
        self._pointers.pop(persona, None)
        self._problems.pop(persona, None)
        self._to_adopt.discard(persona)

    def adopt_later(self, persona: str) -> None:
        """Let the newest version that fits go live at the next look, if no version is live then."""
        if self.pointer(persona).live is None:
            self._to_adopt.add(persona)

    # -- a change ----------------------------------------------------------------------------------

    async def commit(
        self, persona: str, action: Action, version: int, cause: Cause
    ) -> AdapterOutcome:
        """Put a sound version in charge: the ledger first, then this process.

        Raises:
            AdapterError: somebody else moved the pointer at the same moment.
            DiskFull, LedgerUnavailable: it can't be recorded. Nothing has changed.
        """
        before, spoke = self.pointer(persona), self._speaking.get(persona)
        after, came_from = before, ""  # a live version that is usable again moves nothing
        if before.live != version:
            after = Pointer(
                live=version, previous=before.live if spoke in (None, version) else spoke
            )
            came_from = f", before that {version_name(before.live)}" if before.live else ""
        message = f"{persona} now speaks with {version_name(version)}{came_from}."
        if (notice := self._loaded.forced_notice(Voice(persona, version).name)) is not None:
            message += f" {notice}"
        line = self._changes.line(persona, action, before.live, version, cause, "done", message)
        if not await asyncio.to_thread(self._ledger.swap, before, after, line):
            raise AdapterError(
                f"Somebody else changed {persona} at the same moment; their change stands. "
                "Look at the list of versions and try again if it is still wanted."
            )
        self._pointers[persona] = after
        self._speaking[persona] = version
        self._problems.pop(persona, None)
        self._to_adopt.discard(persona)
        self._changes.observe(persona, action, "done")
        log.info("%s of %s: %s → v%d", action, persona, version_name(before.live), version)
        return self.outcome(persona, changed=True, message=message)

    def outcome(self, persona: str, *, changed: bool, message: str) -> AdapterOutcome:
        pointer = self.pointer(persona)
        return AdapterOutcome(
            persona=persona,
            live=version_name(pointer.live),
            previous=version_name(pointer.previous),
            changed=changed,
            message=message,
        )

    # -- the ledger is followed --------------------------------------------------------------------

    async def follow(self, persona: str) -> None:
        """Make the engine hold what the ledger says of a persona, and let that speak."""
        try:
            pointer = await asyncio.to_thread(self._ledger.pointer, persona, self._base_model)
        except (DiskFull, LedgerUnavailable) as err:
            log.error("%s: %s", persona, err)
            if persona not in self._pointers:
                self._problems[persona] = str(err)
                return
            pointer = self._pointers[persona]
        if pointer != self.pointer(persona):
            log.info("%s: the ledger says %s", persona, pointer)
        self._pointers[persona] = pointer
        if pointer.live is None:
            if persona in self._to_adopt:
                await self._adopt(persona)
            return
        self._to_adopt.discard(persona)
        why = await self._loaded.why_unusable(Voice(persona, pointer.live))
        if why is None:
            await self._speak_as_wished(persona, pointer)
        else:
            await self._fall_back(persona, pointer, why)
        if pointer.previous is not None:  # kept warm; if it fails, that is logged
            await self._loaded.why_unusable(Voice(persona, pointer.previous))

    async def _speak_as_wished(self, persona: str, pointer: Pointer) -> None:
        spoke = self._speaking.get(persona)
        assert pointer.live is not None
        self._speaking[persona] = pointer.live
        if self._problems.pop(persona, None) is not None:
            message = f"{persona} speaks with {version_name(pointer.live)} again."
            line = self._changes.line(
                persona, "restore", spoke, pointer.live, OURS, "done", message
            )
            await self._changes.note(line)

    async def _fall_back(self, persona: str, pointer: Pointer, why: str) -> None:
        """The live version can't be used: the one that speaks goes on, or the previous, or the base."""
        now: int | None = None
        for version in (self._speaking.get(persona), pointer.previous):
            if version is None or version == pointer.live:
                continue
            if await self._loaded.why_unusable(Voice(persona, version)) is None:
                now = version
                break
        if now is None:
            self._speaking.pop(persona, None)
        else:
            self._speaking[persona] = now
        instead = "it answers by prompt only" if now is None else f"it speaks with v{now}"
        problem = f"{persona} should speak with v{pointer.live}. {why} Until then {instead}."
        if self._problems.get(persona) != problem:
            self._problems[persona] = problem
            log.error("%s", problem)
            line = self._changes.line(persona, "fallback", pointer.live, now, OURS, "done", problem)
            await self._changes.note(line)

    async def _adopt(self, persona: str) -> None:
        """First start with this base: the newest version that fits becomes live."""
        self._problems.pop(persona, None)
        for target in reversed(await asyncio.to_thread(self._registry.versions, persona)):
            why = await self._loaded.why_unusable(Voice(persona, target.version))
            if why is not None:
                self._problems.setdefault(persona, why)
                continue
            try:
                await self.commit(persona, "adopt", target.version, FIRST_START)
            except (DiskFull, LedgerUnavailable) as err:
                self._problems[persona] = str(err)  # the next reconciliation tries again
            except AdapterError:  # another gateway adopted at the same moment
                self._to_adopt.discard(persona)
                await self.follow(persona)
            return
        self._to_adopt.discard(persona)


def version_name(version: int | None) -> str | None:
    """3 → "v3"."""
    return None if version is None else f"v{version}"

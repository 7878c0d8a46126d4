"""The life cycle of adapters: which version speaks for a persona, and how that changes safely.

    reload     verify offline → load beside the old one → canary → swap the ledger's pointer
    rollback   back to the version before, which is kept loaded: only the pointer moves
    reconcile  every few seconds: make the engine hold what the ledger says, whoever moved the pointer;
               unload what nobody needs any more; in watch mode, take up new versions
    restore    the same for a fresh engine, before anybody is answered

A request takes a lease once and keeps its version to the end. A step that fails leaves everything as
it was and says why. The ledger's pointer is the wish; when the live version can't be used (its folder
is gone, say) another one speaks, `problem` tells, and the pointer stays, so that the wish comes true
once it can. One lock a persona; personas never wait for each other.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass

from personae.errors import (
    AdapterError,
    DiskFull,
    EngineUnavailable,
    LedgerUnavailable,
    NothingToRollBack,
    PersonaeError,
)
from personae.manifest import BaseModelRef
from personae.persona import Cast
from personae.registry import RegisteredVersion, Registry, engine_name, parse_version
from personae.wire import AdapterChange, AdapterOutcome
from serving.change_log import FIRST_START, OURS, WATCH, Action, Cause, ChangeLog
from serving.engine_client import EngineClient
from serving.ledger import Ledger, Pointer
from serving.loaded_adapters import LoadedAdapters

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Lease:
    """What one request speaks with, from its first token to its last."""

    engine_model: str
    version: str | None
    """ "v3", or None for the base model by prompt only."""


class Adapters:
    """Adapter versions of a cast on one base model.

    Args:
        base_model, base_shapes, unload_grace_seconds: see LoadedAdapters.
        no_base_traffic: a sentence that says why the base model may not answer while adapters are
            loaded; None where it may.
        watch: whether a new version in the registry goes live by itself.
        observe: called as (persona, action, outcome) after each change, for metrics.
    """

    def __init__(
        self,
        *,
        cast: Cast,
        registry: Registry,
        ledger: Ledger,
        engine: EngineClient,
        base_model: BaseModelRef,
        base_shapes: Mapping[str, tuple[int, int]] | None = None,
        unload_grace_seconds: float = 30.0,
        no_base_traffic: str | None = None,
        watch: bool = False,
        observe: Callable[[str, str, str], None] = lambda persona, action, outcome: None,
    ) -> None:
        self._cast = cast
        self._registry = registry
        self._ledger = ledger
        self._base_model = base_model
        self._no_base_traffic = no_base_traffic
        self._watch = watch
        self._log = ChangeLog(ledger, base_model=base_model.id, observe=observe)
        self._loaded = LoadedAdapters(
            cast=cast,
            registry=registry,
            engine=engine,
            base_model=base_model,
            base_shapes=base_shapes,
            base_speaks_for_itself=no_base_traffic is None,
            unload_grace_seconds=unload_grace_seconds,
        )
        self._pointers: dict[str, Pointer] = {}
        """As last seen in the ledger."""
        self._speaking: dict[str, int] = {}
        self._to_adopt: set[str] = set()
        self._problems: dict[str, str] = {}
        self._locks = {persona: asyncio.Lock() for persona in cast}
        engine.bring_back = self._bring_back

    def live_version(self, persona: str) -> str | None:
        """The version that speaks."""
        return version_name(self._speaking.get(persona))

    def pointer(self, persona: str) -> Pointer:
        """The live and the previous version by the ledger, as this process last saw it."""
        return self._pointers.get(persona, Pointer())

    def problem(self, persona: str) -> str | None:
        """Why a persona does not speak with the version it should, or not at all."""
        mute = self._no_base_traffic if self._is_mute(persona) else None
        sentences = (self._problems.get(persona), mute)
        return " ".join(sentence for sentence in sentences if sentence) or None

    def forced_notice(self, persona: str) -> str | None:
        """What to know of the version that speaks, if it was published although gates failed."""
        version = self._speaking.get(persona)
        if version is None:
            return None
        return self._loaded.forced_notice(engine_name(persona, version))

    def verify(self, target: RegisteredVersion) -> None:
        """Check a version offline, as a reload would; see LoadedAdapters."""
        self._loaded.verify(target)

    def require_voice(self, persona: str) -> None:
        """Raises EngineUnavailable: the base model would have to answer, and may not."""
        if self._is_mute(persona):
            name = self._cast[persona].display_name
            raise EngineUnavailable(f"{name} can't answer now. {self._no_base_traffic}")

    def _is_mute(self, persona: str) -> bool:
        return (
            self._no_base_traffic is not None
            and persona not in self._speaking
            and bool(self._loaded)
        )

    @contextlib.contextmanager
    def lease(self, persona: str) -> Iterator[Lease]:
        """The version that speaks, held until the block ends.

        Raises:
            EngineUnavailable: as `require_voice`.
        """
        self.require_voice(persona)
        version = self._speaking.get(persona)
        if version is None:
            yield Lease(engine_model=self._base_model.id, version=None)
            return
        name = engine_name(persona, version)
        with self._loaded.leased(name):
            yield Lease(engine_model=name, version=version_name(version))

    # -- changes an admin asks for -----------------------------------------------------------------

    async def reload(self, persona: str, change: AdapterChange) -> AdapterOutcome:
        """Move the live pointer to the version asked for, or to the newest.

        Raises:
            UnknownPersona, UnknownVersion, AdapterError, EngineUnavailable, DiskFull,
            LedgerUnavailable: nothing has changed.
        """
        self._cast[persona]
        cause = Cause.of(change)
        async with self._changing(persona, "reload", cause):
            wanted = None if change.version is None else parse_version(change.version)
            target = await asyncio.to_thread(self._registry.find, persona, wanted)
            return await self._reload(persona, target, cause)

    async def rollback(self, persona: str, change: AdapterChange) -> AdapterOutcome:
        """Move the live pointer back to the version that was live before.

        One that is loaded was proven when it was, so nothing is read or asked again.

        Raises:
            NothingToRollBack: there was none.
            UnknownPersona, AdapterError, EngineUnavailable, DiskFull, LedgerUnavailable: nothing has
                changed.
        """
        self._cast[persona]
        cause = Cause.of(change)
        async with self._changing(persona, "rollback", cause):
            before = self.pointer(persona)
            if before.previous is None:
                raise NothingToRollBack(
                    f"{persona} has no version before {version_name(before.live) or 'this one'} "
                    "to go back to."
                )
            await self._loaded.look()
            if not self._loaded.is_sound(engine_name(persona, before.previous)):
                target = await asyncio.to_thread(self._registry.find, persona, before.previous)
                await self._loaded.bring_up(target)
            return await self._commit(persona, "rollback", before.previous, cause)

    @contextlib.asynccontextmanager
    async def _changing(self, persona: str, action: Action, cause: Cause) -> AsyncIterator[None]:
        async with self._locks[persona]:
            live = self.pointer(persona).live
            async with self._log.refusals(persona, action, live, cause):
                yield

    async def _reload(
        self, persona: str, target: RegisteredVersion, cause: Cause
    ) -> AdapterOutcome:
        await self._loaded.look()
        live = self.pointer(persona).live
        speaks = target.version == live == self._speaking.get(persona)
        if speaks and self._loaded.is_sound(target.engine_name):
            message = f"{persona} already speaks with {target.name}."
            line = self._log.line(persona, "reload", live, live, cause, "unchanged", message)
            await self._log.note(line)
            return self._outcome(persona, changed=False, message=message)
        await self._loaded.bring_up(target)
        return await self._commit(persona, "reload", target.version, cause)

    async def _commit(
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
        if (notice := self._loaded.forced_notice(engine_name(persona, version))) is not None:
            message += f" {notice}"
        line = self._log.line(persona, action, before.live, version, cause, "done", message)
        if not await asyncio.to_thread(self._ledger.swap, before, after, line):
            raise AdapterError(
                f"Somebody else changed {persona} at the same moment; their change stands. "
                "Look at the list of versions and try again if it is still wanted."
            )
        self._pointers[persona] = after
        self._speaking[persona] = version
        self._problems.pop(persona, None)
        self._to_adopt.discard(persona)
        self._log.observe(persona, action, "done")
        log.info("%s of %s: %s → v%d", action, persona, version_name(before.live), version)
        return self._outcome(persona, changed=True, message=message)

    def _outcome(self, persona: str, *, changed: bool, message: str) -> AdapterOutcome:
        pointer = self.pointer(persona)
        return AdapterOutcome(
            persona=persona,
            live=version_name(pointer.live),
            previous=version_name(pointer.previous),
            changed=changed,
            message=message,
        )

    # -- the engine follows the ledger -------------------------------------------------------------

    async def restore(self) -> None:
        """Make a fresh engine hold what the ledger says. A version that fails is told, not fatal.

        Raises:
            EngineUnavailable: the engine is gone again.
        """
        self._loaded.forget()
        self._loaded.serving = False
        try:
            await self._loaded.look()
            for persona in self._cast:
                async with self._locks[persona]:
                    if self.pointer(persona).live is None:
                        self._to_adopt.add(persona)
                    await self._follow(persona)
        finally:
            self._loaded.serving = True

    async def reconcile(self) -> None:
        """Mend what differs from the ledger, and let go what nobody needs.

        A persona that is being changed is left alone until the next time.

        Raises:
            EngineUnavailable: the engine does not answer.
        """
        await self._loaded.look()
        for persona in self._cast:
            if self._locks[persona].locked():
                continue
            async with self._locks[persona]:
                await self._follow(persona)
                if self._watch:
                    await self._take_newest(persona)
                pointer = self.pointer(persona)
                needed = {pointer.live, pointer.previous, self._speaking.get(persona)}
                keep = {engine_name(persona, version) for version in needed if version is not None}
                await self._loaded.unload_idle(persona, keep=keep)

    async def _follow(self, persona: str) -> None:
        try:
            pointer = await asyncio.to_thread(self._ledger.pointer, persona, self._base_model.id)
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
        why = await self._loaded.why_unusable(persona, pointer.live)
        if why is None:
            await self._speak_as_wished(persona, pointer)
        else:
            await self._fall_back(persona, pointer, why)
        if pointer.previous is not None:
            await self._loaded.why_unusable(
                persona, pointer.previous
            )  # kept warm; if it fails, that is logged

    async def _speak_as_wished(self, persona: str, pointer: Pointer) -> None:
        spoke = self._speaking.get(persona)
        assert pointer.live is not None
        self._speaking[persona] = pointer.live
        if self._problems.pop(persona, None) is not None:
            message = f"{persona} speaks with {version_name(pointer.live)} again."
            line = self._log.line(persona, "restore", spoke, pointer.live, OURS, "done", message)
            await self._log.note(line)

    async def _fall_back(self, persona: str, pointer: Pointer, why: str) -> None:
        """The live version can't be used: the one that speaks goes on, or the previous, or the base."""
        now: int | None = None
        for version in (self._speaking.get(persona), pointer.previous):
            if version is None or version == pointer.live:
                continue
            if await self._loaded.why_unusable(persona, version) is None:
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
            line = self._log.line(persona, "fallback", pointer.live, now, OURS, "done", problem)
            await self._log.note(line)

    async def _adopt(self, persona: str) -> None:
        """First start with this base: the newest version that fits becomes live."""
        self._problems.pop(persona, None)
        for target in reversed(await asyncio.to_thread(self._registry.versions, persona)):
            why = await self._loaded.why_unusable(persona, target.version)
            if why is not None:
                self._problems.setdefault(persona, why)
                continue
            try:
                await self._commit(persona, "adopt", target.version, FIRST_START)
            except (DiskFull, LedgerUnavailable) as err:
                self._problems[persona] = str(err)  # the next reconciliation tries again
            except AdapterError:  # another gateway adopted at the same moment
                self._to_adopt.discard(persona)
                await self._follow(persona)
            return
        self._to_adopt.discard(persona)

    async def _take_newest(self, persona: str) -> None:
        """Watch mode: a version above all that ever were live goes live. A refused one is not asked
        again until its folder changes."""
        versions = await asyncio.to_thread(self._registry.versions, persona)
        newest = versions[-1].version if versions else 0
        if newest <= (self.pointer(persona).live or 0):
            return
        try:
            ever = await asyncio.to_thread(
                self._ledger.newest_ever_live, persona, self._base_model.id
            )
        except (DiskFull, LedgerUnavailable) as err:
            log.error("%s: %s", persona, err)
            return
        for target in reversed(versions):
            if target.version <= ever:
                return
            if self._loaded.has_failed(target):
                continue
            live = self.pointer(persona).live
            try:
                async with self._log.refusals(persona, "reload", live, WATCH):
                    await self._reload(persona, target, WATCH)
                return
            except AdapterError as err:
                self._loaded.note_failure(target, str(err))
            except (DiskFull, LedgerUnavailable):
                return

    async def _bring_back(self, name: str) -> bool:
        """The engine does not know a version that somebody holds: load it again, now."""
        persona, _, number = name.rpartition("@v")
        if persona not in self._locks or not self._loaded.is_leased(name):
            return False
        async with self._locks[persona]:
            try:
                await self._loaded.look()
                return await self._loaded.why_unusable(persona, int(number)) is None
            except PersonaeError as err:
                log.error("%s can't be loaded again: %s", name, err)
                return False


def version_name(version: int | None) -> str | None:
    """3 → "v3"."""
    return None if version is None else f"v{version}"


def engine_arguments_for(cast_size: int, slots: int) -> dict[str, int]:
    """How many adapters the engine holds.

    In one batch: every persona's live version, one that is being tried, and a free slot (see
    serving/vllm_plugin). In memory: twice that and two, so live and previous versions of all fit
    beside those that drain. Source of the sizes: research on slot starvation.
    """
    on_device = max(slots, cast_size + 2)
    return {"max_loras": on_device, "max_cpu_loras": 2 * on_device + 2}

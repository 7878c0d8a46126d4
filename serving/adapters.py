"""The life cycle of adapters: which version speaks for a persona, and how that changes safely.

    lease      what one request speaks with: the live version, or the one its conversation began with, or a
               lighter or stronger variant (`prepared` fetches those first: serving.guest_adapters)
    reload     verify offline → load beside the old one → canary → swap the ledger's pointer
    rollback   back to the version before, which is kept loaded: only the pointer moves
    follow     as soon as another gateway has moved the pointer: let the same version speak here
    reconcile  every few seconds: make the engine hold what the ledger says, whoever moved the pointer;
               unload what nobody needs any more; in watch mode, take up new versions
    restore    the same for a fresh engine, before anybody is answered
    joined     a persona came into the cast, or its prompts changed (serving.live_cast); left: it is gone

A request takes a lease once and keeps its version to the end. A step that fails leaves everything as
it was and says why. One lock a persona; personas never wait for each other.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

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
from personae.registry import RegisteredVersion, Registry, parse_version
from personae.wire import AdapterChange, AdapterOutcome, Strength
from serving.adapter_slots import room_for_guests
from serving.change_log import WATCH, Action, Cause, ChangeLog
from serving.engine_client import EngineClient
from serving.guest_adapters import GuestAdapters
from serving.holders import Holders
from serving.ledger import Ledger, Pointer
from serving.live_versions import LiveVersions, version_name
from serving.loaded_adapters import LoadedAdapters
from serving.variants import Voice
from serving.wishes import Choice, Wish

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Lease:
    """What one request speaks with, from its first token to its last."""

    engine_model: str
    version: str | None
    """ "v3", or None for the base model by prompt only."""
    strength: Strength = "normal"
    notice: str | None = None
    """Why it is not what the request asked for."""


class Adapters:
    """Adapter versions of a cast on one base model.

    Args:
        base_model, base_shapes, unload_grace_seconds, variants, holders: see LoadedAdapters.
        no_base_traffic: a sentence that says why the base model may not answer while adapters are
            loaded; None where it may.
        watch: whether a new version in the registry goes live by itself.
        guests: how many versions and variants may be loaded beside those that pointers need; fewer once
            more personas are there than the engine was started for.
        slots: how many adapters the engine takes in one batch, where that is known.
        guest_wait_seconds: how long a request waits for one to be loaded.
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
        variants: Path | None = None,
        holders: Holders | None = None,
        no_base_traffic: str | None = None,
        watch: bool = False,
        guests: int = 4,
        slots: int | None = None,
        guest_wait_seconds: float = 15.0,
        observe: Callable[[str, str, str], None] = lambda persona, action, outcome: None,
    ) -> None:
        self._cast = cast
        self._registry = registry
        self._ledger = ledger
        self._base_model = base_model
        self._no_base_traffic = no_base_traffic
        self._watch = watch
        self._guest_wait_seconds = guest_wait_seconds
        self._log = ChangeLog(ledger, base_model=base_model.id, observe=observe)
        self._loaded = LoadedAdapters(
            cast=cast,
            registry=registry,
            engine=engine,
            base_model=base_model,
            base_shapes=base_shapes,
            base_speaks_for_itself=no_base_traffic is None,
            unload_grace_seconds=unload_grace_seconds,
            variants=variants,
            holders=holders,
        )
        self._live = LiveVersions(
            registry=registry,
            ledger=ledger,
            loaded=self._loaded,
            changes=self._log,
            base_model=base_model.id,
        )
        self._guests = GuestAdapters(
            self._loaded,
            most=lambda: room_for_guests(len(cast), guests, slots),
            needed=lambda: self._live.needed(cast),
        )
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._leaving: set[str] = set()
        """Personas that left the cast, as long as the engine holds something of them."""
        engine.bring_back = self._bring_back

    async def close(self) -> None:
        """End what is being loaded for requests."""
        await self._guests.close()

    def live_version(self, persona: str) -> str | None:
        """The version that speaks."""
        return version_name(self._live.speaking(persona))

    def pointer(self, persona: str) -> Pointer:
        """The live and the previous version by the ledger, as this process last saw it."""
        return self._live.pointer(persona)

    def problem(self, persona: str) -> str | None:
        """Why a persona does not speak with the version it should, or not at all."""
        mute = self._no_base_traffic if self._is_mute(persona) else None
        sentences = (self._live.problem(persona), mute)
        return " ".join(sentence for sentence in sentences if sentence) or None

    def forced_notice(self, persona: str) -> str | None:
        """What to know of the version that speaks, if it was published although gates failed."""
        version = self._live.speaking(persona)
        return None if version is None else self._loaded.forced_notice(Voice(persona, version).name)

    def verify(self, target: RegisteredVersion) -> None:
        """Check a version offline, as a reload would; see LoadedAdapters."""
        self._loaded.verify(target)

    # -- what a request speaks with ----------------------------------------------------------------

    @contextlib.asynccontextmanager
    async def prepared(self, persona: str, wish: Wish) -> AsyncIterator[Choice]:
        """Fetch what a request wishes for, if it is not there; for `lease`, inside the block.

        A wish for the live version, or for one that is loaded, waits for nothing.
        """
        choice = Choice.of(wish, persona, self._live.speaking(persona))
        until = asyncio.get_running_loop().time() + self._guest_wait_seconds
        with contextlib.ExitStack() as kept:
            for voice in choice.voices:
                with contextlib.ExitStack() as held:
                    held.enter_context(self._loaded.leased(voice.name))  # or it may go meanwhile
                    why = await self._guests.why_missing(voice, until=until)
                    if why is None:
                        kept.push(held.pop_all())
                        break
                    choice.missing[voice] = why
            yield choice

    def require_voice(self, persona: str, choice: Choice | None = None) -> None:
        """Raises EngineUnavailable: the base model would have to answer, and may not."""
        if self._is_mute(persona, choice) and self._best(choice) is None:
            name = self._cast[persona].display_name
            raise EngineUnavailable(f"{name} can't answer now. {self._no_base_traffic}")

    def _is_mute(self, persona: str, choice: Choice | None = None) -> bool:
        bare = choice is not None and not choice.wish.adapter
        return (
            self._no_base_traffic is not None
            and (bare or self._live.speaking(persona) is None)
            and bool(self._loaded)
        )

    def _best(self, choice: Choice | None) -> Voice | None:
        voices = choice.voices if choice is not None else []
        return next((voice for voice in voices if self._loaded.is_sound(voice.name)), None)

    @contextlib.contextmanager
    def lease(self, persona: str, choice: Choice | None = None) -> Iterator[Lease]:
        """What speaks, held until the block ends: the best of a choice that is loaded, or the live version.

        Raises:
            EngineUnavailable: as `require_voice`.
        """
        self.require_voice(persona, choice)
        voice, version = self._best(choice), self._live.speaking(persona)
        bare = choice is not None and not choice.wish.adapter
        if voice is None and version is not None and not bare:
            voice = Voice(persona, version)
        if voice is None:
            notice = choice.notice(None, "normal") if choice else None
            yield Lease(self._base_model.id, None, notice=notice)
            return
        notice = choice.notice(voice.version, voice.strength) if choice else None
        with self._loaded.leased(voice.name):
            yield Lease(voice.name, version_name(voice.version), voice.strength, notice)

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
            if not self._loaded.is_sound(Voice(persona, before.previous).name):
                target = await asyncio.to_thread(self._registry.find, persona, before.previous)
                await self._loaded.bring_up(target)
            return await self._live.commit(persona, "rollback", before.previous, cause)

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
        speaks = target.version == live == self._live.speaking(persona)
        if speaks and self._loaded.is_sound(target.engine_name):
            message = f"{persona} already speaks with {target.name}."
            line = self._log.line(persona, "reload", live, live, cause, "unchanged", message)
            await self._log.note(line)
            return self._live.outcome(persona, changed=False, message=message)
        await self._loaded.bring_up(target)
        return await self._live.commit(persona, "reload", target.version, cause)

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
            await self._loaded.tidy()
            for persona in self._cast:
                async with self._locks[persona]:
                    self._live.adopt_later(persona)
                    await self._live.follow(persona)
        finally:
            self._loaded.serving = True

    async def changed_elsewhere(self) -> list[str]:
        """Personas whose pointer is not where this process last saw it.

        Raises:
            DiskFull, LedgerUnavailable: the ledger can't be read.
        """
        pointers = await asyncio.to_thread(self._ledger.pointers, self._base_model.id)
        return [its for its in self._cast if pointers.get(its, Pointer()) != self.pointer(its)]

    async def follow(self, persona: str) -> None:
        """Let speak what the ledger says, once nobody is changing the persona here.

        Raises:
            EngineUnavailable: the engine does not answer.
        """
        async with self._locks[persona]:
            await self._live.follow(persona)

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
                await self._live.follow(persona)
                if self._watch:
                    await self._take_newest(persona)
                await self._loaded.unload_idle(persona, keep=self._live.needed([persona]))
        await self._unload_those_who_left()

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
                    try:
                        await self._reload(persona, target, WATCH)
                    except AdapterError:
                        if persona not in await self.changed_elsewhere():
                            raise
                        await self._live.follow(persona)  # another gateway took it up first
                return
            except AdapterError as err:
                self._loaded.note_failure(target, str(err))
            except (DiskFull, LedgerUnavailable):
                return

    # -- the cast changes --------------------------------------------------------------------------

    def silence(self, persona: str) -> None:
        """Let nothing speak that was proven under other prompts, until `joined` has looked again."""
        self._live.silence(persona)
        self._loaded.doubt(persona)

    async def joined(self, persona: str, *, engine_ready: bool = True) -> None:
        """A persona is in the cast now, or is another than before: let its live version speak, if it fits.

        Args:
            engine_ready: False leaves that to `restore` or `reconcile`.

        Raises:
            EngineUnavailable: the engine does not answer; `restore` or `reconcile` sees to it later.
        """
        async with self._locks[persona]:
            if persona not in self._cast:  # it left again
                return
            self._leaving.discard(persona)
            self._loaded.doubt(persona)
            self._live.adopt_later(persona)
            if engine_ready:
                await self._live.follow(persona)

    async def left(self, persona: str) -> None:
        """A persona is not in the cast any more: its versions go when nobody speaks with them."""
        async with self._locks[persona]:
            self._live.forget(persona)
            self._leaving.add(persona)

    async def _unload_those_who_left(self) -> None:
        for persona in list(self._leaving):
            async with self._locks[persona]:
                if persona not in self._leaving:  # it came back
                    continue
                await self._loaded.unload_idle(persona, keep=())
                if not self._loaded.holds_any_of(persona):
                    self._leaving.discard(persona)

    # ----------------------------------------------------------------------------------------------

    async def _bring_back(self, name: str) -> bool:
        """The engine does not know a voice that somebody holds: load it again, now."""
        voice = Voice.named(name)
        if voice is None or voice.persona not in self._cast or not self._loaded.is_leased(name):
            return False
        async with self._locks[voice.persona]:
            try:
                await self._loaded.look()
                return await self._loaded.why_unusable(voice) is None
            except PersonaeError as err:
                log.error("%s can't be loaded again: %s", name, err)
                return False

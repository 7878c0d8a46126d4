"""The life cycle of adapters: which version speaks for a persona, and how that changes safely.

    reload    verify offline → load beside the old one → canary → swap the ledger's pointer → retire
    rollback  the same towards the version before, which is kept loaded, so only the pointer moves
    restore   after the engine (re)started: load what the ledger says is live, and the one before

A request takes a lease once and keeps its version to the end; a version is unloaded only when no
lease holds it. A step that fails leaves everything as it was and says why. One lock a persona;
personas never wait for each other.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from personae.errors import AdapterError, EngineUnavailable, NothingToRollBack, PersonaeError
from personae.manifest import BaseModelRef, verify_adapter
from personae.persona import Cast
from personae.prompt import fingerprint, render_ask
from personae.registry import RegisteredVersion, Registry, parse_version
from personae.wire import AdapterChange, AdapterOutcome
from serving.engine_client import EngineClient, TextPiece
from serving.ledger import Change, Ledger, Pointer

log = logging.getLogger(__name__)

_CANARY_SECONDS = 60.0

Action = Literal["adopt", "reload", "rollback"]


@dataclass(frozen=True)
class Lease:
    """What one request speaks with, from its first token to its last."""

    engine_model: str
    version: str | None
    """ "v3", or None for the base model by prompt only."""


class Adapters:
    """Adapter versions of a cast on one base model.

    Args:
        base_model: id and weights hash of the running base; an empty hash means unknown (an engine
            that is not ours), and then only the id is compared.
        base_shapes: matrices of the base, if its files are here; adapters must fit them.
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
        observe: Callable[[str, str, str], None] = lambda persona, action, outcome: None,
    ) -> None:
        self._cast = cast
        self._registry = registry
        self._ledger = ledger
        self._engine = engine
        self._base_model = base_model
        self._base_shapes = base_shapes
        self._observe = observe
        self._pointers: dict[str, Pointer] = {persona: Pointer() for persona in cast}
        self._leases: Counter[str] = Counter()
        self._loaded: set[str] = set()
        self._locks = {persona: asyncio.Lock() for persona in cast}
        self._problems: dict[str, str] = {}

    def live_version(self, persona: str) -> str | None:
        return version_name(self._pointers[persona].live)

    def pointer(self, persona: str) -> Pointer:
        """The live and the previous version, as this process serves them."""
        return self._pointers[persona]

    def problem(self, persona: str) -> str | None:
        """Why a persona speaks without an adapter although the registry has one for it."""
        return self._problems.get(persona)

    @contextlib.contextmanager
    def lease(self, persona: str) -> Iterator[Lease]:
        """The live version, held until the block ends."""
        live = self._pointers[persona].live
        if live is None or f"{persona}@v{live}" not in self._loaded:
            yield Lease(engine_model=self._base_model.id, version=None)
            return
        name = f"{persona}@v{live}"
        self._leases[name] += 1
        try:
            yield Lease(engine_model=name, version=version_name(live))
        finally:
            self._leases[name] -= 1

    async def restore(self) -> None:
        """Make a fresh engine hold what the ledger says. A version that fails is told, not fatal."""
        self._loaded = set(await self._engine.models())
        for persona in self._cast:
            async with self._locks[persona]:
                await self._restore(persona)

    async def reload(self, persona: str, change: AdapterChange) -> AdapterOutcome:
        """Move the live pointer to the version asked for, or to the newest.

        Raises:
            UnknownPersona, UnknownVersion, AdapterError, EngineUnavailable: nothing has changed.
        """
        self._cast[persona]
        async with self._locks[persona]:
            before = self._pointers[persona]
            try:
                wanted = None if change.version is None else parse_version(change.version)
                target = await asyncio.to_thread(self._registry.find, persona, wanted)
                return await self._move(persona, "reload", target, before, change)
            except PersonaeError as err:
                await self._refused(persona, "reload", before, change, err)
                raise

    async def rollback(self, persona: str, change: AdapterChange) -> AdapterOutcome:
        """Move the live pointer back to the version that was live before.

        Raises:
            NothingToRollBack: there was none.
            UnknownPersona, AdapterError, EngineUnavailable: nothing has changed.
        """
        self._cast[persona]
        async with self._locks[persona]:
            before = self._pointers[persona]
            try:
                if before.previous is None:
                    raise NothingToRollBack(
                        f"{persona} has no version before {version_name(before.live) or 'this one'} "
                        "to go back to."
                    )
                target = await asyncio.to_thread(self._registry.find, persona, before.previous)
                return await self._move(persona, "rollback", target, before, change)
            except PersonaeError as err:
                await self._refused(persona, "rollback", before, change, err)
                raise

    # -- one change, under the persona's lock ------------------------------------------------------

    async def _move(
        self,
        persona: str,
        action: Action,
        target: RegisteredVersion,
        before: Pointer,
        change: AdapterChange,
    ) -> AdapterOutcome:
        if target.version == before.live and target.engine_name in self._loaded:
            message = f"{persona} already speaks with {target.name}."
            await self._record(persona, action, before, before.live, change, "unchanged", message)
            return self._outcome(persona, changed=False, message=message)
        await self._bring_up(persona, target)
        after = Pointer(live=target.version, previous=before.live)
        if before.live == target.version:
            after = before  # it was live in the ledger and missing in the engine: nothing moves
        came_from = f", before that {version_name(before.live)}" if before.live else ""
        message = f"{persona} now speaks with {target.name}{came_from}."
        entry = self._entry(persona, action, before, after.live, change, "done", message)
        if not await asyncio.to_thread(self._ledger.swap, before, after, entry):
            raise AdapterError(
                f"Somebody else changed {persona} at the same moment; their change stands. "
                "Look at the list of versions and try again if it is still wanted."
            )
        self._pointers[persona] = after
        self._problems.pop(persona, None)
        self._observe(persona, action, "done")
        log.info("%s of %s: %s → %s", action, persona, version_name(before.live), target.name)
        await self._retire(persona, after)
        return self._outcome(persona, changed=True, message=message)

    async def _bring_up(self, persona: str, target: RegisteredVersion) -> None:
        """Verify, load under its own name, and see it answer.

        Raises:
            AdapterError: it does not fit, or the engine refuses it, or it says nothing.
        """
        await asyncio.to_thread(self.verify, persona, target)
        if target.engine_name in self._loaded:
            return
        await self._engine.load_adapter(target.engine_name, target.folder)
        try:
            await self._canary(persona, target)
        except PersonaeError:
            with contextlib.suppress(PersonaeError):
                await self._engine.unload_adapter(target.engine_name)
            raise
        self._loaded.add(target.engine_name)

    def verify(self, persona: str, target: RegisteredVersion) -> None:
        """Check a version offline, as a reload would. Reads its files: call it off the loop.

        Raises:
            AdapterError: it would be refused, and this is why.
        """
        if target.problem is not None:
            raise AdapterError(target.problem)
        expected = self._base_model
        if not expected.weights_sha256 and target.manifest is not None:
            expected = expected.model_copy(
                update={"weights_sha256": target.manifest.base_model.weights_sha256}
            )
        verify_adapter(
            target.folder,
            persona=persona,
            base_model=expected,
            prompt_fingerprint=fingerprint(self._cast[persona]),
            base_shapes=self._base_shapes,
        )

    async def _canary(self, persona: str, target: RegisteredVersion) -> None:
        """A few greedy tokens through the new version before anybody is sent to it."""
        messages = render_ask(self._cast[persona], "Who are you?")
        pieces = self._engine.chat(
            target.engine_name,
            messages,
            {"temperature": 0.0, "max_tokens": 8},
            first_token_seconds=_CANARY_SECONDS,
            between_tokens_seconds=_CANARY_SECONDS,
        )
        async with contextlib.aclosing(pieces):
            said = "".join([piece.text async for piece in pieces if isinstance(piece, TextPiece)])
        if not said.strip():
            raise AdapterError(
                f"{persona} {target.name} was loaded but said nothing to a test question, so it was "
                "not put in charge. Train it again."
            )

    async def _retire(self, persona: str, pointer: Pointer) -> None:
        """Forget versions that are neither live nor previous and that no answer uses any more."""
        kept = {f"{persona}@v{pointer.live}", f"{persona}@v{pointer.previous}"}
        for name in [name for name in self._loaded if name.startswith(f"{persona}@v")]:
            if name not in kept and not self._leases[name]:
                with contextlib.suppress(PersonaeError):
                    await self._engine.unload_adapter(name)
                    self._loaded.discard(name)

    # -- a fresh engine ----------------------------------------------------------------------------

    async def _restore(self, persona: str) -> None:
        pointer = await asyncio.to_thread(self._ledger.pointer, persona, self._base_model.id)
        self._problems.pop(persona, None)
        if pointer.live is None:
            await self._adopt(persona)
            return
        self._pointers[persona] = pointer
        for version in (pointer.live, pointer.previous):
            if version is None:
                continue
            try:
                target = await asyncio.to_thread(self._registry.find, persona, version)
                await self._bring_up(persona, target)
            except EngineUnavailable:
                raise
            except PersonaeError as err:
                log.error("%s v%d could not be loaded: %s", persona, version, err)
                if version == pointer.live:
                    self._problems[persona] = str(err)

    async def _adopt(self, persona: str) -> None:
        """First start with this base: the newest version that fits becomes live."""
        for target in reversed(await asyncio.to_thread(self._registry.versions, persona)):
            try:
                change = AdapterChange(actor="personae", reason="first start with this base model")
                await self._move(persona, "adopt", target, Pointer(), change)
                return
            except EngineUnavailable:
                raise
            except PersonaeError as err:
                log.warning("%s %s is not usable here: %s", persona, target.name, err)
                self._problems.setdefault(persona, str(err))

    # -- words and records -------------------------------------------------------------------------

    def _outcome(self, persona: str, *, changed: bool, message: str) -> AdapterOutcome:
        pointer = self._pointers[persona]
        return AdapterOutcome(
            persona=persona,
            live=version_name(pointer.live),
            previous=version_name(pointer.previous),
            changed=changed,
            message=message,
        )

    def _entry(
        self,
        persona: str,
        action: Action,
        before: Pointer,
        after: int | None,
        change: AdapterChange,
        outcome: str,
        message: str,
    ) -> Change:
        return Change(
            persona=persona,
            base_model=self._base_model.id,
            action=action,
            before=before.live,
            after=after,
            actor=change.actor,
            surface=change.surface,
            reason=change.reason,
            outcome=outcome,
            message=message,
        )

    async def _record(
        self,
        persona: str,
        action: Action,
        before: Pointer,
        after: int | None,
        change: AdapterChange,
        outcome: str,
        message: str,
    ) -> None:
        entry = self._entry(persona, action, before, after, change, outcome, message)
        await asyncio.to_thread(self._ledger.record, entry)
        self._observe(persona, action, outcome)

    async def _refused(
        self,
        persona: str,
        action: Action,
        before: Pointer,
        change: AdapterChange,
        err: PersonaeError,
    ) -> None:
        log.warning("%s of %s refused: %s", action, persona, err.code)
        await self._record(persona, action, before, before.live, change, "refused", str(err))


def version_name(version: int | None) -> str | None:
    """3 → "v3"."""
    return None if version is None else f"v{version}"


def engine_arguments_for(cast_size: int, slots: int) -> dict[str, int]:
    """How many adapters the engine holds: live ones and their predecessors, and room to change.

    Source of the sizes: research on slot starvation (`max_loras` = live + 2, twice that + 2 in
    memory); one slot stays free (see serving/vllm_plugin).
    """
    on_device = max(slots, cast_size + 2)
    return {"max_loras": on_device, "max_cpu_loras": 2 * on_device + 2}

"""The adapters in one engine: which are there and proven, who speaks with them, which may go.

A version is brought up once (verified offline, loaded under its own name, asked by the canary) and is
then "sound" until the engine loses it; so is a variant of one (`serving.variants`). Which version ought to
speak is not known here (`serving.live_versions`), nor which may stay beside it (`serving.guest_adapters`).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from personae.errors import AdapterError, PersonaeError
from personae.manifest import BaseModelRef, verify_adapter
from personae.persona import Cast
from personae.prompt import fingerprint
from personae.registry import RegisteredVersion, Registry
from serving.canary import canary
from serving.engine_client import EngineClient, GreedyAnswer
from serving.holders import Holders
from serving.variants import Variants, Voice

log = logging.getLogger(__name__)

_TRY_AGAIN_SECONDS = 300.0


@dataclass(frozen=True)
class _Failure:
    """Why a version can't be used, and what its folder looked like then."""

    why: str
    stamp: object
    at: float


class LoadedAdapters:
    """What of the registry is in the engine.

    Args:
        base_model: id and weights hash of the running base; an empty hash means unknown (an engine
            that is not ours), and then only the id is compared.
        base_shapes: matrices of the base, if its files are here; adapters must fit them.
        base_speaks_for_itself: False on an engine that mixes adapters into the base's answers.
        unload_grace_seconds: how long a version that nobody needs stays.
        variants: where versions at other strengths are kept; None takes a folder beside the registry's.
        holders: of an engine that other gateways may use too; None: it is ours alone.
    """

    def __init__(
        self,
        *,
        cast: Cast,
        registry: Registry,
        engine: EngineClient,
        base_model: BaseModelRef,
        base_shapes: Mapping[str, tuple[int, int]] | None,
        base_speaks_for_itself: bool,
        unload_grace_seconds: float,
        variants: Path | None = None,
        holders: Holders | None = None,
    ) -> None:
        self._cast = cast
        self._registry = registry
        self._engine = engine
        self._base_model = base_model
        self._base_shapes = base_shapes
        self._base_speaks_for_itself = base_speaks_for_itself
        self._unload_grace_seconds = unload_grace_seconds
        self._variants = Variants(variants or registry.root.parent / "variants")
        self._holders = holders
        self._turns: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        """Loading and unloading of one name go one after the other."""
        self._proven: dict[str, object] = {}
        """What this engine has applied rightly, by the look of its files, though it was unloaded since."""
        self._sound: set[str] = set()
        self._in_engine: set[str] = set()
        self._leases: Counter[str] = Counter()
        self._idle_since: dict[str, float] = {}
        """When a look first found that nobody needs it; the grace counts from there."""
        self._last_held: dict[str, float] = {}
        self._failures: dict[str, _Failure] = {}
        self._forced: dict[str, str] = {}
        self._base_answers: dict[str, dict[str, GreedyAnswer]] = {}
        self.serving = True
        """Whether people are being answered meanwhile; a canary is gentle then."""

    def is_sound(self, name: str) -> bool:
        """Whether a version is in the engine, and has passed its canary there."""
        return name in self._sound

    def forced_notice(self, name: str) -> str | None:
        """What to know of a version that was published although gates failed; None of another."""
        return self._forced.get(name)

    def __bool__(self) -> bool:
        """Whether the engine holds any adapter."""
        return bool(self._in_engine - {self._base_model.id})

    @property
    def voices(self) -> set[Voice]:
        """What of this cast is in the engine, or on its way there."""
        names = self._in_engine | {name for name, turn in self._turns.items() if turn.locked()}
        found = {voice for name in names if (voice := Voice.named(name)) is not None}
        return {voice for voice in found if voice.persona in self._cast}

    @contextlib.contextmanager
    def leased(self, name: str) -> Iterator[None]:
        """A version somebody speaks with, or waits for: it stays until the block ends."""
        self._leases[name] += 1
        try:
            yield
        finally:
            if name in self._in_engine:  # not of whatever name a request brings
                self._last_held[name] = time.monotonic()
            self._leases[name] -= 1
            if not self._leases[name]:
                del self._leases[name]

    def is_leased(self, name: str) -> bool:
        return name in self._leases

    def forget(self) -> None:
        """A fresh engine: nothing is proven any more, and what failed may be tried again."""
        self._sound.clear()
        self._proven.clear()
        self._failures.clear()
        self._base_answers.clear()

    def doubt(self, persona: str) -> None:
        """The persona is another than before: nothing of it is proven, and what failed may be tried again."""
        for kept in (self._proven, self._failures):
            for name in [name for name in kept if name.startswith(f"{persona}@v")]:
                del kept[name]
        self._sound = {name for name in self._sound if not name.startswith(f"{persona}@v")}
        self._base_answers.pop(persona, None)

    def holds_any_of(self, persona: str) -> bool:
        """Whether the engine holds a version of a persona, in the cast or not."""
        return any(name.startswith(f"{persona}@v") for name in self._in_engine)

    async def tidy(self) -> None:
        """Delete variants of versions that are gone. For a fresh engine, which holds none."""
        for persona in self._cast:
            versions = await asyncio.to_thread(self._registry.versions, persona)
            await asyncio.to_thread(self._variants.tidy, persona, versions)

    async def look(self) -> None:
        """Learn what the engine holds; what it has lost is no longer sound.

        Raises:
            EngineUnavailable: it does not say.
        """
        before = set(self._in_engine)
        found = set(await self._engine.models())
        # What was loaded or unloaded while the answer was on its way is newer than the answer.
        self._in_engine = (found | (self._in_engine - before)) - (before - self._in_engine)
        for name in self._sound - self._in_engine:
            log.warning("the engine has lost %s", name)
            self._proven.clear()  # it may be another one by now
        self._sound &= self._in_engine

    async def bring_up(self, target: RegisteredVersion) -> None:
        """Verify, load under its own name, and see it answer.

        Raises:
            AdapterError: it does not fit, or the engine refuses it, or it fails its canary.
            EngineUnavailable: the engine could not be asked.
        """
        await asyncio.to_thread(self.verify, target)
        name, stamp = target.engine_name, await asyncio.to_thread(lambda: target.stamp)
        async with self._turns[name]:
            if name in self._sound:
                return
            await self._load(name, target.folder)
            self._in_engine.add(name)
            self._last_held[name] = time.monotonic()
            if self._proven.get(name) != stamp:
                await self._ask_canary(target)
            self._sound.add(name)
            self._proven[name] = stamp
            self._failures.pop(name, None)
            if target.manifest is not None and target.manifest.forced_notice is not None:
                self._forced[name] = target.manifest.forced_notice

    async def _load(self, name: str, folder: Path) -> None:
        if self._holders is None:
            await self._engine.load_adapter(name, folder)
            return
        await self._holders.hold(name)  # first: nobody else unloads it meanwhile
        try:
            await self._engine.load_adapter(name, folder)
        except PersonaeError:
            await self._holders.unloaded(name)
            raise

    async def _ask_canary(self, target: RegisteredVersion) -> None:
        try:
            await canary(
                self._engine,
                self._cast[target.persona],
                target,
                base_model=self._base_model.id,
                base_answers=self._base_answers.setdefault(target.persona, {})
                if self._base_speaks_for_itself
                else None,
                at_once=not self.serving,
            )
        except AdapterError:
            await self._unload_now(target.engine_name)
            raise

    async def require(self, voice: Voice) -> None:
        """See to it that a voice is sound in the engine.

        One that failed is not tried again at once: only when its files change, or after a while.

        Raises:
            UnknownVersion: it is not in the registry.
            AdapterError: it can't be used.
            EngineUnavailable: the engine could not be asked.
            DiskFull: a variant could not be written.
        """
        if voice.name in self._sound:
            return
        target = await self.find(voice)
        try:
            await self.bring_up(target)
        except AdapterError as err:
            self.note_failure(target, str(err))
            raise

    async def find(self, voice: Voice) -> RegisteredVersion:
        """What is to be loaded for a voice; as `require`, without loading it."""
        target = await asyncio.to_thread(self._find, voice)
        failure = self._failures.get(voice.name)
        recent = failure is not None and time.monotonic() - failure.at < _TRY_AGAIN_SECONDS
        if failure is not None and recent and self.has_failed(target):
            raise AdapterError(failure.why)
        return target

    def _find(self, voice: Voice) -> RegisteredVersion:
        version = self._registry.find(voice.persona, voice.version)
        if voice.strength == "normal":
            return version
        return self._variants.made_of(version, voice.strength)

    async def why_unusable(self, voice: Voice) -> str | None:
        """None once a voice is sound in the engine, which is seen to; else why it can't be.

        Raises:
            EngineUnavailable, DiskFull: as `require`.
        """
        try:
            await self.require(voice)
        except AdapterError as err:
            return str(err)
        return None

    def note_failure(self, target: RegisteredVersion, why: str) -> None:
        log.warning("%s can't be used: %s", target.engine_name, why)
        self._failures[target.engine_name] = _Failure(why, target.stamp, time.monotonic())

    def has_failed(self, target: RegisteredVersion) -> bool:
        """Whether a version failed, and its files are as they were then."""
        failure = self._failures.get(target.engine_name)
        return failure is not None and failure.stamp == target.stamp

    def verify(self, target: RegisteredVersion) -> None:
        """Check a version offline. Reads its files: call it off the loop.

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
            persona=target.persona,
            base_model=expected,
            prompt_fingerprint=fingerprint(self._cast[target.persona]),
            base_shapes=self._base_shapes,
        )

    async def unload_idle(self, persona: str, *, keep: Collection[str]) -> None:
        """Unload what of a persona is not to be kept and that nobody has needed for a while."""
        now = asyncio.get_running_loop().time()
        for name in [name for name in self._in_engine if name.startswith(f"{persona}@v")]:
            if name in keep or not self._is_idle(name):
                self._idle_since.pop(name, None)
            elif now - self._idle_since.setdefault(name, now) >= self._unload_grace_seconds:
                await self._unload(name)

    async def unload_longest_idle(self, voices: Collection[Voice]) -> bool:
        """Unload the one of these that nobody has needed for longest; False if all are needed."""
        names = sorted(voice.name for voice in voices)
        for name in sorted(names, key=lambda name: self._last_held.get(name, 0.0)):
            if self._is_idle(name):
                await self._unload(name)
                if name not in self._in_engine:
                    return True
        return False

    def _is_idle(self, name: str) -> bool:
        return name not in self._leases and not self._turns[name].locked()

    async def _unload(self, name: str) -> None:
        async with self._turns[name]:
            await self._unload_now(name)

    async def _unload_now(self, name: str) -> None:
        self._sound.discard(name)  # first: nobody takes it up while it goes
        if self._holders is not None and not await self._holders.let_go(name):
            self._idle_since.pop(name, None)  # asked again after another grace
            return
        try:
            await self._engine.unload_adapter(name)
        except PersonaeError as err:
            log.warning("%s could not be unloaded: %s", name, err)
            return
        finally:
            if self._holders is not None:
                await self._holders.unloaded(name)
        log.info("%s unloaded", name)
        self._in_engine.discard(name)
        self._idle_since.pop(name, None)
        self._last_held.pop(name, None)

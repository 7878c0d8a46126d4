"""The cast of a running gateway: it follows the persona files, without a restart and on every replica.

    a file appears        its persona joins: it answers by prompt at once, with sources when it is indexed,
                          in its voice when a version is live
    a file changes        the persona is taken up as it is now; if its prompts changed, its adapters are
                          verified again, because they were trained on the others
    a file goes           the persona leaves; answers under way end
    a file is broken      what was stays, and `problems` says why

In: the folders of [personae] cast. Out: `LiveCast`, which every part of the gateway holds and looks personas
up in when it needs them. What follows elsewhere (adapters, indexes) is `serving.cast_changes`'s business.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from personae.console_wire import CastProblem
from personae.errors import PersonaFileError
from personae.persona import Cast, Persona, Stamp, load_persona, persona_files, taken

log = logging.getLogger(__name__)

_LOOK_SECONDS = 1.0


class LiveCast(Cast):
    """A cast whose members are replaced as a whole; who iterates over it goes on over those before."""

    def __init__(self, cast: Cast) -> None:
        super().__init__(((cast[name], cast.folder(name)) for name in cast), files=cast.files)

    def replace(self, members: Mapping[str, tuple[Persona, Path]]) -> None:
        self._members = {name: members[name] for name in sorted(members)}


@dataclass(frozen=True)
class CastChange:
    """Ids of personas that joined, left, or are others than before; the cast holds the new ones already."""

    joined: Sequence[str]
    changed: Sequence[str]
    left: Sequence[str]
    before: Cast

    def __bool__(self) -> bool:
        return bool(self.joined or self.changed or self.left)


@dataclass(frozen=True)
class _Look:
    """What the folders hold: the files, the members by them, and why a file is none."""

    files: Mapping[Path, Stamp]
    members: Mapping[str, tuple[Persona, Path]]
    broken: dict[Path, str]


class CastFolders:
    """Persona files, and the cast that follows them.

    Args:
        cast: as it was loaded from them.
        follow: called after each change; what it raises is logged, and the change stands.
    """

    def __init__(
        self,
        cast: LiveCast,
        folders: Sequence[Path],
        *,
        follow: Callable[[CastChange], Awaitable[None]],
    ) -> None:
        self._cast = cast
        self._folders = list(folders)
        self._follow = follow
        self._seen: Mapping[Path, Stamp] = (
            cast.files if cast.files is not None else persona_files(folders)
        )
        self._broken: dict[Path, str] = {}
        self._one_look = asyncio.Lock()

    def problems(self) -> list[CastProblem]:
        """Of all files, in order."""
        broken = sorted(self._broken.items())
        return [CastProblem(persona=path.parent.name, message=why) for path, why in broken]

    def problem(self, persona: str) -> str | None:
        """What is wrong with the file of a persona that is in the cast."""
        if persona not in self._cast:
            return None
        why = self._broken.get(self._cast.folder(persona) / "persona.toml")
        return f"{why} It answers as before the change." if why else None

    async def refresh(self) -> None:
        """Take up what has changed since the last look; returns when the cast is as the files are."""
        async with self._one_look:
            look = await asyncio.to_thread(self._look)
            if look is None:
                return
            # Without a pause, or a look that was cancelled would pass for one that was taken up.
            change = _difference(self._cast, look.members)
            self._seen, self._broken = look.files, look.broken
            self._cast.replace(look.members)
        if not change:
            return
        log.info("cast: joined %s, changed %s, left %s", change.joined, change.changed, change.left)
        try:
            await self._follow(change)
        except Exception:
            log.exception("the change of the cast was not followed everywhere")

    def _look(self) -> _Look | None:
        """None where no file is another than at the last look."""
        files = persona_files(self._folders)
        if files == self._seen:
            return None
        members: dict[str, tuple[Persona, Path]] = {}
        broken: dict[Path, str] = {}
        for path, stamp in files.items():
            persona, why = self._read(path, unchanged=self._seen.get(path) == stamp)
            if why is not None:
                broken[path] = why
            if persona is None:
                continue
            if persona.id in members:
                broken[path] = str(taken(path, persona.id, members[persona.id][1]))
                continue
            members[persona.id] = (persona, path.parent)
        for path in broken.keys() - self._broken.keys():
            log.error("%s", broken[path])
        return _Look(files, members, broken)

    def _read(self, path: Path, *, unchanged: bool) -> tuple[Persona | None, str | None]:
        """The persona of a file, and what is wrong with it; a broken one leaves the persona that was."""
        name = path.parent.name
        known = name in self._cast and self._cast.folder(name) == path.parent
        before = self._cast[name] if known else None
        if unchanged and before is not None:
            return before, self._broken.get(path)
        try:
            return load_persona(path), None
        except PersonaFileError as err:
            return before, str(err)
        except OSError as err:
            return before, f"{path} can't be read ({err.strerror})."


def _difference(before: Cast, after: Mapping[str, tuple[Persona, Path]]) -> CastChange:
    return CastChange(
        joined=[name for name in after if name not in before],
        changed=[
            name
            for name, (persona, _) in after.items()
            if name in before and persona != before[name]
        ],
        left=[name for name in before if name not in after],
        before=Cast((before[name], before.folder(name)) for name in before),
    )


async def keep_looking(folders: CastFolders) -> None:
    """Look every second, until cancelled."""
    while True:
        await asyncio.sleep(_LOOK_SECONDS)
        try:
            await folders.refresh()
        except OSError as err:
            log.error("persona files can't be looked for: %s", err)
        except Exception:  # whatever it was, the next time may go well
            log.exception("a look at the persona files failed")

"""What an admin may read about adapters: all versions with their states, and the history of changes.

Reads the registry and the ledger, and changes nothing. Its methods block on disk. A version is verified once
as long as its files and the persona's prompts stay as they are.
"""

from __future__ import annotations

import contextlib
from typing import Literal

from personae.errors import PersonaeError, UnknownPersona
from personae.persona import Cast
from personae.prompt import fingerprint
from personae.registry import RegisteredVersion, Registry
from personae.wire import (
    AdapterHistory,
    AdapterHistoryEntry,
    AdapterList,
    AdapterVersionInfo,
    PersonaAdapters,
)
from serving.bases import Bases
from serving.ledger import Ledger
from serving.live_versions import version_name


class AdapterReport:
    def __init__(self, *, cast: Cast, registry: Registry, ledger: Ledger, bases: Bases) -> None:
        self._cast = cast
        self._registry = registry
        self._ledger = ledger
        self._bases = bases
        self._verified: dict[tuple[str, str], tuple[object, str | None]] = {}
        """What came of it, by persona and version: what was looked at, and the problem."""

    def versions(self) -> AdapterList:
        """All versions of all personas; each is verified as a reload would."""
        personas = []
        for persona in self._cast:
            with contextlib.suppress(UnknownPersona):  # it left meanwhile
                personas.append(self.of(persona))
        return AdapterList(personas=personas)

    def history(self, persona: str) -> AdapterHistory:
        """The latest changes of a persona, newest first.

        Raises:
            UnknownPersona: there is none of that name.
        """
        self._cast[persona]
        gates = {
            found.version: found.manifest.gate
            for found in self._registry.versions(persona)
            if found.manifest is not None
        }
        entries = [
            AdapterHistoryEntry(
                at=change.at,
                action=change.action,
                before=version_name(change.before),
                after=version_name(change.after),
                actor=change.actor,
                surface=change.surface,
                reason=change.reason,
                outcome=change.outcome,
                message=change.message,
                gate=gates.get(change.after or 0, ""),
            )
            for change in self._ledger.history(persona)
        ]
        return AdapterHistory(persona=persona, entries=entries)

    def of(self, persona: str) -> PersonaAdapters:
        """All versions of one; see `versions`."""
        adapters = self._bases.of(persona).adapters
        return PersonaAdapters(
            persona=persona,
            live=adapters.live_version(persona),
            previous=version_name(adapters.pointer(persona).previous),
            problem=self._bases.problem(persona),
            versions=[self._info(persona, found) for found in self._registry.versions(persona)],
        )

    def _info(self, persona: str, found: RegisteredVersion) -> AdapterVersionInfo:
        adapters = self._bases.of(persona).adapters
        pointer = adapters.pointer(persona)
        problem = self._problem(persona, found)
        state: Literal["live", "previous", "available", "unusable"] = "available"
        if found.name == adapters.live_version(persona):
            state = "live"
        elif problem is not None:
            state = "unusable"
        elif found.version == pointer.previous:
            state = "previous"
        manifest = found.manifest
        return AdapterVersionInfo(
            version=found.name,
            sha8=found.folder.name.rpartition("-")[2],
            created_at=manifest.created_at if manifest else "",
            base_model=manifest.base_model.id if manifest else "",
            state=state,
            gate=manifest.gate if manifest else "",
            problem=problem,
        )

    def _problem(self, persona: str, found: RegisteredVersion) -> str | None:
        base = self._bases.of(persona)
        key = (persona, found.name)
        looked_at = (found.stamp, found.problem, base.model, fingerprint(self._cast[persona]))
        kept = self._verified.get(key)
        if kept is not None and kept[0] == looked_at:
            return kept[1]
        problem = None
        try:
            base.adapters.verify(found)
        except PersonaeError as err:
            problem = str(err)
        self._verified[key] = (looked_at, problem)
        return problem

"""Personas as the console shows them.

    GET /console/api/personas                                       console_wire.PersonaViews
    GET /console/api/personas/{persona}                             console_wire.PersonaDetail
    GET /console/api/personas/{persona}/versions/{version}/report   how a version was measured, as HTML

In: what runs, and what lies in the home folder. It changes nothing. Reports are files that came with a
version, perhaps from somebody else: they are shown in a sandbox, without scripts and without the network.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from aiohttp import web
from pydantic import BaseModel, ValidationError

from personae.console_wire import (
    CastProblem,
    CorpusView,
    IndexView,
    MeasuredFigure,
    PersonaDetail,
    PersonaView,
    PersonaViews,
    RightsView,
    SamplingOfTasks,
    SystemPrompts,
    VersionView,
)
from personae.corpus import MANIFEST as CORPUS_MANIFEST
from personae.corpus import CorpusManifest
from personae.creation_wire import Job
from personae.errors import CorpusError, UnknownPersona, UnknownRoute
from personae.evaluation import REPORT
from personae.persona import Cast, Persona
from personae.registry import Registry, parse_version
from personae.sources import Source
from personae.wire import AdapterVersionInfo, PersonaCard
from serving.adapter_report import AdapterReport
from serving.console_api.sessions import Sessions
from serving.persona_cards import PersonaCards
from serving.retrieval.snapshot import current_snapshot, read_index_manifest

REPORT_HEADERS = {
    "Content-Security-Policy": (
        "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'self'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}
_HISTORY_SHOWN = 50


@dataclasses.dataclass(frozen=True)
class Places:
    """Folders that views are read from."""

    own_cast: Path
    corpora: Path
    indexes: Path


class Views:
    """
    Args:
        jobs: those of a persona, newest first.
        cast_problems: persona files that can't be used.
    """

    def __init__(
        self,
        *,
        cast: Cast,
        cards: PersonaCards,
        report: AdapterReport,
        registry: Registry,
        places: Places,
        sessions: Sessions,
        jobs: Callable[[str], Sequence[Job]] = lambda persona: (),
        cast_problems: Callable[[], Sequence[CastProblem]] = lambda: (),
    ) -> None:
        self._cast = cast
        self._cards = cards
        self._report = report
        self._registry = registry
        self._places = places
        self._sessions = sessions
        self._jobs = jobs
        self._cast_problems = cast_problems

    def routes(self) -> list[web.RouteDef]:
        personas = "/console/api/personas"
        return [
            web.get(personas, self._all),
            web.get(f"{personas}/{{persona}}", self._one),
            web.get(f"{personas}/{{persona}}/versions/{{version}}/report", self._version_report),
        ]

    async def _all(self, request: web.Request) -> web.Response:
        signed_in = self._sessions.signed_in(request)
        views = await asyncio.to_thread(self._listed, self._cards.all(), signed_in)
        return _json(PersonaViews(personas=views, problems=list(self._cast_problems())))

    async def _one(self, request: web.Request) -> web.Response:
        persona = self._cast[request.match_info["persona"]]
        card = self._cards.of(persona.id)
        signed_in = self._sessions.signed_in(request)
        return _json(await asyncio.to_thread(self._detail, persona, card, signed_in))

    async def _version_report(self, request: web.Request) -> web.Response:
        persona = self._cast[request.match_info["persona"]].id
        version = parse_version(request.match_info["version"])
        found = await asyncio.to_thread(self._registry.find, persona, version)
        return await report_response(found.folder, f"{persona} {found.name} has no report.")

    # -- in a thread -------------------------------------------------------------------------------

    def _listed(self, cards: Sequence[PersonaCard], signed_in: bool) -> list[PersonaView]:
        views = []
        for card in cards:
            with contextlib.suppress(UnknownPersona):  # it left meanwhile
                views.append(self._view(card, signed_in))
        return views

    def _view(self, card: PersonaCard, signed_in: bool) -> PersonaView:
        persona = self._cast[card.id]
        jobs = self._jobs(persona.id)
        adapters = self._report.of(persona.id)
        rights = persona.rights
        return PersonaView(
            **card.model_dump(),
            own=self._cast.folder(persona.id).parent == self._places.own_cast,
            live=adapters.live,
            previous=adapters.previous,
            versions=self._versions(persona, adapters.versions),
            problem=self._cards.problem(persona.id),
            corpus=_corpus(self._places.corpora / persona.id),
            index=_index(self._places.indexes, persona.id),
            rights=rights
            and RightsView(owner=rights.owner, licence=rights.licence, statement=rights.statement),
            jobs=list(jobs) if signed_in else [job.without_words() for job in jobs],
        )

    def _detail(self, persona: Persona, card: PersonaCard, signed_in: bool) -> PersonaDetail:
        history = self._report.history(persona.id).entries[:_HISTORY_SHOWN]
        if not signed_in:
            history = [entry.model_copy(update={"actor": "", "reason": ""}) for entry in history]
        return PersonaDetail(
            **self._view(card, signed_in).model_dump(),
            language=persona.language,
            mode=persona.retrieval.mode,
            refusal=persona.refusal,
            prompts=SystemPrompts(ask=persona.ask.system, rewrite=persona.rewrite.system),
            style_anchors=persona.style_anchors,
            sampling=SamplingOfTasks(
                ask=persona.ask.sampling.model_dump(), rewrite=persona.rewrite.sampling.model_dump()
            ),
            sources=[_source(source, in_full=signed_in) for source in persona.sources],
            history=history,
        )

    def _versions(self, persona: Persona, infos: Sequence[AdapterVersionInfo]) -> list[VersionView]:
        found = {version.name: version for version in self._registry.versions(persona.id)}
        views = []
        for info in reversed(infos):
            version = found.get(info.version)
            manifest = version.manifest if version is not None else None
            views.append(
                VersionView(
                    **info.model_dump(),
                    report=version is not None and (version.folder / REPORT).is_file(),
                    metrics=_figures(manifest.metrics) if manifest is not None else {},
                )
            )
        return views


async def report_response(folder: Path, missing: str) -> web.Response:
    """A report as it lies on disk.

    Raises:
        UnknownRoute: there is none.
    """
    try:
        body = await asyncio.to_thread((folder / REPORT).read_bytes)
    except (FileNotFoundError, NotADirectoryError) as err:
        raise UnknownRoute(missing) from err
    return web.Response(
        body=body, content_type="text/html", charset="utf-8", headers=REPORT_HEADERS
    )


def _figures(metrics: dict[str, float]) -> dict[str, MeasuredFigure]:
    """Of a manifest, where bounds stand beside a value as "<name>_low" and "<name>_high"."""
    bounds = {f"{name}_{side}" for name in metrics for side in ("low", "high")}
    return {
        name: MeasuredFigure(
            value=value, low=metrics.get(f"{name}_low"), high=metrics.get(f"{name}_high")
        )
        for name, value in metrics.items()
        if name not in bounds
    }


def _source(source: Source, *, in_full: bool) -> dict[str, Any]:
    """As it stands in the file; to strangers, what says nothing of this machine or of people."""
    told: dict[str, Any] = source.model_dump(exclude_defaults=True)
    return told if in_full else {name: told[name] for name in ("kind", "url") if name in told}


def _corpus(folder: Path) -> CorpusView | None:
    try:
        manifest = CorpusManifest.model_validate_json((folder / CORPUS_MANIFEST).read_bytes())
    except (OSError, ValidationError):
        return None  # not ingested; whoever needs it whole is told what is wrong with it
    return CorpusView(
        documents=manifest.documents,
        words=manifest.words,
        kinds=list(dict.fromkeys(source.partition(" ")[0] for source in manifest.sources)),
        ingested_at=manifest.created_at,
    )


def _index(indexes: Path, persona: str) -> IndexView | None:
    folder = current_snapshot(indexes, persona)
    if folder is None:
        return None
    try:
        manifest = read_index_manifest(folder)
    except CorpusError:
        return None  # the retriever tells the problem
    return IndexView(
        documents=manifest.documents,
        passages=manifest.passages,
        embedder=manifest.settings.embedder,
        built_at=manifest.created_at,
    )


def _json(model: BaseModel) -> web.Response:
    return web.json_response(text=json.dumps(model.model_dump(mode="json")))

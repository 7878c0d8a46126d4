"""Training runs over HTTP.

GET /console/api/runs                           console_wire.RunList
GET /console/api/runs/{persona}/{run}           console_wire.RunDetail
GET /console/api/runs/{persona}/{run}/report    how the finished voice was measured, as HTML
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from typing import TypeVar

from aiohttp import web
from pydantic import BaseModel

from personae.console_wire import RunList, RunView
from personae.creation_wire import Job
from personae.errors import UnknownRoute
from personae.registry import Registry
from personae.training_run import EVALUATIONS
from serving.console_api.run_folders import RunFolders
from serving.console_api.views import report_response

V = TypeVar("V", bound=RunView)


class Runs:
    """
    Args:
        jobs: those of a persona, newest first.
    """

    def __init__(
        self, folders: RunFolders, *, jobs: Callable[[str], Sequence[Job]] = lambda persona: ()
    ) -> None:
        self._folders = folders
        self._jobs = jobs

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/console/api/runs", self._all),
            web.get("/console/api/runs/{persona}/{run}", self._one),
            web.get("/console/api/runs/{persona}/{run}/report", self._report),
        ]

    async def _all(self, request: web.Request) -> web.Response:
        return _json(RunList(runs=await asyncio.to_thread(self._listed)))

    async def _one(self, request: web.Request) -> web.Response:
        persona, run = request.match_info["persona"], request.match_info["run"]
        found = await asyncio.to_thread(self._folders.one, persona, run)
        if found is None:
            raise UnknownRoute("There is no such training run. It may have been removed.")
        return _json(await asyncio.to_thread(self._with_job, found))

    async def _report(self, request: web.Request) -> web.Response:
        missing = "This run has no report: it was not evaluated yet (`personae train evaluate`)."
        folder = self._folders.folder(request.match_info["persona"], request.match_info["run"])
        if folder is None:
            raise UnknownRoute(missing)
        return await report_response(folder / EVALUATIONS, missing)

    # -- in a thread -------------------------------------------------------------------------------

    def _listed(self) -> list[RunView]:
        return [self._with_job(view) for view in self._folders.all()]

    def _with_job(self, view: V) -> V:
        """A running one is that of the persona's running training, if the console started it."""
        if view.state != "running":
            return view
        running = [
            job.id
            for job in self._jobs(view.persona)
            if job.kind == "train" and job.state in ("running", "stopping")
        ]
        return view.model_copy(update={"job": running[0] if running else None})


def published_as(registry: Registry) -> Callable[[str, str], str | None]:
    """The version in a registry that holds an adapter of this hash, for RunFolders."""

    def version_of(persona: str, adapter_sha256: str) -> str | None:
        for version in reversed(registry.versions(persona)):
            alive = version.manifest.alive if version.manifest is not None else None
            if alive is not None and alive.adapter_sha256 == adapter_sha256:
                return version.name
        return None

    return version_of


def _json(model: BaseModel) -> web.Response:
    return web.json_response(text=json.dumps(model.model_dump(mode="json")))

"""Jobs over HTTP. Keys and errors are the gateway's business.

POST   /admin/personas/{persona}/jobs     creation_wire.JobRequest → Job (202)
GET    /console/api/jobs[?persona=ada]    JobList, newest first
GET    /console/api/jobs/{job}            Job; its words only for who is signed in
GET    /admin/jobs/{job}/log?after=0      JobLog
DELETE /admin/jobs/{job}                  Job (202), on its way to its end
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from aiohttp import web
from pydantic import BaseModel

from personae.creation_wire import Job, JobList, JobRequest
from personae.errors import RequestError
from personae.persona import Persona
from personae.wire import parse_request
from serving.jobs.jobs import Jobs


class JobsApi:
    def __init__(
        self,
        *,
        cast: Mapping[str, Persona],
        jobs: Jobs,
        signed_in: Callable[[web.Request], bool],
    ) -> None:
        self._cast = cast
        self._jobs = jobs
        self._signed_in = signed_in

    def routes(self) -> list[web.RouteDef]:
        return [
            web.post("/admin/personas/{persona}/jobs", self._start),
            web.get("/console/api/jobs", self._all),
            web.get("/console/api/jobs/{job}", self._one),
            web.get("/admin/jobs/{job}/log", self._log),
            web.delete("/admin/jobs/{job}", self._stop),
        ]

    async def _start(self, request: web.Request) -> web.Response:
        order = parse_request(JobRequest, await request.read())
        persona = self._cast[request.match_info["persona"]].id
        job = await asyncio.to_thread(self._jobs.start, persona, order.kind, steps=order.steps)
        return _json(job, status=202)

    async def _all(self, request: web.Request) -> web.Response:
        jobs = await asyncio.to_thread(self._jobs.all, request.query.get("persona"))
        return _json(JobList(jobs=[self._for(request, job) for job in jobs]))

    async def _one(self, request: web.Request) -> web.Response:
        job = await asyncio.to_thread(self._jobs.one, request.match_info["job"])
        return _json(self._for(request, job))

    def _for(self, request: web.Request, job: Job) -> Job:
        return job if self._signed_in(request) else job.without_words()

    async def _log(self, request: web.Request) -> web.Response:
        after = request.query.get("after", "0")
        if not (after.isascii() and after.isdigit() and len(after) < 16):
            raise RequestError('`after` is what the log said in "next" before, or 0.')
        job = request.match_info["job"]
        return _json(await asyncio.to_thread(self._jobs.log, job, int(after)))

    async def _stop(self, request: web.Request) -> web.Response:
        job = await asyncio.to_thread(self._jobs.stop, request.match_info["job"])
        return _json(job, status=202)


def _json(model: BaseModel, *, status: int = 200) -> web.Response:
    return web.json_response(text=model.model_dump_json(), status=status)

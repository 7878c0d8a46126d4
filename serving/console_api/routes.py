"""All routes of the web console but its sign-in, which every request asks (`serving.access`)."""

from __future__ import annotations

from aiohttp import web

from personae.config import Config
from personae.persona import Cast
from personae.registry import Registry
from serving.adapter_report import AdapterReport
from serving.bases import Bases
from serving.console import assets
from serving.console_api.creation import CreationApi
from serving.console_api.run_folders import RunFolders
from serving.console_api.runs import Runs, published_as
from serving.console_api.sessions import Sessions
from serving.console_api.traffic import TrafficApi
from serving.console_api.views import Places, Views
from serving.feedback import Feedback
from serving.jobs.api import JobsApi
from serving.jobs.jobs import Jobs
from serving.live_cast import CastFolders
from serving.persona_cards import PersonaCards
from serving.traffic import Traffic


def console_routes(
    config: Config,
    *,
    cast: Cast,
    cards: PersonaCards,
    report: AdapterReport,
    registry: Registry,
    sessions: Sessions,
    cast_folders: CastFolders,
    bases: Bases,
    traffic: Traffic,
    feedback: Feedback,
) -> list[web.RouteDef]:
    jobs = Jobs(config)
    views = Views(
        cast=cast,
        cards=cards,
        report=report,
        registry=registry,
        places=Places(config.own_cast, config.corpora, config.indexes),
        sessions=sessions,
        jobs=jobs.all,
        cast_problems=cast_folders.problems,
    )
    runs = Runs(RunFolders(config.runs, version_of=published_as(registry)), jobs=jobs.all)
    return [
        *assets.routes(),
        *views.routes(),
        *runs.routes(),
        *TrafficApi(cast=cast, bases=bases, remembered=traffic, feedback=feedback).routes(),
        *CreationApi(config=config, jobs=jobs, changed=cast_folders.refresh).routes(),
        *JobsApi(cast=cast, jobs=jobs, signed_in=sessions.signed_in).routes(),
    ]

"""The whole serving side put together, for as long as a `with` block lasts.

Order: bind the port (a taken port costs nothing yet) → start the engine → open the indexes while it
starts → load the adapters when it is healthy → ready. On the way out: stop taking requests, let
answers end, stop the engine.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import socket as socket_module
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

from aiohttp import web

from personae.config import Config, GatewayConfig
from personae.errors import ConfigError, PortInUse
from personae.persona import Cast
from personae.registry import Registry
from personae.weights import model_folder
from serving.adapter_report import AdapterReport
from serving.answers import Answerer
from serving.bases import Bases
from serving.cast_changes import CastChanges
from serving.console_api.routes import console_routes
from serving.console_api.sessions import Sessions
from serving.engines import open_bases, running_base
from serving.feedback import Feedback
from serving.feedback_api import FeedbackApi
from serving.gateway import make_app
from serving.ledger import Ledger
from serving.live_cast import CastFolders, LiveCast, keep_looking
from serving.metrics import Metrics
from serving.persona_cards import PersonaCards
from serving.reconciler import keep_followed, keep_reconciled
from serving.retrieval.embedder import Embedder, TextEmbedder
from serving.retrieval.reranker import CrossEncoderReranker
from serving.retrieval.retriever import Retriever, keep_refreshed
from serving.tracing import tracing_to
from serving.traffic import Traffic
from serving.unanswered import Unanswered, UnansweredNotes

log = logging.getLogger(__name__)

_CLOSE_SECONDS = 1.0
_ENGINE_STOP_SECONDS = 20.0
"""vLLM's to end by itself. Its answers were drained before, so this is no matter of `drain_seconds`."""


@dataclass
class Service:
    """A running gateway and its parts."""

    url: str
    bases: Bases
    retriever: Retriever
    answerer: Answerer
    app: web.Application

    async def wait_ready(self, *, tick: Callable[[float], None] = lambda seconds: None) -> None:
        """Wait until every engine is ready.

        Raises:
            ModelError: one of ours ended instead, or took too long; carries its last words.
        """
        await asyncio.gather(*(base.engine.wait_ready(tick=tick) for base in self.bases))


@contextlib.asynccontextmanager
async def running_service(
    config: Config, cast: Cast, *, embedder: TextEmbedder | None = None
) -> AsyncIterator[Service]:
    """Run the gateway and its engine until the block ends.

    Args:
        embedder: None takes the fetched model that the configuration names.

    Raises:
        PortInUse, ConfigError, ModelError, CorpusError: before anything was started.
    """
    if not cast:
        log.warning(
            "there are no personas in %s; one that is made in the console, or put there as "
            "<id>/persona.toml, answers at once",
            ", ".join(str(folder) for folder in config.cast),
        )
    if embedder is None:
        embedder = Embedder(model_folder(config.models, config.retrieval.embedder))
    cast = LiveCast(cast)
    models = [running_base(config, engine) for engine in config.all_engines]
    metrics, traffic = Metrics(), Traffic()
    tracing = tracing_to(config.observability.traces)
    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(asyncio.to_thread, tracing.close)
        ledger = await asyncio.to_thread(Ledger, ledger_url(config))
        stack.callback(ledger.close)
        unanswered = UnansweredNotes(
            Unanswered(ledger.database), keep=config.retrieval.keep_unanswered
        )
        registry = Registry(config.adapters)
        retriever = Retriever(
            cast=cast, indexes=config.indexes, embedder=embedder, reranker=_reranker(config)
        )
        stack.callback(retriever.close)
        bases = await open_bases(
            config,
            models,
            stack,
            cast=cast,
            registry=registry,
            ledger=ledger,
            retriever=retriever,
            metrics=metrics,
        )
        answerer = Answerer(
            cast=cast,
            bases=bases,
            retriever=retriever,
            metrics=metrics,
            traffic=traffic,
            deadlines=config.deadlines,
            gateway=config.gateway,
            tracing=tracing,
            unanswered=unanswered,
        )
        sessions = Sessions(admin_key=config.secrets.admin_key, api_key=config.secrets.api_key)
        changes = CastChanges(
            cast=cast, bases=bases, registry=registry, retriever=retriever, metrics=metrics
        )
        stack.push_async_callback(changes.close)
        folders = CastFolders(cast, config.cast, follow=changes.follow)
        cards = PersonaCards(
            cast=cast,
            answerer=answerer,
            bases=bases,
            retriever=retriever,
            file_problem=folders.problem,
        )
        report = AdapterReport(cast=cast, registry=registry, ledger=ledger, bases=bases)
        feedback = Feedback(ledger.database)
        app = make_app(
            config.gateway,
            cast=cast,
            answerer=answerer,
            bases=bases,
            report=report,
            retriever=retriever,
            metrics=metrics,
            unanswered=unanswered,
            feedback=FeedbackApi(
                cast=cast,
                registry=registry,
                retriever=retriever,
                feedback=feedback,
                metrics=metrics,
                folder=config.feedback,
            ),
            cards=cards,
            sessions=sessions,
            console=console_routes(
                config,
                cast=cast,
                cards=cards,
                report=report,
                registry=registry,
                sessions=sessions,
                cast_folders=folders,
                bases=bases,
                traffic=traffic,
                feedback=feedback,
            ),
            admin_key=config.secrets.admin_key,
            api_key=config.secrets.api_key,
        )
        # Registered before the server, so that the engine outlives the answers that use it.
        stack.push_async_callback(_stop_engines, bases)
        port = await stack.enter_async_context(_listening(app, config))
        # Before the server closes: those who come now are told to come back, not cut off.
        stack.push_async_callback(answerer.drain, config.deadlines.drain_seconds)
        for base in bases:
            await base.engine.start()
            every_seconds = config.adapter_changes.reconcile_seconds
            reconciling = asyncio.create_task(
                keep_reconciled(base.adapters, base.engine, every_seconds=every_seconds),
                name=f"reconcile-{base.model.id}",
            )
            stack.push_async_callback(_cancelled, reconciling)
            following = asyncio.create_task(
                keep_followed(base.adapters, base.engine), name=f"follow-{base.model.id}"
            )
            stack.push_async_callback(_cancelled, following)
        # While the engine starts; its readiness waits for this too.
        opening = asyncio.create_task(retriever.open(), name="open-indexes")
        stack.callback(opening.cancel)
        refreshing = asyncio.create_task(keep_refreshed(retriever), name="refresh-indexes")
        stack.push_async_callback(_cancelled, refreshing)
        looking = asyncio.create_task(keep_looking(folders), name="follow-cast")
        stack.push_async_callback(_cancelled, looking)
        address = config.gateway_url.rpartition(":")[0]
        yield Service(
            url=f"{address}:{port}",
            bases=bases,
            retriever=retriever,
            answerer=answerer,
            app=app,
        )


async def _cancelled(task: asyncio.Task[None]) -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


async def _stop_engines(bases: Bases) -> None:
    stops = (base.engine.stop(grace_seconds=_ENGINE_STOP_SECONDS) for base in bases)
    await asyncio.gather(*stops)


def _reranker(config: Config) -> CrossEncoderReranker | None:
    model = config.retrieval.reranker
    return CrossEncoderReranker(model_folder(config.models, model)) if model else None


def ledger_url(config: Config) -> str:
    if config.secrets.database_url is not None:
        return config.secrets.database_url.get_secret_value()
    config.home.mkdir(parents=True, exist_ok=True)
    path = config.home.absolute() / "state.db"
    with contextlib.suppress(OSError):  # opening it says what is wrong
        path.touch(mode=0o600)  # people's questions are in there
        path.chmod(0o600)
    return f"sqlite:///{path}"


def require_free_port(gateway: GatewayConfig) -> None:
    """Refuse a taken port before minutes of preparing are spent.

    Raises:
        PortInUse: somebody listens there.
        ConfigError: the address is not one of this machine's.
    """
    try:
        info = socket_module.getaddrinfo(
            gateway.host or None, gateway.port, type=socket_module.SOCK_STREAM
        )[0]
        with socket_module.socket(info[0], info[1]) as probe:
            probe.setsockopt(socket_module.SOL_SOCKET, socket_module.SO_REUSEADDR, 1)
            probe.bind(info[4])
    except OSError as err:
        raise _cannot_listen(gateway, err) from err


def _cannot_listen(gateway: GatewayConfig, err: OSError) -> PortInUse | ConfigError:
    if err.errno == errno.EADDRINUSE:
        return PortInUse(
            f"Port {gateway.port} on {gateway.host} is taken by another program (perhaps another "
            "`personae up`). Stop it, or choose another port with `personae up --port 8421`."
        )
    return ConfigError(
        f"The gateway can't listen on {gateway.host}:{gateway.port} ({err.strerror}). "
        "Correct [gateway] host and port in personae.toml."
    )


@contextlib.asynccontextmanager
async def _listening(app: web.Application, config: Config) -> AsyncIterator[int]:
    """Serve the app; gives the port (which the system chooses when the configuration says 0).

    Raises:
        PortInUse: somebody else listens there.
    """
    gateway = config.gateway
    runner = web.AppRunner(
        app,
        access_log=None,
        handler_cancellation=True,  # a client that leaves cancels its answer
        shutdown_timeout=_CLOSE_SECONDS,  # answers were drained before
    )
    await runner.setup()
    try:
        site = web.TCPSite(runner, gateway.host, gateway.port)
        try:
            await site.start()
        except OSError as err:
            raise _cannot_listen(gateway, err) from err
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()

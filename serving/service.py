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
from pathlib import Path

from aiohttp import web

from personae.config import Config, EngineConfig, GatewayConfig
from personae.errors import ConfigError, PortInUse
from personae.manifest import BaseModelRef
from personae.persona import Cast, Persona
from personae.registry import Registry
from personae.weights import model_folder, module_shapes, read_model_manifest
from serving.adapter_report import AdapterReport
from serving.adapters import Adapters, engine_arguments_for
from serving.admission import Admission, AdmissionLimits
from serving.answers import Answerer
from serving.bases import Base, Bases
from serving.engine_client import EngineClient
from serving.engine_host import EngineHost, engine_socket_folder, managed_engine_process
from serving.feedback import Feedback
from serving.feedback_api import FeedbackApi
from serving.gateway import make_app
from serving.ledger import Ledger
from serving.metrics import Metrics
from serving.mixing import mixing_problem
from serving.reconciler import keep_reconciled
from serving.retrieval.embedder import Embedder, TextEmbedder
from serving.retrieval.reranker import CrossEncoderReranker
from serving.retrieval.retriever import Retriever, keep_refreshed
from serving.token_budget import TokenBudget
from serving.tracing import tracing_to
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
        raise ConfigError(
            f"There are no personas in {', '.join(str(folder) for folder in config.cast)}. "
            "Add one as <folder>/<id>/persona.toml, or set [personae] cast."
        )
    if embedder is None:
        embedder = Embedder(model_folder(config.models, config.retrieval.embedder))
    models = [_base_model(config, engine) for engine in config.all_engines]
    metrics = Metrics()
    tracing = tracing_to(config.observability.traces)
    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(asyncio.to_thread, tracing.close)
        ledger = await asyncio.to_thread(Ledger, ledger_url(config))
        stack.callback(ledger.close)
        unanswered = Unanswered(ledger.database)
        registry = Registry(config.adapters)
        retriever = Retriever(
            cast=cast, indexes=config.indexes, embedder=embedder, reranker=_reranker(config)
        )
        stack.callback(retriever.close)
        sockets = stack.enter_context(engine_socket_folder())
        of_persona = {persona.id: _engine_number(config, persona) for persona in cast.values()}
        served = []
        for number, (engine, model) in enumerate(zip(config.all_engines, models, strict=True)):
            members = cast.only(name for name, its in of_persona.items() if its == number)
            suffix = "" if number == 0 else f"-{number + 1}"
            socket = sockets / f"engine{suffix}.sock"
            client = await stack.enter_async_context(_engine_client(config, engine, socket))
            adapters = Adapters(
                cast=members,
                registry=registry,
                ledger=ledger,
                engine=client,
                base_model=model,
                base_shapes=_base_shapes(config, engine),
                unload_grace_seconds=config.adapter_changes.unload_grace_seconds,
                variants=config.variants,
                no_base_traffic=mixing_problem(config, engine),
                watch=config.adapter_changes.watch,
                guests=config.adapter_changes.guests,
                observe=lambda persona, action, outcome: metrics.adapter_changes.labels(
                    persona, action, outcome
                ).inc(),
            )
            stack.push_async_callback(adapters.close)
            log_file = config.logs / f"engine{suffix}.log"
            host = _engine_host(
                config, engine, members, client, socket, log_file, adapters, retriever
            )
            admission = Admission(_admission_limits(config, engine))
            budget = TokenBudget(
                engine.max_model_tokens,
                model_folder(config.models, engine.base_model) / "tokenizer.json",
            )
            served.append(
                Base(
                    model,
                    engine=host,
                    adapters=adapters,
                    admission=admission,
                    budget=budget,
                    can_phrase=engine.can_phrase,
                )
            )
        bases = Bases(cast, served, of_persona)
        answerer = Answerer(
            cast=cast,
            bases=bases,
            retriever=retriever,
            metrics=metrics,
            deadlines=config.deadlines,
            gateway=config.gateway,
            tracing=tracing,
            unanswered=UnansweredNotes(unanswered if config.retrieval.keep_unanswered else None),
        )
        app = make_app(
            config.gateway,
            cast=cast,
            answerer=answerer,
            bases=bases,
            report=AdapterReport(cast=cast, registry=registry, ledger=ledger, bases=bases),
            retriever=retriever,
            metrics=metrics,
            unanswered=unanswered,
            feedback=FeedbackApi(
                cast=cast,
                registry=registry,
                retriever=retriever,
                feedback=Feedback(ledger.database),
                metrics=metrics,
                folder=config.feedback,
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
        # While the engine starts; its readiness waits for this too.
        opening = asyncio.create_task(retriever.open(), name="open-indexes")
        stack.callback(opening.cancel)
        refreshing = asyncio.create_task(keep_refreshed(retriever), name="refresh-indexes")
        stack.push_async_callback(_cancelled, refreshing)
        address = config.gateway_url.rpartition(":")[0]
        yield Service(url=f"{address}:{port}", bases=bases, retriever=retriever, answerer=answerer)


async def _cancelled(task: asyncio.Task[None]) -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


async def _stop_engines(bases: Bases) -> None:
    stops = (base.engine.stop(grace_seconds=_ENGINE_STOP_SECONDS) for base in bases)
    await asyncio.gather(*stops)


def _admission_limits(config: Config, engine: EngineConfig) -> AdmissionLimits:
    gateway = config.gateway
    at_once = gateway.max_answers_at_once
    if engine.url is None:  # what another's engine holds in a batch is not known here
        at_once = min(at_once, engine.max_sequences)
    return AdmissionLimits(
        at_once=at_once,
        waiting=gateway.max_waiting,
        first_token_seconds=config.deadlines.first_token_seconds,
        min_tokens_per_second=gateway.min_tokens_per_second,
    )


def _reranker(config: Config) -> CrossEncoderReranker | None:
    model = config.retrieval.reranker
    return CrossEncoderReranker(model_folder(config.models, model)) if model else None


def _engine_number(config: Config, persona: Persona) -> int:
    """Which engine serves a persona; the default one where none serves the base it wants."""
    engine = config.engine_for(persona.base_model)
    return 0 if engine is None else config.all_engines.index(engine)


def _base_model(config: Config, engine: EngineConfig) -> BaseModelRef:
    """The running base: from the fetched model's manifest, or by id alone for an external engine."""
    if engine.url is not None:
        return BaseModelRef(id=engine.base_model, weights_sha256="")
    manifest = read_model_manifest(model_folder(config.models, engine.base_model))
    return BaseModelRef(id=manifest.id, weights_sha256=manifest.weights_sha256)


def _base_shapes(config: Config, engine: EngineConfig) -> dict[str, tuple[int, int]] | None:
    """The base model's matrices; None for an engine whose files are not here."""
    if engine.url is not None:
        return None
    return module_shapes(model_folder(config.models, engine.base_model))


def ledger_url(config: Config) -> str:
    if config.secrets.database_url is not None:
        return config.secrets.database_url.get_secret_value()
    config.home.mkdir(parents=True, exist_ok=True)
    path = config.home.absolute() / "state.db"
    with contextlib.suppress(OSError):  # opening it says what is wrong
        path.touch(mode=0o600)  # people's questions are in there
        path.chmod(0o600)
    return f"sqlite:///{path}"


def _engine_client(config: Config, engine: EngineConfig, socket: Path) -> EngineClient:
    key = config.secrets.engine_key
    if engine.url is not None:
        return EngineClient(engine.url, api_key=key.get_secret_value() if key else None)
    return EngineClient("http://engine", socket=socket)


def _engine_host(
    config: Config,
    engine: EngineConfig,
    members: Cast,
    client: EngineClient,
    socket: Path,
    log_file: Path,
    adapters: Adapters,
    retriever: Retriever,
) -> EngineHost:
    child = None
    if engine.url is None:
        guests = config.adapter_changes.guests
        sizes = engine_arguments_for(len(members), engine.adapter_slots, guests=guests)
        child = managed_engine_process(
            engine,
            model=model_folder(config.models, engine.base_model).absolute(),
            socket=socket,
            adapter_slots=sizes["max_loras"],
            adapters_in_memory=sizes["max_cpu_loras"],
            log_file=log_file,
        )

    async def on_ready() -> None:
        await adapters.restore()
        await retriever.open()

    return EngineHost(
        client,
        child=child,
        base_model=engine.base_model,
        start_seconds=engine.start_seconds,
        heartbeat_seconds=engine.heartbeat_seconds,
        on_ready=on_ready,
    )


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

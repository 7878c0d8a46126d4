"""The engines of a configuration, each with the adapters of its personas: from settings to `Bases`.

In: the configuration and what all engines share. Out: clients, supervised processes and adapters, closed with
the stack they are entered in; nothing is started yet.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from pathlib import Path

from personae.config import Config, EngineConfig
from personae.manifest import BaseModelRef
from personae.persona import Cast, Persona
from personae.registry import Registry
from personae.weights import model_folder, module_shapes, read_model_manifest
from serving.adapter_slots import engine_arguments_for
from serving.adapters import Adapters
from serving.admission import Admission, AdmissionLimits
from serving.bases import Base, Bases
from serving.engine_client import EngineClient
from serving.engine_host import EngineHost, engine_socket_folder, managed_engine_process
from serving.holders import sharing
from serving.ledger import Ledger
from serving.metrics import Metrics
from serving.mixing import mixing_problem
from serving.ray_engine import ray_engine_client
from serving.retrieval.retriever import Retriever
from serving.token_budget import TokenBudget


async def open_bases(
    config: Config,
    models: Sequence[BaseModelRef],
    stack: contextlib.AsyncExitStack,
    *,
    cast: Cast,
    registry: Registry,
    ledger: Ledger,
    retriever: Retriever,
    metrics: Metrics,
) -> Bases:
    """
    Args:
        models: the running base of each engine; see `running_base`.
    """
    sockets = stack.enter_context(engine_socket_folder())
    served = []
    for number, (engine, model) in enumerate(zip(config.all_engines, models, strict=True)):
        members = cast.where(_served_by(config, number))
        suffix = "" if number == 0 else f"-{number + 1}"
        socket = sockets / f"engine{suffix}.sock"
        client = await stack.enter_async_context(_engine_client(config, engine, socket))
        holders = None
        if engine.url is not None and engine.kind == "vllm":  # other gateways may use it too
            holders = await stack.enter_async_context(sharing(ledger.database, base_model=model.id))
        adapters = Adapters(
            cast=members,
            registry=registry,
            ledger=ledger,
            engine=client,
            base_model=model,
            base_shapes=_base_shapes(config, engine),
            unload_grace_seconds=config.adapter_changes.unload_grace_seconds,
            variants=config.variants,
            holders=holders,
            no_base_traffic=mixing_problem(config, engine),
            watch=config.adapter_changes.watch,
            guests=config.adapter_changes.guests,
            slots=_slots(config, engine, members)["max_loras"] if engine.url is None else None,
            observe=lambda persona, action, outcome: metrics.adapter_changes.labels(
                persona, action, outcome
            ).inc(),
        )
        stack.push_async_callback(adapters.close)
        log_file = config.logs / f"engine{suffix}.log"
        host = _engine_host(config, engine, members, client, socket, log_file, adapters, retriever)
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
    return Bases(cast, served, lambda persona: _engine_number(config, persona))


def _served_by(config: Config, number: int) -> Callable[[Persona], bool]:
    return lambda persona: _engine_number(config, persona) == number


def _engine_number(config: Config, persona: Persona) -> int:
    """Which engine serves a persona; the default one where none serves the base it wants."""
    engine = config.engine_for(persona.base_model)
    return 0 if engine is None else config.all_engines.index(engine)


def running_base(config: Config, engine: EngineConfig) -> BaseModelRef:
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


def _engine_client(config: Config, engine: EngineConfig, socket: Path) -> EngineClient:
    secret = config.secrets.engine_key
    key = secret.get_secret_value() if secret else None
    if engine.kind == "ray":
        return ray_engine_client(engine, api_key=key)
    if engine.url is not None:
        return EngineClient(engine.url, api_key=key)
    return EngineClient("http://engine", socket=socket)


def _slots(config: Config, engine: EngineConfig, members: Cast) -> dict[str, int]:
    guests = config.adapter_changes.guests
    return engine_arguments_for(len(members), engine.adapter_slots, guests=guests)


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
        sizes = _slots(config, engine, members)
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

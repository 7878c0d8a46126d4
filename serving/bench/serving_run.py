"""`personae bench serving`: the scenarios in order, and the keys they give.

Order: the gateway with its engine → texts of batches → first tokens → throughput → gateway against
engine → reloads under load → stop → the stock engine → texts and first tokens again.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from personae.config import Config
from personae.errors import ModelError
from personae.progress import Progress
from personae.prompt import Message, render_ask
from serving.bench import speed
from serving.bench.exactness import ROWS, Exactness, compare_batches
from serving.bench.home import PERSONAS, BenchHome, bench_home
from serving.bench.load import Engine
from serving.bench.processes import RunningGateway, running_gateway, stock_engine
from serving.bench.prompts import QUESTIONS
from serving.bench.reloads import live_versions, reload_under_load

KEYS = (
    "mixed_batch_exact",
    "ttft_adapter_over_base",
    "ttft_stock_over_adapter",
    "throughput_8_adapters_over_base",
    "ttft_gateway_over_engine",
    "throughput_gateway_over_engine",
    "reload_failed",
    "reload_mixed_streams",
    "reload_ttft_p99_over_steady",
)


@dataclass(frozen=True)
class Sizes:
    """How much is measured."""

    exact_tokens: int = 48
    exact_repeats: int = 2
    ttft_rounds: int = 9
    stock_ttft_rounds: int = 5
    throughput_tokens: int = 160
    """About what a demo persona's answer has; with shorter ones prompts are most of the work."""
    throughput_rounds: Mapping[int, int] = field(default_factory=lambda: {1: 3, 2: 3, 4: 3, 8: 5})
    gateway_ttft_rounds: int = 20
    gateway_throughput_tokens: int = 64
    gateway_throughput_rounds: int = 8
    reload_cycles: int = 50
    reload_steady_seconds: float = 60.0
    reload_tokens: int = 24


FULL = Sizes()
QUICK = Sizes(
    exact_tokens=24,
    exact_repeats=1,
    ttft_rounds=5,
    stock_ttft_rounds=2,
    throughput_tokens=128,
    throughput_rounds={1: 1, 2: 1, 4: 1, 8: 4},
    gateway_ttft_rounds=8,
    gateway_throughput_tokens=40,
    gateway_throughput_rounds=4,
    reload_cycles=12,
    reload_steady_seconds=20.0,
)


@dataclass
class _Run:
    home: BenchHome
    sizes: Sizes
    progress: Progress
    keys: dict[str, float] = field(default_factory=dict)
    details: dict[str, Any] = field(default_factory=dict)
    laps: dict[str, float] = field(default_factory=dict)
    _began: float = field(default_factory=time.monotonic)

    def lap(self, name: str) -> None:
        """Note the seconds that a part took."""
        now = time.monotonic()
        self.laps[name], self._began = round(now - self._began, 1), now

    @property
    def base(self) -> str:
        return self.home.base_model.id


async def run_serving_bench(config: Config, *, sizes: Sizes, progress: Progress) -> dict[str, Any]:
    """Measure everything: the keys, and `details` with what they come from.

    Raises:
        ConfigError, ModelError: it can't be measured here, and why.
    """
    # No waiting in line and no shorter answers: that is the other bench's business.
    room = {"gateway": {"max_answers_at_once": 64, "min_tokens_per_second": 0.01}}
    with bench_home(config, settings=room) as home:
        run = _Run(home, sizes, progress)
        async with running_gateway(home, progress=progress) as running:
            run.lap("start")
            models = await _fill_every_slot(run, running)
            await _texts(run, running, list(models.values()))
            run.lap("texts")
            await _engine_speed(run, running.engine, list(models.values()))
            run.lap("speed")
            await _gateway_speed(run, running, models)
            run.lap("gateway")
            await _reloads(run, running)
            run.lap("reloads")
            start = running.start
        log = home.logs / "stock-engine.log"
        async with stock_engine(start, log_file=log, progress=progress) as stock:
            run.lap("stock start")
            await _stock(run, stock, models)
            run.lap("stock")
    run.details["seconds"] = run.laps
    run.details["minutes"] = round(sum(run.laps.values()) / 60, 1)
    return {key: run.keys[key] for key in KEYS} | {"details": run.details}


async def _fill_every_slot(run: _Run, running: RunningGateway) -> dict[str, str]:
    """Reload personas until every slot of the engine holds an adapter; persona → engine's name.

    A live version's predecessor stays loaded, so each reload fills one slot more.
    """
    slots = int(running.start.argument("--max-loras"))
    for persona in list(reversed(run.home.personas))[: max(0, slots - PERSONAS)]:
        number = run.home.personas.index(persona)
        added = run.home.add_version(persona, voice=number, scale=1.1)
        status, reply = await running.gateway.call(
            "POST", f"/admin/adapters/{persona}/reload", {"actor": "bench"}
        )
        if status != 200:
            raise ModelError(f"The bench can't load {added.engine_name}: {reply}")
    live = await live_versions(running)
    lacking = [persona for persona in run.home.personas if persona not in live]
    if lacking:
        raise ModelError(f"The bench's personas {', '.join(lacking)} speak without their adapters.")
    run.details["adapter_slots"] = slots
    run.details["adapters_loaded"] = len(await _loaded(running.engine)) - 1
    return {persona: f"{persona}@{version}" for persona, version in live.items()}


async def _loaded(engine: Engine) -> list[str]:
    _status, listed = await engine.call("GET", "/v1/models")
    return [card["id"] for card in listed["data"]]


def _prompts(run: _Run) -> list[list[Message]]:
    cast = list(run.home.cast.values())
    return [render_ask(cast[row // 2 % len(cast)], QUESTIONS[row]) for row in range(ROWS)]


async def _texts(run: _Run, running: RunningGateway, adapters: list[str]) -> None:
    result = await compare_batches(
        running.engine,
        base=run.base,
        adapters=adapters,
        prompts=_prompts(run),
        tokens=run.sizes.exact_tokens,
        repeats=run.sizes.exact_repeats,
        progress=run.progress,
    )
    run.keys["mixed_batch_exact"] = round(result.share, 4)
    run.details["mixed_batch"] = result.as_details()


async def _engine_speed(run: _Run, engine: Engine, adapters: list[str]) -> None:
    persona = next(iter(run.home.cast.values()))
    raw, ratio = await speed.first_tokens(
        engine,
        base=run.base,
        adapters=adapters,
        persona=persona,
        rounds=run.sizes.ttft_rounds,
        progress=run.progress,
        stage="first tokens",
    )
    run.keys["ttft_adapter_over_base"] = round(ratio, 4)
    run.details["ttft"] = raw
    raw, ratios = await speed.throughputs(
        engine,
        base=run.base,
        adapters=adapters,
        persona=persona,
        tokens=run.sizes.throughput_tokens,
        rounds=run.sizes.throughput_rounds,
        progress=run.progress,
        stage="throughput",
    )
    run.keys["throughput_8_adapters_over_base"] = round(ratios[PERSONAS], 4)
    run.details["throughput"] = raw


async def _gateway_speed(run: _Run, running: RunningGateway, models: Mapping[str, str]) -> None:
    persona = next(iter(run.home.cast.values()))
    for name, tokens in (("short", 120), ("long", speed.PROMPT_TOKENS)):
        raw, ratio = await speed.gateway_first_tokens(
            running,
            persona,
            models[persona.id],
            prompt_tokens=tokens,
            rounds=run.sizes.gateway_ttft_rounds,
            progress=run.progress,
            stage=f"gateway against engine, first tokens of a {name} prompt",
        )
        run.details[f"gateway_ttft_{name}"] = raw | {"ratio": round(ratio, 4)}
    run.keys["ttft_gateway_over_engine"] = round(ratio, 4)
    raw, ratio = await speed.gateway_throughput(
        running,
        models,
        run.home.cast,
        tokens=run.sizes.gateway_throughput_tokens,
        rounds=run.sizes.gateway_throughput_rounds,
        progress=run.progress,
        stage="gateway against engine, throughput",
    )
    run.keys["throughput_gateway_over_engine"] = round(ratio, 4)
    run.details["gateway_throughput"] = raw


async def _reloads(run: _Run, running: RunningGateway) -> None:
    figures = await reload_under_load(
        run.home,
        running,
        cycles=run.sizes.reload_cycles,
        steady_seconds=run.sizes.reload_steady_seconds,
        tokens=run.sizes.reload_tokens,
        progress=run.progress,
    )
    run.keys["reload_failed"] = figures.failed_answers + figures.failed_changes
    run.keys["reload_mixed_streams"] = figures.mixed
    run.keys["reload_ttft_p99_over_steady"] = round(figures.p99_over_steady, 4)
    run.details["reload"] = figures.as_details() | {"cycles": run.sizes.reload_cycles}


async def _stock(run: _Run, stock: Engine, models: Mapping[str, str]) -> None:
    """The same adapters on vLLM as it comes: its first tokens, and its texts."""
    for member in run.home.personas:
        for version in run.home.registry.versions(member):
            body = {"lora_name": version.engine_name, "lora_path": str(version.folder)}
            status, reply = await stock.call("POST", "/v1/load_lora_adapter", body)
            if status != 200:
                raise ModelError(f"The stock engine refused {version.engine_name}: {reply}")
    adapters = list(models.values())
    persona = next(iter(run.home.cast.values()))
    raw, ratio = await speed.first_tokens(
        stock,
        base=run.base,
        adapters=adapters,
        persona=persona,
        rounds=run.sizes.stock_ttft_rounds,
        progress=run.progress,
        stage="first tokens of the stock engine",
    )
    run.details["stock_ttft"] = raw | {"adapter_over_base": round(ratio, 4)}
    ours = statistics.median(run.details["ttft"]["adapter_seconds"])
    run.keys["ttft_stock_over_adapter"] = round(statistics.median(raw["adapter_seconds"]) / ours, 4)
    result: Exactness = await compare_batches(
        stock,
        base=run.base,
        adapters=adapters,
        prompts=_prompts(run),
        tokens=8,
        repeats=1,
        progress=run.progress,
        stage="comparing texts of the stock engine's batches",
        with_alone=False,
    )
    run.details["stock_mixed_batch"] = result.as_details()

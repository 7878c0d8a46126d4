"""`personae bench capacity`: measure one engine here, then say how much so many of them would do.

In: a configuration whose engine is ours to start, or figures that were measured before. Out: the figures,
and for each number of engines the largest load that keeps the promise (`serving.bench.capacity`).
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from personae.config import Config
from personae.errors import ConfigError
from personae.progress import Progress
from serving.bench import speed
from serving.bench.capacity import Demand, EngineSpeed, Promise, largest_load, simulate
from serving.bench.home import bench_home
from serving.bench.load import writing_rate
from serving.bench.processes import running_gateway
from serving.bench.reloads import live_versions

_STREAMS = (1, 4, 8, 16)
"""Measured, and the full batch: a line through a part of it says little about the rest."""
_TOKENS = 96
_ROUNDS = 3


class Figures(BaseModel):
    """What one engine was measured to do, with adapters."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    first_token_seconds: float = Field(gt=0)
    """Of a prompt that is read alone, never seen before."""
    prompt_tokens: int = Field(gt=0)
    """Of that prompt."""
    tokens_per_second: dict[int, float] = Field(min_length=2)
    """Number of streams at a time → tokens a second that all together write, reading their prompts apart."""
    at_once: int = Field(16, ge=1)
    """Answers in one batch, at most."""

    @property
    def speed(self) -> EngineSpeed:
        return EngineSpeed.measured(
            first_token_seconds=self.first_token_seconds,
            prompt_tokens=self.prompt_tokens,
            tokens_per_second=self.tokens_per_second,
            at_once=self.at_once,
        )


def read_figures(path: Path) -> Figures:
    """Those that an earlier run printed, or somebody wrote.

    Raises:
        ConfigError: they can't be read.
    """
    try:
        found = json.loads(path.read_bytes())
        return Figures.model_validate(found.get("figures", found))
    except (OSError, ValueError, AttributeError, ValidationError) as err:
        raise ConfigError(
            f'{path} holds no figures of an engine: {{"first_token_seconds": …, "prompt_tokens": …, '
            f'"tokens_per_second": {{"1": …, "16": …}}, "at_once": 16}} ({type(err).__name__}).'
        ) from err


async def measure_engine(config: Config, *, progress: Progress) -> Figures:
    """Start this configuration's engine with eight adapters, and time it.

    Raises:
        ConfigError, ModelError: it can't be measured here, and why.
    """
    if config.engine.url is not None:
        raise ConfigError(
            f"The engine at {config.engine.url} is not ours to fill with work. Give what it was measured to "
            "do with --figures; docs/scaling.md says how to get them."
        )
    full = config.engine.max_sequences
    if full < 2:
        raise ConfigError(
            "What each further answer of a batch costs can't be measured with [engine] max_sequences = 1. "
            "Set it to 2 or more."
        )
    room = {"gateway": {"max_answers_at_once": 64, "min_tokens_per_second": 0.01}}
    with bench_home(config, settings=room) as home:
        async with running_gateway(home, progress=progress) as running:
            adapters = [
                f"{name}@{version}" for name, version in (await live_versions(running)).items()
            ]
            persona = next(iter(home.cast.values()))
            firsts, _ratio = await speed.first_tokens(
                running.engine,
                base=home.base_model.id,
                adapters=adapters,
                persona=persona,
                rounds=5,
                progress=progress,
                stage="first tokens",
            )
            rates: dict[int, float] = {}
            for streams in sorted({*(n for n in _STREAMS if n < full), full}):
                seen = []
                for _ in range(_ROUNDS):
                    seen.append(
                        await speed.batch_rate(
                            running.engine,
                            adapters,
                            persona,
                            streams=streams,
                            tokens=_TOKENS,
                            rate=writing_rate,
                        )
                    )
                    progress("throughput", len(rates) * _ROUNDS + len(seen), None)
                rates[streams] = round(statistics.median(seen), 2)
    return Figures(
        first_token_seconds=firsts["adapter_median_seconds"],
        prompt_tokens=firsts["prompt_tokens"],
        tokens_per_second=rates,
        at_once=full,
    )


def capacity(
    figures: Figures,
    *,
    engines: Sequence[int],
    demand: Demand,
    promise: Promise,
    minutes: float,
    seeds: Sequence[int],
    progress: Progress,
) -> dict[str, Any]:
    """The table, and what it was computed from."""
    rows = []
    for done, number in enumerate(engines):
        progress("simulating", done, len(engines))
        load = largest_load(
            figures.speed,
            engines=number,
            demand=demand,
            promise=promise,
            minutes=minutes,
            seeds=seeds,
        )
        row: dict[str, Any] = {"engines": number, "questions_per_minute": round(load, 1)}
        if load:
            found = simulate(
                figures.speed,
                engines=number,
                questions_per_minute=load,
                minutes=minutes,
                demand=demand,
                promise=promise,
                seed=seeds[0],
            )
            row |= {
                "first_token_p50": round(found.first_token_p50, 2),
                "first_token_p95": round(found.first_token_p95, 2),
                "tokens_per_second_p5": round(found.tokens_per_second_p5, 1),
                "busy": round(found.busy, 2),
            }
        rows.append(row)
    return {
        "figures": figures.model_dump(),
        "engine": asdict(figures.speed),
        "demand": asdict(demand),
        "promise": asdict(promise),
        "minutes": minutes,
        "seeds": list(seeds),
        "rows": rows,
    }


def table(result: dict[str, Any]) -> str:
    """As Markdown."""
    lines = [
        "| engines | questions a minute | first token, median / 95 % | slowest twentieth | busy |",
        "|---|---|---|---|---|",
    ]
    for row in result["rows"]:
        if "busy" not in row:
            lines.append(f"| {row['engines']} | none keeps the promise | | | |")
            continue
        lines.append(
            f"| {row['engines']} | {row['questions_per_minute']:g} | {row['first_token_p50']:.1f} / "
            f"{row['first_token_p95']:.1f} s | {row['tokens_per_second_p5']:g} tokens/s | {row['busy']:.0%} |"
        )
    return "\n".join(lines)

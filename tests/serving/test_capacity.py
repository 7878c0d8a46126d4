"""The simulation of so many engines: what can be worked out by hand comes out, and the rest is orderly."""

from __future__ import annotations

import json

import pytest

from personae.config import load_config
from personae.errors import ConfigError, ModelError
from personae.progress import silent
from serving.bench.capacity import Demand, EngineSpeed, Promise, largest_load, simulate
from serving.bench.capacity_run import Figures, capacity, measure_engine, read_figures, table
from serving.bench.load import Engine, Reply, writing_rate
from serving.bench.speed import batch_rate
from tests.conftest import REPOSITORY

SPEED = EngineSpeed(fixed=0.03, each=0.002, prompt=0.001, at_once=8)
EVEN = Demand(prompt_tokens=500, answer_tokens=100, spread=0.0)


def test_a_lone_question_takes_what_one_works_out_by_hand():
    """500 prompt tokens and the first step: .03 + .002 + .5 s; then 99 steps of one stream."""
    found = simulate(SPEED, engines=1, questions_per_minute=0.5, minutes=60, demand=EVEN)
    assert found.first_token_p50 == pytest.approx(0.532)
    assert found.tokens_per_second_p5 == pytest.approx(100 / (99 * 0.032), rel=0.01)
    assert found.refused == 0


def test_no_load_makes_an_engine_write_more_than_a_full_batch_does():
    load = 200.0
    found = simulate(SPEED, engines=1, questions_per_minute=load, minutes=20, demand=EVEN)
    answered = found.questions * (1 - found.refused) / (0.9 * 20)
    steps = 100 * (SPEED.fixed + SPEED.each * SPEED.at_once) / SPEED.at_once
    most = 60 / (steps + 500 * SPEED.prompt)
    assert answered <= 1.05 * most and answered >= 0.9 * most
    assert found.refused > 0.3 and found.busy > 0.99


def test_the_same_seed_is_the_same_run_and_another_is_not():
    def run(seed: int):
        return simulate(SPEED, engines=2, questions_per_minute=60, minutes=5, seed=seed)

    assert run(3) == run(3)
    assert run(3) != run(4)


def test_the_largest_load_keeps_the_promise_and_twice_as_much_does_not():
    promise = Promise(first_token_seconds=5.0)
    loads = [
        largest_load(SPEED, engines=engines, demand=EVEN, promise=promise, minutes=5, seeds=[1, 2])
        for engines in (1, 2, 4)
    ]
    assert loads[1] > 1.8 * loads[0] and loads[2] > 1.8 * loads[1], "one line for all: no worse"
    for engines, load in zip((1, 2, 4), loads, strict=True):
        for share, kept in ((1.0, True), (2.0, False)):
            found = simulate(
                SPEED,
                engines=engines,
                questions_per_minute=share * load,
                minutes=5,
                demand=EVEN,
                promise=promise,
                seed=1,
            )
            assert found.keeps(promise) is kept


def test_a_promise_that_no_load_keeps_is_said(tmp_path):
    file = tmp_path / "engine.json"
    figures = Figures(
        first_token_seconds=1.0, prompt_tokens=840, tokens_per_second={1: 30.0, 16: 250.0}
    )
    file.write_text(json.dumps({"figures": figures.model_dump()}))
    assert read_figures(file) == figures
    result = capacity(
        figures,
        engines=[1],
        demand=Demand(),
        promise=Promise(first_token_seconds=0.1),
        minutes=5,
        seeds=[1],
        progress=silent,
    )
    assert "none keeps the promise" in table(result)
    file.write_text("[]")
    with pytest.raises(ConfigError, match="holds no figures"):
        read_figures(file)


def test_a_step_is_what_the_figures_give():
    found = EngineSpeed.measured(
        first_token_seconds=0.5, prompt_tokens=1000, tokens_per_second={1: 50, 16: 320}, at_once=16
    )
    assert found == EngineSpeed(fixed=0.018, each=0.002, prompt=0.00048, at_once=16)
    shown = read_figures(REPOSITORY / "docs" / "benchmarks" / "engine.json").speed
    step = (
        f"{1000 * shown.fixed:.0f} ms + {1000 * shown.each:.1f} ms · streams + "
        f"{1000 * shown.prompt:.1f} ms · prompt tokens read"
    )
    assert step in (REPOSITORY / "docs" / "scaling.md").read_text()


class _Half(Engine):
    """Writes ten tokens in a second, and refuses every second request."""

    asked = 0

    async def chat(self, *_asked, **_sampling) -> Reply:
        self.asked += 1
        if self.asked % 2 == 0:
            return Reply(0.0, None, 1.0, 500, error="http 500")
        return Reply(0.0, 0.5, 1.0, 200, completion_tokens=10)


async def test_a_batch_in_which_a_request_failed_is_no_figure(cast):
    """Its tokens would be missing, and the engine look slow."""
    engine = _Half("http://nowhere")
    assert await batch_rate(engine, ["a"], cast["lincoln"], streams=1, tokens=10) == 10
    engine.asked = 0
    writing = {"streams": 1, "tokens": 10, "rate": writing_rate}
    assert await batch_rate(engine, ["a"], cast["lincoln"], **writing) == 18
    with pytest.raises(ModelError, match="http 500"):
        await batch_rate(engine, ["a"], cast["lincoln"], streams=2, tokens=10)


async def test_what_a_further_answer_costs_needs_a_batch_of_two(tmp_path):
    config = load_config({}, profile="cpu-demo", folder=tmp_path)
    one = config.engine.model_copy(update={"max_sequences": 1})
    with pytest.raises(ConfigError, match="max_sequences = 1"):
        await measure_engine(config.model_copy(update={"engine": one}), progress=silent)

"""The bench's own parts: what it reads off a stream, how it counts, what it leaves behind.

The measurements themselves need a real engine; what is proved here is that they would be counted right.
"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from personae.config import Config, load_config
from personae.errors import ConfigError
from personae.manifest import read_manifest, verify_adapter
from personae.prompt import fingerprint
from personae.weights import MODEL_MANIFEST, ModelManifest
from serving.bench import overload, reloads
from serving.bench.exactness import ROWS, compare_batches
from serving.bench.figures import alternately, paired_ratio, percentile
from serving.bench.home import PERSONAS, bench_home
from serving.bench.load import (
    Engine,
    Gateway,
    Reply,
    at_once,
    one_after_another,
    tokens_per_second,
    writing_rate,
)
from serving.bench.processes import memory_bytes
from serving.bench.report import BEGIN, END, table, write_report
from serving.bench.serving_run import KEYS
from tests.conftest import REPOSITORY


def silent(doing: str, done: float, total: float | None) -> None:
    pass


def reply(first: float = 0.1, **fields: Any) -> Reply:
    return Reply(0.0, first, first + 1.0, 200, **fields)


# -- figures ------------------------------------------------------------------------------------------


@given(st.lists(st.floats(0, 100), min_size=1), st.floats(0.01, 1.0))
def test_a_percentile_is_the_least_value_that_so_many_do_not_exceed(values, share):
    found = percentile(values, share)
    assert found in values
    assert sum(value <= found for value in values) >= share * len(values) - 1e-9
    assert sum(value < found for value in values) < share * len(values) + 1e-9


async def test_two_measurements_take_turns_and_the_first_changes():
    order = []

    async def measure(name: str) -> float:
        order.append(name)
        return float(len(order))

    ones, twos = await alternately(lambda: measure("a"), lambda: measure("b"), 3)
    assert order == ["a", "b", "b", "a", "a", "b"]
    assert (ones, twos) == ([1.0, 4.0, 5.0], [2.0, 3.0, 6.0])


def test_a_slow_round_does_not_move_the_ratio():
    assert paired_ratio([1.0, 50.0, 1.0], [2.0, 100.0, 2.0]) == 0.5


# -- what a client sees -------------------------------------------------------------------------------


async def test_a_gateways_stream_is_read_with_version_and_usage(gateway):
    async with Gateway(gateway.url) as target:
        answer = await target.ask("lincoln", "What now?", key="mine")
    assert answer.error is None and answer.events == ("meta", "delta", "done")
    assert answer.text == "[lincoln@v1] We must think anew."
    assert (answer.version, answer.key, answer.status) == ("v1", "mine", 200)
    assert answer.completion_tokens > 0 and answer.prompt_tokens > 0
    assert answer.started < answer.first_text < answer.ended


async def test_a_refusal_and_a_broken_stream_are_told_apart(gateway):
    async with Gateway(gateway.url) as target:
        unknown = await target.ask("nobody", "What now?")
        gateway.engine.die_after = 2
        broken = await target.ask("lincoln", "What now?")
    assert (unknown.status, unknown.error) == (404, "unknown_persona") and unknown.message
    assert (broken.status, broken.error) == (200, "engine_unavailable") and broken.message
    assert broken.events[-1] == "error"


async def test_an_engines_stream_is_read_and_a_cut_one_is_an_error(engine):
    async with Engine(engine.url) as target:
        messages = [{"role": "user", "content": "Hello"}]
        whole = await target.chat("smollm2-135m", messages, max_tokens=40)
        engine.die_after = 1
        cut = await target.chat("smollm2-135m", messages, max_tokens=40)
        unknown = await target.chat("nobody@v1", messages)
    assert whole.text == "[smollm2-135m] We must think anew." and whole.error is None
    assert whole.finish_reason == "stop" and whole.completion_tokens > 0
    assert cut.error is not None
    assert unknown.error == "http 404"
    assert "cache_salt" in engine.requests[0] and engine.requests[0]["temperature"] == 0.0


async def test_a_closed_loop_asks_again_when_it_has_its_answer():
    until = asyncio.Event()
    under_way, most = 0, 0

    async def request(client: int, asked: int) -> Reply:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0)
        under_way -= 1
        if asked == 4:
            until.set()
        return reply(key=(client, asked))

    replies = await one_after_another(3, request, until=until)
    assert most == 3 and len(replies) >= 13
    assert {r.key[0] for r in replies} == {0, 1, 2}


async def test_equal_and_unequal_texts_of_batches_are_counted(engine):
    """The fake names the model it was asked as: base rows stay, adapter rows are their own."""
    names = [f"lincoln@v{number}" for number in range(1, 9)]
    engine.adapters = dict.fromkeys(names, "/somewhere")
    async with Engine(engine.url) as target:
        result = await compare_batches(
            target,
            base="smollm2-135m",
            adapters=names,
            prompts=[[{"role": "user", "content": str(row)}] for row in range(ROWS)],
            tokens=4,
            repeats=2,
            progress=silent,
        )
    assert result.share == 1.0
    assert (result.base_rows, result.adapter_rows) == (16, 16)
    assert result.adapter_rows_unlike_base == 16


# -- counting -----------------------------------------------------------------------------------------


def test_the_trail_of_a_token_is_its_distance_from_the_likeliest():
    chosen_first = {"5": {"logprob": -0.1, "rank": 1}}
    chosen_third = {"5": {"logprob": -2.1, "rank": 3}, "7": {"logprob": -0.1, "rank": 1}}
    assert reloads._behind(chosen_first) == 0.0
    assert reloads._behind(chosen_third) == pytest.approx(2.0)


def test_replies_are_sorted_by_when_they_began():
    def at(started: float, wait: float, **fields: Any) -> Reply:
        return Reply(started, started + wait, started + 3, 200, key=("bench1", "?"), **fields)

    figures = reloads.ReloadFigures()
    replies = [
        at(0.0, 9.0, version="v1"),  # warming up: not counted in the waits
        at(1.5, 0.2, version="v1"),
        at(2.5, 0.3, version="v2"),
        at(3.5, 0.1, version="v1"),
        at(2.6, 0.1, error="busy"),
    ]
    reloads._count(figures, replies, [1.0, 2.0, 3.0, 4.0])
    assert figures.steady_p99_seconds == pytest.approx(0.2)
    assert figures.changing_p99_seconds == pytest.approx(0.3)
    assert figures.p99_over_steady == pytest.approx(1.5)
    assert (figures.answers, figures.failed_answers) == (5, 1)
    assert figures.by_version == {"v1": 3, "v2": 1}


def test_overload_counts_each_request_once():
    replies = [
        reply(finish_reason="stop", key="ask"),
        reply(61.0, finish_reason="length", key="ask"),
        reply(finish_reason="quoted", key="ask"),
        reply(error="busy", retry_after_seconds=3.0, key="rewrite"),
        reply(error="engine_unavailable", key="ask"),
        reply(error="cut", key="ask"),
    ]
    memory = overload._Memory(begin=1 << 20, middle=2 << 20, end=3 << 20)
    counted = overload._counted(replies, memory, 60.0)
    assert counted["requests"] == 6
    parts = ("answered", "quoted", "refused", "without_an_answer")
    assert [counted[part] for part in parts] == [2, 1, 2, 1]
    assert (counted["late"], counted["refused_without_retry_time"]) == (1, 1)
    assert counted["memory_end_mib"] == 3.0


def test_memory_is_that_of_the_process():
    assert 1 << 20 < memory_bytes(os.getpid()) < 1 << 36


# -- the scratch home ---------------------------------------------------------------------------------


@pytest.fixture
def config(tmp_path: Path) -> Config:
    """A home whose model is only its manifest: enough to publish adapters for it."""
    shipped = next((REPOSITORY / "cast" / "lincoln" / "adapters").glob("v*-*"))
    base = read_manifest(shipped).base_model
    folder = tmp_path / "home" / "models" / base.id
    folder.mkdir(parents=True)
    manifest = ModelManifest(
        id=base.id,
        source="a test",
        licence="none",
        weights_sha256=base.weights_sha256,
        files={},
        created_at="2026-01-01T00:00:00+00:00",
    )
    (folder / MODEL_MANIFEST).write_text(manifest.model_dump_json())
    (tmp_path / "personae.toml").write_text(
        f'[personae]\nprofile = "cpu-demo"\nhome = "home"\ncast = "{REPOSITORY / "cast"}"\n'
    )
    return load_config({}, folder=tmp_path)


def test_a_bench_home_has_eight_voices_and_is_gone_afterwards(config):
    before = sorted(config.home.rglob("*"))
    with bench_home(config, settings={"gateway": {"max_answers_at_once": 99}}) as home:
        assert home.folder.is_relative_to(config.home.absolute())
        assert len(home.personas) == PERSONAS
        contents = set()
        for persona in home.personas:
            version = home.registry.find(persona)
            verify_adapter(
                version.folder,
                persona=persona,
                base_model=home.base_model,
                prompt_fingerprint=fingerprint(home.cast[persona]),
            )
            contents.add(version.manifest.content_sha256)
        assert len(contents) == PERSONAS, "two personas have the same adapter"
        second = home.add_version("bench1", voice=1, scale=0.5)
        assert second.name == "v2" and second.problem is None
        read = load_config({}, file=home.config_file)
        assert read.gateway.max_answers_at_once == 99
        assert read.home == home.folder and read.engine.base_model == config.engine.base_model
    assert sorted(config.home.rglob("*")) == before


def test_what_a_killed_bench_left_is_removed_by_the_next(config):
    left = config.home / "bench-999999999-abc"
    left.mkdir()
    kept = config.home / f"bench-{os.getpid()}-abc"
    kept.mkdir()
    with bench_home(config, settings={}):
        pass
    assert not left.exists() and kept.exists()


def test_a_bench_needs_an_engine_of_its_own_and_an_adapter_to_begin_with(config, tmp_path):
    elsewhere = config.engine.model_copy(update={"url": "http://127.0.0.1:1"})
    with (
        pytest.raises(ConfigError, match="starts its own engine"),
        bench_home(config.model_copy(update={"engine": elsewhere}), settings={}),
    ):
        pass
    (tmp_path / "nobody").mkdir()
    alone = config.model_copy(update={"cast": [tmp_path / "nobody"]})
    with pytest.raises(ConfigError, match="train run"), bench_home(alone, settings={}):
        pass
    assert [path.name for path in config.home.iterdir()] == ["models"]


# -- the report ---------------------------------------------------------------------------------------


RESULT: dict[str, Any] = dict.fromkeys(KEYS, 1.0) | {
    "details": {
        "date": "2026-01-01",
        "machine": {"processor": "a processor", "cores": 2, "memory_gib": 8.0},
        "versions": {"vllm": "0.32.0"},
        "base_model": "smollm2-135m",
        "command": "personae bench serving",
        "minutes": 9.0,
        "ttft": {"prompt_tokens": 840, "base_median_seconds": 0.4, "adapter_median_seconds": 0.5},
        "stock_ttft": {"base_median_seconds": 0.4, "adapter_median_seconds": 4.0},
        "throughput": {
            "streams": 16,
            "8_adapters_over_base": 0.95,
            "8_adapters_tokens_per_second": [95.0],
            "8_adapters_base_tokens_per_second": [100.0],
        },
        "reload": {"cycles": 2, "timeline": [[0.0, 0.1, "steady"], [1.0, 0.2, "reloading"]]},
    }
}


def test_every_key_has_a_row_in_the_table():
    rows = table(RESULT)
    for key in KEYS:
        assert f"`{key}`" in rows


def test_the_report_rewrites_its_own_part_and_nothing_else(tmp_path):
    document = tmp_path / "benchmarks.md"
    document.write_text(f"# Title\n\n{BEGIN}\nold\n{END}\n\n## After\n")
    written = write_report(RESULT, document)
    once = document.read_text()
    assert once.startswith("# Title\n\n") and once.endswith("\n\n## After\n") and "old" not in once
    assert {path.name for path in written[1:]} == {
        "first-token.svg",
        "throughput.svg",
        "reload.svg",
    }
    for path in written[1:]:
        assert f"(benchmarks/{path.name})" in once and path.read_text().count("<svg") == 1
    drawn = [path.read_bytes() for path in written]
    write_report(RESULT, document)
    assert [path.read_bytes() for path in written] == drawn


def test_a_document_without_a_place_is_refused(tmp_path):
    document = tmp_path / "other.md"
    document.write_text("# Title\n")
    with pytest.raises(ConfigError, match="no place"):
        write_report(RESULT, document)
    assert BEGIN in (REPOSITORY / "docs" / "benchmarks.md").read_text()


async def test_requests_at_once_keep_their_order():
    async def one(seconds: float) -> Reply:
        await asyncio.sleep(seconds)
        return reply(key=seconds)

    replies = await at_once(one(seconds) for seconds in (0.02, 0.0, 0.01))
    assert [r.key for r in replies] == [0.02, 0.0, 0.01]


def test_the_rate_of_writing_leaves_the_reading_of_prompts_out():
    """Two streams that begin after two seconds of reading and write 11 tokens in one more."""
    both = [
        Reply(5.0, 6.9, 8.0, 200, completion_tokens=11),
        Reply(5.0, 7.0, 8.0, 200, completion_tokens=11),
    ]
    assert tokens_per_second(both) == pytest.approx(22 / 3)
    assert writing_rate(both) == pytest.approx(20.0)

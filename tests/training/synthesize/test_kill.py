"""Killed at ten random moments, a synthesis ends as if nothing had been and pays for nothing twice."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import random
import signal
import time
from pathlib import Path

import pytest
from pydantic import SecretStr

from personae.config import SynthesisConfig
from personae.corpus import Document
from personae.persona import Persona
from tests.fakes.artefacts import WordEmbedder
from tests.fakes.openai_api import KEY, MODEL, OpenAiApi, Rules
from tests.training.synthesize.conftest import QUICK, config_for
from training.synthesize.budget import Cost
from training.synthesize.cache import AnswerStore
from training.synthesize.make import SAMPLES, SYNTHESIS, read_samples, read_synthesis, synthesize
from training.synthesize.prompts import answer_key

WANTED = 120
AT_ONCE = 3


def child(
    persona: Persona, documents: list[Document], config: SynthesisConfig, folder: Path
) -> None:
    """The synthesizing process."""
    with contextlib.suppress(KeyboardInterrupt):
        synthesize(
            persona,
            documents,
            config=config,
            key=SecretStr(KEY),
            folder=folder,
            embed=WordEmbedder().embed,
            samples=WANTED,
            patience=QUICK,
        )


@pytest.fixture(scope="module")
def processes():
    """Processes that begin in milliseconds: forked from one that has imported everything."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(
        ["tests.training.synthesize.test_kill", "rouge_score.rouge_scorer", "py3langid.langid"]
    )
    return context


def key_of(body: dict) -> str:
    return answer_key(
        body["model"],
        body["messages"],
        max_tokens=body["max_tokens"],
        temperature=body["temperature"],
    )


def wait_for(api: OpenAiApi, event: str, count: int, process) -> bool:
    """Until the API has seen so many more; False if the process ends before."""
    seen = len(api.events(event))
    while len(api.events(event)) < seen + count:
        if not process.is_alive():
            return False
        time.sleep(0.002)
    return True


@pytest.mark.timeout(400)
def test_ten_kills_change_nothing_and_pay_for_no_stored_answer_twice(
    lincoln, training_documents, tmp_path, api, processes
):
    calm, torn = tmp_path / "calm", tmp_path / "torn"
    config = config_for(api, requests_at_once=AT_ONCE)
    child(lincoln, training_documents, config, calm)
    wanted = {key_of(body) for body in api.completions()}
    assert len(wanted) > 90

    api.behave(Rules(seconds=0.01))
    chance = random.Random(7)
    stored: set[str] = set()
    paid_again: list[str] = []
    for _ in range(10):
        before = len(api.completions())
        process = processes.Process(target=child, args=(lincoln, training_documents, config, torn))
        process.start()
        alive = wait_for(
            api, chance.choice(("request", "completed")), chance.randint(2, 9), process
        )
        time.sleep(chance.random() * 0.012)
        assert alive, "it was finished before it could be killed: lower the count"
        process.kill()
        process.join()
        assert process.exitcode == -signal.SIGKILL
        asked = [key_of(body) for body in api.completions()[before:]]
        paid_again += [key for key in asked if key in stored]
        with AnswerStore.opened(torn) as store:
            kept = store.keys()
        assert stored <= kept, "a stored answer was lost"
        # What was billed and is not there was on its way when the process died.
        assert len(set(asked) - kept) <= AT_ONCE
        stored = kept
    assert 5 < len(stored) < len(wanted)
    (torn / f".{SAMPLES}.writing-x").touch()  # as one leaves it that is killed while it ends
    before = len(api.completions())
    child(lincoln, training_documents, config, torn)
    paid_again += [key_of(b) for b in api.completions()[before:] if key_of(b) in stored]

    assert paid_again == []
    completed = [key_of(body) for body in api.completions()]
    assert set(completed) == wanted
    assert len(completed) - len(wanted) <= 10 * AT_ONCE
    assert (torn / SAMPLES).read_bytes() == (calm / SAMPLES).read_bytes()
    assert not list(torn.glob(".*"))
    report = read_synthesis(torn)
    assert report is not None
    billed = sum(row["prompt_tokens"] + row["completion_tokens"] for row in api.events("completed"))
    # Nothing that was billed is missing from the books, whatever the kills tore apart.
    assert report.tokens <= billed <= report.tokens + report.lost_tokens


def test_ctrl_c_stores_what_is_on_its_way(lincoln, training_documents, folder, api, processes):
    api.behave(Rules(seconds=0.3))
    config = config_for(api, requests_at_once=AT_ONCE)
    process = processes.Process(target=child, args=(lincoln, training_documents, config, folder))
    process.start()
    assert wait_for(api, "request", 10, process)
    assert process.pid is not None
    os.kill(process.pid, signal.SIGINT)
    process.join()
    assert process.exitcode == 0
    with AnswerStore.opened(folder) as store:
        assert {key_of(body) for body in api.completions()} == store.keys()
        assert store.spent().lost.tokens == 0
    assert not (folder / SYNTHESIS).exists() and read_samples(folder) == []


def test_what_a_kill_left_open_counts_at_its_worst(folder):
    with AnswerStore.opened(folder) as store:
        store.begin("ab" * 32, MODEL, Cost(700, 0.5))
    with AnswerStore.opened(folder) as store:
        assert store.spent().lost == Cost(700, 0.5)
        assert store.spent().all == Cost(700, 0.5)

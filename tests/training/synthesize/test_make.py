"""Samples by a model: traceable, rendered as in serving, within the budget, and never paid for twice."""

from __future__ import annotations

import json
import logging
from collections import Counter
from dataclasses import replace

import pytest
from pydantic import SecretStr

from personae.config import SynthesisConfig
from personae.corpus import cut_passages, sentences
from personae.errors import ConfigError, CorpusError, EngineUnavailable
from personae.prompt import render_ask
from personae.self_introduction import identity_answer
from tests.fakes.artefacts import WordEmbedder
from tests.fakes.openai_api import KEY, MODEL, Rules
from tests.training.synthesize.conftest import QUICK, config_for
from training.synthesize.cache import ANSWERS, AnswerStore
from training.synthesize.make import (
    SAMPLES,
    SYNTHESIS,
    price_synthesis,
    read_samples,
    read_synthesis,
    synthesize,
)

WANTED = 70


@pytest.fixture
def run(lincoln, training_documents, folder, api):
    """Synthesize with settings of [synthesis] that a test changes."""

    def run(*, key: str | None = KEY, patience=QUICK, length=None, **settings: object):
        return synthesize(
            lincoln,
            training_documents,
            config=config_for(api, **settings),
            key=SecretStr(key) if key else None,
            folder=folder,
            embed=WordEmbedder().embed,
            samples=WANTED,
            length=length,
            patience=patience,
        )

    return run


@pytest.fixture
def priced(lincoln, training_documents, folder, api):
    def priced(**settings: object):
        return price_synthesis(
            lincoln,
            training_documents,
            config=config_for(api, **settings),
            folder=folder,
            samples=WANTED,
        )

    return priced


def flat(text: str) -> str:
    return " ".join(text.split())


def bill(api, config: SynthesisConfig) -> tuple[int, float]:
    """What the API would charge: every completion, whether or not its reply arrived."""
    rows = api.events("completed")
    read = sum(row["prompt_tokens"] for row in rows)
    written = sum(row["completion_tokens"] for row in rows)
    return read + written, (read * config.input_price + written * config.output_price) / 1e6


def test_every_sample_can_be_traced_and_nothing_held_out_is_shown(
    run, api, training_documents, held_out_documents
):
    samples = run()
    by_id = {document.id: flat(document.text) for document in training_documents}
    assert Counter(sample.task for sample in samples).keys() == {
        *("ask", "rewrite", "identity", "refusal")
    }
    traced = 0
    for sample in samples:
        assert sample.made_by == MODEL
        if sample.task in ("ask", "rewrite"):
            assert flat(sample.target) in by_id[sample.document_id]
            traced += 1
    assert traced > 20
    shown = flat(
        json.dumps([sample.messages for sample in samples], ensure_ascii=False)
        + json.dumps(api.completions(), ensure_ascii=False)
    )
    secret = {
        sentence
        for document in held_out_documents
        for passage in cut_passages(document)
        for sentence in sentences(passage.text)
        if len(sentence) > 60 and not any(flat(sentence) in text for text in by_id.values())
    }
    assert len(secret) > 100
    assert not any(json.dumps(sentence, ensure_ascii=False)[1:-1] in shown for sentence in secret)


def test_prompts_are_those_of_serving_and_answers_never_the_models(run, lincoln):
    samples = run()
    by_task = {task: [s for s in samples if s.task == task] for task in ("ask", "identity")}
    for sample in samples:
        assert sample.messages[0]["content"] in (lincoln.ask.system, lincoln.rewrite.system)
    bare = [s for s in by_task["ask"] if s.messages[1]["content"].startswith("Question: ")]
    assert bare
    for sample in bare:
        question = sample.messages[1]["content"].removeprefix("Question: ")
        assert sample.messages == render_ask(lincoln, question)
    assert {sample.target for sample in by_task["identity"]} == {identity_answer(lincoln)}
    refused = [sample for sample in samples if sample.task == "refusal"]
    assert all(sample.target.startswith(lincoln.refusal) for sample in refused)
    # Missing context: passages are shown, and none of them is of the document that answers.
    missing = [sample for sample in refused if sample.document_id]
    assert missing
    assert all("Passages from your writings" in s.messages[1]["content"] for s in missing)


def test_a_second_run_asks_nothing_and_makes_the_same(run, api, folder):
    first = run()
    written = (folder / SAMPLES).read_bytes()
    paid = len(api.completions())
    assert paid > 50
    api.behave()
    assert run() == first == read_samples(folder)
    assert (folder / SAMPLES).read_bytes() == written
    assert api.events("request") == []


def test_the_dry_run_prices_exactly_what_is_asked(run, priced, api):
    price = priced()
    assert api.events("request") == []
    run()
    asked = Counter(row["number"] for row in api.events("completed"))
    assert len(asked) == price.requests == sum(kind.requests for kind in price.kinds.values())
    tokens, money = bill(api, config_for(api))
    assert tokens <= price.most_tokens and money <= price.most_money
    assert price.tokens == pytest.approx(tokens, rel=0.5)
    after = priced()
    assert (after.requests, after.money, after.stored) == (0, 0.0, price.requests)
    assert (after.spent_tokens, after.spent_money) == (tokens, pytest.approx(money))


def test_a_dry_run_says_when_no_prices_are_known_and_when_the_budget_is_too_small(priced):
    assert priced().prices_known and priced().within_budget
    assert not priced(input_price=0, output_price=0).prices_known
    assert not priced(budget=0.001).within_budget
    assert not priced(token_budget=500).within_budget


@pytest.mark.parametrize("limits", [{"budget": 0.01}, {"token_budget": 12_000}])
@pytest.mark.parametrize(
    ("faults", "least"),
    [((), 0.75), (("", "", "drop", "503", "malformed", "", ""), 0.2)],
    ids=["calm", "broken"],
)
def test_no_budget_is_ever_passed_however_many_ask_at_once(run, api, folder, limits, faults, least):
    api.behave(Rules(faults=faults, again=True))
    config = config_for(api, requests_at_once=16, **limits)
    run(requests_at_once=16, **limits)
    tokens, money = bill(api, config)
    assert least < max(tokens / config.token_budget, money / config.budget) <= 1
    report = read_synthesis(folder)
    assert report is not None and sum(report.missing.values()) > 10
    # It counts what the API may have billed and never delivered.
    assert report.tokens + report.lost_tokens >= tokens
    assert report.money + report.lost_money >= money - 1e-9
    run(requests_at_once=1, **limits)  # small ones may still fit
    tokens, money = bill(api, config)
    assert max(tokens / config.token_budget, money / config.budget) <= 1


def test_a_larger_budget_goes_on_where_the_smaller_one_ended(run, api, folder):
    run(token_budget=12_000)
    first = len(api.completions())
    whole = run()
    assert len(api.completions()) == len({json.dumps(body) for body in api.completions()})
    assert 5 < first < len(api.completions())
    assert len(read_samples(folder)) == len(whole)
    report = read_synthesis(folder)
    assert report is not None and report.missing == {}


def test_an_unreliable_api_gives_the_same_samples(run, api, folder):
    calm = run()
    (folder / ANSWERS).unlink()
    faults = ["503", "429", "drop", "502", "429 date", "malformed", "500", "wrong"]
    api.behave(Rules(faults=tuple(f for fault in faults for f in (fault, "", "")), again=True))
    assert run() == calm
    assert {row["status"] for row in api.events("refused")} == {429, 500, 502, 503}


def test_a_reply_that_never_comes_is_asked_again_and_counted_as_paid(run, api, folder):
    api.behave(Rules(faults=("slow",)))
    run(patience=replace(QUICK, reply_seconds=1.5))
    report = read_synthesis(folder)
    assert report is not None and report.missing == {} and report.lost_tokens > 300


def test_rate_limits_of_the_api_are_waited_for(run, api):
    api.behave(Rules(requests_per_window=30, window_seconds=0.4))
    run(requests_at_once=8)
    # A client that ignored the headers would run into the limit with most of its requests.
    refused = [row for row in api.events("refused") if row["status"] == 429]
    assert len(refused) <= 8 * 3


def test_missing_usage_is_counted_at_its_worst(run, api, folder):
    api.behave(Rules(faults=("no usage",), again=True))
    run()
    tokens, _money = bill(api, config_for(api))
    report = read_synthesis(folder)
    assert report is not None and report.tokens > tokens


def test_answers_without_content_and_filtered_requests_are_counted_not_hidden(run, api, folder):
    api.behave(Rules(faults=("null", "filter", "", "", ""), again=True))
    run()
    report = read_synthesis(folder)
    assert report is not None
    assert sum(report.refused.values()) > 5
    assert sum(reasons.get("empty", 0) for reasons in report.rejected.values()) > 5


def test_newer_models_get_the_parameters_they_take(run, api):
    api.behave(Rules(newer=True))
    run()
    assert all(
        set(body) == {"model", "messages", "max_completion_tokens"} for body in api.completions()
    )


def test_samples_longer_than_the_base_model_reads_are_left_out(run, folder):
    whole = run()
    longest = sorted(len(sample.target) for sample in whole)[-10]
    shorter = run(length=lambda sample: 2000 if len(sample.target) >= longest else 10)
    assert len(whole) - 30 < len(shorter) <= len(whole) - 10
    report = read_synthesis(folder)
    assert report is not None
    assert sum(r.get("longer than the base model reads", 0) for r in report.rejected.values())


@pytest.mark.parametrize(
    ("rules", "key", "expected"),
    [
        (Rules(), "sk-wrong-9d2e", "PERSONAE_SYNTHESIS_KEY"),
        (Rules(), None, "a request without a key"),
        (Rules(status=403), KEY, "PERSONAE_SYNTHESIS_KEY"),
        (Rules(status=404), KEY, "often ends in /v1"),
        (Rules(status=307), KEY, "final address"),
        (Rules(context_tokens=50), KEY, "Context length exceeded"),
    ],
)
def test_a_wrong_setting_is_said_at_once_and_never_tried_again(run, api, rules, key, expected):
    api.behave(rules)
    with pytest.raises(ConfigError) as caught:
        run(key=key, requests_at_once=1)
    assert expected in str(caught.value)
    assert key is None or key not in str(caught.value)
    assert len(api.events("request")) == 1


def test_an_empty_account_is_said_at_once(run, api):
    api.behave(Rules(status=429, error={"code": "insufficient_quota", "message": "No credit."}))
    with pytest.raises(EngineUnavailable, match="Top it up"):
        run(requests_at_once=1)
    assert len(api.events("request")) == 1


def test_an_api_that_stays_broken_ends_the_run_and_loses_nothing(run, api):
    api.behave(Rules(faults=("",) * 20 + ("503",) * 2000))
    with pytest.raises(EngineUnavailable, match="run this again to go on"):
        run(patience=replace(QUICK, tries=4))
    assert len(api.completions()) == 20
    api.behave()
    run()
    assert len(api.completions()) == len(api.events("request")) > 20


def test_an_api_that_nobody_answers_at_ends_the_run(run, folder):
    with pytest.raises(EngineUnavailable, match="can't be reached"):
        run(url="http://127.0.0.1:9/v1", patience=replace(QUICK, tries=2))
    assert not (folder / SYNTHESIS).exists()


def test_the_key_is_in_no_file_and_no_log(run, api, folder, caplog):
    caplog.set_level(logging.DEBUG)
    api.behave(Rules(faults=("503", "drop", ""), again=True))
    run()
    assert "503" in caplog.text
    assert KEY not in caplog.text
    files = [path for path in folder.iterdir() if path.is_file()]
    assert len(files) >= 3
    assert not any(KEY.encode() in path.read_bytes() for path in files)
    # Nor does a log line hold what was asked or answered.
    body = json.loads(api.events("request")[0]["body"])["messages"][-1]["content"]
    assert body.splitlines()[-2][:60] not in caplog.text


def test_two_at_once_are_refused(run, folder):
    with AnswerStore.opened(folder), pytest.raises(CorpusError, match="Another process"):
        run()


def test_without_an_api_it_says_how_to_configure_one(lincoln, training_documents, folder):
    with pytest.raises(ConfigError, match=r"\[synthesis\](?s:.*)Training works without"):
        synthesize(
            lincoln,
            training_documents,
            config=SynthesisConfig(),
            key=None,
            folder=folder,
            embed=WordEmbedder().embed,
        )
    assert not folder.exists()

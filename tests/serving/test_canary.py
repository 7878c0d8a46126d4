"""The canary: what a loaded version has to show before people hear it."""

from __future__ import annotations

import pytest

from personae.errors import AdapterError, EngineUnavailable
from personae.reference import log_prob_differences
from personae.wire import AdapterChange
from serving.ledger import Pointer
from tests.fakes.engine import log_prob

TO_V2 = AdapterChange(version="v2", actor="me")


async def test_a_version_that_says_what_it_said_in_training_goes_live(stage):
    adapters = await stage.adapters()
    stage.add(2, reference="true")
    assert (await adapters.reload("lincoln", TO_V2)).changed
    asked = [request for request in stage.engine.requests if request["model"] == "lincoln@v2"]
    assert len(asked) == 3, "one request a question"
    assert all(request["logprobs"] and request["temperature"] == 0 for request in asked)


async def test_a_version_that_says_otherwise_is_refused_and_unloaded(stage):
    adapters = await stage.adapters()
    stage.add(2, reference="false")
    with pytest.raises(AdapterError, match=r"otherwise than where it was trained \(0\.\d+ nats"):
        await adapters.reload("lincoln", TO_V2)
    assert stage.loaded() == {"lincoln@v1"}
    assert adapters.live_version("lincoln") == "v1"


@pytest.mark.parametrize("reference", [None, "true"])
@pytest.mark.parametrize("log_probs", ["told", "left out", "refused"])
async def test_an_adapter_the_engine_does_not_apply_is_refused(stage, reference, log_probs):
    """Whether or not the engine tells log-probabilities, and whether or not there is a reference."""
    adapters = await stage.adapters()
    stage.add(2, reference=reference)
    stage.engine.deaf_to_adapters = True
    stage.engine.log_probs = log_probs
    with pytest.raises(AdapterError, match="speaks exactly like the base model"):
        await adapters.reload("lincoln", TO_V2)
    assert stage.loaded() == {"lincoln@v1"}


@pytest.mark.parametrize("log_probs", ["left out", "refused"])
async def test_an_engine_that_tells_no_log_probabilities_is_judged_by_words(stage, log_probs):
    adapters = await stage.adapters()
    stage.add(2, reference="false")
    stage.engine.log_probs = log_probs
    assert (await adapters.reload("lincoln", TO_V2)).changed


async def test_the_same_words_with_other_log_probabilities_are_a_difference(stage):
    """The first words of base and adapter may well be the same."""
    adapters = await stage.adapters()
    stage.add(2)
    stage.engine.tag = False
    assert (await adapters.reload("lincoln", TO_V2)).changed


async def test_an_engine_that_goes_away_is_not_the_version_s_fault(stage):
    adapters = await stage.adapters()
    stage.add(2)
    stage.engine.full = True
    with pytest.raises(EngineUnavailable, match="busy"):
        await adapters.reload("lincoln", TO_V2)
    stage.engine.full = False
    assert (await adapters.reload("lincoln", TO_V2)).changed


async def test_where_the_base_cannot_be_trusted_its_recorded_words_stand_in(stage):
    """An untested vLLM on the CPU gives the base another persona's voice: it is not asked."""
    stage.ledger.swap(Pointer(), Pointer(live=2), _line(2))
    stage.add(2, reference="true")
    adapters = await stage.adapters(no_base_traffic="It would mix voices.")
    assert adapters.live_version("lincoln") == "v2"
    assert {request["model"] for request in stage.engine.requests} == {"lincoln@v2"}


def _line(version: int):
    from serving.change_log import OURS, ChangeLog

    log = ChangeLog(None, base_model="smollm2-135m", observe=lambda *_: None)
    return log.line("lincoln", "reload", None, version, OURS, "done", "")


def test_answers_are_compared_as_far_as_they_share_their_words():
    expected = [("We", -0.1), (" must", -0.5), (" think", -0.2)]
    same = [("We", -0.1), (" must", -0.6), (" think", -0.2)]
    likely = [dict([pair]) for pair in same]
    assert log_prob_differences(expected, same, likely) == pytest.approx([0, 0.1, 0])
    parted = [("We", -0.1), (" will", -0.4), (" not", -3.0)]
    likely = [{"We": -0.1}, {" will": -0.4, " must": -0.7}, {" not": -3.0}]
    assert log_prob_differences(expected, parted, likely) == pytest.approx([0, 0.2])
    unlikely = [{"We": -0.1}, {" will": -0.4, " can": -2.5}, {" not": -3.0}]
    assert log_prob_differences(expected, parted, unlikely) == pytest.approx([0, 2.0])


def test_the_fake_engine_s_log_probabilities_depend_on_weights_question_and_place():
    """Else the tests above would prove nothing."""
    here = [{"role": "user", "content": "a"}]
    values = {
        log_prob("x", here, 0),
        log_prob("y", here, 0),
        log_prob("x", here, 1),
        log_prob("x", [{"role": "user", "content": "b"}], 0),
    }
    assert len(values) == 4

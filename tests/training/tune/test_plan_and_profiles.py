"""What a training costs is known before it begins, and what each machine trains with."""

from __future__ import annotations

import importlib.util
from dataclasses import replace

import pytest

from personae.errors import ModelError
from personae.persona import TrainingChoices
from tests.training.conftest import TINY
from training.tune.plan import SynthesisCost, estimate, sentences
from training.tune.prepare import prepare
from training.tune.profiles import PROFILES, parameters_of, profile_for, settings_for
from training.tune.run_folder import TrainSettings

SMALL = TrainSettings(steps=4, batch=3, held_out_samples=4, max_tokens=4096, probe_tokens=8)


@pytest.fixture(scope="module")
def prepared(lincoln, cast, corpora, models):
    return prepare(
        lincoln,
        persona_folder=cast.folder("lincoln"),
        models=models,
        base_model=TINY,
        corpora=corpora,
        settings=SMALL,
    )


def test_cost_unknown(prepared, tmp_path):
    """Nothing begins without a figure for time, memory, tokens and money; and nothing is written for it."""
    cost = SynthesisCost(requests=10, tokens=2900, money=1.25)
    found = estimate(prepared, max_adapter_rank=16, runs=tmp_path, synthesis=cost)
    assert found.run == prepared.plan.key
    assert 0 < found.labels < found.tokens
    assert found.longest_tokens <= 4096
    assert 0 < found.seconds < 3600
    assert found.peak_memory_bytes > 50e6
    assert found.measured_steps == 3
    assert found.money == 1.25
    said = "\n".join(sentences(found))
    for word in ("Tokens", "Time", "Memory", "1.25 for samples written by a model"):
        assert word in said
    assert list(tmp_path.iterdir()) == []


def test_a_plan_tells_what_a_run_would_refuse(prepared, tmp_path):
    broken = replace(prepared, settings=replace(SMALL, max_tokens=250))
    with pytest.raises(ModelError, match="longer than 250 tokens"):
        estimate(broken, max_adapter_rank=16, runs=tmp_path)


def test_a_profile_follows_the_machine_before_the_configuration():
    assert profile_for("gpu-80g", gpus=0, gpu_bytes=0) == "cpu"
    assert profile_for("gpu-24g", gpus=1, gpu_bytes=24_000_000_000) == "gpu-24g"
    assert profile_for("gpu-80g", gpus=1, gpu_bytes=24_000_000_000) == "gpu-24g"
    assert profile_for("gpu-80g", gpus=1, gpu_bytes=85_000_000_000) == "gpu-80g"
    assert profile_for("gpu-80g", gpus=8, gpu_bytes=85_000_000_000) == "gpu-8x80g"


def test_persona_over_profile_and_command_line_over_both(lincoln):
    wants = TrainingChoices(steps=70, rank=8, learning_rate=1e-4, continued_pretraining=True)
    persona = lincoln.model_copy(update={"training": wants})
    silent = lincoln.model_copy(update={"training": TrainingChoices()})
    plain = settings_for("cpu", silent, parameters=135_000_000, max_adapter_rank=16)
    assert plain == PROFILES["cpu"]
    wished = settings_for("cpu", persona, parameters=135_000_000, max_adapter_rank=16)
    assert (wished.steps, wished.rank, wished.alpha) == (70, 8, 16)
    assert wished.learning_rate == 1e-4
    assert wished.text_steps == 35
    told = settings_for("cpu", persona, parameters=135_000_000, max_adapter_rank=16, steps=9)
    assert told.steps == 9


def test_a_profiles_rank_gives_way_to_the_engine(lincoln):
    settings = settings_for("gpu-80g", lincoln, parameters=14_000_000_000, max_adapter_rank=8)
    assert (settings.rank, settings.alpha) == (8, 16)


def test_7b_on_24_gb_is_trained_in_4_bit_or_refused(lincoln):
    if importlib.util.find_spec("bitsandbytes"):
        settings = settings_for("gpu-24g", lincoln, parameters=7_600_000_000, max_adapter_rank=16)
        assert settings.four_bit_base
    else:
        with pytest.raises(ModelError, match="bitsandbytes"):
            settings_for("gpu-24g", lincoln, parameters=7_600_000_000, max_adapter_rank=16)
    small = settings_for("gpu-24g", lincoln, parameters=1_500_000_000, max_adapter_rank=16)
    assert not small.four_bit_base


def test_every_profile_trains_what_every_engine_of_its_size_serves(lincoln):
    for name, settings in PROFILES.items():
        assert settings.rank <= 16, name
        assert settings.batch % settings.micro_batch == 0, name
        assert settings.evaluations >= settings.patience, name


def test_parameters_are_counted_from_the_files(models):
    assert (
        parameters_of(models / TINY)
        == 600 * 32 + 2 * (32 * (32 + 16 + 16 + 32) + 3 * 32 * 64 + 2 * 32) + 32
    )

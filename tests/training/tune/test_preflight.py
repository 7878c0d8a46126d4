"""Each way a training was lost before is told before anything is loaded, and all problems at once."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from personae.errors import ModelError
from personae.weights import model_folder
from tests.training.conftest import TINY
from training.samples.dataset import make_dataset
from training.tune.encode import encode_one, end_of_turn, row_problem
from training.tune.leakage import leaks
from training.tune.legal import config_problems, weights_problems
from training.tune.lora import load_tokenizer, lora_config
from training.tune.preflight import preflight, sample_problems
from training.tune.run_folder import TrainSettings

SETTINGS = TrainSettings(max_tokens=4096)


@pytest.fixture(scope="module")
def folder(models) -> Path:
    return model_folder(models, TINY)


@pytest.fixture
def tokenizer(folder):
    return load_tokenizer(folder)


@pytest.fixture(scope="module")
def dataset(lincoln, documents):
    return make_dataset(lincoln, documents, count=60, held_out_count=4, seed=1)


@pytest.fixture
def check(lincoln, documents, folder, tokenizer, dataset, tmp_path):
    def run(**changes):
        given = {
            "dataset": dataset,
            "tokenizer": tokenizer,
            "base_folder": folder,
            "settings": SETTINGS,
            "max_adapter_rank": 16,
        } | changes
        return preflight(
            lincoln,
            given["dataset"],
            documents,
            given["tokenizer"],
            given["base_folder"],
            given["settings"],
            max_adapter_rank=given["max_adapter_rank"],
            run=tmp_path / "run",
        )

    return run


def test_good_samples_pass_and_are_counted(check, dataset):
    found, rows, held_out = check()
    assert found.problems == []
    assert len(rows) == found.samples == len(dataset.train)
    assert len(held_out) == 4
    assert 0 < found.labels < found.tokens == sum(len(row.ids) for row in rows)
    assert found.longest_tokens == max(len(row.ids) for row in [*rows, *held_out])


def test_masked_end_token(dataset, tokenizer):
    """pad = eos, and the mask of the padding masks the end: such a row is refused."""
    assert tokenizer.pad_token_id == tokenizer.eos_token_id
    row = encode_one(dataset.train[0], tokenizer, max_tokens=4096)
    end = end_of_turn(tokenizer)
    assert row_problem(row, end) is None
    masked = replace(row, ids=row.ids[:-1])
    assert "does not learn the end of the turn" in (row_problem(masked, end) or "")
    empty = replace(row, first_label=len(row.ids))
    assert "no answer to learn" in (row_problem(empty, end) or "")


def test_chunks_past_the_limit(check, dataset):
    """They are counted and refused, never cut."""
    with pytest.raises(ModelError, match=r"\d+ of 60 training samples are longer than 250 tokens"):
        check(settings=replace(SETTINGS, max_tokens=250))


def test_document_leakage(check, dataset, documents):
    (away,) = dataset.held_out_documents
    held_out = next(document for document in documents if document.id == away)
    target = " ".join(held_out.text.split()[200:260])
    leaky = replace(dataset, train=[*dataset.train, replace(dataset.train[0], target=target)])
    with pytest.raises(ModelError, match=f"1 training samples hold 12 or more words.*{away}"):
        check(dataset=leaky)


def test_what_both_sides_share_is_no_leak(documents):
    one, two = documents[0], documents[1]
    refrain = "we the people of these states hold that labor is prior to capital always"
    training = one.model_copy(update={"text": f"{one.text} {refrain}"})
    held_out = two.model_copy(update={"text": f"{refrain} and so on"})
    assert not leaks([refrain], [training], [held_out])
    assert leaks([refrain], [one], [held_out]) == {two.id: 1}


def test_template_mismatch(check, tokenizer):
    """A newline more than the engine's template writes is another prompt."""
    tokenizer.chat_template = tokenizer.chat_template.replace("'\n' }}", "'\n\n' }}", 1)
    with pytest.raises(ModelError, match="not the one in the base model's folder"):
        check()


def test_missing_identity(dataset, documents):
    nobody = replace(dataset, train=[s for s in dataset.train if s.task != "identity"])
    assert sample_problems(dataset, documents) == []
    (problem,) = sample_problems(nobody, documents)
    assert "Who are you?" in problem


def test_vllm_illegal_config():
    config = lora_config(rank=8, alpha=16, dropout=0.0).to_dict()
    config["target_modules"] = ["q_proj", "down_proj"]
    assert config_problems(config) == []
    for change, said in (
        ({"modules_to_save": ["lm_head"]}, "holds whole layers"),
        ({"bias": "all"}, "biases"),
        ({"use_dora": True}, "DoRA"),
        ({"target_modules": ["q_proj", "model.embed_tokens"]}, "embed_tokens"),
    ):
        (problem,) = config_problems(config | change)
        assert said in problem


def test_merging_from_4_bit(folder, tmp_path):
    """Weights that are not 16 bit on disk are no base: whatever is merged into them is ruined."""
    assert weights_problems(folder) == []
    quantized = tmp_path / "base"
    shutil.copytree(folder, quantized)
    config = json.loads((quantized / "config.json").read_text())
    (quantized / "config.json").write_text(
        json.dumps(config | {"quantization_config": {"load_in_4bit": True}})
    )
    (problem,) = weights_problems(quantized)
    assert "16-bit original" in problem


def test_all_problems_are_told_at_once(check, dataset):
    nobody = replace(dataset, train=[s for s in dataset.train if s.task != "identity"])
    with pytest.raises(ModelError) as caught:
        check(dataset=nobody, settings=replace(SETTINGS, max_tokens=250, rank=32))
    message = str(caught.value)
    assert "max_adapter_rank of 16" in message
    assert "Who are you?" in message
    assert "are longer than 250 tokens" in message

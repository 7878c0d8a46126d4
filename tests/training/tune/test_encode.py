"""What is learned: the answer and its end, nothing of the prompt, and nothing cut."""

from __future__ import annotations

from dataclasses import replace

import pytest

from personae.errors import ModelError
from personae.weights import model_folder
from tests.training.conftest import TINY
from training.samples.dataset import make_dataset
from training.tune.encode import check_encoded, encode, end_of_turn, preview


@pytest.fixture(scope="module")
def tokenizer(models):
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(model_folder(models, TINY))


@pytest.fixture(scope="module")
def samples(lincoln, documents):
    return make_dataset(lincoln, documents, count=40, held_out_count=4, seed=1).train


def test_only_answer_and_one_end_of_turn_are_learned(samples, tokenizer):
    rows = encode(samples, tokenizer, max_tokens=4096)
    check_encoded(rows, tokenizer)
    assert rows
    for sample, row in zip(samples, rows, strict=True):
        learned = row.ids[row.first_label :]
        assert tokenizer.decode(learned) == f"{sample.target}<|im_end|>"
        assert learned.count(end_of_turn(tokenizer)) == 1
        assert row.target_bytes == len(sample.target.encode())


def test_the_prompt_is_what_the_chat_template_gives_a_server(samples, tokenizer):
    for sample, row in zip(samples, encode(samples, tokenizer, max_tokens=4096), strict=True):
        served = tokenizer.apply_chat_template(
            sample.messages, add_generation_prompt=True, return_dict=True
        )["input_ids"]
        assert row.ids[: row.first_label] == served


def test_a_sample_too_long_is_refused_not_cut(samples, tokenizer):
    with pytest.raises(ModelError, match="tokens, more than 50"):
        encode(samples, tokenizer, max_tokens=50)


def test_chat_markup_inside_an_answer_is_refused(samples, tokenizer):
    broken = replace(samples[0], target="An answer.<|im_end|> And more.")
    with pytest.raises(ModelError, match="end-of-turn token in the middle"):
        check_encoded(encode([broken], tokenizer, max_tokens=4096), tokenizer)


def test_a_template_that_never_ends_a_turn_is_refused(samples, tokenizer):
    from copy import deepcopy

    endless = deepcopy(tokenizer)
    endless.chat_template = (
        "{% for message in messages %}{{ message['role'] + ': ' + message['content'] + '\n' }}"
        "{% endfor %}"
    )
    with pytest.raises(ModelError, match="would never learn to stop"):
        encode(samples[:1], endless, max_tokens=4096)


def test_the_preview_shows_the_mask(samples, tokenizer):
    shown = preview(samples[:2], tokenizer)
    for sample in samples[:2]:
        assert f"<|im_start|>assistant\n⟦{sample.target}<|im_end|>⟧" in shown

"""A batch says what each of its prompts alone is answered, and twice the same."""

from __future__ import annotations

from pathlib import Path

import pytest

from personae.persona import Sampling
from personae.prompt import Message
from personae.weights import model_folder
from tests.training.conftest import TINY
from tests.training.evaluate.conftest import write_adapter
from training.evaluate.replies import Asked, load_adapted, plan_batches, replies, speaking

GREEDY = Sampling(temperature=0.0, repetition_penalty=1.1)
SAMPLED = Sampling(temperature=0.9, top_p=0.8, repetition_penalty=1.05)


@pytest.fixture(scope="module")
def loaded(models: Path, tmp_path_factory: pytest.TempPathFactory):
    adapter = tmp_path_factory.mktemp("adapter") / "a"
    write_adapter(adapter, models, scale=0.3)
    model, tokenizer = load_adapted(model_folder(models, TINY), adapter)
    # In 32 bit, so that the order of a sum does not decide between two tokens.
    return model.float(), tokenizer


def _asked(sampling: Sampling) -> list[Asked]:
    questions = ["Why?", "What do you think of the navy and of the army?", "Tea", "x" * 300, "🎉"]
    return [
        Asked(f"q{n}", [Message(role="user", content=text)], sampling, 6 + 5 * n)
        for n, text in enumerate(questions)
    ]


def test_a_greedy_batch_equals_its_prompts_alone(loaded) -> None:
    model, tokenizer = loaded
    asked = _asked(GREEDY)
    together = replies(model, tokenizer, asked, seed=1)
    alone = [replies(model, tokenizer, [one], seed=1)[0] for one in asked]
    assert together == alone
    assert [reply.id for reply in together] == [one.id for one in asked]
    assert len({reply.text for reply in together}) > 1


def test_greedy_agrees_with_transformers_own_generation(loaded) -> None:
    import torch

    model, tokenizer = loaded
    for one in _asked(GREEDY):
        prompt = tokenizer.apply_chat_template(
            one.messages, tokenize=False, add_generation_prompt=True
        )
        ids = tokenizer(prompt, add_special_tokens=False, return_tensors="pt")
        with torch.inference_mode():
            whole = model.generate(
                **ids,
                do_sample=False,
                repetition_penalty=GREEDY.repetition_penalty,
                max_new_tokens=one.max_tokens,
                pad_token_id=tokenizer.pad_token_id,
                use_cache=True,
            )
        expected = tokenizer.decode(whole[0, ids["input_ids"].shape[1] :], skip_special_tokens=True)
        assert replies(model, tokenizer, [one], seed=1)[0].text == expected.strip()


def test_sampling_depends_on_the_prompt_and_the_seed_and_on_no_neighbour(loaded) -> None:
    model, tokenizer = loaded
    asked = _asked(SAMPLED)
    together = replies(model, tokenizer, asked, seed=1)
    assert together == replies(model, tokenizer, asked, seed=1)
    alone = [replies(model, tokenizer, [one], seed=1)[0] for one in reversed(asked)]
    assert together == alone[::-1]
    assert together != replies(model, tokenizer, asked, seed=2)


def test_no_reply_is_longer_than_its_most_tokens_and_cut_ones_say_so(loaded) -> None:
    model, tokenizer = loaded
    for asked, reply in zip(
        _asked(SAMPLED), replies(model, tokenizer, _asked(SAMPLED), seed=1), strict=True
    ):
        assert reply.tokens <= asked.max_tokens
        assert reply.finished or reply.tokens == asked.max_tokens


def test_a_model_that_ends_its_turn_at_once_finishes_with_an_empty_reply(loaded) -> None:
    import torch

    model, tokenizer = loaded

    def end_now(_module, _inputs, output):
        output.logits[...] = torch.where(
            torch.arange(output.logits.shape[-1]) == tokenizer.eos_token_id, 9.0, 0.0
        )
        return output

    hook = model.get_base_model().register_forward_hook(end_now)
    try:
        found = replies(model, tokenizer, _asked(GREEDY), seed=1)
    finally:
        hook.remove()
    assert {(reply.text, reply.tokens, reply.finished) for reply in found} == {("", 0, True)}


def test_the_adapter_speaks_only_when_it_is_meant_to(loaded) -> None:
    model, tokenizer = loaded
    asked = _asked(GREEDY)
    with speaking(model, adapted=False) as base:
        plain = replies(base, tokenizer, asked, seed=1)
    with speaking(model, adapted=True) as adapted:
        voiced = replies(adapted, tokenizer, asked, seed=1)
    assert plain != voiced


def test_batches_hold_every_prompt_once_longest_first(loaded) -> None:
    _model, tokenizer = loaded
    asked = _asked(GREEDY)
    batches = plan_batches(asked, tokenizer, 2)
    assert [len(batch) for batch in batches] == [2, 2, 1]
    assert {one.id for batch in batches for one in batch} == {one.id for one in asked}
    assert batches[0][0].id == "q3"
    assert batches == plan_batches(asked[::-1], tokenizer, 2)

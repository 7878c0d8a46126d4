"""Prompts that fit the model's context, whatever comes in."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers

from personae.errors import TextTooLong
from personae.prompt import Message, PromptPassage
from personae.wire import AskRequest, Citation, RewriteRequest
from serving.orders import Order, check
from serving.retrieval.retriever import Found
from serving.token_budget import TokenBudget

HISTORY: list[Message] = [
    {
        "role": "user" if number % 2 == 0 else "assistant",
        "content": f"turn {number} " + "word " * 40,
    }
    for number in range(6)
]


def order_of(cast, question: str = "What of the Union?", history=(), **more: Any) -> Order:
    base: Any = SimpleNamespace()
    return check(
        AskRequest(persona="lincoln", question=question, **more), cast["lincoln"], base, history
    )


def found(count: int, words: int = 60) -> Found:
    numbers = range(1, count + 1)
    passages = [PromptPassage(f"Title {n}", "1862", f"p{n} " + "word " * words) for n in numbers]
    citations = [
        Citation(number=n, title=f"Title {n}", date="1862", url="", excerpt="") for n in numbers
    ]
    return Found(passages, citations)


def shown(prompt) -> tuple[list[str], int]:
    """Turns and number of passages in a prompt."""
    messages = prompt.messages
    turns = [m["content"].split(" word")[0] for m in messages[1:-1]]
    return turns, messages[-1]["content"].count("Title ")


async def test_what_fits_goes_as_it_is(cast):
    order = order_of(cast, history=HISTORY)
    prompt = await TokenBudget(4096).fit(order, found(3), [], max_tokens=220)
    assert len(shown(prompt)[0]) == 6
    assert shown(prompt)[1] == 3
    assert prompt.max_tokens == 220


async def test_old_turns_go_first_then_the_last_passages_then_their_ends(cast):
    order = order_of(cast, history=HISTORY)
    seen = []
    for context in (1300, 1000, 800, 600, 450, 330, 270):
        budget = TokenBudget(context)
        prompt = await budget.fit(order, found(4), [], max_tokens=100)
        turns, passages = shown(prompt)
        seen.append((len(turns), passages))
        assert turns == [f"turn {n}" for n in range(6 - len(turns), 6)]
        assert len(prompt.found.citations) == len(prompt.found.passages) == passages
        assert prompt.messages[-1]["content"].endswith("Question: What of the Union?")
        used = sum(budget.count(m["content"]) for m in prompt.messages)
        assert used + prompt.max_tokens <= context
        assert prompt.max_tokens >= 64
    assert seen == sorted(seen, reverse=True)
    assert seen[0] == (6, 4) or seen[0][1] == 4
    assert all(passages == 4 for turns, passages in seen if turns)
    assert seen[-1][0] == 0


async def test_the_last_passage_is_shortened_before_it_goes(cast):
    prompt = await TokenBudget(480).fit(order_of(cast), found(1, words=400), [], max_tokens=100)
    assert 15 <= len(prompt.found.passages[0].text.split()) < 400


async def test_a_history_never_begins_with_an_answer(cast):
    order = order_of(cast, history=HISTORY)
    for context in range(300, 1300, 50):
        prompt = await TokenBudget(context).fit(order, found(1), [], max_tokens=64)
        assert all(message["role"] == "user" for message in prompt.messages[1:2])


async def test_a_question_too_long_is_refused_with_its_length(cast):
    budget = TokenBudget(300)
    with pytest.raises(TextTooLong, match="about 667 tokens"):
        await budget.require_room(order_of(cast, "x" * 2000))
    await budget.require_room(order_of(cast, "Short?"))


async def test_a_rewrite_needs_room_for_a_text_as_long(cast):
    base: Any = SimpleNamespace()
    text = "We should try harder. " * 100
    order = check(RewriteRequest(persona="lincoln", text=text), cast["lincoln"], base)
    with pytest.raises(TextTooLong, match="Shorten it"):
        await TokenBudget(1000).require_room(order)
    await TokenBudget(4096).require_room(order)
    prompt = await TokenBudget(1700).fit(order, Found([], []), ["style " * 400], max_tokens=800)
    assert "style" not in prompt.messages[0]["content"]
    assert prompt.max_tokens >= TokenBudget(1).count(text.strip())


async def test_an_answer_longer_than_the_model_can_is_shortened(cast):
    order = order_of(cast, max_tokens=8192)
    prompt = await TokenBudget(1000).fit(order, found(3), [], max_tokens=8192)
    assert 300 < prompt.max_tokens < 1000


async def test_a_monster_of_a_history_is_not_counted(cast):
    history: list[Message] = [{"role": "user", "content": "x" * 800_000}, *HISTORY[1:]]
    prompt = await TokenBudget(4096).fit(
        order_of(cast, history=history), found(3), [], max_tokens=100
    )
    assert "x" * 100 not in str(prompt.messages)


def test_tokens_are_the_model_s_own_where_its_tokenizer_is_here(tmp_path):
    words = Tokenizer(models.WordLevel({"a": 0, "b": 1, "[UNK]": 2}, unk_token="[UNK]"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    words.save(str(tmp_path / "tokenizer.json"))
    assert TokenBudget(100, tmp_path / "tokenizer.json").count("a b a a b") == 5


@pytest.mark.parametrize("content", [None, b"{broken"])
def test_without_a_tokenizer_tokens_are_a_third_of_the_bytes(tmp_path, content):
    file = tmp_path / "tokenizer.json"
    if content is not None:
        file.write_bytes(content)
    assert TokenBudget(100, file).count("abcdef") == 2
    assert TokenBudget(100, file).count("漢字") == 2
    assert TokenBudget(100).count("") == 0

"""What goes into a prompt so that it fits the model's context, with room for the answer.

In: an order, the passages found for it and passages of style. Out: a `Prompt`: the messages, the passages
that are really in them, and how long the answer may be. When there is too much, these go, in this order:

    earlier turns, the oldest first → the last passages → the end of the one that is left

Passages of style stay out where they would take half of the room. The question never goes: one too long for
the model is refused with its length. Tokens are counted with the base model's own tokenizer where its files
are here, otherwise as a third of the bytes, which is rather too many. Most prompts are not counted at all: no
tokenizer that vLLM serves makes more tokens than bytes.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from personae.corpus import first_words
from personae.errors import TextTooLong
from personae.prompt import Message, PromptPassage, render_ask, render_base, render_rewrite
from personae.wire import Strength
from serving.orders import Order
from serving.retrieval.retriever import Found

log = logging.getLogger(__name__)

_BYTES_PER_TOKEN = 3
_TOKENS_PER_MESSAGE = 12
"""What a chat template puts around a message, rather too many."""
_TOKENS_PER_PASSAGE = 8
_SPARE_TOKENS = 24
_SHORTEST_ANSWER_TOKENS = 64
_FEWEST_PASSAGE_WORDS = 15
_LONGEST_TOKEN_BYTES = 16
"""Of ordinary text on average, by far."""
_REMEMBERED = 2048
_LONGEST_REMEMBERED = 4000


@dataclass(frozen=True)
class Prompt:
    """Attributes:
    found: the passages in the prompt and their citations; fewer than were found where they did not fit.
    max_tokens: of the answer.
    """

    messages: list[Message]
    found: Found
    max_tokens: int


class TokenBudget:
    """The context of one base model.

    Args:
        tokenizer: its `tokenizer.json`; read when it is first needed, and only if it is there.
    """

    def __init__(self, context_tokens: int, tokenizer: Path | None = None) -> None:
        self._context = context_tokens
        self._file = tokenizer
        self._lock = threading.Lock()
        self._encode: Callable[[str], int] | None = None
        self._remembered: OrderedDict[str, int] = OrderedDict()

    async def require_room(self, order: Order) -> None:
        """Raises TextTooLong: the question or text leaves no room for an answer, whatever else goes."""
        fixed = [order.system, order.text]
        needed = _needed_answer(order, _bytes(order.text))
        if sum(map(_bytes, fixed)) + needed <= self._room(2):
            return
        await asyncio.to_thread(self._require_room, order)

    async def fit(
        self,
        order: Order,
        found: Found,
        style: Sequence[str],
        *,
        max_tokens: int,
        strength: Strength = "normal",
    ) -> Prompt:
        """The prompt of an order; `strength` is what a rewrite's prompt says of it.

        Raises:
            TextTooLong: see `require_room`.
        """
        told = sum(len(turn["content"]) for turn in order.history)
        if told > self._context:  # too long to be looked through here
            return await asyncio.to_thread(self._fit, order, found, style, max_tokens, strength)
        everything = _rendered(order, found, style, order.history, strength)
        size = sum(_bytes(message["content"]) for message in everything)
        if size + max_tokens <= self._room(len(everything)):
            return Prompt(everything, found, max_tokens)
        return await asyncio.to_thread(self._fit, order, found, style, max_tokens, strength)

    # -- in a thread -------------------------------------------------------------------------------

    def _require_room(self, order: Order) -> int:
        """Tokens that are free beside the system prompt, the question and the shortest answer."""
        text = self.count(order.text)
        taken = self.count(order.system) + text + _needed_answer(order, text)
        free = self._room(2) - taken
        if free < 0:
            what = "question" if order.task == "ask" else "text"
            room = max(0, text + free if order.task == "ask" else text + free // 2)
            raise TextTooLong(
                f"The {what} has about {text:,} tokens, and the model has room for about {room:,} "
                f"({len(order.text):,} characters were sent). Shorten it, or send it in parts."
            )
        return free

    def _fit(
        self,
        order: Order,
        found: Found,
        style: Sequence[str],
        max_tokens: int,
        strength: Strength,
    ) -> Prompt:
        free = self._require_room(order)
        # The answer is promised half of what is left; what is in the prompt then shares the rest.
        least = _needed_answer(order, self.count(order.text))
        answer = min(max_tokens, least + max(0, free) // 2)
        left = free - (answer - least)
        shown = self._style_that_fits(style, left)
        for passage in shown:
            left -= self.count(passage) + _TOKENS_PER_PASSAGE
        kept = self._passages_that_fit(found, left)
        left -= sum(map(self._size, kept.passages))
        history = self._turns_that_fit(order.history, left)
        left -= sum(self.count(turn["content"]) + _TOKENS_PER_MESSAGE for turn in history)
        messages = _rendered(order, kept, shown, history, strength)
        return Prompt(messages, kept, min(max_tokens, answer + max(0, left)))

    def _style_that_fits(self, style: Sequence[str], left: int) -> list[str]:
        """All or none: half of the examples would be another voice."""
        size = sum(self.count(passage) + _TOKENS_PER_PASSAGE for passage in style)
        return list(style) if size <= left // 2 else []

    def _passages_that_fit(self, found: Found, left: int) -> Found:
        passages = list(found.passages)
        while len(passages) > 1 and sum(map(self._size, passages)) > left:
            passages.pop()
        if passages and self._size(passages[0]) > left:
            passages = self._shortened(passages[0], left)
        if len(passages) == len(found.passages):
            return replace(found, passages=passages)
        return replace(found, passages=passages, citations=found.citations[: len(passages)])

    def _shortened(self, passage: PromptPassage, left: int) -> list[PromptPassage]:
        """A passage cut to what is left; none where it would be too short to say anything."""
        words = len(passage.text.split())
        while words > _FEWEST_PASSAGE_WORDS:
            words = min(words - 1, max(_FEWEST_PASSAGE_WORDS, words * 3 // 4))
            shorter = replace(passage, text=first_words(passage.text, words))
            if self._size(shorter) <= left:
                return [shorter]
        return []

    def _turns_that_fit(self, history: Sequence[Message], left: int) -> list[Message]:
        """The newest turns; the oldest of them is a person's, as chat templates ask for."""
        kept: list[Message] = []
        for turn in reversed(history):
            if len(turn["content"]) > left * _LONGEST_TOKEN_BYTES:
                break
            left -= self.count(turn["content"]) + _TOKENS_PER_MESSAGE
            if left < 0:
                break
            kept.insert(0, turn)
        while kept and kept[0]["role"] == "assistant" and len(kept) < len(history):
            kept.pop(0)
        return kept

    def _size(self, passage: PromptPassage) -> int:
        text = f"{passage.title} {passage.date} {passage.text}"
        return self.count(text) + _TOKENS_PER_PASSAGE

    def _room(self, messages: int) -> int:
        return self._context - _SPARE_TOKENS - (messages + 1) * _TOKENS_PER_MESSAGE

    def count(self, text: str) -> int:
        """Tokens of a text, without those of the chat template. Not for the event loop: it may take long."""
        with self._lock:
            if text in self._remembered:
                self._remembered.move_to_end(text)
                return self._remembered[text]
            if self._encode is None:
                self._encode = _counter(self._file)
            tokens = self._encode(text)
            if len(text) <= _LONGEST_REMEMBERED:
                self._remembered[text] = tokens
                while len(self._remembered) > _REMEMBERED:
                    self._remembered.popitem(last=False)
            return tokens


def _counter(file: Path | None) -> Callable[[str], int]:
    if file is None or not file.is_file():
        return lambda text: -(-_bytes(text) // _BYTES_PER_TOKEN)
    try:
        from tokenizers import Tokenizer

        tokenizer: Any = Tokenizer.from_file(str(file))
    except Exception as err:  # the library raises plain Exception
        log.warning("%s can't be read (%s); tokens are estimated", file.name, err)
        return lambda text: -(-_bytes(text) // _BYTES_PER_TOKEN)
    tokenizer.no_truncation()
    tokenizer.no_padding()

    def count(text: str) -> int:
        # A batch, because only that lets other threads run meanwhile.
        return len(tokenizer.encode_batch([text], add_special_tokens=False)[0].ids)

    return count


def _needed_answer(order: Order, text_tokens: int) -> int:
    """The shortest answer worth giving: a rewrite is about as long as its text."""
    wanted = int(order.overrides.get("max_tokens", order.settings.max_tokens))
    if order.task == "rewrite":
        most = int(order.overrides.get("max_tokens", max(wanted, text_tokens)))
        return min(most, max(_SHORTEST_ANSWER_TOKENS, text_tokens))
    return min(wanted, _SHORTEST_ANSWER_TOKENS)


def _rendered(
    order: Order,
    found: Found,
    style: Sequence[str],
    history: Sequence[Message],
    strength: Strength,
) -> list[Message]:
    if order.voice == "base":
        return render_base(order.task, order.text, history=history)
    if order.task == "rewrite":
        return render_rewrite(order.persona, order.text, style_passages=style, strength=strength)
    return render_ask(
        order.persona, order.text, found.passages, history=history, style_passages=style
    )


def _bytes(text: str) -> int:
    return len(text.encode("utf-8", "replace"))

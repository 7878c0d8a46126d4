"""What a model replies to prompts, in batches.

In: a loaded peft model, chat messages, sampling values. Out: `Reply`s, the same for the same prompts, seed
and machine. Each prompt draws its own random numbers, so none depends on its neighbours' lengths; batches
are fixed by the list of prompts, so that a resumed evaluation makes the same ones. Which prompts there are
and what a reply is worth is decided elsewhere.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from personae.persona import Sampling
from personae.prompt import Message
from training.models.convert import quiet_transformers
from training.tune.encode import end_of_turn
from training.tune.lora import load_base

BATCH = 16
"""Prompts at once. Measured on 2 cores with a 135M model: see `training/README.md`."""


@dataclass(frozen=True)
class Asked:
    """One prompt as the model meets it."""

    id: str
    messages: Sequence[Message]
    sampling: Sampling
    max_tokens: int


@dataclass(frozen=True)
class Reply:
    id: str
    text: str
    tokens: int
    finished: bool
    """It ended its turn; else it was cut at the most tokens."""


def load_adapted(base_folder: Path, adapter: Path) -> tuple[Any, Any]:
    """(peft model, tokenizer); `with model.disable_adapter()` gives the base model.

    Raises:
        ModelError: the chat template ends a turn with no token that generation would stop at.
    """
    from peft import PeftModel

    model, tokenizer = load_base(base_folder)
    with quiet_transformers():
        model = PeftModel.from_pretrained(model, adapter, autocast_adapter_dtype=False)
    end_of_turn(tokenizer)
    return model.eval(), tokenizer


@contextlib.contextmanager
def speaking(model: Any, *, adapted: bool) -> Iterator[Any]:
    """The model with its adapter, or without."""
    if adapted:
        yield model
    else:
        with model.disable_adapter():
            yield model


def plan_batches(asked: Sequence[Asked], tokenizer: Any, size: int = BATCH) -> list[list[Asked]]:
    """Prompts of like length stand together, so that little is padded; longest first."""
    lengths = {one.id: len(_prompt_ids(one, tokenizer)) for one in asked}
    ordered = sorted(asked, key=lambda one: (-lengths[one.id], one.id))
    return [ordered[start : start + size] for start in range(0, len(ordered), size)]


def replies(
    model: Any,
    tokenizer: Any,
    batch: Sequence[Asked],
    *,
    seed: int,
    tick: Callable[[float], None] = lambda _share: None,
) -> list[Reply]:
    """One reply a prompt, in order. Prompts are padded on the left and masked there.

    `tick` is called at every token with the share of the longest reply that is done.

    Shapes: ids and mask (rows, longest) int64; logits (rows, vocabulary) float32.
    """
    import torch

    rows = [_Row(one, _prompt_ids(one, tokenizer), seed) for one in batch]
    end = end_of_turn(tokenizer)
    most_tokens = max(row.asked.max_tokens for row in rows)
    longest = max(len(row.prompt) for row in rows)
    ids = torch.zeros(len(rows), longest, dtype=torch.long)
    mask = torch.zeros(len(rows), longest, dtype=torch.long)
    for number, row in enumerate(rows):
        ids[number, longest - len(row.prompt) :] = torch.tensor(row.prompt)
        mask[number, longest - len(row.prompt) :] = 1
    ids, mask = ids.to(model.device), mask.to(model.device)
    places = (mask.cumsum(-1) - 1).clamp(min=0)
    alive = list(rows)
    cache: Any = None
    with torch.inference_mode():
        while alive:
            found = model(
                input_ids=ids,
                attention_mask=mask,
                position_ids=places,
                past_key_values=cache,
                use_cache=True,
                logits_to_keep=1,
            )
            cache = found.past_key_values
            chosen = _choose(found.logits[:, -1].float().cpu(), alive)
            for row, token in zip(alive, chosen, strict=True):
                row.take(token, end)
            tick(len(alive[0].made) / most_tokens)
            kept = [number for number, row in enumerate(alive) if not row.done]
            if len(kept) < len(alive):
                alive = [alive[number] for number in kept]
                if not alive:
                    break
                kept_rows = torch.tensor(kept, device=model.device)
                cache.batch_select_indices(kept_rows)
                mask, places = mask[kept_rows], places[kept_rows]
            ids = torch.tensor([[row.made[-1]] for row in alive], device=model.device)
            mask = torch.cat([mask, mask.new_ones(len(alive), 1)], dim=1)
            places = places[:, -1:] + 1
    return [row.reply(tokenizer) for row in rows]


class _Row:
    """One prompt under way."""

    def __init__(self, asked: Asked, prompt: list[int], seed: int) -> None:
        import torch

        self.asked = asked
        self.prompt = prompt
        self.made: list[int] = []
        self.finished = False
        digest = hashlib.sha256(f"{seed} {asked.id}".encode()).digest()
        self.random = torch.Generator().manual_seed(int.from_bytes(digest[:7], "big"))
        self.seen: Any = None

    @property
    def done(self) -> bool:
        return self.finished or len(self.made) >= self.asked.max_tokens

    def take(self, token: int, end: int) -> None:
        if token == end:
            self.finished = True
            return
        self.made.append(token)
        if self.seen is not None:
            self.seen[token] = True

    def reply(self, tokenizer: Any) -> Reply:
        text = tokenizer.decode(self.made, skip_special_tokens=True).strip()
        return Reply(self.asked.id, text, len(self.made), self.finished)


def _choose(logits: Any, rows: Sequence[_Row]) -> list[int]:
    """The next token of each row, as vLLM samples: repetition penalty over prompt and reply, temperature,
    top-p."""
    import torch

    for number, row in enumerate(rows):
        penalty = row.asked.sampling.repetition_penalty
        if penalty == 1.0:
            continue
        if row.seen is None:
            row.seen = torch.zeros(logits.shape[1], dtype=torch.bool)
            row.seen[row.prompt] = True
        met = logits[number, row.seen]
        logits[number, row.seen] = torch.where(met > 0, met / penalty, met * penalty)
    return [_sample(logits[number], row) for number, row in enumerate(rows)]


_NUCLEUS = 512
"""Tokens sorted for top-p; where they hold less than top_p in all, the whole vocabulary is sorted."""


def _sample(logits: Any, row: _Row) -> int:
    import torch

    sampling = row.asked.sampling
    if sampling.temperature == 0.0:
        return int(logits.argmax())
    shares = torch.softmax(logits / sampling.temperature, dim=-1)
    best, tokens = shares.topk(min(_NUCLEUS, len(shares)))
    if float(best.sum()) < sampling.top_p:
        best, tokens = shares.sort(descending=True)
    before = best.cumsum(-1) - best
    best = torch.where(before < sampling.top_p, best, 0.0)
    drawn = torch.rand(1, generator=row.random) * best.sum()
    place = int(torch.searchsorted(best.cumsum(-1), drawn, right=True))
    return int(tokens[min(place, int((best > 0).sum()) - 1)])


def _prompt_ids(asked: Asked, tokenizer: Any) -> list[int]:
    text = tokenizer.apply_chat_template(
        list(asked.messages), tokenize=False, add_generation_prompt=True
    )
    return list(tokenizer(text, add_special_tokens=False)["input_ids"])

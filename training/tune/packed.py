"""Several rows as one sequence without padding, their common beginning computed once.

Rows of a batch begin with the same system prompt. One packed sequence holds that beginning once and the
rest of every row after it; each row attends to the beginning and to itself, with the positions it would
have alone. Loss and gradients are those of the rows one by one:

    rows     S S S a a b      packed    S S S a a b c c     positions  0 1 2 3 4 5 3 4
             S S S c c

In: encoded rows. Out: their loss, for a model that uses the attention registered here. That one multiplies
matrices row by row: torch's fused CPU attention takes three times as long backwards at a few hundred
tokens. On a GPU it is the other way round, so there rows stay a padded batch (`training.tune.lora`).
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from training.tune.encode import Encoded

ATTENTION = "personae_packed"
PLAIN_CAUSAL = frozenset({"llama", "mistral", "qwen2", "qwen3", "smollm3"})
"""Kinds of models whose every layer is plain causal attention with rotary positions. Others (sliding
windows, recurrent layers) are trained in padded batches."""
_PROBE_TOKENS = 8
"""Rows that share so many first tokens are put behind one beginning."""
_MIN_SHARED_TOKENS = 8


@dataclass(frozen=True)
class Group:
    """Rows behind one beginning: where it stands in the packed sequence, and where each row's rest does."""

    start: int
    shared: int
    rests: list[tuple[int, int]]
    """(start, length)"""


@dataclass(frozen=True)
class Packed:
    ids: list[int]
    positions: list[int]
    groups: list[Group]
    predicts: list[int]
    """Places whose next token is learned."""
    targets: list[int]
    rows: list[int]
    """Number of the row each target belongs to."""


def pack(rows: Sequence[Encoded]) -> Packed:
    packed = Packed([], [], [], [], [], [])
    for numbers in _by_beginning(rows):
        members = [rows[number] for number in numbers]
        shared = _shared_tokens(members)
        start = len(packed.ids)
        packed.ids.extend(members[0].ids[:shared])
        packed.positions.extend(range(shared))
        rests = []
        for number, row in zip(numbers, members, strict=True):
            place = len(packed.ids)
            rests.append((place, len(row.ids) - shared))
            packed.ids.extend(row.ids[shared:])
            packed.positions.extend(range(shared, len(row.ids)))
            first = place + row.first_label - 1 - shared
            packed.predicts.extend(range(first, first + row.labels))
            packed.targets.extend(row.ids[row.first_label :])
            packed.rows.extend([number] * row.labels)
        packed.groups.append(Group(start, shared, rests))
    return packed


def _by_beginning(rows: Sequence[Encoded]) -> list[list[int]]:
    groups: dict[tuple[int, ...], list[int]] = {}
    for number, row in enumerate(rows):
        groups.setdefault(tuple(row.ids[:_PROBE_TOKENS]), []).append(number)
    return list(groups.values())


def _shared_tokens(rows: Sequence[Encoded]) -> int:
    """How many first tokens all rows share, short of the first place that predicts a label."""
    if len(rows) < 2:
        return 0
    most = min(row.first_label - 1 for row in rows)
    shared = 0
    while shared < most and len({row.ids[shared] for row in rows}) == 1:
        shared += 1
    return shared if shared >= _MIN_SHARED_TOKENS else 0


def use_packed_attention(model: Any) -> None:
    """Let a transformers model compute its attention with `packed_attention`."""
    from transformers import AttentionInterface

    AttentionInterface.register(ATTENTION, packed_attention)
    model.set_attn_implementation(ATTENTION)


def packed_attention(
    module: Any,
    query: Any,
    key: Any,
    value: Any,
    attention_mask: Any,
    *,
    scaling: float,
    packing: Packed,
    **_others: Any,
) -> tuple[Any, None]:
    """Causal attention within each row and to its beginning.

    Shapes: query (1, heads, tokens, width), key and value (1, kv_heads, tokens, width); gives
    (1, tokens, heads, width).
    """
    import torch

    heads, tokens, width = query.shape[1:]
    kv_heads = key.shape[1]
    per_kv = heads // kv_heads
    query = (query[0] * scaling).view(kv_heads, per_kv, tokens, width)
    key, value = key[0], value[0]
    found = []
    for group in packing.groups:
        spans = [(group.start, group.shared), *group.rests]
        shared = slice(group.start, group.start + group.shared)
        for number, (start, length) in enumerate(spans):
            if not length:
                continue
            own = slice(start, start + length)
            if number and group.shared:
                keys = torch.cat([key[:, shared], key[:, own]], dim=1)
                values = torch.cat([value[:, shared], value[:, own]], dim=1)
            else:
                keys, values = key[:, own], value[:, own]
            seen = keys.shape[1]
            asked = query[:, :, own].reshape(kv_heads, per_kv * length, width)
            scores = torch.bmm(asked, keys.transpose(1, 2)).view(heads, length, seen)
            scores = scores + _causal(length, seen, scores.dtype)
            weights = torch.softmax(scores, dim=-1).view(kv_heads, per_kv * length, seen)
            found.append(torch.bmm(weights, values).view(heads, length, width))
    return torch.cat(found, dim=1).transpose(0, 1)[None], None


@cache
def _causal(length: int, seen: int, dtype: Any) -> Any:
    """0 where one of the last `length` of `seen` tokens may look, -inf where it lies ahead."""
    import torch

    return torch.full((length, seen), float("-inf"), dtype=dtype).triu(seen - length + 1)


def packed_losses(model: Any, rows: Sequence[Encoded]) -> Any:
    """Summed cross entropy of each row's labels, in nats: (rows,) float32.

    Logits are computed for labelled places only.
    """
    import torch

    packed = pack(rows)
    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    hidden = base.base_model(
        input_ids=torch.tensor([packed.ids]),
        position_ids=torch.tensor([packed.positions]),
        use_cache=False,
        packing=packed,
    ).last_hidden_state
    logits = base.get_output_embeddings()(hidden[0, torch.tensor(packed.predicts)]).float()
    nats = torch.nn.functional.cross_entropy(logits, torch.tensor(packed.targets), reduction="none")
    return torch.zeros(len(rows)).index_add(0, torch.tensor(packed.rows), nats)


@contextlib.contextmanager
def usual_attention(model: Any) -> Iterator[None]:
    """For generation, which brings a cache and no packing."""
    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    packed = base.config._attn_implementation == ATTENTION
    if packed:
        base.set_attn_implementation("sdpa")
    try:
        yield
    finally:
        if packed:
            base.set_attn_implementation(ATTENTION)

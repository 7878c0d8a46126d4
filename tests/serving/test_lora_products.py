"""The plugin's two products against the plain definition, token by token."""

from __future__ import annotations

import pytest
import torch

from serving.vllm_plugin.products import (
    MAX_DENSE_TOKENS,
    add_lora,
    one_matrix,
    plan,
    runs_of,
    side_by_side,
)

SLOTS, RANK, IN = 3, 8, 32
SIZES = (48, 16, 20)

BATCHES = [
    pytest.param([1] * 40, id="one adapter"),
    pytest.param([-1] * 40, id="base only"),
    pytest.param([2] * 200 + [-1] * 150 + [0] * 5 + [-1], id="prompts"),
    pytest.param([0, -1, 2, 1, -1, 0, 2], id="decoding, all mixed"),
    pytest.param([-1], id="one base token"),
    pytest.param([2], id="one token of the last slot"),
    pytest.param([0, -1] * MAX_DENSE_TOKENS, id="many short runs"),
]

Weights = tuple[torch.Tensor, ...]


def weights(n_slices: int, dtype: torch.dtype = torch.bfloat16) -> tuple[Weights, Weights]:
    """A and B of a layer, as vLLM allocates them with the plugin."""
    torch.manual_seed(7)
    a = [torch.randn(SLOTS, 1, RANK, IN).to(dtype) for _ in range(n_slices)]
    b = [torch.randn(SLOTS, 1, size, RANK).to(dtype) for size in SIZES[:n_slices]]
    return one_matrix(a), tuple(side_by_side(weight) for weight in b)


@pytest.mark.parametrize("slots", BATCHES)
@pytest.mark.parametrize("n_slices", [1, 3])
def test_tokens_get_their_own_adapter_and_base_tokens_keep_every_bit(slots, n_slices):
    """y += B A x for tokens with an adapter, within bfloat16's tolerance; −1 changes not one bit."""
    a, b = weights(n_slices)
    sizes = SIZES[:n_slices]
    x = torch.randn(len(slots), IN).to(torch.bfloat16)
    before = torch.randn(len(slots), sum(sizes)).to(torch.bfloat16)
    expected = before.double()
    for token, slot in enumerate(slots):
        offset = 0
        for down, up, size in zip(a, b, sizes, strict=True):
            if slot >= 0:
                h = down[slot, 0].double() @ x[token].double()
                expected[token, offset : offset + size] += up[slot, 0].double() @ h
            offset += size
    index = torch.tensor(slots)
    batch = plan(index)
    got = before.clone()
    if batch.has_adapters:
        add_lora(got, x, a, b, sizes, batch)
    # Long batches round once more, in between: h is of size 6 here, B of size 1, r is 8.
    atol = 8e-3 if len(slots) <= MAX_DENSE_TOKENS else 0.3
    torch.testing.assert_close(got.double(), expected, rtol=1e-2, atol=atol)
    base = index < 0
    assert torch.equal(got[base], before[base])
    assert batch.has_adapters == bool((~base).any())


@pytest.mark.parametrize("tokens", [2, 2 * MAX_DENSE_TOKENS])
def test_padded_weights_are_cut_to_the_slice(tokens):
    """B may be padded beyond the slice (vocabularies are); the columns next to it stay untouched."""
    a, b = weights(1)
    y = torch.zeros(tokens, 48)
    add_lora(y, torch.randn(tokens, IN), a, b, (20,), plan(torch.arange(tokens) % SLOTS))
    assert (y[:, :20].abs().sum(dim=1) > 0).all() and not y[:, 20:].any()


def test_weights_are_read_without_copies_and_written_by_slices():
    """vLLM writes a version into `a[slot, 0, :r]`, `b[slot, 0, :n, :r]` and zeroes a slot: all reach
    the storage that the products read."""
    a = one_matrix([torch.zeros(SLOTS, 1, RANK, IN, dtype=torch.bfloat16) for _ in range(3)])
    assert all(weight.dtype is torch.float32 and weight.is_contiguous() for weight in a)
    step = SLOTS * RANK * IN * 4
    assert [weight.data_ptr() - a[0].data_ptr() for weight in a] == [0, step, 2 * step]
    b = side_by_side(torch.zeros(SLOTS, 1, 48, RANK, dtype=torch.bfloat16))
    new = torch.randn(45, RANK)
    b[1, 0, :45, :RANK].copy_(new)
    assert torch.equal(b[1, 0, :45], new) and not b[0].any()
    flat = b.squeeze(1).permute(0, 2, 1).reshape(-1, 48)
    assert flat.data_ptr() == b.data_ptr()
    b[1] = 0
    assert not b.any()


def test_runs_are_contiguous_and_complete():
    assert runs_of(torch.tensor([2, 2, -1, 0, 0, 0])) == [(0, 2, 2), (2, 3, -1), (3, 6, 0)]

"""The plugin's two products against the plain definition, token by token."""

from __future__ import annotations

import pytest
import torch

from serving.vllm_plugin.products import (
    MAX_DENSE_TOKENS,
    expand,
    plan,
    runs_of,
    shrink,
    side_by_side,
)

SLOTS, RANK, IN, OUT = 3, 8, 32, 48

BATCHES = [
    pytest.param([1] * 40, id="one adapter"),
    pytest.param([-1] * 40, id="base only"),
    pytest.param([2] * 200 + [-1] * 150 + [0] * 5 + [-1], id="prompts"),
    pytest.param([0, -1, 2, 1, -1, 0, 2], id="decoding, all mixed"),
    pytest.param([-1], id="one base token"),
    pytest.param([2], id="one token of the last slot"),
    pytest.param([0, -1] * MAX_DENSE_TOKENS, id="many short runs"),
]


def weights(dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor]:
    """A, and B as vLLM allocates it with the plugin."""
    torch.manual_seed(7)
    a = torch.randn(SLOTS, RANK, IN).to(dtype)
    b = side_by_side(torch.randn(SLOTS, 1, OUT, RANK).to(dtype)).squeeze(1)
    return a, b


@pytest.mark.parametrize("slots", BATCHES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_tokens_get_their_own_adapter_and_base_tokens_keep_every_bit(slots, dtype):
    """y += B A x for tokens with an adapter, within the type's tolerance; −1 changes not one bit."""
    a, b = weights(dtype)
    x = torch.randn(len(slots), IN).to(dtype)
    before = torch.randn(len(slots), OUT + 4).to(dtype)
    expected = before.double()
    for token, slot in enumerate(slots):
        if slot >= 0:
            expected[token, 2 : 2 + OUT] += b[slot].double() @ (
                a[slot].double() @ x[token].double()
            )
    index = torch.tensor(slots)
    batch = plan(index, n_slots=SLOTS, rank=RANK)
    got = before.clone()
    expand(got, shrink(x, a, batch), b, batch, offset=2, size=OUT)
    loose = {"rtol": 2e-2, "atol": 0.5} if dtype is torch.bfloat16 else {"rtol": 1e-4, "atol": 1e-4}
    torch.testing.assert_close(got.double(), expected, **loose)
    base = index < 0
    assert torch.equal(got[base], before[base])
    assert batch.has_adapters == bool((~base).any())


def test_padded_weights_are_cut_to_the_slice():
    """B may be padded beyond the slice (vocabularies are); the columns next to it stay untouched."""
    a, b = weights(torch.float32)
    index = torch.tensor([0, 1])
    batch = plan(index, n_slots=SLOTS, rank=RANK)
    x, y = torch.randn(2, IN), torch.zeros(2, OUT)
    expand(y, shrink(x, a, batch), b, batch, offset=0, size=20)
    assert y[:, :20].abs().sum() > 0 and torch.equal(y[:, 20:], torch.zeros(2, OUT - 20))


def test_side_by_side_is_the_same_tensor_to_who_writes_slices():
    """vLLM writes a version into `b[slot, 0, :n, :r]` and zeroes `b[slot]`: both reach the storage."""
    b = side_by_side(torch.zeros(SLOTS, 1, OUT, RANK))
    new = torch.randn(OUT - 3, RANK)
    b[1, 0, : OUT - 3, :RANK].copy_(new)
    assert torch.equal(b[1, 0, : OUT - 3], new) and b[0].abs().sum() == 0
    flat = b.squeeze(1).permute(0, 2, 1).reshape(-1, OUT)
    assert flat.data_ptr() == b.data_ptr(), "read without a copy"
    b[1] = 0
    assert b.abs().sum() == 0


def test_runs_are_contiguous_and_complete():
    assert runs_of(torch.tensor([2, 2, -1, 0, 0, 0])) == [(0, 2, 2), (2, 3, -1), (3, 6, 0)]

"""The plugin's two products against the plain definition, token by token."""

from __future__ import annotations

import pytest
import torch

from serving.vllm_plugin.segments import expand, runs_of, shrink

SLOTS, RANK, IN, OUT = 3, 8, 32, 48


def batch(indices: list[int]) -> tuple[torch.Tensor, ...]:
    torch.manual_seed(7)
    x = torch.randn(len(indices), IN)
    a = torch.randn(SLOTS, 1, RANK, IN)
    b = torch.randn(SLOTS, 1, OUT, RANK)
    return x, a, b, torch.tensor(indices)


INDICES = [
    pytest.param([1] * 40, id="one adapter"),
    pytest.param([-1] * 40, id="base only"),
    pytest.param([2] * 20 + [-1] * 15 + [0] * 5, id="long runs"),
    pytest.param([0, -1, 2, 1, -1, 0, 2], id="decoding, all mixed"),
    pytest.param([-1], id="one base token"),
    pytest.param([2], id="one token of the last slot"),
]


@pytest.mark.parametrize("indices", INDICES)
def test_products_match_the_definition_and_spare_the_base_rows(indices):
    """y += scale · B A x for tokens with an adapter; tokens with −1 keep every bit."""
    x, a, b, index = batch(indices)
    before = torch.randn(len(indices), OUT + 4)
    expected = before.clone()
    for token, slot in enumerate(indices):
        if slot >= 0:
            expected[token, 2 : 2 + OUT] += 0.5 * (b[slot, 0] @ (a[slot, 0] @ x[token]))
    got = before.clone()
    buffer = torch.full((len(indices), RANK), float("nan"))
    shrink(buffer, x, a, 0.5, index)
    expand(got, buffer, b, index, offset=2, size=OUT)
    torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-4)
    base = index < 0
    assert torch.equal(got[base], before[base])


@pytest.mark.parametrize("indices", INDICES)
def test_expand_can_write_instead_of_adding(indices):
    x, a, b, index = batch(indices)
    buffer = torch.zeros(len(indices), RANK)
    shrink(buffer, x, a, 1.0, index)
    got = torch.full((len(indices), OUT), 9.0)
    expand(got, buffer, b, index, add=False)
    for token, slot in enumerate(indices):
        wanted = b[slot, 0] @ (a[slot, 0] @ x[token]) if slot >= 0 else torch.full((OUT,), 9.0)
        torch.testing.assert_close(got[token], wanted, rtol=1e-4, atol=1e-4)


def test_runs_are_contiguous_and_complete():
    assert runs_of(torch.tensor([2, 2, -1, 0, 0, 0])) == [(0, 2, 2), (2, 3, -1), (3, 6, 0)]

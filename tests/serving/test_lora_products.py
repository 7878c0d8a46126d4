"""The plugin's two products against the plain definition, token by token."""

from __future__ import annotations

import pytest
import torch

from serving.vllm_plugin.products import MANY_TOKENS, Layer, plan
from serving.vllm_plugin.token_kernel import kernel_for

SLOTS, IN = 3, 32
SIZES = (48, 16, 20)

BATCHES = [
    pytest.param([1] * 40, id="one adapter"),
    pytest.param([-1] * 40, id="base only"),
    pytest.param([2] * 400 + [-1] * 350 + [0] * 5 + [-1], id="prompts"),
    pytest.param([0, -1, 2, 1, -1, 0, 2], id="decoding, all mixed"),
    pytest.param([-1], id="one base token"),
    pytest.param([2], id="one token of the last slot"),
    pytest.param([0, 0, 0], id="a pair and one more"),
    pytest.param([0, -1] * MANY_TOKENS, id="a large group that is not together"),
]

# Of the largest value in the result: what one rounding of that type, and sums in another order, cost.
TOLERANCE = {torch.bfloat16: 2**-7, torch.float32: 2**-18, torch.float16: 2**-9}


def layer(n_slices: int, dtype: torch.dtype, rank: int) -> Layer:
    """A layer's weights as vLLM allocates them, every slot filled."""
    torch.manual_seed(7)
    a = [torch.randn(SLOTS, 1, rank, IN).to(dtype) for _ in range(n_slices)]
    b = [torch.randn(SLOTS, 1, size, rank).to(dtype) for size in SIZES[:n_slices]]
    made = Layer(a, b, SIZES[:n_slices])
    for slot in range(SLOTS):
        made.look_at(slot)
    return made


def by_definition(made: Layer, y: torch.Tensor, x: torch.Tensor, slots: list[int]) -> torch.Tensor:
    expected = y.double()
    for token, slot in enumerate(slots):
        offset = 0
        for down, up, size in zip(made.a, made.b, made.sizes, strict=True):
            if slot >= 0:
                h = down[slot, 0].double() @ x[token].double()
                expected[token, offset : offset + size] += up[slot, 0, :size].double() @ h
            offset += size
    return expected


@pytest.mark.parametrize("slots", BATCHES)
@pytest.mark.parametrize("n_slices", [1, 3])
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize(
    ("dtype", "rank"),
    [(torch.bfloat16, 8), (torch.bfloat16, 16), (torch.float32, 8), (torch.float16, 8)],
)
def test_tokens_get_their_own_adapter_and_base_tokens_keep_every_bit(
    slots, n_slices, dtype, rank, threads
):
    """y += B A x for tokens with an adapter, within the type's tolerance; −1 changes not one bit."""
    made = layer(n_slices, dtype, rank)
    x = torch.randn(len(slots), IN).to(dtype)
    before = torch.randn(len(slots), sum(made.sizes)).to(dtype)
    expected = by_definition(made, before, x, slots)
    index = torch.tensor(slots)
    got = before.clone()
    batch = plan(index, threads=threads)
    assert batch.has_adapters == bool((index >= 0).any())
    made.add_lora(got, x, batch)
    assert torch.equal(got[index < 0], before[index < 0])
    error = (got.double() - expected).abs().max()
    assert error <= expected.abs().max() * TOLERANCE[dtype]


def test_a_slot_that_adapts_only_some_slices_leaves_the_others_alone():
    made = layer(3, torch.bfloat16, 8)
    made.b[1][0] = 0
    made.look_at(0)
    assert made.ranks[:, 0].tolist() == [8, 0, 8]
    for tokens in (2, 2 * MANY_TOKENS):
        y = torch.zeros(tokens, sum(SIZES), dtype=torch.bfloat16)
        x = torch.randn(tokens, IN).to(torch.bfloat16)
        made.add_lora(y, x, plan(torch.zeros(tokens, dtype=torch.long), threads=2))
        changed = y.abs().sum(0) > 0
        assert changed[:48].all() and not changed[48:64].any() and changed[64:].all()


@pytest.mark.parametrize("threads", [1, 2])
def test_an_adapter_of_a_smaller_rank_than_the_engine_s_is_read_only_so_far(threads):
    """A version of rank 5 and one of rank 16 in an engine started for 16."""
    made = layer(1, torch.bfloat16, 16)
    made.a[0][0, 0, 5:], made.b[0][0, 0, :, 5:] = 0, 0
    made.look_at(0)
    assert made.ranks[0].tolist() == [5, 16, 16]
    slots = [0] * (MANY_TOKENS + 1) + [1, 0]
    x = torch.randn(len(slots), IN).to(torch.bfloat16)
    y = torch.randn(len(slots), SIZES[0]).to(torch.bfloat16)
    expected = by_definition(made, y, x, slots)
    made.add_lora(y, x, plan(torch.tensor(slots), threads=threads))
    assert (y.double() - expected).abs().max() <= expected.abs().max() * TOLERANCE[torch.bfloat16]


@pytest.mark.parametrize("tokens", [2, 2 * MANY_TOKENS])
def test_padding_is_left_alone(tokens):
    """B may be padded beyond the slice (vocabularies are), y behind its slices and its last token."""
    whole = layer(1, torch.bfloat16, 8)
    made = Layer(whole.a, whole.b, (20,))
    for slot in range(SLOTS):
        made.look_at(slot)
    y = torch.zeros(tokens + 3, 48, dtype=torch.bfloat16)
    x = torch.randn(tokens + 3, IN).to(torch.bfloat16)
    made.add_lora(y, x, plan(torch.arange(tokens) % SLOTS, threads=2))
    assert (y[:tokens, :20].abs().sum(dim=1) > 0).all()
    assert not y[:, 20:].any() and not y[tokens:].any()


@pytest.mark.parametrize("tokens", [2, 2 * MANY_TOKENS])
def test_an_output_with_fewer_columns_than_the_layer_is_not_written_beyond(tokens):
    """Logits are cut to the words a tokenizer knows: those are right, and memory behind them is safe."""
    made = layer(3, torch.bfloat16, 8)
    x = torch.randn(tokens, IN).to(torch.bfloat16)
    whole = torch.zeros(tokens, sum(SIZES), dtype=torch.bfloat16)
    batch = plan(torch.arange(tokens) % SLOTS, threads=2)
    made.add_lora(whole, x, batch)
    for columns in (10, 50):
        guarded = torch.zeros(tokens * columns + 200, dtype=torch.bfloat16)
        made.add_lora(guarded[: tokens * columns].view(tokens, columns), x, batch)
        cut = guarded[: tokens * columns].view(tokens, columns)
        error = (cut.double() - whole[:, :columns].double()).abs().max()
        assert error <= whole.abs().max() * TOLERANCE[torch.bfloat16]
        assert not guarded[tokens * columns :].any()


def test_ranks_that_only_large_gpus_are_used_for_are_counted_right():
    made = layer(1, torch.bfloat16, 320)
    assert made.ranks[0].tolist() == [320] * SLOTS
    y = torch.zeros(2, SIZES[0], dtype=torch.bfloat16)
    x = torch.randn(2, IN).to(torch.bfloat16)
    expected = by_definition(made, y, x, [0, 2])
    made.add_lora(y, x, plan(torch.tensor([0, 2])))
    assert (y.double() - expected).abs().max() <= expected.abs().max() * TOLERANCE[torch.bfloat16]


@pytest.mark.parametrize("rank", [8, 16])
def test_a_token_s_result_does_not_depend_on_its_neighbours(rank):
    """Alone, in a pair of its slot, or in a prompt: the same bits."""
    made = layer(3, torch.bfloat16, rank)
    x = torch.randn(300, IN).to(torch.bfloat16)
    alone = torch.zeros(1, sum(SIZES), dtype=torch.bfloat16)
    made.add_lora(alone, x[:1], plan(torch.tensor([1])))
    for slots in ([1, 1, 0, 2], [1, -1, 1, 1], [1, 0, 0, 2], [1] * 300):
        mixed = torch.zeros(len(slots), sum(SIZES), dtype=torch.bfloat16)
        made.add_lora(mixed, x[: len(slots)], plan(torch.tensor(slots), threads=1))
        assert torch.equal(mixed[0], alone[0])


def test_a_slot_that_is_emptied_or_filled_anew_is_read_anew():
    """What vLLM does with a slot: zero it, then write another adapter."""
    made = layer(3, torch.bfloat16, 8)
    x = torch.randn(2, IN).to(torch.bfloat16)
    batch = plan(torch.tensor([1, 1]))
    for weights in (*made.a, *made.b):
        weights[1] = 0
    made.look_at(1)
    y = torch.zeros(2, sum(SIZES), dtype=torch.bfloat16)
    made.add_lora(y, x, batch)
    assert not y.any()
    made.a[0][1].normal_()
    made.b[0][1].normal_()
    made.look_at(1)
    expected = by_definition(made, y, x, [1, 1])
    made.add_lora(y, x, batch)
    assert y[:, :48].any() and not y[:, 48:].any()
    assert torch.allclose(y.double(), expected, rtol=2**-7, atol=2**-7)


def test_rounding_is_to_the_nearest_even_and_nan_stays_nan():
    made = layer(1, torch.bfloat16, 8)
    x = torch.zeros(1, IN, dtype=torch.bfloat16)
    x[0, 0] = 1
    made.a[0].zero_()
    made.a[0][0, 0, 0, 0] = 1
    made.b[0].zero_()
    made.b[0][0, 0, :3, 0] = torch.tensor([2**-8, 3 * 2**-8, float("nan")])
    made.look_at(0)
    y = torch.ones(1, 48, dtype=torch.bfloat16)
    expected = (y.float() + made.b[0][0, 0, :, 0].float()).to(torch.bfloat16)
    made.add_lora(y, x, plan(torch.tensor([0])))
    assert torch.equal(y[0, :2], expected[0, :2]) and torch.isnan(y[0, 2])


def test_there_is_a_kernel_for_the_types_models_run_in():
    assert kernel_for(torch.bfloat16, 8) is not None
    assert kernel_for(torch.float32, 128) is not None
    assert kernel_for(torch.float16, 8) is None
    assert kernel_for(torch.bfloat16, 512) is None

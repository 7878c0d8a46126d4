"""Rows packed behind one beginning: the loss and the gradients of the rows one by one, less to compute."""

from __future__ import annotations

import pytest

from personae.weights import model_folder
from tests.training.conftest import TINY
from training.samples.dataset import make_dataset
from training.tune.encode import Encoded, encode
from training.tune.lora import load_base, padded_losses, row_losses, trainable
from training.tune.packed import ATTENTION, pack, usual_attention
from training.tune.run_folder import TrainSettings
from training.tune.world import World


@pytest.fixture(scope="module")
def model(models):
    """In float32, so that what differs is no rounding, and with an adapter that does something."""
    import torch

    base, _tokenizer = load_base(model_folder(models, TINY))
    adapted = trainable(base.float(), TrainSettings(), base_model=TINY).float()
    with torch.no_grad():
        for name, weight in adapted.named_parameters():
            if ".lora_B." in name:
                weight.normal_(0, 0.1)
    return adapted


@pytest.fixture(scope="module")
def rows(lincoln, documents, models):
    _base, tokenizer = load_base(model_folder(models, TINY))
    samples = make_dataset(lincoln, documents, count=12, held_out_count=2, seed=1).train
    return encode(samples, tokenizer, max_tokens=4096)


def gradients(model, loss):
    import torch

    model.zero_grad()
    loss.backward()
    return torch.cat([w.grad.flatten() for w in model.parameters() if w.requires_grad])


def test_packed_rows_have_the_loss_and_the_gradients_of_a_padded_batch(model, rows):
    import torch

    assert model.config._attn_implementation == ATTENTION
    packed = row_losses(model, rows)
    packed_gradients = gradients(model, packed.sum())
    with usual_attention(model):
        padded = padded_losses(model, rows)
        padded_gradients = gradients(model, padded.sum())
    torch.testing.assert_close(packed, padded, rtol=1e-5, atol=1e-4)
    distance = (packed_gradients - padded_gradients).norm() / padded_gradients.norm()
    assert padded_gradients.norm() > 0
    assert distance < 1e-4


def test_a_common_beginning_is_computed_once(rows):
    packed = pack(rows)
    shared = [group for group in packed.groups if group.shared]
    assert shared, "the samples have a system prompt in common"
    saved = sum(group.shared * (len(group.rests) - 1) for group in shared)
    assert len(packed.ids) == sum(len(row.ids) for row in rows) - saved


def test_places_and_positions_of_two_rows():
    rows = [Encoded([*range(10), 20, 21], 11, 1), Encoded([*range(10), 30, 31, 32], 11, 1)]
    packed = pack(rows)
    assert packed.ids == [*range(10), 20, 21, 30, 31, 32]
    assert packed.positions == [*range(10), 10, 11, 10, 11, 12]
    assert packed.predicts == [10, 12, 13]
    assert packed.targets == [21, 31, 32]
    assert packed.rows == [0, 1, 1]


def test_a_beginning_never_reaches_a_place_that_predicts_a_label():
    """Two rows alike but in the answer's first token: each must predict its own."""
    rows = [Encoded([*range(12), 20], 12, 1), Encoded([*range(12), 30], 12, 1)]
    packed = pack(rows)
    assert packed.groups[0].shared == 11
    assert [packed.ids[place] for place in packed.predicts] == [11, 11]
    assert len(set(packed.predicts)) == 2


def test_plain_text_rows_of_one_document_are_packed_too(model):
    row = Encoded([5, 6, 7, 8, 9, 10, 11, 12, 13], 1, 9)
    (alone,) = row_losses(model, [row]).tolist()
    assert row_losses(model, [row, row]).tolist() == pytest.approx([alone, alone], rel=1e-5)


def test_processes_deal_out_every_row_once_and_take_as_many_parts():
    rows = [Encoded([number], 0, 0) for number in range(7)]
    for size in (1, 2, 3, 8):
        dealt = [
            World(rank, size).parts(rows, most_rows=2, most_tokens=100) for rank in range(size)
        ]
        counted = [
            row.ids[0] for parts in dealt for part, weight in parts if weight for row in part
        ]
        assert sorted(counted) == list(range(7))
        assert len({len(parts) for parts in dealt}) == 1


def test_long_rows_are_computed_in_smaller_parts():
    rows = [Encoded([0] * tokens, 0, 0) for tokens in (30, 30, 30, 60, 200)]
    parts = World().parts(rows, most_rows=4, most_tokens=100)
    assert [[len(row.ids) for row in part] for part, _weight in parts] == [
        [30, 30, 30],
        [60],
        [200],
    ]

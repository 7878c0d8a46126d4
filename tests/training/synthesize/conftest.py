"""One fake API for all tests of synthesis, and a persona's training documents."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from personae.config import SynthesisConfig
from personae.corpus import Document
from tests.fakes.openai_api import MODEL, OpenAiApi
from training.samples.dataset import split_documents
from training.synthesize.client import Patience

QUICK = Patience(
    connect_seconds=60,
    reply_seconds=60,
    tries=100,
    billed_tries=100,
    first_wait_seconds=0.005,
    longest_wait_seconds=0.02,
)


@pytest.fixture(scope="session")
def api_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenAiApi]:
    with OpenAiApi(tmp_path_factory.mktemp("openai")) as api:
        yield api


@pytest.fixture
def api(api_process: OpenAiApi) -> OpenAiApi:
    """Well behaved, with an empty log."""
    api_process.behave()
    return api_process


@pytest.fixture(scope="session")
def training_documents(documents: list[Document]) -> list[Document]:
    return split_documents(documents)[0]


@pytest.fixture(scope="session")
def held_out_documents(documents: list[Document]) -> list[Document]:
    return split_documents(documents)[1]


def config_for(api: OpenAiApi, **settings: object) -> SynthesisConfig:
    """Fast, at prices of a small hosted model."""
    return SynthesisConfig.model_validate(
        {
            "url": api.url,
            "model": MODEL,
            "requests_per_minute": 1_000_000,
            "tokens_per_minute": 1_000_000_000,
            "input_price": 0.5,
            "output_price": 1.5,
        }
        | settings
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "synthesis"

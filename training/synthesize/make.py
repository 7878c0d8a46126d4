"""Samples written with the help of a model: any that speaks the OpenAI API, local or hosted.

In: a persona, its training documents (held-out ones never come here), `[synthesis]` of the configuration, a
folder. Out: samples, and in the folder:

    answers.sqlite    every answer that was paid for, and what was spent (`training.synthesize.cache`)
    samples.jsonl     the samples, one a line
    synthesis.json    counts, what filters took and why, what it cost; written last

It can be killed at any moment; the rerun asks only what no answer is stored for, and ends with the same
samples. Rejected samples are not asked for again: their answers are stored like all others.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
import re
from collections import Counter
from collections.abc import Sequence, Set
from pathlib import Path

from pydantic import BaseModel, ConfigDict, SecretStr, ValidationError

from personae.config import SynthesisConfig
from personae.corpus import Document
from personae.errors import ConfigError, CorpusError
from personae.files import remove_leftovers, write_atomic
from personae.persona import Persona
from personae.progress import Progress, silent
from training.samples.filters import Embed
from training.samples.pairs import Sample
from training.synthesize.asking import Asked, Asker
from training.synthesize.budget import Budget, Cost, Prices
from training.synthesize.cache import Answer, AnswerStore, Spent
from training.synthesize.client import Completions, Patience
from training.synthesize.harvest import Harvest, Length
from training.synthesize.jobs import Job, Plan, plan_jobs
from training.synthesize.pace import Pace
from training.synthesize.price import Price, price
from training.synthesize.prompts import Request

SAMPLES = "samples.jsonl"
SYNTHESIS = "synthesis.json"
FOLDER = "synthesis"
"""Below `runs/<persona>/`."""
DEFAULT_SAMPLES = 400


class Synthesis(BaseModel):
    """What one run made; `synthesis.json`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    persona: str
    model: str
    samples: int
    kept: dict[str, int]
    """By kind of request."""
    rejected: dict[str, dict[str, int]]
    """Kind → reason → how many."""
    rejected_samples: dict[str, list[str]]
    """Reason → at most three of the texts."""
    missing: dict[str, int]
    """Kind → requests without an answer, because the budget was reached."""
    refused: dict[str, int]
    """Why the API answered some requests never → how many."""
    requests_now: int
    answers: int
    """Of all runs; also such that are not used any more."""
    tokens: int
    money: float
    """Paid, in all runs."""
    lost_tokens: int
    lost_money: float
    """Of attempts whose outcome nobody knows, at their worst case; the budget counts them."""


def synthesize(
    persona: Persona,
    documents: Sequence[Document],
    *,
    config: SynthesisConfig,
    key: SecretStr | None,
    folder: Path,
    embed: Embed,
    samples: int = DEFAULT_SAMPLES,
    vocabulary: Set[str] = frozenset(),
    length: Length | None = None,
    max_tokens: int = 1024,
    patience: Patience | None = None,
    progress: Progress = silent,
) -> list[Sample]:
    """About `samples` samples from the training documents, less what filters take.

    It runs an event loop of its own.

    Args:
        documents: the training side of `split_documents` alone.
        embed: texts to normalised vectors; decides whether meanings are near.
        vocabulary: words (lower case) of the whole corpus: no topic of them is refused. Words of
            `documents` always count.
        length: tokens of a sample as the base model reads it; longer than `max_tokens` is left out.

    Raises:
        ConfigError: no API is configured, or it refuses what is.
        EngineUnavailable: it does not answer, or wants a long break. What came in is kept.
        CorpusError: the documents are too short, or another process is at it.
        DiskFull.
    """
    model = require_configured(config)
    patience = patience or Patience()
    plan = _plan(persona, documents, samples, vocabulary)
    requests = [job.request for job in plan.jobs]
    with AnswerStore.opened(folder) as store:
        remove_leftovers(folder)
        stored = store.keys()
        missing = [request for request in requests if request.key(model) not in stored]
        asked = asyncio.run(_ask(missing, config, key, store, patience, progress))
        answers = {
            job: answer for job in plan.jobs if (answer := store.get(job.request.key(model)))
        }
        spent = store.spent()
        progress("filtering what was written", 0, 1)
        harvest = Harvest(
            persona, plan.passages, model=model, embed=embed, length=length, max_tokens=max_tokens
        )
        made = harvest.samples(plan.jobs, answers)
        write_atomic(folder / SAMPLES, "".join(_line(sample) for sample in made))
        report = _report(persona, model, made, harvest, asked, plan.jobs, answers, spent)
        write_atomic(folder / SYNTHESIS, report.model_dump_json(indent=2) + "\n")
        progress("filtering what was written", 1, 1)
    return made


def price_synthesis(
    persona: Persona,
    documents: Sequence[Document],
    *,
    config: SynthesisConfig,
    folder: Path,
    samples: int = DEFAULT_SAMPLES,
    vocabulary: Set[str] = frozenset(),
) -> Price:
    """What `synthesize` would ask with the same arguments, and what that costs. Nothing is sent.

    Raises:
        ConfigError, CorpusError: as `synthesize`.
    """
    require_configured(config)
    plan = _plan(persona, documents, samples, vocabulary)
    with AnswerStore.opened(folder) as store:
        return price(
            [job.request for job in plan.jobs],
            config=config,
            stored=store.keys(),
            spent=store.spent(),
        )


def read_samples(folder: Path) -> list[Sample]:
    """The samples of a finished run; none if there was none.

    Raises:
        CorpusError: the file is damaged.
    """
    try:
        lines = (folder / SAMPLES).read_text("utf-8").splitlines()
        return [Sample(**json.loads(line)) for line in lines]
    except FileNotFoundError:
        return []
    except (ValueError, TypeError) as err:
        raise CorpusError(
            f"{folder / SAMPLES} is damaged. Run `personae train synthesize` again; it costs nothing."
        ) from err


def read_synthesis(folder: Path) -> Synthesis | None:
    """The report of the last finished run; None if there was none.

    Raises:
        CorpusError: the file is damaged.
    """
    try:
        return Synthesis.model_validate_json((folder / SYNTHESIS).read_bytes())
    except FileNotFoundError:
        return None
    except ValidationError as err:
        raise CorpusError(
            f"{folder / SYNTHESIS} is damaged. Run `personae train synthesize` again; it costs nothing."
        ) from err


def require_configured(config: SynthesisConfig) -> str:
    """The model's name.

    Raises:
        ConfigError: with how to configure one.
    """
    if config.url is None or config.model is None:
        raise ConfigError(
            "No model is configured that could write samples. Add to personae.toml:\n"
            '  [synthesis]\n  url = "http://127.0.0.1:8000/v1"\n  model = "its name there"\n'
            "and, if that API wants a key, set PERSONAE_SYNTHESIS_KEY. Training works without: "
            "rules make the samples then."
        )
    return config.model


def _plan(
    persona: Persona, documents: Sequence[Document], samples: int, vocabulary: Set[str]
) -> Plan:
    words = {word for doc in documents for word in re.findall(r"[a-z]+", doc.text.lower())}
    return plan_jobs(persona, documents, samples=samples, vocabulary=words | vocabulary)


async def _ask(
    requests: Sequence[Request],
    config: SynthesisConfig,
    key: SecretStr | None,
    store: AnswerStore,
    patience: Patience,
    progress: Progress,
) -> Asked:
    assert config.url is not None and config.model is not None
    prices = Prices.of(config)
    async with Completions(
        url=config.url,
        model=config.model,
        key=key,
        at_once=config.requests_at_once,
        patience=patience,
    ) as api:
        asker = Asker(
            api,
            model=config.model,
            store=store,
            budget=Budget(Cost(config.token_budget, config.budget), store.spent().all),
            prices=prices,
            pace=Pace(
                requests_per_minute=config.requests_per_minute,
                tokens_per_minute=config.tokens_per_minute,
                at_once=config.requests_at_once,
            ),
            patience=patience,
        )
        return await asker.ask_all(requests, at_once=config.requests_at_once, progress=progress)


def _line(sample: Sample) -> str:
    return json.dumps(dataclasses.asdict(sample), ensure_ascii=False) + "\n"


def _report(
    persona: Persona,
    model: str,
    made: Sequence[Sample],
    harvest: Harvest,
    asked: Asked,
    jobs: Sequence[Job],
    answers: dict[Job, Answer],
    spent: Spent,
) -> Synthesis:
    unanswered = [
        job for job in jobs if job not in answers and job.request.key(model) not in asked.refused
    ]
    return Synthesis(
        persona=persona.id,
        model=model,
        samples=len(made),
        kept=dict(harvest.report.kept),
        rejected={kind: dict(reasons) for kind, reasons in harvest.report.rejected.items()},
        rejected_samples=harvest.report.samples,
        missing=dict(Counter(job.request.kind for job in unanswered)),
        refused=dict(Counter(asked.refused.values())),
        requests_now=asked.answered,
        answers=spent.answers,
        tokens=spent.paid.tokens,
        money=spent.paid.money,
        lost_tokens=spent.lost.tokens,
        lost_money=spent.lost.money,
    )

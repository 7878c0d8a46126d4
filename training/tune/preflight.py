"""Everything that can be known to go wrong, before anything expensive, and all of it at once.

In: the samples, the tokenizer, the base model's folder, the settings. Out: a `Preflight`, written into the
run folder, or one error with every problem. It loads no weights and takes a few seconds for a thousand
samples. Each check stands for a training somebody lost: see the sections below.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from personae.corpus import Document
from personae.errors import DiskFull, ModelError
from personae.files import require_free_bytes
from personae.persona import Persona
from personae.prompt import fingerprint
from training.samples.dataset import Dataset
from training.samples.pairs import Sample
from training.tune.encode import Encoded, TooLong, encode_one, end_of_turn, row_problem
from training.tune.leakage import WORDS, leaks
from training.tune.legal import lora_problems, weights_problems
from training.tune.memory import free_bytes, needed_bytes
from training.tune.run_folder import TrainSettings

RUN_BYTES = 200_000_000


class Preflight(BaseModel):
    """What was checked and found; `preflight.json`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    problems: list[str]
    samples: int
    held_out_samples: int
    tokens: int
    """Of all training samples, prompt and answer, without padding."""
    labels: int
    longest_tokens: int
    template_sha256: str
    prompt_fingerprint: str
    needed_memory_bytes: int


def preflight(
    persona: Persona,
    dataset: Dataset,
    documents: Sequence[Document],
    tokenizer: Any,
    base_folder: Path,
    settings: TrainSettings,
    *,
    max_adapter_rank: int,
    run: Path,
) -> tuple[Preflight, list[Encoded], list[Encoded]]:
    """(what was found, training rows, held-out rows).

    Raises:
        ModelError: one or more things are wrong; the message has a line for each.
    """
    problems = lora_problems(settings, max_adapter_rank) + weights_problems(base_folder)
    unreadable = template_problems(tokenizer, base_folder)
    problems += unreadable
    rows: list[Encoded] = []
    held_out: list[Encoded] = []
    if not unreadable:
        rows, found = _encoded(dataset.train, tokenizer, settings.max_tokens, "training")
        problems += found
        held_out, found = _encoded(dataset.held_out, tokenizer, settings.max_tokens, "held-out")
        problems += found
    problems += sample_problems(dataset, documents)
    longest = max((len(row.ids) for row in [*rows, *held_out]), default=0)
    needed = needed_bytes(base_folder, settings, longest)
    problems += _machine_problems(run, needed)
    result = Preflight(
        problems=problems,
        samples=len(dataset.train),
        held_out_samples=len(dataset.held_out),
        tokens=sum(len(row.ids) for row in rows),
        labels=sum(row.labels for row in rows),
        longest_tokens=longest,
        template_sha256=template_hash(tokenizer.chat_template),
        prompt_fingerprint=fingerprint(persona),
        needed_memory_bytes=needed,
    )
    if problems:
        raise ModelError(
            f"Training {persona.id} can't begin:\n" + "\n".join(f"  - {line}" for line in problems)
        )
    return result, rows, held_out


# --- The mask: labels, the end of a turn, nothing cut


def _encoded(
    samples: Sequence[Sample], tokenizer: Any, max_tokens: int, which: str
) -> tuple[list[Encoded], list[str]]:
    """(rows, problems): the same problem of many samples is told once, with their number."""
    end = end_of_turn(tokenizer)
    rows: list[Encoded] = []
    too_long: list[int] = []
    wrong: Counter[str] = Counter()
    for sample in samples:
        try:
            row = encode_one(sample, tokenizer, max_tokens=max_tokens)
        except TooLong as err:
            too_long.append(err.tokens)
            continue
        except ModelError as err:
            wrong[err.message] += 1
            continue
        if problem := row_problem(row, end):
            wrong[f"a {sample.task} sample {problem}; look at the corpus for chat markup"] += 1
        rows.append(row)
    problems = [
        f"{count} of {len(samples)} {which} samples: {text}" for text, count in wrong.items()
    ]
    if too_long:
        problems.append(
            f"{len(too_long)} of {len(samples)} {which} samples are longer than {max_tokens} tokens (the "
            f"longest has {max(too_long)}) and would be cut; lower passage_words in the persona's "
            "[retrieval], or raise max_tokens"
        )
    if not samples:
        problems.append(f"there are no {which} samples; add text to the sources and ingest again")
    return rows, problems


# --- The template: the words around the conversation are those of serving


def template_hash(template: Any) -> str:
    return hashlib.sha256(json.dumps(template, sort_keys=True).encode()).hexdigest()


def template_problems(tokenizer: Any, base_folder: Path) -> list[str]:
    """The template in use against the one in the model's folder, which the engine loads."""
    served = _served_template(base_folder)
    if served is None:
        return ["the base model has no chat template; choose an instruct model"]
    if template_hash(served) != template_hash(tokenizer.chat_template):
        return [
            "the chat template in use is not the one in the base model's folder, which the engine "
            "serves with; fetch the base model again and leave its tokenizer as it is"
        ]
    try:
        end_of_turn(tokenizer)
    except ModelError as err:
        return [err.message]
    return []


def _served_template(folder: Path) -> Any:
    """As transformers and vLLM look for it: a file of its own, then the tokenizer's configuration."""
    own = folder / "chat_template.jinja"
    if own.is_file():
        return own.read_text(encoding="utf-8")
    try:
        return json.loads((folder / "tokenizer_config.json").read_bytes()).get("chat_template")
    except (OSError, ValueError):
        return None


# --- The samples: who speaks, and what may not be known


def sample_problems(dataset: Dataset, documents: Sequence[Document]) -> list[str]:
    problems = []
    if not any(sample.task == "identity" for sample in dataset.train):
        problems.append(
            'no sample answers "Who are you?", so the model would answer with another name; train with '
            "more steps, or with identity samples in the mixture"
        )
    away = set(dataset.held_out_documents)
    found = leaks(
        (sample.text for sample in dataset.train),
        [document for document in documents if document.id not in away],
        [document for document in documents if document.id in away],
    )
    problems += [
        f"{count} training samples hold {WORDS} or more words in a row of {document}, which is held out "
        "to measure on; split by document before cutting"
        for document, count in sorted(found.items())
    ]
    return problems


# --- The machine


def _machine_problems(run: Path, needed: int) -> list[str]:
    problems = []
    try:
        require_free_bytes(run, RUN_BYTES, "Training")
    except DiskFull as err:
        problems.append(err.message)
    free = free_bytes()
    if free is not None and needed > free:
        problems.append(
            f"it needs about {needed / 1e9:.1f} GB of memory and {free / 1e9:.1f} GB are free; close other "
            "programs, or train with a smaller micro_batch"
        )
    return problems

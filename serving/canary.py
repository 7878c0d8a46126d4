"""The canary: a new version answers a few questions through the engine before people hear it.

It has to differ from the base model (an adapter that the engine does not apply speaks as the base,
without a word of warning) and to say what it said where it was trained, if its manifest holds that
(`personae.reference`). An engine that tells no log-probabilities is judged by the words alone.

Measured on SmolLM2-135M, bfloat16, vLLM 0.32 on the CPU (docs/decisions.md): the right adapter is 0.01 to
0.02 off its reference, with its scale halved 0.36 to 0.64, another persona's 0.15 to 0.54.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from personae.errors import AdapterError
from personae.manifest import ReferenceAnswer
from personae.persona import Persona
from personae.reference import REFERENCE_TOKENS, log_prob_differences, reference_prompts
from personae.registry import RegisteredVersion
from serving.engine_client import EngineClient, GreedyAnswer

log = logging.getLogger(__name__)

AGREEMENT = 0.1
"""Mean |Δ log-probability| from the reference, in nats, up to which a version is the one recorded."""
DIFFERENCE = 0.3
"""Largest |Δ log-probability| between adapter and base below which they are the same. Rounding alone
makes up to 0.11 when one model answers in batches of different sizes."""
_SECONDS = 60.0


@dataclass(frozen=True)
class Findings:
    """What a version's answers to the test questions show."""

    spoke: bool
    differs: bool
    """From the base model."""
    off_nats: float | None
    """Mean |Δ log-probability| from its reference answers; None if there is nothing to compare."""

    @property
    def agrees(self) -> bool:
        return self.off_nats is None or self.off_nats <= AGREEMENT


async def canary(
    engine: EngineClient,
    persona: Persona,
    version: RegisteredVersion,
    *,
    base_model: str,
    base_answers: dict[str, GreedyAnswer] | None,
    at_once: bool = False,
) -> None:
    """Let a loaded version prove itself; arguments as `examine`.

    Raises:
        AdapterError: it must not be put in charge; says why and what to do.
        EngineUnavailable: the engine could not be asked.
    """
    found = await examine(
        engine,
        persona,
        version,
        base_model=base_model,
        base_answers=base_answers,
        at_once=at_once,
    )
    title = f"{persona.id} {version.name}"
    if not found.spoke:
        raise AdapterError(
            f"{title} was loaded but said nothing to a test question, so it was not put in charge. "
            "Train it again."
        )
    if not found.differs:
        raise AdapterError(
            f"{title} was loaded but speaks exactly like the base model, so it was not put in charge. "
            f"Train it longer, or look whether the engine applies adapters to {base_model}."
        )
    if found.off_nats is None:
        log.info("canary of %s: it differs from the base; there is nothing to compare", title)
        return
    log.info("canary of %s: %.3f nats off its reference", title, found.off_nats)
    if not found.agrees:
        raise AdapterError(
            f"{title} answers test questions otherwise than where it was trained "
            f"({found.off_nats:.2f} nats off, {AGREEMENT:g} are allowed), so it was not put in charge. "
            "The engine applies it wrongly, or runs other base weights or a coarser number format than "
            "it was trained on: compare them with its manifest, or train it again for this base."
        )


async def examine(
    engine: EngineClient,
    persona: Persona,
    version: RegisteredVersion,
    *,
    base_model: str,
    base_answers: dict[str, GreedyAnswer] | None,
    at_once: bool = False,
) -> Findings:
    """Ask a loaded version the test questions.

    Args:
        base_answers: what the base model says to this persona's questions, by their names; those
            that are missing are asked and added. None on an engine whose base answers can't be
            trusted (vLLM untested on the CPU): then what the manifest says of the base stands in.
        at_once: ask all questions together. Quicker, and for an engine that serves nobody yet: one
            after the other, people's answers go on nearly as if nothing happened.

    Raises:
        AdapterError: the engine can't answer as this version.
        EngineUnavailable: the engine could not be asked.
    """
    prompts = reference_prompts(persona)
    names = list(prompts)
    turns = asyncio.Semaphore(len(names) * 2 if at_once else 1)

    async def ask(model: str, name: str) -> GreedyAnswer:
        async with turns:
            return await engine.greedy(
                model, prompts[name], max_tokens=REFERENCE_TOKENS, seconds=_SECONDS
            )

    unknown = [name for name in names if base_answers is not None and name not in base_answers]
    try:
        async with asyncio.TaskGroup() as group:
            voice = {name: group.create_task(ask(version.engine_name, name)) for name in names}
            plain = {name: group.create_task(ask(base_model, name)) for name in unknown}
    except ExceptionGroup as failures:
        raise failures.exceptions[0] from None
    said = {name: task.result() for name, task in voice.items()}
    if base_answers is not None:
        base_answers |= {name: task.result() for name, task in plain.items()}
    recorded = version.manifest.reference if version.manifest is not None else None
    references = [answer for answer in recorded or () if answer.prompt in said]
    if base_answers is not None:
        differs = _differs(said, base_answers)
    else:
        differs = _differs_from_recorded(said, references)
    return Findings(
        spoke=any(answer.text.strip() for answer in said.values()),
        differs=differs,
        off_nats=_off_reference(said, references),
    )


def _differs(said: Mapping[str, GreedyAnswer], base: Mapping[str, GreedyAnswer]) -> bool:
    largest = 0.0
    for name, answer in said.items():
        other = base[name]
        if answer.tokens is None or other.tokens is None:
            if answer.text != other.text:
                return True
            continue
        differences = log_prob_differences(answer.tokens, other.tokens, other.candidates)
        largest = max(largest, *differences, 0.0)
    return largest > DIFFERENCE


def _differs_from_recorded(
    said: Mapping[str, GreedyAnswer], references: Sequence[ReferenceAnswer]
) -> bool:
    """The same by the base's recorded log-probabilities; without any nothing can be told."""
    found = [0.0] if references else []
    for reference in references:
        answer = said[reference.prompt]
        if answer.tokens is not None:
            recorded = list(zip(reference.tokens, reference.base_log_probs, strict=True))
            found += log_prob_differences(recorded, answer.tokens, answer.candidates)
        else:
            found.append(DIFFERENCE + 1)
    return not found or max(found) > DIFFERENCE


def _off_reference(
    said: Mapping[str, GreedyAnswer], references: Sequence[ReferenceAnswer]
) -> float | None:
    """Mean over the questions of the mean |Δ log-probability|; None if there is nothing to compare."""
    means = []
    for reference in references:
        answer = said[reference.prompt]
        if answer.tokens is None:
            continue
        recorded = list(zip(reference.tokens, reference.log_probs, strict=True))
        means.append(fmean(log_prob_differences(recorded, answer.tokens, answer.candidates)))
    return fmean(means) if means else None

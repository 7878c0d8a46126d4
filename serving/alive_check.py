"""The alive check: a finished adapter speaks in a real vLLM of its own before anybody is promised it.

In: a candidate (an adapter's folder and the manifest it will get), the configured engine's settings, the base
model. Out: a verdict. The engine listens on a private Unix socket and is gone afterwards, Ctrl-C included.
What it looks at, in this order:

    tensors   every tensor of the adapter is half of a LoRA pair on a matrix of the base model, and after the
              first answer the engine reports each of these modules as adapted (its debug log)
    loaded    the engine takes it: its kind, its rank, its size
    differs   it does not speak as the base model
    agrees    it says what transformers and peft say (`serving.canary`); a chat template, a prompt, a number
              format or a scale that differs from training's shows here
    stops     most answers end by themselves within the persona's max_tokens

It knows nothing of gates or of publishing.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib import util
from pathlib import Path
from typing import Literal

from personae.config import EngineConfig
from personae.errors import AdapterError, RequestError
from personae.manifest import AdapterManifest, check_lora, lora_modules
from personae.persona import Persona
from personae.progress import Progress, silent
from personae.prompt import Message
from personae.reference import reference_prompts
from personae.registry import RegisteredVersion
from personae.verdict import AliveCheck, AliveVerdict
from personae.weights import module_shapes
from serving.adapted_modules import modules_adapted, modules_left_out
from serving.canary import AGREEMENT, Findings, examine
from serving.engine_client import EngineClient
from serving.private_engine import private_engine

log = logging.getLogger(__name__)

_ANSWER_SECONDS = 120.0
_SEED = 17
_DOING = "trying it in vLLM"


async def alive_check(
    persona: Persona,
    candidate: RegisteredVersion,
    *,
    engine: EngineConfig | None,
    model: Path,
    log_file: Path,
    progress: Progress = silent,
) -> AliveVerdict:
    """Start the engine, try the candidate, stop the engine.

    Args:
        engine: the configured one of the candidate's base model; None if there is none.
        model: the base model's folder.

    Raises:
        ModelError: the engine did not start; carries its last words.
        EngineUnavailable: it stopped answering.
    """
    manifest = _manifest(candidate)
    started = time.monotonic()
    if (problem := _misfit(candidate, engine, model)) is not None:
        unfit = _check("tensors", False, problem)
        return _verdict(candidate, "failed", problem, checks=[unfit])
    why = why_not_here(engine, manifest.base_model.id)
    if engine is None or why is not None:
        return _verdict(candidate, "skipped", why or "")
    async with private_engine(
        engine, model=model, log_file=log_file, log_level="DEBUG", progress=progress
    ) as client:
        return await try_in_engine(
            client,
            persona,
            candidate,
            base_model=engine.base_model,
            log_file=log_file,
            started=started,
            progress=progress,
        )


def why_not_here(engine: EngineConfig | None, base_model: str) -> str | None:
    """Why a check has to be left out, and what to do; None if it can be made."""
    later = "A reload asks the version the same questions before people hear it"
    if engine is None:
        return (
            f"Not tried in an engine: none of this configuration serves {base_model}. "
            f'Add [engines."{base_model}"] to personae.toml and publish again. {later}.'
        )
    if engine.url is not None:
        return (
            f"Not tried in an engine: the one at {engine.url} is not ours to start, and may be answering "
            f"people. {later}."
        )
    if util.find_spec("vllm") is None:
        return (
            "Not tried in an engine: vLLM is not installed here. Install what requirements/ names for "
            f"this machine and publish again. {later}."
        )
    return None


async def try_in_engine(
    client: EngineClient,
    persona: Persona,
    candidate: RegisteredVersion,
    *,
    base_model: str,
    log_file: Path | None = None,
    started: float | None = None,
    progress: Progress = silent,
) -> AliveVerdict:
    """Load the candidate into a running engine and look at all that can be seen there.

    Args:
        log_file: of the engine at DEBUG; None leaves out what it reports of the modules.

    Raises:
        EngineUnavailable: the engine could not be asked.
    """
    checks: list[AliveCheck] = []
    off: float | None = None
    name = candidate.engine_name
    try:
        progress(_DOING, 0, 3)
        logged = log_file.stat().st_size if log_file is not None and log_file.is_file() else 0
        await client.load_adapter(name, candidate.folder.absolute())
        progress(_DOING, 1, 3)
        found = await examine(
            client, persona, candidate, base_model=base_model, base_answers={}, at_once=True
        )
        off = found.off_nats
        checks += [
            _check("loaded", True, "The engine took it."),
            _tensors(candidate, log_file, logged),
        ]
        checks += [_differs(found), _agrees(found)]
        progress(_DOING, 2, 3)
        checks += [await _stops(client, persona, name)]
        progress(_DOING, 3, 3)
    except AdapterError as err:
        checks += [_check("loaded", False, str(err))]
    failures = [check.sentence for check in checks if not check.passed]
    return _verdict(
        candidate,
        "failed" if failures else "passed",
        " ".join(failures) or "It speaks in vLLM as it did where it was trained.",
        checks=checks,
        engine=await client.version(),
        off=off,
        seconds=time.monotonic() - started if started is not None else 0.0,
    )


def _misfit(candidate: RegisteredVersion, engine: EngineConfig | None, model: Path) -> str | None:
    """What can be known before a minute is spent on starting an engine."""
    rank = _manifest(candidate).rank
    if engine is not None and engine.url is None and rank > engine.max_adapter_rank:
        return (
            f"Its rank is {rank}, and the engine is started for {engine.max_adapter_rank} at most. Raise "
            "max_adapter_rank in [engine] of personae.toml, or train at a lower rank."
        )
    try:
        check_lora(candidate.folder, rank, module_shapes(model))
    except AdapterError as err:
        return str(err)
    return None


def _tensors(candidate: RegisteredVersion, log_file: Path | None, logged: int) -> AliveCheck:
    """By what the engine's log says behind its first `logged` bytes."""
    modules = lora_modules(candidate.folder)
    adapted: set[str] = set()
    if log_file is not None and log_file.is_file():
        said = log_file.read_bytes()[logged:]
        adapted = modules_adapted(said.decode("utf-8", errors="replace"))
    if not adapted:
        return _check(
            "tensors",
            True,
            f"All {len(modules)} modules of the adapter are the base model's; the engine does not "
            "report which it uses.",
        )
    left_out = modules_left_out(modules, adapted)
    if left_out:
        return _check(
            "tensors",
            False,
            f"The engine put the adapter on {len(modules) - len(left_out)} of its {len(modules)} modules; "
            f"left out, for example: {left_out[0]}. Train on the linear layers that vLLM adapts (the "
            "defaults of `personae train run`).",
        )
    return _check("tensors", True, f"The engine adapted all {len(modules)} modules.")


def _differs(found: Findings) -> AliveCheck:
    if not found.spoke:
        return _check(
            "differs",
            False,
            "It said nothing to the test questions. Train it again, at a lower rate.",
        )
    if not found.differs:
        return _check(
            "differs",
            False,
            "It speaks exactly like the base model: training changed nothing, or the engine does not "
            "apply the adapter. Train for more steps or at a higher rate, and look at its loss.",
        )
    return _check("differs", True, "It speaks otherwise than the base model.")


def _agrees(found: Findings) -> AliveCheck:
    if found.off_nats is None:
        return _check(
            "agrees",
            True,
            "There is nothing to compare with: no reference, or no log-probabilities.",
        )
    if not found.agrees:
        return _check(
            "agrees",
            False,
            f"It answers otherwise than by transformers and peft: {found.off_nats:.2f} nats off, "
            f"{AGREEMENT:g} are allowed. Look whether extra_args or dtype in [engine] give the engine "
            "another chat template or a coarser number format than training used, and whether the base "
            "model's folder was changed since.",
        )
    return _check(
        "agrees", True, f"It agrees with transformers and peft ({found.off_nats:.3f} nats off)."
    )


async def _stops(client: EngineClient, persona: Persona, name: str) -> AliveCheck:
    """Most answers have to end by themselves; one that goes on may happen to a small model."""
    prompts = reference_prompts(persona)
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(_ends(client, persona, name, key, messages))
                for key, messages in prompts.items()
            ]
    except ExceptionGroup as failures:
        first = failures.exceptions[0]
        if isinstance(first, RequestError):
            raise AdapterError(f"The engine refused a test question: {first}") from None
        raise first from None
    ended = [task.result() for task in tasks]
    if 2 * sum(ended) > len(ended):
        return _check("stops", True, f"{sum(ended)} of {len(ended)} answers ended by themselves.")
    return _check(
        "stops",
        False,
        f"Only {sum(ended)} of {len(ended)} answers ended by themselves within the persona's max_tokens; "
        "the others had to be cut off. Look at the run's preview.txt: the end of the turn must be among "
        "what is learned. Else train longer, or raise max_tokens.",
    )


async def _ends(
    client: EngineClient, persona: Persona, name: str, key: str, messages: list[Message]
) -> bool:
    task = persona.rewrite if key.startswith("rewrite") else persona.ask
    stream = client.stream(
        name,
        messages,
        task.sampling.model_dump() | {"seed": _SEED},
        first_token_seconds=_ANSWER_SECONDS,
        between_tokens_seconds=_ANSWER_SECONDS,
    )
    async with stream:
        while await stream.read():
            pass
    return stream.end.finish_reason == "stop"


def _check(name: str, passed: bool, sentence: str) -> AliveCheck:
    return AliveCheck.model_validate({"name": name, "passed": passed, "sentence": sentence})


def _manifest(candidate: RegisteredVersion) -> AdapterManifest:
    if candidate.manifest is None:
        raise AdapterError(candidate.problem or f"{candidate.folder} has no manifest.")
    return candidate.manifest


def _verdict(
    candidate: RegisteredVersion,
    outcome: Literal["passed", "failed", "skipped"],
    sentence: str,
    *,
    checks: Sequence[AliveCheck] = (),
    engine: str = "",
    off: float | None = None,
    seconds: float = 0.0,
) -> AliveVerdict:
    manifest = _manifest(candidate)
    log.info("alive check of %s: %s", candidate.engine_name, outcome)
    return AliveVerdict(
        outcome=outcome,
        sentence=sentence,
        adapter_sha256=manifest.content_sha256,
        base_model=manifest.base_model.id,
        engine=engine,
        nats_off_reference=None if off is None else round(off, 4),
        checks=list(checks),
        seconds=round(seconds, 1),
        checked_at=datetime.now(UTC).isoformat(timespec="seconds"),
    )

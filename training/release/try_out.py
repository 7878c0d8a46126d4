"""Hear a finished run before it is published: base model and adapter side by side, on this machine only.

In: a run folder, a question or a text. Out: what both say, by transformers and peft, with the persona's own
prompt, sampling and one seed. Nothing is written, and no passages are looked up: an answer is voice alone.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

from personae.errors import AdapterError
from personae.persona import Persona
from personae.progress import Progress, silent
from personae.prompt import fingerprint, render_ask, render_rewrite
from personae.weights import model_folder, read_model_manifest
from training.evaluate.replies import Asked, load_adapted, replies, speaking
from training.tune.run_folder import ADAPTER, RESULT, Result, read_run

SEED = 17


class TriedOut(BaseModel):
    """One prompt, and what both made of it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    persona: str
    run: str
    task: Literal["ask", "rewrite"]
    prompt: str
    base_model: str
    base: str
    adapter: str
    published: bool = False


def find_run(runs: Path, persona: str, key: str | None = None) -> Path:
    """A persona's finished run: the one of this key (its beginning will do), or the one finished last.

    Raises:
        AdapterError: there is none, or several begin so; names those there are.
    """
    finished: dict[str, str] = {}
    parent = runs / persona
    for folder in sorted(parent.iterdir()) if parent.is_dir() else ():
        if (folder / RESULT).is_file():
            result = Result.model_validate_json((folder / RESULT).read_bytes())
            finished[folder.name] = result.finished_at
    if not finished:
        raise AdapterError(
            f"{persona} has no finished training run yet. Make one with `personae train run {persona}`."
        )
    found = [name for name in finished if name.startswith(key or "")]
    if key is not None and len(found) != 1:
        known = ", ".join(sorted(finished))
        problem = "no finished run" if not found else "several finished runs"
        raise AdapterError(f"{persona} has {problem} that begin with {key}. There are: {known}.")
    return parent / max(found, key=lambda name: finished[name])


def try_out(
    run: Path,
    persona: Persona,
    prompt: str,
    *,
    task: Literal["ask", "rewrite"],
    models: Path,
    progress: Progress = silent,
) -> TriedOut:
    """What the base model and the adapter say to the same messages.

    Raises:
        AdapterError: the run is not finished, is another persona's, or was made with other prompts.
        ModelError: the base model is gone.
    """
    plan, _result = read_run(run)
    if plan.persona != persona.id:
        raise AdapterError(f"{run} is a run of {plan.persona}, not of {persona.id}.")
    if plan.prompt_fingerprint != fingerprint(persona):
        raise AdapterError(
            f"The prompts of {persona.id} were changed after {run} was trained. Undo the change, or "
            f"train again with `personae train run {persona.id}`."
        )
    folder = model_folder(models, plan.base_model.id)
    read_model_manifest(folder)
    messages = render_ask(persona, prompt) if task == "ask" else render_rewrite(persona, prompt)
    sampling = (persona.ask if task == "ask" else persona.rewrite).sampling
    asked = [Asked("tried", messages, sampling, sampling.max_tokens)]
    progress("loading the model", 0, None)
    model, tokenizer = load_adapted(folder, run / ADAPTER)
    said = {}
    for number, adapted in enumerate((False, True)):
        progress("answering", number, 2)
        with speaking(model, adapted=adapted) as speaker:
            (reply,) = replies(speaker, tokenizer, asked, seed=SEED)
        said[adapted] = reply.text
    progress("answering", 2, 2)
    return TriedOut(
        persona=persona.id,
        run=run.name,
        task=task,
        prompt=prompt,
        base_model=plan.base_model.id,
        base=said[False],
        adapter=said[True],
    )

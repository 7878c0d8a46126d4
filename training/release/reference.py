"""Reference answers: what an adapter says where it was trained, for the canary where it is served.

In: a persona, the base model's folder, a folder with the adapter's peft files. Out: the answers that
go into the manifest. They are computed by transformers and peft, so an engine that applies the adapter
wrongly, or not at all, shows.

    from training.release.reference import reference_answers
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from personae.manifest import ReferenceAnswer
from personae.persona import Persona
from personae.progress import Progress, silent
from personae.prompt import Message
from personae.reference import REFERENCE_TOKENS, reference_prompts
from training.models.convert import quiet_transformers
from training.tune.encode import end_of_turn
from training.tune.lora import load_base


def reference_answers(
    persona: Persona, base_folder: Path, adapter_folder: Path, *, progress: Progress = silent
) -> list[ReferenceAnswer]:
    """One answer a prompt of `personae.reference`; a prompt the model has no word for is left out."""
    from peft import PeftModel

    model, tokenizer = load_base(base_folder)
    with quiet_transformers():
        model = PeftModel.from_pretrained(model, adapter_folder, autocast_adapter_dtype=False)
    model.eval()
    prompts = reference_prompts(persona)
    answers = []
    for number, (name, messages) in enumerate(prompts.items()):
        progress("recording reference answers", number, len(prompts))
        if answer := _answer(model, tokenizer, name, messages):
            answers.append(answer)
    progress("recording reference answers", len(prompts), len(prompts))
    return answers


def _answer(
    model: Any, tokenizer: Any, name: str, messages: Sequence[Message]
) -> ReferenceAnswer | None:
    prompt = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    prompt_ids = tokenizer(prompt, add_special_tokens=False)["input_ids"]
    chosen = _greedy(model, prompt_ids, end=end_of_turn(tokenizer))
    if not chosen:
        return None
    with model.disable_adapter():
        base = _log_probs(model, prompt_ids, chosen)
    return ReferenceAnswer(
        prompt=name,
        tokens=[_text(tokenizer, token) for token in chosen],
        log_probs=_log_probs(model, prompt_ids, chosen),
        base_log_probs=base,
    )


def _greedy(model: Any, prompt_ids: list[int], *, end: int) -> list[int]:
    """The likeliest next tokens, one after the other, up to the end of the turn (left out)."""
    import torch

    chosen: list[int] = []
    cache: Any = None
    ids = torch.tensor([prompt_ids], device=model.device)
    with torch.inference_mode():
        while len(chosen) < REFERENCE_TOKENS:
            found = model(input_ids=ids, past_key_values=cache, use_cache=True)
            cache = found.past_key_values
            token = int(found.logits[0, -1].argmax())
            if token == end:
                break
            chosen.append(token)
            ids = torch.tensor([[token]], device=model.device)
    return chosen


def _log_probs(model: Any, prompt_ids: list[int], chosen: list[int]) -> list[float]:
    """Log-probability of each chosen token after the prompt and the ones before it, in nats."""
    import torch

    ids = torch.tensor([[*prompt_ids, *chosen]], device=model.device)
    with torch.inference_mode():
        logits = model(input_ids=ids, use_cache=False).logits[0, len(prompt_ids) - 1 : -1]
        log_probs = torch.log_softmax(logits.float(), dim=-1)  # (chosen, vocabulary)
        picked = log_probs.gather(1, ids[0, len(prompt_ids) :, None]).squeeze(1)
    return [round(value, 4) for value in picked.tolist()]


def _text(tokenizer: Any, token: int) -> str:
    """A token as vLLM reports it: SentencePiece drops a leading space in decoding, vLLM keeps it."""
    text = str(tokenizer.decode([token]))
    if str(tokenizer.convert_ids_to_tokens(token)).startswith("▁") and not text.startswith(" "):
        text = " " + text
    return text

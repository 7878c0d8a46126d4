"""Does it recite? A few greedy continuations, compared with the text it was trained on.

In: a model in training, held-out prompts, an index of the training text. Out: the longest stretch of words
that was copied. Greedy, so the same weights always give the same figure, and a resumed run sees what the
first one saw.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from training.evaluate.copying import CopyIndex
from training.samples.pairs import Sample
from training.tune.packed import usual_attention
from training.tune.run_folder import TrainSettings

Watch = Callable[[Any], dict[str, float]]


def memorization_watch(
    copies: CopyIndex, tokenizer: Any, held_out: Sequence[Sample], settings: TrainSettings
) -> Watch:
    """A function of the model that gives {"copied_words": …}; {} without probes.

    The prompts are held-out questions, whose passages stand in no training text; every other
    one goes on from the first words of an answer.
    """
    asked = [sample for sample in held_out if sample.task == "ask"] or list(held_out)
    prompts = [
        tokenizer.apply_chat_template(sample.messages, tokenize=False, add_generation_prompt=True)
        + (" ".join(sample.target.split()[:3]) if number % 2 else "")
        for number, sample in enumerate(asked[: settings.probes])
    ]

    def longest(model: Any) -> dict[str, float]:
        texts = [_continue(model, tokenizer, prompt, settings.probe_tokens) for prompt in prompts]
        return {"copied_words": float(max(copies.longest(text).words for text in texts))}

    return longest if prompts else lambda _model: {}


def _continue(model: Any, tokenizer: Any, prompt: str, tokens: int) -> str:
    import torch

    ids = torch.tensor([tokenizer(prompt, add_special_tokens=False)["input_ids"]])
    model.eval()
    with torch.no_grad(), usual_attention(model):
        out = model.generate(
            input_ids=ids.to(model.device),
            attention_mask=torch.ones_like(ids).to(model.device),
            max_new_tokens=tokens,
            do_sample=False,
            use_cache=True,
            pad_token_id=tokenizer.eos_token_id,
            eos_token_id=tokenizer.eos_token_id,
        )
    return str(tokenizer.decode(out[0, ids.shape[1] :], skip_special_tokens=True))

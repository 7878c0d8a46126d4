"""The questions a new version has to answer before people hear it, and what comparing answers means.

Training asks them with transformers and peft and writes the answers into the manifest
(`personae.manifest.Reference`); serving asks them again through the engine (`serving.canary`). Both
take the messages from here, and they need nothing but the persona's file.
"""

from __future__ import annotations

from collections.abc import Sequence

from personae.persona import Persona
from personae.prompt import Message, render_ask, render_rewrite

REFERENCE_TOKENS = 24
"""Length of an answer. Long enough to leave the words that every model would begin with."""


def reference_prompts(persona: Persona) -> dict[str, list[Message]]:
    """{name: messages}. Manifests refer to the names: other words need another name."""
    return {
        "who": render_ask(persona, "Who are you?"),
        "labor": render_ask(persona, "What do you think about work and those who do it?"),
        "rewrite-rules": render_rewrite(
            persona,
            "Big companies are useful. But they have to follow the same rules as everyone else, "
            "and the government should keep an eye on them.",
        ),
    }


def log_prob_differences(
    expected: Sequence[tuple[str, float]],
    found: Sequence[tuple[str, float]],
    candidates: Sequence[dict[str, float]],
) -> list[float]:
    """|Δ log-probability| of the expected tokens, as long as both answers have the same words so far.

    Two greedy answers of one model part where two tokens are nearly as likely, because rounding
    differs; behind that place they can't be compared. The place itself can: the expected token has
    a log-probability there too.

    Args:
        expected: (token, log-probability) of one answer.
        found: the same of the other.
        candidates: of the other, per position: likely tokens and their log-probabilities. A token
            that is not among them is at most as likely as the least of them.
    """
    differences = []
    for (token, log_prob), (other, other_log_prob), likely in zip(
        expected, found, candidates, strict=False
    ):
        if token == other:
            differences.append(abs(log_prob - other_log_prob))
            continue
        there = likely.get(token, min(likely.values(), default=other_log_prob))
        differences.append(abs(log_prob - there))
        break
    return differences

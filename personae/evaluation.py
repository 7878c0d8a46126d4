"""What an evaluation found, as everybody reads it: `evaluation.json`, figures with 95 % bounds.

`training.evaluate` measures and writes it, gates judge it, reports and the console show it. It knows neither
how a figure is measured nor what is good enough.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

EVALUATION = "evaluation.json"
REPORT = "report.html"

FIGURES: dict[str, str] = {
    "attribution_auc": "replies told from held-out text of other authors (area under the ROC curve)",
    "attribution_auc_base": "the same for the base model without any prompt of the persona",
    "attribution_auc_prompted_base": "the same for the base model with the persona's prompt and anchors",
    "attribution_auc_author": "the same for the author's own held-out text",
    "attribution_gain": "attribution_auc above the prompted base's",
    "attribution_gap": "attribution_auc below the author's own",
    "bits_per_byte": "bits per byte of the author's held-out text, asked about its topic",
    "bits_per_byte_base": "the same for the base model",
    "bits_per_byte_drop": "share by which it fell",
    "bits_per_byte_drop_unasked": "the same where the question names no topic",
    "forgetting": "share by which bits per byte on other authors' text rose (negative: fell)",
    "whole_sentences": "share of replies that begin and end like a sentence",
    "rewrite_meaning": "mean cosine of embeddings between a text and its rewrite",
    "rewrite_copy": "mean ROUGE-L (F1) between a text and its rewrite",
    "rewrite_length": "mean length of a rewrite over its text's, in words",
    "rewrite_kept": "share of a text's names and numbers that its rewrite keeps",
    "loops": "share of replies that loop",
    "loops_base": "the same for the prompted base model",
    "tics": "rate of the persona's tics over the corpus's own rate",
    "copied_words": "longest stretch of words of any reply that stands so in the training text",
    "memorized": "share of the replies' 8-word sequences that stand so in the training text",
    "identity": "share of identity questions answered rightly",
    "other_names": "share of identity answers that claim another name",
    "false_identity": "share of questions inside the corpus that are answered with who speaks",
    "grounded": "share of answers with passages whose sentences those passages support",
    "abstention": "share of questions outside the corpus that are declined",
    "false_abstention": "share of questions inside the corpus that are declined",
}
"""Name → what it says. A gate may only ask for one of these."""


class Figure(BaseModel):
    """A measured value with the bounds of its 95 % confidence interval (bootstrap)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    value: float
    low: float
    high: float
    n: int = Field(ge=1)
    """How many replies, texts or questions it rests on."""


class SampleRow(BaseModel):
    """One prompt and what each speaker made of it, for reading side by side."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    task: str
    prompt: str
    author: str = ""
    base: str = ""
    prompted_base: str = ""
    adapter: str


class Evaluation(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    format: int = 1
    persona: str
    base_model: str
    adapter_sha256: str
    """`personae.manifest.content_sha256` of the adapter's files."""
    prompt_fingerprint: str
    held_out_documents: list[str]
    others: list[str]
    """The authors the voice was told from."""
    seed: int
    figures: dict[str, Figure]
    samples: list[SampleRow]
    seconds: float
    created_at: str

"""The results of `personae bench training` for people: a table for docs/benchmarks.md.

In: the object that `--json` prints. Out: the part of the document between two marks, rewritten.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from personae.errors import ConfigError
from personae.files import write_atomic

BEGIN = "<!-- personae bench training: begin (written by the command) -->"
END = "<!-- personae bench training: end -->"

_ROWS = (
    # (key, what it says, target, digits)
    ("tokens_per_second_over_trl", "Tokens a second, ours over SFTTrainer's", "≥ 2", 2),
    ("peak_memory_over_trl", "Peak memory, ours over SFTTrainer's", "< 1", 2),
)
_NAMES = {
    "ours": "ours",
    "ours_other_seed": "ours, another seed",
    "trl": "SFTTrainer as it comes",
    "trl_float32": "SFTTrainer in float32",
    "trl_without_checkpointing": "SFTTrainer, gradient checkpointing off",
}


def table(result: Mapping[str, Any]) -> str:
    """The keys, then every run, as Markdown tables."""
    lines = ["| | key | measured | target |", "|---|---|---|---|"]
    for key, meaning, target, digits in _ROWS:
        lines.append(f"| {meaning} | `{key}` | {result[key]:.{digits}f} | {target} |")
    noise = result["details"]["loss_difference_of_two_seeds"]
    lines += [
        f"| Held-out loss at the end, difference | `loss_difference` | {result['loss_difference']:.3f} | "
        f"about {noise:.3f}, that of two seeds of ours |",
        "",
        "| | tokens a second | peak memory, GB | held-out loss |",
        "|---|---|---|---|",
    ]
    for name, runs in result["details"]["runs"].items():
        for run in runs:
            lines.append(
                f"| {_NAMES[name]} | {run['tokens_per_second']:.0f} | "
                f"{run['peak_memory_bytes'] / 1e9:.2f} | {run['held_out_loss']:.3f} |"
            )
    return "\n".join(lines)


def require_place(document: Path) -> str:
    """The document's text. Asked before anything is measured, too: half an hour is not to be lost.

    Raises:
        ConfigError: it has no part for the report.
    """
    text = document.read_text(encoding="utf-8")
    if BEGIN not in text or END not in text:
        raise ConfigError(
            f"{document} has no place for the report: it needs the lines\n{BEGIN}\n{END}"
        )
    return text


def write_report(result: Mapping[str, Any], document: Path) -> list[Path]:
    """Rewrite the document's part; gives the files written.

    Raises:
        ConfigError: the document has no such part.
    """
    text = require_place(document)
    details = result["details"]
    machine = details["machine"]
    made = ", ".join(f"{name} {version}" for name, version in details["versions"].items())
    parts = [
        BEGIN,
        "",
        f"{details['date']}, {machine['processor']}, {machine['cores']} cores; {details['base_model']}; "
        f"{made}; `{details['command']}`: {details['steps']} steps of {details['batch']} samples.",
        "",
        table(result),
        "",
        END,
    ]
    before, _, rest = text.partition(BEGIN)
    _old, _, after = rest.partition(END)
    write_atomic(document, before + "\n".join(parts) + after)
    return [document]

"""Verdicts on a finished adapter before it is published: how it did in the real engine, and at its gates.

`serving.alive_check` and `training.release.gates` make them, `training.release.publish` asks for them and
the command line shows them; all take the form from here. It knows nothing of how anything is measured.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

LIVE = "live"
"""Name of the row that stands where the comparison with the live version was left out."""


class AliveCheck(BaseModel):
    """One thing that was looked at in the engine."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Literal["tensors", "loaded", "differs", "agrees", "stops"]
    passed: bool
    sentence: str


class AliveVerdict(BaseModel):
    """What became of a check."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    outcome: Literal["passed", "failed", "skipped"]
    """ "skipped": there was no engine of ours to try it in; `sentence` says why."""
    sentence: str
    adapter_sha256: str
    """`personae.manifest.content_sha256` of the adapter's own files."""
    base_model: str
    engine: str = ""
    """For example "vLLM 0.32.0"; empty if none was started."""
    nats_off_reference: float | None = None
    """Mean |Δ log-probability| from transformers and peft; None if it was not compared."""
    checks: list[AliveCheck] = []
    seconds: float = 0.0
    checked_at: str


class GateRow(BaseModel):
    """One gate and how it came out."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    """A field of `personae.persona.Gates`, "alive", or "live"."""
    against: Literal["threshold", "live"]
    value: float | None
    """None: not measured, or no finite number."""
    low: float | None = None
    high: float | None = None
    """95 % bounds of the value."""
    threshold: float | None = None
    at_least: bool = True
    """Whether the value must be at least the threshold; else at most."""
    passed: bool
    sentence: str

    @property
    def title(self) -> str:
        """As failures are listed: "identity", "identity v live"."""
        return f"{self.name} v live" if self.against == "live" and self.name != LIVE else self.name

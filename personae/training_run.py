"""What a training run keeps on disk, as everybody reads it: `runs/<persona>/<key>/`.

plan.json          what is trained, from what; its hash is the folder's name, so the same command
                   finds its own run again, unfinished or done
preflight.json     what was checked before the first step, and what was found
preview.txt        a few samples as the model meets them, with the mask
metrics.jsonl      one line a step and one an evaluation
.lock              held while a process trains it, or publishes it
checkpoint/        A and B in float32, the optimizer and the step: replaced as a whole
best.safetensors   A and B of the best evaluation so far
adapter/           the peft files of the best
result.json        measured figures; written last, its existence means the run is done
evaluation/        what was measured of the finished voice, and a report (`personae.evaluation`)
alive.json         how it did in a real engine (`personae.verdict`)
gates.json         how it came out at its gates when it was last to be published (`personae.verdict`)

`training` writes them; the console shows them. Nothing here reads or writes.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

from pydantic import BaseModel, ConfigDict

from personae.manifest import BaseModelRef

PLAN = "plan.json"
PREFLIGHT = "preflight.json"
PREVIEW = "preview.txt"
RESULT = "result.json"
METRICS = "metrics.jsonl"
LOCK = ".lock"
ADAPTER = "adapter"
CHECKPOINT = "checkpoint"
BEST = "best.safetensors"
EVALUATIONS = "evaluation"
ALIVE = "alive.json"
GATES = "gates.json"


class Plan(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    persona: str
    persona_file_sha256: str
    base_model: BaseModelRef
    prompt_fingerprint: str
    corpus_sha256: str
    dataset_fingerprint: str
    held_out_documents: list[str]
    samples: dict[str, int]
    revisions: list[str] = []
    """Ids of the answers whose revisions are among the samples."""
    settings: dict[str, Any]
    libraries: dict[str, str]

    @property
    def key(self) -> str:
        """Name of the run: it changes with everything that would change the adapter."""
        # The fingerprint of the dataset speaks for the revisions.
        decisive = self.model_dump(exclude={"libraries", "persona_file_sha256", "revisions"})
        return hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()[:12]


class Result(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    metrics: dict[str, float]
    finished_at: str

"""The gateway's wire, fourth part: making personas and running their long work. See `personae.wire` for the
first.

POST   /admin/personas/preview           PersonaDraft → DraftPreview; nothing is written
POST   /admin/personas                   PersonaDraft → PersonaCreated
POST   /admin/personas/card              a file (PNG, JSON, CHARX) → CardDraft; nothing is written
DELETE /admin/personas/{id}              → PersonaRemoved
PUT    /admin/personas/{id}/writing      files (multipart) → Writing
GET, DELETE …/writing                    → Writing; ?name=a/b.txt → Writing
POST   /admin/personas/{id}/sources      one of `[[sources]]` → Writing
POST   /admin/personas/{id}/jobs         JobRequest → Job
GET    /console/api/jobs, …/jobs/{job}   → JobList, Job
GET    /admin/jobs/{job}/log?after=n     → JobLog
DELETE /admin/jobs/{job}                 → Job, stopping
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from personae.persona_draft import PersonaDraft
from personae.wire import WireReply, WireRequest

__all__ = [
    "CardDraft",
    "DraftPreview",
    "DraftProblem",
    "Job",
    "JobKind",
    "JobList",
    "JobLog",
    "JobRequest",
    "JobState",
    "PersonaCreated",
    "PersonaDraft",
    "PersonaRemoved",
    "Refused",
    "Writing",
    "WritingFile",
]

JobKind = Literal["ingest", "index", "prepare", "plan", "train"]
JobState = Literal["running", "stopping", "done", "failed", "stopped"]


class DraftProblem(WireReply):
    field: str
    """Of the draft, such as "rights.owner"; empty where it is about the whole."""
    message: str


class DraftPreview(WireReply):
    """What a draft would become. With `problems` the rest is what could be said nevertheless."""

    problems: list[DraftProblem]
    warnings: list[str]
    id: str
    description: str = ""
    disclosure: str = ""
    refusal: str = ""
    ask_system: str = ""
    rewrite_system: str = ""
    file: str = ""
    """The whole persona.toml."""


class PersonaCreated(WireReply):
    id: str
    folder: str
    warnings: list[str]


class CardDraft(WireReply):
    draft: PersonaDraft
    format: Literal["v1", "v2", "v3"]
    lorebook_entries: int
    warnings: list[str]


class PersonaRemoved(WireReply):
    id: str
    kept_in: str


class WritingFile(WireReply):
    name: str
    """Its path below the persona's folder of writing, with "/" between folders."""
    bytes: int


class Refused(WireReply):
    name: str
    reason: str


class Writing(WireReply):
    """What a persona is made from, after whatever was just changed."""

    persona: str
    files: list[WritingFile]
    bytes: int
    sources: list[dict[str, Any]]
    taken: list[str] = Field([])
    refused: list[Refused] = Field([])
    notes: list[str] = Field([])


class JobRequest(WireRequest):
    """`POST /admin/personas/{id}/jobs`."""

    kind: JobKind
    steps: int | None = Field(None, ge=1, le=1_000_000)
    """Of a training or its plan; None takes the recipe's."""


class Job(WireReply):
    """Long work on a persona, in processes of its own."""

    id: str
    persona: str
    kind: JobKind
    state: JobState
    started_at: str
    ended_at: str | None = None
    last_line: str = ""
    """The newest line of its log."""
    message: str | None = None
    """Why it ended as it did, and what to do."""

    def without_words(self) -> Job:
        """For whoever is not signed in: what a job says may name the server's folders."""
        return self.model_copy(update={"last_line": "", "message": None})


class JobList(WireReply):
    jobs: list[Job]
    """Newest first."""


class JobLog(WireReply):
    job: Job
    text: str
    next: int
    """What to send as `after` for what comes then."""

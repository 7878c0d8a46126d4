"""Every route of the gateway, what it takes and gives, for docs/api.md.

A test compares the list with the routes that a running gateway has, asks each without a key, and sends each
a body that its object does not allow. New routes are added here, one entry each.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel

from personae import console_wire as console
from personae import creation_wire as creation
from personae import feedback_wire as feedback
from personae import wire

Body = type[BaseModel] | str | None
"""A model, a few words where it is no such object, None for nothing."""


@dataclass(frozen=True)
class Route:
    method: Literal["GET", "POST", "PUT", "DELETE"]
    path: str
    says: str
    takes: Body = None
    gives: Body = None

    @property
    def key(self) -> str:
        """Who may: as `serving.access` has it."""
        if self.path.startswith("/admin"):
            return "admin"
        return "API" if self.path.startswith(("/v1", "/console/api")) else "open"


GROUPS: dict[str, list[Route]] = {
    "Asking and rewriting": [
        Route(
            "POST",
            "/v1/ask",
            "A question to a persona; events, or one `Completion` with `stream: false`",
            wire.AskRequest,
            wire.Completion,
        ),
        Route(
            "POST",
            "/v1/rewrite",
            "A text in a persona's voice; likewise",
            wire.RewriteRequest,
            wire.Completion,
        ),
        Route("GET", "/v1/personas", "Who can be asked", None, wire.PersonaList),
    ],
    "With an OpenAI client": [
        Route(
            "GET",
            "/v1/models",
            "Every persona twice: `lincoln`, `lincoln:rewrite`",
            None,
            "OpenAI's list",
        ),
        Route(
            "POST",
            "/v1/chat/completions",
            "The last user message is the question or the text",
            "OpenAI's object",
            "OpenAI's object, with sources in `personae`",
        ),
    ],
    "Feedback": [
        Route(
            "POST",
            "/v1/feedback",
            "What somebody thinks of an answer",
            feedback.FeedbackRequest,
            feedback.FeedbackReceipt,
        ),
        Route(
            "POST",
            "/v1/feedback/forget",
            "Delete all feedback of a person, and all on what they asked",
            feedback.ForgetRequest,
            feedback.FeedbackForgotten,
        ),
        Route(
            "POST",
            "/admin/people/feedback",
            "What forgetting somebody would delete",
            feedback.ForgetRequest,
            feedback.FeedbackOfPerson,
        ),
        Route(
            "POST",
            "/admin/revisions",
            "A better answer, to learn from",
            feedback.RevisionRequest,
            feedback.FeedbackReceipt,
        ),
        Route(
            "GET",
            "/admin/feedback/{persona}",
            "Ratings by version, the latest reasons",
            None,
            feedback.FeedbackSummary,
        ),
        Route(
            "GET",
            "/admin/feedback/{persona}/export",
            "Files to train on: `?format=kto`, `dpo`, `sft` or `revisions`",
            None,
            "JSON Lines",
        ),
    ],
    "Voices": [
        Route("GET", "/admin/adapters", "Every persona's versions", None, wire.AdapterList),
        Route(
            "GET",
            "/admin/adapters/{persona}/history",
            "Who changed the voice, when and why",
            None,
            wire.AdapterHistory,
        ),
        Route(
            "POST",
            "/admin/adapters/{persona}/reload",
            "Let the newest version speak, or the one named",
            wire.AdapterChange,
            wire.AdapterOutcome,
        ),
        Route(
            "POST",
            "/admin/adapters/{persona}/rollback",
            "Let the version before speak",
            wire.AdapterChange,
            wire.AdapterOutcome,
        ),
        Route(
            "POST",
            "/admin/indexes/reload",
            "Take up new indexes now instead of within seconds",
            None,
            "`changed`, and by persona `passages` and `problems`",
        ),
    ],
    "Unanswered questions": [
        Route(
            "GET",
            "/admin/unanswered/{persona}",
            "What people asked that the persona has not written about",
            None,
            wire.UnansweredList,
        ),
        Route(
            "DELETE",
            "/admin/unanswered/{persona}",
            "Forget them",
            None,
            wire.UnansweredCleared,
        ),
    ],
    "The console": [
        Route("GET", "/", "The web console", None, "HTML"),
        Route("GET", "/console/static/{name}", "Its scripts and styles", None, "a file"),
        Route("GET", "/console/session", "Whether you are signed in", None, console.SessionState),
        Route(
            "POST",
            "/console/session",
            "Sign in with the admin key: 204 and a cookie for twelve hours",
            console.SignInRequest,
            None,
        ),
        Route("DELETE", "/console/session", "Sign out: the browser forgets the cookie"),
        Route(
            "GET",
            "/console/api/personas",
            "All personas, with versions and figures",
            None,
            console.PersonaViews,
        ),
        Route(
            "GET",
            "/console/api/personas/{persona}",
            "One, with prompts and history",
            None,
            console.PersonaDetail,
        ),
        Route(
            "GET",
            "/console/api/personas/{persona}/versions/{version}/report",
            "How a version was measured",
            None,
            "HTML, to be shown in a sandbox",
        ),
        Route("GET", "/console/api/runs", "Trainings", None, console.RunList),
        Route(
            "GET",
            "/console/api/runs/{persona}/{run}",
            "One, with series and gates",
            None,
            console.RunDetail,
        ),
        Route(
            "GET",
            "/console/api/runs/{persona}/{run}/report",
            "How it was measured",
            None,
            "HTML, to be shown in a sandbox",
        ),
        Route(
            "GET",
            "/console/api/traffic",
            "What this replica answered, by minute: `?minutes=60`, a day at most",
            None,
            console.Traffic,
        ),
    ],
    "New personas": [
        Route(
            "POST",
            "/admin/personas/preview",
            "What a draft would become, and what is wrong with it; nothing is written",
            creation.PersonaDraft,
            creation.DraftPreview,
        ),
        Route(
            "POST",
            "/admin/personas",
            "Make it; 201, and it answers within seconds",
            creation.PersonaDraft,
            creation.PersonaCreated,
        ),
        Route(
            "POST",
            "/admin/personas/card",
            "A character card as a draft; nothing is written",
            "the file itself, or multipart with it: PNG, JSON or CHARX",
            creation.CardDraft,
        ),
        Route(
            "DELETE",
            "/admin/personas/{persona}",
            "Take away a persona that was made here; its files are kept aside",
            None,
            creation.PersonaRemoved,
        ),
        Route(
            "GET",
            "/admin/personas/{persona}/writing",
            "What it is made from",
            None,
            creation.Writing,
        ),
        Route(
            "PUT",
            "/admin/personas/{persona}/writing",
            "Add files; of a Slack export `?user=` says whose messages",
            "multipart: texts, books, zips, exports",
            creation.Writing,
        ),
        Route(
            "DELETE",
            "/admin/personas/{persona}/writing",
            "Take one away: `?name=essays/one.txt`",
            None,
            creation.Writing,
        ),
        Route(
            "POST",
            "/admin/personas/{persona}/sources",
            "Add a source, such as a site",
            "one of [`[[sources]]`](persona-file.md)",
            creation.Writing,
        ),
    ],
    "Jobs": [
        Route(
            "POST",
            "/admin/personas/{persona}/jobs",
            "Read, index, plan or train; 202",
            creation.JobRequest,
            creation.Job,
        ),
        Route("GET", "/console/api/jobs", "All, or `?persona=ada`", None, creation.JobList),
        Route("GET", "/console/api/jobs/{job}", "One", None, creation.Job),
        Route(
            "GET", "/admin/jobs/{job}/log", "What it says, from `?after=` on", None, creation.JobLog
        ),
        Route(
            "DELETE", "/admin/jobs/{job}", "Stop it; started again, it goes on", None, creation.Job
        ),
    ],
    "Health": [
        Route("GET", "/healthz", "This process lives", None, '`{"status": "alive"}`'),
        Route("GET", "/readyz", "It can answer; 503 while it can't", None, '`{"status": "ready"}`'),
        Route("GET", "/metrics", "Its figures for Prometheus", None, "text"),
    ],
}

EVENTS: Mapping[str, type[BaseModel]] = wire.EVENT_TYPES


def all_routes() -> list[Route]:
    return [route for group in GROUPS.values() for route in group]

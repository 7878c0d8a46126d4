"""The gateway's wire, third part: what the web console asks for. See `personae.wire` for the first.

    POST, DELETE, GET /console/session           SignInRequest → 204 and a cookie; → 204; → SessionState
    GET /console/api/personas, …/{persona}       PersonaViews, PersonaDetail
    GET /console/api/runs, …/{persona}/{run}     RunList, RunDetail
    GET /console/api/traffic?minutes=60          Traffic
    GET …/personas/{persona}/versions/{version}/report, …/runs/{persona}/{run}/report     HTML

Nothing here holds a question, an answer or a person's name, but who changed an adapter: that is told to
those who are signed in.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, SecretStr

from personae.creation_wire import Job
from personae.evaluation import SampleRow
from personae.feedback_wire import FeedbackOfVersion
from personae.verdict import AliveVerdict, GateRow
from personae.wire import (
    AdapterHistoryEntry,
    AdapterVersionInfo,
    PersonaCard,
    WireReply,
    WireRequest,
)

SESSION_COOKIE = "personae_session"
CONSOLE_HEADER = "X-Personae-Console"
"""Sent by the console with every request that changes something: no other site can make a browser send it."""


class SignInRequest(WireRequest):
    """`POST /console/session`."""

    key: SecretStr = Field(max_length=1000)


class SessionState(WireReply):
    """`GET /console/session`."""

    signed_in: bool
    admin_key_set: bool
    """Whether the gateway has an admin key at all; without one nobody can sign in."""
    api_key_needed: bool
    """Whether asking and reading need a key too (PERSONAE_API_KEY), or a session in its place."""


# -- personas --------------------------------------------------------------------------------------


class MeasuredFigure(WireReply):
    """A figure with the bounds of its 95 % confidence interval; None where they are not known."""

    value: float
    low: float | None = None
    high: float | None = None


class VersionView(AdapterVersionInfo):
    report: bool
    """Whether `…/versions/{version}/report` shows how it was measured."""
    metrics: dict[str, MeasuredFigure]


class CorpusView(WireReply):
    documents: int
    words: int
    kinds: list[str]
    """Of its sources, such as "folder"."""
    ingested_at: str


class IndexView(WireReply):
    documents: int
    passages: int
    """In the snapshot on disk; `PersonaCard.passages` are those in use."""
    embedder: str
    built_at: str


class RightsView(WireReply):
    owner: str
    licence: str | None
    statement: str


class PersonaView(PersonaCard):
    """One persona as the list shows it."""

    own: bool
    """Made by `personae new` or in the console: it may be removed there."""
    live: str | None
    previous: str | None
    versions: list[VersionView]
    """Newest first."""
    problem: str | None
    corpus: CorpusView | None
    index: IndexView | None
    rights: RightsView | None
    jobs: list[Job]
    """Newest first."""


class CastProblem(WireReply):
    """A persona file that can't be used; where it was in use before, it still is as it was."""

    persona: str
    """Name of its folder."""
    message: str


class PersonaViews(WireReply):
    """`GET /console/api/personas`."""

    personas: list[PersonaView]
    problems: list[CastProblem]


class SystemPrompts(WireReply):
    ask: str
    rewrite: str


class SamplingOfTasks(WireReply):
    ask: dict[str, float]
    rewrite: dict[str, float]


class PersonaDetail(PersonaView):
    """`GET /console/api/personas/{persona}`."""

    language: str
    mode: str
    refusal: str
    prompts: SystemPrompts
    style_anchors: list[str]
    sampling: SamplingOfTasks
    sources: list[dict[str, Any]]
    """As they stand in the persona file; to those who are not signed in, their kinds and addresses."""
    history: list[AdapterHistoryEntry]
    """Newest first. Who did it, and why, is told to those who are signed in."""


# -- training runs ---------------------------------------------------------------------------------

RunState = Literal["running", "finished", "stopped", "failed"]
"""stopped: the same command goes on with it. failed: its loss is no number any more."""
Points = list[tuple[int, float]]
"""(step, value), in order."""


class RunView(WireReply):
    """A training run as the list shows it."""

    persona: str
    run: str
    state: RunState
    step: int
    steps: int
    """Planned; a run that stopped early has fewer."""
    loss: float | None
    """Of the training, mean of its last steps."""
    held_out_loss: float | None
    """The last one measured."""
    tokens_per_second: float | None
    eta_seconds: float | None
    started_at: str
    """When it was begun, or last taken up."""
    finished_at: str | None
    gate: Literal["passed", "failed"] | None
    """None where nobody has judged it."""
    published: str | None
    """The version that was made of it."""
    job: str | None
    """The job of the console that trains it."""


class RunList(WireReply):
    """`GET /console/api/runs`, the newest first."""

    runs: list[RunView]


class RunSeries(WireReply):
    """For plots; a long series is thinned out."""

    train: Points
    held_out: Points
    bits_per_byte: Points
    memorization: Points
    """Longest stretch of words that a probe copied from the training text."""


class ExplainedFigure(WireReply):
    value: float
    low: float
    high: float
    n: int
    what: str


class RunDetail(RunView):
    """`GET /console/api/runs/{persona}/{run}`."""

    base_model: str
    settings: dict[str, Any]
    samples_by_task: dict[str, int]
    held_out_documents: list[str]
    series: RunSeries
    figures: dict[str, ExplainedFigure] | None
    """None until it was evaluated."""
    gates: list[GateRow] | None
    alive: AliveVerdict | None
    samples: list[SampleRow]
    report: bool


# -- traffic ---------------------------------------------------------------------------------------


class TrafficMinute(WireReply):
    at: str
    requests: int
    errors: int
    """Answers that ended with an error which was no refusal."""
    refused: int
    """Sent away: busy, or not usable at the time."""
    first_token_p50: float | None
    first_token_p95: float | None
    total_p50: float | None
    total_p95: float | None
    queue: int
    """Most people in line at a time."""
    tokens: int
    """Written by the model."""


class TrafficCount(WireReply):
    persona: str
    task: Literal["ask", "rewrite"]
    outcome: str
    count: int


class TrafficTotals(WireReply):
    requests: int
    errors: int
    refused: int
    first_token_p50: float | None
    first_token_p95: float | None
    total_p50: float | None
    total_p95: float | None
    tokens: int
    tokens_per_second: float
    """Over the last whole minute."""
    waiting: int
    """In line now."""
    in_engine: int
    """Being written now."""


class FeedbackCount(FeedbackOfVersion):
    persona: str


class Traffic(WireReply):
    """`GET /console/api/traffic`: what this replica remembers of the last minutes, a day at most."""

    now: str
    minutes: int
    since: str
    """Since when it remembers."""
    buckets: list[TrafficMinute]
    """Every minute, the oldest first."""
    by_persona: list[TrafficCount]
    totals: TrafficTotals
    feedback: list[FeedbackCount]
    """Of all time, by persona and version, of all replicas."""

"""The gateway's wire, second part: what people think of answers. See `personae.wire` for the first.

POST /v1/feedback, /v1/feedback/forget            FeedbackRequest, ForgetRequest
POST /admin/revisions, /admin/people/feedback     RevisionRequest, ForgetRequest: with the admin key
GET  /admin/feedback/{persona}                    FeedbackSummary
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from personae.wire import ShortText, Speaking, Strength, Surface, Turn, WireReply, WireRequest

Answer = Annotated[str, StringConstraints(max_length=200_000)]
Name = Annotated[str, StringConstraints(min_length=1, max_length=200)]
Rating = Literal["up", "down"]
FeedbackFormat = Literal["kto", "dpo", "sft", "revisions"]


class FeedbackRequest(WireRequest):
    """`POST /v1/feedback`: what a person thinks of an answer. One of each person and answer is kept: a later
    one replaces it, and one without a rating takes it back."""

    request_id: Name
    """Of the answer: `Meta.request_id`."""
    persona: str
    task: Literal["ask", "rewrite"]
    adapter_version: ShortText | None = None
    voice: Speaking = "persona"
    """`Meta.voice`. What the base model alone said counts for no version, and nothing is learned from it."""
    base_model: ShortText
    prompt_fingerprint: ShortText = ""
    strength: Strength = "normal"
    """Of a rewrite: its prompt depends on it."""
    quoted: bool = False
    """`Meta.quoted`: no model wrote the answer, so nothing is learned from it."""
    question: Answer
    """The question, or the text that was rewritten."""
    history: list[Turn] = Field([], max_length=40)
    answer: Answer
    passages: list[Annotated[str, StringConstraints(max_length=1000)]] = Field([], max_length=40)
    """`Citation.passage` of every citation, in order."""
    rating: Rating | None = None
    reason: Annotated[str, StringConstraints(max_length=2000)] = ""
    rejected: Answer = ""
    """The answer that this one was another try of."""
    user: Name
    """Who rates: the opaque id of the person, as in `AskRequest`."""
    asked_by: ShortText | None = None
    """Who asked, where that is somebody else: their words go when they are forgotten."""
    surface: Surface = "http"


class RevisionRequest(FeedbackRequest):
    """`POST /admin/revisions`: a better answer by an operator. One of each answer is kept: a later one
    replaces it, and an empty one takes it back."""

    revision: Answer
    actor: ShortText = "unknown"


class FeedbackReceipt(WireReply):
    id: str
    """Empty where something was taken back."""
    replaced: bool
    """Whether there was one before."""


class ForgetRequest(WireRequest):
    """`POST /v1/feedback/forget`: all feedback of a person, and all on what they asked."""

    user: Name
    surface: Surface = "http"


class FeedbackForgotten(WireReply):
    deleted: int


class FeedbackKept(WireReply):
    """Of what a person asked or rated; what somebody else said of it is left out."""

    at: str
    persona: str
    adapter_version: str | None
    question: str
    answer: str
    rating: str = ""
    reason: str = ""
    revision: str = ""


class FeedbackOfPerson(WireReply):
    """`POST /admin/people/feedback`, asked as `ForgetRequest` is: what forgetting would delete."""

    feedback: list[FeedbackKept]


class FeedbackOfVersion(WireReply):
    adapter_version: str | None
    """None: the persona by prompt only; "base": the base model alone, in a comparison."""
    base_model: str
    up: int
    down: int
    revisions: int


class FeedbackReason(WireReply):
    """What somebody said with a rating."""

    at: str
    adapter_version: str | None
    rating: Rating
    reason: str
    question: str
    """Its beginning."""


class FeedbackSummary(WireReply):
    """`GET /admin/feedback/{persona}`: by version, the newest first, and the latest reasons."""

    persona: str
    versions: list[FeedbackOfVersion]
    reasons: list[FeedbackReason]

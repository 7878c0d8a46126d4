"""The gateway's wire: what goes over HTTP between it and every frontend.

Requests and replies are JSON; streams are server-sent events. (What is said about feedback stands in
`personae.feedback_wire`.) A whole stream:

    event: queued                    only while the answer waits in line, as often as that changes
    data: {"position":2,"eta_seconds":7.4}

    event: meta
    data: {"request_id":"6f1c…","persona":"lincoln","display_name":"Abraham Lincoln",
           "disclosure":"An imitation …","adapter_version":"v1","base_model":"smollm2-135m",
           "voice":"persona",
           "citations":[{"number":1,"title":"…","section":"","date":"1862-12-01","url":"https://…",
                         "excerpt":"…","quote":"…"}],
           "notice":null,"quoted":false}

    event: delta
    data: {"text":"We can not"}

    event: done
    data: {"finish_reason":"stop","usage":{"prompt_tokens":312,"completion_tokens":90},
           "timings":{"retrieval_seconds":0.02,"first_token_seconds":0.6,"total_seconds":3.1},
           "provenance":[{"start":0,"end":48,"kind":"paraphrase","citation":1}],
           "checks":{"dropped_markers":0,"unquoted":1,"attributed":1,"dropped_sentences":0},
           "used_citations":[1]}

or, instead of `done` (and possibly instead of everything):

    event: error
    data: {"code":"engine_unavailable","message":"…","retry_after_seconds":20}

Every stream ends with exactly one `done` or `error`. Unknown keys of a request are errors; unknown
keys of a reply are ignored, so that an older frontend can talk to a newer gateway.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterable, AsyncIterator
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from personae.errors import InternalError, RequestError

Surface = Literal["http", "cli", "discord", "slack", "console"]
Strength = Literal["light", "normal", "strong"]
Speaking = Literal["persona", "prompted", "base"]
"""Who answers: "persona" as it is in service; "prompted", the base model under the persona's prompt without
its adapter; "base", the base model asked as anybody would. The last two are there to be compared with."""

ShortText = Annotated[str, StringConstraints(max_length=200)]
IsoDate = Annotated[str, StringConstraints(pattern=r"^\d{4}(-\d{2}(-\d{2})?)?$")]


class WireRequest(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


R = TypeVar("R", bound=WireRequest)

_json_text = json.JSONEncoder(ensure_ascii=False).encode


class WireReply(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class Turn(WireRequest):
    """Something said earlier in the conversation."""

    role: Literal["user", "assistant"]
    content: Annotated[str, StringConstraints(max_length=20_000)]


class AskRequest(WireRequest):
    """`POST /v1/ask`. With `stream` false the reply is one `Completion`."""

    persona: str
    """Its id, as `GET /v1/personas` tells it."""
    question: str
    stream: bool = True
    """Whether the answer comes as events while it is written."""
    history: list[Turn] = Field([], max_length=40)
    """The conversation so far, oldest first; a follow-up question is understood by it."""
    since: IsoDate | None = None
    """Only from writing of this date or later; "1862" means the whole year."""
    until: IsoDate | None = None
    """Only from writing of this date or earlier."""
    source: ShortText | None = None
    """Only from documents whose id or link holds this."""
    adapter_version: ShortText | None = None
    """The version that a conversation began with, for example "v2": it goes on with it as long as that can
    be had; else the live one speaks, and the notice says so."""
    voice: Speaking = "persona"
    """Whether the persona speaks, its prompt without any trained voice, or the base model alone."""
    keep: bool = True
    """False: the gateway keeps nothing of the question, not even among those that nobody could answer."""
    temperature: float | None = Field(None, ge=0.0, le=2.0)
    """In place of the persona's; 0 gives the same answer each time."""
    max_tokens: int | None = Field(None, ge=1, le=8192)
    """In place of the persona's: how long the answer may be."""
    user: ShortText | None = None
    """An opaque id of the person, for limits; never shown, never logged."""
    surface: Surface = "http"
    """Where it was asked."""


class RewriteRequest(WireRequest):
    """`POST /v1/rewrite`. With `stream` false the reply is one `Completion`."""

    persona: str
    text: str
    """What to say in the persona's voice."""
    stream: bool = True
    strength: Strength = "normal"
    """How far the persona's voice may change the text."""
    adapter_version: ShortText | None = None
    voice: Speaking = "persona"
    temperature: float | None = Field(None, ge=0.0, le=2.0)
    max_tokens: int | None = Field(None, ge=1, le=8192)
    user: ShortText | None = None
    surface: Surface = "http"


class Citation(WireReply):
    number: int
    title: str
    section: str = ""
    """The heading it stands under."""
    date: str
    url: str
    excerpt: str
    """How the passage begins."""
    quote: str = ""
    """The sentence of it that is nearest to the question, word for word."""
    passage: str = ""
    """Names the passage, so that feedback can say which were shown."""


class Queued(WireReply):
    """The answer waits in line; nothing is lost by ignoring this."""

    position: int
    """Place in line, the first being 1."""
    eta_seconds: float
    """Predicted seconds until the answer begins."""


class Meta(WireReply):
    request_id: str
    persona: str
    display_name: str
    disclosure: str
    adapter_version: str | None
    """For example "v2"; None when the persona speaks by prompt only."""
    base_model: str
    voice: Speaking = "persona"
    """As it was asked for."""
    prompt_fingerprint: str = ""
    """Of the persona's prompts (`personae.prompt.fingerprint`); empty where the base model alone answers."""
    citations: list[Citation] = []
    notice: str | None = None
    """A sentence for the person about how this answer was made, for example "prompt only"."""
    quoted: bool = False
    """The text is passages of the writing, word for word, and no model wrote it."""


class Delta(WireReply):
    text: str


class Usage(WireReply):
    prompt_tokens: int
    completion_tokens: int


class Timings(WireReply):
    retrieval_seconds: float
    first_token_seconds: float | None
    total_seconds: float


SpanKind = Literal["quote", "paraphrase", "inference"]


class Span(WireReply):
    """A stretch of the answer, by offsets in its final text (code points), and where it comes from."""

    start: int
    end: int
    kind: SpanKind
    """ "quote": word for word in the passage; "paraphrase": the passage supports it; "inference": neither."""
    citation: int | None = None
    """Number of the citation; None for an inference."""


class Checks(WireReply):
    """What was mended in the model's words before they left."""

    dropped_markers: int = 0
    """Markers that named no passage, or one that does not support the sentence."""
    unquoted: int = 0
    """Quotations that no passage holds; they lost their marks."""
    attributed: int = 0
    """Markers put behind sentences that a passage clearly supports."""
    dropped_sentences: int = 0
    """Sentences that a strict persona may not say."""


class Done(WireReply):
    finish_reason: str
    """ "stop", "length", "quoted" where no model answered, or "abstained" where the persona has not written
    about it and says so."""
    usage: Usage
    timings: Timings
    provenance: list[Span] = []
    """In order; what lies between spans is white space, code and markers."""
    checks: Checks | None = None
    """None where no model's words were checked."""
    used_citations: list[int] = []
    """Numbers of the citations that the text leans on; empty where it names none."""


class ErrorEvent(WireReply):
    code: str
    message: str
    retry_after_seconds: float | None = None


Event = Queued | Meta | Delta | Done | ErrorEvent

_EVENT_NAMES: dict[type[Event], str] = {
    Queued: "queued",
    Meta: "meta",
    Delta: "delta",
    Done: "done",
    ErrorEvent: "error",
}
EVENT_TYPES: dict[str, type[Event]] = {name: kind for kind, name in _EVENT_NAMES.items()}


class Completion(WireReply):
    """A whole answer in one piece (`stream: false`)."""

    text: str
    meta: Meta
    done: Done


class PersonaCard(WireReply):
    """One entry of `GET /v1/personas`."""

    id: str
    display_name: str
    description: str
    disclosure: str
    base_model: str
    adapter_version: str | None
    passages: int
    """Indexed passages; 0 means answers carry no citations."""
    notice: str | None
    """Why this persona is less than it could be, and what the operator can do; None if nothing."""
    max_question_characters: int
    max_text_characters: int
    picture: str | None = None
    """An https address of its portrait, for platforms where a persona may speak under its own name."""


class PersonaList(WireReply):
    personas: list[PersonaCard]


class AdapterChange(WireRequest):
    """Body of `POST /admin/adapters/{persona}/reload` and `…/rollback`; every field may be left out."""

    version: ShortText | None = None
    """ "v3" or "3"; None means the newest version in the registry."""
    actor: ShortText = "unknown"
    surface: Surface = "http"
    reason: ShortText = ""


class AdapterOutcome(WireReply):
    """What a reload or rollback did. `live` and `previous` are versions such as "v2"."""

    persona: str
    live: str | None
    previous: str | None
    changed: bool
    message: str


class AdapterVersionInfo(WireReply):
    version: str
    sha8: str
    created_at: str
    base_model: str
    state: Literal["live", "previous", "available", "unusable"]
    gate: str = ""
    """ "passed", "forced: <reason> (failed: a, b)", or "not gated"; empty if its manifest can't be read."""
    problem: str | None = None


class PersonaAdapters(WireReply):
    persona: str
    live: str | None
    """The version that speaks."""
    previous: str | None
    versions: list[AdapterVersionInfo]
    problem: str | None = None
    """Why it is not the one that should."""


class AdapterList(WireReply):
    """`GET /admin/adapters`."""

    personas: list[PersonaAdapters]


class AdapterHistoryEntry(WireReply):
    """One change that was asked for, and what came of it."""

    at: str
    action: str
    """ "adopt", "reload", "rollback", "fallback" or "restore"; see `serving.ledger`."""
    before: str | None
    after: str | None
    actor: str
    surface: str
    reason: str
    outcome: str
    """ "done", "unchanged" or "refused"."""
    message: str
    gate: str = ""
    """Of the version after it, as far as it is in the registry; see `AdapterVersionInfo`."""


class AdapterHistory(WireReply):
    """`GET /admin/adapters/{persona}/history`, newest first."""

    persona: str
    entries: list[AdapterHistoryEntry]


class UnansweredQuestion(WireReply):
    """Something people asked that the persona has not written about."""

    question: str
    times: int
    first_at: str
    last_at: str
    relevance: float
    """How likely it was that the writing covers it, in [0, 1]."""


class UnansweredList(WireReply):
    """`GET /admin/unanswered/{persona}`, the one asked last first."""

    persona: str
    questions: list[UnansweredQuestion]


class UnansweredCleared(WireReply):
    """`DELETE /admin/unanswered/{persona}`."""

    persona: str
    deleted: int


def parse_request(kind: type[R], body: bytes) -> R:
    """A request object from a JSON body.

    Raises:
        RequestError: one sentence naming every field that is wrong.
    """
    try:
        return kind.model_validate_json(body or b"{}")
    except ValidationError as err:
        problems = []
        for problem in err.errors():
            place = ".".join(str(part) for part in problem["loc"])
            what = "unknown field" if problem["type"] == "extra_forbidden" else problem["msg"]
            problems.append(f"{place}: {what}" if place else str(what))
        raise RequestError(f"The request is not usable: {'; '.join(problems)}.") from err


def encode_event(event: Event) -> bytes:
    """One server-sent event, ready for the socket."""
    if type(event) is Delta:  # one for every token: pydantic's way, only shorter
        return f'event: delta\ndata: {{"text":{_json_text(event.text)}}}\n\n'.encode(
            "utf-8", "replace"
        )
    name = _EVENT_NAMES[type(event)]
    return f"event: {name}\ndata: {event.model_dump_json()}\n\n".encode()


def decode_event(name: str, data: str) -> Event | None:
    """The event of a name and its data; None for a name this version does not know.

    Raises:
        InternalError: the data is not what the name promises.
    """
    kind = EVENT_TYPES.get(name)
    if kind is None:
        return None
    try:
        return kind.model_validate_json(data)
    except ValidationError as err:
        raise InternalError(f"The gateway sent a {name} event that can't be read.") from err


async def sse_messages(lines: AsyncIterable[bytes]) -> AsyncIterator[tuple[str, str]]:
    """(event name, data) pairs from the lines of a server-sent event stream.

    Follows the WHATWG rules that matter between servers: comments and unknown fields are skipped,
    data lines join with a newline, a message without an event name is called "message".
    """
    name = ""
    data: list[str] = []
    async for raw in lines:
        line = raw.decode("utf-8").rstrip("\r\n")
        if not line:
            if data:
                yield name or "message", "\n".join(data)
            name, data = "", []
        elif line.startswith(":"):
            continue
        else:
            field, _, value = line.partition(":")
            value = value.removeprefix(" ")
            if field == "event":
                name = value
            elif field == "data":
                data.append(value)


def error_body(error: dict[str, Any]) -> str:
    """The JSON body of a failed request."""
    return json.dumps({"error": error})

"""The gateway's wire: what goes over HTTP between it and every frontend.

Requests and replies are JSON; streams are server-sent events. A whole stream:

    event: queued                    only while the answer waits in line, as often as that changes
    data: {"position":2,"eta_seconds":7.4}

    event: meta
    data: {"request_id":"6f1c…","persona":"lincoln","display_name":"Abraham Lincoln",
           "disclosure":"An imitation …","adapter_version":"v1","base_model":"smollm2-135m",
           "citations":[{"number":1,"title":"…","date":"1862-12-01","url":"https://…","excerpt":"…"}],
           "notice":null,"quoted":false}

    event: delta
    data: {"text":"We can not"}

    event: done
    data: {"finish_reason":"stop","usage":{"prompt_tokens":312,"completion_tokens":90},
           "timings":{"retrieval_seconds":0.02,"first_token_seconds":0.6,"total_seconds":3.1}}

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

Surface = Literal["http", "cli", "discord", "slack"]

ShortText = Annotated[str, StringConstraints(max_length=200)]


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


R = TypeVar("R", bound=_Request)

_json_text = json.JSONEncoder(ensure_ascii=False).encode


class _Reply(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class AskRequest(_Request):
    """`POST /v1/ask`. With `stream` false the reply is one `Completion`."""

    persona: str
    question: str
    stream: bool = True
    temperature: float | None = Field(None, ge=0.0, le=2.0)
    max_tokens: int | None = Field(None, ge=1, le=8192)
    user: ShortText | None = None
    """An opaque id of the person, for limits; never shown, never logged."""
    surface: Surface = "http"


class RewriteRequest(_Request):
    """`POST /v1/rewrite`. With `stream` false the reply is one `Completion`."""

    persona: str
    text: str
    stream: bool = True
    temperature: float | None = Field(None, ge=0.0, le=2.0)
    max_tokens: int | None = Field(None, ge=1, le=8192)
    user: ShortText | None = None
    surface: Surface = "http"


class Citation(_Reply):
    number: int
    title: str
    date: str
    url: str
    excerpt: str


class Queued(_Reply):
    """The answer waits in line; nothing is lost by ignoring this."""

    position: int
    """Place in line, the first being 1."""
    eta_seconds: float
    """Predicted seconds until the answer begins."""


class Meta(_Reply):
    request_id: str
    persona: str
    display_name: str
    disclosure: str
    adapter_version: str | None
    """For example "v2"; None when the persona speaks by prompt only."""
    base_model: str
    citations: list[Citation] = []
    notice: str | None = None
    """A sentence for the person about how this answer was made, for example "prompt only"."""
    quoted: bool = False
    """The text is passages of the writing, word for word, and no model wrote it."""


class Delta(_Reply):
    text: str


class Usage(_Reply):
    prompt_tokens: int
    completion_tokens: int


class Timings(_Reply):
    retrieval_seconds: float
    first_token_seconds: float | None
    total_seconds: float


class Done(_Reply):
    finish_reason: str
    """ "stop", "length", or "quoted" where no model answered."""
    usage: Usage
    timings: Timings


class ErrorEvent(_Reply):
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
_EVENT_TYPES: dict[str, type[Event]] = {name: kind for kind, name in _EVENT_NAMES.items()}


class Completion(_Reply):
    """A whole answer in one piece (`stream: false`)."""

    text: str
    meta: Meta
    done: Done


class PersonaCard(_Reply):
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


class PersonaList(_Reply):
    personas: list[PersonaCard]


class AdapterChange(_Request):
    """Body of `POST /admin/adapters/{persona}/reload` and `…/rollback`; every field may be left out."""

    version: ShortText | None = None
    """ "v3" or "3"; None means the newest version in the registry."""
    actor: ShortText = "unknown"
    surface: Surface = "http"
    reason: ShortText = ""


class AdapterOutcome(_Reply):
    """What a reload or rollback did. `live` and `previous` are versions such as "v2"."""

    persona: str
    live: str | None
    previous: str | None
    changed: bool
    message: str


class AdapterVersionInfo(_Reply):
    version: str
    sha8: str
    created_at: str
    base_model: str
    state: Literal["live", "previous", "available", "unusable"]
    problem: str | None = None


class PersonaAdapters(_Reply):
    persona: str
    live: str | None
    """The version that speaks."""
    previous: str | None
    versions: list[AdapterVersionInfo]
    problem: str | None = None
    """Why it is not the one that should."""


class AdapterList(_Reply):
    """`GET /admin/adapters`."""

    personas: list[PersonaAdapters]


class AdapterHistoryEntry(_Reply):
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


class AdapterHistory(_Reply):
    """`GET /admin/adapters/{persona}/history`, newest first."""

    persona: str
    entries: list[AdapterHistoryEntry]


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
    kind = _EVENT_TYPES.get(name)
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

"""HTTP to the gateway: requests out, wire objects and `PersonaeError`s back.

One `GatewayClient` a process; it owns its session and closes it. Where the gateway has several addresses
(replicas), one that can't be reached is passed over (`gateways`, `answer_stream`). It knows nothing of chat
platforms, and no foreign exception leaves it.
"""

from __future__ import annotations

import contextlib
import json
import logging
import urllib.parse
from collections.abc import AsyncGenerator, AsyncIterator
from types import TracebackType
from typing import Any, Self, TypeVar

import aiohttp
from pydantic import BaseModel, ValidationError

from bot.core.answer_stream import Anew, Lost, told
from bot.core.gateways import Gateways, addresses
from personae.errors import (
    DeadlineExceeded,
    EngineUnavailable,
    GatewayRestarting,
    GatewayUnreachable,
    InternalError,
    PersonaeError,
    from_wire,
)
from personae.feedback_wire import (
    FeedbackForgotten,
    FeedbackFormat,
    FeedbackOfPerson,
    FeedbackReceipt,
    FeedbackRequest,
    FeedbackSummary,
    ForgetRequest,
    RevisionRequest,
)
from personae.wire import (
    AdapterChange,
    AdapterHistory,
    AdapterList,
    AdapterOutcome,
    AskRequest,
    Done,
    ErrorEvent,
    Event,
    PersonaList,
    RewriteRequest,
    UnansweredCleared,
    UnansweredList,
    decode_event,
    sse_messages,
)

log = logging.getLogger(__name__)

_CONNECT_SECONDS = 5.0
_ADMIN_SECONDS = 120.0
_LIST_SECONDS = 10.0
RESTART_SECONDS = 60.0
"""How long a bot waits for a gateway that went away amid an answer."""
_ANOTHER_MAY = (EngineUnavailable.code, GatewayRestarting.code)
"""How an answer ends at one gateway that another may still give."""

ReplyModel = TypeVar("ReplyModel", bound=BaseModel)


class GatewayClient:
    """Asynchronous client of one gateway, or of its replicas.

    Args:
        url: for example "http://127.0.0.1:8420", or several with commas between them.
        api_key: sent with `/v1` requests when the gateway asks for one.
        admin_key: sent with `/admin` requests.
        answer_seconds: how long a stream may stay silent before it counts as lost.
        restart_seconds: how long an answer that broke off waits for a gateway that takes it up again.
    """

    def __init__(
        self,
        url: str,
        *,
        api_key: str | None = None,
        admin_key: str | None = None,
        answer_seconds: float = 120.0,
        restart_seconds: float = 0.0,
    ) -> None:
        self._gateways = Gateways(addresses(url))
        self._restart_seconds = restart_seconds
        self._watching = contextlib.AsyncExitStack()
        self._api_key = api_key
        self._admin_key = admin_key
        self._answer_seconds = answer_seconds
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        # The gateway has the one queue, in which people see their place; aiohttp's own limit of 100
        # connections would be another before it, and what is asked besides (ratings, /readyz) wait there too.
        self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
        await self._watching.enter_async_context(self._gateways.watched(self._session))
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._watching.aclose()
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def personas(self) -> PersonaList:
        return await self._json(PersonaList, "GET", "/v1/personas", _LIST_SECONDS, self._api_key)

    async def adapters(self) -> AdapterList:
        return await self._json(
            AdapterList, "GET", "/admin/adapters", _LIST_SECONDS, self._admin_key
        )

    async def history(self, persona: str) -> AdapterHistory:
        """The latest changes of a persona's adapter, newest first."""
        path = f"/admin/adapters/{_quoted(persona)}/history"
        return await self._json(AdapterHistory, "GET", path, _LIST_SECONDS, self._admin_key)

    async def reload(self, persona: str, change: AdapterChange) -> AdapterOutcome:
        """Move a persona's live pointer to a version (the newest if the change names none)."""
        return await self._change(persona, "reload", change)

    async def rollback(self, persona: str, change: AdapterChange) -> AdapterOutcome:
        """Move a persona's live pointer back to the version before."""
        return await self._change(persona, "rollback", change)

    async def unanswered(self, persona: str) -> UnansweredList:
        """Questions that a persona has not written about, the one asked last first."""
        path = f"/admin/unanswered/{_quoted(persona)}"
        return await self._json(UnansweredList, "GET", path, _LIST_SECONDS, self._admin_key)

    async def clear_unanswered(self, persona: str) -> UnansweredCleared:
        """Forget them."""
        path = f"/admin/unanswered/{_quoted(persona)}"
        return await self._json(UnansweredCleared, "DELETE", path, _LIST_SECONDS, self._admin_key)

    async def feedback(self, request: FeedbackRequest) -> FeedbackReceipt:
        """Keep what a person thinks of an answer; without a rating, take it back."""
        body = request.model_dump(mode="json")
        return await self._json(
            FeedbackReceipt, "POST", "/v1/feedback", _LIST_SECONDS, self._api_key, body
        )

    async def revise(self, request: RevisionRequest) -> FeedbackReceipt:
        """Keep an operator's better answer; an empty one takes it back."""
        body = request.model_dump(mode="json")
        return await self._json(
            FeedbackReceipt, "POST", "/admin/revisions", _LIST_SECONDS, self._admin_key, body
        )

    async def forget_feedback(self, request: ForgetRequest) -> FeedbackForgotten:
        """Delete all feedback of a person, and all on what they asked."""
        path, body = "/v1/feedback/forget", request.model_dump(mode="json")
        return await self._json(
            FeedbackForgotten, "POST", path, _ADMIN_SECONDS, self._api_key, body
        )

    async def feedback_of(self, request: ForgetRequest) -> FeedbackOfPerson:
        """All feedback of a person, and all on what they asked."""
        path, body = "/admin/people/feedback", request.model_dump(mode="json")
        return await self._json(
            FeedbackOfPerson, "POST", path, _LIST_SECONDS, self._admin_key, body
        )

    async def feedback_summary(self, persona: str) -> FeedbackSummary:
        """Ratings of each version of a persona, and the latest reasons."""
        path = f"/admin/feedback/{_quoted(persona)}"
        return await self._json(FeedbackSummary, "GET", path, _LIST_SECONDS, self._admin_key)

    async def export_feedback(self, persona: str, format_: FeedbackFormat) -> bytes:
        """JSON Lines as TRL takes them; empty where there is nothing to learn from."""
        path = f"/admin/feedback/{_quoted(persona)}/export?format={format_}"
        return await self._body("GET", path, _ADMIN_SECONDS, self._admin_key)

    async def stream(
        self, request: AskRequest | RewriteRequest
    ) -> AsyncGenerator[Event | Anew, None]:
        """The events of one answer, ending with `Done` or `ErrorEvent`.

        A stream that breaks off, or stays silent too long, goes on at another gateway, or ends with an
        `ErrorEvent` of ours: whoever iterates always sees an end. `Anew` comes only where there are several
        gateways or `restart_seconds`. Whoever may stop early iterates inside `contextlib.aclosing(…)`, so
        that the gateway learns of it at once.

        Raises:
            PersonaeError: the gateway refused the request before a stream began.
        """
        events = told(
            lambda address: self._answer(address, request),
            self._gateways,
            person=request.user,
            restart_seconds=self._restart_seconds,
        )
        async with contextlib.aclosing(events):
            async for event in events:
                yield event

    async def _answer(
        self, address: str, request: AskRequest | RewriteRequest
    ) -> AsyncGenerator[Event, None]:
        """The answer of the gateway at one address; see `answer_stream.Ask`."""
        path = "/v1/ask" if isinstance(request, AskRequest) else "/v1/rewrite"
        timeout = aiohttp.ClientTimeout(
            total=None, sock_connect=_CONNECT_SECONDS, sock_read=self._answer_seconds
        )
        body = request.model_dump(mode="json")
        alone = len(self._gateways.addresses) == 1
        try:
            async with self._request(
                address, "POST", path, timeout, self._api_key, body
            ) as response:
                try:
                    async for name, data in sse_messages(response.content):
                        event = decode_event(name, data)
                        if event is None:
                            continue
                        if isinstance(event, ErrorEvent) and event.code in _ANOTHER_MAY[alone:]:
                            raise Lost(from_wire(event.model_dump()))
                        yield event
                        if isinstance(event, Done | ErrorEvent):
                            return
                except TimeoutError:
                    if alone:  # it is there, and asked again it would be as silent
                        yield ErrorEvent(**_broke_off().to_wire())
                        return
                except (aiohttp.ClientError, ValueError):
                    pass  # as every other early end
                raise Lost(_broke_off())
        except (GatewayUnreachable, DeadlineExceeded) as err:
            if _was_sent(err) and not (alone and isinstance(err, DeadlineExceeded)):
                raise Lost(err) from err
            raise

    async def _change(self, persona: str, verb: str, change: AdapterChange) -> AdapterOutcome:
        return await self._json(
            AdapterOutcome,
            "POST",
            f"/admin/adapters/{_quoted(persona)}/{verb}",
            _ADMIN_SECONDS,
            self._admin_key,
            change.model_dump(mode="json"),
            once=True,
        )

    async def _json(
        self,
        kind: type[ReplyModel],
        method: str,
        path: str,
        seconds: float,
        key: str | None,
        body: dict[str, Any] | None = None,
        *,
        once: bool = False,
    ) -> ReplyModel:
        read = await self._body(method, path, seconds, key, body, once=once)
        try:
            return kind.model_validate_json(read)
        except ValidationError as err:
            raise InternalError(f"The gateway's reply to {path} can't be read.") from err

    async def _body(
        self,
        method: str,
        path: str,
        seconds: float,
        key: str | None,
        body: dict[str, Any] | None = None,
        *,
        once: bool = False,
    ) -> bytes:
        """A reply, of the first gateway that gives one.

        Args:
            once: a gateway that has the request may have done it, though it went away before it said so:
                then no other is asked.
        """
        timeout = aiohttp.ClientTimeout(total=seconds, sock_connect=_CONNECT_SECONDS)
        failure: PersonaeError | None = None
        for address in self._gateways.in_order():
            try:
                async with self._request(address, method, path, timeout, key, body) as response:
                    return await response.read()
            except (EngineUnavailable, DeadlineExceeded) as err:
                failure = err
                self._gateways.failed(address)
                if once and _was_sent(err):
                    break
        assert failure is not None
        raise failure

    @contextlib.asynccontextmanager
    async def _request(
        self,
        address: str,
        method: str,
        path: str,
        timeout: aiohttp.ClientTimeout,
        key: str | None,
        body: dict[str, Any] | None = None,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """One request to one gateway, whose failures are all `PersonaeError`s."""
        if self._session is None:
            raise RuntimeError("GatewayClient is used outside its `async with`")
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        try:
            async with self._session.request(
                method, address + path, json=body, headers=headers, timeout=timeout
            ) as response:
                if response.status >= 400:
                    raise from_wire(_error_of(response.status, await response.read()))
                yield response
        except (aiohttp.ClientError, TimeoutError) as err:
            connected = not isinstance(err, aiohttp.ConnectionTimeoutError)
            if isinstance(err, TimeoutError) and connected:
                raise DeadlineExceeded(
                    "The personae gateway did not answer in time.",
                    retry_after_seconds=60,
                ) from err
            # The address is the operator's business: it is in the log, not in the sentence.
            log.warning("the gateway at %s can't be reached (%s)", address, type(err).__name__)
            raise _unreachable() from err


def _quoted(persona: str) -> str:
    """A name as one segment of a path, whatever somebody typed."""
    return urllib.parse.quote(persona, safe="")


def _unreachable() -> GatewayUnreachable:
    return GatewayUnreachable(
        "The personae gateway can't be reached at the moment.", retry_after_seconds=60
    )


def _broke_off() -> EngineUnavailable:
    return EngineUnavailable(
        "The answer broke off: the connection to the model was lost.", retry_after_seconds=20
    )


def _was_sent(err: PersonaeError) -> bool:
    """Whether the gateway may have had the request when the connection failed."""
    never = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError)
    return err.__cause__ is not None and not isinstance(err.__cause__, never)


def _error_of(status: int, body: bytes) -> dict[str, Any]:
    """The wire error in a failed reply, or one made from the status of a foreign server."""
    with contextlib.suppress(ValueError):
        parsed = json.loads(body)
        if isinstance(parsed, dict) and isinstance(parsed.get("error"), dict):
            return parsed["error"]
    if status in (502, 503, 504):  # of a proxy whose gateway is away
        return _unreachable().to_wire()
    return {"code": "internal_error", "message": f"The gateway answered with HTTP status {status}."}

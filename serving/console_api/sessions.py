"""Signing in to the web console: the admin key once, then a cookie.

    POST   /console/session {"key": "…"}   204 and the cookie; 401: a wrong key; 429: ten wrong in a minute
    GET    /console/session                console_wire.SessionState
    DELETE /console/session                204; the browser forgets the cookie

The cookie holds when it ends and an HMAC over that with the admin key, so nothing is kept here and every
replica takes it: "1764500000.5f1c…". A new admin key ends all sessions; a cookie that was copied is good
until its time. A browser sends cookies by itself, so a request that changes something counts as signed in
only when it carries the console's header, which no form and no other site can send, and says that it comes
from this origin.
"""

from __future__ import annotations

import hashlib
import hmac
import time
import urllib.parse
from collections import OrderedDict, deque
from collections.abc import Callable

from aiohttp import web
from pydantic import SecretStr

from personae.console_wire import CONSOLE_HEADER, SESSION_COOKIE, SessionState, SignInRequest
from personae.errors import Busy, Unauthorized
from personae.wire import parse_request

SESSION_SECONDS = 12 * 3600
MOST_WRONG = 10
"""Wrong keys from one address in a minute."""

_MINUTE = 60.0
_MOST_ADDRESSES = 1000
_PURPOSE = b"personae console session until "
NO_ADMIN_KEY = "This gateway has no admin key. Set PERSONAE_ADMIN_KEY and start it again."


class Sessions:
    """
    Args:
        clock: seconds since the epoch; sessions end by it, on every replica alike.
    """

    def __init__(
        self,
        *,
        admin_key: SecretStr | None,
        api_key: SecretStr | None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._admin_key = admin_key
        self._api_key_needed = api_key is not None
        self._clock = clock
        self._wrong: OrderedDict[str, deque[float]] = OrderedDict()
        """When wrong keys came, by address."""

    def routes(self) -> list[web.RouteDef]:
        return [
            web.post("/console/session", self._sign_in),
            web.get("/console/session", self._state),
            web.delete("/console/session", self._sign_out),
        ]

    def signed_in(self, request: web.Request) -> bool:
        """Whether a request may do what the admin key may, by its cookie."""
        if not self._is_valid(request.cookies.get(SESSION_COOKIE, "")):
            return False
        return request.method in ("GET", "HEAD") or _from_the_console(request)

    async def _state(self, request: web.Request) -> web.Response:
        state = SessionState(
            signed_in=self.signed_in(request),
            admin_key_set=self._admin_key is not None,
            api_key_needed=self._api_key_needed,
        )
        return web.json_response(
            text=state.model_dump_json(), headers={"Cache-Control": "no-store"}
        )

    async def _sign_in(self, request: web.Request) -> web.Response:
        key = parse_request(SignInRequest, await request.read()).key.get_secret_value()
        if self._admin_key is None:
            raise Unauthorized(NO_ADMIN_KEY)
        address = request.remote or ""
        self._require_few_wrong(address)
        if not _same(key.strip(), self._admin_key.get_secret_value()):
            self._note_wrong(address)
            raise Unauthorized(
                "That is not the admin key. It is PERSONAE_ADMIN_KEY of the gateway, or stands in the file "
                "admin.key of its home (var/admin.key after `make run`)."
            )
        response = web.Response(status=204)
        response.set_cookie(
            SESSION_COOKIE,
            self._token(int(self._clock()) + SESSION_SECONDS),
            max_age=SESSION_SECONDS,
            httponly=True,
            samesite="Strict",
            secure=_by_https(request),
        )
        return response

    async def _sign_out(self, request: web.Request) -> web.Response:
        response = web.Response(status=204)
        response.del_cookie(
            SESSION_COOKIE, httponly=True, samesite="Strict", secure=_by_https(request)
        )
        return response

    # -- the token ---------------------------------------------------------------------------------

    def _token(self, until: int) -> str:
        assert self._admin_key is not None
        key = self._admin_key.get_secret_value().encode()
        mark = hmac.new(key, _PURPOSE + str(until).encode(), hashlib.sha256)
        return f"{until}.{mark.hexdigest()}"

    def _is_valid(self, token: str) -> bool:
        until, _, _mark = token.partition(".")
        if self._admin_key is None or not (until.isascii() and until.isdigit() and len(until) < 12):
            return False
        return _same(token, self._token(int(until))) and self._clock() < int(until)

    # -- wrong keys --------------------------------------------------------------------------------

    def _require_few_wrong(self, address: str) -> None:
        """Raises Busy, with a time to retry: after so many wrong keys not even the right one counts."""
        times, now = self._wrong.get(address, deque()), self._clock()
        while times and now - times[0] >= _MINUTE:
            times.popleft()
        if len(times) >= MOST_WRONG:
            raise Busy(
                "Too many wrong keys. Wait a minute, then sign in with the admin key.",
                retry_after_seconds=max(1.0, _MINUTE - (now - times[0])),
            )

    def _note_wrong(self, address: str) -> None:
        self._wrong.setdefault(address, deque()).append(self._clock())
        self._wrong.move_to_end(address)
        while len(self._wrong) > _MOST_ADDRESSES:
            self._wrong.popitem(last=False)


def _same(told: str, wanted: str) -> bool:
    """Compared in a time that tells nothing."""
    return hmac.compare_digest(told.encode("utf-8", "replace"), wanted.encode())


def _from_the_console(request: web.Request) -> bool:
    """Whether a page of this gateway sent it, by what a browser says and no page can change."""
    if CONSOLE_HEADER not in request.headers:
        return False
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        return site == "same-origin"
    origin = urllib.parse.urlsplit(request.headers.get("Origin", ""))
    return bool(origin.netloc) and origin.netloc == request.host


def _by_https(request: web.Request) -> bool:
    return request.secure or request.headers.get("X-Forwarded-Proto", "").lower() == "https"

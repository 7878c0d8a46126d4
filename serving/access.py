"""Who may do what, by the path: `/admin` needs the admin key, `/v1` and `/console/api` the API key if there
is one.

A key comes as `Authorization: Bearer <key>`; somebody signed in to the console needs neither. The rest is
open: health, metrics, the console's own page and its sign-in. A page of another site may have a browser do
nothing here, not even what is open to everybody: it is not the visitor who wants it. Nor may one that gives
our address to a name of its own (DNS rebinding), which to the browser is then one site with us: where no key
is asked for, only names that nobody can register are answered, and those that the operator lists.
"""

from __future__ import annotations

import hmac
import ipaddress
import urllib.parse
from collections.abc import Collection

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware
from pydantic import SecretStr

from personae.errors import Unauthorized
from serving.console_api.sessions import NO_ADMIN_KEY, Sessions

_ADMIN = ("/admin",)
_READING = ("/v1", "/console/api")
_NOT_IN_PUBLIC_DNS = ("localhost", "local", "internal", "lan", "home.arpa", "svc", "test")
"""RFC 2606, 6761, 6762, 8375, ICANN's "internal"; and "svc", Kubernetes' short form of a service's name."""


def keys(
    *,
    admin_key: SecretStr | None,
    api_key: SecretStr | None,
    sessions: Sessions,
    hosts: Collection[str] = (),
) -> Middleware:
    """The middleware that asks for them. Without an admin key every admin request is refused.

    Args:
        hosts: public names of this gateway, which are answered without an API key too.
    """

    listed = {host.lower().rstrip(".") for host in hosts}

    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        known = [key for key in (admin_key, api_key) if key is not None]
        if _is_of_another_site(request) and not any(_bears(request, key) for key in known):
            raise Unauthorized(
                "A page of another site asked for this, so it was not done. Use this gateway's own page, or "
                "a key. (Behind a proxy? It has to pass `Host` on as it came.)"
            )
        if request.path.startswith(_ADMIN):
            if admin_key is None:
                raise Unauthorized(NO_ADMIN_KEY)
            if not (_bears(request, admin_key) or sessions.signed_in(request)):
                raise Unauthorized(
                    "This needs the admin key: send it as `Authorization: Bearer <key>`. "
                    "It is PERSONAE_ADMIN_KEY of the gateway."
                )
        elif request.path.startswith(_READING) and not sessions.signed_in(request):
            if api_key is None:
                if not any(_bears(request, key) for key in known):
                    _check_name(request, listed)
            elif not _bears(request, api_key):
                raise Unauthorized(
                    "This gateway asks for an API key: send it as `Authorization: Bearer <key>`. "
                    "It is PERSONAE_API_KEY of the gateway."
                )
        return await handler(request)

    return check


def _is_of_another_site(request: web.Request) -> bool:
    """Whether a browser says so, of a request that may change something. Programs say nothing of it."""
    if request.method in ("GET", "HEAD"):
        return False
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        return site in ("cross-site", "same-site")
    # Browsers leave it out where neither https nor loopback is spoken.
    origin = request.headers.get("Origin")
    return origin is not None and urllib.parse.urlsplit(origin).netloc != request.host


def _check_name(request: web.Request, hosts: Collection[str]) -> None:
    """Raises:
    Unauthorized: the name that we were called by may be anybody's, and is not among `hosts`.
    """
    try:
        name = (urllib.parse.urlsplit(f"//{request.host}").hostname or "").rstrip(".")
    except ValueError:
        name = ""
    if not (_cannot_be_registered(name) or name in hosts):
        raise Unauthorized(
            f"This gateway has no API key, and so does not answer to the public name {name[:80]}. "
            'Set PERSONAE_API_KEY, or list the name in personae.toml: [gateway] hosts = ["…"].'
        )


def _cannot_be_registered(name: str) -> bool:
    """Whether no stranger can have public DNS give this name an address."""
    try:
        ipaddress.ip_address(name.partition("%")[0])
    except ValueError:
        return "." not in name or name.endswith(tuple(f".{zone}" for zone in _NOT_IN_PUBLIC_DNS))
    return True


def _bears(request: web.Request, key: SecretStr) -> bool:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    wanted = key.get_secret_value().encode()
    return scheme.lower() == "bearer" and hmac.compare_digest(token.strip().encode(), wanted)

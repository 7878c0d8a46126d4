"""What every request of the gateway passes through: it gets an id, and its exceptions become replies.

    {"error": {"code": "unknown_persona", "message": "There is no persona …", "retry_after_seconds": null}}

Keys are `serving.access`'s business.
"""

from __future__ import annotations

import logging

from aiohttp import web
from aiohttp.typedefs import Handler

from personae.errors import InternalError, PersonaeError, RequestError, Unauthorized, UnknownRoute
from personae.logs import current_request, request_id_from
from serving.answer_run import Origin

log = logging.getLogger(__name__)

_REQUEST_ID = web.RequestKey("request_id", str)


def origin_of(request: web.Request) -> Origin:
    """The request's id and the caller's trace."""
    return Origin(request_id=request[_REQUEST_ID], trace_headers=request.headers)


def error_response(error: PersonaeError) -> web.Response:
    headers = {}
    if error.retry_after_seconds is not None:
        headers["Retry-After"] = str(max(1, round(error.retry_after_seconds)))
    if isinstance(error, Unauthorized):
        headers["WWW-Authenticate"] = "Bearer"
    return web.json_response({"error": error.to_wire()}, status=error.http_status, headers=headers)


@web.middleware
async def named(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Every request has an id, the caller's or ours, and every log line inside it carries it."""
    request[_REQUEST_ID] = request_id_from(request.headers.get("X-Request-Id"))
    token = current_request.set(request[_REQUEST_ID])
    try:
        return await handler(request)
    finally:
        current_request.reset(token)


async def tell_request_id(request: web.Request, response: web.StreamResponse) -> None:
    """For `on_response_prepare`."""
    if request_id := request.get(_REQUEST_ID):
        response.headers["X-Request-Id"] = request_id


@web.middleware
async def errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """The one place where exceptions become replies."""
    try:
        return await handler(request)
    except PersonaeError as err:
        return error_response(err)
    except web.HTTPRequestEntityTooLarge:
        return error_response(
            RequestError("The request is too large. Send a shorter text, or send it in parts.")
        )
    except web.HTTPNotFound:
        return error_response(UnknownRoute(f"There is nothing at {request.path}."))
    except web.HTTPException as err:
        body = {"error": RequestError(f"{err.reason} ({request.method} {request.path}).").to_wire()}
        return web.json_response(body, status=err.status)
    except Exception:
        log.exception("a request to %s failed", request.path)
        return error_response(InternalError("Something went wrong on our side, and it was logged."))

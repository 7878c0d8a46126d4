"""One request to an OpenAI-compatible API: `POST {url}/chat/completions`, and what its reply means.

In: a `Request`. Out: an `Answer`, or one of these, so that the caller knows whether it was billed:

    NotBilled     refused with a status, or never sent: ask again after a wait
    MaybeBilled   the line broke, or the reply is no completion: asking again may cost again
    Refused       the API will not answer this request (its content filter): asking again is no use
    ConfigError, EngineUnavailable   a setting is wrong, or the account is empty: asking again is no use

The key goes into one header and nowhere else. Knows no budget, no cache and no rate; see `asking`.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import aiohttp
from pydantic import SecretStr

from personae.errors import ConfigError, EngineUnavailable
from training.synthesize.budget import most_prompt_tokens, most_tokens
from training.synthesize.cache import Answer
from training.synthesize.pace import Limits, limits_in
from training.synthesize.prompts import Request

log = logging.getLogger(__name__)

_MOST_REPLY_BYTES = 4 << 20
_RETRIED = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 520, 521, 522, 523, 524, 529})


@dataclass(frozen=True)
class Patience:
    """How long and how often an API is waited for."""

    connect_seconds: float = 10.0
    reply_seconds: float = 180.0
    tries: int = 8
    """Failures of one request after which the run ends."""
    pauses: int = 100
    """Times that one request may be put off by the API."""
    billed_tries: int = 3
    """Tries of which the API may have billed each."""
    first_wait_seconds: float = 1.0
    longest_wait_seconds: float = 60.0
    longest_pause_seconds: float = 900.0
    """A longer pause that the API asks for ends the run; the rerun goes on."""
    ending_seconds: float = 30.0
    """How long answers under way are waited for when the run is stopped: they are paid for."""


class _Failed(Exception):
    def __init__(self, what: str, limits: Limits | None = None) -> None:
        super().__init__(what)
        self.what = what
        self.limits = limits or Limits(None, None)


class NotBilled(_Failed):
    pass


class MaybeBilled(_Failed):
    pass


class Refused(_Failed):
    pass


class Completions:
    """The API. `async with` opens and closes its connections."""

    def __init__(
        self, *, url: str, model: str, key: SecretStr | None, at_once: int, patience: Patience
    ) -> None:
        self._url = f"{url.rstrip('/')}/chat/completions"
        self.host = urlsplit(url).hostname or url
        self._model = model
        self._key = key
        self._at_once = at_once
        self._patience = patience
        self._session: aiohttp.ClientSession | None = None
        self._limit_name = "max_tokens"
        self._takes_temperature = True

    async def __aenter__(self) -> Self:
        headers = {"Authorization": f"Bearer {self._key.get_secret_value()}"} if self._key else {}
        self._session = aiohttp.ClientSession(
            headers=headers,
            connector=aiohttp.TCPConnector(limit=self._at_once),
            timeout=aiohttp.ClientTimeout(
                total=self._patience.reply_seconds, sock_connect=self._patience.connect_seconds
            ),
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._session is not None:
            await self._session.close()

    async def ask(self, request: Request) -> tuple[Answer, Limits]:
        """One try.

        Raises:
            NotBilled, MaybeBilled, Refused: see above.
            ConfigError, EngineUnavailable: with what to do.
        """
        while True:
            body = self._body(request)
            status, headers, data = await self._post(body)
            limits = limits_in(headers)
            if status == 200:
                return _answer(request, data, limits), limits
            if status == 400 and self._adapted(body, data):
                continue  # refused before any work: not billed
            raise self._refusal(status, data, limits)

    def _body(self, request: Request) -> dict[str, Any]:
        body: dict[str, Any] = {
            "model": self._model,
            "messages": request.messages,
            self._limit_name: request.max_tokens,
        }
        if self._takes_temperature:
            body["temperature"] = request.temperature
        return body

    async def _post(self, body: Mapping[str, Any]) -> tuple[int, Mapping[str, str], bytes]:
        assert self._session is not None, "used outside `async with`"
        try:
            async with self._session.post(self._url, json=body, allow_redirects=False) as reply:
                data = b""
                async for chunk in reply.content.iter_chunked(1 << 16):
                    data += chunk
                    if len(data) > _MOST_REPLY_BYTES:
                        raise MaybeBilled("its reply has no end")
                return reply.status, reply.headers, data
        except aiohttp.InvalidURL as err:
            raise ConfigError(
                "[synthesis] url is no address. Give the base address of the API, such as "
                '"http://127.0.0.1:8000/v1".'
            ) from err
        except aiohttp.ClientConnectorCertificateError as err:
            raise ConfigError(
                f"The certificate of {self.host} is not trusted. Check [synthesis] url."
            ) from err
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as err:
            raise NotBilled("it can't be reached") from err
        except TimeoutError as err:
            seconds = self._patience.reply_seconds
            raise MaybeBilled(f"it did not answer in {seconds:.0f} s") from err
        except (aiohttp.ClientError, ConnectionError) as err:
            raise MaybeBilled("the connection broke") from err

    def _adapted(self, body: Mapping[str, Any], data: bytes) -> bool:
        """Whether the API named a parameter of `body` it wants otherwise, and gets it so from now on.

        Newer models of OpenAI take `max_completion_tokens` alone, and one temperature alone.
        """
        error = _error_of(data)
        message, parameter = str(error.get("message", "")), error.get("param")
        if "max_tokens" in body and "max_completion_tokens" in message:
            self._limit_name = "max_completion_tokens"
            return True
        if "temperature" in body and parameter == "temperature":
            self._takes_temperature = False
            return True
        return False

    def _refusal(self, status: int, data: bytes, limits: Limits) -> Exception:
        error = _error_of(data)
        code = str(error.get("code") or "")
        kind = str(error.get("type") or "")
        if status == 402 or "insufficient_quota" in (code, kind):
            return EngineUnavailable(
                f"The account at {self.host} has no credit left. Top it up and run this again; "
                "what came in is kept and not paid twice."
            )
        if status in _RETRIED:
            return NotBilled(f"it answers with HTTP {status}", limits)
        if status in (400, 422) and "content" in code and ("filter" in code or "policy" in code):
            return Refused("its content filter")
        return ConfigError(self._sentence(status, error))

    def _sentence(self, status: int, error: Mapping[str, Any]) -> str:
        if status in (401, 403):
            # What such an API says here often repeats the key.
            what = "the key" if self._key else "a request without a key"
            return (
                f"{self.host} refused {what} (HTTP {status}). Set PERSONAE_SYNTHESIS_KEY to a key "
                f"of that API that may use {self._model}."
            )
        if status == 404:
            return (
                f"{self.host} has no chat completions of the model {self._model} at this address "
                "(HTTP 404). Check url, which often ends in /v1, and model in [synthesis]."
            )
        if 300 <= status < 400:
            return (
                f"{self.host} sends requests on to another address (HTTP {status}), and the key is "
                "not handed on. Set url in [synthesis] to the final address."
            )
        said = " ".join(str(error.get("message", "")).split())[:200].rstrip(".")
        if self._key is not None:
            said = said.replace(self._key.get_secret_value(), "…")
        return (
            f"{self.host} refused a request (HTTP {status}){': ' + said if said else ''}. Check url "
            "and model in [synthesis]."
        )


def _answer(request: Request, data: bytes, limits: Limits) -> Answer:
    """The completion in a reply's body; tokens that it does not tell are counted at their worst.

    Raises:
        MaybeBilled: it is none.
    """
    try:
        reply = json.loads(data)
        choice = reply["choices"][0]
        text = choice["message"].get("content") or ""
        finish = choice.get("finish_reason") or "unknown"
    except (ValueError, LookupError, TypeError, AttributeError) as err:
        raise MaybeBilled("its reply is no chat completion", limits) from err
    if not isinstance(text, str) or not isinstance(finish, str):
        raise MaybeBilled("its reply is no chat completion", limits)
    usage = reply.get("usage")
    told = usage if isinstance(usage, dict) else {}
    read, wrote = told.get("prompt_tokens"), told.get("completion_tokens")
    if isinstance(read, int) and isinstance(wrote, int) and read >= 0 and wrote >= 0:
        return Answer(text, finish, read, wrote)
    written = min(request.max_tokens, most_tokens(text) + 1)
    return Answer(text, finish, most_prompt_tokens(request.messages), written, estimated=True)


def _error_of(data: bytes) -> Mapping[str, Any]:
    """`{"error": {…}}` of OpenAI, or vLLM's older flat form; {} for anything else."""
    try:
        body = json.loads(data)
    except ValueError:
        return {}
    if not isinstance(body, dict):
        return {}
    error = body.get("error", body)
    return error if isinstance(error, dict) else {"message": str(error)}

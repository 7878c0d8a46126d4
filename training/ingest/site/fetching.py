"""Ask for one address, once, within every limit.

In: an address and what is known of it. Out: an `Answer`; a redirect is an answer, following it is the
caller's business. Waits so that the site gets one request at a time, and when it says "later". Bodies are
counted as they come and as they unpack, so neither a huge page nor a bomb fills the memory.
"""

from __future__ import annotations

import email.utils
import logging
import time
import zlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from types import TracebackType

import aiohttp
from yarl import URL

from personae import __version__
from personae.errors import CorpusError
from training.ingest.site.limits import Limits
from training.ingest.site.public_addresses import AddressAllowed, GuardedResolver, PrivateAddress

log = logging.getLogger(__name__)

AGENT = "personae"
"""The name that robots.txt knows us by."""
USER_AGENT = (
    f"{AGENT}/{__version__} (+personae project; reads one author's own site; obeys robots.txt)"
)

PRIVATE = "a private address"

Sleep = Callable[[float], Awaitable[None]]
Clock = Callable[[], float]


class LeftOut(Exception):
    """The address has nothing for us; `str(…)` is the reason, in words that are counted.

    `wire_bytes` came before that was known.
    """

    def __init__(self, reason: str, wire_bytes: int = 0) -> None:
        super().__init__(reason)
        self.wire_bytes = wire_bytes


class NotNow(Exception):
    """The site did not answer properly; another time it may."""


@dataclass(frozen=True)
class Answer:
    """`headers` have lower-case names."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    wire_bytes: int


class Fetcher:
    """`async with Fetcher(…) as fetcher: await fetcher.get(address, …)`"""

    def __init__(
        self, *, limits: Limits, address_allowed: AddressAllowed, clock: Clock, sleep: Sleep
    ) -> None:
        self.seconds_between = 0.0
        self._limits = limits
        self._clock = clock
        self._sleep = sleep
        self._resolver = GuardedResolver(address_allowed)
        self._last_asked: float | None = None

    async def __aenter__(self) -> Fetcher:
        self._session = aiohttp.ClientSession(
            # Without a DNS cache every redirect is resolved and checked anew.
            connector=aiohttp.TCPConnector(resolver=self._resolver, use_dns_cache=False, limit=1),
            timeout=aiohttp.ClientTimeout(total=self._limits.request_seconds),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            # A proxy would connect to addresses that nobody checked.
            trust_env=False,
            headers={
                "User-Agent": USER_AGENT,
                "Accept": "text/html, application/xhtml+xml, application/xml;q=0.9, */*;q=0.5",
                "Accept-Encoding": "gzip, deflate",
            },
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._session.close()

    async def get(
        self,
        address: str,
        *,
        max_bytes: int,
        takes: Callable[[str], bool],
        validators: Mapping[str, str] | None = None,
    ) -> Answer:
        """Ask until there is an answer, or as often as is decent.

        Args:
            max_bytes: of the body, over the wire and unpacked.
            takes: told the content type (lower case, no parameters) of a 200; whether to read the body.
            validators: headers of a conditional request.

        Raises:
            LeftOut: too large, of another type, in a private network, packed unreadably.
            NotNow: no answer, or a server's error, several times over.
            CorpusError: the site wants to be left alone for longer than is worth waiting.
        """
        trouble = ""
        for attempt in range(self._limits.tries):
            await self._turn()
            wait = max(self.seconds_between, 1.0) * 2**attempt
            try:
                answer = await self._ask(address, max_bytes, takes, validators or {})
            except TimeoutError:
                trouble = "timed out"
            except aiohttp.ClientError as err:
                cause = getattr(err, "os_error", None)
                if isinstance(cause, PrivateAddress):
                    raise LeftOut(PRIVATE) from err
                trouble = _described(err)
            else:
                if answer.status < 500 and answer.status != 429:
                    return answer
                trouble = f"answered {answer.status}"
                wait = max(wait, self._asked_to_wait(answer, address))
            if attempt + 1 < self._limits.tries:
                log.info("%s %s; asking again in %.0f s", address, trouble, wait)
                await self._sleep(wait)
        raise NotNow(trouble)

    async def _turn(self) -> None:
        """Wait until the site may be asked again."""
        if self._last_asked is not None:
            left = self._last_asked + self.seconds_between - self._clock()
            if left > 0:
                await self._sleep(left)
        self._last_asked = self._clock()

    async def _ask(
        self,
        address: str,
        max_bytes: int,
        takes: Callable[[str], bool],
        validators: Mapping[str, str],
    ) -> Answer:
        url = URL(address, encoded=True)
        try:
            self._resolver.check_literal(url.host or "")
        except PrivateAddress as err:
            raise LeftOut(PRIVATE) from err
        async with self._session.get(url, allow_redirects=False, headers=validators) as response:
            headers = {name.lower(): value for name, value in response.headers.items()}
            # A header may come more than once; all of these count.
            headers["x-robots-tag"] = ", ".join(response.headers.getall("X-Robots-Tag", []))
            if response.status != 200:
                return Answer(response.status, headers, b"", 0)
            kind = headers.get("content-type", "").partition(";")[0].strip().lower()
            if not takes(kind):
                raise LeftOut("not a page")
            body, wire_bytes = await _read(
                response, headers.get("content-encoding", "").strip().lower(), max_bytes
            )
            return Answer(200, headers, body, wire_bytes)

    def _asked_to_wait(self, answer: Answer, address: str) -> float:
        if answer.status not in (429, 503):
            return 0.0
        wait = retry_after_seconds(answer.headers.get("retry-after", ""), now=time.time())
        if wait > self._limits.wait_seconds:
            raise CorpusError(
                f"{address} asks to come back in {wait:.0f} seconds ({answer.status}). Run it again "
                "after that; it goes on where it stopped."
            )
        return wait


async def _read(
    response: aiohttp.ClientResponse, encoding: str, max_bytes: int
) -> tuple[bytes, int]:
    """The unpacked body, and how many bytes came over the wire."""
    if encoding not in ("", "identity", "gzip", "x-gzip", "deflate"):
        raise LeftOut("packed in a way that was not asked for")
    if (response.content_length or 0) > max_bytes:
        raise LeftOut("too large")
    wire = bytearray()
    async for chunk in response.content.iter_any():
        wire += chunk
        if len(wire) > max_bytes:
            raise LeftOut("too large", len(wire))
    if encoding in ("", "identity"):
        return bytes(wire), len(wire)
    try:
        return unpacked(bytes(wire), max_bytes=max_bytes), len(wire)
    except LeftOut as reason:
        raise LeftOut(str(reason), len(wire)) from reason


def unpacked(packed: bytes, *, max_bytes: int) -> bytes:
    """gzip, zlib or bare deflate, up to `max_bytes`.

    Raises:
        LeftOut: more than that comes out, or the data is damaged.
    """
    bare = packed[:2] != b"\x1f\x8b" and (len(packed) < 2 or (packed[0] << 8 | packed[1]) % 31 != 0)
    out = bytearray()
    left = packed
    try:
        # A gzip file may be several, one after the other.
        while left:
            machine = zlib.decompressobj(-zlib.MAX_WBITS if bare else zlib.MAX_WBITS | 32)
            out += machine.decompress(left, max_bytes + 1 - len(out))
            if len(out) > max_bytes:
                raise LeftOut("too large")
            if not machine.eof:
                raise LeftOut("damaged on the way")
            left = machine.unused_data if machine.unused_data[:2] == b"\x1f\x8b" else b""
    except zlib.error as err:
        raise LeftOut("damaged on the way") from err
    return bytes(out)


def retry_after_seconds(value: str, *, now: float) -> float:
    """Of a Retry-After header, seconds or a date; 0 where it says nothing."""
    value = value.strip()
    if value.isascii() and value.isdigit():
        return float(value[:9])
    try:
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - now)
    except (ValueError, TypeError, OverflowError):
        return 0.0


def _described(err: aiohttp.ClientError) -> str:
    if isinstance(err, aiohttp.ClientConnectorDNSError):
        return "has no address in the DNS"
    if isinstance(err, aiohttp.ClientConnectorCertificateError):
        return "has a certificate that is not valid"
    if isinstance(err, aiohttp.ClientConnectorError):
        return "does not answer"
    return f"broke off ({type(err).__name__})"

"""Which addresses are one page, which are on the site, and what a page's document is called.

In: addresses as sites write them, relative ones too. Out: one spelling for each page: no fragment, no default
port, no tracking parameters, the scheme and host that the start page ended at. Knows nothing of fetching.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass

from yarl import URL

from training.ingest.site.wildcards import matches

MAX_CHARACTERS = 2000
"""Longer addresses are left: real pages have none, traps do."""

_TRACKING = {
    "fbclid", "gclid", "gclsrc", "dclid", "gbraid", "wbraid", "msclkid", "yclid", "twclid", "igshid",
    "mc_cid", "mc_eid", "_hsenc", "_hsmi", "_ga", "_gl", "mkt_tok", "phpsessid", "jsessionid",
    "replytocom",
}  # fmt: skip
_NO_PAGE = re.compile(
    r"\.(?:jpe?g|png|gif|webp|avif|svg|ico|bmp|tiff?|mp[34]|m4[av]|ogg|oga|ogv|wav|flac|webm|mov|avi|"
    r"pdf|docx?|xlsx?|pptx?|odt|ods|epub|mobi|zip|gz|tgz|bz2|xz|7z|rar|tar|exe|dmg|msi|iso|apk|"
    r"css|js|mjs|json|xml|rss|atom|woff2?|ttf|otf|eot|ics|torrent)\Z",
    re.IGNORECASE,
)
_SESSION_IN_PATH = re.compile(r";jsessionid=[^/;]*", re.IGNORECASE)
_ID_CHARACTERS = 180


@dataclass(frozen=True)
class Site:
    """A host, with or without "www."; `scheme` and `host` are those that its addresses are written with."""

    scheme: str
    host: str
    port: int | None

    @classmethod
    def of(cls, address: str) -> Site:
        """The site of an absolute http(s) address.

        Raises:
            ValueError: it has no host, or isn't an address.
        """
        url = _parsed(address)
        if url.scheme not in ("http", "https") or not url.host:
            raise ValueError(f"{address} is no http address")
        return cls(url.scheme, url.host, _port(url))

    @property
    def first_page(self) -> str:
        return str(URL.build(scheme=self.scheme, host=self.host, port=self.port, path="/"))

    def address_of(self, link: str, base: str) -> str | None:
        """The one spelling of a link found at `base`; None where it leads off the site."""
        try:
            url = URL(base).join(_parsed(link))
            if url.scheme not in ("http", "https") or not url.host or url.user or url.password:
                return None
            if _bare(url.host) != _bare(self.host) or _port(url) != self.port:
                return None
            kept = [(name, value) for name, value in url.query.items() if not _is_tracking(name)]
            url = url.with_scheme(self.scheme).with_host(self.host).with_port(self.port)
            if len(kept) != len(url.query):
                url = url.with_query(kept)
            path = _SESSION_IN_PATH.sub("", url.raw_path) or "/"
            return str(url.with_path(path, encoded=True, keep_query=True).with_fragment(None))
        except ValueError:
            return None


def normal(address: str) -> str | None:
    """The one spelling of an absolute address, whatever its site."""
    try:
        return Site.of(address).address_of(address, address)
    except ValueError:
        return None


def joined(link: str, base: str) -> str | None:
    """Where a link found at `base` leads, whatever the site."""
    try:
        return normal(str(URL(base).join(_parsed(link))))
    except ValueError:
        return None


def names_a_page(address: str) -> bool:
    """False for what is plainly a picture, a film, an archive or a script."""
    return _NO_PAGE.search(URL(address).path) is None


def is_wanted(address: str, include: Sequence[str], exclude: Sequence[str]) -> bool:
    """By the source's patterns; the scheme and "www." make no difference in them."""

    def fits(pattern: str) -> bool:
        return matches(pattern, address) or matches(_without_www(pattern), _without_www(address))

    if any(fits(pattern) for pattern in exclude):
        return False
    return not include or any(fits(pattern) for pattern in include)


def document_id(address: str) -> str:
    """Host and path of the page: `x.org/2021/tea`, `x.org/index` for the first page.

    Raises:
        ValueError: not an address.
    """
    url = URL(address)
    port = "" if url.is_default_port() else f":{url.port}"
    path = url.path.strip("/") or "index"
    slash = "/" if url.path.endswith("/") and url.path != "/" else ""
    query = f"?{url.query_string}" if url.query_string else ""
    name = f"{_bare(url.host or '')}{port}/{path}{slash}{query}"
    if len(name) <= _ID_CHARACTERS:
        return name
    return f"{name[:_ID_CHARACTERS]}-{hashlib.sha256(address.encode()).hexdigest()[:12]}"


def shape(address: str) -> str:
    """What pages of one make share: numbers become `#`, of the query only the names are kept.

    >>> shape("https://x.org/calendar/2031/05?view=day&n=3")
    '/calendar/#/#?n&view'
    """
    url = URL(address)
    names = "&".join(sorted(set(url.query)))
    return re.sub(r"\d+", "#", url.path) + (f"?{names}" if names else "")


def goes_round(address: str) -> bool:
    """Whether a part of the path comes again and again, as behind a relative link that never ends."""
    parts = [part for part in URL(address).path.split("/") if part]
    return any(parts.count(part) > 3 for part in set(parts))


def authority(address: str) -> str:
    """Scheme, host and port: what one robots.txt speaks for."""
    return str(URL(address).origin())


def _parsed(link: str) -> URL:
    """
    Raises:
        ValueError: not an address. (yarl 1.25 lets other errors out for things like "//[]@".)
    """
    try:
        return URL(link.strip())
    except (IndexError, TypeError) as err:
        raise ValueError(f"{link!r} is no address") from err


def _port(url: URL) -> int | None:
    return None if url.is_default_port() else url.port


def _bare(host: str) -> str:
    return host.lower().removeprefix("www.").rstrip(".")


def _is_tracking(name: str) -> bool:
    return name.lower().startswith("utm_") or name.lower() in _TRACKING


def _without_www(address: str) -> str:
    return re.sub(r"\Ahttps?://(?:www\.)?", "", address)

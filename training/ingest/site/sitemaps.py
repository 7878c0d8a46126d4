"""The addresses that a sitemap or a feed lists.

In: the bytes of a sitemap (https://www.sitemaps.org/protocol.html; XML or a text file of lines), RSS, RDF or
Atom. Out: addresses, in order, once each. Broken XML is read as far as it goes; entities are never expanded,
nothing outside is loaded.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

_PLAIN_LINES = 50_000


@dataclass(frozen=True)
class Listing:
    """`sitemaps` are further files of an index; `is_feed` tells RSS and Atom from sitemaps."""

    pages: list[str]
    sitemaps: list[str]
    is_feed: bool = False


def addresses_listed(body: bytes) -> Listing:
    """Empty where it is neither a sitemap nor a feed."""
    from lxml import etree

    if not body.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<"):
        return Listing(_lines(body), [])
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, recover=True, huge_tree=False
    )
    try:
        root = etree.fromstring(body.strip(), parser)
    except etree.XMLSyntaxError:
        root = None
    if root is None:
        return Listing([], [])
    match _name(root):
        case "urlset":
            return Listing(_once(_texts(root, "url", "loc")), [])
        case "sitemapindex":
            return Listing([], _once(_texts(root, "sitemap", "loc")))
        case "feed":
            return Listing(_once(_atom_links(root)), [], is_feed=True)
        case "rss" | "RDF":
            return Listing(_once(_rss_links(root)), [], is_feed=True)
    return Listing([], [])


def _texts(root: object, outer: str, inner: str) -> Iterator[str]:
    for entry in root:  # type: ignore[attr-defined]
        if _name(entry) == outer:
            for part in entry:
                if _name(part) == inner and part.text:
                    yield part.text


def _rss_links(root: object) -> Iterator[str]:
    for item in root.iter():  # type: ignore[attr-defined]
        if _name(item) != "item":
            continue
        parts = {_name(part): part for part in item}
        link, guid = parts.get("link"), parts.get("guid")
        if link is not None and (link.text or "").strip():
            yield link.text
        elif guid is not None and guid.get("isPermaLink", "true") != "false":
            yield guid.text or ""


def _atom_links(root: object) -> Iterator[str]:
    for entry in root:  # type: ignore[attr-defined]
        if _name(entry) == "entry":
            for part in entry:
                if _name(part) == "link" and part.get("rel", "alternate") == "alternate":
                    yield part.get("href") or ""


def _lines(body: bytes) -> list[str]:
    lines = body.decode("utf-8-sig", errors="replace").splitlines()[:_PLAIN_LINES]
    return _once(line for line in lines if line.startswith(("http://", "https://")))


def _once(addresses: Iterator[str]) -> list[str]:
    stripped = (address.strip() for address in addresses)
    return list(dict.fromkeys(address for address in stripped if address))


def _name(element: object) -> str:
    """Without the namespace; comments have none."""
    tag = element.tag  # type: ignore[attr-defined]
    return tag.rpartition("}")[2] if isinstance(tag, str) else ""

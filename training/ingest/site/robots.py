"""robots.txt, as RFC 9309 has it: https://www.rfc-editor.org/rfc/rfc9309

In: the file's text. Out: which paths may be fetched, how long to wait, which sitemaps it names. The standard
library's parser is not used: that of Python 3.11 knows neither `*` nor `$` and lets the first line that fits
decide, not the longest. What an unreachable robots.txt means is for its fetcher to decide.
"""

from __future__ import annotations

import re
import string
from dataclasses import dataclass, field

from yarl import URL

from training.ingest.site.wildcards import matches

MAX_BYTES = 500 * 1024
"""What the RFC asks to be read at least; the rest is not read."""
_UNRESERVED = set(string.ascii_letters + string.digits + "-._~")


@dataclass(frozen=True)
class Rule:
    allow: bool
    path: str


@dataclass
class _Group:
    agents: list[str] = field(default_factory=list)
    rules: list[Rule] = field(default_factory=list)
    delay_seconds: float | None = None


@dataclass(frozen=True)
class Robots:
    """The rules for one crawler. Without any rule everything is allowed."""

    rules: tuple[Rule, ...] = ()
    delay_seconds: float = 0.0
    sitemaps: tuple[str, ...] = ()

    def allows(self, address: str) -> bool:
        url = URL(address)
        path = _octets(url.raw_path_qs)
        if path == "/robots.txt":
            return True
        fitting = [rule for rule in self.rules if _fits(rule.path, path)]
        if not fitting:
            return True
        longest = max(len(rule.path) for rule in fitting)
        return any(rule.allow for rule in fitting if len(rule.path) == longest)

    @property
    def forbids_all(self) -> bool:
        return any(
            not rule.allow and rule.path in ("/", "/*", "*") for rule in self.rules
        ) and not any(rule.allow for rule in self.rules)


def parse_robots(text: str, *, agent: str) -> Robots:
    """The groups that name `agent`, together; without one, those of `*`."""
    groups: list[_Group] = []
    sitemaps: list[str] = []
    gathering = False
    for line in text.lstrip("\ufeff").splitlines():
        name, colon, value = line.partition("#")[0].partition(":")
        name, value = name.strip().lower(), value.strip()
        if not colon:
            continue
        if name == "user-agent":
            if not gathering:
                groups.append(_Group())
            groups[-1].agents.append(_product(value))
            gathering = True
        elif name == "sitemap":
            sitemaps.append(value)
        elif groups and name in ("allow", "disallow"):
            gathering = False
            if value:
                groups[-1].rules.append(Rule(name == "allow", _octets(value)))
        elif groups and name == "crawl-delay":
            gathering = False
            groups[-1].delay_seconds = _seconds(value)
    mine = [group for group in groups if agent.lower() in group.agents]
    mine = mine or [group for group in groups if "*" in group.agents]
    return Robots(
        rules=tuple(rule for group in mine for rule in group.rules),
        delay_seconds=max((group.delay_seconds or 0.0 for group in mine), default=0.0),
        sitemaps=tuple(sitemaps),
    )


def _product(value: str) -> str:
    if value.startswith("*"):
        return "*"
    found = re.match(r"[A-Za-z_-]+", value)
    return found.group().lower() if found else ""


def _fits(rule: str, path: str) -> bool:
    return matches(rule[:-1], path) if rule.endswith("$") else matches(f"{rule}*", path)


def _octets(path: str) -> str:
    """One spelling of a path for comparing: what needs no `%` has none, everything else has."""
    encoded = "".join(
        letter if letter.isascii() else "".join(f"%{byte:02X}" for byte in letter.encode())
        for letter in path
    )

    def shortest(found: re.Match[str]) -> str:
        letter = chr(int(found.group(1), 16))
        return letter if letter in _UNRESERVED else found.group().upper()

    return re.sub(r"%([0-9A-Fa-f]{2})", shortest, encoded)


def _seconds(value: str) -> float | None:
    try:
        seconds = float(value)
    except ValueError:
        return None
    return seconds if 0 <= seconds < float("inf") else None

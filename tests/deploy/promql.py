"""What PromQL expressions ask for: metrics, and the labels by which they choose and group."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import promql_parser


@dataclass
class Asked:
    """One metric of an expression."""

    metric: str
    labels: set[str] = field(default_factory=set)
    matched: list[tuple[str, str]] = field(default_factory=list)
    """Label and pattern."""


def asked_by(expression: str) -> list[Asked]:
    """Grafana's variables count as what they stand for: an interval, or any value."""
    text = re.sub(r"\$__(rate_)?interval", "5m", expression)
    text = re.sub(r"\$\w+", ".*", text)
    return list(_walk(promql_parser.parse(text), set()))


def _walk(node: Any, grouped_by: set[str]) -> Iterator[Asked]:
    if isinstance(node, promql_parser.VectorSelector):
        matched = [(matcher.name, matcher.value) for matcher in node.matchers.matchers]
        yield Asked(node.name, grouped_by | {name for name, _ in matched}, matched)
        return
    if isinstance(node, promql_parser.AggregateExpr) and node.modifier is not None:
        grouped_by = grouped_by | set(node.modifier.labels)
    for part in ("expr", "lhs", "rhs", "args", "vector_selector"):
        below = getattr(node, part, None)
        for child in below if isinstance(below, list) else [below]:
            if child is not None:
                yield from _walk(child, grouped_by)

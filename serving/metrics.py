"""Prometheus metrics of the gateway, in a registry of its own. No label holds a person or a text.

Labels take few values: tasks, personas of the cast, versions of the registry, outcomes and steps
that are words of this program.
"""

from __future__ import annotations

import contextlib

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

_SECONDS = (0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 60)
_TOKEN_SECONDS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 1, 2)


class Metrics:
    """All the numbers this gateway counts."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        labels = ("task", "persona", "adapter_version")

        def counter(name: str, what: str, names: tuple[str, ...]) -> Counter:
            return Counter(f"personae_{name}", what, names, registry=self.registry)

        def gauge(name: str, what: str, names: tuple[str, ...] = ()) -> Gauge:
            return Gauge(f"personae_{name}", what, names, registry=self.registry)

        def seconds(
            name: str, what: str, names: tuple[str, ...], buckets: tuple[float, ...] = _SECONDS
        ) -> Histogram:
            return Histogram(
                f"personae_{name}_seconds", what, names, buckets=buckets, registry=self.registry
            )

        self.answers = counter(
            "answers",
            "Answers by how they ended (stop, length, quoted, abstained, an error code, or cancelled)",
            (*labels, "outcome"),
        )
        self.answering = gauge("answers_in_progress", "Answers under way, those in line included")
        self.steps = counter(
            "overload_steps",
            "What was done because more was asked than the engine can do "
            "(queued, no_rerank, short, quoted, refused)",
            ("task", "persona", "step"),
        )
        self.refusals = counter(
            "refusals", "Requests sent away, by the code of the reason", ("task", "persona", "code")
        )
        self.first_token = seconds(
            "first_token", "From the request to the first token, the line included", labels
        )
        self.between_tokens = seconds(
            "between_tokens", "Mean time between the tokens of an answer", labels, _TOKEN_SECONDS
        )
        self.tokens = counter("tokens", "Tokens by kind (prompt, completion)", (*labels, "kind"))
        self.checks = counter(
            "checks",
            "What was mended in answers (dropped_markers, unquoted, attributed, dropped_sentences)",
            ("persona", "what"),
        )
        self.feedback = counter(
            "feedback",
            "What people thought of answers (up, down, taken_back), and revisions by operators (revision)",
            ("persona", "adapter_version", "kind"),
        )
        self.queue_wait = seconds(
            "queue_wait", "Time in line of answers that got a turn", ("persona",)
        )
        self.waiting = gauge("waiting", "People in line", ("persona",))
        self.safe = gauge(
            "safe_concurrency",
            "Answers at a time that keep the deadlines, as measured",
            ("base_model",),
        )
        self.in_engine = gauge("answers_in_engine", "Answers the engine works on", ("base_model",))
        self.retrieval = seconds(
            "retrieval", "Search for passages, query embedding included", ("persona",)
        )
        self.adapter_changes = counter(
            "adapter_changes",
            "Changes of the live adapter by outcome",
            ("persona", "action", "outcome"),
        )
        self.adapter_change = seconds(
            "adapter_change", "Duration of a reload or rollback", ("action", "outcome")
        )
        self.engine_ready = gauge(
            "engine_ready", "1 while the engine of a base model can answer", ("base_model",)
        )
        self.engine_restarts = gauge(
            "engine_restarts",
            "Restarts of an engine of ours since the gateway began",
            ("base_model",),
        )

    def forget(self, persona: str) -> None:
        """It left the cast: what is measured of it now is nothing; what was counted stays."""
        with contextlib.suppress(KeyError):
            self.waiting.remove(persona)

    def render(self) -> bytes:
        """The Prometheus text format."""
        return generate_latest(self.registry)

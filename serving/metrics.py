"""Prometheus metrics of the gateway, in a registry of its own. No label holds a person or a text."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

_SECONDS = (0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 60)


class Metrics:
    """All the numbers this gateway counts."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        labels = ("task", "persona", "adapter_version")
        self.answers = Counter(
            "personae_answers",
            "Answers by how they ended (stop, length, an error code, or cancelled)",
            (*labels, "outcome"),
            registry=self.registry,
        )
        self.answering = Gauge(
            "personae_answers_in_progress", "Answers being written", registry=self.registry
        )
        self.first_token = Histogram(
            "personae_first_token_seconds",
            "From the request to the first token",
            labels,
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.tokens = Counter(
            "personae_tokens",
            "Tokens by kind (prompt, completion)",
            (*labels, "kind"),
            registry=self.registry,
        )
        self.retrieval = Histogram(
            "personae_retrieval_seconds",
            "Search for passages, query embedding included",
            ("persona",),
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.adapter_changes = Counter(
            "personae_adapter_changes",
            "Changes of the live adapter by outcome",
            ("persona", "action", "outcome"),
            registry=self.registry,
        )
        self.engine_ready = Gauge(
            "personae_engine_ready",
            "1 while the engine of a base model can answer",
            ("base_model",),
            registry=self.registry,
        )

    def render(self) -> bytes:
        """The Prometheus text format."""
        return generate_latest(self.registry)

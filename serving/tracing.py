"""OpenTelemetry traces of answers, if the operator wants them; otherwise nothing, and nothing imported.

    answer                              persona, task, adapter_version, outcome
    ├── queue                           from arrival to the engine's slot
    ├── retrieve                        the search for passages
    └── engine                          the model's stream; event "first token"

A caller's W3C `traceparent` becomes the parent, and the engine gets one of ours. No attribute holds
a text or a person.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

from personae.errors import ConfigError


class Trace:
    """The spans of one answer. This one records nothing."""

    @property
    def headers(self) -> dict[str, str]:
        """What to send with a request, so that the next server's spans belong to this trace."""
        return {}

    @contextlib.contextmanager
    def span(self, name: str) -> Iterator[None]:
        yield

    def event(self, name: str) -> None:
        """Something happened inside the span that is open."""

    def end(self, **attributes: str) -> None:
        """The answer is over."""


class Tracing:
    """Begins traces. This one records nothing."""

    def begin(self, headers: Mapping[str, str]) -> Trace:
        """A trace of one answer.

        Args:
            headers: of the request; a `traceparent` in them is taken up.
        """
        return Trace()

    def close(self) -> None:
        """Send what was not sent yet. Blocks for a moment: call it off the event loop."""


class _OpenTelemetryTrace(Trace):
    def __init__(self, tracer: Any, headers: Mapping[str, str]) -> None:
        from opentelemetry.trace import SpanKind
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        self._propagator = TraceContextTextMapPropagator()
        self._tracer = tracer
        parent = self._propagator.extract({name.lower(): headers[name] for name in headers})
        self._root = tracer.start_span("answer", context=parent, kind=SpanKind.SERVER)
        self._open = self._root

    def _context(self) -> Any:
        from opentelemetry.trace import set_span_in_context

        return set_span_in_context(self._open)

    @property
    def headers(self) -> dict[str, str]:
        carried: dict[str, str] = {}
        self._propagator.inject(carried, context=self._context())
        return carried

    @contextlib.contextmanager
    def span(self, name: str) -> Iterator[None]:
        outer = self._open
        # Spans stand in no context variable: an answer is a generator, and runs in its reader's.
        self._open = self._tracer.start_span(name, context=self._context())
        try:
            yield
        finally:
            self._open.end()
            self._open = outer

    def event(self, name: str) -> None:
        self._open.add_event(name)

    def end(self, **attributes: str) -> None:
        self._root.set_attributes({f"personae.{name}": value for name, value in attributes.items()})
        self._root.end()


class _OpenTelemetry(Tracing):
    def __init__(self, url: str) -> None:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor

        self._provider = TracerProvider(
            resource=Resource.create({"service.name": "personae-gateway"}), shutdown_on_exit=False
        )
        exporter = OTLPSpanExporter(endpoint=f"{url.rstrip('/')}/v1/traces")
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer("personae")

    def begin(self, headers: Mapping[str, str]) -> Trace:
        return _OpenTelemetryTrace(self._tracer, headers)

    def close(self) -> None:
        self._provider.shutdown()


def tracing_to(url: str | None) -> Tracing:
    """Traces to an OpenTelemetry collector (OTLP over HTTP); none without a URL.

    Raises:
        ConfigError: OpenTelemetry is not installed.
    """
    if url is None:
        return Tracing()
    try:
        return _OpenTelemetry(url)
    except ImportError as err:
        raise ConfigError(
            "[observability] traces needs OpenTelemetry, which is not installed here: "
            "pip install 'personae[traces]'."
        ) from err

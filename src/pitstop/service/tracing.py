"""Traces by OpenTelemetry (the extra `otel`): a span for each request and each try of a job, sent by OTLP over HTTP.

Only where the environment names a receiver (`OTEL_EXPORTER_OTLP_ENDPOINT`, or `..._TRACES_ENDPOINT`); every other
setting is OpenTelemetry's own (`OTEL_SERVICE_NAME`, `OTEL_EXPORTER_OTLP_HEADERS`, `OTEL_TRACES_SAMPLER`, ...). Spans
hold names of models and kinds of jobs, and never an id of a row, a person, or a key.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Callable
from typing import Any

from pitstop.service.auth.guard import App, Message, Receive, Scope, Send
from pitstop.service.jobs.board import Job
from pitstop.version import __version__

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_METHODS = frozenset({"GET", "HEAD", "POST", "PATCH", "PUT", "DELETE", "OPTIONS"})
# What stands for the model in an address; other parts of it may be ids, and are left out of a span's name.
_MODEL = re.compile(r"/(?:v1/)?models/([A-Za-z0-9_-]{1,64})(/[a-z_-]+)?")
_LOG = logging.getLogger(__name__)


class Tracing:
    """Makes spans of requests (`traced`) and jobs (`job`), and sends them in the background.

    `provider` is OpenTelemetry's. `close` sends what waits.
    """

    def __init__(self, provider: Any) -> None:
        from opentelemetry import propagate, trace  # noqa: PLC0415 - the extra `otel`

        self._provider = provider
        self._tracer = provider.get_tracer("pitstop", __version__)
        self._extract = propagate.extract
        self._kinds = trace.SpanKind
        self._error = trace.Status(trace.StatusCode.ERROR)

    def traced(self, inner: App) -> App:
        """Return the application with a span around each request; a W3C `traceparent` goes on."""

        async def application(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] != "http":
                await inner(scope, receive, send)
                return
            method = scope["method"] if scope["method"] in _METHODS else "_OTHER"
            model, route = _route(scope["path"])
            carrier = {
                name.decode("latin-1"): value.decode("latin-1")
                for name, value in scope["headers"]
                if name in (b"traceparent", b"tracestate")
            }
            attributes = {"http.request.method": method, "http.route": route}
            attributes |= {"pitstop.model": model} if model else {}
            with self._tracer.start_as_current_span(
                f"{method} {route}",
                context=self._extract(carrier),
                kind=self._kinds.SERVER,
                attributes=attributes,
                record_exception=False,
            ) as span:

                async def watched(message: Message) -> None:
                    if message["type"] == "http.response.start":
                        span.set_attribute("http.response.status_code", message["status"])
                        if message["status"] >= 500:
                            span.set_status(self._error)
                    await send(message)

                await inner(scope, receive, watched)

        return application

    def job(self, job: Job, number: int, do: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """Do the `number`-th try of a job within a span, and return how it ended."""
        attributes = {"pitstop.model": job.model, "pitstop.job.kind": job.kind, "pitstop.job.try": number}
        with self._tracer.start_as_current_span(
            f"job {job.kind}", kind=self._kinds.CONSUMER, attributes=attributes, record_exception=False
        ) as span:
            answer = do()
            span.set_attribute("pitstop.job.end", answer["end"])
            if answer["end"] in ("failed", "again"):
                span.set_attribute("error.type", str(answer["outcome"].get("error", "")))
                span.set_status(self._error)
            return answer

    def close(self) -> None:
        """Send what waits, and end."""
        self._provider.shutdown()


def tracing() -> Tracing | None:
    """Return what traces this process; None where no receiver is named, or the extra is not installed."""
    if not any(os.environ.get(name) for name in _ENDPOINTS):
        return None
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415 - as above
        from opentelemetry.sdk.resources import SERVICE_NAME, Resource  # noqa: PLC0415 - as above
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415 - as above
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415 - as above
    except ImportError:
        _LOG.warning("OTEL_... names a receiver of traces, but the extra is missing: pip install 'pitstop[otel]'")
        return None
    named = {} if os.environ.get("OTEL_SERVICE_NAME") else {SERVICE_NAME: "pitstop"}
    provider = TracerProvider(resource=Resource.create({**named, "service.version": __version__}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return Tracing(provider)


def _route(path: str) -> tuple[str, str]:
    """Return the model in an address, and the address without what may be an id.

    >>> _route("/v1/models/loans/incidents/incident-1/comments")
    ('loans', '/v1/models/{model}/incidents')
    """
    found = _MODEL.match(path)
    if found is not None:
        start = "/v1/models" if path.startswith("/v1/") else "/models"
        return found[1], f"{start}/{{model}}{found[2] or ''}"
    parts = [part for part in path.split("/") if part][:2]
    return "", "/" + "/".join(part for part in parts if re.fullmatch(r"[a-z0-9_.-]{1,20}", part))

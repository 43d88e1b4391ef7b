"""`/metrics` for Prometheus: how models, jobs and messages stand, and how requests are answered.

Labels are names of models, monitors and columns, and never an id of a row or a person.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator

import sqlalchemy as sa
from prometheus_client import CollectorRegistry, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from pitstop.errors import PitstopError
from pitstop.service.auth.actor import actor_of
from pitstop.service.auth.guard import Guard, Message, Receive, Scope, Send
from pitstop.service.fleet import FLEET
from pitstop.service.jobs.board import Board
from pitstop.service.standing import open_incidents
from pitstop.service.workspace import Registered, Workspace
from pitstop.store.home import Home

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_DELIVERIES = FLEET.tables["deliveries"]


class Timed:
    """The whole application, `inner`, with a clock around it; `registry` holds what it measured."""

    inner: Guard

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._seconds = Histogram(
            "pitstop_http_request_seconds",
            "Time to the end of an answer.",
            ("part", "method", "status"),
            buckets=_SECONDS,
            registry=self.registry,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on and note how long it took, and how it was answered."""
        if scope["type"] != "http":
            await self.inner(scope, receive, send)
            return
        begun, status = time.perf_counter(), 0

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self.inner(scope, receive, watched)
        finally:
            # Paths and methods come from whoever asks: only a few words of them become labels.
            method = scope["method"] if scope["method"] in {"GET", "HEAD", "POST", "PATCH", "DELETE"} else "other"
            labels = (_part(scope["path"]), method, f"{status // 100}xx" if status else "none")
            self._seconds.labels(*labels).observe(time.perf_counter() - begun)


def _part(path: str) -> str:
    if path.startswith("/v1/models/") and path.endswith(("/predictions", "/labels")):
        return "ingest"
    return "api" if path.startswith("/v1/") else "pages"


def metrics_routes(workspace: Workspace, registry: CollectorRegistry) -> list[Route]:
    """Return the address that Prometheus asks."""

    async def metrics(request: Request) -> Response:
        sees = actor_of(request.scope).sees

        def text() -> bytes:
            own = CollectorRegistry()
            own.register(_State(workspace, [item for item in workspace.models() if sees(item.name)]))
            return generate_latest(own) + generate_latest(registry)

        return Response(await run_in_threadpool(text), media_type=CONTENT_TYPE)

    return [Route("/metrics", metrics)]


class _State(Collector):
    """How things stand at the moment when they are asked for."""

    def __init__(self, workspace: Workspace, models: list[Registered]) -> None:
        self._workspace = workspace
        self._models = models

    def collect(self) -> Iterator[Metric]:
        """Yield every metric of the state."""
        up_to = GaugeMetricFamily("pitstop_taken_in_until_seconds", "End of what was taken in.", labels=["model"])
        opened = GaugeMetricFamily("pitstop_open_incidents", "Incidents that are open.", labels=["model"])
        version = GaugeMetricFamily("pitstop_champion_version", "Version that serves.", labels=["model"])
        waits = GaugeMetricFamily("pitstop_release_held_up", "1 where a release waits.", labels=["model"])
        signal = GaugeMetricFamily("pitstop_signal", "A monitor's newest value.", labels=["model", "signal", "column"])
        for model in self._models:
            try:
                self._of(model, up_to, opened, version, waits, signal)
            except PitstopError:
                continue  # it has not begun, or cannot be read: /readyz and its page say so
        jobs = GaugeMetricFamily("pitstop_jobs", "Jobs by kind and state.", labels=["kind", "state"])
        for (kind, state), count in Board(self._workspace.fleet).counts().items():
            jobs.add_metric([kind, state], count)
        messages = GaugeMetricFamily("pitstop_deliveries", "Messages by state.", labels=["state"])
        with self._workspace.fleet.read() as connection:
            query = sa.select(_DELIVERIES.c.state, sa.func.count()).group_by(_DELIVERIES.c.state)
            for state, count in connection.execute(query):
                messages.add_metric([state], count)
        yield from (up_to, opened, version, waits, signal, jobs, messages)

    def _of(
        self,
        model: Registered,
        up_to: GaugeMetricFamily,
        opened: GaugeMetricFamily,
        version: GaugeMetricFamily,
        waits: GaugeMetricFamily,
        signal: GaugeMetricFamily,
    ) -> None:
        with Home.open(model.home, read_only=True) as home:
            saved = home.load_state(model.name)
            if saved is None:
                return
            calendar = model.spec.calendar
            window = calendar.window_at(saved.as_of)
            rows = home.signals(model.name, window - 1, window)
            standing = open_incidents(home, model.name, saved, window)
        name = [model.name]
        if not calendar.by_rows:
            up_to.add_metric(name, saved.as_of / 1e6)
        opened.add_metric(name, standing)
        upkeep = saved.values.get("upkeep") or {"releases": []}
        champions = [item["version"] for item in upkeep["releases"] if item["stage"] == "champion"]
        if champions:
            version.add_metric(name, champions[-1])
        waits.add_metric(name, float(bool(upkeep.get("held"))))
        for _, row in rows:
            if math.isfinite(row.value):
                signal.add_metric([model.name, row.name, row.column or ""], row.value)

"""Traces arrive at a real receiver of OTLP: a span for each request and each try of a job, and no id in any of them."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest

from pitstop.service.auth.credentials import now
from pitstop.service.auth.keys import Keys
from pitstop.service.tracing import tracing
from pitstop.service.workspace import Workspace

from .conftest import ADMIN

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


class Receiver(ThreadingHTTPServer):
    """An OTLP receiver: what came, as OpenTelemetry's own messages."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Takes)
        self.spans: list[Any] = []
        self.services: set[str] = set()


class _Takes(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        service = pytest.importorskip("opentelemetry.proto.collector.trace.v1.trace_service_pb2")
        assert self.path == "/v1/traces"
        message = service.ExportTraceServiceRequest()
        message.ParseFromString(self.rfile.read(int(self.headers["Content-Length"])))
        for resource in message.resource_spans:
            named = {item.key: item.value.string_value for item in resource.resource.attributes}
            self.server.services.add(named["service.name"])
            self.server.spans += [span for scope in resource.scope_spans for span in scope.spans]
        self.send_response(200)
        self.send_header("Content-Type", "application/x-protobuf")
        self.end_headers()
        self.wfile.write(service.ExportTraceServiceResponse().SerializeToString())

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


def until(what: Callable[[], Any], seconds: float = 90) -> Any:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            if found := what():
                return found
        except httpx.HTTPError:
            pass
        time.sleep(0.1)
    pytest.fail(f"did not become true within {seconds:g} s")


def said(span: Any) -> dict[str, Any]:
    return {item.key: item.value.string_value or item.value.int_value for item in span.attributes}


def test_without_a_receiver_nothing_is_traced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OTEL_EXPORTER_OTLP_ENDPOINT", raising=False)
    monkeypatch.delenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", raising=False)
    assert tracing() is None


@pytest.mark.slow
def test_requests_and_jobs_are_spans_of_the_callers_trace(loans_home: Path, tmp_path: Path) -> None:
    pytest.importorskip("opentelemetry.sdk", reason="pip install 'pitstop[otel]'")
    receiver = Receiver()
    threading.Thread(target=receiver.serve_forever, daemon=True).start()
    shutil.copytree(loans_home, tmp_path / "home")
    with Workspace.open(tmp_path / "w") as workspace:
        key = Keys(workspace.fleet).make("t", ["admin"], None, 1, by=ADMIN, at=now())[1]
    words = ["up", "--workspace", tmp_path / "w", "--home", tmp_path / "home", "--login", "--port", "0"]
    environment = {
        **os.environ,
        "OMP_NUM_THREADS": "1",
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{receiver.server_port}",
        "OTEL_BSP_SCHEDULE_DELAY": "200",
    }
    process = subprocess.Popen(
        [sys.executable, "-c", "from pitstop.cli.main import run; run()", *map(str, words)],
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )
    with process:
        assert process.stderr is not None
        address = process.stderr.readline().partition(" at ")[2].split()[0].rstrip("/")
        until(lambda: httpx.get(f"{address}/healthz").status_code == 200)
        headers = {"authorization": f"Bearer {key}", "traceparent": f"00-{TRACE}-{SPAN}-01"}
        httpx.get(f"{address}/v1/models/loans/artifacts/incident-17", headers=headers)
        order = {"action": "retire", "reason": "a test"}
        assert httpx.post(f"{address}/v1/models/loans/orders", json=order, headers=headers).status_code == 202
        until(lambda: any(span.name == "job order" for span in receiver.spans))
        process.send_signal(signal.SIGTERM)
    receiver.shutdown()
    receiver.server_close()
    found = {span.name: span for span in receiver.spans}
    asked = found["GET /v1/models/{model}/artifacts"]
    assert (asked.trace_id.hex(), asked.parent_span_id.hex()) == (TRACE, SPAN)
    assert said(asked) == {
        "http.request.method": "GET",
        "http.route": "/v1/models/{model}/artifacts",
        "pitstop.model": "loans",
        "http.response.status_code": 404,
    }
    assert said(found["POST /v1/models/{model}/orders"])["http.response.status_code"] == 202
    job = said(found["job order"])
    assert (job["pitstop.model"], job["pitstop.job.kind"], job["pitstop.job.end"]) == ("loans", "order", "done")
    assert receiver.services == {"pitstop"}
    everything = " ".join(str(span) for span in receiver.spans)
    assert "incident-17" not in everything
    assert key not in everything

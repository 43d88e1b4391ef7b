"""A worker's own port says whether it lives and can work, and nothing else to whom nobody knows."""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pitstop.errors import StoreError
from pitstop.service.health import Check
from pitstop.service.worker_health import HealthPort, read_health
from pitstop.service.workspace import Workspace


def ask(port: int, path: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("GET", path)
    answer = connection.getresponse()
    found = answer.status, answer.read().decode()
    connection.close()
    return found


def test_ready_turns_to_failed_and_back_without_saying_why(tmp_path: Path) -> None:
    problem = [""]

    def storing() -> Check:
        return Check("storing", "failed" if problem[0] else "ok", problem[0])

    with Workspace.open(tmp_path / "w") as workspace, HealthPort(workspace, (storing,), "127.0.0.1", 0) as port:
        assert ask(port.port, "/healthz") == (200, "ok\n")
        assert ask(port.port, "/readyz") == (200, '{"state":"ok","parts":{}}')
        problem[0] = "the disk of db.internal is full"
        status, body = ask(port.port, "/readyz")
        assert (status, json.loads(body)) == (503, {"state": "failed", "parts": {}})
        assert ask(port.port, "/healthz")[0] == 200
        assert ask(port.port, "/metrics")[0] == 404
        with pytest.raises(StoreError, match="cannot listen"), HealthPort(workspace, (), "127.0.0.1", port.port):
            pass
        problem[0] = ""
        assert ask(port.port, "/readyz")[0] == 200
    with pytest.raises(OSError, match="refused"):
        ask(port.port, "/healthz")


def test_a_worker_answers_while_it_works(tmp_path: Path) -> None:
    words = ["up", "--workspace", str(tmp_path / "w"), "--part", "worker", "--health", "0"]
    argv = [sys.executable, "-c", "from pitstop.cli.main import run; run()", *words]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    with subprocess.Popen(argv, stderr=subprocess.PIPE, text=True, env=environment) as worker:
        assert worker.stderr is not None
        said = next(line for line in worker.stderr if line.startswith("Working"))
        port = int(said.partition("http://127.0.0.1:")[2].partition("/")[0])
        try:
            assert ask(port, "/healthz") == (200, "ok\n")
            assert ask(port, "/readyz") == (200, '{"state":"ok","parts":{}}')
        finally:
            worker.terminate()
        assert worker.wait(60) == 0


@pytest.mark.parametrize(
    ("text", "found"), [("9090", ("127.0.0.1", 9090)), ("10.0.0.1:1", ("10.0.0.1", 1)), ("[::1]:2", ("::1", 2))]
)
def test_where_it_answers(text: str, found: tuple[str, int]) -> None:
    assert read_health(text) == found


@pytest.mark.parametrize("text", ["x", "host:", "1:99999", "-1", "٣"])
def test_what_is_no_port_is_refused(text: str) -> None:
    with pytest.raises(StoreError, match="expected a port"):
        read_health(text)

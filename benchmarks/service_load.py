"""Load for the service: `pitstop up` as it is shipped, wrk with rows of JSON, Arrow batches over kept connections."""

from __future__ import annotations

import http.client
import io
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.ipc as pa_ipc

from benchmarks.environments import PeerError
from pitstop.service.workspace import Workspace
from pitstop.store.home import Home
from pitstop.store.intake import Intake, intakes
from pitstop.store.spool import spool_bytes

FEATURES = tuple(f"f{number}" for number in range(20))
SPEC = f"""
[model]
name = "m"
task = "binary"
[columns]
time = "at"
id = "id"
features = {json.dumps(FEATURES)}
label = "label"
label_time = "known"
prediction = "said"
score = "score"
"""
PATH = "/v1/models/m/predictions"
ARROW_ROWS = 5_000

WRK = """
local n = 0
local id = 0
local place = 0
function setup(thread) thread:set("id", place); place = place + 1 end
request = function()
  n = n + 1
  local body = '{"id":"RUN-' .. id .. '-' .. n .. '","at":"2026-03-01T10:00:00.000000","score":0.25,"said":0'
  for i = 0, 19 do body = body .. ',"f' .. i .. '":' .. ((n * 7919 + i * 104729) % 100000 / 1000.0) end
  return wrk.format("POST", "/v1/models/m/predictions", {["content-type"] = "application/json"}, body .. '}')
end
done = function(summary, latency, requests)
  local bad = summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.status
    + summary.errors.timeout
  io.write(string.format('RESULT {"requests": %d, "seconds": %f, "p50": %f, "p99": %f, "bad": %d}\\n',
    summary.requests, summary.duration / 1e6, latency:percentile(50) / 1000, latency:percentile(99) / 1000, bad))
end
"""


@dataclass(frozen=True)
class Up:
    """A running service: its port, workspace, and processes."""

    port: int
    workspace: Path
    process: subprocess.Popen[bytes]

    @property
    def processes(self) -> list[int]:
        """Whoever answers, the worker, and the process that stores."""
        names = ("pitstop.service.worker", "pitstop.service.ingest.worker")
        return [self.process.pid, *(pid for pid in _below(self.process.pid) if any(n in _command(pid) for n in names))]

    def intake(self) -> Intake:
        """Return what is stored."""
        if not (self.workspace / "records").is_dir():
            return Intake()
        with Home.open(self.workspace / "records", read_only=True) as home:
            return intakes(home).get("m", Intake())

    def backlog(self) -> int:
        """Return the bytes of the spool's files."""
        return spool_bytes(self.workspace / "spool")


@contextmanager
def service(folder: Path) -> Iterator[Up]:
    """Run `pitstop up` on a new workspace with one model."""
    workspace = folder / "workspace"
    with Workspace.open(workspace) as made:
        made.register(SPEC, at=0)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    argv = [sys.executable, "-m", "pitstop.cli.main", "up", "--workspace", str(workspace), "--port", str(port)]
    argv[1:3] = ["-c", "from pitstop.cli.main import run; run()"]
    with (folder / "up.log").open("wb") as log:
        process = subprocess.Popen(argv, stdout=log, stderr=log, env=os.environ | {"OMP_NUM_THREADS": "1"})
        try:
            _wait_for(port, process, folder / "up.log")
            yield Up(port, workspace, process)
        finally:
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait_for(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(600):
        if process.poll() is not None:
            break
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
        try:
            connection.request("GET", "/healthz")
            if connection.getresponse().status == http.client.OK:
                return
        except OSError:
            time.sleep(0.1)
        finally:
            connection.close()
    msg = f"`pitstop up` does not answer: {log.read_text(encoding='utf-8', errors='replace')[-500:]}"
    raise PeerError(msg)


def wrk(port: int, folder: Path, seconds: int, run: str, connections: int = 64) -> dict[str, float]:
    """Return requests, seconds, p50 and p99 in milliseconds, and bad answers of single rows of JSON."""
    program = shutil.which("wrk")
    if program is None:
        msg = "wrk is not installed; it makes the load (Debian and Ubuntu: apt-get install wrk)"
        raise PeerError(msg)
    script = folder / "rows.lua"
    script.write_text(WRK.replace("RUN", run), encoding="utf-8")
    argv = [program, "-t1", f"-c{connections}", f"-d{seconds}s", "-s", str(script), f"http://127.0.0.1:{port}"]
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    line = next(line for line in done.stdout.splitlines() if line.startswith("RESULT "))
    found: dict[str, float] = json.loads(line.removeprefix("RESULT "))
    return found


class Batches:
    """Arrow batches of 5,000 rows with ids and times that never come twice; the features repeat."""

    def __init__(self, seed: int, per_day: int = 2_000_000) -> None:
        random = np.random.default_rng(seed)
        self._features = {name: pa.array(random.normal(size=ARROW_ROWS)) for name in FEATURES}
        scores = random.random(ARROW_ROWS)
        self._features |= {"score": pa.array(scores), "said": pa.array((scores >= 0.5).astype(np.int64))}
        self._seed, self._day = seed, per_day

    def payload(self, number: int) -> bytes:
        """Return the batch of a number."""
        first = number * ARROW_ROWS
        sink = io.BytesIO()
        table = pa.table({"id": pa.array(self.ids(number)), "at": pa.array(self.times(first)), **self._features})
        with pa_ipc.new_stream(sink, table.schema) as stream:
            stream.write_table(table)
        return sink.getvalue()

    def ids(self, number: int) -> list[str]:
        """Return the ids of a batch."""
        return [f"{self._seed:02d}-{number:06d}-{row:04d}" for row in range(ARROW_ROWS)]

    def times(self, first: int) -> np.ndarray:
        """Return the times of rows from the `first` on."""
        micros = (np.arange(first, first + ARROW_ROWS) * (86_400_000_000 // self._day)).astype("timedelta64[us]")
        return np.datetime64("2026-03-01", "us") + micros


def post_arrow(up: Up, seconds: float, *, seed: int, most_backlog: int, threads: int = 2) -> tuple[int, float]:
    """Post Arrow batches for some seconds over two connections; return the rows that were acknowledged, and seconds.

    Senders wait while more than `most_backlog` bytes lie in the spool.
    """
    acknowledged = [0] * threads
    started = time.perf_counter()

    def send(place: int) -> None:
        batches, number = Batches(seed + place), 0
        connection = http.client.HTTPConnection("127.0.0.1", up.port, timeout=60)
        headers = {"Content-Type": "application/vnd.apache.arrow.stream"}
        while time.perf_counter() - started < seconds:
            if number % 8 == 0 and up.backlog() > most_backlog:
                time.sleep(0.05)
                continue
            connection.request("POST", PATH, batches.payload(number), headers)
            answer = connection.getresponse()
            answer.read()
            if answer.status == http.client.OK:
                acknowledged[place] += ARROW_ROWS
                number += 1
            else:
                time.sleep(0.2)
        connection.close()

    senders = [threading.Thread(target=send, args=(place,)) for place in range(threads)]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join()
    return sum(acknowledged), time.perf_counter() - started


def anonymous_bytes(pids: list[int]) -> int:
    """Return the memory of processes that is theirs alone and no file's (RssAnon)."""
    total = 0
    for pid in pids:
        for line in Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines():
            if line.startswith("RssAnon:"):
                total += int(line.split()[1]) * 1024
    return total


def _below(pid: int) -> list[int]:
    """Return the processes that a process began, and those that they did."""
    found: list[int] = []
    try:
        for task in Path(f"/proc/{pid}/task").iterdir():
            found += [int(child) for child in (task / "children").read_text(encoding="utf-8").split()]
    except OSError:
        return []  # it ended
    return [*found, *(below for child in found for below in _below(child))]


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""

"""Several processes of one service on PostgreSQL: each is as good as another, and none is missed when it is killed."""

from __future__ import annotations

import http.client
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
import sqlalchemy as sa

from pitstop.errors import StoreError
from pitstop.service.auth.actor import LOCAL
from pitstop.service.auth.keys import Keys
from pitstop.service.auth.people import People
from pitstop.service.auth.throttle import Throttle
from pitstop.service.fleet import FLEET
from pitstop.service.jobs.board import Board
from pitstop.service.jobs.workers import Workers
from pitstop.service.workspace import Workspace
from pitstop.store.home import Home
from pitstop.store.intake import intakes

from .conftest import PLACES
from .ingest.counted import SPEC, check_counts, rows_of

PITSTOP = (sys.executable, "-c", "from pitstop.cli.main import run; run()")
PASSWORD = "correct horse battery"  # noqa: S105 - of nobody
NOW = time.time_ns() // 1_000
pytestmark = pytest.mark.slow


class Process:
    """One process of the service; `port` where it answers."""

    def __init__(self, workspace: Path, *options: str) -> None:
        argv = [*PITSTOP, "up", "--workspace", str(workspace), *options]
        environment = os.environ | {"OMP_NUM_THREADS": "1"}
        # A file: a pipe that nobody reads is full some day, and whoever logs then waits.
        self._log = tempfile.NamedTemporaryFile("w+", encoding="utf-8")  # noqa: SIM115 - `end` closes it
        self.popen = subprocess.Popen(argv, stderr=self._log, env=environment)
        said = until(self._said, say=lambda: Path(self._log.name).read_text(encoding="utf-8"))
        found = re.search(r":(\d+)/ ", said)
        self.port = int(found[1]) if found else 0
        self.name = said.split()[-1]

    def ask(
        self, method: str, path: str, body: Any = None, **headers: str
    ) -> tuple[int, http.client.HTTPMessage, bytes]:
        """Return the status, headers and body of an answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        content = body if isinstance(body, str) or body is None else json.dumps(body)
        connection.request(method, path, content, {name.replace("_", "-"): text for name, text in headers.items()})
        answer = connection.getresponse()
        found = (answer.status, answer.headers, answer.read())
        connection.close()
        return found

    def end(self) -> None:
        self.popen.kill()
        self.popen.wait()
        self._log.close()

    def _said(self) -> str:
        """Return the line in which it says that it serves or works."""
        lines = Path(self._log.name).read_text(encoding="utf-8").splitlines(keepends=True)
        return next((line for line in lines if line.startswith(("Serving", "Working")) and line.endswith("\n")), "")


Begins = Callable[..., Process]


@pytest.fixture
def begins(workspace_folder: Path) -> Iterator[Begins]:
    """Give what begins another process of the service; all of them are killed at the end."""
    with ExitStack() as stack:

        def begun(*options: str) -> Process:
            made = Process(workspace_folder, *options)
            stack.callback(made.end)
            return made

        yield begun


def until(true: Callable[[], Any], seconds: float = 90.0, say: Callable[[], Any] = lambda: "") -> Any:
    """Return what became true in time; `say` is what is said where it did not."""
    end = time.monotonic() + seconds
    while not (found := true()):
        assert time.monotonic() < end, f"it did not come to be: {say()}"
        time.sleep(0.1)
    return found


def stored(workspace: Path) -> int:
    try:
        with Home.open(workspace / "records", read_only=True) as home:
            return intakes(home)["m"].rows if "m" in intakes(home) else 0
    except StoreError:
        return 0  # it is made with the first rows


@pytest.fixture
def workspace(workspace_folder: Path) -> Iterator[Workspace]:
    """Make a workspace with a model and a user."""
    with Workspace.open(workspace_folder) as made:
        made.register(SPEC, at=NOW)
        People(made.fleet).add("ann", PASSWORD, ["operator", "viewer"], NOW)
        yield made


@pytest.mark.parametrize("place", ["PostgreSQL"])
def test_whoever_is_known_to_one_is_known_to_all_and_nothing_is_done_twice(
    workspace: Workspace, begins: Begins
) -> None:
    one, two = (begins("--part", "api", "--port", "0", "--login") for _ in range(2))
    form = urlencode({"name": "ann", "password": PASSWORD})
    kind = "application/x-www-form-urlencoded"
    status, headers, _ = one.ask("POST", "/login", form, content_type=kind)
    cookie = headers["set-cookie"].partition(";")[0]
    assert (status, two.ask("GET", "/v1/me", cookie=cookie)[0]) == (303, 200)
    # The same request, sent to both: a client that had no answer from the first.
    asked = [
        process.ask("POST", "/v1/models/m/ticks", cookie=cookie, idempotency_key="monday") for process in (one, two)
    ]
    assert [answer[0] for answer in asked] == [202, 202]
    assert asked[0][2] == asked[1][2]
    assert len(Board(workspace.fleet).jobs()) == 1
    # Guesses at either are guesses of one name, and who has to wait waits at both.
    wrong = urlencode({"name": "eve", "password": "x"})
    guesses = [process.ask("POST", "/login", wrong, content_type=kind)[0] for process in (one, two, one, two, one)]
    assert guesses == [401] * 5
    with workspace.fleet.read() as connection:
        assert connection.execute(sa.select(sa.func.max(FLEET.tables["guesses"].c.failures))).scalar_one() == 5
    throttle, now = Throttle(workspace.fleet), time.time_ns() // 1_000
    for number in range(8):
        # So many that the pause is longer than the slowest machine takes to ask again.
        assert throttle.attempt("login eve", now - (7 - number) * 200_000_000) == 0.0
    assert [process.ask("POST", "/login", wrong, content_type=kind)[0] for process in (one, two)] == [429, 429]
    # Who logs out at one is out at the other, at once.
    assert two.ask("POST", "/logout", cookie=cookie)[0] == 303
    assert one.ask("GET", "/v1/me", cookie=cookie)[0] == 401
    # A key that is revoked is worth nothing anywhere within two seconds.
    made, key = Keys(workspace.fleet).make("ci", ["viewer"], None, 1, by=LOCAL, at=NOW)
    bearer = f"Bearer {key}"
    assert [process.ask("GET", "/v1/me", authorization=bearer)[0] for process in (one, two)] == [200, 200]
    Keys(workspace.fleet).revoke(made.prefix, NOW)
    time.sleep(2.1)
    assert [process.ask("GET", "/v1/me", authorization=bearer)[0] for process in (one, two)] == [401, 401]


@pytest.mark.parametrize("place", ["PostgreSQL"])
def test_the_work_of_a_worker_that_is_killed_goes_on_with_the_other(
    workspace: Workspace, begins: Begins, loans: Path
) -> None:
    text = (loans / "pitstop.toml").read_text(encoding="utf-8")
    workspace.register(text, at=NOW, source=str(loans / "loans.csv"), base=loans)
    api = begins("--part", "api", "--port", "0")
    workers = {worker.name: worker for worker in (begins("--part", "worker") for _ in range(2))}
    assert Workers(workspace.fleet).alive(time.time_ns() // 1_000) == set(workers)
    board = Board(workspace.fleet)

    def running() -> bool:
        return any(job.kind == "tick" and job.state == "running" for job in board.jobs())

    until(running)
    for number in range(0, 1_200, 60):
        body = rows_of(number, 60)
        assert api.ask("POST", "/v1/models/m/predictions", body, content_type="application/json")[0] == 200
    # Whichever of them does it, it is killed; then the other one, after a third was begun.
    first, second = workers.values()
    first.end()
    third = begins("--part", "worker")
    second.end()
    until(lambda: stored(workspace.path) == 1_200)
    (job,) = until(lambda: [job for job in board.jobs() if job.kind == "tick" and job.model == "loans" and job.ended])
    assert (job.state, job.outcome is not None) == ("done", True)
    assert until(lambda: Workers(workspace.fleet).alive(time.time_ns() // 1_000) == {third.name})
    with Home.open(workspace.path / "records", read_only=True) as home:
        check_counts(home, workspace.model("m").spec)
        assert not home.verify(rows=True).faults


@pytest.mark.parametrize("place", ["PostgreSQL"])
def test_while_the_database_restarts_rows_are_taken_in_and_it_is_said(
    workspace: Workspace, begins: Begins, request: pytest.FixtureRequest
) -> None:
    database: Any = request.getfixturevalue("postgres")
    _, key = Keys(workspace.fleet).make("rows", ["ingest", "viewer"], None, 1, by=LOCAL, at=NOW)
    api = begins("--part", "api", "--port", "0", "--login")
    worker = begins("--part", "worker")
    headers = {"authorization": f"Bearer {key}", "content_type": "application/json"}

    def state() -> tuple[int, Any]:
        status, _, body = api.ask("GET", "/readyz", **headers)
        return status, json.loads(body)

    def sent(first: int) -> int:
        return api.ask("POST", "/v1/models/m/predictions", rows_of(first, 60), **headers)[0]

    assert sent(0) == 200
    until(lambda: stored(workspace.path) == 60, say=state)
    until(lambda: state()[1]["state"] == "ok", say=state)
    database.stop("immediate")
    status, said = state()
    assert (status, said["parts"]["catalog"]["state"]) == (503, "failed")
    assert "check that it runs" in said["parts"]["catalog"]["detail"]
    # Whoever was known before sends on: rows need the disk of this machine, and nothing else.
    assert [sent(first) for first in (60, 120)] == [200, 200]
    assert api.ask("GET", "/v1/models", authorization="Bearer pitstop_nobody_x")[0] == 503
    assert api.ask("GET", "/healthz")[0] == 200
    database.start()
    until(lambda: state()[0] == 200)
    assert sent(180) == 200
    until(lambda: stored(workspace.path) == 240, say=lambda: (stored(workspace.path), state()))
    until(lambda: state()[1]["state"] == "ok", say=state)
    assert worker.popen.poll() is None
    assert api.popen.poll() is None


@pytest.mark.parametrize("place", ["PostgreSQL and S3"])
def test_while_the_bucket_is_away_rows_are_taken_in_and_it_is_said(
    workspace: Workspace, begins: Begins, request: pytest.FixtureRequest
) -> None:
    bucket: Any = request.getfixturevalue("bucket")
    both = begins("--port", "0")

    def sent(first: int) -> int:
        return both.ask("POST", "/v1/models/m/predictions", rows_of(first, 60), content_type="application/json")[0]

    def state() -> Any:
        status, _, body = both.ask("GET", "/readyz")
        assert status == 200
        return json.loads(body)

    assert sent(0) == 200
    until(lambda: stored(workspace.path) == 60)
    bucket.kill()
    assert sent(60) == 200
    said = until(lambda: (found := state())["state"] == "degraded" and found["parts"]["workers"]["detail"])
    assert "kept but not stored" in said
    assert "s3://" in said
    assert sent(120) == 200
    bucket.start()
    until(lambda: stored(workspace.path) == 180)
    until(lambda: state()["state"] == "ok")
    with Home.open(workspace.path / "records", read_only=True) as home:
        check_counts(home, workspace.model("m").spec, enough=False)
        assert not home.verify(rows=True).faults


@pytest.mark.parametrize("place", PLACES)
def test_one_command_does_all_of_it_and_ends_with_all_of_it(workspace: Workspace, begins: Begins) -> None:
    both = begins("--port", "0")
    assert both.ask("POST", "/v1/models/m/predictions", rows_of(0, 60), content_type="application/json")[0] == 200
    until(lambda: stored(workspace.path) == 60)
    state = until(lambda: _ready(both))
    assert {name: part["state"] for name, part in state["parts"].items()} == {
        "catalog": "ok",
        "ingest": "ok",
        "workers": "ok",
    }
    both.popen.kill()
    both.popen.wait()
    # Killed, it leaves nobody behind who would hold the store or do a job.
    until(lambda: not _children_of(workspace.path), 30)


def _ready(process: Process) -> Any:
    status, _, body = process.ask("GET", "/readyz")
    found = json.loads(body)
    return found if (status, found["state"]) == (200, "ok") else None


def _children_of(workspace: Path) -> list[str]:
    """Return the processes of a service that work in a workspace."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().decode(errors="replace").split("\0")
        except OSError:
            continue
        if str(workspace) in words:
            found.append(" ".join(words))
    return found

"""What is logged arrives, whoever is down meanwhile and whoever is killed; the program that predicts never notices."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.ipc as pa_ipc
import pytest
from sklearn.linear_model import LogisticRegression
from tests.faults.test_kills import free_port
from tests.faults.victims import ROOT, Victims, specs
from tests.service.ingest.counted import MODEL, SPEC, label_of, rows_of

import pitstop
from pitstop.client.posting import Poster
from pitstop.client.sending import Sender
from pitstop.client.shipping import REFUSED
from pitstop.client.watching import Watched
from pitstop.errors import IngestError, SpecError
from pitstop.records.columns import texts
from pitstop.records.spec import parse_spec
from pitstop.service.ingest.drain import Drain
from pitstop.store.spool import read_all


@pytest.fixture(scope="module")
def victims() -> Iterator[Victims]:
    with Victims() as made:
        yield made


RECEIPT = b'{"rows": 1}'


class Answering:
    """A service that gives answers in turn, the last one again and again; and what it was sent."""

    def __init__(self) -> None:
        self.address = ""
        self.names: list[str] = []
        self.bodies: list[bytes] = []


@contextmanager
def answering(*answers: tuple[int, bytes], patience: float | None = None) -> Iterator[Answering]:
    """Answer on a free port; with `patience` a connection that is quiet for so many seconds is ended."""
    there, given = Answering(), deque(answers)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = patience

        def do_POST(self) -> None:
            there.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
            there.names.append(self.headers.get("Idempotency-Key", ""))
            status, body = given.popleft() if len(given) > 1 else given[0]
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Print nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        there.address = f"http://127.0.0.1:{server.server_port}"
        yield there
        server.shutdown()


def stored(workspace: Path) -> list[dict[str, Any]]:
    with Drain(workspace, specs) as drain:
        drain.run_dry()
        rows: list[dict[str, Any]] = drain.home.read_segments("predictions", "m").to_pylist()
        return rows


def frame(count: int) -> pd.DataFrame:
    rows = pd.DataFrame(rows_of(0, count))[["x", "y", "c"]]
    return rows.assign(y=rows["y"].fillna(0.0), c=rows["c"].str[1:].astype(float))


def test_a_watched_estimator_predicts_as_before_and_its_predictions_arrive(tmp_path: Path, victims: Victims) -> None:
    workspace, port = tmp_path / "w", free_port()
    victims.make("api", workspace, port)
    rows = frame(60)
    plain = LogisticRegression().fit(rows, np.arange(60) % 2)
    watched = pitstop.watch(plain, f"http://127.0.0.1:{port}", MODEL, spool=tmp_path / "spool")
    asked = rows.copy()
    chances = watched.predict_proba(asked, ids=[f"id-{n}" for n in range(60)])
    asked["x"] = -1.0  # the caller uses its table for something else at once
    assert np.array_equal(chances, plain.predict_proba(rows))
    nameless = LogisticRegression().fit(rows.to_numpy(), np.arange(60) % 2)
    also = Watched(nameless, watched.sender, MODEL)
    assert np.array_equal(also.predict(rows.to_numpy()), nameless.predict(rows.to_numpy()))
    own = also.last_ids
    assert watched.classes_ is plain.classes_
    watched.sender.labels([label_of(n) for n in range(60)])
    assert watched.sender.flush(20), watched.sender.problem
    found = {row["@id"]: row for row in stored(workspace)}
    assert set(found) == {f"id-{n}" for n in range(60)} | set(own)
    for number in (0, 7, 59):
        row = found[f"id-{number}"]
        assert row["x"] == rows["x"][number]
        assert row["@score"] == chances[number, 1]
        assert row["@prediction"] == str(int(chances[number, 1] >= 0.5))
        assert found[own[number]]["@prediction"] == str(nameless.predict(rows.to_numpy())[number])
        assert found[own[number]]["@score"] is None
    watched.sender.close()


@pytest.mark.slow
def test_what_was_logged_while_the_service_was_down_is_shipped_when_it_is_there_again(
    tmp_path: Path, victims: Victims
) -> None:
    workspace, port = tmp_path / "w", free_port()
    sender = Sender(f"http://127.0.0.1:{port}", "m", spool=tmp_path / "spool")
    started = time.perf_counter()
    for first in range(0, 100, 10):
        sender.log(rows_of(first, 10))
    sender.log(object())
    assert time.perf_counter() - started < 0.5
    assert not sender.flush(3)
    assert "does not answer" in sender.problem
    victims.make("api", workspace, port)
    for _ in range(200):
        if sender.flush(1):
            break
    assert sorted(row["@id"] for row in stored(workspace)) == sorted(f"id-{n}" for n in range(100))
    assert sender.dropped == 1  # what was no table
    sender.close()


PROGRAM = r"""
import os, signal, sys, time
from pathlib import Path
from pitstop.client.sending import Sender
from pitstop.store.spool import read_all
from tests.service.ingest.counted import rows_of

address, spool, how = sys.argv[1], Path(sys.argv[2]), sys.argv[3]
sender = Sender(address, "m", spool=spool)
for first in range(0, 50, 10):
    sender.log(rows_of(first, 10))
if how == "kill":
    while sum(1 for _ in read_all(spool)) < 1:
        time.sleep(0.01)
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.slow
@pytest.mark.parametrize("how", ["kill", "exit"])
def test_nothing_spooled_is_lost_when_the_program_ends_or_is_killed(tmp_path: Path, victims: Victims, how: str) -> None:
    workspace, port = tmp_path / "w", free_port()
    address = f"http://127.0.0.1:{port}"
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    argv = [sys.executable, "-c", PROGRAM, address, str(tmp_path / "spool"), how]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, env=environment, cwd=ROOT)
    assert done.returncode == (-signal.SIGKILL if how == "kill" else 0), done.stderr
    assert list(read_all(tmp_path / "spool"))
    victims.make("api", workspace, port)
    # The next process that uses the spool ships what is in it.
    sender = Sender(address, "m", spool=tmp_path / "spool")
    for _ in range(200):
        if sender.flush(1):
            break
    assert {row["@id"] for row in stored(workspace)} == {f"id-{n}" for n in range(50)}
    sender.close()


@pytest.mark.slow
def test_a_refused_batch_is_set_aside_and_the_others_go_on(tmp_path: Path, victims: Victims) -> None:
    workspace, port = tmp_path / "w", free_port()
    victims.make("api", workspace, port)
    stranger = Sender(f"http://127.0.0.1:{port}", "stranger", spool=tmp_path / "spool")
    stranger.log(rows_of(0, 3))
    for _ in range(100):
        stranger.flush(1)
        if (tmp_path / "spool" / REFUSED).is_dir():
            break
    stranger.close()
    assert len(list((tmp_path / "spool" / REFUSED).iterdir())) == 1
    sender = Sender(f"http://127.0.0.1:{port}", "m", spool=tmp_path / "spool")
    sender.log(rows_of(0, 3))
    for _ in range(100):
        if sender.flush(1):
            break
    assert len(stored(workspace)) == 3
    sender.close()


def test_a_full_spool_drops_and_counts_and_never_raises(tmp_path: Path) -> None:
    sender = Sender(f"http://127.0.0.1:{free_port()}", "m", spool=tmp_path, spool_limit=1)
    for _ in range(3):
        sender.log(rows_of(0, 5))
        sender.flush(0.5)
    assert sender.dropped >= 1
    assert "is full" in sender.problem
    sender.close()


def test_a_small_spool_is_not_filled_by_what_was_shipped(tmp_path: Path) -> None:
    with answering((200, RECEIPT)) as there:
        sender = Sender(there.address, "m", spool=tmp_path, spool_limit=12_000)
        for _ in range(8):
            sender.log(rows_of(0, 20))
            assert sender.flush(10), sender.problem
        sender.close()
    assert sum(map(len, there.bodies)) > 12_000
    assert sender.dropped == 0


def test_a_key_that_is_not_taken_is_no_fault_of_the_batch() -> None:
    """Else the rows of a night in which a key has expired would be set aside, one batch after the other."""
    with answering((401, b""), (403, b""), (421, b""), (422, b""), (200, RECEIPT)) as there:
        poster = Poster(there.address, "a key")
        found = [poster.post("m", "predictions", b"rows").outcome for _ in range(5)]
        poster.close()
    assert found == ["later", "later", "later", "refused", "taken"]


def test_only_a_receipt_means_that_rows_are_kept_and_a_proxy_in_between_refuses_nothing() -> None:
    """Else a wrong address, or an hour of a proxy without a service behind it, would cost the rows of that time."""
    given = ((200, b"<html>Welcome"), (200, b"[]"), (308, b""), (307, b""), (520, b""), (507, b""), (200, RECEIPT))
    with answering(*given) as there:
        poster = Poster(there.address)
        found = [poster.post("m", "predictions", b"rows") for _ in given]
        poster.close()
    assert [answer.outcome for answer in found] == ["later"] * 6 + ["taken"]
    assert "not as a service of Pitstop" in found[0].detail
    assert "sends elsewhere" in found[2].detail


def test_a_connection_that_ended_while_nothing_was_logged_is_no_problem() -> None:
    with answering((200, RECEIPT), patience=0.2) as there:
        poster = Poster(there.address)
        assert poster.post("m", "predictions", b"rows", name="one").outcome == "taken"
        time.sleep(0.6)
        assert poster.post("m", "predictions", b"rows", name="two").outcome == "taken"
        poster.close()
    assert there.names == ["one", "two"]


def test_what_was_refused_is_said_kept_for_its_owner_alone_and_bounded(tmp_path: Path) -> None:
    with answering((404, b'{"detail": "no model"}')) as there:
        sender = Sender(there.address, "m", spool=tmp_path, spool_limit=4_000)
        for _ in range(4):
            sender.log(rows_of(0, 5))
            assert not sender.flush(10)
        assert "no model" in sender.problem
        sender.close()
    kept = list((tmp_path / REFUSED).iterdir())
    assert 1 <= len(kept) < 4
    assert sum(path.stat().st_size for path in kept) <= 4_000
    assert {path.stat().st_mode & 0o777 for path in kept} == {0o600}


def test_many_rows_go_in_parts_that_a_service_takes(tmp_path: Path) -> None:
    table = pa.table({f"x{place}": np.zeros(30_000) for place in range(20)})
    with answering((200, RECEIPT)) as there:
        sender = Sender(there.address, "m", spool=tmp_path)
        for _ in range(10):
            sender.log(table)
        assert sender.flush(30)
        sender.close()
    rows = [pa_ipc.open_stream(body).read_all().num_rows for body in there.bodies]
    assert sum(rows) == 10 * table.num_rows
    assert max(map(len, there.bodies)) < 9 << 20


def test_labels_arrive_in_the_order_in_which_they_were_given(tmp_path: Path) -> None:
    """Of two labels of one id without a time the last one holds, whatever type the one between them has."""
    with answering((200, RECEIPT)) as there:
        sender = Sender(there.address, "m", spool=tmp_path)
        for value in (1, 0.0, 1):
            sender.labels([{"id": "a", "label": value}])
        assert sender.flush(10)
        sender.close()
    said = [value for body in there.bodies for value in pa_ipc.open_stream(body).read_all()["label"].to_pylist()]
    assert said == [1, 0.0, 1]


def test_what_is_dropped_is_counted_and_said(tmp_path: Path) -> None:
    with answering((200, RECEIPT)) as there:
        sender = Sender(there.address, "m", spool=tmp_path, key="a key\n")
        rows = rows_of(0, 3)
        sender.log(rows)
        rows.clear()  # the caller's own list, for the next rows
        assert sender.flush(10)
        assert len(there.bodies) == 1
        sender.log(object())
        assert not sender.flush(10)
        assert "no table" in sender.problem
        sender.close()
        sender.log(rows_of(0, 3))
        assert sender.dropped == 2
        assert "closed" in sender.problem


def test_a_forked_process_has_ids_of_its_own_and_ships_once_its_parent_has_ended(tmp_path: Path) -> None:
    program = """
import json, os, sys, time
import numpy as np
import pitstop
from sklearn.linear_model import LogisticRegression
from tests.service.ingest.counted import MODEL

rows = np.random.default_rng(0).random((20, 3))
plain = LogisticRegression().fit(rows, np.arange(20) % 2)
watched = pitstop.watch(plain, sys.argv[1], MODEL, spool=sys.argv[2])
watched.predict(rows)
assert watched.sender.flush(10)
if os.fork():
    watched.predict(rows)
    print(json.dumps(watched.last_ids), flush=True)
    watched.sender.close()
    os._exit(0)
time.sleep(1.0)
watched.predict(rows)
print(json.dumps(watched.last_ids), flush=True)
while watched.sender._shipper._lock is None:
    time.sleep(0.05)
assert watched.sender.flush(10)
print("ships", flush=True)
os._exit(0)
"""
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    with answering((200, RECEIPT)) as there:
        argv = [sys.executable, "-W", "ignore", "-c", program, there.address, str(tmp_path)]
        done = subprocess.run(argv, capture_output=True, text=True, check=False, env=environment, cwd=ROOT, timeout=60)
    assert "ships" in done.stdout, done.stdout + done.stderr
    ids = [name for body in there.bodies for name in pa_ipc.open_stream(body).read_all()["id"].to_pylist()]
    assert len(ids) == len(set(ids)) == 60


@pytest.mark.parametrize("kind", ["pandas", "Arrow"])
def test_ids_that_are_among_the_columns_are_those_of_the_rows(tmp_path: Path, kind: str) -> None:
    class Pipeline:
        """Takes what it needs of a table."""

        def predict(self, rows: Any) -> Any:
            return np.zeros(len(rows), dtype=int)

    rows = frame(3).assign(id=["one", "two", "three"])
    with answering((200, RECEIPT)) as there:
        watched = pitstop.watch(Pipeline(), there.address, MODEL, spool=tmp_path)
        watched.predict(rows if kind == "pandas" else pa.Table.from_pandas(rows))
        assert watched.last_ids == ["one", "two", "three"]
        assert watched.sender.flush(10), watched.sender.problem
        watched.sender.close()
    (table,) = [pa_ipc.open_stream(body).read_all() for body in there.bodies]
    assert table["id"].to_pylist() == ["one", "two", "three"]


@pytest.mark.parametrize("kind", [float, np.int8])
def test_classes_are_named_as_labels_are(tmp_path: Path, kind: Any) -> None:
    rows = frame(40)
    plain = LogisticRegression().fit(rows, (np.arange(40) % 2).astype(kind))
    with answering((200, RECEIPT)) as there:
        watched = pitstop.watch(plain, there.address, MODEL, spool=tmp_path)
        chances = watched.predict_proba(rows, ids=[float(place) for place in range(40)])
        assert watched.sender.flush(10), watched.sender.problem
        watched.sender.close()
    (table,) = [pa_ipc.open_stream(body).read_all() for body in there.bodies]
    assert table["score"].to_pylist() == chances[:, 1].tolist()
    assert set(table["said"].to_pylist()) == {"0", "1"}
    # A number that is an id is named as it is in a table of labels.
    assert texts(table["id"], "id").to_pylist() == [str(place) for place in range(40)]


def test_what_could_never_work_is_said_at_once(tmp_path: Path) -> None:
    for address in ("somewhere", "http://host:99999", "http://[::1"):
        with pytest.raises(IngestError, match="expected one such as"):
            Sender(address, "m", spool=tmp_path)
    with pytest.raises(IngestError, match="user or a password") as refused:
        Sender("http://me:secret@host", "m", spool=tmp_path)
    assert "secret" not in str(refused.value)
    with pytest.raises(IngestError, match="on one line"):
        Sender("http://host", "m", spool=tmp_path, key="one\ntwo")
    silent = parse_spec(SPEC.replace('prediction = "said"\nscore = "score"\n', ""))
    with pytest.raises(SpecError, match="neither prediction nor score"):
        pitstop.watch(LogisticRegression(), "http://localhost:1", silent, spool=tmp_path)

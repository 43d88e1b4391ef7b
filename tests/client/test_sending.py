"""What is logged arrives, whoever is down meanwhile and whoever is killed; the program that predicts never notices."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
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
from pitstop.records.spec import parse_spec
from pitstop.service.ingest.drain import Drain
from pitstop.store.spool import read_all


@pytest.fixture(scope="module")
def victims() -> Iterator[Victims]:
    with Victims() as made:
        yield made


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


def test_a_key_that_is_not_taken_is_no_fault_of_the_batch() -> None:
    """Else the rows of a night in which a key has expired would be set aside, one batch after the other."""
    answers = iter((401, 403, 421, 422, 200))

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(next(answers))
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Print nothing."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        poster = Poster(f"http://127.0.0.1:{server.server_port}", "a key")
        found = [poster.post("m", "predictions", b"rows").outcome for _ in range(5)]
        poster.close()
        server.shutdown()
    assert found == ["later", "later", "later", "refused", "taken"]


def test_what_could_never_work_is_said_at_once(tmp_path: Path) -> None:
    with pytest.raises(IngestError, match="expected one such as"):
        Sender("somewhere", "m", spool=tmp_path)
    silent = parse_spec(SPEC.replace('prediction = "said"\nscore = "score"\n', ""))
    with pytest.raises(SpecError, match="neither prediction nor score"):
        pitstop.watch(LogisticRegression(), "http://localhost:1", silent, spool=tmp_path)

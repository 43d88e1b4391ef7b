"""kill -9 of whoever answers or stores, at any moment: nothing acknowledged is lost, nothing is counted twice.

The form that CI runs has a few kills. All 200 of the promise:

    PITSTOP_KILLS=200 python -m pytest tests/faults/test_kills.py -m slow -n 0
"""

from __future__ import annotations

import json
import os
import random
import shutil
import socket
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from tests.faults.sending import SIZE, Sender
from tests.faults.victims import Victims, specs
from tests.service.ingest.counted import MODEL, check_counts, label_of, rows_of

from pitstop.service.ingest.batch import Batch
from pitstop.service.ingest.cloud_events import Event, batch_of
from pitstop.service.ingest.inbox import Inbox
from pitstop.store.home import Home
from pitstop.store.intake import intakes, quarantined
from pitstop.store.spool import spool_bytes
from pitstop.store.waiting import count_waiting

KILLS = int(os.environ.get("PITSTOP_KILLS", "14"))


def free_port() -> int:
    with socket.socket() as made:
        made.bind(("127.0.0.1", 0))
        return int(made.getsockname()[1])


def verified(workspace: Path, senders: Sequence[Sender]) -> str:
    """Hold what is stored against what was acknowledged, and the profiles against a recount; return how much it was."""
    assert [sender.refused for sender in senders] == [[] for _ in senders]
    blocks = {block for sender in senders for block in sender.predictions}
    labels = {block: flip for sender in senders for block, flip in sender.labels.items()}
    with Home.open(workspace / "records") as home:
        assert quarantined(home) == ()
        ids = home.read_segments("predictions", "m", columns=["@id"])["@id"].to_pylist()
        wanted = {f"id-{number}" for block in blocks for number in range(block * SIZE, (block + 1) * SIZE)}
        # No acknowledged row is lost, none is there twice, and none was made up.
        assert len(ids) == len(set(ids))
        assert set(ids) == wanted
        intake = intakes(home)["m"]
        assert (intake.rows, intake.early) == (len(wanted), 0)
        check_counts(home, MODEL, enough=intake.layout is not None)
        held: dict[str, tuple[int, str]] = {}
        table = home.read_segments("labels", "m")
        for name, label, at in zip(*(table[c].to_pylist() for c in ("@id", "@label", "@label_at")), strict=True):
            held[name] = max(held.get(name, (0, "")), (at, label))
        assert {name: label for name, (_, label) in held.items()} == {
            f"id-{number}": str(label_of(number, flip=flip)["label"])
            for block, flip in labels.items()
            for number in range(block * SIZE, (block + 1) * SIZE)
        }
        assert not home.verify(rows=True).faults
    return f"{len(ids)} rows, {len(held)} labels, {sum(sender.tries for sender in senders)} requests"


@pytest.mark.slow
def test_random_kills_during_mixed_ingest_lose_and_double_nothing(tmp_path: Path) -> None:
    workspace, port, draw = tmp_path / "workspace", free_port(), random.Random(11)
    with Victims() as victims:
        lives = {"api": victims.make("api", workspace, port), "worker": victims.make("worker", workspace)}
        senders = [Sender([port], start, 3) for start in range(3)]
        for sender in senders:
            sender.start()
        killed = {"api": 0, "worker": 0}
        for _ in range(KILLS):
            time.sleep(draw.uniform(0.02, 0.7))
            who = draw.choice(["api", "worker", "worker"])
            victims.kill(lives[who])
            killed[who] += 1
            lives[who] = victims.make(*((who, workspace, port) if who == "api" else (who, workspace)))
        for sender in senders:
            sender.stopping.set()
        for sender in senders:
            sender.join(60)
            assert not sender.is_alive()
        victims.kill(lives["api"])
        victims.kill(lives["worker"])
        assert victims.wait(victims.make("step", workspace, 0)) == 0
    sys.stdout.write(f"{killed}, {verified(workspace, senders)}\n")


def filled(workspace: Path) -> None:
    """Put batches into a spool, half of them stored, so that a store has something to merge, correct and clean up."""
    with Inbox(workspace, specs) as inbox:

        def put(what: str, rows: object, name: str = "") -> None:
            inbox.accept_now(Batch("m", what, "json", json.dumps(rows).encode(), name))  # type: ignore[arg-type]

        def event(kind: str, request: str, body: object) -> None:
            found = Event(kind, request, "2026-01-05T10:00:00.000000Z", body)
            inbox.accept_now(batch_of(MODEL, "m", found, 0)[0])

        put("labels", [label_of(n) for n in range(1_200, 1_230)])
        event("request", "apart", {"instances": [[1.0, 2.0, "c1"], [2.0, 3.0, "c2"]]})
        event("response", "alone", {"predictions": [{"score": 0.5, "said": 1}]})
        for first in range(0, 1_200, 400):
            put("predictions", rows_of(first, 400), f"b{first}")
            with inbox.drain() as drain:
                drain.run_dry()
        put("labels", [label_of(n) for n in range(300)])
        put("predictions", rows_of(1_200, 60), "b1200")
        event("response", "apart", {"predictions": [{"score": 0.25, "said": 0}, {"score": 0.75, "said": 1}]})
        event("response", "together", {"predictions": [{"score": 0.5, "said": 1}]})
        event("request", "together", {"instances": [[3.0, None, "c3"]]})
        event("request", "apart", {"instances": [[1.0, 2.0, "c1"], [2.0, 3.0, "c2"]]})
        put("predictions", [{"id": "odd"}])
    with Inbox(workspace, specs) as inbox:
        inbox.accept_now(Batch("m", "predictions", "json", json.dumps(rows_of(800, 460)).encode(), "again"))
        inbox.accept_now(
            Batch("m", "labels", "json", json.dumps([label_of(n, flip=True, later=5) for n in range(50)]).encode())
        )


def stored(workspace: Path) -> object:
    with Home.open(workspace / "records") as home:
        check_counts(home, MODEL)
        assert not home.verify(rows=True).faults
        profiles = [
            (item.kind, item.window, item.blob)
            for kind in ("predicted", "labelled")
            for item in home.profiles("m", kind)
        ]
        segments = [(item.window, item.rows, item.digest) for item in home.segments("predictions", "m")]
        assert intakes(home)["m"].rows == 1_260 + 3
        assert count_waiting(home) == {"m": 1}
        return intakes(home)["m"], profiles, segments, [entry.reason for entry in quarantined(home)]


@pytest.mark.slow
def test_killed_at_any_step_of_storing_the_next_one_ends_where_nobody_was_killed(tmp_path: Path) -> None:
    first = tmp_path / "first"
    filled(first)
    with Victims() as victims:
        whole = tmp_path / "whole"
        shutil.copytree(first, whole)
        assert victims.wait(victims.make("step", whole, 0)) == 0
        wanted, steps = stored(whole), int(Path(f"{whole}.steps").read_text(encoding="utf-8"))
        assert steps > 40
        every = 1 if os.environ.get("PITSTOP_KILLS") else 11
        for number in range(1, steps + 1, every):
            place = tmp_path / f"killed-{number}"
            shutil.copytree(first, place)
            assert victims.wait(victims.make("step", place, number)) == -9
            assert victims.wait(victims.make("step", place, 0)) == 0
            assert stored(place) == wanted
            assert spool_bytes(place / "spool") == 0
            shutil.rmtree(place)

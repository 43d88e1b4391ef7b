"""A full, read-only or slow disk and a jumping clock: a clear state, no loss, and on it goes by itself."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from tests.faults.victims import ROOT, specs
from tests.service.ingest.counted import MODEL, check_counts, label_of, rows_of

from pitstop.errors import OverloadedError
from pitstop.service.ingest.batch import Batch
from pitstop.service.ingest.commits import GroupCommit
from pitstop.service.ingest.inbox import Inbox
from pitstop.store.home import Home
from pitstop.store.spool import SpoolWriter, encode_record, read_all, spool_files

SCRIPT = r"""
import json, subprocess, sys, time
from pathlib import Path
from pitstop.errors import IngestError, SpoolError
from pitstop.service.ingest.batch import Batch
from pitstop.service.ingest.inbox import Inbox
from pitstop.service.ingest.working import Working
from pitstop.store.home import Home
from tests.faults.victims import specs
from tests.service.ingest.counted import MODEL, check_counts, rows_of

disk, how = Path(sys.argv[1]), sys.argv[2]
workspace, ballast = disk / "workspace", disk / "ballast"
acknowledged = []
working = Working(workspace, specs, pause=0.02, again=0.05)
inbox = Inbox(workspace, specs, free_bytes=0)
inbox.working = working

def send(block):
    rows = rows_of(block * 60, 60)
    inbox.accept_now(Batch("m", "predictions", "json", json.dumps(rows).encode(), f"b{block}"))
    acknowledged.extend(row["id"] for row in rows)

def until(what, true):
    for _ in range(600):
        if true():
            return
        time.sleep(0.05)
    raise SystemExit(f"never: {what}; {inbox.state()}")

def remount(mode):
    subprocess.run(["mount", "-o", f"remount,{mode}", str(disk)], check=True)

for block in range(20):
    send(block)
if how == "full":
    working.start()
    until("stored", lambda: not inbox.state().backlog_bytes)
    ballast.write_bytes(bytes(200_000))
    grown = ballast.open("ab", buffering=0)
    try:
        while True:
            grown.write(bytes(4096))
    except OSError:
        pass
    block = 20
    try:
        while block < 2_000:
            send(block)
            block += 1
    except SpoolError as error:
        assert "full" in str(error), error
    else:
        raise SystemExit("never full")
    state = inbox.state()
    assert not state.ready and any("full" in problem for problem in state.problems), state
    ballast.unlink()
    grown.close()
else:
    # Files that are open for writing would keep the disk from becoming read-only.
    inbox._commits._writer.close()
    remount("ro")
    working.start()
    until("a problem", lambda: "kept but not stored" in working.problem)
    try:
        send(20)
    except SpoolError as error:
        assert "read-only" in str(error), error
    else:
        raise SystemExit("wrote to a read-only disk")
    state = inbox.state()
    assert not state.ready and any("read-only" in problem for problem in state.problems), state
    remount("rw")
    block = 20
for more in range(block, block + 5):
    send(more)
until("ready again", lambda: inbox.state().ready)
until("all stored", lambda: not inbox.state().backlog_bytes)
inbox.close()
working.stop()
with Home.open(workspace / "records") as home:
    ids = home.read_segments("predictions", "m", columns=["@id"])["@id"].to_pylist()
    assert sorted(ids) == sorted(acknowledged), (len(ids), len(acknowledged))
    check_counts(home, MODEL)
    assert not home.verify(rows=True).faults
print("went on with", len(ids))
"""


def mounter() -> list[str] | None:
    """Return a command that runs its arguments where tmpfs can be mounted, unseen by anybody else, or None."""
    for command in (["unshare", "--mount"], ["unshare", "--mount", "--map-root-user"]):
        try:
            done = subprocess.run([*command, "true"], capture_output=True, check=False)
        except FileNotFoundError:
            return None
        if done.returncode == 0:
            return command
    return None


MOUNTER = mounter()


@pytest.mark.parametrize("how", ["full", "readonly"] if MOUNTER else [])
def test_a_disk_that_refuses_is_named_loses_nothing_and_is_survived(tmp_path: Path, how: str) -> None:
    assert MOUNTER is not None
    mount = 'mount -t tmpfs -o size=6m tmpfs "$1" && shift && exec "$@"'
    script = [sys.executable, "-c", SCRIPT, str(tmp_path), how]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [*MOUNTER, "sh", "-c", mount, "sh", str(tmp_path), *script]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, cwd=ROOT)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "went on with" in done.stdout


def batches() -> list[Batch]:
    made = [
        Batch("m", "predictions", "json", json.dumps(rows_of(first, 400)).encode(), f"b{first}")
        for first in range(0, 1_200, 400)
    ]
    return [*made, Batch("m", "labels", "json", json.dumps([label_of(n) for n in range(300)]).encode())]


def test_a_clock_that_jumps_changes_nothing_that_is_found_out(tmp_path: Path) -> None:
    year = 365 * 86_400_000_000
    found: list[Any] = []
    for clock in (lambda: 50 * year, itertools.cycle([50 * year, 0, -year, 130 * year]).__next__):
        workspace = tmp_path / str(len(found))
        with Inbox(workspace, specs, clock=clock) as inbox, inbox.drain() as drain:
            for batch in batches():
                inbox.accept_now(batch)
            drain.run_dry()
            inbox.accept_now(batches()[0])
            assert drain.run_dry().repeated == 1
        with Home.open(workspace / "records") as home:
            check_counts(home, MODEL)
            found.append(
                [
                    [(item.window, item.digest) for item in home.segments("predictions", "m")],
                    [(item.window, item.digest) for item in home.segments("labels", "m")],
                    [(item.window, item.blob) for item in home.profiles("m", "labelled")],
                ]
            )
    assert found[0] == found[1]


def test_a_slow_disk_turns_senders_away_and_keeps_no_more_than_it_says(tmp_path: Path) -> None:
    class Slow(SpoolWriter):
        def append(self, records: Any) -> None:
            time.sleep(0.2)
            super().append(records)

    commits = GroupCommit(Slow(tmp_path), waiting_bytes=50_000)
    record = encode_record({"n": 1}, bytes(5_000), 0)
    taken = 0
    refused: list[int] = []

    async def one() -> None:
        nonlocal taken
        try:
            await commits.commit(record)
            taken += 1
        except OverloadedError as error:
            refused.append(error.retry_after)

    async def many() -> None:
        for _ in range(3):
            await asyncio.gather(*(one() for _ in range(40)))

    asyncio.run(many())
    commits.close()
    assert taken + len(refused) == 120
    assert min(refused) > 0
    assert 0 < taken <= 3 * 10
    assert len(list(read_all(tmp_path))) == taken


def test_a_half_written_spool_is_stored_up_to_its_last_whole_batch(tmp_path: Path) -> None:
    with Inbox(tmp_path, specs) as inbox:
        for batch in batches():
            inbox.accept_now(batch)
    path = spool_files(tmp_path / "spool")[0]
    content = path.read_bytes()
    half = encode_record({"model": "m", "kind": "predictions", "format": "json"}, b"[]" * 900, 1)[:700]
    path.write_bytes(content + half + bytes(300))
    with Inbox(tmp_path, specs) as inbox, inbox.drain() as drain:
        assert drain.run_dry().batches == 4
        assert not spool_files(tmp_path / "spool")
        state = inbox.state()
        assert (state.ready, state.backlog_bytes, state.quarantined) == (True, 0, 0)
        check_counts(drain.home, MODEL)

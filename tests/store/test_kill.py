"""kill -9 at any point: reopening shows exactly the committed transactions, and the journal verifies.

A helper process imports everything once and forks a writer for each run, so that a run costs milliseconds. The
writer notes each commit in a file after it was acknowledged.
"""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pitstop.store.home import Home

HELPER = r"""
import os, sys
import numpy as np, pyarrow as pa
import sqlalchemy as sa
from pathlib import Path
import pitstop.store.transaction as transaction_module
import pitstop.store.catalog
from pitstop.store.home import Home

def rows(n):
    return pa.table({"v": [n] * 20, "c": pa.array([f"c{n}"] * 20).dictionary_encode()})

def put(home, n):
    with home.transaction() as tx:
        assert tx.add_segment("predictions", "m", n, f"b{n}", rows(n)) is not None
        if n:
            assert tx.add_segment("predictions", "m", n - 1, f"b{n - 1}", rows(n)) is None
        assert tx.add_segment("labels", "m", n, f"b{n}", rows(-n)) is not None
        tx.put_profile("m", "rows", n, bytes(1000), f"p{n}")
        tx.put_signals("m", n, [("s", None, n, n, n)])
        tx.put_file(f"model {n}".encode())
        for i in range(2):
            tx.put_artifact({"n": n}, "alarm", f"alarm-{n}-{i}", n, [], "m")
        tx.save_state("m", n, {"n": n, "a": np.arange(n % 7)})

def die_at(step):
    # Count every call that changes the disk; die instead of doing number `step`.
    left = [step]
    def counted(owner, name, after=False):
        real = getattr(owner, name)
        def wrapped(*args, **kwargs):
            left[0] -= 1
            if left[0] == 0:
                os.kill(os.getpid(), 9)
            result = real(*args, **kwargs)
            if after:
                left[0] -= 1
                if left[0] == 0:
                    os.kill(os.getpid(), 9)
            return result
        setattr(owner, name, wrapped)
    counted(os, "fsync")
    counted(Path, "replace")
    counted(Path, "mkdir")
    counted(transaction_module, "append", after=True)
    counted(sa.RootTransaction, "commit", after=True)

def work(folder, step, count):
    if step:
        die_at(step)
    acked = os.open(folder + ".acked", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    with Home.open(folder) as home:
        state = home.load_state("m")
        start = 0 if state is None else state.values["n"] + 1
        for n in range(start, start + count):
            put(home, n)
            os.write(acked, f"{n}\n".encode())

for line in sys.stdin:
    folder, step, count = line.rstrip("\n").split("\t")
    child = os.fork()
    if child == 0:
        try:
            work(folder, int(step), int(count))
        except BaseException:
            import traceback
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    print(child, flush=True)
    print(os.waitpid(child, 0)[1], flush=True)
"""


def acknowledged(folder: Path) -> int:
    path = Path(f"{folder}.acked")
    return len(path.read_text().split()) if path.exists() else 0


class Helper:
    """Starts writers; `run` returns the wait status of one."""

    def __init__(self) -> None:
        environment = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        self.process = subprocess.Popen(
            [sys.executable, "-c", HELPER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )

    def run(self, folder: Path, *, step: int = 0, count: int = 1, seconds: float | None = None, acks: int = 0) -> int:
        """Run a writer; with `seconds`, kill it that long after its commit number `acks` was acknowledged."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        before = acknowledged(folder)
        self.process.stdin.write(f"{folder}\t{step}\t{count}\n")
        self.process.stdin.flush()
        child = int(self.process.stdout.readline())
        if seconds is not None:
            deadline = time.monotonic() + 60
            while acknowledged(folder) < before + acks and time.monotonic() < deadline:
                time.sleep(0.002)
            time.sleep(seconds)
            os.kill(child, signal.SIGKILL)
        return int(self.process.stdout.readline())

    def close(self) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()


@pytest.fixture
def folder() -> Iterator[Path]:
    """Return a folder in memory where there is one: what a killed process wrote survives it there as on a disk."""
    shelf = Path("/dev/shm")  # noqa: S108 - only a place for a fresh folder of its own
    made = Path(tempfile.mkdtemp(dir=shelf if shelf.is_dir() else None))
    yield made
    shutil.rmtree(made)


@pytest.fixture(scope="module")
def helper() -> Iterator[Helper]:
    made = Helper()
    yield made
    made.close()


def check(folder: Path, *, rows: bool) -> int:
    """Return the number of committed transactions, after comparing all that is kept with it."""
    acked = acknowledged(folder)
    with Home.open(folder) as home:
        state = home.load_state("m")
        count = 0 if state is None else int(state.values["n"]) + 1
        # What was acknowledged is there; one more may have been committed before it could be acknowledged.
        assert acked <= count
        named = set()
        for kind, sign in (("predictions", 1), ("labels", -1)):
            segments = home.segments(kind, "m")  # type: ignore[arg-type] # a literal in a loop
            assert [item.batch_id for item in segments] == [f"b{n}" for n in range(count)]
            table = home.read_segments(kind, "m", columns=["v"])  # type: ignore[arg-type] # as above
            assert table.num_rows == 20 * count
            assert not count or table["v"].to_pylist()[::20] == [sign * n for n in range(count)]
            named |= {item.key for item in segments}
        assert [item.window for item in home.profiles("m", "rows")] == list(range(count))
        assert [row.value for _, row in home.signals("m")] == list(range(count))
        assert [item.id for item in home.artifacts()] == [f"alarm-{n}-{i}" for n in range(count) for i in range(2)]
        assert len(home.journal()) == 4 * count
        home.verify(rows=rows).require()
        for n in range(count):
            digest = hashlib.sha256(f"model {n}".encode()).hexdigest()
            assert home.read_file(digest) == f"model {n}".encode()
            named.add(f"artifacts/{digest[:2]}/{digest[2:]}")
        tops = [folder / "segments", folder / "artifacts", folder / "tmp"]
        found = {path.relative_to(folder).as_posix() for top in tops for path in top.rglob("*") if path.is_file()}
        assert found == named
    Path(f"{folder}.acked").write_text("".join(f"{n}\n" for n in range(count)))
    return count


@pytest.mark.parametrize("stride", [12, pytest.param(1, marks=pytest.mark.slow)])
def test_killed_at_every_step_of_the_first_transactions(folder: Path, helper: Helper, stride: int) -> None:
    """A fresh home each time, killed before its first, second, ... change to the disk, until a run gets through."""
    counts = []
    for step in range(1, 400, stride):
        home = folder / f"home{step}"
        if helper.run(home, step=step, count=2) == 0:
            break
        counts.append(check(home, rows=True))
        assert helper.run(home, count=1) == 0
        assert check(home, rows=True) == counts[-1] + 1
    else:
        pytest.fail("the steps never ended")
    # The kills covered the making of the home and both transactions.
    assert counts == sorted(counts)
    assert counts[0] == 0
    assert len(counts) > 24 / stride
    assert stride > 1 or set(counts) == {0, 1, 2}


@pytest.mark.parametrize("kills", [6, pytest.param(30, marks=pytest.mark.slow)])
def test_killed_again_and_again_at_random(folder: Path, helper: Helper, kills: int) -> None:
    """The same home, again and again; each run goes on from what the last one left."""
    home = folder / "home"
    chance = random.Random(2)
    counts = []
    for kill in range(kills):
        # Some die while they open the home, most while they work.
        acks = kill % 3
        status = helper.run(home, count=1000, seconds=chance.random() * 0.05, acks=acks)
        assert os.WIFSIGNALED(status)
        assert os.WTERMSIG(status) == signal.SIGKILL
        counts.append(check(home, rows=kill == kills - 1))
    assert counts == sorted(counts)
    # Every kill that waited for commits left at least those.
    assert counts[-1] >= sum(kill % 3 for kill in range(kills))

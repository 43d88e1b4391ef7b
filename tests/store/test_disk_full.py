"""A full disk: a clear error, nothing half-written, and on it goes when there is room again."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = r"""
import os, resource, sys
import pyarrow as pa
from pathlib import Path
from pitstop.errors import StoreError
from pitstop.store.home import Home

folder, place = Path(sys.argv[1]), sys.argv[2]
home_folder = folder / "home"

def limit(size):
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

def put(home, n, size):
    with home.transaction() as tx:
        tx.add_segment("labels", "m", n, f"b{n}", pa.table({"v": [n] * 10}))
        tx.put_profile("m", "rows", n, os.urandom(20_000), f"p{n}")
        tx.put_file(n.to_bytes(4, "big") * (size // 4))
        tx.put_artifact({"n": n}, "alarm", f"alarm-{n}", n, [], "m")

def counts(home):
    kept = [home.segments("labels", "m"), home.profiles("m", "rows"), home.artifacts(), home.journal()[::2]]
    return [len(items) for items in kept]

def left_over():
    tops = [home_folder / name for name in ("segments", "artifacts", "tmp")]
    return sum(path.is_file() for top in tops for path in top.rglob("*"))

size = {"tmpfs": 50_000, "file": 200_000, "catalog": 4}[place]
ballast = folder / "ballast"
if place == "tmpfs":
    ballast.write_bytes(bytes(1_000_000))
with Home.open(home_folder) as home:
    put(home, 0, 4_000)
    if place == "file":
        limit(150_000)  # the model's file does not fit
    if place == "catalog":
        limit((home_folder / "catalog.sqlite-wal").stat().st_size + 30_000)  # the catalog's log does not
    n = 1
    try:
        while n < 500:
            put(home, n, size)
            n += 1
    except StoreError as error:
        message = str(error)
    else:
        raise SystemExit("never full")
    assert "run again" in message and "nothing of this step was kept" in message, message
    assert counts(home) == [n] * 4, (n, counts(home))
    home.verify(rows=True).require()
    try:
        put(home, n, size)
    except StoreError:
        pass  # still full
    else:
        n += 1
    assert counts(home) == [n] * 4, (n, counts(home))
    if place == "tmpfs":
        ballast.unlink()
    else:
        limit(resource.RLIM_INFINITY)
    put(home, n, size)
    n += 1
    assert counts(home) == [n] * 4
    assert left_over() == 2 * n, (left_over(), n)
with Home.open(home_folder) as home:
    assert counts(home) == [n] * 4
    home.verify(rows=True).require()
    assert left_over() == 2 * n
print("went on after", n)
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
PLACES = ["file", "catalog", *(["tmpfs"] if MOUNTER else [])]


@pytest.mark.parametrize("place", PLACES)
def test_a_full_disk_loses_nothing_and_is_survived(tmp_path: Path, place: str) -> None:
    command = [sys.executable, "-c", SCRIPT, str(tmp_path), place]
    if place == "tmpfs" and MOUNTER:
        mount = 'mount -t tmpfs -o size=3m tmpfs "$1" && shift && exec "$@"'
        command = [*MOUNTER, "sh", "-c", mount, "sh", str(tmp_path), *command]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "went on after" in done.stdout

"""What the README says about running for a team works as it is written, against a service that was started so."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.request import urlopen

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from pitstop.errors import StoreError

README = (Path(__file__).resolve().parent.parent.parent / "README.md").read_text(encoding="utf-8")
SECTION = README.partition("## For a team\n")[2].partition("\n## ")[0]
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", SECTION, re.MULTILINE | re.DOTALL)
LINES = [line for kind, text in BLOCKS if kind == "sh" for line in text.replace("\\\n", " ").splitlines()]
USUAL = "http://127.0.0.1:8765"
PITSTOP = (sys.executable, "-c", "from pitstop.cli.main import run; run()")


@pytest.fixture
def service(tmp_path: Path) -> Iterator[str]:
    """Run `init` and `up` as the README does, on some of the bookings in the package; return the address."""
    import pitstop.data  # noqa: PLC0415 - only to find the file beside it

    table = pq.read_table(Path(pitstop.data.__file__).parent / "hotel_bookings.parquet").slice(0, 3_000)
    pq.write_table(table, tmp_path / "bookings.parquet")
    new = table.slice(0, 40).drop_columns(["is_canceled", "resolved_on"])
    names = pa.array([f"b{number}" for number in range(40)])
    new = new.set_column(new.schema.get_field_index("booking_id"), "booking_id", names)
    pa.csv.write_csv(new, tmp_path / "new_rows.csv")
    (init,) = re.findall(r"^pitstop (init .*)$", README, re.MULTILINE)
    subprocess.run([*PITSTOP, *shlex.split(init), "--id", "booking_id"], cwd=tmp_path, check=True, capture_output=True)
    (up,) = (line.partition("#")[0] for line in LINES if line.startswith("pitstop up"))
    process = subprocess.Popen(
        [*PITSTOP, *shlex.split(up)[1:], "--port", "0"],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    with process:
        assert process.stderr is not None
        address = process.stderr.readline().partition(" at ")[2].split()[0].rstrip("/")
        assert wait(lambda: urlopen(f"{address}/healthz", timeout=5).status == 200)  # noqa: S310 - our own server
        yield address
        process.terminate()


def wait(what: object, seconds: float = 60) -> bool:
    """Return whether it became true in time."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            if what():  # type: ignore[operator] # a function
                return True
        except (OSError, StoreError):
            pass  # the server, or the worker that makes the store, is not there yet
        time.sleep(0.2)
    return False


@pytest.mark.slow
def test_rows_and_labels_go_in_as_the_readme_says(service: str, tmp_path: Path) -> None:
    curls = [line for line in LINES if line.startswith("curl")]
    assert len(curls) == 2
    for line in curls:
        argv = [*shlex.split(line.replace(USUAL, service)), "--silent", "--show-error", "--fail-with-body"]
        done = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout
        assert json.loads(done.stdout)["rows"] in {40, 1}
    (program,) = (text for kind, text in BLOCKS if kind == "py")
    # The same rows again, from another program: the service has to tell them from new ones by their ids.
    text = program.replace(USUAL, service) + "\nsender.close()\n"
    subprocess.run([sys.executable, "-c", text], cwd=tmp_path, check=True, timeout=120)

    def stored() -> bool:
        return _received(tmp_path, "predictions") == 40 and _received(tmp_path, "labels") == 1

    assert wait(stored), (_received(tmp_path, "predictions"), _received(tmp_path, "labels"))
    with urlopen(f"{service}/v1/models/bookings", timeout=10) as answer:  # noqa: S310 - our own server
        assert json.load(answer)["name"] == "bookings"


def _received(folder: Path, kind: str) -> int:
    """Return how many different ids the workspace has received."""
    from pitstop.store.home import Home  # noqa: PLC0415 - the service makes it

    with Home.open(folder / "pitstop-workspace" / "records", read_only=True) as home:
        rows = home.read_segments(kind, "bookings")  # type: ignore[arg-type] # one of two
    names = [name for name in rows.column_names if name.endswith("id")]
    return int(pc.count_distinct(rows[names[0]]).as_py()) if names else 0

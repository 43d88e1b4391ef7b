"""Cold start: processes that begin with nothing loaded, as a terminal or a CI job does.

They run in an environment that holds what Pitstop needs and nothing else: pyarrow imports pandas where it finds it,
which takes longer than a whole check.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import time
from pathlib import Path

import pyarrow as pa

from benchmarks.speed_workload import plain, write

SOURCE = Path(__file__).resolve().parent.parent / "src"
_IMPORT = "import time; start = time.perf_counter(); import pitstop; print(time.perf_counter() - start)"
_COMMAND = "from pitstop.cli.main import run; run()"


def cold_start(python: Path, home: Path, table: pa.Table, runs: int) -> dict[str, float]:
    """Return the median milliseconds of the import alone, of `--help`, and of `check` on two halves of `table`."""
    columns = [name for name in table.column_names if name not in {"score", "predicted"}]
    whole = plain(table).select(columns)
    half = whole.num_rows // 2
    write(whole.slice(0, half), home / "before.parquet")
    write(whole.slice(half), home / "after.parquet")
    check = [_COMMAND, "check", str(home / "before.parquet"), str(home / "after.parquet")]
    return {
        "import pitstop": statistics.median(1e3 * float(_run(python, [_IMPORT])[1]) for _ in range(runs)),
        "pitstop --help": statistics.median(1e3 * _run(python, [_COMMAND, "--help"])[0] for _ in range(runs)),
        "pitstop check, 10,000 rows": statistics.median(1e3 * _run(python, check)[0] for _ in range(runs)),
    }


def own_install() -> int:
    """Return the bytes of the files that Pitstop's own wheel installs."""
    files = (path for path in (SOURCE / "pitstop").rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return sum(path.stat().st_size for path in files)


def _run(python: Path, arguments: list[str]) -> tuple[float, str]:
    """Run Python code and return its seconds and what it printed. `check` says with 1 that it found something."""
    start = time.perf_counter()
    done = subprocess.run(
        [str(python), "-c", *arguments],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"PYTHONPATH": str(SOURCE), "NO_COLOR": "1"},
    )
    seconds = time.perf_counter() - start
    if done.returncode not in {0, 1} or (done.returncode == 1 and "Traceback" in done.stderr):
        msg = f"{arguments} ended with {done.returncode}: {done.stderr[-500:]}"
        raise RuntimeError(msg)
    return seconds, done.stdout

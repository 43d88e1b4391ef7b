"""Memory and time of a pass over 100 million rows and over 5,000 columns; Spark's counts beside the local ones.

Full: 100 million rows x 30 columns (17 GB in a temporary folder, removed at the end). Quick: 5 million. The tables are
drawn here. Spark runs in the environment `benchmarks/peers/spark.txt` and needs Java 17.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from benchmarks import scale_models, scale_tables
from benchmarks.environments import PeerError, ask
from benchmarks.result import Bar, MissingDataError, Result

ROOT = Path(__file__).resolve().parent.parent
GIB = 1 << 30
_SMALL = 1_000_000
_PAUSE = 0.02


def run(quick: bool, data: Path | None) -> Result:  # noqa: ARG001 - the frame's signature; the tables are drawn here
    """Write the tables, measure each pass in a process of its own, and remove them."""
    tall, wide, spread = (5_000_000, 20_000, 4_000_000) if quick else (100_000_000, 100_000, 12_000_000)
    folder = Path(tempfile.mkdtemp(prefix="pitstop-scale-"))
    try:
        _require_space(folder, 2 * tall * scale_tables.TALL_COLUMNS * 8)
        names = ("small", "tall", "wide", "skewed", "wide_small", "spread")
        files = {name: folder / f"{name}.parquet" for name in names}
        scale_tables.write_plain(files["small"], _SMALL, scale_tables.TALL_COLUMNS)
        scale_tables.write_plain(files["tall"], tall, scale_tables.TALL_COLUMNS)
        # A thousand rows a day in either form: a window costs a little in each column, whatever it holds.
        scale_tables.write_plain(files["wide"], wide, scale_tables.WIDE_COLUMNS, 20_000, days=wide // 1_000)
        scale_tables.write_plain(files["wide_small"], 2_000, 1_000, 500)
        # Of a table that is counted in a second, what a cluster costs for each job would be all that is seen.
        scale_tables.write_plain(files["spread"], spread, scale_tables.TALL_COLUMNS)
        scale_tables.write_skewed(files["skewed"], 300_000 if quick else 2_000_000, 1_000_000)
        small = min((_measured(files["small"]) for _ in range(3)), key=lambda item: item["processor"])
        rows = {
            f"1 million x {scale_tables.TALL_COLUMNS}": small,
            f"{tall // _SMALL} million x {scale_tables.TALL_COLUMNS}": _measured(files["tall"]),
            f"{wide:,} x {scale_tables.WIDE_COLUMNS:,}": _measured(files["wide"]),
            "skewed": _measured(files["skewed"]),
            f"check, 1 and {tall // _SMALL} million x {scale_tables.TALL_COLUMNS}": _measured(
                files["small"], files["tall"]
            ),
        }
        _, tall_pass, wide_pass, _, check = rows.values()
        bars = [
            _memory("scale.3a", tall_pass, "peak memory of the tall pass, GiB"),
            _time("scale.3b", tall_pass, small, "processor time a value of the tall pass, to that of 1 million rows"),
            _memory("scale.3c", wide_pass, "peak memory of the wide pass, GiB"),
            _time("scale.3d", wide_pass, small, "processor time a value of the wide pass, to that of 1 million rows"),
            _memory("scale.3e", check, "peak memory of `check` on the tall table, GiB"),
        ]
        lines = [_line(name, measured) for name, measured in rows.items()]
        lines += scale_models.measure(quick, folder)
        bars += _spark(files, spread, lines)
        return Result(tuple(lines), tuple(bars))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _spark(files: dict[str, Path], spread: int, lines: list[dict[str, Any]]) -> list[Bar]:
    variables = {"PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'src'}", "SPARK_LOCAL_IP": "127.0.0.1"}
    shapes = [str(files[name]) for name in ("small", "wide_small", "skewed")]
    try:
        argv = (*shapes, "--timed", str(files["spread"]))
        found = ask("spark", ROOT / "benchmarks" / "scale_spark.py", *argv, seconds=1800, variables=variables)
    except PeerError as error:
        lines.append({"pass": f"spark: {error}"})
        found = {"shapes": {}, "seconds": {}}
    seconds = found["seconds"]
    lines += [
        {"pass": f"spark beside local, {name}", "counts that differ": many} for name, many in found["shapes"].items()
    ]
    timed = f"{spread // _SMALL} million x 30"
    lines += [{"pass": f"spark, {many} worker(s), {timed}", "seconds": value} for many, value in seconds.items()]
    differing = float(sum(found["shapes"].values())) if len(found["shapes"]) == len(shapes) else None
    faster = seconds["1"] / seconds["2"] if len(seconds) == 2 else None
    return [
        Bar("scale.5a", differing, 0.0, "at most", "counts that differ between Spark and local, 3 table shapes"),
        Bar("scale.5b", faster, 1.3, "at least", "times faster with two Spark workers than with one (idle machine)"),
    ]


def _measured(*paths: Path) -> dict[str, float]:
    """Run one pass in a process group of its own; return its figures, `peak` the most memory of the whole group."""
    command = [sys.executable, "-m", "benchmarks.scale_pass", *map(str, paths)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
        peak, over = [0], threading.Event()
        watcher = threading.Thread(target=_watch, args=(process.pid, peak, over))
        watcher.start()
        output = process.stdout.read() if process.stdout is not None else ""
        code = process.wait()
        over.set()
        watcher.join()
    if code != 0:
        msg = f"{' '.join(command)} ended with {code}"
        raise RuntimeError(msg)
    figures: dict[str, float] = json.loads(output.strip().splitlines()[-1])
    return figures | {"peak": float(peak[0])}


def _watch(group: int, peak: list[int], over: threading.Event) -> None:
    """Keep the largest sum of resident memory of a process group."""
    page = os.sysconf("SC_PAGE_SIZE")
    while not over.is_set():
        total = 0
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                stat = (folder / "stat").read_text(encoding="ascii").rpartition(")")[2].split()
            except OSError:
                continue  # it ended between the listing and the reading
            if int(stat[2]) == group:
                total += int(stat[21]) * page
        peak[0] = max(peak[0], total)
        time.sleep(_PAUSE)


def _line(name: str, figures: dict[str, float]) -> dict[str, Any]:
    line: dict[str, Any] = {"pass": name}
    line |= {"seconds": figures["seconds"], "processor, s": figures["processor"]}
    line["processor, ns a value"] = figures["processor"] / figures["values"] * 1e9
    line["peak, GiB"] = figures["peak"] / GIB
    if "windows" in figures:
        line["profile, bytes a window"] = figures["bytes"]
    return line


def _memory(name: str, figures: dict[str, float], text: str) -> Bar:
    return Bar(name, figures["peak"] / GIB, 1.5, "at most", text)


def _time(name: str, figures: dict[str, float], base: dict[str, float], text: str) -> Bar:
    each, usual = (item["processor"] / item["values"] for item in (figures, base))
    return Bar(name, each / usual, 1.3, "at most", text)


def _require_space(folder: Path, size: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < size:
        msg = f"{size / 1e9:.0f} GB of disk are needed in {folder.parent}, and {free / 1e9:.0f} GB are free; set TMPDIR"
        raise MissingDataError(msg)

"""`pitstop doctor`: what works on this machine and what does not, with a way out for each."""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import json
import os
import platform
import shutil
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.console import Console
from rich.markup import escape

from pitstop.version import __version__

Status = Literal["ok", "limited", "failed"]
Importer = Callable[[str], Any]

NEEDED = ("numpy", "pyarrow", "scikit-learn", "SQLAlchemy", "typer", "rich", "cryptography")
# What each optional package adds; none of them is imported here.
OPTIONAL = {
    "pandas": "tables made with pandas can be passed in",
    "polars": "tables made with Polars can be passed in",
    "duckdb": "tables made with DuckDB can be passed in",
}
OLDEST_PYTHON = (3, 11)
MEBIBYTE = 2**20
LITTLE_DISK = 1024 * MEBIBYTE
NO_DISK = 64 * MEBIBYTE
# No version of Pitstop is older: a clock before it stands wrong, and labels would seem to arrive before predictions.
EARLIEST_NOW = datetime(2026, 1, 1, tzinfo=UTC)
LATEST_NOW = datetime(2100, 1, 1, tzinfo=UTC)
# A second is enough for file systems that keep whole seconds; more means that a server's clock differs from ours.
FILE_CLOCK_SECONDS = 2.0


@dataclass(frozen=True)
class Check:
    """One thing that was looked at. `advice` is empty where nothing has to be done."""

    name: str
    status: Status
    detail: str
    advice: str = ""


def check_python(version: tuple[int, ...] = sys.version_info[:3]) -> Check:
    """Check the interpreter's version."""
    text = f"Python {'.'.join(map(str, version))} on {platform.system()} {platform.machine()}"
    if version[:2] < OLDEST_PYTHON:
        return Check("python", "failed", text, "install Python 3.11 or newer")
    return Check("python", "ok", text)


def check_packages(names: tuple[str, ...] = NEEDED) -> Check:
    """Check that the packages that Pitstop needs are installed, and name their versions."""
    found, missing = [f"pitstop {__version__}"], []
    for name in names:
        try:
            found.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            missing.append(name)
    if missing:
        return Check("packages", "failed", f"missing: {', '.join(missing)}", f"pip install {' '.join(missing)}")
    return Check("packages", "ok", ", ".join(found))


def check_kernels(importer: Importer = importlib.import_module) -> Check:
    """Check that the compiled counting kernels load on this processor and system."""
    try:
        kernels = importer("pitstop.statistics.kernels")
    except ImportError as error:
        advice = (
            "reinstall with a wheel for this platform, or where a C compiler is: pip install --force-reinstall pitstop"
        )
        return Check("kernels", "failed", str(error), advice)
    return Check("kernels", "ok", f"{kernels.LIBRARY.name} loads")


def check_isolation(importer: Importer = importlib.import_module) -> Check:
    """Check which walls stand around the process that runs a user's training code."""
    try:
        isolation = importer("pitstop.retraining.isolation").probe_isolation()
    except ImportError as error:
        return Check("isolation", "failed", f"the sandbox cannot be used: {error}", "reinstall pitstop")
    detail = " ".join(isolation.sentences())
    if all((isolation.network, isolation.processes, isolation.hidden, isolation.memory, isolation.ordinary_user)):
        return Check("isolation", "ok", detail)
    advice = "run trainers that you do not trust only on Linux, as an ordinary user who may make user namespaces"
    return Check("isolation", "limited", detail, advice)


def check_optional() -> Check:
    """Say which optional packages are there. Their absence is no fault."""
    present = [name for name in OPTIONAL if importlib.util.find_spec(name) is not None]
    absent = [f"{name} (then {gain})" for name, gain in OPTIONAL.items() if name not in present]
    detail = f"present: {', '.join(present) or 'none'}"
    return Check("optional", "ok", f"{detail}; absent: {', '.join(absent)}" if absent else detail)


def check_space(place: Path, free: int) -> Check:
    """Check that `free` bytes at `place` are enough to keep records."""
    text = f"{free / MEBIBYTE:,.0f} MiB free at {place}"
    if free < NO_DISK:
        return Check("disk", "failed", text, "make room, or name another folder with --home")
    if free < LITTLE_DISK:
        return Check("disk", "limited", text, "make room soon: a busy model fills this in days")
    return Check("disk", "ok", text)


def check_writing(place: Path) -> tuple[Check, Check]:
    """Check that a home in `place` can be written, and that its database and its clock work. Leaves nothing behind."""
    try:
        with tempfile.TemporaryDirectory(prefix=".pitstop-doctor-", dir=place) as folder:
            probe = Path(folder) / "probe"
            before = time.time()
            with probe.open("wb") as file:
                file.write(b"x" * 4096)
                file.flush()
                os.fsync(file.fileno())
            written = probe.stat().st_mtime
            mode = _journal_mode(Path(folder) / "probe.sqlite")
    except (OSError, sqlite3.Error) as error:
        advice = "choose a folder that you may write to, with --home"
        failure = Check("home", "failed", f"cannot write to {place}: {error}", advice)
        return failure, check_clock(datetime.now(tz=UTC), 0.0)
    home = Check("home", "ok", f"{place} can be written, files are synced, SQLite journals in {mode} mode")
    if mode != "wal":
        advice = "use a local disk: on this one, SQLite cannot let readers and a writer work together"
        home = Check("home", "limited", f"SQLite at {place} works in {mode} mode, not in wal mode", advice)
    return home, check_clock(datetime.now(tz=UTC), written - before)


def _journal_mode(database: Path) -> str:
    connection = sqlite3.connect(database)
    try:
        return str(connection.execute("PRAGMA journal_mode=wal").fetchone()[0])
    finally:
        connection.close()


def check_clock(now: datetime, file_offset: float) -> Check:
    """Check the wall clock `now` (aware) and how many seconds the file system's clock is ahead of it."""
    text = now.astimezone(UTC).isoformat(timespec="seconds")
    if not EARLIEST_NOW <= now <= LATEST_NOW:
        return Check(
            "clock", "failed", f"the clock says {text}", "set the clock (NTP); time decides what was known when"
        )
    if abs(file_offset) > FILE_CLOCK_SECONDS:
        detail = f"files are stamped {file_offset:+.1f} s from the clock ({text})"
        return Check("clock", "limited", detail, "synchronise the clocks of this machine and of its file server (NTP)")
    return Check("clock", "ok", text)


def existing_folder(home: Path) -> Path:
    """Return `home`, or its nearest ancestor that exists: where a new home would be made."""
    place = home.absolute()
    while not place.exists() and place != place.parent:
        place = place.parent
    return place


def examine(home: Path) -> list[Check]:
    """Look at everything once, for a home in the folder `home`, which need not exist and is not made."""
    place = existing_folder(home)
    writing, clock = check_writing(place)
    free = shutil.disk_usage(place).free
    return [
        *(check_python(), check_packages(), check_kernels(), check_isolation(), check_optional()),
        *(check_space(place, free), writing, clock),
    ]


def doctor(
    home: Annotated[Path, typer.Option("--home", help="The folder that records are or will be kept in.")] = Path(),
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Tell what works here and what does not: versions, kernels, sandbox, optional parts, disk and clock.

    The exit code is 1 if something that Pitstop needs fails; what is only limited, or absent and optional, is 0.
    """
    checks = examine(home)
    works = all(check.status != "failed" for check in checks)
    if as_json:
        typer.echo(json.dumps({"works": works, "checks": [asdict(check) for check in checks]}, indent=2))
    else:
        console = Console(highlight=False)
        colours = {"ok": "green", "limited": "yellow", "failed": "red"}
        for check in checks:
            label = f"[{colours[check.status]}]{check.status:8}[/]"
            console.print(f"{label} {check.name:10} {escape(check.detail)}", soft_wrap=True)
            if check.advice:
                console.print(f"{'':8} {'':10} -> {escape(check.advice)}", soft_wrap=True)
    if not works:
        raise typer.Exit(1)

"""What `replay`, `run` and `demo` share: a progress bar, and writing a result where it was asked for."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from pitstop.errors import StoreError

if TYPE_CHECKING:
    from pitstop.replays.result import ReplayResult
    from pitstop.replays.walk import Progress as Report


@contextmanager
def progress_bar(text: str, *, kept: bool = True) -> Iterator[Report]:
    """Show a bar on the error stream while the block runs; yields what a replay reports to.

    `kept` says that work which is interrupted can go on; whoever interrupts it is told.
    """
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f}%"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    console = Console(stderr=True)
    try:
        # In a log file a bar is noise.
        with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
            task = bar.add_task(text, total=None)

            def report(name: str, done: int, total: int) -> None:
                bar.update(task, completed=done, total=total, description=f"{text} {name}")

            yield report
    except KeyboardInterrupt:
        rest = "what was done is kept, and the same command goes on from there" if kept else "nothing was kept"
        print(f"pitstop: interrupted; {rest}", file=sys.stderr, flush=True)
        raise


@contextmanager
def interrupted_quietly() -> Iterator[None]:
    """Let Ctrl-C and SIGTERM be the usual end of a command that goes on until it is told to stop."""

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    except KeyboardInterrupt:
        return
    finally:
        signal.signal(signal.SIGTERM, before)


def require_folder(path: Path) -> None:
    """Raise `StoreError` where a page could not be written to `path`, before the work that it is to show."""
    if path.is_dir() or not path.parent.is_dir():
        why = "it is a folder" if path.is_dir() else f"there is no folder {path.parent}"
        msg = f"cannot write {path}: {why}; name another file with --html"
        raise StoreError(msg)


def write_page(path: Path, page: str) -> None:
    """Write a page whole or not at all. Raises `StoreError` naming the path and the way out."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        part.write_text(page, encoding="utf-8")
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        msg = f"cannot write {path}: {error.strerror or error}; name another file with --html"
        raise StoreError(msg) from error


def show(result: ReplayResult, *, as_json: bool, html: Path | None, then: Callable[[], None] | None = None) -> None:
    """Print a replay's result as JSON or as a table, and write its report. `then` prints what follows the table."""
    from pitstop.replays.replay import to_json  # noqa: PLC0415 - heavy, and `pitstop --help` must be fast
    from pitstop.report.terminal import replay_summary  # noqa: PLC0415 - as above

    if html is not None:
        write_page(html, result.page())
    if as_json:
        # Flushed, because a demo goes on serving and a pipe would wait for the end of it.
        print(to_json(result), flush=True)
        return
    console = Console()
    for part in replay_summary(result.story):
        console.print(part)
    if then is not None:
        console.print()
        then()
    if html is not None:
        console.print(f"\nReport: {html}", soft_wrap=True, highlight=False)

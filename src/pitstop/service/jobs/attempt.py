"""One try of a job: starts the child process, passes its progress on, and stops it where it takes too long."""

from __future__ import annotations

import json
import queue
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

_LOOK_SECONDS, _PATIENCE_SECONDS = 0.5, 5.0
_LAST_WORDS, _LAST_LINES = 2_000, 200

Report = Callable[[str, int, int], bool]


def attempt(workspace: Path, job: Mapping[str, Any], seconds: float, report: Report) -> dict[str, Any]:
    """Run one try and return how it ended: `end` is done, waiting, failed, again or cancelled, and `outcome` says more.

    `report` is told how far it is, and returns whether it is to be stopped; it is asked twice a second at least. A try
    that takes longer than `seconds` is killed and has failed; one whose process dies by itself is to be tried again.
    """
    message = json.dumps({**job, "workspace": str(workspace)}) + "\n"
    argv = [sys.executable, "-m", "pitstop.service.jobs.child"]
    child = subprocess.Popen(
        argv,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        errors="replace",  # what a library prints may be anything
    )
    assert child.stdin is not None  # noqa: S101 - pipes were asked for; for the type checker
    lines: queue.Queue[str | None] = queue.Queue()
    words: deque[str] = deque(maxlen=_LAST_LINES)
    readers = [
        threading.Thread(target=_read, args=(child.stdout, lines.put), daemon=True),
        threading.Thread(target=_read, args=(child.stderr, lambda line: words.append(line or "")), daemon=True),
    ]
    try:
        for reader in readers:
            reader.start()
        try:
            child.stdin.write(message)
            child.stdin.flush()  # and left open: its end tells the child that we are gone
        except BrokenPipeError:
            pass  # it has died already, and its exit is told below
        ended = _watched(lines, time.monotonic() + seconds, report, seconds)
        if ended is None:
            readers[1].join(_PATIENCE_SECONDS)  # its last words may still be on their way
            ended = _died(child, words)
        return ended
    finally:
        child.kill()
        child.wait()
        with suppress(BrokenPipeError):  # what it died without reading
            child.stdin.close()
        for reader in readers:
            reader.join(_PATIENCE_SECONDS)


def _watched(lines: queue.Queue[str | None], until: float, report: Report, seconds: float) -> dict[str, Any] | None:
    """Return how the child says that it ended; None where it died without a word."""
    seen: tuple[str, int, int] = ("", 0, 0)
    while True:
        try:
            line = lines.get(timeout=_LOOK_SECONDS)
        except queue.Empty:
            line = ""
        if line is None:
            return None
        if not line.endswith("\n"):
            line = ""  # nothing yet, or cut off in the middle of a line: its end comes next
        said = json.loads(line) if line else {}
        if "end" in said:
            return dict(said)
        if said:
            seen = (said["note"], said["done"], said["total"])
        if report(*seen):
            return {"end": "cancelled", "outcome": {}}
        if time.monotonic() > until:
            words = f"it took longer than {seconds:g} s, and was stopped; what it had committed is kept"
            return {"end": "failed", "outcome": {"error": "Timeout", "message": words}}


def _died(child: subprocess.Popen[str], words: Iterable[str]) -> dict[str, Any]:
    code = child.wait()
    last = "".join(words)[-_LAST_WORDS:]
    return {"end": "again", "outcome": {"error": "Crash", "message": f"its process ended with {code}: {last}"}}


def _read(pipe: IO[str] | None, take: Callable[[str | None], Any]) -> None:
    if pipe is not None:
        with pipe:
            for line in pipe:
                take(line)
    take(None)

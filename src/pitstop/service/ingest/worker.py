"""The drain as a process of its own, so that storing, answering and fitting do not share one interpreter.

`python -m pitstop.service.ingest.worker WORKSPACE [SPOOL]` stores until its standard input ends; see `service.kept`.
"""

from __future__ import annotations

import signal
import sys
import threading
from pathlib import Path

from pitstop.errors import StoreError
from pitstop.service.ingest.registered import RegisteredSpecs
from pitstop.service.ingest.working import PAUSE_AFTER_FAILURE, Working
from pitstop.service.kept import KeptProcess, tell

_LOOK_SECONDS = 0.2


def kept_drain(path: Path, spool: Path | None = None) -> KeptProcess:
    """Return the process that stores what is in the spool of the workspace in folder `path`, to be started."""
    arguments = [str(path), *([str(spool)] if spool is not None else [])]
    return KeptProcess("pitstop.service.ingest.worker", arguments, "stores what was acknowledged")


def main() -> None:
    """Store until standard input ends."""
    path = Path(sys.argv[1])
    spool = Path(sys.argv[2]) if len(sys.argv) > 2 else None
    ended, problem = threading.Event(), [""]
    # Ctrl-C is for whoever keeps this process, and tells it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_ended_with_input, args=(ended,), daemon=True).start()
    tell(lambda: problem[0])
    specs = _opened(path, ended, problem)
    if specs is None:
        return
    with specs:
        working = Working(path, specs, spool=spool, homes=specs.homes)
        working.start()
        while not ended.wait(_LOOK_SECONDS):
            problem[0] = working.problem
        working.stop()


def _opened(path: Path, ended: threading.Event, problem: list[str]) -> RegisteredSpecs | None:
    """Return the specifications once the catalog answers; None where standard input ended before."""
    while not ended.is_set():
        try:
            return RegisteredSpecs(path)
        except StoreError as error:
            problem[0] = f"batches are kept but not stored: {error}"
            ended.wait(PAUSE_AFTER_FAILURE)
    return None


def _ended_with_input(ended: threading.Event) -> None:
    sys.stdin.buffer.read()
    ended.set()


if __name__ == "__main__":
    main()

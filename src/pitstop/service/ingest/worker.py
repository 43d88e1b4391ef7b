"""The drain as a process of its own, so that storing, answering and fitting do not share one interpreter.

`python -m pitstop.service.ingest.worker WORKSPACE [SPOOL]` stores until its standard input ends; see `service.kept`.
"""

from __future__ import annotations

import sys
from pathlib import Path

from pitstop.service.ingest.registered import RegisteredSpecs
from pitstop.service.ingest.working import Working
from pitstop.service.kept import KeptProcess, tell


def kept_drain(path: Path, spool: Path | None = None) -> KeptProcess:
    """Return the process that stores what is in the spool of the workspace in folder `path`, to be started."""
    arguments = [str(path), *([str(spool)] if spool is not None else [])]
    return KeptProcess("pitstop.service.ingest.worker", arguments, "stores what was acknowledged")


def main() -> None:
    """Store until standard input ends."""
    path = Path(sys.argv[1])
    spool = Path(sys.argv[2]) if len(sys.argv) > 2 else None
    with RegisteredSpecs(path) as specs:
        working = Working(path, specs, spool=spool)
        working.start()
        tell(lambda: working.problem)
        sys.stdin.buffer.read()
        working.stop()


if __name__ == "__main__":
    main()

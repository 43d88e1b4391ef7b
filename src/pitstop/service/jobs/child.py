"""The process in which one try of a job runs: `python -m pitstop.service.jobs.child`.

The job stands as one JSON line on the standard input; lines of JSON come out: progress, then how it ended. When the
input ends, whoever started this is gone (killed, say), and so is this process at once: what it had not committed is
undone by the store, and the job is tried again.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from pathlib import Path
from typing import Any, TextIO

from pitstop.errors import PitstopError, StoreBusyError, StoreUnavailableError
from pitstop.service.jobs.work import work_of
from pitstop.service.workspace import Workspace

_PROGRESS_SECONDS = 0.5
ORPHANED = 70


def main() -> int:
    """Do one job and say how it ended."""
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a library prints is a log, and no answer
    job = json.loads(sys.stdin.readline())
    threading.Thread(target=_leave_with_parent, daemon=True).start()
    try:
        with Workspace.open(Path(job["workspace"]), create=False) as workspace:
            model = workspace.model(job["model"])
            found = work_of(job["kind"])(workspace, model, job["id"], job["arguments"], _Reporter(out))
        answer: dict[str, Any] = {"end": "waiting" if "waits_for" in found else "done", "outcome": found}
    except (StoreBusyError, StoreUnavailableError) as error:
        answer = {"end": "again", "outcome": {"error": type(error).__name__, "message": str(error)}}
    except PitstopError as error:
        answer = {"end": "failed", "outcome": {"error": type(error).__name__, "message": str(error)}}
    _say(out, answer)
    return 0


def _leave_with_parent() -> None:
    sys.stdin.read()
    os._exit(ORPHANED)


def _say(out: TextIO, answer: dict[str, Any]) -> None:
    out.write(json.dumps(answer) + "\n")
    out.flush()


class _Reporter:
    """Says how far it has come, twice a second at most."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._next = 0.0

    def __call__(self, name: str, done: int, total: int) -> None:
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + _PROGRESS_SECONDS
            _say(self._out, {"note": name, "done": done, "total": total})


if __name__ == "__main__":
    sys.exit(main())

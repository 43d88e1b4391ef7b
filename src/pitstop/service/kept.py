"""A process that is kept running beside this one: started, heard, started again where it ended.

It ends when its standard input ends, so when whoever keeps it is gone, however that happened. On its standard output
it says, in lines of JSON, what it fails at.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence

AGAIN_SECONDS = 1.0
_TELL_SECONDS = 0.2


class KeptProcess:
    """Keeps `python -m MODULE ARGUMENTS`. `problem`: what it fails at, empty while it works; `does` says what for."""

    def __init__(self, module: str, arguments: Sequence[str], does: str) -> None:
        self.problem = ""
        self._argv = [sys.executable, "-m", module, *arguments]
        self._does = does
        self._process: subprocess.Popen[bytes] | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._keep, name=f"keeps {module}", daemon=True)

    def start(self) -> None:
        """Start it."""
        self._thread.start()

    def stop(self) -> None:
        """End it after the step that it is doing."""
        self._stop.set()
        process = self._process
        if process is not None and process.stdin is not None:
            process.stdin.close()
        self._thread.join()

    def _keep(self) -> None:
        environment = os.environ | {"OMP_NUM_THREADS": "1"}
        while not self._stop.is_set():
            with subprocess.Popen(
                self._argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment
            ) as process:
                self._process, self.problem = process, ""
                if self._stop.is_set() and process.stdin is not None:
                    process.stdin.close()
                assert process.stdout is not None  # noqa: S101 - asked for above
                for line in process.stdout:
                    self.problem = _heard(line, self.problem)
                process.wait()
            if not self._stop.is_set():
                said = f" ({self.problem})" if self.problem else ""
                self.problem = f"the process that {self._does} ended with {process.returncode}{said}; it is begun anew"
                self._stop.wait(AGAIN_SECONDS)


def _heard(line: bytes, before: str) -> str:
    """Return the problem that a line tells of; the one `before` where it is something else, such as a library's words.

    A line is cut off where its process was killed.
    """
    try:
        return str(json.loads(line)["problem"])
    except (ValueError, KeyError, TypeError):
        return before


def tell(problem: Callable[[], str]) -> None:
    """Say what this process fails at whenever that changes, to whoever keeps it; from a thread of its own."""
    threading.Thread(target=_tell, args=(problem,), daemon=True).start()


def _tell(problem: Callable[[], str]) -> None:
    said = None
    while True:
        found = problem()
        if found != said:
            said = found
            sys.stdout.write(json.dumps({"problem": said}) + "\n")
            sys.stdout.flush()
        time.sleep(_TELL_SECONDS)

"""The drain as a process of its own, so that storing and answering do not share one interpreter.

`python -m pitstop.service.ingest.worker WORKSPACE` stores until its standard input ends, and says in lines of JSON what
it fails at. `Worker` starts it, hears it, and starts it again where it ended.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

from pitstop.service.ingest.registered import RegisteredSpecs
from pitstop.service.ingest.working import Working

AGAIN_SECONDS = 1.0


class Worker:
    """Keeps a process that stores. `problem`: what it fails at, empty while it works."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.problem = ""
        self._process: subprocess.Popen[bytes] | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="pitstop-worker", daemon=True)

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
        while not self._stop.is_set():
            argv = [sys.executable, "-m", "pitstop.service.ingest.worker", str(self.path)]
            environment = os.environ | {"OMP_NUM_THREADS": "1"}
            with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment) as process:
                self._process = process
                if self._stop.is_set() and process.stdin is not None:
                    process.stdin.close()
                assert process.stdout is not None  # noqa: S101 - asked for above
                for line in process.stdout:
                    self.problem = str(json.loads(line)["problem"])
                process.wait()
            if not self._stop.is_set():
                self.problem = f"the process that stores ended with {process.returncode}; it is started again"
                self._stop.wait(AGAIN_SECONDS)


def main() -> None:
    """Store until standard input ends."""
    path = Path(sys.argv[1])
    with RegisteredSpecs(path) as specs:
        working = Working(path, specs)
        working.start()
        teller = threading.Thread(target=_tell, args=(working,), daemon=True)
        teller.start()
        sys.stdin.buffer.read()
        working.stop()


def _tell(working: Working) -> None:
    said = None
    while True:
        if working.problem != said:
            said = working.problem
            sys.stdout.write(json.dumps({"problem": said}) + "\n")
            sys.stdout.flush()
        time.sleep(0.2)


if __name__ == "__main__":
    main()

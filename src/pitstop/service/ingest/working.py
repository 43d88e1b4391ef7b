"""Stores what comes in as long as it is wanted: in a thread, tried again for ever."""

from __future__ import annotations

import threading
from pathlib import Path

from pitstop.errors import PitstopError
from pitstop.service.ingest.batch import Specs
from pitstop.service.ingest.drain import Drain

# How long an empty spool is left alone: groups come to be of some size, and a row is stored within about a second.
PAUSE = 0.5
# After a failure; the disk is looked at again.
PAUSE_AFTER_FAILURE = 2.0
TIDY_AFTER = 16


class Working:
    """A thread that stores. `problem` says what it fails at, empty while it works; it tries again for ever."""

    def __init__(self, path: Path, specs: Specs, *, pause: float = PAUSE, again: float = PAUSE_AFTER_FAILURE) -> None:
        self.path = path
        self.problem = ""
        self._specs = specs
        self._pause, self._again = pause, again
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to store."""
        self._thread = threading.Thread(target=self.run, name="pitstop-drain", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End after the step that is being done; what is in the spool stays there."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()

    def run(self) -> None:
        """Store until `stop` is called."""
        while not self._stop.is_set():
            try:
                with Drain(self.path, self._specs) as drain:
                    self._work(drain)
            except PitstopError as error:
                self.problem = f"batches are kept but not stored: {error}"
                self._stop.wait(self._again)
            except Exception as error:  # noqa: BLE001 - a thread that ended without a word would store nothing any more
                self.problem = f"batches are kept but not stored: {type(error).__name__}: {error}"
                self._stop.wait(self._again)

    def _work(self, drain: Drain) -> None:
        steps = 0
        while not self._stop.is_set():
            done = drain.step()
            self.problem = ""
            steps += 1 if done.bytes else 0
            if not done.bytes:
                self._stop.wait(self._pause)
            if steps >= TIDY_AFTER:
                # Each step that stored something left a segment or more.
                steps = 0
                while not self._stop.is_set() and drain.tidy():
                    pass

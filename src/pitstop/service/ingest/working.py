"""Stores what comes in as long as it is wanted: in a thread, tried again for ever."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from pitstop.errors import PitstopError, StoreBusyError
from pitstop.service.ingest.batch import Specs
from pitstop.service.ingest.drain import Drain

# How long the spool is left alone once it is about empty: groups come to be of some size, and a row is stored within
# about a second.
PAUSE = 0.5
# A step that moved as much has left something behind, most likely.
FULL_BYTES = 2 << 20
# After a failure; the disk is looked at again.
PAUSE_AFTER_FAILURE = 2.0
TIDY_AFTER = 16
# The store is given back for a moment after so long, for a worker of another machine, or whoever copies it.
HOLD_SECONDS = 10.0
HAND_OVER_SECONDS = 0.1
# Another worker may be busy; this one stands by and is no problem, unless that lasts.
STAND_BY_SECONDS = 60.0


class Working:
    """A thread that stores. `problem` says what it fails at, empty while it works; it tries again for ever.

    Where another process stores, it stands by, and goes on where that one ended or was killed.
    """

    def __init__(
        self,
        path: Path,
        specs: Specs,
        *,
        spool: Path | None = None,
        pause: float = PAUSE,
        again: float = PAUSE_AFTER_FAILURE,
        hold: float = HOLD_SECONDS,
        homes: Callable[[], Iterable[Path]] = tuple,
    ) -> None:
        self.path = path
        self._spool = spool
        self._hold = hold
        self._homes = homes
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
        standing_by: float | None = None
        while not self._stop.is_set():
            try:
                with Drain(self.path, self._specs, self._spool, homes=self._homes) as drain:
                    standing_by = None
                    self._work(drain)
                self._stop.wait(HAND_OVER_SECONDS)
            except StoreBusyError as error:
                standing_by = standing_by or time.monotonic()
                lasts = time.monotonic() - standing_by > STAND_BY_SECONDS
                self.problem = f"batches are kept, and another process stores them: {error}" if lasts else ""
                self._stop.wait(HAND_OVER_SECONDS / 2)
            except PitstopError as error:
                self.problem = f"batches are kept but not stored: {error}"
                self._stop.wait(self._again)
            except Exception as error:  # noqa: BLE001 - a thread that ended without a word would store nothing any more
                self.problem = f"batches are kept but not stored: {type(error).__name__}: {error}"
                self._stop.wait(self._again)

    def _work(self, drain: Drain) -> None:
        """Store for a while."""
        steps, until = 0, time.monotonic() + self._hold
        while not self._stop.is_set() and time.monotonic() < until:
            done = drain.step()
            self.problem = ""
            steps += 1 if done.bytes else 0
            if done.bytes < FULL_BYTES:
                # What comes meanwhile is one group: a transaction every moment costs the disk a hundred syncs a
                # second, and whoever waits for an acknowledgement waits for them too.
                self._stop.wait(self._pause)
            if steps >= TIDY_AFTER:
                # Each step that stored something left a segment or more.
                steps = 0
                while not self._stop.is_set() and drain.tidy():
                    pass

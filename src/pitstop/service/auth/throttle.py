"""Slows guessing down: after five wrong passwords for a name, each further one has to wait twice as long."""

from __future__ import annotations

import threading

FREE = 5
_LONGEST_SECONDS = 900.0
_REMEMBERED = 10_000


class Throttle:
    """Counts failures by name. Times are seconds of a clock that only goes forward."""

    def __init__(self) -> None:
        self._failures: dict[str, tuple[int, float]] = {}
        self._turn = threading.Lock()

    def wait(self, name: str, at: float) -> float:
        """Return how many seconds `name` has to wait before another try; 0 for none."""
        _, until = self._failures.get(name, (0, 0.0))
        return max(0.0, until - at)

    def failed(self, name: str, at: float) -> None:
        """Count a failure."""
        with self._turn:
            if len(self._failures) >= _REMEMBERED:
                # The oldest goes: somebody who tries ten thousand names forgets the first of them.
                self._failures.pop(next(iter(self._failures)))
            count = self._failures.get(name, (0, 0.0))[0] + 1
            self._failures.pop(name, None)
            pause = min(2.0 ** (count - FREE), _LONGEST_SECONDS) if count >= FREE else 0.0
            self._failures[name] = (count, at + pause)

    def succeeded(self, name: str) -> None:
        """Forget the failures of a name."""
        with self._turn:
            self._failures.pop(name, None)

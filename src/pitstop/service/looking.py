"""A thread that looks again and again whether there is something to do, and outlives what goes wrong in a look."""

from __future__ import annotations

import logging
import threading
from abc import ABC, abstractmethod
from types import TracebackType
from typing import Self

_LOG = logging.getLogger(__name__)


class Looking(ABC):
    """A context manager with a thread of the name `name` that calls `look` every `seconds` seconds."""

    def __init__(self, name: str, seconds: float) -> None:
        self._seconds = seconds
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()

    @abstractmethod
    def look(self) -> None:
        """Do what there is to do. An error (a full disk, say) is logged, and the next look tries again."""

    def _run(self) -> None:
        while not self._ended.wait(self._seconds):
            try:
                self.look()
            except Exception:  # noqa: BLE001 - a thread that ended without a word would look no more
                _LOG.exception("%s: a look failed", self._thread.name)

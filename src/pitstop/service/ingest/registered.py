"""The specifications of the models that a workspace has registered, quick to ask for at every request."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from pitstop.errors import UnknownNameError
from pitstop.records.spec import ModelSpec
from pitstop.service.workspace import Workspace

# A model that was registered elsewhere, or registered anew, is seen after this.
KNOWN_SECONDS = 1.0
# Names that nobody registered are remembered too, but not without end.
_MOST = 10_000


class RegisteredSpecs:
    """Gives a model's specification by name, None where none is registered; for any number of threads."""

    def __init__(self, path: Path) -> None:
        self._workspace = Workspace.open(path)
        self._known: dict[str, tuple[float, ModelSpec | None]] = {}
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give the workspace back."""
        self._workspace.close()

    def __call__(self, name: str) -> ModelSpec | None:
        """Return the specification of a model."""
        found = self._known.get(name)
        now = time.monotonic()
        if found is not None and now - found[0] < KNOWN_SECONDS:
            return found[1]
        with self._lock:
            try:
                spec = self._workspace.model(name).spec
            except UnknownNameError:
                spec = None
            if len(self._known) >= _MOST:
                self._known.clear()
            self._known[name] = (now, spec)
        return spec

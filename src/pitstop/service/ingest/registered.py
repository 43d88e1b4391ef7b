"""The specifications of the models that a workspace has registered, quick to ask for at every request."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from pitstop.errors import StoreError, UnknownNameError
from pitstop.records.spec import ModelSpec
from pitstop.service.workspace import Workspace

# A model that was registered elsewhere, or registered anew, is seen after this.
KNOWN_SECONDS = 1.0
# Where the catalog is away, what was known holds on, and it is asked again after this.
AWAY_SECONDS = 3.0
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

    def homes(self) -> tuple[Path, ...]:
        """Return the homes of all registered models, begun or not. Raises `StoreError`."""
        return tuple(model.home for model in self._workspace.models())

    def __call__(self, name: str) -> ModelSpec | None:
        """Return the specification of a model; what it was last known to be where the catalog cannot be asked.

        Raises `StoreError` where the catalog cannot be asked about one that was never known.
        """
        found = self._known.get(name)
        now = time.monotonic()
        if found is not None and now < found[0]:
            return found[1]
        with self._lock:
            until = now + KNOWN_SECONDS
            try:
                spec = self._workspace.model(name).spec
            except UnknownNameError:
                spec = None
            except StoreError:
                if found is None or found[1] is None:
                    raise
                spec, until = found[1], now + AWAY_SECONDS
            if len(self._known) >= _MOST:
                self._known.clear()
            self._known[name] = (until, spec)
        return spec

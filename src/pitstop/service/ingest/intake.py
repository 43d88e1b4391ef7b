"""The intake of a running service: its application, and what `/readyz` says of it."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Self

from pitstop.service.health import Check
from pitstop.service.ingest.app import ingest_app
from pitstop.service.ingest.inbox import Inbox
from pitstop.service.ingest.registered import RegisteredSpecs


class ServiceIntake:
    """Takes in for the models that the workspace in folder `path` has registered; a context manager.

    `spool` is where batches wait, by default in the workspace. Whoever leaves the block acknowledges nothing more.
    """

    def __init__(self, path: Path, spool: Path | None = None) -> None:
        self._specs = RegisteredSpecs(path)
        self.inbox = Inbox(path, self._specs, spool=spool)
        self.app = ingest_app(self.inbox)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.inbox.close()
        self._specs.close()

    def check(self) -> Check:
        """Return how the intake is: `failed` where batches are turned away."""
        state = self.inbox.state()
        waiting = [f"{state.quarantined} batches wait in the quarantine"] if state.quarantined else []
        if state.halves:
            waiting.append(f"{state.halves} requests or responses wait for their other half")
        if state.ready:
            return Check("ingest", "degraded" if state.quarantined else "ok", "; ".join(waiting))
        return Check("ingest", "failed", "; ".join((*state.problems, *waiting)))

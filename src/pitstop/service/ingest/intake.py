"""The intake of a running service: its application, who stores, and what `/readyz` says of both."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Self

from pitstop.service.health import Check
from pitstop.service.ingest.app import ingest_app
from pitstop.service.ingest.inbox import Inbox
from pitstop.service.ingest.registered import RegisteredSpecs
from pitstop.service.ingest.worker import Worker


class ServiceIntake:
    """Takes in for the models that the workspace in folder `path` has registered; a context manager.

    Inside the block a process of its own stores. Leaving it acknowledges nothing more, and waits for the step at hand.
    """

    def __init__(self, path: Path) -> None:
        self._specs = RegisteredSpecs(path)
        self.inbox = Inbox(path, self._specs)
        self.worker = Worker(path)
        self.inbox.working = self.worker
        self.app = ingest_app(self.inbox)

    def __enter__(self) -> Self:
        self.worker.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.inbox.close()
        self.worker.stop()
        self._specs.close()

    def check(self) -> Check:
        """Return how the intake is: `failed` where batches are turned away or not stored."""
        state = self.inbox.state()
        waiting = [f"{state.quarantined} batches wait in the quarantine"] if state.quarantined else []
        if state.halves:
            waiting.append(f"{state.halves} requests or responses wait for their other half")
        if state.ready:
            return Check("ingest", "degraded" if state.quarantined else "ok", "; ".join(waiting))
        return Check("ingest", "failed", "; ".join((*state.problems, *waiting)))

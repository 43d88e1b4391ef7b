"""Durable jobs on DBOS: a job survives kill -9 of the process, and goes on in the next one.

A job is one workflow of few steps: try, wait (longer each time), try again, write down what came of it. Each step is
recorded when it has ended; one that was cut off is done again, which the work itself bears (`jobs.work`). Jobs of one
model run one after the other, in processes of their own, so that no fit slows the intake of rows down.
"""

from __future__ import annotations

import json
import logging
import threading
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from dbos import DBOS, DBOSConfig, Serializer, SetEnqueueOptions, SetWorkflowID

from pitstop.service.auth.credentials import now
from pitstop.service.jobs.attempt import attempt
from pitstop.service.jobs.board import Board, Job, JobState
from pitstop.service.workspace import JOBS, Workspace

QUEUE = "pitstop-jobs"
TRIES = 5
FIRST_PAUSE_SECONDS = 5.0
LONGEST_SECONDS = 6 * 3_600.0
WORKERS = 2
# A workflow goes on only under the version that began it; raised when the steps of `_perform` change.
STEPS_VERSION = "1"

Ended = Callable[[Job], None]


class _Json(Serializer):
    """What DBOS writes down, as JSON: its own serializer would unpickle what stands in the database."""

    def serialize(self, data: Any) -> str:
        """Return the text of plain data; an exception as its words."""
        return json.dumps(data, default=repr)

    def deserialize(self, serialized_data: str) -> Any:
        """Return plain data."""
        return json.loads(serialized_data)

    def name(self) -> str:
        """Return the name that stands beside what was written."""
        return "pitstop_json"


class Jobs:
    """The jobs of a workspace. One process may have one opened at a time, as DBOS is one for a process.

    `then` is called with a job that ended, in its thread; it may be called again after a crash.
    """

    def __init__(
        self,
        workspace: Workspace,
        *,
        then: Ended = lambda _: None,
        first_pause: float = FIRST_PAUSE_SECONDS,
        seconds: float = LONGEST_SECONDS,
        polling: float = 1.0,
        tries: int = TRIES,
    ) -> None:
        self.board = Board(workspace.fleet)
        self._path: Path = workspace.path
        self._then = then
        self._first_pause = first_pause
        self._seconds = seconds
        self._polling = polling
        self._tries = tries
        self._closing = threading.Event()

    def start(self) -> None:
        """Go on with what an earlier process left, and take new jobs."""
        logging.getLogger("dbos").setLevel(logging.ERROR)
        config: DBOSConfig = {
            "name": "pitstop",
            "system_database_url": f"sqlite:///{self._path / JOBS}",
            "application_version": STEPS_VERSION,
            "executor_id": "pitstop",
            "log_level": "ERROR",
            "console_log_level": "ERROR",
            "serializer": _Json(),
            "notification_listener_polling_interval_sec": self._polling,
        }
        DBOS(config=config)

        def pitstop_job(name: str) -> str:
            return self._perform(name)

        self._workflow = DBOS.workflow(name="pitstop_job")(pitstop_job)
        DBOS.launch()
        DBOS.register_queue(
            QUEUE, worker_concurrency=WORKERS, partition_concurrency=1, polling_interval_sec=self._polling
        )
        for job in reversed(self.board.jobs(limit=10_000, open_only=True)):
            self._enqueue(job.id, job.model)

    def close(self) -> None:
        """Stop; what runs is cut off, and goes on at the next start."""
        self._closing.set()
        DBOS.destroy(destroy_registry=True)

    def submit(
        self, kind: str, model: str, arguments: Mapping[str, Any], *, by: str, name: str = "", at: int | None = None
    ) -> Job:
        """Take a job, durably, and return it; a name that is known already is that job, and no other is made."""
        known = name or f"{kind}-{uuid.uuid4().hex}"
        self.board.add(known, kind, model, arguments, by, now() if at is None else at)
        self._enqueue(known, model)
        return self.board.job(known)

    def cancel(self, name: str, by: str) -> Job:
        """Stop a job: one that waits does not begin, one that runs is stopped at its next look. What it did is kept."""
        return self.board.cancel(name, by)

    def _enqueue(self, name: str, model: str) -> None:
        # A workflow of that id that is there already is left as it is: enqueueing again after a crash is no second job.
        with SetWorkflowID(name), SetEnqueueOptions(queue_partition_key=model):
            DBOS.enqueue_workflow(QUEUE, self._workflow, name)

    def _perform(self, name: str) -> str:
        """Do a job to its end, and return how it ended."""
        pause, answer = self._first_pause, {"end": "again", "outcome": {}}
        for number in range(1, self._tries + 1):
            answer = DBOS.run_step({"name": "try"}, self._try, name, number)
            if answer["end"] != "again":
                break
            if number < self._tries:
                DBOS.sleep(pause)
                pause *= 3
        DBOS.run_step({"name": "end"}, self._end, name, answer)
        return str(answer["end"])

    def _try(self, name: str, number: int) -> dict[str, Any]:
        if self.board.cancelled(name):
            return {"end": "cancelled", "outcome": {}}
        self.board.begun(name, number)
        job = self.board.job(name)
        asked = {"id": job.id, "kind": job.kind, "model": job.model, "arguments": job.arguments}
        return attempt(self._path, asked, self._seconds, lambda *seen: self._report(name, *seen))

    def _report(self, name: str, note: str, done: int, total: int) -> bool:
        if self._closing.is_set():
            # No `Exception`, because DBOS would record that as how the step ended; so it is begun again by the next
            # process.
            msg = "the service stops"
            raise SystemExit(msg)
        return self.board.progress(name, note, done, total)

    def _end(self, name: str, answer: Mapping[str, Any]) -> None:
        if answer["end"] == "waiting":
            # For something outside: whoever brings it ends the job (`service.elsewhere`). No worker waits with it.
            self.board.waiting(name, answer["outcome"]["waits_for"])
            self._then(self.board.job(name))
            return
        state: JobState = "failed" if answer["end"] == "again" else answer["end"]
        self.board.ended(name, state, answer["outcome"], now())
        self._then(self.board.job(name))

"""Durable jobs on DBOS: a job survives kill -9 of the process, and goes on in the next one.

A job is one workflow of few steps: try, wait (longer each time), try again, write down what came of it. Each step is
recorded when it has ended; one that was cut off is done again, which the work itself bears (`jobs.work`). Jobs of one
model run one after the other, in processes of their own, so that no fit slows the intake of rows down.

In SQLite one worker does the jobs of a workspace. In PostgreSQL several do: each takes from the same queue, and what a
worker that died had begun is taken over by the others.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from typing import Any

from dbos import DBOS, DBOSConfig, Serializer, SetEnqueueOptions, SetWorkflowID

from pitstop.errors import PitstopError, StoreError
from pitstop.service.auth.credentials import now
from pitstop.service.jobs.asking import Asking
from pitstop.service.jobs.attempt import attempt
from pitstop.service.jobs.board import Job, JobState
from pitstop.service.jobs.workers import BEAT_SECONDS, LOST_SECONDS, Workers, new_name
from pitstop.service.workspace import JOBS, LOCK, Workspace
from pitstop.store.lock import HomeLock

QUEUE = "pitstop-jobs"
TRIES = 5
FIRST_PAUSE_SECONDS = 5.0
LONGEST_SECONDS = 6 * 3_600.0
WORKERS = 2
# Of one worker, to PostgreSQL.
CONNECTIONS = 6
# A workflow goes on only under the version that began it; raised when the steps of `_perform` change.
STEPS_VERSION = "1"

Ended = Callable[[Job], None]
Around = Callable[[Job, int, Callable[[], dict[str, Any]]], dict[str, Any]]
_LOG = logging.getLogger(__name__)


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


class Jobs(Asking):
    """The jobs of a workspace, and a worker that does them. One process may have one, as DBOS is one for a process.

    `then` is called with a job that ended, in its thread; it may be called again after a crash. `problem` says what
    this worker fails at otherwise, empty for nothing. A worker that was not seen for `lost` seconds is taken for dead.
    `around` does each try of a job.
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
        problem: Callable[[], str] = lambda: "",
        lost: float = LOST_SECONDS,
        around: Around | None = None,
    ) -> None:
        super().__init__(workspace.fleet)
        self._around = around
        self._path: Path = workspace.path
        self._places = workspace.places
        self._then = then
        self._first_pause = first_pause
        self._seconds = seconds
        self._polling = polling
        self._tries = tries
        # In SQLite there is one, which goes on under the same name.
        self.name = new_name() if self._places.catalog else "pitstop"
        self._workers = Workers(workspace.fleet, lost)
        self._beats = min(BEAT_SECONDS, lost / 4)
        self._problem = problem
        self._closing = threading.Event()
        self._handed: set[str] = set()
        self._turn = threading.Lock()
        self._held = ExitStack()
        self._threads = [threading.Thread(target=each, daemon=True) for each in (self._look, self._beat)]

    def start(self) -> None:
        """Go on with what an earlier process left, and take new jobs.

        Raises `StoreBusyError` where another worker does the jobs of a workspace in SQLite.
        """
        logging.getLogger("dbos").setLevel(logging.ERROR)
        config: DBOSConfig = {
            "name": "pitstop",
            "application_version": STEPS_VERSION,
            "executor_id": self.name,
            "log_level": "ERROR",
            "console_log_level": "ERROR",
            "serializer": _Json(),
            "notification_listener_polling_interval_sec": self._polling,
        }
        if self._places.catalog:
            place, schema = self._places.jobs
            config |= {
                "system_database_url": place.render_as_string(hide_password=False),
                "dbos_system_schema": schema,
                "sys_db_pool_size": CONNECTIONS,
            }
        else:
            lock = HomeLock(self._path / LOCK)
            self._held.callback(lock.release, orderly=True)
            config |= {"system_database_url": f"sqlite:///{self._path / JOBS}"}
        try:
            self._launch(config)
        except BaseException:
            self._held.close()
            raise

    def _launch(self, config: DBOSConfig) -> None:
        self._workers.seen(self.name, now(), "")
        DBOS(config=config)

        def pitstop_job(name: str) -> str:
            return self._perform(name)

        self._workflow = DBOS.workflow(name="pitstop_job")(pitstop_job)
        DBOS.launch()
        DBOS.register_queue(
            QUEUE, worker_concurrency=WORKERS, partition_concurrency=1, polling_interval_sec=self._polling
        )
        self._hand_over()
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        """Stop; what runs is cut off, and goes on at the next start, or with another worker."""
        self._closing.set()
        for thread in self._threads:
            if thread.is_alive():
                thread.join()
        DBOS.destroy(destroy_registry=True)
        with suppress(PitstopError):  # else it is forgotten when it has not been seen for a while
            self._workers.gone(self.name)
        self._held.close()

    def submit(
        self, kind: str, model: str, arguments: Mapping[str, Any], *, by: str, name: str = "", at: int | None = None
    ) -> Job:
        """Take a job, durably, and return it; a name that is known already is that job, and no other is made."""
        job = super().submit(kind, model, arguments, by=by, name=name, at=at)
        self._enqueue(job)
        return job

    def _look(self) -> None:
        """Hand over what others asked for, and take over what was begun by workers that died."""
        while not self._closing.wait(self._polling):
            try:
                self._hand_over()
                if self._places.catalog:
                    self._take_over()
            except PitstopError as error:
                # The database is away, say; /readyz says so, and the next look may find it again.
                _LOG.warning("the jobs could not be looked at: %s", error)
            except Exception:  # noqa: BLE001 - a thread that ended without a word would begin no job any more
                _LOG.exception("the jobs could not be looked at")

    def _beat(self) -> None:
        """Say every few seconds that this worker lives, and at once when what it fails at changes."""
        said, beaten = "", time.monotonic()
        while not self._closing.wait(self._polling):
            problem = self._problem()
            if problem != said or time.monotonic() - beaten >= self._beats:
                with suppress(PitstopError):  # the database is away, which whoever answers sees too
                    self._workers.seen(self.name, now(), problem)
                    said, beaten = problem, time.monotonic()

    def _hand_over(self) -> None:
        found = self.board.jobs(limit=10_000, open_only=True)
        for job in reversed(found):
            self._enqueue(job)
        with self._turn:
            self._handed &= {job.id for job in found}

    def _take_over(self) -> None:
        alive = self._workers.alive(now()) | {self.name}
        pending = DBOS.list_workflows(status="PENDING", load_input=False, load_output=False)
        lost = {item.executor_id for item in pending if item.executor_id} - alive
        if lost:
            _LOG.warning("going on with jobs of workers that are gone: %s", ", ".join(sorted(lost)))
            DBOS._recover_pending_workflows(sorted(lost))  # noqa: SLF001 - what DBOS's own service for this calls

    def _enqueue(self, job: Job) -> None:
        with self._turn:
            if job.id in self._handed:
                return
            # A workflow of that id that is there already is left as it is: enqueueing again is no second job.
            with SetWorkflowID(job.id), SetEnqueueOptions(queue_partition_key=job.model):
                DBOS.enqueue_workflow(QUEUE, self._workflow, job.id)
            self._handed.add(job.id)

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
        try:
            if self.board.cancelled(name):
                return {"end": "cancelled", "outcome": {}}
            self.board.begun(name, number)
            job = self.board.job(name)
            asked = {"id": job.id, "kind": job.kind, "model": job.model, "arguments": job.arguments}
            do = partial(attempt, self._path, asked, self._seconds, lambda *seen: self._report(name, *seen))
            return do() if self._around is None else self._around(job, number, do)
        except Exception as error:  # noqa: BLE001 - each one, for the reason below
            # The database is away, or no process can be begun: an exception would end the workflow without a word on
            # the board, where the model would be busy for ever.
            return {"end": "again", "outcome": {"error": type(error).__name__, "message": str(error)}}

    def _report(self, name: str, note: str, done: int, total: int) -> bool:
        self._leave_if_closing()
        try:
            return self.board.progress(name, note, done, total)
        except StoreError:
            return False  # how far it has come can be said later

    def _end(self, name: str, answer: Mapping[str, Any]) -> None:
        state: JobState = "failed" if answer["end"] == "again" else answer["end"]
        while True:
            try:
                if state == "waiting":
                    # For something outside: whoever brings it ends the job (`service.elsewhere`). No worker waits.
                    self.board.waiting(name, answer["outcome"]["waits_for"])
                else:
                    self.board.ended(name, state, answer["outcome"], now())
                job = self.board.job(name)
                break
            except StoreError:
                self._leave_if_closing()
                time.sleep(self._polling)
        self._then(job)

    def _leave_if_closing(self) -> None:
        if self._closing.is_set():
            # No `Exception`, because DBOS would record that as how the step ended; so it is begun again by the next
            # process.
            msg = "the service stops"
            raise SystemExit(msg)

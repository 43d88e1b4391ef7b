"""The worker: stores what was acknowledged, does jobs when they are due, gathers what pages show, sends messages.

`pitstop up` keeps one beside itself (`python -m pitstop.service.worker WORKSPACE OPTIONS`, see `service.kept`);
`pitstop up --part worker` is one by itself. Whatever dies, the others go on with what it had begun.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from types import FrameType

from pitstop.errors import PitstopError
from pitstop.service.auth.credentials import now
from pitstop.service.elsewhere.sending import Dispatch
from pitstop.service.health import Check
from pitstop.service.ingest.worker import kept_drain
from pitstop.service.jobs.board import Job
from pitstop.service.jobs.queue import Jobs
from pitstop.service.jobs.schedule import Schedule
from pitstop.service.kept import KeptProcess, tell
from pitstop.service.notify.courier import Courier, notice
from pitstop.service.settings import Work
from pitstop.service.site.refreshing import refresh_after, refresh_stale
from pitstop.service.tracing import tracing
from pitstop.service.worker_health import HealthPort
from pitstop.service.workspace import Workspace

# Whoever answers requests on this machine comes first: storing and fitting can wait a moment, a caller cannot.
NICE = 5


def serve_jobs(
    workspace: Workspace,
    work: Work,
    ended: threading.Event,
    say: Callable[[str], None],
    health: tuple[str, int] | None = None,
) -> None:
    """Work until `ended` is set; `say` is given a sentence once it works, `health` is where it says how it is.

    Raises `StoreBusyError` where another worker works for a workspace in SQLite, `StoreError` for a port that is taken.
    """
    os.nice(NICE)
    drain = kept_drain(workspace.path, Path(work.spool) if work.spool else None)
    traces = tracing()
    around = None if traces is None else traces.job
    jobs = Jobs(workspace, then=partial(_after_job, workspace), problem=lambda: drain.problem, around=around)
    jobs.start()
    drain.start()
    # What homes took in while nobody worked for them.
    threading.Thread(target=refresh_stale, args=(workspace,), name="pages", daemon=True).start()
    try:
        hosts = frozenset(work.private_hosts)
        courier = Courier(workspace, now, allowed=hosts)
        asked = Dispatch(workspace, jobs, now, allowed=hosts, server=work.public_url)
        with ExitStack() as stack:
            for part in (Schedule(workspace, jobs, now), courier, asked):
                stack.enter_context(part)
            answering = ""
            if health is not None:
                port = stack.enter_context(HealthPort(workspace, (partial(_storing, drain),), *health))
                answering = f", says how it is at http://{port.host}:{port.port}/healthz"
            say(f"Working for {workspace.path}{answering} as {jobs.name}")
            ended.wait()
    finally:
        drain.stop()
        jobs.close()
        if traces is not None:
            traces.close()


def _storing(drain: KeptProcess) -> Check:
    return Check("storing", "failed" if drain.problem else "ok", drain.problem)


def until_told(serve: Callable[[threading.Event], None]) -> None:
    """Call `serve` with an event that Ctrl-C or SIGTERM sets."""
    ended = threading.Event()

    def end(number: int, frame: FrameType | None) -> None:
        del number, frame
        ended.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, end)
    serve(ended)


def _after_job(workspace: Workspace, job: Job) -> None:
    refresh_after(workspace, job)
    with suppress(PitstopError):
        notice(workspace, job.model, now())


def main() -> None:
    """Work until standard input ends."""
    ended = threading.Event()
    # Ctrl-C is for whoever keeps this process, and tells it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_ended_with_input, args=(ended,), daemon=True).start()
    options = json.loads(sys.argv[2])
    work = Work(tuple(options["private_hosts"]), options["spool"], options["public_url"])
    try:
        with Workspace.open(Path(sys.argv[1]), create=False) as workspace:
            serve_jobs(workspace, work, ended, lambda _: tell(lambda: ""))
    except PitstopError as error:
        sys.stdout.write(json.dumps({"problem": str(error)}) + "\n")
        sys.stdout.flush()
        sys.exit(1)


def _ended_with_input(ended: threading.Event) -> None:
    sys.stdin.buffer.read()
    ended.set()


if __name__ == "__main__":
    main()

"""Processes to be killed: forked from one that has imported everything, so that a life costs milliseconds.

Run as a script, it reads commands from standard input and answers each with the id of the process that it made:
`api WORKSPACE PORT` (answers requests), `worker WORKSPACE` (stores), `step WORKSPACE N` (stores all and dies instead of
doing the N-th thing that changes the disk; N = 0: does not die, and writes how many there were to WORKSPACE.steps).
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import sqlalchemy as sa
import uvicorn
from tests.service.ingest.counted import MODEL

from pitstop.service.ingest.app import ingest_app
from pitstop.service.ingest.drain import Drain
from pitstop.service.ingest.inbox import Inbox
from pitstop.service.ingest.working import Working
from pitstop.store import transaction as transactions

ROOT = Path(__file__).resolve().parents[2]


def specs(name: str) -> Any:
    return MODEL if name == "m" else None


def api(workspace: str, port: str) -> None:
    with Inbox(workspace, specs) as inbox:
        uvicorn.run(ingest_app(inbox), port=int(port), log_level="critical", access_log=False)


def worker(workspace: str) -> None:
    Working(Path(workspace), specs, pause=0.02, again=0.1).run()


def step(workspace: str, number: str) -> None:
    done = [0]

    def counted(owner: Any, name: str) -> None:
        real = getattr(owner, name)

        def wrapped(*args: Any, **kwargs: Any) -> Any:
            for _ in range(2):  # before it and after it
                done[0] += 1
                if done[0] == int(number):
                    os.kill(os.getpid(), signal.SIGKILL)
                if _ == 0:
                    result = real(*args, **kwargs)
            return result

        setattr(owner, name, wrapped)

    for owner, name in (
        (os, "fsync"),
        (Path, "replace"),
        (Path, "unlink"),
        (transactions, "append"),
        (sa.RootTransaction, "commit"),
    ):
        counted(owner, name)
    with Drain(Path(workspace), specs) as drain:
        drain.run_dry()
    Path(f"{workspace}.steps").write_text(str(done[0]), encoding="utf-8")


class Victims:
    """Makes processes; a context manager that leaves none behind."""

    def __init__(self) -> None:
        environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
        self._maker = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.victims"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env=environment,
        )
        self._alive: set[int] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for victim in list(self._alive):
            self.kill(victim)
        self._maker.communicate()

    def make(self, *words: object) -> int:
        """Start a process and return its id."""
        self._ask("make", *words)
        victim = int(self._hear())
        self._alive.add(victim)
        return victim

    def kill(self, victim: int, sign: int = signal.SIGKILL) -> None:
        """Kill a process and wait until it is gone."""
        self._alive.discard(victim)
        self._ask("kill", victim, int(sign))
        self._hear()

    def wait(self, victim: int) -> int:
        """Wait until a process ends; return its exit code, negative for a signal."""
        self._alive.discard(victim)
        self._ask("wait", victim)
        return int(self._hear())

    def _ask(self, *words: object) -> None:
        assert self._maker.stdin is not None
        self._maker.stdin.write(" ".join(str(word) for word in words) + "\n")
        self._maker.stdin.flush()

    def _hear(self) -> str:
        assert self._maker.stdout is not None
        return self._maker.stdout.readline()


def main() -> None:
    kinds: dict[str, Callable[..., None]] = {"api": api, "worker": worker, "step": step}
    for line in sys.stdin:
        command, *words = line.split()
        if command == "make":
            made = os.fork()
            if not made:
                try:
                    kinds[words[0]](*words[1:])
                    os._exit(0)
                except BaseException as error:  # noqa: BLE001 - a child must not go on as the parent
                    sys.stderr.write(f"{words}: {error!r}\n")
                    os._exit(1)
            answer = made
        else:
            if command == "kill":
                os.kill(int(words[0]), int(words[1]))
            answer = os.waitstatus_to_exitcode(os.waitpid(int(words[0]), 0)[1])
        sys.stdout.write(f"{answer}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()

"""A way to run the real command; the history that it runs on is `loans` of all tests."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from pitstop.cli.main import run as run_command_line


@dataclass(frozen=True)
class Ran:
    """How a command ended, and what it said."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """What it printed, as JSON: nothing else may stand there."""
        return json.loads(self.out)


@pytest.fixture(scope="session")
def pitstop() -> Callable[..., Ran]:
    """Run `pitstop WORDS` to its end, in this process: starting one costs more than most of these commands."""

    def run(*words: str | Path) -> Ran:
        out, err = io.StringIO(), io.StringIO()
        with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
            patch.setattr(sys, "argv", ["pitstop", *map(str, words)])
            patch.setenv("COLUMNS", "100")
            with pytest.raises(SystemExit) as ended:
                run_command_line()
        code = ended.value.code
        return Ran(code if isinstance(code, int) else 0, out.getvalue(), err.getvalue())

    return run


@pytest.fixture
def started() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start `pitstop WORDS` and go on; what still runs at the end of the test is ended."""
    running: list[subprocess.Popen[str]] = []

    def start(*words: str | Path) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", "from pitstop.cli.main import run; run()", *map(str, words)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            start_new_session=True,
        )
        running.append(process)
        return process

    yield start
    for process in running:
        with process:
            if process.poll() is None:
                process.kill()

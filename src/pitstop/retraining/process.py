"""One trainer process: starts it, asks it one thing at a time, watches its limits, and kills all of it."""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pitstop.errors import TrainerCrashedError, TrainerLimitError, TrainerOutputError
from pitstop.retraining.limits import Limits, fair_memory_bytes, family, folder_bytes, kill_all, memory_bytes, remove

_POLL_SECONDS = 0.1
_CHUNK = 1 << 16
_LOG_KEPT = 20_000
_LOG_SHOWN = 1_500
_MIB = 1 << 20


class TrainerProcess:
    """A running program that answers one JSON line for each line it is sent.

    It works in `folder`; `environment` is all that it gets, with `home` as HOME, a folder in it that
    is removed at the end.
    """

    def __init__(
        self, argv: list[str], folder: Path, home: Path, environment: Mapping[str, str], limits: Limits
    ) -> None:
        self.used = False
        self._folder = folder
        self._home = home
        self._limits = limits
        self._log = b""
        self._log_bytes = 0
        self._answer = b""
        try:
            self._process = subprocess.Popen(
                argv,
                cwd=folder,
                env=dict(environment),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
                bufsize=0,
            )
        except (OSError, ValueError) as error:
            # A word with a zero byte in it is no argument, and says so as `ValueError`.
            remove(home)
            why = error.strerror if isinstance(error, OSError) else str(error)
            msg = f"the trainer's program {argv[0]!r} cannot be started: {why}; check [trainer] command"
            raise TrainerCrashedError(msg) from error
        for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
            assert pipe is not None  # noqa: S101  # all three were asked for; for the type checker
            os.set_blocking(pipe.fileno(), False)

    @property
    def alive(self) -> bool:
        """Whether the process still runs."""
        return self._process.poll() is None

    def ask(self, message: Mapping[str, Any]) -> bytes:
        """Send a message and return the line answered.

        Raises `TrainerCrashedError`, `TrainerLimitError` or `TrainerOutputError`, after killing it all.
        """
        self.used = True
        self._log_bytes = 0
        try:
            self._refuse_leftovers(str(message["action"]))
            return self._exchange(json.dumps(message).encode() + b"\n", str(message["action"]))
        except BaseException:
            self.kill()
            raise

    def kill(self) -> None:
        """Kill the process and everything that it started. Killing again does nothing."""
        kill_all(self._process.pid, self._home)
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
        remove(self._home)

    def _exchange(self, outgoing: bytes, action: str) -> bytes:
        stdin, stdout, stderr = self._process.stdin, self._process.stdout, self._process.stderr
        assert stdin and stdout and stderr  # noqa: S101, PT018  # all three were asked for; for the type checker
        started = polled = time.monotonic()
        with selectors.DefaultSelector() as selector:
            selector.register(stdin, selectors.EVENT_WRITE)
            selector.register(stdout, selectors.EVENT_READ)
            selector.register(stderr, selectors.EVENT_READ)
            while True:
                ready = {key.fileobj for key, _ in selector.select(_POLL_SECONDS)}
                if stdin in ready:
                    outgoing = self._send(outgoing)
                if stdin in ready and not outgoing:
                    selector.unregister(stdin)
                if stderr in ready and not self._read_log(action):
                    selector.unregister(stderr)
                if stdout in ready and not self._read_answer(action):
                    raise self._ended(action)
                line, found, rest = self._answer.partition(b"\n")
                if found:
                    # Between two looks an answer may come too late.
                    self._require_in_time(action, started)
                    self._answer = rest
                    return line
                if time.monotonic() - polled >= _POLL_SECONDS:
                    self._watch(action, started)
                    polled = time.monotonic()

    def _refuse_leftovers(self, action: str) -> None:
        # A second line after the last answer would be taken for the answer to this question.
        with contextlib.suppress(BlockingIOError):
            self._read_answer(action)
        if self._answer:
            shown = self._answer[:200].decode("utf-8", "replace")
            msg = f"the trainer wrote {shown!r} after its last answer; expected one line for each line that it was sent"
            raise TrainerOutputError(msg)

    def _send(self, outgoing: bytes) -> bytes:
        assert self._process.stdin is not None  # noqa: S101  # for the type checker
        try:
            return outgoing[os.write(self._process.stdin.fileno(), outgoing[:_CHUNK]) :]
        except BlockingIOError:
            return outgoing
        except OSError:
            # It closed its input: the end of its output tells the rest.
            return b""

    def _read_answer(self, action: str) -> bool:
        assert self._process.stdout is not None  # noqa: S101  # for the type checker
        chunk = os.read(self._process.stdout.fileno(), _CHUNK)
        self._answer += chunk
        if len(self._answer) > self._limits.answer_bytes:
            msg = f"it wrote more than {self._limits.answer_bytes:,} bytes to standard output, which is for answers"
            raise self._over(action, msg)
        return bool(chunk)

    def _read_log(self, action: str) -> bool:
        assert self._process.stderr is not None  # noqa: S101  # for the type checker
        chunk = os.read(self._process.stderr.fileno(), _CHUNK)
        self._log = (self._log + chunk)[-_LOG_KEPT:]
        self._log_bytes += len(chunk)
        if self._log_bytes > self._limits.log_bytes:
            msg = f"it wrote more than {self._limits.log_bytes:,} bytes of messages to standard error"
            raise self._over(action, msg)
        return bool(chunk)

    def _require_in_time(self, action: str, started: float) -> None:
        if time.monotonic() - started > self._limits.wall_seconds:
            msg = f"wall_seconds = {self._limits.wall_seconds:g} was reached without an answer"
            raise self._over(action, msg)

    def _watch(self, action: str, started: float) -> None:
        self._require_in_time(action, started)
        used = folder_bytes(self._folder)
        if used > self._limits.disk_mib * _MIB:
            raise self._over(action, f"its files take {used / _MIB:,.0f} MiB; disk_mib = {self._limits.disk_mib}")
        allowed = self._limits.memory_mib * _MIB
        members = family(self._process.pid)
        if memory_bytes(members) > allowed and (fair := fair_memory_bytes(members)) > allowed:
            msg = f"its processes take {fair / _MIB:,.0f} MiB of memory; memory_mib = {self._limits.memory_mib}"
            raise self._over(action, msg)

    def _over(self, action: str, what: str) -> TrainerLimitError:
        way_out = "Raise the limit in [trainer], or give it less to do"
        return TrainerLimitError(f"the trainer was stopped while asked to {action}: {what}. {way_out}{self._tail()}")

    def _ended(self, action: str) -> TrainerCrashedError | TrainerLimitError:
        """Return what to raise where output ended: the process is gone, or closed its output."""
        try:
            code: int | None = self._process.wait(timeout=2.0)
        except subprocess.TimeoutExpired:
            code = None
        with contextlib.suppress(BlockingIOError, OSError, TrainerLimitError):
            while self._read_log(action):
                pass
        used = folder_bytes(self._folder)
        # The kernel refuses to let one file pass the limit; the program usually dies of that before it is seen here.
        if code and used >= 0.99 * self._limits.disk_mib * _MIB:
            return self._over(action, f"its files take {used / _MIB:,.0f} MiB; disk_mib = {self._limits.disk_mib}")
        msg = f"the trainer {_death(code)} while asked to {action}; its messages say why{self._tail()}"
        return TrainerCrashedError(msg)

    def _tail(self) -> str:
        text = self._log.decode("utf-8", "replace").strip()
        if not text:
            return " (it wrote no messages)"
        return f". The end of its messages:\n{text[-_LOG_SHOWN:]}"


def _death(code: int | None) -> str:
    if code is None:
        return "closed its standard output"
    # A shell reports a signal as 128 + its number, the kernel as a negative one.
    number = -code if code < 0 else code - 128
    with contextlib.suppress(ValueError):
        name = signal.Signals(number).name
        hint = " (often the kernel, out of memory)" if name == "SIGKILL" else ""
        return f"was killed by {name}{hint}"
    return f"ended with exit code {code}"

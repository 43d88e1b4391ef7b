"""Publishes the champion by a program of the user's: facts in, exit code out."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from pitstop.errors import ReleaseTargetError
from pitstop.records.spec import ServingSection
from pitstop.replays.publishing import Publication

_SHOWN = 1_000


@dataclass(frozen=True)
class CommandTarget:
    """An argv list, run without a shell in the spec's folder: JSON on standard input, exit code 0 when it serves.

    The JSON has `model`, `version`, `release`, `digest` and `at`, and `file`: a copy of the model that is there until
    the program ends. While a canary serves a share of the rows, `canary_version`, `canary_release`, `canary_digest`,
    `canary_share` and `canary_file` say which.
    """

    name: str = "command"
    seconds: float = 600.0

    def publish(self, publication: Publication, section: ServingSection, base: Path) -> None:
        """Run the command; a failure, or more than `seconds`, is a `ReleaseTargetError` with what it said last."""
        folder = base.absolute()
        # As `os.path` has it, a text that is too long for a path is no file.
        argv = [str(folder / part) if os.path.isfile(folder / part) else part for part in section.command]  # noqa: PTH113
        what = f"[serving] command {argv[0]!r} for {publication.model} v{publication.version}"
        with TemporaryDirectory(prefix="pitstop-") as place:
            file, log = Path(place) / publication.digest, Path(place) / "output.txt"
            try:
                file.write_bytes(publication.content)
                files = {"file": str(file)}
                if publication.canary is not None:
                    beside = Path(place) / publication.canary.digest
                    beside.write_bytes(publication.canary.content)
                    files["canary_file"] = str(beside)
                # To a file: a server that the program starts may keep a pipe open for ever.
                with log.open("wb") as output:
                    process = subprocess.Popen(
                        argv,
                        cwd=folder,
                        stdin=subprocess.PIPE,
                        stdout=output,
                        stderr=subprocess.STDOUT,
                        start_new_session=True,
                    )
            except OSError as error:
                msg = f"{what} cannot be started: {error.strerror or error}; check the path and its permissions"
                raise ReleaseTargetError(msg) from error
            facts = json.dumps({**publication.facts(), **files})
            try:
                process.communicate(facts.encode(), timeout=self.seconds)
            except subprocess.TimeoutExpired as error:
                msg = f"{what} did not end within {self.seconds:g} seconds and was killed; mend it and run again"
                raise ReleaseTargetError(msg) from error
            finally:
                _end(process)
            said = log.read_text(encoding="utf-8", errors="replace").strip()[-_SHOWN:]
        if process.returncode:
            msg = (
                f"{what} ended with exit code {process.returncode}; it said: {said or 'nothing'}. Mend it and run "
                "again; the release stands"
            )
            raise ReleaseTargetError(msg)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Kill a program that still runs, with its children."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    if process.stdin is not None:
        with contextlib.suppress(OSError):
            process.stdin.close()

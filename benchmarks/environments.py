"""Peers' environments: each peer runs in one of its own, from a pinned list, so that none bends another's versions.

`benchmarks/peers/NAME.txt` is the list: plain requirement lines, all versions pinned, optionally after a first line
`# python: 3.11`. The environment is made once, under the user's cache folder, and found again by the list's digest.
A peer is a script that is run in it and prints one line of JSON last:

    figures = ask("river", Path("benchmarks/peers/river_detectors.py"), "--rows", "1000")

`python -m benchmarks.environments NAME` makes one and prints its interpreter; with `--pin PACKAGE ...` it first
resolves the packages anew and writes the list.
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PEERS = Path(__file__).resolve().parent / "peers"
PYTHON_LINE = "# python:"
STAMP = "complete"
# No peer sends word of its use while it is timed, or waits for a network that is not there.
UNTRACKED = {"DO_NOT_TRACK": "1", "NML_DISABLE_USAGE_LOGGING": "1", "WHYLOGS_NO_ANALYTICS": "True"}


class PeerError(Exception):
    """A peer's environment cannot be made, or its script failed; the message ends with what it printed."""


@dataclass(frozen=True)
class Peer:
    """One list: the interpreter that it asks for and the digest of all its lines, of included lists as well."""

    name: str
    path: Path
    python: str
    digest: str


def peer(name: str, folder: Path = PEERS) -> Peer:
    """Return the list called `name`. Raises `PeerError` where there is none, or a line pins no version."""
    path = folder / f"{name}.txt"
    if not path.is_file():
        known = ", ".join(sorted(found.stem for found in folder.glob("*.txt"))) or "none"
        msg = f"no peer is called {name!r}; known: {known}"
        raise PeerError(msg)
    lines = list(_lines(path))
    asked = [line.removeprefix(PYTHON_LINE).strip() for line in lines if line.startswith(PYTHON_LINE)]
    python = asked[0] if asked else f"{sys.version_info.major}.{sys.version_info.minor}"
    described = [python, sys.platform, platform.machine(), *lines]
    return Peer(name, path, python, hashlib.sha256("\n".join(described).encode()).hexdigest()[:16])


def environment(name: str, folder: Path = PEERS, cache: Path | None = None) -> Path:
    """Return the interpreter of the peer's environment, which is made where it is not there yet (minutes).

    Raises `PeerError` where the list, the interpreter that it asks for, or one of its packages cannot be had.
    """
    wanted = peer(name, folder)
    place = (cache or cache_folder()) / f"{name}-{wanted.digest}"
    python = _python_in(place)
    place.parent.mkdir(parents=True, exist_ok=True)
    with _only_one(place.with_suffix(".lock")):
        if not (place / STAMP).exists():
            shutil.rmtree(place, ignore_errors=True)
            _make(place, wanted.python)
            _pip(python, "install", "--requirement", str(wanted.path))
            (place / STAMP).write_text(f"{wanted.digest}\n", encoding="utf-8")
    return python


def ask(
    name: str, script: Path, *arguments: str, seconds: float | None = None, variables: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """Run `script` in the peer's environment and return the JSON object on the last line that it prints.

    `seconds`: how long it may take; `variables` are added to its environment. Raises `PeerError` where it fails.
    """
    command = [str(environment(name)), str(script), *arguments]
    settings = os.environ | {"PYTHONWARNINGS": "ignore"} | UNTRACKED | dict(variables or {})
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=seconds, env=settings)
    except subprocess.TimeoutExpired as error:
        msg = f"{script.name} in the environment {name!r} took longer than {seconds:g} s"
        raise PeerError(msg) from error
    lines = done.stdout.strip().splitlines()
    if done.returncode != 0 or not lines:
        msg = f"{script.name} in the environment {name!r} ended with {done.returncode}: {_end(done.stderr)}"
        raise PeerError(msg)
    try:
        figures: dict[str, Any] = json.loads(lines[-1])
    except ValueError as error:
        msg = f"{script.name} in the environment {name!r} printed no JSON object last, but: {lines[-1][:200]}"
        raise PeerError(msg) from error
    return figures


def pin(name: str, packages: list[str], python: str | None = None, folder: Path = PEERS) -> Path:
    """Resolve `packages` in a fresh environment, write `NAME.txt` with every version, and return its path."""
    asked = python or f"{sys.version_info.major}.{sys.version_info.minor}"
    with tempfile.TemporaryDirectory() as temporary:
        place = Path(temporary) / "environment"
        _make(place, asked)
        _pip(_python_in(place), "install", *packages)
        frozen = _pip(_python_in(place), "freeze", "--all")
    path = folder / f"{name}.txt"
    path.write_text(f"{PYTHON_LINE} {asked}\n# asked for: {' '.join(packages)}\n{frozen}", encoding="utf-8")
    return path


def cache_folder() -> Path:
    """Return where environments are kept: `$PITSTOP_PEERS`, else a folder of the user's cache."""
    chosen = os.environ.get("PITSTOP_PEERS")
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Path(chosen) if chosen else home / "pitstop" / "peers"


def _lines(path: Path) -> Iterator[str]:
    """Yield the lines that matter, those of `-r` lists included. Raises `PeerError` for a version left open."""
    for raw in path.read_text(encoding="utf-8").splitlines():
        line = raw.strip()
        if line.startswith("-r "):
            yield from _lines(path.parent / line.removeprefix("-r ").strip())
            continue
        if line and not line.startswith(("#", "--")) and "==" not in line:
            msg = f"{path.name}: {line!r} pins no version; write {line.split()[0]}==VERSION"
            raise PeerError(msg)
        if line and (line.startswith(PYTHON_LINE) or not line.startswith("#")):
            yield line


def _make(place: Path, python: str) -> None:
    """Make an empty environment, without pip: this interpreter's pip installs into it, and it counts for nothing."""
    own = f"{sys.version_info.major}.{sys.version_info.minor}"
    found = sys.executable if python == own else shutil.which(f"python{python}") or _of_pyenv(python)
    if found is None:
        msg = f"the list asks for Python {python}, and no python{python} is on the path; install it"
        raise PeerError(msg)
    _run([found, "-m", "venv", "--without-pip", str(place)])


def _of_pyenv(python: str) -> str | None:
    versions = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    found = sorted(versions.glob(f"{python}.*/bin/python{python}"))
    return str(found[-1]) if found else None


def _python_in(place: Path) -> Path:
    return place / ("Scripts" if sysconfig.get_platform().startswith("win") else "bin") / "python"


def _pip(python: Path, *arguments: str) -> str:
    own = [sys.executable, "-m", "pip", "--python", str(python), "--disable-pip-version-check", "--quiet"]
    return _run([*own, *arguments])


def _run(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        msg = f"{' '.join(command)} ended with {done.returncode}: {_end(done.stderr)}"
        raise PeerError(msg)
    return done.stdout


def _end(text: str) -> str:
    return text.strip()[-1500:] or "it printed no error"


@contextmanager
def _only_one(path: Path) -> Iterator[None]:
    """Let one process at a time make an environment; others wait and find it made."""
    with path.open("w", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def main() -> int:
    """Make one environment and print its interpreter."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.environments", description="Make a peer's environment.")
    parser.add_argument("name", help="the list: benchmarks/peers/NAME.txt")
    parser.add_argument("--pin", nargs="+", metavar="PACKAGE", help="resolve these anew and write the list")
    parser.add_argument("--python", help="the version that the list asks for (default: this one)")
    arguments = parser.parse_args()
    try:
        if arguments.pin:
            pin(arguments.name, arguments.pin, arguments.python)
        print(environment(arguments.name))
    except PeerError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())

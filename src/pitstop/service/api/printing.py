"""What the commands print of a model, through the API: the same command, run on the server, word for word.

Only commands that read, with options that name no path. Each runs in a process of its own, two at a time.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from pitstop.compliance.packs import BUILT_IN
from pitstop.errors import SpecError, StoreBusyError, StoreError, UnknownNameError
from pitstop.journal.exports import bundle
from pitstop.service.api import reading, shapes
from pitstop.service.api.operation import Call

SECONDS = 120.0
PATIENCE_SECONDS = 3.0
# Entries of the journal in one answer.
MOST_ENTRIES = 5_000
_AT_ONCE = threading.BoundedSemaphore(2)
_PITSTOP = (sys.executable, "-c", "from pitstop.cli.main import run; run()")


class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Options as the command has them; which ones depends on the command. `packs` are names, with commas between."""

    as_of: shapes.Instant = ""
    at: shapes.Instant = ""
    days_to_fix: Annotated[str, Meta(max_length=20, pattern=r"^[0-9.]*$")] = ""
    packs: Annotated[str, Meta(max_length=1_000)] = ""
    entry: Annotated[str, Meta(max_length=200)] = ""
    key: Annotated[str, Meta(max_length=500)] = ""
    score: bool = False
    rows: bool = False
    json: bool = False
    width: Annotated[int, Meta(ge=40, le=400)] = 80


class Since(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """From which entry on."""

    first: Annotated[int, Meta(ge=0, le=10**15)] = 0


@dataclass(frozen=True)
class Printed:
    """One command: its words, whether the home is named by its place, and the options that it has here."""

    words: tuple[str, ...]
    options: frozenset[str]
    by_home: bool = False


COMMANDS: Mapping[str, Printed] = MappingProxyType(
    {
        "status": Printed(("status",), frozenset({"json"})),
        "incidents": Printed(("incidents",), frozenset({"json"})),
        "releases": Printed(("releases",), frozenset({"json"})),
        "value": Printed(("value",), frozenset({"as_of", "days_to_fix", "json"})),
        "challenger": Printed(("challenger",), frozenset({"json"})),
        "served": Printed(("served",), frozenset({"at", "json"})),
        "evidence": Printed(("evidence", "show"), frozenset({"as_of", "packs", "score", "json"})),
        "incident-list": Printed(("incident", "list"), frozenset({"as_of", "json"})),
        "journal-verify": Printed(("journal", "verify"), frozenset({"rows", "key", "json"}), by_home=True),
        "journal-prove": Printed(("journal", "prove"), frozenset({"entry"}), by_home=True),
    }
)


def printed(call: Call) -> shapes.Output:
    """Return what a command prints of a model, and its exit code."""
    name = call.path["command"]
    if name not in COMMANDS:
        msg = f"no command {name[:100]!r} is answered here; known: {', '.join(sorted(COMMANDS))}"
        raise UnknownNameError(msg)
    with reading.opened(call.model):
        pass  # nothing is there before the first tick
    argv = _argv(COMMANDS[name], call)
    kept = {key: value for key, value in os.environ.items() if not key.startswith("PITSTOP_")}
    plain = {"COLUMNS": str(call.query.width), "NO_COLOR": "1", "TERM": "dumb"}
    # Not for long: whoever waits here holds a thread that other requests need.
    if not _AT_ONCE.acquire(timeout=PATIENCE_SECONDS):
        msg = "other commands are being run here; try again in a moment"
        raise StoreBusyError(msg)
    try:
        done = subprocess.run(
            [*_PITSTOP, *argv],
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
            stdin=subprocess.DEVNULL,
            env=kept | plain,
        )
    except subprocess.TimeoutExpired as error:
        msg = f"the command took longer than {SECONDS:g} s, and was stopped; run it on the server's own machine"
        raise StoreError(msg) from error
    finally:
        _AT_ONCE.release()
    return shapes.Output(done.stdout, done.stderr, done.returncode)


def copied(call: Call) -> shapes.JournalCopy:
    """Return entries of the journal and its signed heads as the files of a copy; `pitstop journal verify` checks it."""
    first = call.query.first
    with reading.opened(call.model) as home:
        size = home.journal_head().size
        entries = []
        for entry in home.entries(min(first, size)):
            entries.append(entry)
            if len(entries) == MOST_ENTRIES:
                break
        made = bundle(entries, home.notes(), min(first, size))
    files = {name: content.decode() for name, content in made.files.items()}
    return shapes.JournalCopy(files, made.size, made.size < size)


def _argv(asked: Printed, call: Call) -> list[str]:
    query: Options = call.query
    given: dict[str, Any] = {
        name: getattr(query, name)
        for name in ("as_of", "at", "days_to_fix", "packs", "entry", "key", "score", "rows", "json")
        if getattr(query, name)
    }
    strange = sorted(given.keys() - asked.options)
    if strange:
        msg = f"{' '.join(asked.words)} has no option {strange[0]!r} here; known: {', '.join(sorted(asked.options))}"
        raise SpecError(msg)
    entry, packs = given.pop("entry", ""), [name for name in given.pop("packs", "").split(",") if name]
    unknown = [name for name in packs if name not in BUILT_IN]
    if unknown:
        msg = f"no pack is called {unknown[0]!r}; known: {', '.join(BUILT_IN)}"
        raise UnknownNameError(msg)
    options = [
        f"--{name.replace('_', '-')}" if value is True else f"--{name.replace('_', '-')}={value}"
        for name, value in given.items()
    ]
    options += [f"--pack={name}" for name in packs]
    home, model = str(call.model.home), call.model.name
    # Nothing after `--` is an option, whatever it looks like.
    if asked.by_home:
        return [*asked.words, *options, "--", home, *([entry] if "entry" in asked.options else [])]
    return [*asked.words, f"--home={home}", *options, "--", model]

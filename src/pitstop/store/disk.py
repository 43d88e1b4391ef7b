"""Turns what the operating system and the database say about the disk into one error with a way out."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa

from pitstop.errors import StoreError, StoreUnavailableError

_FULL = "the disk or its quota is full: free space there and run again; nothing of this step was kept"
_ADVICE = {
    errno.ENOSPC: _FULL,
    errno.EDQUOT: _FULL,
    errno.EFBIG: "a file would pass its size limit (ulimit -f): raise it and run again; nothing of this step was kept",
    errno.EROFS: "the file system is read-only: mount it for writing, or choose another home",
    errno.EACCES: "permission is missing: give this user the right to it, or choose another home",
    errno.EPERM: "permission is missing: give this user the right to it, or choose another home",
}
# SQLite reports its own words for the same causes, and an I/O error where a write was refused half-way.
_SQLITE_ADVICE = {
    "SQLITE_FULL": _FULL,
    "SQLITE_IOERR": "a read or write failed (disk full, limit of file size, or a failing disk): "
    "check the disk and run again; nothing of this step was kept",
    "SQLITE_READONLY": "the catalog is read-only: give this user the right to write it, or open it read-only",
    "SQLITE_CANTOPEN": "the catalog cannot be opened: check that the folder exists and is readable and writable",
    "SQLITE_BUSY": "another process holds the catalog: wait for it to end and run again",
    "SQLITE_NOTADB": "catalog.sqlite is not a database: no Pitstop home, or damaged; choose another path or a backup",
    "SQLITE_CORRUPT": "the catalog is damaged: restore the home from a backup",
}

# Classes of SQLSTATE; the driver gives none where it never reached a server.
_POSTGRES_ADVICE = {
    "08": "the database cannot be reached or went away: check that it runs, and run again; nothing of this was kept",
    "28": "the database refuses this user: check the user in the URL, and PGPASSWORD or ~/.pgpass",
    "3D": "there is no such database: create it, or choose another one",
    "42": "the database refuses this: check that this user may create and change tables in the schema",
    "53": "the database has no room or no connection left: free some and run again; nothing of this step was kept",
    "55": "another process holds the catalog: wait for it to end and run again",
    "57": "the database is stopping or starting: run again when it is up; nothing of this step was kept",
    "58": "the database cannot use its disk: see its log, and run again; nothing of this step was kept",
}

# Those of them that pass by themselves.
_PASSING = frozenset({"08", "53", "55", "57", "58"})


@contextmanager
def disk_errors(doing: str, where: Path | str) -> Iterator[None]:
    """Raise `StoreError` for every error of the operating system or the database inside the block.

    It is a `StoreUnavailableError` where a server cannot be reached, stops, starts, or has no room.
    """
    try:
        yield
    except OSError as error:
        advice = _ADVICE.get(error.errno or 0, "check the disk and run again; nothing of this step was kept")
        msg = f"cannot {doing} in {where}: {error.strerror or error}; {advice}"
        raise StoreError(msg) from error
    except sa.exc.DBAPIError as error:
        said = str(error.orig).strip().splitlines()
        state = _state_of(error)
        msg = f"cannot {doing} in {where}: {said[0] if said else type(error.orig).__name__}; {_advice(error, state)}"
        raise (StoreUnavailableError if state in _PASSING else StoreError)(msg) from error
    except sa.exc.TimeoutError as error:
        msg = f"cannot {doing} in {where}: all sessions are in use; try again in a moment"
        raise StoreUnavailableError(msg) from error


def _state_of(error: sa.exc.DBAPIError) -> str:
    """Return the class of PostgreSQL's SQLSTATE; empty for another database."""
    if getattr(error.orig, "sqlite_errorname", ""):
        return ""
    state = getattr(error.orig, "sqlstate", None)
    unreached = isinstance(error, sa.exc.OperationalError) and state is None
    return "08" if unreached else str(state or "")[:2]


def _advice(error: sa.exc.DBAPIError, state: str) -> str:
    name = str(getattr(error.orig, "sqlite_errorname", ""))
    if name:
        return _SQLITE_ADVICE.get("_".join(name.split("_")[:2]), "if it stays, restore the home from a backup")
    return _POSTGRES_ADVICE.get(state, "if it stays, restore the home from a backup")

"""Copies a whole workspace from any place to any place: a backup, a restore, or the move from SQLite to PostgreSQL.

What the service keeps comes first, in one snapshot; then what was acknowledged and what is stored, while nobody
stores; then each model's home, in a snapshot of its own. So a job that ended after the first snapshot is done again in
the copy, which jobs bear, and nothing that ended before it is missing.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa

from pitstop.errors import StoreBusyError, StoreError
from pitstop.service.fleet import FLEET
from pitstop.service.places import FILE, Places
from pitstop.service.workspace import Workspace
from pitstop.store.copying import Report, copy_home, copy_table
from pitstop.store.disk import disk_errors
from pitstop.store.files import make_folder, sync_folder
from pitstop.store.home import Home
from pitstop.store.location import CATALOG, Location, write_location
from pitstop.store.location import FILE as HOME_FILE
from pitstop.store.spool import ID, spool_files

# Whoever stores gives the store back every ten seconds.
PATIENCE_SECONDS = 60.0
_LOOK_SECONDS = 0.02
# Rows for trainings elsewhere, and what they brought.
TRAININGS = "trainings"
# Who works in the copy is not known yet.
_LEFT = frozenset({"workers"})


@dataclass(frozen=True)
class CopiedWorkspace:
    """What a copy holds: rows of the service's tables, homes of models, spool files; `elsewhere`: homes outside it."""

    rows: int
    homes: tuple[str, ...]
    spool: int
    elsewhere: tuple[str, ...]


def make_workspace(folder: Path, places: Places) -> None:
    """Make an empty workspace that keeps its things at `places`. Raises `StoreError` where something is there."""
    if folder.exists() and any(folder.iterdir()):
        msg = f"{folder} is not empty; choose a new folder for the workspace"
        raise StoreError(msg)
    write_location(folder, Location(places.catalog, places.files), FILE)
    try:
        with Workspace.open(folder) as made:
            _require_empty(made)
    except StoreError:
        (folder / FILE).unlink(missing_ok=True)
        raise


def copy_workspace(
    source: Path, target: Path, places: Places | None = None, progress: Report | None = None
) -> CopiedWorkspace:
    """Copy the workspace in the folder `source` to the folder `target`, which keeps its things at `places`.

    The source may be in use; what it acknowledges after this began may be missing. Homes are verified as `copy_home`
    does; one that stands outside the workspace is left there and named. Raises `StoreError` where the source cannot be
    read, the store of received rows is not given back within a minute, or the target holds something already.
    """
    with Workspace.open(source, create=False) as old:
        make_workspace(target, places or Places())
        with Workspace.open(target) as new:
            rows = _copy_tables(old, new)
            spool = _copy_received(old, new, progress)
            if (old.path / TRAININGS).is_dir():
                with disk_errors("copy what waits for trainings elsewhere", new.path / TRAININGS):
                    shutil.copytree(old.path / TRAININGS, new.path / TRAININGS, dirs_exist_ok=True)
            inside = [model for model in old.models() if model.home.is_relative_to(old.path)]
            for model in inside:
                if _is_home(model.home):
                    where = new.places.home(model.name)
                    copy_home(model.home, new.path / model.home.relative_to(old.path), where, progress)
            outside = tuple(str(model.home) for model in old.models() if model not in inside)
    names = tuple(model.name for model in inside if _is_home(model.home))
    return CopiedWorkspace(rows, names, spool, tuple(dict.fromkeys(outside)))


def _require_empty(workspace: Workspace) -> None:
    with workspace.fleet.read() as connection:
        for table in FLEET.sorted_tables:
            if table.name not in _LEFT and connection.execute(sa.select(sa.literal(1)).select_from(table)).first():
                msg = f"{workspace.places.catalog or workspace.path} holds a workspace already; choose another schema"
                raise StoreError(msg)


def _copy_tables(old: Workspace, new: Workspace) -> int:
    with old.fleet.read() as connection, new.fleet.write() as writer:
        rows = sum(copy_table(connection, writer, table) for table in FLEET.sorted_tables if table.name not in _LEFT)
        models = FLEET.tables["models"]
        for row in connection.execute(sa.select(models.c.name, models.c.home)):
            home = Path(row.home)
            # Earlier versions kept the whole path.
            if home.is_absolute() and home.is_relative_to(old.path):
                moved = models.update().where(models.c.name == row.name)
                writer.execute(moved.values(home=str(home.relative_to(old.path))))
    return rows


def _copy_received(old: Workspace, new: Workspace, progress: Report | None) -> int:
    """Copy what was acknowledged and what is stored, as they are at one moment; return the number of spool files."""
    with _nobody_stores(old.records):
        count = 0
        with disk_errors("copy the spool", new.spool):
            for path in (*spool_files(old.spool), old.spool / ID):
                if path.exists():
                    for changed in make_folder(new.spool):
                        sync_folder(changed)
                    _copy_file(path, new.spool / path.name)
                    count += path.name != ID
            if count:
                sync_folder(new.spool)
        if _is_home(old.records):
            copy_home(old.records, new.records, new.places.home(), progress)
    return count


@contextmanager
def _nobody_stores(records: Path) -> Iterator[None]:
    """Hold the store of received rows, so that nothing moves from the spool into it; batches are acknowledged on."""
    if not _is_home(records):
        yield
        return
    until = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            held = Home.open(records)
            break
        except StoreBusyError:
            if time.monotonic() > until:
                raise
            time.sleep(_LOOK_SECONDS)
    with held:
        yield


def _is_home(folder: Path) -> bool:
    return (folder / CATALOG).exists() or (folder / HOME_FILE).exists()


def _copy_file(source: Path, target: Path) -> None:
    with source.open("rb") as content, target.open("wb") as copy:
        shutil.copyfileobj(content, copy, 1 << 20)
        copy.flush()
        os.fsync(copy.fileno())

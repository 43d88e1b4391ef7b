"""A workspace: what one installation of `pitstop up` keeps.

fleet.sqlite    the registry of models, users, keys, sessions, jobs, deliveries
jobs.sqlite     how far each job has come (DBOS)
spool/          acknowledged batches that are not stored yet
records/        one home for the received rows of all models
trainings/      rows for trainings elsewhere, and what is brought, until they end
models/NAME/    one home for each model that was registered; a home from elsewhere can be adopted where it stands
workspace.toml  where all that is kept instead (see `service.places`): in schemas of PostgreSQL, files in a bucket
"""

from __future__ import annotations

import json
import re
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import sqlalchemy as sa

from pitstop.errors import SpecError, StoreBusyError, StoreError, UnknownNameError
from pitstop.records.spec import ModelSpec, load_spec, parse_spec, spec_of
from pitstop.service.fleet import FLEET, Fleet
from pitstop.service.places import DATABASE, FILE, RECORDS, Places
from pitstop.store.disk import disk_errors
from pitstop.store.files import make_folder, sync_folder
from pitstop.store.home import Home
from pitstop.store.location import CATALOG
from pitstop.store.location import FILE as HOME_FILE

JOBS = "jobs.sqlite"
# Held by the one worker that a workspace in SQLite may have.
LOCK = "worker.lock"
_ENDS = ("-wal", "-shm", "-journal")
# A name becomes a folder and a part of addresses.
MODEL_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}\Z")
DAY_SECONDS = 86_400

_MODELS = FLEET.tables["models"]


@dataclass(frozen=True)
class Registered:
    """A model that the service serves.

    `home` is its folder, `base` the one that its specification's paths are relative to. `source` and `labels` are where
    its rows come from; empty where the service's own ingest brings them. `every_seconds` is how often it is due.
    """

    name: str
    home: Path
    spec: ModelSpec
    base: Path
    start: str
    owner: str
    source: str
    labels: str
    every_seconds: int
    at: int


class Workspace:
    """An opened workspace; a context manager. Several threads and processes may use it at the same time."""

    def __init__(self, path: Path, fleet: Fleet, places: Places) -> None:
        self.path = path
        self.fleet = fleet
        self.places = places

    @classmethod
    def open(cls, path: Path | str, *, create: bool = True) -> Self:
        """Open the workspace in the folder `path`; make it if it is not there, unless `create` is false.

        Raises `StoreError` where the folder holds something else or cannot be used.
        """
        folder = Path(path).absolute()
        places = Places.of(folder)
        if not places.catalog and not (folder / DATABASE).exists():
            _require_free(folder, create=create)
        with disk_errors("make a workspace", folder):
            for changed in make_folder(folder / "models"):
                sync_folder(changed)
        fleet = Fleet.connect(places.catalog) if places.catalog else Fleet.open(folder / DATABASE)
        try:
            places.prepare(folder / RECORDS)
        except BaseException:
            fleet.close()
            raise
        return cls(folder, fleet, places)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give the workspace back."""
        self.fleet.close()

    @property
    def spool(self) -> Path:
        """Where acknowledged batches wait."""
        return self.path / "spool"

    @property
    def records(self) -> Path:
        """The home of all received rows."""
        return self.path / RECORDS

    def prepare(self, model: Registered) -> None:
        """Make a model's home where this workspace keeps homes, before it is written for the first time."""
        if model.home.parent == self.path / "models":
            self.places.prepare(model.home, model.name)

    def models(self) -> tuple[Registered, ...]:
        """Return all registered models, by name."""
        with self.fleet.read() as connection:
            rows = connection.execute(sa.select(_MODELS).order_by(_MODELS.c.name)).all()
        return tuple(_registered(row, self.path) for row in rows)

    def model(self, name: str) -> Registered:
        """Return one model; raise `UnknownNameError` if none is registered under that name."""
        with self.fleet.read() as connection:
            row = connection.execute(sa.select(_MODELS).where(_MODELS.c.name == name)).one_or_none()
        if row is None:
            msg = f"no model {name!r} is registered here; see the list of models for those that are"
            raise UnknownNameError(msg)
        return _registered(row, self.path)

    def knows(self, name: str) -> bool:
        """Return whether a model is registered under that name."""
        with self.fleet.read() as connection:
            return connection.execute(sa.select(_MODELS.c.name).where(_MODELS.c.name == name)).first() is not None

    def home(self, name: str) -> Path:
        """Return the folder of a model's home; it may not have been made yet. Raises `UnknownNameError`."""
        return self.model(name).home

    def register(
        self,
        spec_toml: str,
        *,
        at: int,
        start: str = "",
        owner: str = "",
        base: Path | None = None,
        source: str = "",
        labels: str = "",
        every_seconds: int = DAY_SECONDS,
    ) -> Registered:
        """Register a model by the text of its `pitstop.toml`; its rows come through this service, or from `source`.

        `source` and `labels` are paths, as of `pitstop run`: never take them from a request. `at` is now, in
        microseconds. Raises `SpecError` for a specification that cannot be used, and `StoreError` where the name is
        taken or cannot be part of an address.
        """
        spec = parse_spec(spec_toml)
        home = self.path / "models" / _usable(spec.model.name)
        return self._add(spec, home, base or self.path, start, owner, source, labels, every_seconds, at)

    def adopt(self, home: Path | str, *, at: int, owner: str = "") -> tuple[Registered, ...]:
        """Register the models of a home that stands elsewhere, such as the demo's; one known already is left as it is.

        What `pitstop run` remembered of the home (source, labels, specification) is of one model, and is taken over for
        that one. Raises `StoreError` where `home` is no home, holds no model that has begun, or a name is taken by
        another home.
        """
        folder = Path(home).absolute()
        known = _remembered(folder)
        bring_up_to_date(folder)
        with Home.open(folder, read_only=True) as kept:
            found = {name: dict(specs[-1].content) for name in kept.models() if (specs := kept.artifacts("spec", name))}
        if not found:
            msg = f"{folder} holds no model that has begun; run `pitstop run` or `pitstop demo` in it first"
            raise StoreError(msg)
        there = {item.name: item for item in self.models()}
        for name, content in found.items():
            if name in there:
                if there[name].home != folder:
                    msg = f"a model {name!r} is registered already, with the home {there[name].home}"
                    raise StoreError(msg)
                continue
            path = Path(known["spec"]) if "spec" in known else None
            written = load_spec(path) if path is not None and path.exists() else None
            others = written is not None and written.model.name != name
            told = {} if others else known
            self._add(
                spec_of(content) if written is None or others else written,
                folder,
                folder if path is None or others else path.parent,
                told.get("start", ""),
                owner,
                told.get("source", ""),
                told.get("labels", ""),
                DAY_SECONDS,
                at,
            )
        return tuple(self.model(name) for name in found)

    def _add(
        self,
        spec: ModelSpec,
        home: Path,
        base: Path,
        start: str,
        owner: str,
        source: str,
        labels: str,
        every_seconds: int,
        at: int,
    ) -> Registered:
        name = _usable(spec.model.name)
        row = {
            "name": name,
            # What lies within the workspace moves with it.
            "home": str(home.relative_to(self.path) if home.is_relative_to(self.path) else home),
            "spec": json.dumps(asdict(spec)),
            "base": str(base),
            "start": start,
            "owner": owner,
            "source": source,
            "labels": labels,
            "every_seconds": every_seconds,
            "at": at,
        }
        with self.fleet.write() as connection:
            if connection.execute(sa.select(_MODELS.c.name).where(_MODELS.c.name == name)).first() is not None:
                msg = f"a model {name!r} is registered already; give this one another name"
                raise StoreError(msg)
            connection.execute(_MODELS.insert(), row)
        return self.model(name)


def bring_up_to_date(home: Path) -> None:
    """Open a home once for writing, so that one of an earlier version can then be read; one in use is left alone."""
    with suppress(StoreBusyError):
        Home.open(home, create=False).close()


def _usable(name: str) -> str:
    if not MODEL_NAME.match(name):
        msg = (
            f"got the model name {name!r}; the service puts it into addresses and folders: expected up to 64 letters, "
            "digits, '-' and '_', the first a letter or digit"
        )
        raise SpecError(msg)
    return name


def _registered(row: sa.Row[Any], folder: Path) -> Registered:
    return Registered(
        row.name,
        folder / row.home,
        spec_of(json.loads(row.spec)),
        Path(row.base),
        row.start,
        row.owner,
        row.source,
        row.labels,
        row.every_seconds,
        row.at,
    )


def _remembered(home: Path) -> dict[str, str]:
    """Return what `pitstop run` was told of a home."""
    try:
        found: dict[str, str] = json.loads((home / "source.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        msg = f"{home / 'source.json'} cannot be read ({error}); delete it, and run `pitstop run` with --source again"
        raise StoreError(msg) from error
    return found


def _require_free(folder: Path, *, create: bool) -> None:
    with disk_errors("open a workspace", folder):
        present = {item.name for item in folder.iterdir()} if folder.is_dir() else set()
    if present & {CATALOG, HOME_FILE}:
        msg = f"{folder} is a home of one model; serve it with --home, and choose another folder for the workspace"
        raise StoreError(msg)
    databases = (f"{name}{end}" for name in (DATABASE, JOBS) for end in _ENDS)
    ours = {"models", "spool", "trainings", RECORDS, JOBS, FILE, LOCK, *databases}
    strange = sorted(present - ours)
    if strange:
        msg = f"{folder} holds {strange[0]!r} and no {DATABASE}; choose an empty or new folder for the workspace"
        raise StoreError(msg)
    if not create:
        msg = f"there is no workspace in {folder}; check the path, or make one with `pitstop up --workspace {folder}`"
        raise StoreError(msg)

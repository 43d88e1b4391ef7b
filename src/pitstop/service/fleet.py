"""The fleet's catalog: what the service itself keeps, beside the homes of its models.

It lies in SQLite beside them, or in a schema of PostgreSQL where several processes share it; the tables and every
statement are the same. Named steps as in `store.migrations`, so a workspace of an earlier version is brought up to
date when it is opened. Instants are whole microseconds since 1970 (UTC), lists and objects are JSON texts.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path

import sqlalchemy as sa

from pitstop.service.site.summaries import PAGE_TABLES
from pitstop.service.site.summaries import declare as declare_pages
from pitstop.service.words import Words
from pitstop.store.base import Catalog
from pitstop.store.catalog import SqliteCatalog
from pitstop.store.disk import disk_errors
from pitstop.store.migrations import Migration, declared

_BIG, _TEXT = sa.BigInteger, Words


def _creates(*names: str) -> Callable[[sa.Connection, sa.MetaData], None]:
    def apply(connection: sa.Connection, tables: sa.MetaData) -> None:
        for name in names:
            tables.tables[name].create(connection)

    return apply


def _declare_models(tables: sa.MetaData) -> None:
    sa.Table(
        "models",
        tables,
        sa.Column("name", _TEXT, primary_key=True),
        sa.Column("home", _TEXT, nullable=False),
        sa.Column("spec", _TEXT, nullable=False),
        sa.Column("base", _TEXT, nullable=False),
        sa.Column("start", _TEXT, nullable=False),
        sa.Column("owner", _TEXT, nullable=False),
        sa.Column("source", _TEXT, nullable=False),
        sa.Column("labels", _TEXT, nullable=False),
        sa.Column("every_seconds", _BIG, nullable=False),
        sa.Column("at", _BIG, nullable=False),
    )


def _declare_people(tables: sa.MetaData) -> None:
    sa.Table(
        "users",
        tables,
        sa.Column("name", _TEXT, primary_key=True),
        sa.Column("password", _TEXT, nullable=False),
        sa.Column("subject", _TEXT, nullable=False),
        sa.Column("roles", _TEXT, nullable=False),
        sa.Column("epoch", _BIG, nullable=False),
        sa.Column("active", sa.Boolean, nullable=False),
        sa.Column("at", _BIG, nullable=False),
    )
    sa.Table(
        "api_keys",
        tables,
        sa.Column("prefix", _TEXT, primary_key=True),
        sa.Column("digest", _TEXT, nullable=False),
        sa.Column("name", _TEXT, nullable=False),
        sa.Column("roles", _TEXT, nullable=False),
        sa.Column("models", _TEXT, nullable=False),
        sa.Column("made_by", _TEXT, nullable=False),
        sa.Column("at", _BIG, nullable=False),
        sa.Column("expires", _BIG, nullable=False),
        sa.Column("revoked", _BIG),
    )
    sa.Table(
        "sessions",
        tables,
        sa.Column("digest", _TEXT, primary_key=True),
        sa.Column("user", _TEXT, nullable=False),
        sa.Column("epoch", _BIG, nullable=False),
        sa.Column("at", _BIG, nullable=False),
        sa.Column("expires", _BIG, nullable=False),
    )
    sa.Table(
        "bootstrap",
        tables,
        sa.Column("digest", _TEXT, primary_key=True),
        sa.Column("at", _BIG, nullable=False),
        sa.Column("used", _BIG),
    )


def _declare_logins(tables: sa.MetaData) -> None:
    sa.Table(
        "logins",
        tables,
        sa.Column("digest", _TEXT, primary_key=True),
        sa.Column("nonce", _TEXT, nullable=False),
        sa.Column("verifier", _TEXT, nullable=False),
        sa.Column("next", _TEXT, nullable=False),
        sa.Column("expires", _BIG, nullable=False),
    )


def _declare_jobs(tables: sa.MetaData) -> None:
    sa.Table(
        "jobs",
        tables,
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("id", _TEXT, nullable=False, unique=True),
        sa.Column("kind", _TEXT, nullable=False),
        sa.Column("model", _TEXT, nullable=False),
        sa.Column("arguments", _TEXT, nullable=False),
        sa.Column("by", _TEXT, nullable=False),
        sa.Column("at", _BIG, nullable=False),
        sa.Column("state", _TEXT, nullable=False),
        sa.Column("tries", sa.Integer, nullable=False),
        sa.Column("note", _TEXT, nullable=False),
        sa.Column("done", _BIG, nullable=False),
        sa.Column("total", _BIG, nullable=False),
        sa.Column("cancelled_by", _TEXT),
        sa.Column("ended", _BIG),
        sa.Column("outcome", _TEXT),
        sa.Index("jobs_by_model", "model", "number"),
    )
    sa.Table(
        "requests",
        tables,
        sa.Column("digest", _TEXT, primary_key=True),
        sa.Column("fingerprint", _TEXT, nullable=False),
        sa.Column("status", sa.Integer),
        sa.Column("body", _TEXT),
        sa.Column("at", _BIG, nullable=False),
    )


def _declare_messages(tables: sa.MetaData) -> None:
    sa.Table(
        "channels",
        tables,
        sa.Column("name", _TEXT, primary_key=True),
        sa.Column("kind", _TEXT, nullable=False),
        sa.Column("target", _TEXT, nullable=False),
        sa.Column("secret", _TEXT, nullable=False),
        sa.Column("models", _TEXT, nullable=False),
        sa.Column("owner", _TEXT, nullable=False),
        sa.Column("by", _TEXT, nullable=False),
        sa.Column("at", _BIG, nullable=False),
    )
    sa.Table(
        "deliveries",
        tables,
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("channel", _TEXT, nullable=False),
        sa.Column("event", _TEXT, nullable=False),
        sa.Column("kind", _TEXT, nullable=False),
        sa.Column("model", _TEXT, nullable=False),
        sa.Column("body", _TEXT, nullable=False),
        sa.Column("state", _TEXT, nullable=False),
        sa.Column("tries", sa.Integer, nullable=False),
        sa.Column("due", _BIG, nullable=False),
        sa.Column("said", _TEXT, nullable=False),
        sa.Column("at", _BIG, nullable=False),
        sa.Column("ended", _BIG),
        sa.UniqueConstraint("channel", "event"),
        sa.Index("deliveries_due", "state", "due"),
    )
    sa.Table(
        "noticed",
        tables,
        sa.Column("model", _TEXT, primary_key=True),
        sa.Column("artifacts", _BIG, nullable=False),
        sa.Column("standing", _TEXT, nullable=False),
    )


def _declare_trainings(tables: sa.MetaData) -> None:
    sa.Table(
        "trainings",
        tables,
        sa.Column("id", _TEXT, primary_key=True),
        sa.Column("model", _TEXT, nullable=False),
        sa.Column("job", _TEXT, nullable=False),
        sa.Column("facts", _TEXT, nullable=False),
        sa.Column("state", _TEXT, nullable=False),
        sa.Column("at", _BIG, nullable=False),
        sa.Column("deadline", _BIG, nullable=False),
        sa.Column("tries", sa.Integer, nullable=False),
        sa.Column("due", _BIG, nullable=False),
        sa.Column("sent", _BIG),
        sa.Column("said", _TEXT, nullable=False),
        sa.Column("what", _TEXT, nullable=False),
        sa.Column("digest", _TEXT, nullable=False),
        sa.Column("by", _TEXT, nullable=False),
        sa.Column("login", _TEXT, nullable=False),
        sa.Column("predictions", _TEXT, nullable=False),
        sa.Column("ended", _BIG),
    )


def _declare_processes(tables: sa.MetaData) -> None:
    sa.Table(
        "workers",
        tables,
        sa.Column("name", _TEXT, primary_key=True),
        sa.Column("at", _BIG, nullable=False),
        sa.Column("seen", _BIG, nullable=False),
        sa.Column("problem", _TEXT, nullable=False),
    )
    sa.Table(
        "guesses",
        tables,
        sa.Column("digest", _TEXT, primary_key=True),
        sa.Column("failures", sa.Integer, nullable=False),
        sa.Column("until", _BIG, nullable=False),
        sa.Column("at", _BIG, nullable=False),
        sa.Index("guesses_by_time", "at"),
    )


FLEET_MIGRATIONS: tuple[Migration, ...] = (
    Migration("fleet_0001_models", _declare_models, _creates("models")),
    Migration("fleet_0002_people", _declare_people, _creates("users", "api_keys", "sessions", "bootstrap")),
    Migration("fleet_0003_logins", _declare_logins, _creates("logins")),
    Migration("fleet_0004_jobs", _declare_jobs, _creates("jobs", "requests")),
    Migration("pages_0001", declare_pages, _creates(*PAGE_TABLES)),
    Migration("fleet_0005_messages", _declare_messages, _creates("channels", "deliveries", "noticed")),
    Migration("fleet_0006_trainings", _declare_trainings, _creates("trainings")),
    Migration("fleet_0007_processes", _declare_processes, _creates("workers", "guesses")),
)
FLEET = declared(FLEET_MIGRATIONS)
_OF = "the service"


class Fleet:
    """The catalog of the service, for use by several threads and processes. `alone`: by one thread at a time.

    Write transactions run one after the other, so that what one has read still holds when it writes.
    """

    def __init__(self, catalog: Catalog, *, alone: bool = True) -> None:
        self._catalog = catalog
        self._turn: AbstractContextManager[object] = threading.RLock() if alone else nullcontext()

    @classmethod
    def open(cls, path: Path) -> Fleet:
        """Open or make the database file `path`. Raises `StoreError` where it is something else, or newer."""
        return cls(SqliteCatalog(path, migrations=FLEET_MIGRATIONS))

    @classmethod
    def connect(cls, url: str) -> Fleet:
        """Open or make the schema that a PostgreSQL URL names (`?schema=NAME`). Raises `StoreError` as `open` does."""
        from pitstop.store.postgres_shared import SharedPostgresCatalog  # noqa: PLC0415 - an optional dependency

        return cls(SharedPostgresCatalog(url, FLEET_MIGRATIONS), alone=False)

    @contextmanager
    def write(self) -> Iterator[sa.Connection]:
        """Open a transaction that commits when the block ends and rolls back when it raises.

        Raises `StoreError` for every error of the database, in the block too.
        """
        with self._turn, disk_errors("write to the catalog", _OF), self._catalog.write() as connection:
            yield connection

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """Open a consistent view of everything committed. Raises as `write` does."""
        with self._turn, disk_errors("read the catalog", _OF), self._catalog.read() as connection:
            yield connection

    def close(self) -> None:
        """Give all connections back."""
        with self._turn:
            self._catalog.close()

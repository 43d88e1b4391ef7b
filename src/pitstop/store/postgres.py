"""The catalog on PostgreSQL: one schema for each home, one process that writes, any number that read.

The writer holds an advisory lock in the very session that it writes with: where that session ends, so does the right
to write, and a transaction that was open is rolled back by the server. A session that broke is opened anew, with its
lock, before the next transaction.
"""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import sqlalchemy as sa

from pitstop.errors import StoreBusyError, StoreError
from pitstop.store.catalog import in_transaction
from pitstop.store.disk import disk_errors
from pitstop.store.migrations import MIGRATIONS, Migration, applied, migrate, require_known

DEFAULT_SCHEMA = "pitstop"
_SCHEMA = re.compile(r"[a-z_][a-z0-9_]{0,62}")
CONNECT_SECONDS = 10
# A writer that lost its machine keeps its session, and so its lock, until the server notices.
_SESSION = {
    "keepalives": 1,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
}
_LOCK = sa.text("SELECT pg_try_advisory_lock(hashtextextended('pitstop home ' || :schema, 0))")
_HOLDER = sa.text("""
    SELECT a.application_name FROM pg_locks AS l JOIN pg_stat_activity AS a USING (pid)
    WHERE l.locktype = 'advisory' AND l.granted AND l.database = (SELECT oid FROM pg_database
        WHERE datname = current_database())
      AND ((l.classid::bigint << 32) | l.objid::bigint) = hashtextextended('pitstop home ' || :schema, 0)
""")


class PostgresCatalog:
    """The `Catalog` protocol on the database and schema that `url` names, such as `postgresql://host/db?schema=hotel`.

    The password comes from where PostgreSQL's own programs take it: `PGPASSWORD`, or `~/.pgpass`. Opening makes or
    migrates the schema, unless `read_only`. Raises `StoreBusyError` where another process writes, and `StoreError`
    where the server cannot be reached, the schema holds something else, or a newer version made it. Not for use by
    several threads.
    """

    def __init__(self, url: str, *, read_only: bool = False, migrations: tuple[Migration, ...] = MIGRATIONS) -> None:
        place, self._schema = parsed(url)
        self._where = shown(url)
        self._engine = engine_of(place, connect_arguments(self._schema), poolclass=sa.pool.NullPool)
        self._writes = not read_only
        self._reader: sa.Connection | None = None
        self._writer: sa.Connection | None = None
        try:
            with disk_errors("open the catalog", self._where):
                self._prepare_schema(migrations)
        except BaseException:
            self.close()
            raise

    @contextmanager
    def write(self) -> Iterator[sa.Connection]:
        """Open the one write transaction."""
        if not self._writes:
            msg = "this home was opened read-only; open it for writing to change it"
            raise StoreError(msg)
        with disk_errors("write to the catalog", self._where):
            writer = self._live_writer()
        with in_transaction(writer, self._where):
            yield writer

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """Open a snapshot of everything committed; it waits for nobody."""
        with disk_errors("read the catalog", self._where):
            reader = self._live_reader()
            with reader.begin():
                yield reader

    def scrub(self) -> None:
        """Take dead rows out of the tables that hold what may be erased; the server's own log is its owner's matter."""
        if self._writes:
            with disk_errors("write to the catalog", self._where):
                vacuum = self._live_writer().execution_options(isolation_level="AUTOCOMMIT")
                try:
                    for table in ("subjects", "artifacts", "quarantine", "waiting"):
                        vacuum.exec_driver_sql(f"VACUUM {table}")
                finally:
                    # SQLAlchemy counts what it ran as a transaction, though the server has none.
                    vacuum.rollback()
                    vacuum.execution_options(isolation_level="READ COMMITTED")

    def close(self) -> None:
        """Close both sessions; the lock goes with the writer's."""
        for connection in (self._reader, self._writer):
            if connection is not None:
                with suppress(sa.exc.SQLAlchemyError):
                    connection.close()
        self._reader = self._writer = None
        self._engine.dispose()

    def _live_reader(self) -> sa.Connection:
        """Return the reading session; a new one where the last one broke."""
        self._reader = _pinged(self._reader)
        if self._reader is None:
            self._reader = self._engine.connect().execution_options(
                isolation_level="REPEATABLE READ", postgresql_readonly=True
            )
        return self._reader

    def _live_writer(self) -> sa.Connection:
        """Return the writing session, which holds the lock; a new one where the last one broke."""
        self._writer = _pinged(self._writer)
        if self._writer is None:
            self._writer = self._locked(self._engine.connect())
        return self._writer

    def _locked(self, connection: sa.Connection) -> sa.Connection:
        try:
            with connection.begin():
                if connection.execute(_LOCK, {"schema": self._schema}).scalar_one():
                    return connection
                holder = connection.execute(_HOLDER, {"schema": self._schema}).scalars().first()
        except BaseException:
            connection.close()
            raise
        connection.close()
        msg = (
            f"{holder or 'another process'} is working in {self._where}; "
            "wait until it ends, stop it, or choose another home"
        )
        raise StoreBusyError(msg)

    def _prepare_schema(self, migrations: tuple[Migration, ...]) -> None:
        with self.read() as connection:
            known = sa.inspect(connection).get_table_names(schema=self._schema)
            done = applied(connection)
        if known and not done:
            msg = f"schema {self._schema!r} of {self._where} holds {known[0]!r}, no Pitstop catalog; choose another one"
            raise StoreError(msg)
        require_known(done, migrations)
        if not self._writes:
            if len(done) < len(migrations):
                older = "is of an earlier version; open it once for writing, which brings it up to date"
                empty = "holds no Pitstop catalog yet; make it with a command that writes"
                msg = f"{self._where} {older if done else empty}"
                raise StoreError(msg)
            return
        writer = self._live_writer()
        if len(done) == len(migrations):
            return
        with writer.begin():
            writer.execute(sa.schema.CreateSchema(self._schema, if_not_exists=True))
            migrate(writer, migrations)


def connect_arguments(schema: str, *settings: str) -> dict[str, Any]:
    """Return what a session on a schema begins with; `settings` are further ones of the server, such as `a=b`."""
    fixed = (f"search_path={schema}", "timezone=UTC", "synchronous_commit=on")
    return {
        "options": " ".join(f"-c {setting}" for setting in (*fixed, *settings)),
        "connect_timeout": CONNECT_SECONDS,
        "application_name": f"pitstop on {socket.gethostname()}, process {os.getpid()}",
        **_SESSION,
    }


def engine_of(place: sa.URL, arguments: dict[str, Any], **more: Any) -> sa.Engine:
    """Return the engine of a database. Raises `StoreError` where the driver is not installed."""
    try:
        # The dialect imports the driver, which is an extra.
        return sa.create_engine(place, connect_args=arguments, **more)
    except ImportError as error:
        msg = "a catalog on PostgreSQL needs psycopg, which is not installed: pip install 'pitstop[postgres]'"
        raise StoreError(msg) from error


def parsed(url: str) -> tuple[sa.URL, str]:
    """Return a catalog's URL as the driver takes it, and the schema. Raises `StoreError` where it is no such URL."""
    try:
        place = sa.make_url(url)
    except (sa.exc.ArgumentError, ValueError) as error:
        # Not repeated: it may have a password in it.
        msg = "the catalog is no URL of a database; expected one such as postgresql://host/database?schema=hotel"
        raise StoreError(msg) from error
    if place.drivername not in {"postgresql", "postgres", "postgresql+psycopg"}:
        msg = f"{place.drivername!r} is no database for a catalog; expected postgresql://host/database?schema=hotel"
        raise StoreError(msg)
    if place.password is not None or "password" in place.query:
        msg = f"{shown(url)} has a password in it; leave it out, and give it in PGPASSWORD or ~/.pgpass"
        raise StoreError(msg)
    schema = place.query.get("schema", DEFAULT_SCHEMA)
    if not isinstance(schema, str) or not _SCHEMA.fullmatch(schema):
        msg = f"schema {schema!r} cannot be used; expected small letters, digits and _, at most 63"
        raise StoreError(msg)
    return place.difference_update_query(["schema"]).set(drivername="postgresql+psycopg"), schema


def shown(url: str) -> str:
    """Return a URL without its password."""
    return sa.make_url(url).difference_update_query(["password"]).render_as_string(hide_password=True)


def _pinged(connection: sa.Connection | None) -> sa.Connection | None:
    """Return the session if its server still answers; close it and return None if not."""
    if connection is None:
        return None
    try:
        # One that is known to be broken would open another session by itself, which holds no lock.
        if not connection.invalidated:
            with connection.begin():
                connection.exec_driver_sql("SELECT 1")
            return connection
    except sa.exc.DBAPIError:
        pass
    with suppress(sa.exc.SQLAlchemyError):
        connection.close()
    return None

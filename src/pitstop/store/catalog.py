"""The catalog on SQLite: write-ahead log, full sync, one connection that writes and one that reads."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from pitstop.errors import StoreError
from pitstop.store.disk import disk_errors
from pitstop.store.migrations import MIGRATIONS, Migration, applied, migrate, require_known

# "PITS" in the header of the database file tells a Pitstop catalog from any other SQLite file.
APPLICATION_ID = 0x50495453
BUSY_MILLISECONDS = 5_000


class SqliteCatalog:
    """The `Catalog` protocol on the database file `path`.

    Opening creates or migrates it, unless `read_only`. Raises `StoreError` if the file is not a Pitstop catalog, was
    made by a newer version, or cannot be written. Not for use by several threads.
    """

    def __init__(self, path: Path, *, read_only: bool = False, migrations: tuple[Migration, ...] = MIGRATIONS) -> None:
        self._path = path
        # Not as text: a question mark in the path would end it.
        self._engine = sa.create_engine(sa.URL.create("sqlite", database=str(path)), poolclass=sa.pool.NullPool)
        sa.event.listen(self._engine, "connect", _prepare_read_only if read_only else _prepare)
        sa.event.listen(self._engine, "begin", _begin)
        self._open: list[sa.Connection] = []
        # A log that is there already is of a writer that was killed, perhaps before it could empty it.
        self._unscrubbed = path.with_name(f"{path.name}-wal").exists()
        try:
            with disk_errors("open the catalog", path.parent):
                self._reader = self._connect(writes=False)
                self._writer = None if read_only else self._connect(writes=True)
                self._prepare_schema(migrations)
        except BaseException:
            self.close()
            raise

    @contextmanager
    def write(self) -> Iterator[sa.Connection]:
        """Open the one write transaction (`BEGIN IMMEDIATE`)."""
        if self._writer is None:
            msg = "this home was opened read-only; open it for writing to change it"
            raise StoreError(msg)
        with in_transaction(self._writer, self._path.parent):
            yield self._writer
        if self._unscrubbed:
            # The transaction is committed whatever comes of this, and the next one tries again.
            with suppress(StoreError):
                self._unscrubbed = not self._emptied(milliseconds=0)

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """Open a snapshot of everything committed; it does not wait for the writer."""
        with disk_errors("read the catalog", self._path.parent), self._reader.begin():
            yield self._reader

    def scrub(self) -> None:
        """Write the log of changes into the database and empty it.

        While a reader needs the log for what it is reading, each transaction after this one tries again.
        """
        if self._writer is not None:
            self._unscrubbed = not self._emptied(BUSY_MILLISECONDS)

    def close(self) -> None:
        """Close both connections."""
        for connection in self._open:
            connection.close()
        self._open = []
        self._engine.dispose()

    def _emptied(self, milliseconds: int) -> bool:
        """Return whether the log could be emptied within that time."""
        assert self._writer is not None  # noqa: S101 - for the type checker
        with disk_errors("write to the catalog", self._path.parent):
            driver: Any = self._writer.connection.driver_connection
            driver.execute(f"PRAGMA busy_timeout = {milliseconds}")
            try:
                (busy, *_) = driver.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            finally:
                driver.execute(f"PRAGMA busy_timeout = {BUSY_MILLISECONDS}")
        return not busy

    def _connect(self, *, writes: bool) -> sa.Connection:
        connection = self._engine.connect().execution_options(pitstop_writes=writes)
        self._open.append(connection)
        return connection

    def _prepare_schema(self, migrations: tuple[Migration, ...]) -> None:
        with self._reader.begin():
            number = self._reader.exec_driver_sql("PRAGMA application_id").scalar_one()
            known = sa.inspect(self._reader).get_table_names()
            if number != APPLICATION_ID and (number or known):
                msg = f"{self._path} is a database, but not a Pitstop catalog; choose another home"
                raise StoreError(msg)
            done = applied(self._reader)
            require_known(done, migrations)
        if len(done) == len(migrations):
            return
        if self._writer is None:
            msg = f"{self._path} is of an earlier version; open it once for writing, which brings it up to date"
            raise StoreError(msg)
        with self._writer.begin():
            # The mark is part of the transaction: a catalog has both it and its tables, or neither.
            self._writer.exec_driver_sql(f"PRAGMA application_id = {APPLICATION_ID}")
            migrate(self._writer, migrations)


@contextmanager
def in_transaction(writer: sa.Connection, where: Path | str) -> Iterator[None]:
    """Commit what the block writes, or roll it back if it raises; `where` is named in errors of the database."""
    with disk_errors("write to the catalog", where):
        transaction = writer.begin()
    try:
        # Errors of the caller's own block are the caller's: they pass as they are.
        yield
        with disk_errors("write to the catalog", where):
            transaction.commit()
    except BaseException:
        # The database has often rolled back by itself (disk full, a broken session); the error that brought us here is
        # the one to report.
        with suppress(sa.exc.SQLAlchemyError):
            transaction.rollback()
        raise


def _prepare(connection: Any, _record: Any) -> None:
    # The driver must not open transactions by itself: `_begin` does, so that DDL is inside them too.
    connection.isolation_level = None
    connection.execute(f"PRAGMA busy_timeout = {BUSY_MILLISECONDS}")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")


def _prepare_read_only(connection: Any, _record: Any) -> None:
    connection.isolation_level = None
    connection.execute(f"PRAGMA busy_timeout = {BUSY_MILLISECONDS}")
    connection.execute("PRAGMA query_only = ON")


def _begin(connection: sa.Connection) -> None:
    writes = connection.get_execution_options().get("pitstop_writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

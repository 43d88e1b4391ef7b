"""A catalog on PostgreSQL in which several processes write, such as those of one service.

Their write transactions run one after the other, as on SQLite: whoever writes may rely on what it has just read. The
turn is an advisory lock of the transaction, so a process that dies, or a session that breaks, gives it back at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress

import sqlalchemy as sa

from pitstop.errors import StoreError
from pitstop.store.catalog import in_transaction
from pitstop.store.disk import disk_errors
from pitstop.store.migrations import Migration, applied, migrate, require_known
from pitstop.store.postgres import connect_arguments, engine_of, parsed, shown

CONNECTIONS = 4
MORE_CONNECTIONS = 12
# A process that was stopped in the middle of a transaction must not hold the others up for ever.
_LIMITS = ("lock_timeout=15s", "idle_in_transaction_session_timeout=60s")
_TURN = sa.text("SELECT pg_advisory_xact_lock(hashtextextended('pitstop shared ' || :schema, 0))")


class SharedPostgresCatalog:
    """The `Catalog` protocol on the database and schema that `url` names, for any number of threads and processes.

    A session that broke is replaced before the next transaction. Opening makes or migrates the schema. Raises
    `StoreError` where the server cannot be reached, the schema holds something else, or a newer version made it.
    """

    def __init__(self, url: str, migrations: tuple[Migration, ...]) -> None:
        place, self.schema = parsed(url)
        self._where = shown(url)
        self._engine = engine_of(
            place,
            connect_arguments(self.schema, *_LIMITS),
            pool_size=CONNECTIONS,
            max_overflow=MORE_CONNECTIONS,
            pool_timeout=15,
            pool_pre_ping=True,
        )
        try:
            with disk_errors("open the catalog", self._where):
                self._prepare_schema(migrations)
        except BaseException:
            self.close()
            raise

    @contextmanager
    def write(self) -> Iterator[sa.Connection]:
        """Open a write transaction; it begins when those of all others have ended."""
        with disk_errors("write to the catalog", self._where):
            connection = self._engine.connect()
        try:
            with in_transaction(connection, self._where):
                with disk_errors("write to the catalog", self._where):
                    connection.execute(_TURN, {"schema": self.schema})
                yield connection
        finally:
            _given_back(connection)

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """Open a snapshot of everything committed; it waits for nobody."""
        with disk_errors("read the catalog", self._where):
            connection = self._engine.connect()
            try:
                connection = connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
                with connection.begin():
                    yield connection
            finally:
                _given_back(connection)

    def scrub(self) -> None:
        """Do nothing: nothing that may be erased is kept here."""

    def close(self) -> None:
        """Give all connections back."""
        self._engine.dispose()

    def _prepare_schema(self, migrations: tuple[Migration, ...]) -> None:
        with self.read() as connection:
            done = applied(connection)
            known = sa.inspect(connection).get_table_names(schema=self.schema)
        if known and not done:
            msg = f"schema {self.schema!r} of {self._where} holds {known[0]!r}, no Pitstop catalog; choose another one"
            raise StoreError(msg)
        require_known(done, migrations)
        if len(done) < len(migrations):
            with self.write() as connection:
                connection.execute(sa.schema.CreateSchema(self.schema, if_not_exists=True))
                migrate(connection, migrations)


def _given_back(connection: sa.Connection) -> None:
    """Give a session back to the pool, which forgets one that broke."""
    with suppress(sa.exc.SQLAlchemyError):
        connection.close()

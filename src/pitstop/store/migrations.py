"""The catalog's tables, as a list of named steps that are applied once each, in order, in one transaction.

The tables that queries use are what all steps together declare, so a definition stands in one place. A step is
never edited after a release; a change is another step.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import sqlalchemy as sa

from pitstop.errors import StoreError
from pitstop.journal.merkle import CompactRange
from pitstop.journal.tiles import StoredLevels
from pitstop.version import __version__

_MIGRATIONS_TABLE = "migrations"
# Every database sorts text by its bytes, so that reads give the same order on each.
TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


@dataclass(frozen=True)
class Migration:
    """`declare` adds what the step brings to the table definitions; `apply` brings it to the database."""

    name: str
    declare: Callable[[sa.MetaData], None]
    apply: Callable[[sa.Connection, sa.MetaData], None]


def _declare_first(tables: sa.MetaData) -> None:
    big, text, blob = sa.BigInteger, TEXT, sa.LargeBinary
    sa.Table(
        "segments",
        tables,
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("id", text, nullable=False),
        sa.Column("kind", text, nullable=False),
        sa.Column("model", text, nullable=False),
        sa.Column("window", big, nullable=False),
        sa.Column("batch_id", text, nullable=False),
        sa.Column("digest", text, nullable=False),
        sa.Column("rows", big, nullable=False),
        sa.Column("bytes", big, nullable=False),
        sa.Column("file_digest", text, nullable=False),
        sa.Column("key", text, nullable=False),
        sa.UniqueConstraint("model", "kind", "window", "batch_id"),
    )
    sa.Table(
        "profiles",
        tables,
        sa.Column("model", text, primary_key=True),
        sa.Column("kind", text, primary_key=True),
        sa.Column("window", big, primary_key=True),
        sa.Column("profile_id", text, nullable=False),
        sa.Column("blob", blob, nullable=False),
    )
    sa.Table(
        "signals",
        tables,
        sa.Column("model", text, primary_key=True),
        sa.Column("window", big, primary_key=True),
        sa.Column("name", text, primary_key=True),
        sa.Column("column_name", text, primary_key=True),
        sa.Column("value", sa.Double),
        sa.Column("low", sa.Double),
        sa.Column("high", sa.Double),
    )
    sa.Table(
        "artifacts",
        tables,
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("model", text, nullable=False),
        sa.Column("id", text, nullable=False),
        sa.Column("kind", text, nullable=False),
        sa.Column("at", big, nullable=False),
        sa.Column("caused_by", text, nullable=False),
        sa.Column("content", text, nullable=False),
        sa.UniqueConstraint("model", "id"),
        sa.Index("artifacts_by_kind", "model", "kind", "at"),
    )
    sa.Table(
        "files",
        tables,
        sa.Column("digest", text, primary_key=True),
        sa.Column("bytes", big, nullable=False),
    )
    sa.Table(
        "states",
        tables,
        sa.Column("model", text, primary_key=True),
        sa.Column("as_of", big, nullable=False),
        sa.Column("blob", blob, nullable=False),
    )
    sa.Table(
        "journal",
        tables,
        sa.Column("sequence", big, primary_key=True, autoincrement=False),
        sa.Column("kind", text, nullable=False),
        sa.Column("at", big),
        sa.Column("model", text, nullable=False),
        sa.Column("id", text, nullable=False),
        sa.Column("caused_by", text, nullable=False),
        sa.Column("digest", text, nullable=False),
        sa.Column("leaf", blob, nullable=False),
    )
    sa.Table(
        "journal_head",
        tables,
        sa.Column("only", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("size", big, nullable=False),
        sa.Column("peaks", blob, nullable=False),
    )
    sa.Table(
        "checkpoints",
        tables,
        sa.Column("size", big, primary_key=True, autoincrement=False),
        sa.Column("note", text, nullable=False),
        sa.Column("verifier", text, nullable=False),
    )


def _apply_first(connection: sa.Connection, tables: sa.MetaData) -> None:
    tables.create_all(connection)
    connection.execute(tables.tables["journal_head"].insert(), {"only": 0, "size": 0, "peaks": b""})


def _declare_tree(tables: sa.MetaData) -> None:
    sa.Table(
        "journal_nodes",
        tables,
        sa.Column("level", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("place", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("hash", sa.LargeBinary, nullable=False),
    )
    tables.tables["journal_head"].append_column(sa.Column("signed", sa.BigInteger))


def _apply_tree(connection: sa.Connection, tables: sa.MetaData) -> None:
    """Add the stored levels of the tree, and fill them from the leaves that are there."""
    nodes, journal, head = (tables.tables[name] for name in ("journal_nodes", "journal", "journal_head"))
    nodes.create(connection)
    connection.exec_driver_sql("ALTER TABLE journal_head ADD COLUMN signed BIGINT")
    signed = sa.select(sa.func.max(tables.tables["checkpoints"].c.size)).scalar_subquery()
    connection.execute(head.update().values(signed=signed))
    found = StoredLevels()
    leaves = connection.execute(sa.select(journal.c.leaf).order_by(journal.c.sequence)).scalars()
    CompactRange().extended(map(bytes, leaves), found.add)
    if found.rows:
        connection.execute(nodes.insert(), found.rows)


def _declare_subjects(tables: sa.MetaData) -> None:
    sa.Table(
        "subjects",
        tables,
        sa.Column("lookup", TEXT, primary_key=True),
        sa.Column("pseudonym", TEXT, nullable=False, unique=True),
        sa.Column("wrapped", sa.LargeBinary, nullable=False),
        sa.Column("hold", TEXT),
    )


def _declare_exports(tables: sa.MetaData) -> None:
    sa.Table(
        "export_places",
        tables,
        sa.Column("place", TEXT, primary_key=True),
        sa.Column("every", sa.BigInteger, nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
    )


def _declare_ingest(tables: sa.MetaData) -> None:
    big, text, blob = sa.BigInteger, sa.Text, sa.LargeBinary
    sa.Table(
        "spool_files",
        tables,
        sa.Column("name", text, primary_key=True),
        sa.Column("stored", big, nullable=False),
    )
    sa.Table(
        "batches",
        tables,
        sa.Column("digest", blob(16), primary_key=True),
        sa.Column("at", big, nullable=False),
    )
    sa.Table(
        "intake",
        tables,
        sa.Column("model", text, primary_key=True),
        sa.Column("content", text, nullable=False),
    )
    sa.Table(
        "quarantine",
        tables,
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("model", text, nullable=False),
        sa.Column("kind", text, nullable=False),
        sa.Column("format", text, nullable=False),
        sa.Column("batch_id", text, nullable=False),
        sa.Column("at", big, nullable=False),
        sa.Column("reason", text, nullable=False),
        sa.Column("state", text, nullable=False),
        sa.Column("payload", blob, nullable=False),
    )
    sa.Table(
        "join_runs",
        tables,
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("model", text, nullable=False),
        sa.Column("kind", text, nullable=False),
        sa.Column("rows", big, nullable=False),
        sa.Column("first_at", big, nullable=False),
        sa.Column("last_at", big, nullable=False),
        sa.Column("hash_key", text, nullable=False),
        sa.Column("hash_digest", text, nullable=False),
        sa.Column("value_key", text, nullable=False),
        sa.Column("value_digest", text, nullable=False),
        sa.Index("join_runs_by_kind", "model", "kind"),
    )


def _apply_ingest(connection: sa.Connection, tables: sa.MetaData) -> None:
    for name in ("spool_files", "batches", "intake", "quarantine", "join_runs"):
        tables.tables[name].create(connection)


def _declare_waiting(tables: sa.MetaData) -> None:
    sa.Table(
        "waiting",
        tables,
        sa.Column("digest", sa.LargeBinary(16), primary_key=True),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("payload", sa.LargeBinary, nullable=False),
        sa.Index("waiting_by_model", "model", "at"),
    )


def _creates(name: str) -> Callable[[sa.Connection, sa.MetaData], None]:
    return lambda connection, tables: tables.tables[name].create(connection)


MIGRATIONS: tuple[Migration, ...] = (
    Migration("0001_first", _declare_first, _apply_first),
    Migration("0002_journal_tree", _declare_tree, _apply_tree),
    Migration("0003_subjects", _declare_subjects, _creates("subjects")),
    Migration("0004_exports", _declare_exports, _creates("export_places")),
    Migration("0005_ingest", _declare_ingest, _apply_ingest),
    Migration("0006_waiting", _declare_waiting, _creates("waiting")),
)


def declared(migrations: tuple[Migration, ...] = MIGRATIONS) -> sa.MetaData:
    """Return the tables that a catalog has after `migrations`."""
    tables = sa.MetaData()
    for migration in migrations:
        migration.declare(tables)
    return tables


TABLES = declared()


def applied(connection: sa.Connection) -> tuple[tuple[str, str], ...]:
    """Return the name of each applied step and the version that applied it, in order; empty for a new database."""
    if not sa.inspect(connection).has_table(_MIGRATIONS_TABLE):
        return ()
    table = _log(sa.MetaData())
    rows = connection.execute(sa.select(table.c.name, table.c.made_by).order_by(table.c.ordinal))
    return tuple((str(name), str(made_by)) for name, made_by in rows)


def migrate(connection: sa.Connection, migrations: tuple[Migration, ...] = MIGRATIONS) -> tuple[str, ...]:
    """Apply the steps that are missing, inside the caller's transaction; return their names.

    Raises `StoreError` if the catalog knows a step that this version does not: a newer version made it.
    """
    done = applied(connection)
    require_known(done, migrations)
    log = _log(sa.MetaData())
    if not done:
        log.create(connection, checkfirst=True)
    for ordinal, migration in enumerate(migrations[len(done) :], start=len(done)):
        migration.apply(connection, declared(migrations[: ordinal + 1]))
        connection.execute(log.insert(), {"ordinal": ordinal, "name": migration.name, "made_by": __version__})
    return tuple(migration.name for migration in migrations[len(done) :])


def require_known(done: tuple[tuple[str, str], ...], migrations: tuple[Migration, ...] = MIGRATIONS) -> None:
    """Raise `StoreError` unless the steps that were applied are the first ones of `migrations`."""
    for ordinal, (name, made_by) in enumerate(done):
        if ordinal >= len(migrations) or migrations[ordinal].name != name:
            msg = (
                f"this home was made or changed by Pitstop {made_by} (step {name!r}), which this version {__version__} "
                f"does not know; install Pitstop {made_by} or later"
            )
            raise StoreError(msg)


def _log(tables: sa.MetaData) -> sa.Table:
    return sa.Table(
        _MIGRATIONS_TABLE,
        tables,
        sa.Column("ordinal", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("name", sa.Text, nullable=False, unique=True),
        sa.Column("made_by", sa.Text, nullable=False),
    )

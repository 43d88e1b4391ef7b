"""Counts rows in DuckDB: profiles by SQL (only counts come back), excerpts from what DuckDB can read."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from pitstop.checks.excerpts import Excerpt, ScanExcerpt
from pitstop.engines.base import Progress
from pitstop.engines.counting import Reading, require_columns
from pitstop.engines.sql import dialect_named, profile_query, profiles_from_counts
from pitstop.errors import ColumnValueError, EngineError, MissingColumnError, SpecError, UnreadableTableError
from pitstop.profile import Layout, Profile
from pitstop.records import columns as convert
from pitstop.records.scans import Part, Scan
from pitstop.records.sources import PARQUET_SUFFIXES, missing_column_message, plain_strings, table_files
from pitstop.records.spec import ModelSpec

_SQL = dialect_named("duckdb")


@dataclass(frozen=True)
class DuckDBEngine:
    """Reads Parquet files and folders, and any address that DuckDB's Parquet reader takes (`s3://...`, patterns).

    `connection`: a DuckDB connection with the rights and settings to use, or None for a new one in memory. `source`
    may also be the name of a table or view of that connection: write it in double quotes.
    """

    name: str = "duckdb"
    connection: Any = None

    def profiles(
        self,
        source: Any,
        spec: ModelSpec,
        layout: Layout,
        *,
        windows: tuple[int | None, int | None] = (None, None),
        progress: Progress | None = None,
    ) -> Iterator[tuple[int, Profile]]:
        """Yield (window, profile) by window (`Engine.profiles`); repeated rows are counted exactly in every window.

        `progress` is called once, at the end. Raises `EngineError` where DuckDB is not there or fails, and
        `ColumnValueError` for a column that SQL would read as another value than the kernel (numbers kept as text,
        categories kept as fractions).
        """
        with _connected(self.connection) as connection, _duckdb_errors(source):
            table = _table(source)
            schema = _schema(connection, table)
            require_columns(Reading(spec, layout, windows), schema.names)
            _refuse_types(spec, schema)
            query = profile_query(spec, layout, table, dialect="duckdb", windows=windows)
            found = profiles_from_counts(connection.execute(query).fetchall(), layout)
        if progress is not None:
            rows = sum(profile.rows for _, profile in found)
            progress(rows, rows)
        yield from found

    def excerpt(self, source: Any) -> Excerpt:
        """Return the table as a comparison needs it; its rows pass through this process, a few at a time."""
        return ScanExcerpt(self._scan(source))

    def _scan(self, source: Any) -> Scan:
        with _connected(self.connection) as connection, _duckdb_errors(source):
            relation = _Relation(connection, _table(source))
            schema = plain_strings(relation.schema.empty_table()).schema
        part = Part(0, 0, relation.rows[0], 0, 0)
        return Scan((relation,), schema, (part,) if part.rows else ())


class _Relation:
    """What DuckDB reads, as one file of a scan with one part; DuckDB keeps the order of files and rows."""

    def __init__(self, connection: Any, table: str) -> None:
        self.name, self._connection, self._table = table, connection, table
        self.schema = _schema(connection, table)
        self.rows = [int(connection.execute(f"SELECT COUNT(*) FROM {table}").fetchone()[0])]  # noqa: S608 - a quoted name

    def read(self, _index: int, columns: Sequence[str], rows: int, _coded: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """Yield the rows of these columns."""
        names = ", ".join(_SQL.name_of(name) for name in columns)
        with _duckdb_errors(self.name):
            relation = self._connection.sql(f"SELECT {names} FROM {self._table}")  # noqa: S608 - quoted names
            # Called so since 1.4; a batch may be longer than was asked for.
            read = getattr(relation, "to_arrow_reader", None) or relation.fetch_arrow_reader
            for batch in read(rows):
                yield from (batch.slice(start, rows) for start in range(0, batch.num_rows, rows))

    def bounds(self, _index: int, _column: str) -> None:
        """Return nothing: DuckDB prunes by itself."""


@contextmanager
def _connected(connection: Any) -> Iterator[Any]:
    if importlib.util.find_spec("duckdb") is None:
        msg = 'the engine "duckdb" needs DuckDB: pip install "pitstop[duckdb]"'
        raise EngineError(msg)
    import duckdb  # noqa: PLC0415 - an optional dependency

    opened = duckdb.connect() if connection is None else connection
    # Casts of times ask for the session's zone. It is given back, and tables that are registered there are found.
    zone = str(opened.execute("SELECT current_setting('TimeZone')").fetchall()[0][0])
    opened.execute("SET TimeZone = 'UTC'")
    try:
        yield opened
    finally:
        opened.execute(f"SET TimeZone = {_SQL.literal(zone)}")


def _table(source: Any) -> str:
    """Return what stands after FROM: a quoted name as it is, else a reader of Parquet over the files' paths."""
    text = str(source)
    if text.startswith('"'):
        return text
    path = Path(text)
    files = [_exactly(text) if path.is_file() else text]
    if path.is_dir():
        found = [str(item) for item in table_files(path)]
        other = [name for name in found if not name.lower().endswith(PARQUET_SUFFIXES)]
        if other:
            msg = f"{other[0]} is not Parquet, which is all that the engine duckdb reads; use the local engine"
            raise UnreadableTableError(msg)
        files = [_exactly(name) for name in found]
    listed = ", ".join(_SQL.literal(name) for name in files)
    return f"read_parquet([{listed}], union_by_name = true, hive_partitioning = false)"


def _exactly(path: str) -> str:
    """Return the pattern of one file: DuckDB would read a[1].parquet as the name of a1.parquet."""
    return "".join(f"[{letter}]" if letter in "[*?" else letter for letter in path)


def _schema(connection: Any, table: str) -> pa.Schema:
    return connection.sql(f"SELECT * FROM {table} LIMIT 0").to_arrow_table().schema  # noqa: S608 - a quoted name


def _refuse_types(spec: ModelSpec, schema: pa.Schema) -> None:
    """Refuse columns that SQL's casts read otherwise than `records.columns`."""
    named = spec.columns
    roles = [name for name in (named.time, named.score, named.prediction) if name is not None]
    for name in (*roles, *named.features):
        if name not in schema.names:
            raise MissingColumnError(missing_column_message(name, schema.names))
    texts = {*named.categorical, *([named.prediction] if spec.model.task != "regression" else [])}
    for name in (*named.features, *(name for name in (named.score, named.prediction) if name is not None)):
        kind = schema.field(name).type
        fraction = pa.types.is_floating(kind) or pa.types.is_decimal(kind)
        number = convert.is_number(kind) or pa.types.is_boolean(kind) or pa.types.is_null(kind)
        if (name in texts and fraction) or (name not in texts and not number):
            wanted = "text or whole numbers" if name in texts else "numbers"
            msg = f"column {name!r} holds {kind}; the engine duckdb needs {wanted}. Cast it, or use the local engine"
            raise ColumnValueError(msg)
    if convert.is_number(schema.field(named.time).type):
        msg = f"time column {named.time!r} holds numbers, which have no {spec.time.window}s; convert it to dates"
        raise SpecError(msg)


@contextmanager
def _duckdb_errors(source: Any) -> Iterator[None]:
    """Tell DuckDB's errors as ours."""
    import duckdb  # noqa: PLC0415 - an optional dependency

    try:
        yield
    except (duckdb.IOException, duckdb.InvalidInputException) as error:
        msg = f"DuckDB cannot read {source} as Parquet: {str(error).splitlines()[0]}"
        raise UnreadableTableError(msg) from error
    except duckdb.ConversionException as error:
        msg = f"{source}: a value does not fit its column's role ({str(error).splitlines()[0]}); correct it"
        raise ColumnValueError(msg) from error
    except duckdb.Error as error:
        msg = f"DuckDB failed on {source}: {str(error).splitlines()[0]}"
        raise EngineError(msg) from error

"""A query whose rows only grow by one column, in DuckDB or PostgreSQL: what is new since a watermark, page by page."""

from __future__ import annotations

import re
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa

from pitstop.errors import EngineError, MissingColumnError, UnreadableTableError

_POSTGRESQL = re.compile(r"postgres(ql)?://")


class QuerySource:
    """The rows of `query`, in the order of its column `watermark`, from `database`: postgresql://..., or a DuckDB file.

    The query is run as it stands, by whoever the database takes its reader for: give it one that may only read. Raises
    `EngineError` where the library for the database is not installed.
    """

    def __init__(self, database: str, query: str, watermark: str) -> None:
        self.database, self.query, self.watermark = database, query.strip().rstrip(";"), watermark

    def page(self, after: Any, rows: int) -> pa.Table:
        """Return up to `rows` rows from the watermark `after` on (None: from the beginning), rows at it among them.

        Raises `UnreadableTableError` where the database refuses, `MissingColumnError` without the column.
        """
        found = self._postgresql(after, rows) if _POSTGRESQL.match(self.database) else self._duckdb(after, rows)
        if self.watermark not in found.column_names:
            msg = f"the query has no column {self.watermark!r}; it has {', '.join(found.column_names[:20])}"
            raise MissingColumnError(msg)
        return found

    def _text(self, query: str, parameter: str, after: Any, rows: int) -> str:
        column = '"' + self.watermark.replace('"', '""') + '"'
        where = "" if after is None else f" WHERE {column} >= {parameter}"
        # A comment at the end of the query ends with its line.
        return f"SELECT * FROM ({query}\n) AS pitstop_rows{where} ORDER BY {column} LIMIT {int(rows)}"  # noqa: S608 - the operator's own query, around it a quoted name

    def _duckdb(self, after: Any, rows: int) -> pa.Table:
        try:
            import duckdb  # noqa: PLC0415 - the extra `duckdb`
        except ImportError as error:
            msg = "DuckDB is not installed; install it with: pip install 'pitstop[duckdb]'"
            raise EngineError(msg) from error
        try:
            with duckdb.connect(self.database, read_only=True) as connection:
                text = self._text(self.query, "$after", after, rows)
                found: Any = connection.sql(text, params=None if after is None else {"after": after})
                read = getattr(found, "to_arrow_table", None) or found.fetch_arrow_table
                return read()
        except (duckdb.Error, OSError) as error:
            raise self._refused(error) from error

    def _postgresql(self, after: Any, rows: int) -> pa.Table:
        import sqlalchemy as sa  # noqa: PLC0415 - slow to import, and only needed here

        try:
            engine = sa.create_engine(_POSTGRESQL.sub("postgresql+psycopg://", self.database, count=1))
        except (ImportError, sa.exc.SQLAlchemyError) as error:
            msg = f"this address cannot be used ({error}); PostgreSQL needs: pip install 'pitstop[postgres]'"
            raise EngineError(msg) from error
        except ValueError as error:
            msg = f"this address cannot be used ({error}); expected postgresql://USER@HOST:PORT/DATABASE"
            raise UnreadableTableError(msg) from error
        try:
            # A colon in the operator's query is no parameter of ours.
            words = self._text(self.query.replace(":", r"\:"), ":after", after, rows)
            with engine.connect() as connection, connection.begin():
                connection.execute(sa.text("SET TRANSACTION READ ONLY"))
                found = connection.execute(sa.text(words), {} if after is None else {"after": after})
                names, values = list(found.keys()), found.all()
        except sa.exc.SQLAlchemyError as error:
            raise self._refused(error) from error
        finally:
            engine.dispose()
        return pa.table({name: _column(name, [row[place] for row in values]) for place, name in enumerate(names)})

    def _refused(self, error: BaseException) -> UnreadableTableError:
        first = str(error).strip().splitlines()[0][:300] if str(error).strip() else type(error).__name__
        return UnreadableTableError(f"the database refuses the query: {first}; try it there, as the same user")


def written(value: Any) -> Any:
    """Return a watermark as JSON. Raises `UnreadableTableError` for a kind that has no order to rely on."""
    if isinstance(value, datetime | date):
        return {"instant" if isinstance(value, datetime) else "day": value.isoformat()}
    if isinstance(value, Decimal):
        return {"decimal": str(value)}
    if isinstance(value, int | float | str) and not isinstance(value, bool):
        return value
    msg = f"the watermark is {value!r}; expected a time, a day, a number or a text in every row"
    raise UnreadableTableError(msg)


def known(value: Any) -> Any:
    """Return the watermark that `written` wrote."""
    if not isinstance(value, dict):
        return value
    ((kind, text),) = value.items()
    if kind == "decimal":
        return Decimal(text)
    return datetime.fromisoformat(text) if kind == "instant" else date.fromisoformat(text)


def _column(name: str, values: list[Any]) -> pa.Array:
    try:
        return pa.array([float(value) if isinstance(value, Decimal) else value for value in values])
    except (pa.ArrowException, TypeError, ValueError) as error:
        msg = f"the query's column {name!r} has values of no one type ({error}); cast it in the query"
        raise UnreadableTableError(msg) from error

"""The same query in PostgreSQL: a real server counts what the kernel counts, for any edges and values."""

# ruff: noqa: S608 - the columns are this file's own

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa
import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.conftest import PostgresServer
from tests.engines.test_sql import EDGES, ROWS, SPEC, Row, drawn

from pitstop.engines.local import LocalEngine
from pitstop.engines.sql import profile_query, profiles_from_counts
from pitstop.profile import Layout
from pitstop.records.spec import ModelSpec
from pitstop.testing.engine_laws import counted_at_once, example, layout, model

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def session(postgres: PostgresServer) -> Iterator[sa.Engine]:
    """A database whose sessions keep UTC, as the query asks for."""
    address = postgres.url("public").partition("&schema")[0].replace("postgresql://", "postgresql+psycopg://")
    engine = sa.create_engine(address, connect_args={"options": "-c timezone=UTC"})
    yield engine
    engine.dispose()


def counted(
    engine: sa.Engine, table: pa.Table, spec: ModelSpec, bins: Layout, types: dict[str, str]
) -> dict[int, bytes]:
    """Return what the query finds in a table of the database that holds these rows, packed, by window."""
    quoted = ['"' + name.replace('"', '""') + '"' for name in types]
    columns = ", ".join(f"{name} {kind}" for name, kind in zip(quoted, types.values(), strict=True))
    rows = list(zip(*(table[name].to_pylist() for name in types), strict=True))
    with engine.connect() as connection:
        raw = connection.connection.dbapi_connection.cursor()  # type: ignore[union-attr] # names hold quotes and percent
        raw.execute(f"CREATE TEMPORARY TABLE shown ({columns}) ON COMMIT DROP")
        raw.executemany(f"INSERT INTO shown VALUES ({', '.join(['%s'] * len(types))})", rows)
        raw.execute(profile_query(spec, bins, "shown", dialect="postgresql"))
        return {window: profile.pack() for window, profile in profiles_from_counts(raw.fetchall(), bins)}


def test_the_model_of_the_laws_is_counted_as_by_the_kernel(session: sa.Engine) -> None:
    for seed in range(3):
        table, spec = example(seed=seed, rows=300), model()
        bins = layout(table, spec)
        kinds = {"at": "TIMESTAMP", "x": "DOUBLE PRECISION", "n": "INTEGER", "kind": "TEXT", "empty": "TEXT"}
        kinds |= {"score": "DOUBLE PRECISION"}
        expected = {window: found.pack() for window, found in counted_at_once(table, bins, spec).items()}
        assert counted(session, table, spec, bins, kinds) == expected


@settings(max_examples=60, deadline=None)
@given(edges=EDGES, rows=st.lists(ROWS, min_size=1, max_size=25), is_open=st.booleans())
def test_postgresql_counts_what_the_kernel_counts(
    session: sa.Engine, edges: list[float], rows: list[Row], is_open: bool
) -> None:
    found, table = drawn(edges, rows, is_open=is_open)
    kinds = {"at": "TIMESTAMP", 'x "y"': "DOUBLE PRECISION", "k'": "TEXT", "s": "DOUBLE PRECISION"}
    expected = {window: profile.pack() for window, profile in LocalEngine().profiles(table, SPEC, found)}
    assert counted(session, table, SPEC, found, kinds) == expected

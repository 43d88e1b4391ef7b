"""The query counts what the kernel counts, for any edges and values, and is spelled for each database."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pitstop.engines.duckdb import DuckDBEngine
from pitstop.engines.local import LocalEngine
from pitstop.engines.sql import DIALECTS, profile_query, profiles_from_counts
from pitstop.errors import ColumnValueError, EngineError, SpecError, UnknownNameError, UnreadableTableError
from pitstop.profile import Layout
from pitstop.records.spec import ColumnsSection, ModelSection, ModelSpec, TimeSection, TrainerSection
from pitstop.statistics.bins import CategoryBins, NumericBins
from pitstop.testing.engine_laws import counted_at_once, example, folder_of, layout, model

COLUMNS = ColumnsSection(time="at", score="s", features=('x "y"', "k'"), categorical=("k'",))
SPEC = ModelSpec(ModelSection("m", "binary"), COLUMNS, trainer=TrainerSection(name="none"))
FINITE = st.floats(allow_nan=False, allow_infinity=False)
NEAR = st.sampled_from([0.0, -0.0, 1.0, 1 - 2**-53, 1 + 2**-52, 1e308, -1e308, 5e-324, 0.1, 1 / 3])
NUMBERS = st.one_of(st.none(), st.floats(), NEAR)
TEXTS = st.one_of(st.none(), st.sampled_from(["a", "A", "", "it's", "back\\slash", 'q"q', "ü", "new\nline", "NULL"]))
SCORES = st.one_of(st.none(), st.floats(0, 1))
ROWS = st.tuples(NUMBERS, TEXTS, SCORES, st.integers(-3, 3))


EDGES = st.lists(st.one_of(FINITE, NEAR), max_size=6, unique_by=lambda value: value + 0.0)
Row = tuple[float | None, str | None, float | None, int]


def drawn(edges: list[float], rows: list[Row], *, is_open: bool) -> tuple[Layout, pa.Table]:
    """Return bins of these edges, and a table of these rows: number, text, score, day."""
    bins = NumericBins(tuple(sorted(edge + 0.0 for edge in edges)))
    words = CategoryBins(
        ("a", "it's", "back\\slash"), () if is_open else ("", "a", "back\\slash", "it's"), open=is_open
    )
    numbers, texts, scores, days = zip(*rows, strict=True)
    table = pa.table(
        {
            "at": pa.array([day * 86_400_000_000 - 1 for day in days], pa.timestamp("us")),
            'x "y"': pa.array(numbers, pa.float64()),
            "k'": pa.array(texts, pa.string()),
            "s": pa.array(scores, pa.float64()),
        }
    )
    return Layout((('x "y"', bins),), (("k'", words),), "binary", ("0", "1")), table


@settings(max_examples=40, deadline=None)
@given(EDGES, st.lists(ROWS, min_size=1, max_size=25), st.booleans())
def test_duckdb_counts_what_the_kernel_counts(edges: list[float], rows: list[Row], is_open: bool) -> None:
    found, table = drawn(edges, rows, is_open=is_open)
    connection = duckdb.connect()
    connection.register("rows here", table)
    other = DuckDBEngine(connection=connection)
    expected = dict(LocalEngine().profiles(table, SPEC, found))
    counted = {window: profile.pack() for window, profile in other.profiles('"rows here"', SPEC, found)}
    assert counted == {window: profile.pack() for window, profile in expected.items()}
    connection.close()


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.name)
def test_each_dialect_spells_names_numbers_and_time(dialect: object) -> None:
    name = getattr(dialect, "name", "")
    table = example()
    query = profile_query(model(), layout(table, model()), "shop.predictions", dialect=name)
    quote = "`" if name == "bigquery" else '"'
    assert f"{quote}kind{quote}" in query
    assert "FROM shop.predictions AS t" in query
    kinds = {"bigquery": "FLOAT64", "duckdb": "DOUBLE", "snowflake": "DOUBLE"}
    assert f"CAST('2.5' AS {kinds.get(name, 'DOUBLE PRECISION')})" in query
    times = {"bigquery": "UNIX_MICROS(", "duckdb": "epoch_us(", "snowflake": "EPOCH_MICROSECOND"}
    assert times.get(name, "EXTRACT(EPOCH FROM") in query
    assert query.count("(") == query.count(")")


def test_the_generic_query_runs_as_it_is_where_it_can() -> None:
    """DuckDB understands the standard's spelling as well; NaN apart, which the standard does not know."""
    table = example(seed=2)
    kept = pa.array([value is None or not math.isnan(value) for value in table["x"].to_pylist()])
    table = table.filter(kept)
    spec, connection = model(), duckdb.connect()
    bins = layout(table, spec)
    connection.register("t0", table)
    found = dict(profiles_from_counts(connection.execute(profile_query(spec, bins, "t0")).fetchall(), bins))
    assert found == counted_at_once(table, bins, spec)


@pytest.mark.parametrize("name", ["window_number", "Pitstop_Window", "cell", "v"])
def test_a_column_may_be_called_as_the_query_calls_its_own(name: str) -> None:
    table, spec = example(seed=3), model()
    table = table.rename_columns([name if column == "n" else column for column in table.column_names])
    spec = replace(spec, columns=replace(spec.columns, features=("x", name, "kind", "empty")))
    bins = layout(table, spec)
    with folder_of(table) as folder:
        found = {window: profile.pack() for window, profile in DuckDBEngine().profiles(folder, spec, bins)}
    assert found == {window: profile.pack() for window, profile in counted_at_once(table, bins, spec).items()}


def test_a_file_whose_name_reads_as_a_pattern_is_that_file_alone(tmp_path: Path) -> None:
    table, spec = example(seed=3), model()
    bins = layout(table, spec)
    names = ("day1.parquet", "day[1].parquet", "day*.parquet")
    for part, name in enumerate(names):
        pq.write_table(table.slice(30 * part, 30), tmp_path / name)
    for source, rows in ((tmp_path, 90), *((tmp_path / name, 30) for name in names)):
        found = dict(DuckDBEngine().profiles(source, spec, bins))
        assert found == dict(LocalEngine().profiles(source, spec, bins))
        assert sum(profile.rows for profile in found.values()) == rows


def test_what_sql_would_read_otherwise_is_refused() -> None:
    spec, table = model(), example()
    bins = layout(table, spec)
    for name, values in (("kind", [1.5] * 90), ("n", ["1"] * 90), ("score", [1.5] * 90)):
        other = table.set_column(table.column_names.index(name), name, pa.array(values))
        with folder_of(other) as folder, pytest.raises(ColumnValueError):
            list(DuckDBEngine().profiles(folder, spec, bins))
    by_rows = ModelSpec(spec.model, spec.columns, time=TimeSection(window=30, period=5), trainer=spec.trainer)
    with pytest.raises(SpecError, match="use the local engine"):
        profile_query(by_rows, bins, "t")
    with pytest.raises(UnknownNameError, match="known: generic, duckdb"):
        profile_query(spec, bins, "t", dialect="oracle")
    with pytest.raises(UnreadableTableError, match="cannot read"):
        DuckDBEngine().excerpt("/nowhere/at/all.parquet")
    with pytest.raises(EngineError, match="DuckDB failed"):
        DuckDBEngine().excerpt('"no such table"')

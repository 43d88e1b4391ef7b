"""The digest of rows depends on what they say and on nothing else."""

from __future__ import annotations

import io
from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pitstop.errors import StoreError
from pitstop.store.digest import rows_digest

# Timing belongs to benchmarks, not to laws.
quick = settings(deadline=None, max_examples=60)

texts = st.none() | st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
floats = st.none() | st.floats(width=64)
lines = st.lists(st.tuples(texts, floats, st.none() | st.booleans(), st.none() | st.integers(-9, 9)), max_size=12)


def table_of(items: list[tuple[Any, ...]]) -> pa.Table:
    columns = list(zip(*items, strict=True)) or [(), (), (), ()]
    kinds = {"text": pa.string(), "number": pa.float64(), "flag": pa.bool_(), "count": pa.int64()}
    made = {name: pa.array(list(column), kind) for (name, kind), column in zip(kinds.items(), columns, strict=True)}
    return pa.table(made)


@quick
@given(lines, st.data())
def test_layout_does_not_count(items: list[tuple[Any, ...]], data: st.DataObject) -> None:
    table = table_of(items)
    expected = rows_digest(table)
    cut = data.draw(st.integers(0, len(items)))
    assert rows_digest(pa.concat_tables([table.slice(0, cut), table.slice(cut)])) == expected
    assert rows_digest(pa.concat_tables([table, table]).slice(len(items))) == expected
    assert rows_digest(table.select(["count", "text", "flag", "number"])) == expected
    shuffled = pa.concat_arrays([pa.array(["z"]), table["text"].combine_chunks()]).dictionary_encode().slice(1)
    assert rows_digest(table.set_column(0, "text", shuffled)) == expected
    with_null = pa.DictionaryArray.from_arrays(pa.array([0, 1]), pa.array([None, "x"]))
    assert rows_digest(pa.table({"a": with_null})) == rows_digest(pa.table({"a": [None, "x"]}))
    for kind in (pa.large_string(), pa.string_view()):
        assert rows_digest(table.set_column(0, "text", table["text"].cast(kind))) == expected


@quick
@given(lines, st.sampled_from(["zstd", "snappy", "none"]), st.booleans())
def test_a_parquet_round_trip_keeps_it(items: list[tuple[Any, ...]], codec: str, dictionary: bool) -> None:
    table = table_of(items)
    sink = io.BytesIO()
    pq.write_table(table, sink, compression=codec, use_dictionary=dictionary, row_group_size=5)
    assert rows_digest(pq.read_table(io.BytesIO(sink.getvalue()))) == rows_digest(table)


@quick
@given(lines, st.data())
def test_any_other_value_is_another_digest(items: list[tuple[Any, ...]], data: st.DataObject) -> None:
    other = data.draw(lines)
    # repr tells 0.0 from -0.0 and calls every NaN the same, as the digest does.
    same = repr(items) == repr(other)
    assert (rows_digest(table_of(items)) == rows_digest(table_of(other))) == same


def test_text_cannot_move_between_rows_or_columns(rows: Callable[..., Any]) -> None:
    assert rows_digest(pa.table({"a": ["xy", "z"]})) != rows_digest(pa.table({"a": ["x", "yz"]}))
    assert rows_digest(pa.table({"a": ["x"], "b": ["y"]})) != rows_digest(pa.table({"a": ["y"], "b": ["x"]}))
    assert rows_digest(pa.table({"a": [None, "x"]})) != rows_digest(pa.table({"a": ["x", None]}))
    assert rows_digest(pa.table({"a": [None, "x"]})) != rows_digest(pa.table({"a": ["", "x"]}))
    assert rows_digest(pa.table({"a": [1]})) != rows_digest(pa.table({"a": [1.0]}))
    table = rows(30)
    assert rows_digest(table) != rows_digest(table.take(list(reversed(range(30)))))


def test_it_is_the_same_in_every_version() -> None:
    """A golden value: changing it would orphan every recorded training set."""
    table = pa.table(
        {
            "at": pa.array([datetime(2016, 1, 3, tzinfo=UTC), None], pa.timestamp("us", tz="UTC")),
            "day": pa.array([date(2016, 1, 3), None], pa.date32()),
            "country": pa.array(["PRT", None]).dictionary_encode(),
            "nights": pa.array([2.0, float("nan")]),
            "flag": [True, None],
            "nothing": pa.nulls(2),
        }
    )
    assert rows_digest(table) == "c4c5fa7ef6a9cb50443821196c52e76f1e0eb9404ecf7909041eb6a721a1f80e"


def test_what_a_segment_cannot_hold_is_refused() -> None:
    with pytest.raises(StoreError, match="column 'a' has the type list"):
        rows_digest(pa.table({"a": [[1]]}))
    with pytest.raises(StoreError, match="'a' is there twice"):
        rows_digest(pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["a", "a"]))

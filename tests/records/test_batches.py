"""Laws and faults of normalised rows."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pitstop.errors import (
    ColumnValueError,
    DuplicateIdError,
    EmptyTableError,
    MissingColumnError,
    RecordError,
)
from pitstop.records.batches import normalise
from pitstop.records.calendar import DAY
from pitstop.records.columns import texts
from pitstop.records.spec import (
    ColumnsSection,
    DecisionSection,
    ModelSection,
    ModelSpec,
    Outcome,
    Task,
    TimeSection,
    ValueSection,
)


def a_spec(task: Task = "binary", time: TimeSection | None = None, positive: str = "1", **columns: Any) -> ModelSpec:
    given_columns = {"time": "day", "features": ("x",), "label": "y"} | columns
    return ModelSpec(
        model=ModelSection("m", task),
        columns=ColumnsSection(**given_columns),
        time=time or TimeSection(),
        decision=DecisionSection(positive=positive),
    )


def a_table(**columns: Any) -> pa.Table:
    content = {"day": [date(2020, 1, 2), date(2020, 1, 1), date(2020, 1, 1)], "x": [1.0, 2.0, 3.0], "y": [0, 1, 0]}
    return pa.table(content | columns)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 20), min_size=1, max_size=60))
def test_rows_are_in_order_of_time_and_keep_their_order_within_one_time(days: list[int]) -> None:
    table = pa.table({"day": [date(2020, 1, 1) + timedelta(days=day) for day in days], "x": list(range(len(days)))})
    rows = normalise(a_spec(label=None), table)
    expected = sorted(range(len(days)), key=lambda row: (days[row], row))
    assert rows.table["x"].to_pylist() == expected
    assert bool(np.all(np.diff(rows.at) >= 0))
    assert rows.table["@id"].to_pylist() == [str(row) for row in range(len(days))]


@settings(max_examples=40, deadline=None)
@given(st.permutations(range(12)))
def test_the_order_in_which_rows_come_changes_nothing_where_every_time_differs(order: list[int]) -> None:
    table = pa.table(
        {
            "name": [f"r{row}" for row in range(12)],
            "day": [date(2020, 1, 1) + timedelta(days=row) for row in range(12)],
            "x": [float(row) for row in range(12)],
            "y": [row % 2 for row in range(12)],
        }
    )
    spec = a_spec(id="name")
    assert normalise(spec, table.take(order)).table.equals(normalise(spec, table).table)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.one_of(st.none(), st.floats(allow_infinity=False)), min_size=1, max_size=40))
def test_numbers_keep_their_nulls_and_nans(values: list[float | None]) -> None:
    table = pa.table({"day": [date(2020, 1, 1)] * len(values), "x": pa.array(values, pa.float64())})
    kept = normalise(a_spec(label=None), table).table["x"].to_pylist()
    assert [str(value) for value in kept] == [str(value) for value in values]


def test_a_label_without_a_time_is_known_at_the_last_instant_of_its_window_plus_the_delay() -> None:
    for delay in (0, 2):
        rows = normalise(a_spec(time=TimeSection(label_delay=delay)), a_table())
        at, known = rows.table["@at"].to_pylist(), rows.table["@label_at"].to_pylist()
        assert known == [instant + (1 + delay) * DAY - 1 for instant in at]


def test_a_null_label_has_no_label_time() -> None:
    rows = normalise(a_spec(), a_table(y=[None, 1, 0]))
    assert rows.table["@label_at"].null_count == rows.table["@label"].null_count == 1
    assert any("no label yet" in note for note in rows.notes)


def test_with_row_windows_instants_are_ordinals_and_label_times_the_last_row_not_later() -> None:
    spec = a_spec(time=TimeSection(window=2, period=3), label_time="known")
    table = pa.table({"day": [10, 20, 30, 40], "known": [25, 20, 99, 40], "x": [1.0] * 4, "y": [0, 1, 0, 1]})
    rows = normalise(spec, table, first_ordinal=100)
    assert rows.table["@at"].to_pylist() == [100, 101, 102, 103]
    assert rows.table["@label_at"].to_pylist() == [101, 101, 104, 103]


@settings(max_examples=40, deadline=None)
@given(st.integers(2, 30), st.data())
def test_with_row_windows_cutting_the_table_changes_no_label_time_that_was_known_before_the_cut(
    size: int, data: st.DataObject
) -> None:
    times = sorted(data.draw(st.lists(st.integers(0, 50), min_size=size, max_size=size)))
    known = [time + data.draw(st.integers(0, 20)) for time in times]
    cut = data.draw(st.integers(1, size))
    table = pa.table({"day": times, "known": known, "x": [1.0] * size, "y": [row % 2 for row in range(size)]})
    spec = a_spec(time=TimeSection(window=2, period=3), label_time="known")
    whole = normalise(spec, table).table["@label_at"].to_pylist()[:cut]
    part = normalise(spec, table.slice(0, cut)).table["@label_at"].to_pylist()
    for all_rows, cut_rows in zip(whole, part, strict=True):
        assert all_rows == cut_rows or min(all_rows, cut_rows) >= cut - 1


def test_a_label_date_beside_finer_times_means_the_end_of_that_day() -> None:
    spec = a_spec(label_time="known")
    table = pa.table({"day": [datetime(2020, 1, 1, 10)], "known": [date(2020, 1, 1)], "x": [1.0], "y": [1]})  # noqa: DTZ001 - naive on purpose
    rows = normalise(spec, table).table
    assert rows["@label_at"][0].as_py() == rows["@at"][0].as_py() + 14 * 3_600_000_000 - 1


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([True, False, True], {"true", "false"}),
        ([1.0, 0.0, 1.0], {"1", "0"}),
        ([1, 0, 1], {"1", "0"}),
        (["yes", "no", "no"], {"yes", "no"}),
    ],
)
def test_labels_of_classes_are_text(values: list[Any], expected: set[str]) -> None:
    positive = max(expected)
    rows = normalise(a_spec(positive=positive), a_table(y=values))
    assert set(rows.table["@label"].to_pylist()) == expected


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_timestamps_of_every_unit_and_zone_are_the_same_instant(unit: str) -> None:
    moment = datetime(2020, 5, 1, 12, tzinfo=UTC)
    for zone in (None, "UTC", "America/New_York"):
        column = pa.array([moment.replace(tzinfo=None) if zone is None else moment], pa.timestamp(unit, tz=zone))
        rows = normalise(a_spec(label=None), pa.table({"day": column, "x": [1.0]}))
        assert rows.at[0] == int(moment.timestamp()) * 1_000_000


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2008-05", datetime(2008, 5, 1, tzinfo=UTC)),
        ("2008-Q2", datetime(2008, 4, 1, tzinfo=UTC)),
        ("2008", datetime(2008, 1, 1, tzinfo=UTC)),
        ("2015-07-01 10:00", datetime(2015, 7, 1, 10, tzinfo=UTC)),
        ("2015-07-01T10:00:00.5Z", datetime(2015, 7, 1, 10, 0, 0, 500_000, tzinfo=UTC)),
        ("2015-07-01T10:00+02:00", datetime(2015, 7, 1, 8, tzinfo=UTC)),
        (" 2015-07-01 ", datetime(2015, 7, 1, tzinfo=UTC)),
    ],
)
def test_iso_text_is_read(text: str, expected: datetime) -> None:
    rows = normalise(a_spec(label=None), pa.table({"day": [text], "x": [1.0]}))
    assert rows.at[0] == int(expected.timestamp() * 1_000_000)


def test_offsets_that_differ_are_converted_and_a_missing_one_is_refused() -> None:
    mixed = ["2015-07-01T10:00+02:00", "2015-07-01T08:00Z"]
    rows = normalise(a_spec(label=None), pa.table({"day": mixed, "x": [1.0, 2.0]}))
    assert rows.at[0] == rows.at[1]
    with pytest.raises(ColumnValueError, match=r"'day' mixes time zones: row 1 .* row 2 .*write all times in UTC"):
        normalise(a_spec(label=None), pa.table({"day": [mixed[0], "2015-07-01T08:00"], "x": [1.0, 2.0]}))


def refused(kind: type[RecordError], *parts: str, spec: ModelSpec | None = None, table: pa.Table | None = None) -> None:
    with pytest.raises(kind) as caught:
        normalise(spec or a_spec(), table if table is not None else a_table())
    for part in parts:
        assert part in str(caught.value)


def test_missing_columns_name_the_nearest_one() -> None:
    refused(MissingColumnError, "'x1'", "did you mean 'x'", spec=a_spec(features=("x1",)))
    refused(MissingColumnError, "'dya'", "'day'", "[columns] time", spec=a_spec_time("dya"))


def a_spec_time(name: str) -> ModelSpec:
    return ModelSpec(ModelSection("m", "binary"), ColumnsSection(time=name, features=("x",), label="y"))


def test_an_empty_table_is_refused_and_one_row_is_not() -> None:
    refused(EmptyTableError, "no rows", table=a_table().slice(0, 0))
    assert len(normalise(a_spec(), a_table().slice(0, 1))) == 1


def test_all_null_and_constant_columns_are_rows_like_others() -> None:
    rows = normalise(a_spec(features=("x", "n"), categorical=("n",)), a_table(n=pa.nulls(3), x=[1.0, 1.0, 1.0]))
    assert rows.table["n"].null_count == 3
    assert rows.table["n"].type == pa.dictionary(pa.int32(), pa.string())


@pytest.mark.parametrize("score", [math.nan, math.inf, -0.1, 1.5])
def test_scores_that_are_no_probabilities_are_refused(score: float) -> None:
    refused(ColumnValueError, "'s'", "row 2", "expected", spec=a_spec(score="s"), table=a_table(s=[0.5, score, 0.5]))


def test_ids_that_stand_for_two_rows_are_refused_and_repeated_rows_are_left_out() -> None:
    refused(DuplicateIdError, "'a'", "1 and 3", spec=a_spec(id="i"), table=a_table(i=["a", "b", "a"]))
    twice = a_table(i=["a", "b", "b"], day=[date(2020, 1, 1)] * 3, x=[1.0, 2.0, 2.0], y=[0, 1, 1])
    rows = normalise(a_spec(id="i"), twice)
    assert rows.table["@id"].to_pylist() == ["a", "b"]
    assert rows.duplicates == 1
    refused(ColumnValueError, "'i'", "row 2", "no id", spec=a_spec(id="i"), table=a_table(i=["a", None, "b"]))


def test_unparsable_and_missing_times_name_the_row() -> None:
    refused(
        ColumnValueError, "'day'", "row 2", "'07/01/2015'", "ISO", table=a_table(day=["2015-07-01", "07/01/2015", "x"])
    )
    refused(ColumnValueError, "'day'", "row 3", "1 of 3", table=a_table(day=[date(2020, 1, 1), date(2020, 1, 1), None]))
    refused(ColumnValueError, "whole numbers", "window = 50", table=a_table(day=[1, 2, 3]))
    late = pa.array([0, 0, 253_402_300_800_000_000], pa.timestamp("us"))
    refused(ColumnValueError, "'day'", "row 3", "years 1 to 9999", table=a_table(day=late))
    refused(ColumnValueError, "'day'", "64 bits", table=a_table(day=pa.array([1, 2, 2**63], pa.uint64())))


def test_label_faults_name_the_row_and_the_way_out() -> None:
    refused(ColumnValueError, "'y'", "row 3", "'2'", "multiclass", table=a_table(y=[0, 1, 2]))
    refused(ColumnValueError, "'y'", "row 2", "0.5", "regression", table=a_table(y=[0.0, 0.5, 1.0]))
    refused(ColumnValueError, "positive is '1'", "'yes'", table=a_table(y=["yes", "no", "no"]))
    early = a_table(known=[date(2020, 1, 5), date(2019, 1, 1), date(2020, 1, 5)])
    refused(ColumnValueError, "'known'", "row 2", "before the prediction", spec=a_spec(label_time="known"), table=early)
    lacking = a_table(known=[date(2020, 1, 5), None, date(2020, 1, 5)])
    refused(ColumnValueError, "'known'", "row 2", "no label time", spec=a_spec(label_time="known"), table=lacking)
    refused(ColumnValueError, "'y'", "row 1", "inf", spec=a_spec("regression"), table=a_table(y=[math.inf, 1.0, 2.0]))


def test_text_that_is_no_number_is_named_with_its_row() -> None:
    assert normalise(a_spec(), a_table(x=["1", " 2.5", ""])).table["x"].to_pylist() == [2.5, None, 1.0]
    refused(ColumnValueError, "'x'", "row 2", "'1,5'", "categorical", table=a_table(x=["1", "1,5", "2"]))
    refused(ColumnValueError, "'x'", "row 3", "'١٢'", table=a_table(x=["1", "2", "١٢"]))


@settings(max_examples=60)
@given(st.lists(st.one_of(st.none(), st.floats(), st.integers(-(10**17), 10**17).map(float)), min_size=1, max_size=6))
def test_the_text_of_a_number_does_not_depend_on_those_beside_it(values: list[float | None]) -> None:
    column = pa.chunked_array([pa.array(values, pa.float64())])
    alone = [texts(column.slice(place, 1), "x")[0].as_py() for place in range(len(values))]
    assert texts(column, "x").to_pylist() == alone


def test_columns_of_unusable_types_are_refused() -> None:
    refused(ColumnValueError, "'x'", "list", table=a_table(x=[[1], [2], [3]]))
    refused(ColumnValueError, "'x'", "timestamp", table=a_table(x=pa.array([1, 2, 3], pa.timestamp("us"))))
    refused(ColumnValueError, "'x'", "two columns", table=a_table().append_column("x", pa.array([1, 2, 3])))


@pytest.mark.parametrize("role", ["features", "segments", "protected"])
def test_a_column_cannot_take_the_place_of_one_of_ours(role: str) -> None:
    table = a_table(**{"@label": ["a", "b", "c"]})
    columns: dict[str, Any] = {role: ("@label",)}
    refused(ColumnValueError, "'@label'", "Pitstop's own", spec=a_spec(**columns), table=table)


def test_a_hundred_thousand_categories_and_a_class_never_seen_are_rows_like_others() -> None:
    count = 100_000
    spec = a_spec("multiclass", features=("c",), categorical=("c",))
    table = pa.table(
        {
            "day": pa.array([date(2020, 1, 1)] * count),
            "c": [f"category {number}" for number in range(count)],
            "y": ["a"] * (count - 1) + ["never seen"],
        }
    )
    rows = normalise(spec, table)
    assert len(rows.table["c"].combine_chunks().dictionary) == count
    assert rows.table["@label"][-1].as_py() == "never seen"


def test_amounts_segments_and_outputs_come_along() -> None:
    spec = ModelSpec(
        ModelSection("m", "binary"),
        ColumnsSection("day", ("x",), label="y", segments=("g",), protected=("p",), prediction="q", score="s"),
        value=ValueSection(true_positive=Outcome(factor=1.0, amount="money")),
    )
    table = a_table(g=["a", "b", None], p=[1, 2, 2], q=[1, 0, 1], s=[0.9, 0.1, 0.8], money=[1, 2, 3])
    content = normalise(spec, table).table
    assert content["p"].to_pylist() == ["2", "2", "1"]
    assert content["money"].to_pylist() == [2.0, 3.0, 1.0]
    assert content["@prediction"].to_pylist() == ["0", "1", "1"]
    assert content.column_names[:2] == ["@id", "@at"]


def test_predictions_without_labels_need_no_label_column() -> None:
    rows = normalise(a_spec(label_time="known"), a_table().drop_columns(["y"]), labelled=False)
    assert "@label" not in rows.table.column_names


def test_a_refused_table_is_left_as_it_was() -> None:
    table = a_table(y=[0, 1, 2])
    before = table.to_pydict()
    refused(ColumnValueError, "'y'", table=table)
    assert table.to_pydict() == before


def test_zones_of_python_datetimes_are_converted() -> None:
    plus_two = timezone(timedelta(hours=2))
    table = pa.table({"day": [datetime(2020, 1, 1, 2, tzinfo=plus_two)], "x": [1.0]})
    assert normalise(a_spec(label=None), table).at[0] == int(datetime(2020, 1, 1, tzinfo=UTC).timestamp()) * 1_000_000

"""The log of rows: appended whole or not at all, codes that no later row changes, labels that may be corrected."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pitstop.errors import ColumnValueError, DuplicateIdError
from pitstop.loop.rowlog import NEVER, NO_ESTIMATE, RowLog
from pitstop.records.spec import ColumnsSection, ModelSection, ModelSpec, Outcome, TrainerSection, ValueSection

SPEC = ModelSpec(
    ModelSection("m", "binary"),
    ColumnsSection(time="t", features=("x", "c"), categorical=("c",), segments=("s",), label="y", id="i"),
    value=ValueSection(true_positive=Outcome(0.0, 1.0, "price")),
    trainer=TrainerSection("none"),
)
ROW = st.tuples(
    st.one_of(st.none(), st.floats(allow_nan=True)),
    st.one_of(st.none(), st.sampled_from(["a", "b", "ü", ""])),
)
BATCHES = st.lists(st.lists(ROW, max_size=6), min_size=1, max_size=6)


def table(rows: list[Any], first: int = 0, *, words: tuple[str, ...] = ()) -> pa.Table:
    """Return normalised rows; `words` stand first in the dictionary of `c`, used or not."""
    values = [value for _, value in rows]
    encoded = pa.array([*words, *values], pa.string()).dictionary_encode()
    return pa.table(
        {
            "@id": pa.array([f"id{first + place}" for place in range(len(rows))], pa.string()),
            "@at": pa.array(range(first, first + len(rows)), pa.int64()),
            "x": pa.array([value for value, _ in rows], pa.float64()),
            "c": encoded.slice(len(words)),
            "s": pa.array(values, pa.string()).dictionary_encode(),
            "price": pa.array([1.5] * len(rows), pa.float64()),
        }
    )


def logged(batches: list[list[Any]]) -> RowLog:
    log = RowLog(SPEC)
    for rows in batches:
        log.append(table(rows, len(log)))
    return log


@given(BATCHES)
def test_what_was_appended_is_read_back(batches: list[list[Any]]) -> None:
    log = logged(batches)
    rows = [row for batch in batches for row in batch]
    found = log.features(np.arange(len(log)))
    numbers = [None if value is None or value != value else value for value, _ in rows]  # noqa: PLR0124 - finds NaN
    assert found["x"].to_pylist() == numbers
    assert found["c"].to_pylist() == [value for _, value in rows]
    assert log.at.tolist() == list(range(len(rows)))
    assert list(log.ids) == [f"id{place}" for place in range(len(rows))]
    assert (log.label_at == NEVER).all()
    assert (log.estimate.values == NO_ESTIMATE).all()


@given(BATCHES, BATCHES)
def test_codes_do_not_depend_on_later_rows(first: list[list[Any]], later: list[list[Any]]) -> None:
    alone, longer = logged(first), logged([*first, *later])
    assert longer.values("c")[: len(alone)].tolist() == alone.values("c").tolist()


@given(st.lists(ROW, max_size=8), st.permutations(["ü", "a", "zebra", "b"]))
def test_codes_do_not_depend_on_the_order_of_a_batchs_dictionary(rows: list[Any], words: list[str]) -> None:
    plain, other = RowLog(SPEC), RowLog(SPEC)
    plain.append(table(rows))
    other.append(table(rows, words=tuple(words)))
    assert other.values("c").tolist() == plain.values("c").tolist()
    assert other.features(np.arange(len(rows)))["c"].to_pylist() == [value for _, value in rows]


@given(BATCHES)
def test_batches_are_the_whole(batches: list[list[Any]]) -> None:
    pieces, whole = logged(batches), logged([[row for batch in batches for row in batch]])
    everything = np.arange(len(whole))
    assert pieces.features(everything, extra=True).equals(whole.features(everything, extra=True))
    assert pieces.values("c").tolist() == whole.values("c").tolist()


@pytest.mark.parametrize("again", [["id3", "id1"], ["id3", "id3"]], ids=["logged before", "twice in the batch"])
def test_a_repeated_id_is_refused_before_anything_changes(again: list[str]) -> None:
    log = logged([[(1.0, "a"), (2.0, "b")]])
    before: tuple[Any, ...] = (len(log), log.at.copy(), log.values("x").copy(), log.values("c").copy(), list(log.ids))
    rows = table([(3.0, "new"), (4.0, "a")], 3).set_column(0, "@id", pa.array(again))
    with pytest.raises(DuplicateIdError, match=again[1]):
        log.append(rows)
    after: tuple[Any, ...] = (len(log), log.at, log.values("x"), log.values("c"), list(log.ids))
    for one, other in zip(before, after, strict=True):
        assert np.array_equal(one, other)
    # Not even the word was learnt: the next batch gets the code that "new" would have taken.
    log.append(table([(5.0, "other")], 9))
    assert log.values("c").tolist() == [0, 1, 2]
    assert log.features(np.array([2]))["c"].to_pylist() == ["other"]


def test_labels_are_set_and_corrected() -> None:
    log = logged([[(1.0, "a"), (2.0, "b"), (3.0, "a")]])
    rows = log.ordinals(["id2", "id0"])
    assert rows.tolist() == [2, 0]
    log.set_labels(rows, np.array(["1", "0"], dtype=object), np.array([50, 60]))
    assert log.labels.tolist() == ["0", None, "1"]
    assert log.label_at.tolist() == [60, NEVER, 50]
    log.set_labels(log.ordinals(["id0"]), np.array(["1"], dtype=object), np.array([70]))
    assert log.labels.tolist() == ["1", None, "1"]
    assert log.label_at.tolist() == [70, NEVER, 50]
    assert log.first_label_at.tolist() == [60, NEVER, 50]
    assert log.features(np.array([0, 1]), label=True)["@label"].to_pylist() == ["1", None]


def test_a_label_of_an_unknown_id_names_it_and_the_way_out() -> None:
    log = logged([[(1.0, "a")]])
    with pytest.raises(ColumnValueError, match=r"'ghost' \(2 such ids\).*log predictions before their labels"):
        log.ordinals(["id0", "ghost", "other"])


def test_rows_between_instants_are_found_by_their_time() -> None:
    log = logged([[(1.0, "a")] * 4, [(1.0, "a")] * 3])
    assert log.predicted_between(2, 5).tolist() == [2, 3, 4]
    assert log.predicted_between(7, 90).tolist() == []
    assert log.predicted_between(-5, 1).tolist() == [0]


def test_kept_rows_hold_what_was_predicted_and_no_label() -> None:
    log = RowLog(SPEC)
    rows = table([(1.0, "a"), (2.0, None)])
    with_label = rows.append_column("@label", pa.array(["1", "0"]))
    batch = log.append(with_label, np.array([0.25, np.nan]), np.array(["0", None], dtype=object))
    kept = log.as_kept(with_label, batch)
    assert "@label" not in kept.column_names
    assert kept["@score"].to_pylist() == [0.25, None]
    assert kept["@prediction"].to_pylist() == ["0", None]
    assert kept["@estimate"].to_pylist() == [NO_ESTIMATE, NO_ESTIMATE]


def test_a_log_grows_beyond_its_first_capacity() -> None:
    log = logged([[(float(place), "a") for place in range(700)]] * 3)
    assert len(log) == 2100
    assert log.values("x")[[0, 699, 700, 2099]].tolist() == [0.0, 699.0, 0.0, 699.0]
    assert log.amounts(np.array([3, 2000]))["price"].tolist() == [1.5, 1.5]


def test_numbers_that_differ_late_are_segments_of_their_own() -> None:
    log = RowLog(replace(SPEC, columns=replace(SPEC.columns, segments=("x",))))
    values = [1234567.0, 1234568.0, 0.1, 12.0, 0.1234567, None]
    words, places = log.told("x", log.append(table([(value, "a") for value in values])))
    assert [words[place] if place >= 0 else None for place in places] == [
        *("1234567", "1234568", "0.1", "12", "0.1234567"),
        None,
    ]


def test_a_repeated_id_is_found_without_comparing_each_with_each() -> None:
    rows = table([(1.0, "a")] * 200_000)
    ids = [*rows["@id"].to_pylist()[:-1], "id7"]
    with pytest.raises(DuplicateIdError, match="id 'id7' was logged before"):
        RowLog(SPEC).append(rows.set_column(0, "@id", pa.array(ids)))

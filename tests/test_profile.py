"""Profiles: pieces are the whole, bytes come back, strangers are refused."""

from __future__ import annotations

import dataclasses
import itertools
import json
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pitstop.errors import StatisticError
from pitstop.profile import (
    Layout,
    OutcomeProfile,
    Profile,
    profile_outcomes,
    profile_rows,
    profile_windows,
    repeated_rows,
)
from pitstop.records.spec import ColumnsSection, ModelSection, ModelSpec

Task = Literal["binary", "multiclass", "regression"]
TASKS: tuple[Task, ...] = ("binary", "multiclass", "regression")
ROWS = 600


def spec_of(task: Task) -> ModelSpec:
    columns = ColumnsSection(
        time="at", features=("price", "nights", "city", "empty"), categorical=("city",), label="label"
    )
    return ModelSpec(ModelSection("bookings", task), columns)


def table_of(task: Task, rows: int = ROWS, seed: int = 0) -> pa.Table:
    rng = np.random.default_rng(seed)
    price = rng.gamma(2.0, 50.0, rows)
    labels: Any = {
        "binary": pa.array(rng.choice(["0", "1"], rows)),
        "multiclass": pa.array(rng.choice(["a", "b", "c"], rows)),
        "regression": pa.array(price * 2),
    }[task]
    return pa.table(
        {
            "price": pa.array(price, mask=rng.random(rows) < 0.05),
            "nights": pa.array(rng.integers(1, 9, rows).astype(np.float64)),
            "city": pa.array(rng.choice(["Faro", "Lisbon", "Porto"], rows)).dictionary_encode(),
            "empty": pa.nulls(rows, pa.float64()),
            "@label": labels,
        }
    )


def outputs_of(task: Task, table: pa.Table) -> tuple[Any, Any, Any, Any]:
    """Return scores, predictions, leaves and losses."""
    rng = np.random.default_rng(1)
    scores = rng.random(table.num_rows)
    predicted: Any = {
        "binary": scores >= 0.5,
        "multiclass": rng.choice(["a", "b", "new"], table.num_rows),
        "regression": rng.gamma(2.0, 100.0, table.num_rows),
    }[task]
    given_scores = None if task == "regression" else scores
    return given_scores, predicted, rng.integers(0, 64, table.num_rows), rng.gamma(1.0, 20.0, table.num_rows)


def both(task: Task, table: pa.Table, layout: Layout, keep: Any) -> tuple[Any, Any]:
    """Return the profile of the kept rows, and that of their outcomes."""
    scores, predicted, leaves, losses = outputs_of(task, table)
    mine = None if scores is None else scores[keep]
    part = table.take(pa.array(keep))
    return (
        profile_rows(layout, part, mine, predicted[keep], leaves[keep], duplicates=len(keep) // 10),
        profile_outcomes(layout, mine, predicted[keep], part.column("@label"), leaves[keep], losses[keep]),
    )


@pytest.mark.parametrize("task", TASKS)
def test_profiles_of_pieces_are_the_profile_of_the_whole(task: Task) -> None:
    table = table_of(task)
    layout = Layout.fit(spec_of(task), table)
    wholes = both(task, table, layout, np.arange(ROWS))

    @settings(max_examples=10, deadline=None)
    @given(st.lists(st.integers(0, ROWS // 10), max_size=4), st.randoms(use_true_random=False))
    def holds(cuts: list[int], random: Any) -> None:
        places = list(range(ROWS))
        random.shuffle(places)
        edges = [0, *sorted(10 * cut for cut in cuts), ROWS]
        pieces = [
            both(task, table, layout, np.array(places[a:b], dtype=np.int64)) for a, b in itertools.pairwise(edges)
        ]
        for index, whole in enumerate(wholes):
            empty: Any = type(whole).empty(layout)
            total = empty
            for piece in pieces:
                total = total.merged(piece[index])
            assert total == whole
            assert total.id == whole.id
            assert total.pack() == whole.pack()
            assert type(whole).total(layout, [piece[index] for piece in pieces]) == whole
            assert type(whole).total(layout, []) == empty
            for piece in pieces:
                total = total.removed(piece[index])
            assert total == empty

    holds()


@pytest.mark.parametrize("task", TASKS)
def test_packed_profiles_come_back_and_go_on(task: Task) -> None:
    table = table_of(task)
    layout = Layout.fit(spec_of(task), table)
    for whole in both(task, table, layout, np.arange(ROWS)):
        again = type(whole).unpack(layout, whole.pack())
        assert again == whole
        assert hash(again) == hash(whole)
        assert again.merged(whole) == whole.merged(whole)
        assert again.layout_id == layout.id


@pytest.mark.parametrize("task", TASKS)
def test_what_was_counted_is_what_was_there(task: Task) -> None:
    table = table_of(task)
    profile, outcomes = both(task, table, Layout.fit(spec_of(task), table), np.arange(ROWS))
    assert (profile.rows, profile.duplicates, int(profile.leaves.sum()), profile.scores.n) == (ROWS, 60, ROWS, ROWS)
    assert profile.features["price"].nulls == table.column("price").null_count
    assert profile.features["empty"].nulls == ROWS
    assert profile.features["city"].counts.sum() == ROWS
    assert (outcomes.labelled, outcomes.outcomes.n, int(outcomes.cells.labelled.sum())) == (ROWS, ROWS, ROWS)


def test_any_other_row_changes_the_id() -> None:
    table = table_of("binary")
    layout = Layout.fit(spec_of("binary"), table)
    whole = both("binary", table, layout, np.arange(ROWS))
    other = both("binary", table, layout, np.arange(1, ROWS))
    assert whole[0].id != other[0].id
    assert whole[1].id != other[1].id
    assert whole[0] != other[0]


def test_profiles_of_other_layouts_do_not_add_up() -> None:
    table = table_of("binary")
    layout, other = Layout.fit(spec_of("binary"), table), Layout.fit(spec_of("binary"), table.slice(0, 50))
    assert layout.id != other.id
    whole = both("binary", table, layout, np.arange(ROWS))
    for profile in whole:
        stranger: Any = type(profile).empty(other)
        for action in (profile.merged, profile.removed):
            with pytest.raises(StatisticError, match="do not add up"):
                action(stranger)
        if isinstance(profile, Profile):
            with pytest.raises(StatisticError, match="do not add up"):
                Profile.total(layout, [profile, stranger])
        with pytest.raises(StatisticError, match="not counted over"):
            type(profile).unpack(other, profile.pack())


@pytest.mark.parametrize(
    "damage", [lambda b: b[:-1], lambda b: b[:-1] + bytes([b[-1] ^ 1]), lambda b: b[:20], lambda _: b""]
)
def test_damaged_bytes_are_refused(damage: Any) -> None:
    table = table_of("binary")
    layout = Layout.fit(spec_of("binary"), table)
    for profile in both("binary", table, layout, np.arange(ROWS)):
        with pytest.raises(StatisticError, match=r"damaged|not a packed profile"):
            type(profile).unpack(layout, damage(profile.pack()))


def test_removing_what_was_not_added_is_refused() -> None:
    table = table_of("binary")
    layout = Layout.fit(spec_of("binary"), table)
    profile, outcomes = both("binary", table, layout, np.arange(ROWS))
    with pytest.raises(StatisticError, match="remove only what was added"):
        Profile.empty(layout).removed(profile)
    with pytest.raises(StatisticError, match="remove only what was added"):
        OutcomeProfile.empty(layout).removed(outcomes)


@pytest.mark.parametrize("task", TASKS)
def test_a_layout_survives_json(task: Task) -> None:
    layout = Layout.fit(spec_of(task), table_of(task))
    again = Layout.from_document(json.loads(json.dumps(layout.to_document())))
    assert again == layout
    assert again.id == layout.id


def test_a_layout_depends_on_the_rows_but_not_on_their_order() -> None:
    table = table_of("multiclass")
    shuffled = table.take(pa.array(np.random.default_rng(2).permutation(ROWS)))
    assert Layout.fit(spec_of("multiclass"), table).id == Layout.fit(spec_of("multiclass"), shuffled).id


def test_the_classes_of_a_binary_layout_are_negative_then_positive() -> None:
    table = table_of("binary")
    spec = spec_of("binary")
    assert Layout.fit(spec, table).classes == ("0", "1")
    positive = dataclasses.replace(spec, decision=dataclasses.replace(spec.decision, positive="0"))
    assert Layout.fit(positive, table).classes == ("1", "0")
    three = table.set_column(4, "@label", pa.array(["1", "2", "3"] * (ROWS // 3)))
    assert Layout.fit(spec, three).classes == ("other", "1")


def test_error_edges_are_quantiles_of_the_reference_errors() -> None:
    table = table_of("regression")
    labels = table.column("@label").to_numpy()
    errors = np.arange(1.0, ROWS + 1)
    layout = Layout.fit(spec_of("regression"), table, predictions=labels - errors)
    assert layout.error_edges == pytest.approx((301.0, 481.0))
    assert Layout.fit(spec_of("regression"), table, predictions=labels).error_edges == ()
    logged = table.append_column("@prediction", pa.array(labels + 7.0))
    assert Layout.fit(spec_of("regression"), logged).error_edges == pytest.approx((7.0,))
    assert len(Layout.fit(spec_of("regression"), table).error_edges) == 2


def test_a_reference_without_feature_or_target_is_refused() -> None:
    table = table_of("binary")
    with pytest.raises(StatisticError, match="'city'"):
        Layout.fit(spec_of("binary"), table.drop_columns(["city"]))
    with pytest.raises(StatisticError, match="neither a label nor a prediction"):
        Layout.fit(spec_of("binary"), table.drop_columns(["@label"]))


def test_rows_without_a_feature_or_of_another_length_are_refused() -> None:
    table = table_of("binary")
    layout = Layout.fit(spec_of("binary"), table)
    scores, predicted, leaves, losses = outputs_of("binary", table)
    with pytest.raises(StatisticError, match="lacks the feature 'city'"):
        profile_rows(layout, table.drop_columns(["city"]), scores, predicted, leaves)
    with pytest.raises(StatisticError, match="599 leaves for 600 rows"):
        profile_rows(layout, table, scores, predicted, leaves[1:])
    with pytest.raises(StatisticError, match="600 labels and 599 leaves"):
        profile_outcomes(layout, scores, predicted, table.column("@label"), leaves[1:], losses[1:])


def test_a_total_of_many_profiles_that_could_overflow_is_refused() -> None:
    table = table_of("binary")
    layout = Layout.fit(spec_of("binary"), table)
    huge = dataclasses.replace(Profile.empty(layout), rows=2**61)
    with pytest.raises(StatisticError, match="2\\^62"):
        Profile.total(layout, [huge, huge])
    with pytest.raises(StatisticError, match=f"holds int64\\({layout.size},\\)"):
        Profile.of_vector(layout, huge.vector()[1:])


def test_an_empty_table_has_an_empty_profile() -> None:
    table = table_of("binary")
    layout = Layout.fit(spec_of("binary"), table)
    profile, outcomes = both("binary", table, layout, np.zeros(0, dtype=np.int64))
    assert profile == Profile.empty(layout)
    assert outcomes == OutcomeProfile.empty(layout)


def test_a_day_of_thirty_columns_packs_into_a_few_kilobytes() -> None:
    rng = np.random.default_rng(9)
    names = tuple(f"x{index}" for index in range(30))
    table = pa.table({name: rng.normal(size=10_000) for name in names} | {"@label": rng.choice(["0", "1"], 10_000)})
    spec = ModelSpec(ModelSection("wide", "binary"), ColumnsSection(time="at", features=names, label="label"))
    scores = rng.random(10_000)
    profile = profile_rows(Layout.fit(spec, table), table, scores, scores >= 0.5, rng.integers(0, 64, 10_000))
    assert len(profile.pack()) < 15_000


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("threads", [1, 3])
def test_profiles_by_window_are_those_of_each_window_alone(task: Task, threads: int) -> None:
    table = table_of(task)
    layout = Layout.fit(spec_of(task), table)
    scores, predicted, leaves, _ = outputs_of(task, table)
    told: list[tuple[int, int]] = []

    @settings(max_examples=5, deadline=None)
    @given(st.integers(1, 9), st.booleans(), st.randoms(use_true_random=False))
    def holds(count: int, in_order: bool, random: Any) -> None:
        drawn = [random.randrange(-1, count) for _ in range(ROWS)]
        windows = np.array(sorted(drawn) if in_order else drawn, dtype=np.int32)
        found = profile_windows(
            layout,
            table,
            windows,
            count,
            scores,
            predicted,
            leaves,
            threads=threads,
            progress=lambda done, whole: told.append((done, whole)),
        )
        assert len(found) == count
        for window, profile in enumerate(found):
            keep = np.flatnonzero(windows == window)
            part = table.take(pa.array(keep))
            again = repeated_rows(layout, part, None, np.array([keep.size]))
            mine = None if scores is None else scores[keep]
            alone = profile_rows(layout, part, mine, predicted[keep], leaves[keep], duplicates=int(again[0]))
            assert profile == alone
            assert profile.id == alone.id

    holds()
    assert told[:7] == [(done, 7) for done in range(1, 8)]


def test_what_progress_raises_ends_the_counting() -> None:
    table = table_of("binary")
    layout = Layout.fit(spec_of("binary"), table)
    scores, predicted, leaves, _ = outputs_of("binary", table)
    told = []

    def stop(done: int, whole: int) -> None:
        told.append((done, whole))
        if done == 2:
            raise KeyboardInterrupt

    for threads in (1, 2):
        told.clear()
        with pytest.raises(KeyboardInterrupt):
            profile_windows(layout, table, None, 1, scores, predicted, leaves, threads=threads, progress=stop)
        assert told == [(1, 7), (2, 7)]


def test_windows_out_of_range_or_of_another_type_are_refused() -> None:
    table = table_of("binary")
    layout = Layout.fit(spec_of("binary"), table)
    scores, predicted, leaves, _ = outputs_of("binary", table)
    windows = np.zeros(ROWS, dtype=np.int32)
    cases: tuple[tuple[Any, int, str], ...] = (
        (windows, 0, "windows from 0 to 0; expected -1"),
        (windows - 2, 1, "windows from -2 to -2"),
        (windows.astype(np.int64), 1, "windows of int64"),
        (windows[1:], 1, "599 windows for 600 rows"),
        (None, 2, "without `windows` there is one"),
    )
    for wrong, count, told in cases:
        with pytest.raises(StatisticError, match=told):
            profile_windows(layout, table, wrong, count, scores, predicted, leaves)


def test_repeated_rows_are_counted_by_window() -> None:
    table = table_of("binary", 100)
    twice = pa.concat_tables([table, table.slice(0, 30), table.slice(0, 10)])
    layout = Layout.fit(spec_of("binary"), table)
    windows = np.array([0] * 100 + [1] * 30 + [0] * 10, dtype=np.int32)
    assert repeated_rows(layout, twice, windows, np.array([110, 30])).tolist() == [10, 0]
    assert repeated_rows(layout, twice, None, np.array([140])).tolist() == [40]

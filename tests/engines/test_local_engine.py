"""Pieces are the whole, bit for bit, however they are cut; and rows out of order are refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pitstop.engines import ENGINES
from pitstop.engines.base import Piece
from pitstop.engines.local import LocalEngine
from pitstop.engines.sources import pieces_of
from pitstop.errors import DuplicateIdError, RecordError, StatisticError
from pitstop.profile import Layout, Profile, profile_rows
from pitstop.records.batches import normalise
from pitstop.records.columns import row_hashes
from pitstop.records.spec import ColumnsSection, ModelSection, ModelSpec, TimeSection, TrainerSection

DAY = np.timedelta64(1, "D")
ROWS = 90
SPEC = ModelSpec(
    ModelSection("m", "binary"),
    ColumnsSection(
        time="at", id="id", label="y", score="s", features=("x", "kind", "empty"), categorical=("kind", "empty")
    ),
    trainer=TrainerSection(name="none"),
)


def table_of(seed: int, rows: int = ROWS, days: int = 4) -> pa.Table:
    """Rows in order of time, many of which repeat another one's features."""
    random = np.random.default_rng(seed)
    at = np.sort(
        np.datetime64("2024-01-01T00:00:00", "us") + random.integers(0, days * 86_400, rows) * np.timedelta64(1, "s")
    )
    return pa.table(
        {
            "at": at,
            "id": [f"r{place}" for place in range(rows)],
            "x": pa.array(random.integers(0, 4, rows).astype(float), mask=random.random(rows) < 0.1),
            "kind": pa.array(random.choice(["a", "b", "c"], rows), mask=random.random(rows) < 0.1),
            "empty": pa.nulls(rows, pa.string()),
            "s": random.random(rows),
            "y": random.choice(["0", "1"], rows),
        }
    )


def leaves(
    table: pa.Table, scores: pa.ChunkedArray, _predicted: pa.Array
) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    assert len(scores) == table.num_rows
    return np.asarray(np.nan_to_num(np.asarray(table["x"].to_numpy(), float), nan=9)).astype(np.int64)


def whole(table: pa.Table, layout: Layout, spec: ModelSpec = SPEC) -> dict[int, Profile]:
    """Every window counted at once, with nothing of the engine."""
    rows = normalise(spec, table, labelled=False)
    windows = spec.calendar.window_of(rows.at)
    found = {}
    for window in np.unique(windows):
        part = rows.table.filter(pa.array(windows == window)).combine_chunks()
        scores = np.asarray(part["@score"].to_numpy())
        hashes = row_hashes([part.column(name).chunk(0) for name in spec.columns.features])
        found[int(window)] = profile_rows(
            layout,
            part,
            scores,
            scores >= spec.decision.threshold,
            leaves(part, part["@score"], part),
            duplicates=part.num_rows - len(np.unique(hashes)),
        )
    return found


@settings(max_examples=15)
@given(st.integers(0, 99), st.integers(1, ROWS + 5), st.sampled_from([1, 2, 3]))
def test_pieces_are_the_whole_for_any_batch_and_any_number_of_threads(seed: int, rows: int, threads: int) -> None:
    table = table_of(seed)
    layout = Layout.fit(SPEC, normalise(SPEC, table).table)
    pieces = pieces_of([table], SPEC, layout, leaves=leaves, rows=rows)
    found = dict(LocalEngine(threads=threads).profile(pieces, layout))
    expected = whole(table, layout)
    assert {window: profile.pack() for window, profile in found.items()} == {
        window: profile.pack() for window, profile in expected.items()
    }
    assert any(profile.duplicates for profile in expected.values())


def test_files_one_after_another_are_one_source_and_windows_may_span_them(tmp_path: Path) -> None:
    table = table_of(1)
    layout = Layout.fit(SPEC, normalise(SPEC, table).table)
    names = []
    for number, (first, end) in enumerate([(0, 40), (40, 41), (41, ROWS)]):
        names.append(tmp_path / f"{number}.parquet")
        # Each file has its own dictionary, as files of different days do.
        pq.write_table(table.slice(first, end - first), names[-1])
    pieces = pieces_of(names, SPEC, layout, leaves=leaves, rows=17)
    assert dict(LocalEngine().profile(pieces, layout)) == whole(table, layout)


def test_row_count_windows_count_on_across_batches() -> None:
    spec = ModelSpec(SPEC.model, SPEC.columns, time=TimeSection(window=30, period=5), trainer=SPEC.trainer)
    table = table_of(2)
    layout = Layout.fit(spec, normalise(spec, table).table)
    found = dict(LocalEngine().profile(pieces_of([table], spec, layout, leaves=leaves, rows=37), layout))
    assert found == whole(table, layout, spec)
    assert [profile.rows for profile in found.values()] == [30] * 3
    backwards = pa.concat_tables([table.slice(60), table.slice(0, 60)])
    with pytest.raises(RecordError, match="'at': the source is not in order of time"):
        list(pieces_of([backwards], spec, layout, rows=20))


def test_rows_out_of_order_and_repeated_ids_are_refused_with_the_way_out() -> None:
    table = table_of(3)
    layout = Layout.fit(SPEC, normalise(SPEC, table).table)
    with pytest.raises(RecordError, match="sort its rows"):
        list(pieces_of([table.slice(70), table.slice(0, 30)], SPEC, layout))
    with pytest.raises(DuplicateIdError, match="'r7' is there twice"):
        list(pieces_of([table.slice(0, 10), table.slice(7, 10)], SPEC, layout))
    ((first, one), (second, two)) = [(piece.window, piece) for piece in pieces_of([table], SPEC, layout)][:2]
    assert first < second
    with pytest.raises(RecordError, match=f"window {first} come after rows of window {second}"):
        list(LocalEngine().profile([two, one], layout))


@pytest.mark.parametrize("threads", [1, 2])
def test_a_piece_that_cannot_be_counted_is_an_error_whatever_the_threads(threads: int) -> None:
    table = table_of(4)
    layout = Layout.fit(SPEC, normalise(SPEC, table).table)
    good = next(iter(pieces_of([table], SPEC, layout)))
    bad = Piece(good.window, good.table.drop_columns(["x"]), good.scores, good.predicted, good.leaves)
    with pytest.raises(StatisticError, match="lacks the feature 'x'"):
        list(LocalEngine(threads=threads).profile([good, bad, good], layout))


def test_no_rows_give_no_profile_and_the_engine_is_registered() -> None:
    layout = Layout.fit(SPEC, normalise(SPEC, table_of(5)).table)
    assert isinstance(ENGINES.get("local"), LocalEngine)
    assert list(LocalEngine().profile([], layout)) == []
    assert list(pieces_of([table_of(5).slice(0, 0)], SPEC, layout)) == []

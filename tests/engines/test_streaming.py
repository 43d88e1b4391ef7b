"""A pass over a source of any size: the same bits for every cut, order, stop and thread; nothing is read in vain."""

from __future__ import annotations

import resource
import signal
import subprocess
import sys
from collections.abc import Generator, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.ipc as pa_ipc
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pitstop.checks import excerpts
from pitstop.engines import passes
from pitstop.engines.local import LocalEngine
from pitstop.errors import ColumnValueError, RecordError, SpecError, StoreError
from pitstop.profile import Layout, Profile
from pitstop.records.scans import Part, Scan
from pitstop.records.spec import ColumnsSection, ModelSpec, TimeSection
from pitstop.testing.engine_laws import counted_at_once, example, layout, model

Packed = dict[int, bytes]
SPEC = model()


def table_of(seed: int, rows: int = 90, days: int = 4) -> pa.Table:
    return example(seed=seed, rows=rows, days=days)


def layout_of(table: pa.Table, spec: ModelSpec = SPEC) -> Layout:
    return layout(table, spec)


def whole(table: pa.Table, bins: Layout, spec: ModelSpec = SPEC) -> dict[int, Profile]:
    return counted_at_once(table, bins, spec)


def packed(profiles: Any) -> Packed:
    return {window: profile.pack() for window, profile in dict(profiles).items()}


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, tuple[str, ...]]]:
    """The part and columns of every read."""
    seen: list[tuple[int, tuple[str, ...]]] = []
    original = Scan.batches

    def batches(scan: Scan, part: Part, columns: Any, **options: Any) -> Iterator[pa.Table]:
        seen.append((part.number, tuple(columns)))
        yield from original(scan, part, columns, **options)

    monkeypatch.setattr(Scan, "batches", batches)
    return seen


class Stopped(Exception):  # noqa: N818 - it stands for whatever a caller raises
    pass


def stop_after(parts: int) -> Any:
    calls = []

    def progress(done: int, total: int) -> None:
        calls.append((done, total))
        if len(calls) == parts:
            raise Stopped

    return progress


@settings(max_examples=25)
@given(
    st.integers(0, 99),
    st.lists(st.tuples(st.integers(0, 90), st.integers(1, 40)), min_size=1, max_size=4),
    st.sampled_from([1, 3]),
    st.sampled_from([1, 40, 300, 1 << 20]),
    st.booleans(),
)
def test_every_cut_order_and_width_gives_the_same_bits(
    tmp_path_factory: pytest.TempPathFactory,
    seed: int,
    files: list[tuple[int, int]],
    threads: int,
    values: int,
    shuffled: bool,
) -> None:
    table = table_of(seed)
    bins = layout_of(table)
    expected = packed(whole(table, bins))
    if shuffled:
        table = table.take(pa.array(np.random.default_rng(seed).permutation(table.num_rows)))
    folder = tmp_path_factory.mktemp("pass")
    cuts = sorted({0, table.num_rows, *(cut for cut, _ in files)})
    for number, (first, end) in enumerate(pairwise(cuts)):
        group = files[number % len(files)][1]
        pq.write_table(table.slice(first, end - first), folder / f"{number:02}.parquet", row_group_size=group)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(excerpts, "VALUES", values)
        patch.setattr(passes, "VALUES", values)
        found = list(LocalEngine(threads=threads).profiles(folder, SPEC, bins))
    assert [window for window, _ in found] == sorted(expected)
    assert packed(found) == expected


@pytest.mark.parametrize("kind", ["stream", "file", "table"])
def test_arrow_files_and_tables_in_memory_are_counted_alike(tmp_path: Path, kind: str) -> None:
    table = table_of(7)
    source: Any = table
    if kind != "table":
        source = tmp_path / "t.arrow"
        start: Any = pa_ipc.new_stream if kind == "stream" else pa_ipc.new_file
        with start(str(source), table.schema) as writer:
            writer.write_table(table, max_chunksize=13)
    bins = layout_of(table)
    assert packed(LocalEngine(threads=2).profiles(source, SPEC, bins)) == packed(whole(table, bins))


def test_windows_of_rows_count_on_across_files_and_need_order(tmp_path: Path) -> None:
    spec, table = (
        ModelSpec(SPEC.model, SPEC.columns, time=TimeSection(window=30, period=5), trainer=SPEC.trainer),
        table_of(2),
    )
    bins = layout_of(table, spec)
    for number, (first, size) in enumerate([(0, 37), (37, 1), (38, 52)]):
        pq.write_table(table.slice(first, size), tmp_path / f"{number}.parquet", row_group_size=20)
    assert packed(LocalEngine().profiles(tmp_path, spec, bins)) == packed(whole(table, bins, spec))
    backwards = table.take(pa.array(np.arange(table.num_rows)[::-1]))
    with pytest.raises(RecordError, match="not in order of time"):
        list(LocalEngine().profiles(backwards, spec, bins))


@pytest.mark.parametrize("statistics", [True, False])
def test_parts_in_order_by_themselves_are_refused_where_the_whole_is_not(tmp_path: Path, *, statistics: bool) -> None:
    spec = ModelSpec(SPEC.model, SPEC.columns, time=TimeSection(window=30, period=5), trainer=SPEC.trainer)
    table = table_of(2)
    bins = layout_of(table, spec)
    swapped = pa.concat_tables([table.slice(45), table.slice(0, 45)])
    pq.write_table(swapped, tmp_path / "groups.parquet", row_group_size=45, write_statistics=statistics)
    (tmp_path / "files").mkdir()
    for number, part in enumerate((table.slice(45), table.slice(0, 45))):
        pq.write_table(part, tmp_path / "files" / f"{number}.parquet", write_statistics=statistics)
    for source in (tmp_path / "groups.parquet", tmp_path / "files"):
        with pytest.raises(RecordError, match="not in order of time"):
            list(LocalEngine().profiles(source, spec, bins))


def test_only_row_groups_and_columns_that_matter_are_read(tmp_path: Path, read: list[Any]) -> None:
    table = table_of(3, rows=200, days=10)
    pq.write_table(table, tmp_path / "t.parquet", row_group_size=20)
    bins = layout_of(table)
    expected = whole(table, bins)
    first, *_, last = sorted(expected)
    asked = (first + 3, first + 5)
    found = dict(LocalEngine().profiles(tmp_path / "t.parquet", SPEC, bins, windows=asked))
    assert found == {window: profile for window, profile in expected.items() if asked[0] <= window < asked[1]}
    days = SPEC.calendar.window_of(table["at"].to_numpy().astype("datetime64[us]").astype(np.int64))
    needed = {
        part
        for part in range(10)
        if ((days[20 * part : 20 * part + 20] // 1 >= asked[0]) & (days[20 * part : 20 * part + 20] < asked[1])).any()
    }
    assert {part for part, _ in read} == needed
    assert {name for _, names in read for name in names} == {"at", "score", "x", "n", "kind", "empty"}
    assert list(LocalEngine().profiles(tmp_path / "t.parquet", SPEC, bins, windows=(last + 1, None))) == []


def test_a_window_comes_out_when_its_last_part_is_counted(tmp_path: Path, read: list[Any]) -> None:
    table = table_of(4, rows=400, days=10)
    pq.write_table(table, tmp_path / "t.parquet", row_group_size=20)
    windows = LocalEngine().profiles(tmp_path / "t.parquet", SPEC, layout_of(table))
    assert isinstance(windows, Generator)
    next(windows)
    assert {part for part, _ in read} <= set(range(6))
    windows.close()
    assert {part for part, _ in read} <= set(range(7)), "a closed pass starts nothing more"


@settings(max_examples=20)
@given(st.integers(0, 9), st.integers(1, 8), st.sampled_from([1, 2]), st.floats(0, 1))
def test_a_pass_that_was_stopped_goes_on_and_reads_no_finished_part_again(
    tmp_path_factory: pytest.TempPathFactory, seed: int, parts: int, threads: int, torn: float
) -> None:
    folder = tmp_path_factory.mktemp("resume")
    table = table_of(seed)
    pq.write_table(table, folder / "t.parquet", row_group_size=10)
    bins, log = layout_of(table), folder / "progress"
    engine = LocalEngine(threads=threads)
    with pytest.raises(Stopped):
        list(engine.profiles(folder / "t.parquet", SPEC, bins, resume=log, progress=stop_after(parts)))
    content = log.read_bytes()
    seen: list[int] = []
    original = passes.count_part

    def watched(scan: Scan, part: Part, reading: Any) -> Any:
        seen.append(part.number)
        return original(scan, part, reading)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(passes, "count_part", watched)
        found = packed(engine.profiles(folder / "t.parquet", SPEC, bins, resume=log))
        assert sorted(seen) == list(range(parts, 9))
        assert found == packed(whole(table, bins))
        # A crash may leave any part of the last record behind.
        seen.clear()
        log.write_bytes(content[: int(torn * len(content))])
        assert packed(engine.profiles(folder / "t.parquet", SPEC, bins, resume=log)) == found
        assert set(seen) >= set(range(parts, 9))
        seen.clear()
        assert packed(engine.profiles(folder / "t.parquet", SPEC, bins, resume=log)) == found
        assert seen == []


KILLED = """
import os, signal, sys
from pathlib import Path
from pitstop.engines.local import LocalEngine
from pitstop.testing.engine_laws import example, layout, model

def progress(done, total):
    if done >= 50:
        os.kill(os.getpid(), signal.SIGKILL)

folder = Path(sys.argv[1])
windows = LocalEngine(threads=2).profiles(
    folder / "t.parquet", model(), layout(example(seed=1), model()), resume=folder / "log", progress=progress
)
list(windows)
"""


def test_a_pass_that_was_killed_goes_on(tmp_path: Path, read: list[Any]) -> None:
    table = table_of(1)
    pq.write_table(table, tmp_path / "t.parquet", row_group_size=10)
    done = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], check=False)
    assert done.returncode == -signal.SIGKILL
    bins = layout_of(table)
    read.clear()
    found = LocalEngine().profiles(tmp_path / "t.parquet", SPEC, bins, resume=tmp_path / "log")
    assert packed(found) == packed(whole(table, bins))
    assert {part for part, _ in read} <= {5, 6, 7, 8}


def test_the_progress_of_another_pass_is_refused(tmp_path: Path) -> None:
    table = table_of(1)
    path, log = tmp_path / "t.parquet", tmp_path / "log"
    pq.write_table(table, path, row_group_size=10)
    bins = layout_of(table)
    list(LocalEngine().profiles(path, SPEC, bins, resume=log))
    with pytest.raises(RecordError, match="other rows or other bins"):
        list(LocalEngine().profiles(path, SPEC, layout_of(changed(n=range(90))), resume=log))
    pq.write_table(table.slice(1), path, row_group_size=10)
    with pytest.raises(RecordError, match="remove it"):
        list(LocalEngine().profiles(path, SPEC, bins, resume=log))
    log.write_bytes(b"something else entirely" * 9)
    with pytest.raises(RecordError, match="remove it"):
        list(LocalEngine().profiles(path, SPEC, bins, resume=log))
    with pytest.raises(StoreError, match="choose another"):
        list(LocalEngine().profiles(path, SPEC, bins, resume=tmp_path / "none" / "log"))


def test_progress_that_cannot_be_written_says_where_and_the_pass_goes_on_from_it(tmp_path: Path) -> None:
    table = table_of(3)
    source, log, bins = tmp_path / "t.parquet", tmp_path / "log", layout_of(table)
    pq.write_table(table, source, row_group_size=30)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (500, hard))
    try:
        with pytest.raises(StoreError, match="cannot keep the progress of this pass"):
            list(LocalEngine().profiles(source, SPEC, bins, resume=log))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert packed(LocalEngine().profiles(source, SPEC, bins, resume=log)) == packed(whole(table, bins))


def test_progress_counts_all_rows_that_are_read(tmp_path: Path) -> None:
    table = table_of(1)
    pq.write_table(table, tmp_path / "t.parquet", row_group_size=40)
    calls: list[tuple[int, int]] = []
    list(
        LocalEngine().profiles(
            tmp_path / "t.parquet", SPEC, layout_of(table), progress=lambda *call: calls.append(call)
        )
    )
    assert calls == [(40, 90), (80, 90), (90, 90)]


def changed(**columns: Any) -> pa.Table:
    table = table_of(1)
    for name, values in columns.items():
        table = table.set_column(table.column_names.index(name), name, pa.array(values))
    return table


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (changed(at=[None] * 90), "there is no time"),
        (changed(at=range(90)), "write window = 50"),
        (changed(score=[2.0] * 90), "probability between 0 and 1"),
        (changed(x=["a"] * 90), "cannot read 'a' as a number"),
    ],
)
def test_rows_that_do_not_fit_are_refused_as_everywhere(table: pa.Table, message: str) -> None:
    with pytest.raises(ColumnValueError, match=message):
        list(LocalEngine().profiles(table, SPEC, layout_of(table_of(1))))


def test_a_layout_of_another_model_is_refused() -> None:
    columns = ColumnsSection(time="at", score="score", features=("x",))
    other = ModelSpec(SPEC.model, columns, trainer=SPEC.trainer)
    with pytest.raises(SpecError, match="'empty'"):
        list(LocalEngine().profiles(table_of(1), other, layout_of(table_of(1))))


def test_a_category_of_numbers_is_the_same_text_whatever_stands_beside_it() -> None:
    columns = ColumnsSection(time="at", label="label", score="score", features=("x",), categorical=("x",))
    spec = ModelSpec(SPEC.model, columns, trainer=SPEC.trainer)
    table = changed(x=np.repeat([1.0, 2.5, 1e20], 30))
    bins = layout_of(table, spec)
    found: Profile | None = None
    for start in range(0, 90, 5):
        for _, profile in LocalEngine().profiles(table.slice(start, 5), spec, bins):
            found = profile if found is None else found.merged(profile)
    assert found is not None
    assert found.features["x"].counts.tolist() == [30, 30, 30, 0, 0]

"""What a comparison reads is the same from files as from memory, and files need not fit in memory."""

from __future__ import annotations

import json
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pitstop.checks import comparison, excerpts
from pitstop.checks.comparison import check
from pitstop.checks.excerpts import excerpt_of
from pitstop.records.facts import sample
from pitstop.testing.engine_laws import example


def written(folder: Path, name: str, table: pa.Table, cuts: list[int], group: int) -> Path:
    target = folder / name
    target.mkdir()
    places = [0, *sorted(set(cuts)), table.num_rows]
    for number, (first, end) in enumerate(pairwise(places)):
        pq.write_table(table.slice(first, end - first), target / f"{number}.parquet", row_group_size=group)
    return target


@settings(max_examples=12, deadline=None)
@given(
    st.integers(0, 50),
    st.lists(st.integers(1, 290), max_size=3),
    st.sampled_from([7, 60, 1000]),
    st.sampled_from([1, 200, 1 << 20]),
    st.sampled_from([1, 3]),
)
def test_files_are_compared_as_the_tables_they_hold(
    tmp_path_factory: pytest.TempPathFactory, seed: int, cuts: list[int], group: int, values: int, threads: int
) -> None:
    folder = tmp_path_factory.mktemp("check")
    before, after = example(seed=seed, rows=300), example(seed=seed + 1, rows=300)
    after = after.set_column(after.column_names.index("n"), "n", pa.array(np.arange(300) % 5))
    expected = check(before, after)
    sides = [written(folder, "before", before, cuts, group), written(folder, "after", after, [], group)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(excerpts, "VALUES", values)
        patch.setattr(comparison, "VALUES", max(300, values))
        found = check(*(excerpt_of(side, threads=threads) for side in sides))
    assert found.to_json() == expected.to_json()
    assert found.distributions == expected.distributions
    assert expected.findings


@pytest.mark.parametrize("sizes", [[1], [10], [10, 200], [77, 300, 1000]])
def test_samples_are_evenly_spaced_rows_read_in_one_pass(tmp_path: Path, sizes: list[int]) -> None:
    table = example(rows=300)
    names = ["kind", "at", "x"]
    excerpt = excerpt_of(written(tmp_path, "t", table, [13], 40))
    for size, found in zip(sizes, excerpt.samples(names, sizes), strict=True):
        expected = sample(table.select(names), size)
        assert repr(found.to_pydict()) == repr(expected.to_pydict())


def test_an_id_must_be_unique_in_the_whole_table_and_not_only_in_the_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(comparison, "GUESS_ROWS", 50)
    ids = [f"order {row}" for row in range(400)]
    table = pa.table({"id": ids, "x": np.random.default_rng(0).normal(size=400)})
    twice = table.set_column(0, "id", pa.array([*ids[:-1], ids[1]]))
    told = [(item.column, item.kind) for item in check(table, twice)]
    assert told == [("id", "duplicates")], "the id of the reference is one, and the current table repeats it"
    assert [item.kind for item in check(twice, twice)] == []


def test_what_progress_raises_ends_the_comparison(tmp_path: Path) -> None:
    path = written(tmp_path, "t", example(rows=300), [], 30)
    calls: list[tuple[int, int]] = []

    def progress(done: int, total: int) -> None:
        calls.append((done, total))
        if done == 90:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        check(excerpt_of(path, progress=progress), excerpt_of(path))
    assert calls == [(30, 300), (60, 300), (90, 300)]


MEASURED = """
import json, resource, sys
from pitstop.checks.comparison import check
found = check(sys.argv[1], sys.argv[1])
print(json.dumps([len(found), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024]))
"""


@pytest.mark.slow
def test_two_tables_of_a_gigabyte_are_compared_in_half_of_one(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    group: dict[str, Any] = {f"x{at}": draw.normal(size=100_000) for at in range(10)}
    with pq.ParquetWriter(tmp_path / "t.parquet", pa.table(group).schema, use_dictionary=False) as writer:
        for turn in range(120):
            writer.write_table(pa.table({name: np.roll(column, turn * 37) for name, column in group.items()}))
    command = [sys.executable, "-c", MEASURED, str(tmp_path / "t.parquet")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    findings, peak = json.loads(done.stdout)
    assert findings == 0
    assert peak < 600e6, f"{peak / 1e6:.0f} MB for twice 960 MB of values"

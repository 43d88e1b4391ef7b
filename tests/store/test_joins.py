"""Join records are found as in a dictionary, however they were grouped, merged and taken out; damage is named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pitstop.errors import StoreError
from pitstop.store import joins
from pitstop.store.home import Home
from pitstop.store.joins import JoinIndex

RECORD = np.dtype([("at", "<i8"), ("value", "<i8")])
ASKED = np.arange(12, dtype=np.uint64) << np.uint64(60)

groups = st.lists(st.tuples(st.integers(0, 11), st.integers(0, 99)), min_size=1, max_size=8)
removals = st.sets(st.integers(0, 11), min_size=1, max_size=3)
steps = st.lists(st.one_of(groups, removals), min_size=1, max_size=10)


def index(home: Home, store: Any) -> JoinIndex:
    return JoinIndex(store, home.content_path, "m", "predictions", RECORD)


def add(found: JoinIndex, group: dict[int, int], at: int) -> None:
    places = sorted(group)
    records = np.array([(at, group[place]) for place in places], dtype=RECORD)
    found.add(ASKED[places], records)


@settings(max_examples=30, deadline=None)
@given(steps)
def test_the_newest_record_of_each_id_is_found_whatever_was_merged_and_taken_out(
    tmp_path_factory: pytest.TempPathFactory, done: list[Any]
) -> None:
    with pytest.MonkeyPatch.context() as patched, Home.open(tmp_path_factory.mktemp("home")) as home:
        # So that few records are of several sizes and buckets.
        patched.setattr(joins, "SMALLEST", 2)
        patched.setattr(joins, "BUCKET", 4)
        expected: dict[int, tuple[int, int]] = {}
        for at, step in enumerate(done):
            with home.transaction() as store:
                found = index(home, store)
                if isinstance(step, set):
                    found.remove(ASKED[sorted(step)])
                    expected = {place: record for place, record in expected.items() if place not in step}
                else:
                    group = dict(step)
                    add(found, group, at)
                    found.save()
                    expected |= {place: (at, value) for place, value in group.items()}
            with home.transaction() as store:
                hit, records = index(home, store).find(ASKED)
                parts = [pair for part in index(home, store).parts() for pair in zip(*part, strict=True)]
            assert {place: tuple(records[place].tolist()) for place in np.flatnonzero(hit)} == expected
            assert {int(name) >> 60: tuple(record.tolist()) for name, record in parts} == expected
            assert len(parts) == len(expected)


def test_runs_that_are_all_older_are_dropped_with_their_files(tmp_path: Path) -> None:
    with Home.open(tmp_path) as home:
        for at in (1, 2, 3):
            with home.transaction() as store:
                found = index(home, store)
                add(found, {at: at}, at)
                found.save()
        with home.transaction() as store:
            assert index(home, store).drop_before(3) == 2
        with home.transaction() as store:
            assert index(home, store).find(ASKED)[0].tolist() == [place == 3 for place in range(12)]
    assert len(list((tmp_path / "joins").iterdir())) == 2


@pytest.mark.parametrize("suffix", ["hashes", "values"])
def test_a_file_that_was_cut_short_is_named(tmp_path: Path, suffix: str) -> None:
    with Home.open(tmp_path) as home:
        with home.transaction() as store:
            found = index(home, store)
            add(found, {1: 1, 2: 2}, 5)
            found.save()
        (path,) = (tmp_path / "joins").glob(f"*.{suffix}")
        path.write_bytes(path.read_bytes()[:-8])
        with home.transaction() as store, pytest.raises(StoreError, match=f"{suffix} has .* damaged"):
            index(home, store).find(ASKED)

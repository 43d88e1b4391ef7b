"""Samples of hashes: a commutative monoid, exact up to the limit, and as wrong beyond it as they say."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from pitstop.errors import StatisticError
from pitstop.records.row_words import finished
from pitstop.statistics.distinct import Distinct, DistinctRows

KEYS = st.lists(st.integers(0, 60), max_size=80)


def hashes(keys: list[int] | NDArray[np.int64]) -> NDArray[np.uint64]:
    return finished(np.asarray(keys, dtype=np.uint64) + np.uint64(1))


def of(keys: list[int] | NDArray[np.int64], limit: int) -> Distinct:
    return Distinct.empty(limit).updated(hashes(keys))


def state(found: Distinct) -> tuple[object, ...]:
    return (found.limit, found.rows, found.level, found.hashes.tolist(), found.counts.tolist())


@settings(max_examples=60)
@given(KEYS, KEYS, KEYS, st.sampled_from([1, 4, 16, 1000]))
def test_pieces_add_up_to_the_whole_in_any_order_and_grouping(a: list[int], b: list[int], c: list[int], k: int) -> None:
    whole = state(of(a + b + c, k))
    x, y, z = of(a, k), of(b, k), of(c, k)
    assert state(x.merged(y).merged(z)) == whole
    assert state(z.merged(x.merged(y))) == whole
    assert state(Distinct.empty(k).merged(x)) == state(x)
    rows = DistinctRows(k)
    for piece in (c, a, b):
        rows.add(hashes(piece))
    assert state(rows.total) == whole
    assert state(Distinct.unpack(of(a + b + c, k).pack())) == whole


@given(KEYS)
def test_up_to_the_limit_it_is_exact(keys: list[int]) -> None:
    found = of(keys, 61)
    assert found.exact
    assert (found.rows, found.estimate, found.repeats) == (len(keys), len(set(keys)), len(keys) - len(set(keys)))


@pytest.mark.parametrize(
    ("name", "keys"),
    [
        ("all different", np.arange(300_000)),
        ("one in fifty twice", np.concatenate([np.arange(300_000), np.arange(6_000)])),
        ("a third is one row", np.concatenate([np.arange(200_000), np.full(100_000, 7)])),
        ("a third is another row", np.concatenate([np.arange(200_000), np.full(100_000, 11)])),
        ("each five times", np.arange(300_000) % 60_000),
    ],
)
def test_beyond_the_limit_the_error_is_within_four_standard_errors(name: str, keys: NDArray[np.int64]) -> None:
    limit = 1 << 12
    errors = []
    for seed in range(20):
        found = of(keys + (seed << 32), limit)
        distinct = np.unique(keys).size
        assert limit / 2 * 0.8 < found.hashes.size <= limit
        errors.append((found.estimate - distinct) / distinct)
        assert abs(found.repeats - (keys.size - distinct)) < 4 * 1.42 / limit**0.5 * distinct, name
    assert np.sqrt(np.mean(np.square(errors))) < 1.42 / limit**0.5 * 1.3
    if name == "all different":
        assert found.repeats == 0


def test_other_limits_and_cut_bytes_are_refused() -> None:
    with pytest.raises(StatisticError, match="use one limit"):
        of([1], 4).merged(of([1], 8))
    packed = of([1, 2], 4).pack()
    for cut in (0, 10, len(packed) - 1):
        with pytest.raises(StatisticError, match="count the rows again"):
            Distinct.unpack(packed[:cut])
    with pytest.raises(StatisticError, match="count the rows again"):
        Distinct.unpack(packed + b"x")

"""Packed counts: everything comes back, nothing else is accepted."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pitstop.errors import StatisticError
from pitstop.statistics.packing import pack_counts, unpack_counts

COUNTS = st.lists(st.one_of(st.just(0), st.integers(-(2**63), 2**63 - 1), st.integers(-300, 300)), max_size=60)


@settings(deadline=None)
@given(COUNTS)
def test_every_vector_comes_back(counts: list[int]) -> None:
    vector = np.array(counts, dtype=np.int64)
    assert unpack_counts(pack_counts(vector), vector.size).tolist() == counts


@settings(deadline=None)
@given(COUNTS, st.integers(0, 400))
def test_what_is_cut_off_or_too_long_is_refused(counts: list[int], keep: int) -> None:
    data = pack_counts(np.array(counts, dtype=np.int64))
    if keep < len(data):
        with pytest.raises(StatisticError, match="damaged"):
            unpack_counts(data[:keep], len(counts))
    with pytest.raises(StatisticError, match="damaged"):
        unpack_counts(data + b"\1", len(counts))


def test_the_bytes_are_these() -> None:
    # Entries 0 and 2: 1 as 2, -2 as 3 (one byte each); entry 3: 200 as 400, two bytes, low one first.
    assert pack_counts(np.array([1, 0, -2, 200])) == bytes([0b1101, 1, 1, 2, 2, 3, 0x90, 0x01])


def test_zeros_cost_a_bit() -> None:
    assert len(pack_counts(np.zeros(8000, dtype=np.int64))) == 1000

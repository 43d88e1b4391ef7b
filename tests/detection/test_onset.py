import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pitstop.detection.onset import Onset, estimate
from pitstop.detection.streams import Direction, Ints


def onset(k: Ints, n: Ints, direction: Direction = "up", expected: float = 0.2) -> Onset:
    t = len(k)
    return estimate(
        np.arange(100, 100 + t),
        k,
        n,
        expected=np.full(t, expected),
        inflated=np.ones(t),
        reference_rows=9000.0,
        direction=direction,
    )


@pytest.mark.parametrize("direction", ["up", "down"])
def test_a_clear_change_is_dated_and_sized(direction: Direction) -> None:
    rate = 0.3 if direction == "up" else 0.1
    rng = np.random.default_rng(4)
    k = np.concatenate([rng.binomial(200, 0.2, 30), rng.binomial(200, rate, 10)])
    found = onset(k, np.full(40, 200), direction)
    assert abs(found.since - 130) <= 1
    assert found.observed == pytest.approx(rate, abs=0.03)
    assert found.low < rate - 0.2 < found.high
    assert (found.low > 0) == (direction == "up")


def test_no_change_in_the_direction_gives_the_last_window() -> None:
    found = onset(np.array([20, 20]), np.array([100, 100]), "down")
    assert found.since == 101


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 50), st.integers(50, 60)), min_size=1, max_size=20), st.floats(0, 1))
def test_the_interval_encloses_the_difference(counts: list[tuple[int, int]], expected: float) -> None:
    k, n = np.array(counts, dtype=np.int64).T
    found = onset(k, n, "up", expected)
    assert found.low <= found.observed - found.expected <= found.high
    assert 100 <= found.since < 100 + len(counts)


@pytest.mark.simulation
def test_the_interval_covers_where_the_start_is_known() -> None:
    rng = np.random.default_rng(8)
    inside = 0
    for _ in range(400):
        reference = rng.binomial(9000, 0.2) / 9000
        found = onset(rng.binomial(np.array([300]), 0.35), np.array([300]), expected=reference)
        inside += found.low <= 0.15 <= found.high
    assert inside >= 0.93 * 400

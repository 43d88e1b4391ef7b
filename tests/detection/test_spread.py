"""A spread that collapses pages in its first window, and healthy spreads keep their share."""

import numpy as np
import pytest

from pitstop.detection.spread import FEWEST, NOTHING, Spreads
from pitstop.detection.streams import Ints, Stream
from pitstop.errors import BaselineError

M = 90
LEVEL = 1e-5


def streams(count: int) -> tuple[Stream, ...]:
    return tuple(Stream(f"spread:{i}", "quality", str(i), (f"spread of {i}",)) for i in range(count))


def variances(rng: np.random.Generator, shape: tuple[int, int], rows: int, wander: float) -> Ints:
    """Return variances of normal values whose standard deviation differs between windows by `wander` in logarithms."""
    spread = np.exp(2 * wander * rng.standard_normal(shape)) * rng.chisquare(rows - 1, shape) / (rows - 1)
    return np.round(spread * 1e7).astype(np.int64)


def test_a_stuck_value_and_a_thousandth_page_at_once_and_only_once() -> None:
    rng = np.random.default_rng(0)
    reference = variances(rng, (M, 2), 24, 0.3)
    watched = Spreads.fit(streams(2), reference, np.full(2, LEVEL))
    watched, quiet = watched.step(100, variances(rng, (1, 2), 24, 0.3)[0])
    assert quiet == ()
    watched, (stuck, thousandth) = watched.step(101, np.array([0, 10]))
    assert (stuck.window, stuck.since, stuck.direction, stuck.fast, stuck.expected) == (101, 101, "down", True, 1.0)
    assert stuck.observed < 0.001
    assert thousandth.observed == pytest.approx(0.001, rel=0.5)
    assert stuck.low < stuck.observed - 1 < stuck.high < -0.9
    assert watched.step(102, np.array([0, 10]))[1] == ()


def test_healthy_spreads_keep_their_share() -> None:
    """The tail alone is two to three times too light where rows are few; the guards leave a fiftieth of it."""
    rng = np.random.default_rng(1)
    for rows, wander in ((8, 0.0), (24, 0.5), (400, 1.0)):
        many = variances(rng, (M + 100, 200), rows, wander)
        watched = Spreads.fit(streams(200), many[:M], np.full(200, 0.01))
        score = (np.log1p(many[M:]) - watched.usual) / watched.scale
        assert np.mean(score < -2.37) <= 0.03  # 1%: the quantile of Student's t with 89 degrees of freedom
        pages = 0
        for window in range(100):
            watched, found = watched.step(window, many[M + window])
            pages += len(found)
        assert pages <= 0.02 * 0.01 * 100 * 200


def test_what_was_constant_in_health_is_never_stuck() -> None:
    rng = np.random.default_rng(2)
    reference = variances(rng, (M, 1), 24, 0.3)
    reference[::9] = 0
    watched = Spreads.fit(streams(1), reference, np.full(1, LEVEL))
    assert watched.step(100, np.array([0]))[1] == ()


def test_windows_without_a_variance_and_short_references_say_nothing() -> None:
    rng = np.random.default_rng(3)
    reference = variances(rng, (M, 2), 24, 0.3)
    reference[FEWEST - 1 :, 1] = NOTHING
    watched = Spreads.fit(streams(2), reference, np.full(2, LEVEL))
    after, found = watched.step(100, np.array([NOTHING, 0]))
    assert found == ()
    assert np.array_equal(after.worst, watched.worst)
    assert len(after.step(101, np.array([0, 0]))[1]) == 1


def test_the_state_comes_back_and_an_older_one_has_no_spreads() -> None:
    rng = np.random.default_rng(4)
    watched = Spreads.fit(streams(3), variances(rng, (M, 3), 24, 0.3), np.full(3, LEVEL))
    again = Spreads.from_state(streams(3), watched.to_state())
    assert all(np.array_equal(getattr(again, name), array) for name, array in watched.to_state().items())
    assert Spreads.from_state((), {}).streams == ()
    with pytest.raises(BaselineError, match="spreads of 2 columns"):
        Spreads.from_state(streams(2), watched.to_state())
    with pytest.raises(BaselineError, match="expected"):
        Spreads.fit(streams(2), np.zeros((M, 3), dtype=np.int64), np.full(2, LEVEL))
    with pytest.raises(BaselineError, match="variances"):
        watched.step(1, np.zeros(2, dtype=np.int64))

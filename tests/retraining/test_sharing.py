"""Several challengers that are no better: together they are called better with probability at most alpha."""

from __future__ import annotations

import numpy as np
import pytest

from pitstop.detection.clopper_pearson import lower_bound
from pitstop.errors import StatisticError
from pitstop.retraining.comparison import PairedTest
from pitstop.retraining.segments import SegmentTests
from pitstop.retraining.sharing import share_of

ALPHA = 0.05
AMONG = 8
RUNS = 250
ROWS = 1200


def called_better(alpha: float, seed: int, *, alike: bool) -> int:
    """Return in how many runs one of the challengers, none of which is better, is called so at any of the rows.

    `alike`: they decide on the same rows alike, as refits of one recipe nearly do; else each on its own.
    """
    draw = np.random.default_rng(seed)
    found = 0
    for _ in range(RUNS):
        gaps = draw.choice([-1.0, 0.0, 1.0], size=(AMONG, ROWS), p=[0.1, 0.8, 0.1])
        tests = [PairedTest(alpha, 1.0).updated(gaps[0] if alike else gap) for gap in gaps[: 1 if alike else AMONG]]
        found += any(test.verdict == "better" for test in tests)
    return found


@pytest.mark.simulation
@pytest.mark.parametrize("alike", [False, True])
def test_none_is_called_better_more_often_than_alpha(alike: bool) -> None:
    found = called_better(share_of(ALPHA, AMONG), 1, alike=alike)
    assert lower_bound(np.array([float(found)]), np.array([float(RUNS)]), 0.01)[0] <= ALPHA


@pytest.mark.simulation
def test_the_bound_finds_challengers_that_do_not_share() -> None:
    """With all of alpha for each the bound above is broken: else it would show nothing."""
    found = called_better(ALPHA, 1, alike=False)
    assert lower_bound(np.array([float(found)]), np.array([float(RUNS)]), 0.01)[0] > ALPHA


@pytest.mark.parametrize("among", [1, 2, 7])
def test_the_shares_add_up_and_what_is_proven_at_one_has_so_much_wealth(among: int) -> None:
    share = share_of(ALPHA, among)
    assert share * among == pytest.approx(ALPHA)
    test = PairedTest(share, 1.0)
    rows = 0
    while test.verdict == "undecided":
        test = test.updated(np.array([1.0]))
        rows += 1
    assert test.log_evidence >= np.log(among / ALPHA)
    assert PairedTest(share, 1.0).updated(np.ones(rows - 1)).log_evidence < np.log(among / ALPHA)


def test_segments_share_what_their_challenger_has() -> None:
    opened = SegmentTests.opened(share_of(ALPHA, 2), 0.1, [("kind", "a"), ("kind", "b"), ("kind", "c")], 0)
    assert [item.test.alpha for item in opened.tests] == pytest.approx([ALPHA / 6] * 3)


def test_no_challenger_has_no_share() -> None:
    with pytest.raises(StatisticError, match="got 0 challengers"):
        share_of(ALPHA, 0)

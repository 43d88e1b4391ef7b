"""By segment: all verdicts together are seldom wrong, a model that harms one is found out, and nothing is forgotten."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest
from numpy.typing import NDArray

from pitstop.loop.models import Predictions
from pitstop.loop.rowlog import RowLog
from pitstop.loop.segmenting import bet_on_segments
from pitstop.records.spec import ModelSpec
from pitstop.retraining.comparison import PairedTest
from pitstop.retraining.propensities import Ends
from pitstop.retraining.segments import SegmentTests

ALPHA = 0.1
NAMES = tuple(("region", f"r{number}") for number in range(8))
Floats = NDArray[np.float64]


def signs(random: np.random.Generator, rows: int, disagree: float, gain: float) -> Floats:
    """Differences of 0-1 losses: the models disagree on a share of rows, the challenger gains `gain` a row."""
    uniform = random.random(rows)
    return np.where(uniform < (disagree + gain) / 2, 1.0, np.where(uniform < disagree, -1.0, 0.0))


def after(tests: SegmentTests, batches: list[list[Floats]]) -> SegmentTests:
    """Return tests after batches of differences for each segment."""
    for batch in batches:
        moved = tuple(item.updated(values, 1.0) for item, values in zip(tests.tests, batch, strict=True))
        tests = SegmentTests(tests.alpha, tests.margin, moved, tests.left_out)
    return tests


@pytest.mark.parametrize(("gain", "wrong"), [(-0.05, "no worse"), (-0.04999, "worse")])
def test_the_probability_of_any_wrong_verdict_is_shared(gain: float, wrong: str) -> None:
    """At the edge of the margin in every segment: in at most a share alpha of runs is any of them called `wrong`."""
    random, runs = np.random.default_rng(4), 150
    opened = SegmentTests.opened(ALPHA, 0.05, NAMES)
    assert sum(item.test.alpha for item in opened.tests) == pytest.approx(ALPHA)
    bad = 0
    for _ in range(runs):
        found = after(opened, [[signs(random, 150, 0.3, gain) for _ in NAMES] for _ in range(4)])
        bad += any(item.verdict == wrong for item in found.tests)
    # Clopper-Pearson's lower 99% limit of so many in 150 runs would lie above alpha.
    assert bad <= 24


def test_a_model_that_is_better_over_all_and_harms_one_segment_is_found_out() -> None:
    random = np.random.default_rng(5)
    gains = [0.15] * 7 + [-0.2]
    batches = [[signs(random, 200, 0.35, gain) for gain in gains] for _ in range(6)]
    whole = PairedTest(ALPHA, 1.0).updated(np.concatenate([values for batch in batches for values in batch]))
    found = after(SegmentTests.opened(ALPHA, 0.02, NAMES), batches)
    assert whole.verdict == "better"
    assert [item.name for item in found.worse] == ["region = r7"]
    assert not found.undecided
    # The worst stands first, and its interval lies below the margin.
    worst = found.standings()[0]
    assert (worst.value, worst.verdict, worst.needed) == ("r7", "worse", 0)
    assert worst.high is not None
    assert worst.high <= -0.02


def test_two_models_that_never_differ_are_no_worse_anywhere() -> None:
    found = after(SegmentTests.opened(ALPHA, 0.05, NAMES[:2]), [[np.zeros(200), np.zeros(0)]])
    assert [item.verdict for item in found.tests] == ["no worse", "undecided"]
    assert found.tests[0].test.verdict == "undecided"
    assert found.standings()[0].gain is None
    assert found.tests[0].test.log_evidence >= -math.log(ALPHA / 2)


def test_a_state_round_trip_continues_identically() -> None:
    random = np.random.default_rng(6)
    batch = [signs(random, 50, 0.3, 0.1) for _ in NAMES]
    found = after(SegmentTests.opened(ALPHA, 0.05, NAMES, left_out=3), [batch])
    again = SegmentTests.from_state(found.to_state())
    assert again == found
    assert after(again, [batch]) == after(found, [batch])
    assert again.to_json()["left_out"] == 3
    assert SegmentTests.opened(ALPHA, 0.05, ()).to_json()["standings"] == []


def test_rows_on_which_models_agree_prove_little_of_a_segment() -> None:
    """Where the decision hides labels, rows decided alike have no bound of their own: the bound of all rows stands in.

    Half of the windows have no row of the segment that could differ, and the challenger is at the edge of the margin.
    """
    random, wrong = np.random.default_rng(7), 0
    column = cast("RowLog", SimpleNamespace(told=lambda _column, rows: (["r0", "r1"], rows % 2)))
    nobody = Predictions(np.zeros(0), np.zeros(0, dtype=object))
    rows = np.arange(40)
    for _ in range(60):
        tests = SegmentTests.opened(ALPHA, 0.05, NAMES[:1])
        for _ in range(40):
            gap = np.where(rows % 2 == 1, signs(random, 40, 0.3, 0.0), 0.0)
            if random.random() < 0.5:
                gap = np.where(rows % 2 == 0, signs(random, 40, 0.3, -0.1), gap)
            ends = Ends(gap, gap, np.where(gap == 0.0, 0.0, 1.0))
            tests = bet_on_segments(cast("ModelSpec", None), column, tests, rows, nobody, nobody, ends)
        wrong += tests.tests[0].verdict == "no worse"
    # Clopper-Pearson's lower 99% limit of so many in 60 runs would lie above alpha.
    assert wrong <= 12

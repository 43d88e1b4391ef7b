"""Where the decision hides the outcome, logged chances put the comparison right; without them it is refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from pitstop.detection.clopper_pearson import lower_bound
from pitstop.errors import ColumnValueError, OverlapError
from pitstop.retraining.comparison import PairedTest
from pitstop.retraining.outcome_model import OutcomeModel
from pitstop.retraining.propensities import LEAST_CHANCE, Cohort, bet, check_overlap, doubly_robust, ends_of

Floats = NDArray[np.float64]

COHORT, COHORTS, ALPHA = 250, 16, 0.05


def lenders(random: np.random.Generator, gain: float, explored: float = 0.2) -> tuple[Cohort, Floats]:
    """A day of loans: the champion refuses below .5, the challenger grants most of what lies above .3.

    Who is refused shows no outcome, but where the models differ a share is granted at random, more of those with a
    high score, who pay back more often. On average over those rows the challenger gains 2 * `gain` a row. Returns the
    cohort and the differences on labelled rows, on which a naive comparison would rest.
    """
    score = random.random(COHORT)
    granted = score > 0.5
    wanted = (score > 0.3) & ((score > 0.5) | (random.random(COHORT) < 0.8))
    apart = granted != wanted
    pays = random.random(COHORT) < np.where(granted, 0.9, 0.5 + gain + np.where(score > 0.4, 0.2, -0.2))
    chance = np.where(granted, 1.0, np.where(apart, explored * np.where(score > 0.4, 1.8, 0.2), 0.0))
    shown = random.random(COHORT) < chance
    difference = np.where(apart, np.where(pays, 1.0, -1.0), 0.0)
    features = np.column_stack([np.ones(COHORT), granted, score])
    cohort = Cohort(np.where(shown, difference, np.nan), chance, apart.astype(np.float64), features)
    return cohort, difference[shown]


def compared(random: np.random.Generator, gain: float, explored: float = 0.2) -> tuple[PairedTest, PairedTest]:
    """Return the doubly robust test after all cohorts, and the naive one on labelled rows alone."""
    test, naive, model = PairedTest(ALPHA, 1e-9), PairedTest(ALPHA, 1.0), OutcomeModel(3)
    for _ in range(COHORTS):
        cohort, labelled = lenders(random, gain, explored)
        test, model = bet(test, model, cohort)
        naive = naive.updated(labelled)
    return test, naive


def test_it_is_right_on_average_where_labelled_rows_are_wrong() -> None:
    """The models are equally good; explored rows, chosen by their score, say that the challenger is better."""
    random = np.random.default_rng(5)
    runs = [compared(random, 0.0) for _ in range(150)]
    robust = np.array([run[0].mean for run in runs])
    assert abs(robust.mean()) < 3.5 * robust.std() / np.sqrt(len(runs))
    assert [run[0].verdict for run in runs].count("better") <= 15
    assert [run[1].verdict for run in runs].count("better") >= 75


def test_the_outcome_model_saves_labels() -> None:
    random = np.random.default_rng(6)
    model, plain, guessed = OutcomeModel(3), [], []
    for place in range(400):
        cohort, _ = lenders(random, 0.65)
        if place >= 20:
            plain.append(doubly_robust(cohort, np.zeros(COHORT)).low.mean())
            guessed.append(ends_of(model, cohort).low.mean())
        _, model = bet(PairedTest(ALPHA, 1e-9), model, cohort)
    assert np.std(guessed) < 0.85 * np.std(plain)
    assert np.mean(guessed) == pytest.approx(np.mean(plain), abs=0.01)


def false_verdicts(runs: int, explored: float, seed: int) -> list[int]:
    """Return how many of null runs, looked at after every row, called the challenger better, and how many worse."""
    random = np.random.default_rng(seed)
    verdicts = [compared(random, 0.0, explored)[0].verdict for _ in range(runs)]
    return [verdicts.count("better"), verdicts.count("worse")]


@pytest.mark.parametrize("explored", [0.2, 0.004])
def test_false_promotions_stay_within_alpha(explored: float) -> None:
    """Also where nearly all weights are cut off."""
    for found in false_verdicts(200, explored, 7):
        assert lower_bound(np.array([float(found)]), np.array([200.0]), 0.01)[0] <= ALPHA


@pytest.mark.simulation
@pytest.mark.parametrize("explored", [0.2, 0.02])
def test_false_promotions_stay_within_alpha_over_many_runs(explored: float) -> None:
    for found in false_verdicts(1500, explored, 8):
        assert lower_bound(np.array([float(found)]), np.array([1500.0]), 0.01)[0] <= ALPHA


def test_a_better_challenger_is_proven() -> None:
    random = np.random.default_rng(9)
    verdicts = [compared(random, 0.25, 0.5)[0].verdict for _ in range(40)]
    assert verdicts.count("better") >= 32
    assert "worse" not in verdicts


@st.composite
def cohorts(draw: st.DrawFn) -> Cohort:
    rows = draw(st.integers(1, 12))
    bounds = np.array(draw(st.lists(st.sampled_from([0.0, 0.5, 3.0]), min_size=rows, max_size=rows)))
    chances = np.array(draw(st.lists(st.sampled_from([0.001, 0.009, 0.05, 0.6, 1.0]), min_size=rows, max_size=rows)))
    shares = np.array(draw(st.lists(st.floats(-1.0, 1.0), min_size=rows, max_size=rows)))
    shown = np.array(draw(st.lists(st.booleans(), min_size=rows, max_size=rows)))
    return Cohort(np.where(shown, shares * bounds, np.nan), chances, bounds, np.ones((rows, 1)))


@given(cohorts(), st.floats(-4.0, 4.0))
def test_ends_are_ordered_within_their_bound_and_without_bias(cohort: Cohort, guess: float) -> None:
    """The mean over both outcomes of revealing is known exactly: not above the difference below, not below it above."""
    expected = np.full(len(cohort.bounds), guess)
    truth = np.nan_to_num(cohort.differences)
    both = [
        doubly_robust(replace(cohort, differences=np.where(shown, truth, np.nan)), expected) for shown in (True, False)
    ]
    for ends in both:
        assert (ends.low <= ends.high + 1e-12).all()
        assert (np.maximum(np.abs(ends.low), np.abs(ends.high)) <= ends.bounds + 1e-9).all()
    low, high = (
        cohort.chances * getattr(both[0], end) + (1.0 - cohort.chances) * getattr(both[1], end)
        for end in ("low", "high")
    )
    assert (low <= truth + 1e-9).all()
    assert (high >= truth - 1e-9).all()
    in_reach = cohort.chances >= LEAST_CHANCE
    assert np.allclose(low[in_reach], truth[in_reach], atol=1e-9)
    assert np.allclose(high[in_reach], truth[in_reach], atol=1e-9)
    assert (both[0].bounds == both[1].bounds).all()


@given(st.integers(0, 5), st.integers(0, 1000))
def test_what_comes_later_changes_nothing(seen: int, seed: int) -> None:
    """The ends of a cohort are those by the cohorts before it, and a guess depends on no label of its own."""
    random = np.random.default_rng(seed)
    model = OutcomeModel(3)
    for _ in range(seen):
        _, model = bet(PairedTest(ALPHA, 1e-9), model, lenders(random, 0.1)[0])
    cohort, _ = lenders(random, 0.1)
    half = COHORT // 2
    flipped = cohort.differences.copy()
    flipped[half:] *= -1.0
    one, two = ends_of(model, cohort), ends_of(model, replace(cohort, differences=flipped))
    assert (one.low[:half] == two.low[:half]).all()
    assert one.scale == two.scale
    restored = OutcomeModel.from_state(model.to_state())
    assert (restored.predicted(cohort.features) == model.predicted(cohort.features)).all()


def test_a_test_with_ends_continues_from_its_state() -> None:
    random = np.random.default_rng(11)
    test, _ = compared(random, 0.1, 0.004)
    assert test.sums_upper is not None
    restored = PairedTest.from_state(test.to_state())
    assert restored == test
    low, high = test.interval
    assert low < test.mean < high


def test_without_overlap_it_is_refused() -> None:
    differing = np.array([True] * 20 + [False] * 80)
    check_overlap(np.where(differing, 0.05, 0.0), differing)
    with pytest.raises(OverlapError, match="20 rows differently, and 3 of them had") as refusal:
        check_overlap(np.where(np.arange(100) < 3, 0.0, 0.05), differing)
    assert "at random and log the chance" in str(refusal.value)


def test_a_log_that_contradicts_itself_is_refused() -> None:
    one = np.ones(1)
    with pytest.raises(ColumnValueError, match=r"row 1: got 1.2; expected a chance from 0 to 1"):
        Cohort(one, one * 1.2, one, one[:, None])
    with pytest.raises(ColumnValueError, match="but its label was revealed"):
        Cohort(one, one * 0.0, one, one[:, None])
    with pytest.raises(ColumnValueError, match="expected a difference within its bound"):
        Cohort(one * 2.0, one, one, one[:, None])
    with pytest.raises(ColumnValueError, match="expected one length"):
        Cohort(one, np.ones(2), one, one[:, None])

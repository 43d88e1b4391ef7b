"""The paired test is valid at every moment, agrees with its interval, and never promotes the same model."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from pitstop.errors import StatisticError
from pitstop.retraining.comparison import _STAKES, LEAST_BOUND, Comparison, PairedTest, disagreement

Floats = NDArray[np.float64]

DIFFERENCES = arrays(np.float64, st.integers(1, 60), elements=st.floats(-30.0, 30.0))
STARTS = st.builds(
    PairedTest, alpha=st.sampled_from([0.01, 0.05, 0.2]), scale=st.just(30.0), margin=st.sampled_from([0.0, 0.5, 5.0])
)


def signs(random: np.random.Generator, rows: int, disagree: float, gain: float) -> Floats:
    """Differences of 0-1 losses: the models disagree on a share of rows, the challenger gains `gain` a row."""
    uniform = random.random(rows)
    return np.where(uniform < (disagree + gain) / 2, 1.0, np.where(uniform < disagree, -1.0, 0.0))


@given(STARTS, DIFFERENCES, st.data())
def test_batches_do_not_matter(start: PairedTest, values: Floats, data: st.DataObject) -> None:
    cut = data.draw(st.integers(0, len(values)))
    whole = start.updated(values)
    parts = start.updated(values[:cut]).updated(values[cut:])
    assert parts.verdict == whole.verdict
    assert parts.rows == whole.rows
    assert parts.log_evidence == pytest.approx(whole.log_evidence, abs=1e-9)
    assert parts.interval == pytest.approx(whole.interval, abs=0.16)


@given(DIFFERENCES, st.sampled_from([0.05, 0.2]))
def test_the_twin_is_the_sign_flipped_test(values: Floats, alpha: float) -> None:
    forward, backward = PairedTest(alpha, 30.0).updated(values), PairedTest(alpha, 30.0).updated(-values)
    assert forward.log_evidence == pytest.approx(backward.log_evidence_worse)
    assert (forward.verdict, backward.verdict) in {
        ("better", "worse"),
        ("worse", "better"),
        ("undecided", "undecided"),
    }


@given(STARTS, DIFFERENCES)
def test_a_state_round_trip_continues_identically(start: PairedTest, values: Floats) -> None:
    test = start.updated(values)
    restored = PairedTest.from_state(test.to_state())
    assert restored == test
    assert restored.updated(values) == test.updated(values)


@given(STARTS, DIFFERENCES, st.floats(1.0, 4.0))
def test_the_interval_never_contradicts_the_verdict(start: PairedTest, values: Floats, growth: float) -> None:
    test = start.updated(np.tile(values, 5)).updated(np.tile(values, 5) * growth, 30.0 * growth)
    low, high = test.interval
    assert -test.scale <= low <= high <= test.scale
    if test.verdict == "better":
        assert low >= -test.margin
    if test.verdict == "worse":
        assert high <= -test.margin


@given(st.floats(-1.0, 1.0), st.sampled_from([0.0, 0.1, 0.7]), st.sampled_from([-1.0, -0.3, 0.0, 0.4, 1.0]))
def test_at_the_edge_of_the_hypothesis_every_stake_is_a_fair_game(spread: float, margin: float, tilt: float) -> None:
    # Two values with mean exactly -margin: the expected wealth after one row is 1 for both sides.
    up, down = min(1.0, -margin + abs(spread) + 0.01), max(-1.0, -margin - abs(tilt) - 0.01)
    if not down < -margin < up:
        return
    chance = (-margin - down) / (up - down)
    for side in ("log_evidence", "log_evidence_worse"):
        wealth = [math.exp(getattr(PairedTest(0.05, 1.0, margin).updated(np.array([x])), side)) for x in (up, down)]
        assert chance * wealth[0] + (1 - chance) * wealth[1] == pytest.approx(1.0, abs=1e-9)


@given(st.integers(1, 3000), st.sampled_from([0.0, 0.01, 0.5]))
@settings(max_examples=20)
def test_the_same_model_is_never_better(rows: int, margin: float) -> None:
    noise = np.where(np.arange(rows) % 2, 1e-12, -1e-12)
    test = PairedTest(0.05, 1.0, margin).updated(np.zeros(rows)).updated(noise)
    assert test.verdict == "undecided"
    assert test.differing == 0


def test_a_better_model_is_proven_better_and_says_how_long_it_takes() -> None:
    values = signs(np.random.default_rng(5), 6000, 0.1, 0.03)
    test = PairedTest(0.05, 1.0).updated(values[:100])
    assert test.verdict == "undecided"
    needed = test.rows_needed()
    assert needed is not None
    assert 10 < needed < 5000
    done = test.updated(values[100:])
    assert done.verdict == "better"
    assert done.rows_needed() == 0
    low, high = done.interval
    assert 0.0 <= low < 0.03 < high
    assert PairedTest(0.05, 1.0).updated(-values).verdict == "worse"


def test_no_end_is_in_sight_where_nothing_differs() -> None:
    assert PairedTest(0.05, 1.0).rows_needed() is None
    assert PairedTest(0.05, 1.0).updated(np.zeros(500)).rows_needed() is None


def test_a_margin_accepts_an_equal_model_and_refuses_a_worse_one() -> None:
    random = np.random.default_rng(6)
    equal, worse = signs(random, 8000, 0.05, 0.0), signs(random, 8000, 0.2, -0.1)
    assert PairedTest(0.05, 1.0).updated(equal).verdict == "undecided"
    assert PairedTest(0.05, 1.0, margin=0.02).updated(equal).verdict == "better"
    assert PairedTest(0.05, 1.0, margin=0.02).updated(worse).verdict == "worse"


def test_a_bound_learned_with_the_first_batch_is_as_good_as_one_given_before() -> None:
    values = 5.0 * signs(np.random.default_rng(8), 2000, 0.2, 0.1)
    given_first = PairedTest(0.05, 5.0, margin=0.5).updated(values)
    learned = PairedTest(0.05, 1e-9, margin=0.5).updated(values[:0]).updated(values, 5.0)
    assert learned == given_first
    assert learned.interval[0] > 0.2


def test_rows_that_cannot_differ_prove_nothing_and_hide_no_harm() -> None:
    """A test begins where a difference is possible, and a bound below the margin counts as the margin."""
    opened = PairedTest(0.05, LEAST_BOUND, margin=0.3)
    equal = opened.updated(np.zeros(500), LEAST_BOUND)
    assert (equal.verdict, equal.rows) == ("undecided", 0)
    assert equal.updated(np.full(200, -10.0), 10.0).verdict == "worse"
    near = opened.updated(np.array([0.01, -0.01, 0.0]), 0.01)
    assert near.verdict == "undecided"
    assert near.updated(np.full(200, -10.0), 10.0).verdict == "worse"
    proof = Comparison.of(equal, at=1, champion="a", challenger="b")
    assert (proof.mean_difference, proof.rows) == (0.0, 0)


def test_harm_that_begins_after_a_verdict_is_still_seen() -> None:
    random = np.random.default_rng(9)
    test = PairedTest(0.05, 1.0, margin=0.05).updated(signs(random, 3000, 0.1, 0.0))
    assert test.verdict == "better"
    assert not test.worse_by_now
    assert test.updated(-np.ones(1500)).worse_by_now


def test_a_verdict_stays() -> None:
    test = PairedTest(0.05, 1.0).updated(np.ones(50))
    assert test.verdict == "better"
    assert test.updated(-np.ones(5000)).verdict == "better"


@pytest.mark.parametrize("values", [np.array([1.5]), np.array([math.nan]), np.array([math.inf]), np.ones((2, 2))])
def test_differences_beyond_the_bound_are_refused(values: Floats) -> None:
    with pytest.raises(StatisticError, match=r"finite numbers up to 1\.0"):
        PairedTest(0.05, 1.0).updated(values)
    assert PairedTest(0.05, 1.0).updated(np.array([1.5]), 2.0).scale == 2.0


@pytest.mark.parametrize(("alpha", "scale", "margin"), [(0.0, 1.0, 0.0), (0.05, 0.0, 0.0), (0.05, 1.0, -1.0)])
def test_senseless_tests_are_refused(alpha: float, scale: float, margin: float) -> None:
    with pytest.raises(StatisticError, match="expected a probability"):
        PairedTest(alpha, scale, margin)


def test_a_comparison_is_an_artifact() -> None:
    test = PairedTest(0.05, 30.0).updated(30.0 * signs(np.random.default_rng(7), 400, 0.2, 0.0))
    first = Comparison.of(test, at=5, champion="challenger-a", challenger="challenger-b", caused_by=["decision-1"])
    assert first == Comparison.of(
        test, at=5, champion="challenger-a", challenger="challenger-b", caused_by=["decision-1"]
    )
    assert first.id != Comparison.of(test, at=6, champion="challenger-a", challenger="challenger-b").id
    assert first.to_json()["caused_by"] == ["decision-1"]
    assert "Undecided after 400 rows" in first.sentence
    proven = Comparison.of(PairedTest(0.05, 1.0).updated(np.ones(50)), at=5, champion="a", challenger="b")
    assert proven.sentence == "The challenger is better than the champion: proven on 50 rows."


def test_disagreement_is_a_share_of_rows() -> None:
    assert disagreement(np.array(["1", "0", "0", "1"]), np.array(["1", "1", "0", "1"])) == 0.25
    assert disagreement(np.array([]), np.array([])) == 0.0
    with pytest.raises(StatisticError, match="same rows"):
        disagreement(np.array([1.0]), np.array([1.0, 2.0]))


def false_promotions(runs: int, rows: int, disagree: float, seed: int) -> tuple[int, int]:
    """Return in how many null runs the test, and a daily z-test at the same level, ever promoted."""
    random = np.random.default_rng(seed)
    betting = daily = 0
    for _ in range(runs):
        values = signs(random, rows, disagree, 0.0)
        betting += PairedTest(0.05, 1.0).updated(values).verdict == "better"
        ends = np.arange(100, rows + 1, 100)
        means = np.cumsum(values)[ends - 1] / ends
        spreads = np.sqrt(np.cumsum(values**2)[ends - 1] / ends - means**2)
        daily += bool((means / np.maximum(spreads, 1e-9) * np.sqrt(ends) > 1.645).any())
    return betting, daily


def too_often(hits: int, runs: int, alpha: float) -> bool:
    """Whether the lower Clopper-Pearson limit (99%) of a rate is above alpha: P(X >= hits | alpha) < 1%."""
    tail = sum(math.comb(runs, k) * alpha**k * (1 - alpha) ** (runs - k) for k in range(hits, runs + 1))
    return tail < 0.01


def test_peeking_after_every_row_promotes_a_null_challenger_rarely() -> None:
    betting, daily = false_promotions(200, 2000, 0.1, seed=11)
    assert not too_often(betting, 200, 0.05)
    # The negative control: the same peeking with a z-test is wrong far too often.
    assert too_often(daily, 200, 0.05)


@pytest.mark.simulation
@pytest.mark.parametrize("disagree", [0.02, 0.1, 0.5])
def test_the_promise_holds_in_many_runs(disagree: float) -> None:
    betting, daily = false_promotions(500, 5_000, disagree, seed=12)
    assert not too_often(betting, 500, 0.05)
    assert too_often(daily, 500, 0.05)


def first_crossing(values: Floats, stake: float) -> int:
    """Return after how many rows a bettor with one stake has proven it."""
    wealth = np.cumsum(np.log1p(stake * values))
    return int(np.argmax(wealth >= math.log(20.0))) + 1 if wealth.max() >= math.log(20.0) else len(values)


def rows_to_verdict(values: Floats) -> int:
    """Return after how many rows the test says "better", exactly: a verdict stays, so it can be searched by halving."""

    def proven(rows: int) -> bool:
        return PairedTest(0.05, 1.0).updated(values[:rows]).verdict == "better"

    high = 64
    while not proven(high):
        if high >= len(values):
            return len(values)
        high = min(2 * high, len(values))
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if proven(middle) else (middle, high)
    return high


@pytest.mark.simulation
@pytest.mark.parametrize(("disagree", "gain"), [(0.05, 0.01), (0.1, 0.01), (0.1, 0.03)])
def test_the_time_to_a_verdict_is_near_that_of_a_bettor_who_knows(disagree: float, gain: float) -> None:
    random = np.random.default_rng(13)
    runs = [signs(random, int(25 * disagree / gain**2), disagree, gain) for _ in range(300)]
    knowing = np.median([first_crossing(values, gain / disagree) for values in runs])
    ratio = np.median([rows_to_verdict(values) for values in runs]) / knowing
    assert ratio <= 1.5, ratio


@pytest.mark.simulation
def test_the_interval_holds_at_every_moment() -> None:
    random = np.random.default_rng(14)
    misses = 0
    for _ in range(200):
        test = PairedTest(0.05, 1.0)
        wrong = False
        for _ in range(20):
            test = test.updated(signs(random, 50, 0.2, 0.05))
            wrong |= test.interval[0] > 0.05
        misses += wrong
    assert not too_often(misses, 200, 0.05)


def test_stakes_can_never_lose_everything() -> None:
    assert 0.0 < _STAKES.min() < _STAKES.max() < 1.0
    assert math.isfinite(PairedTest(0.05, 1.0).updated(-np.ones(100)).log_evidence)

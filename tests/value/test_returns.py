"""Gains with an interval, break-even, and the cost of staleness."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pitstop.records.calendar import DAY, Calendar
from pitstop.value.returns import Gain, Return, gain_of, return_of, staleness

DAILY = Calendar("day", "month")
blocks = st.lists(st.tuples(st.integers(0, 30), st.integers(1, 20), st.integers(-(10**7), 10**7)), max_size=25)


@settings(max_examples=60, deadline=None)
@given(blocks, st.randoms(use_true_random=False))
def test_a_gain_is_the_exact_sum_in_any_order_and_lies_in_its_interval(
    parts: list[tuple[int, int, int]], rng: object
) -> None:
    found = gain_of(parts)
    assert found.total * 10_000 == sum(ticks for _, _, ticks in parts)
    assert found.rows == sum(rows for _, rows, _ in parts)
    rng.shuffle(parts)  # type: ignore[attr-defined]  # hypothesis gives a Random
    assert gain_of(parts) == found
    assert gain_of((window, rows, -ticks) for window, rows, ticks in parts).total == -found.total
    if found.windows < 2:
        assert found.low is None
    else:
        assert found.low is not None
        assert found.high is not None
        assert found.low <= found.total <= found.high


def test_the_interval_covers_the_mean_of_days_that_have_effects_in_common() -> None:
    """30 days of 20 rows each; rows of one day share an effect as large as the noise. Nominal 95%."""
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(400):
        common = rng.normal(size=30)
        days = [(day, 20, round(10_000 * (rng.normal(0.3, 1.0, 20) + common[day]).sum())) for day in range(30)]
        found = gain_of(days)
        assert found.low is not None
        assert found.high is not None
        covered += float(found.low) <= 0.3 * 600 <= float(found.high)
    # Binomial bounds of 95% in 400 trials, at one in a thousand.
    assert 365 <= covered <= 393


def made(total: int, low: int, high: int, *, cost: int = 100, days: float = 10.0, waiting: int = 0) -> Return:
    return Return("r", Gain(Decimal(total), Decimal(low), Decimal(high), 50, 10), Decimal(cost), waiting, days)


def test_break_even_and_ratio_by_hand() -> None:
    earned = made(200, 150, 250)
    assert (earned.break_even_days, earned.ratio, earned.verdict) == (5.0, 1.0, "has paid for itself")
    assert made(200, 50, 350).verdict == "has probably paid for itself"
    assert made(50, -50, 150).verdict == "has not paid for itself yet"
    assert made(-20, -60, 20).verdict == "has earned nothing so far"
    assert made(-20, -30, -10).verdict == "was a loss"
    assert made(-20, -30, -10).break_even_days is None
    assert made(200, 1, 2, cost=0).ratio is None
    # Rows that wait count at the mean of the others: 200 for 50 rows, 25 more wait.
    assert made(200, 1, 2, waiting=25).expected == Decimal(300)
    silent = Return("r", gain_of([]), Decimal(100), 0, 0.0)
    assert (silent.verdict, silent.break_even_days) == ("no label has come for a row that it served", None)


def test_a_release_gets_its_own_parts_of_the_appraisals() -> None:
    appraisals = [
        {"releases": [{"release": "a", "windows": [[1, 2, 10_000]]}, {"release": "b", "windows": [[2, 1, 70_000]]}]},
        {"releases": [{"release": "a", "windows": [[1, 1, 20_000], [3, 1, 0]]}]},
    ]
    earned = return_of("a", appraisals, cost=Decimal(1), waiting=0, served=(0, 3 * DAY), calendar=DAILY)
    assert (earned.gain.total, earned.gain.rows, earned.gain.windows, earned.days) == (Decimal(3), 4, 2, 3.0)
    by_rows = return_of("a", appraisals, cost=Decimal(1), waiting=0, served=(0, 1_500), calendar=Calendar(500, 3))
    assert by_rows.days == 3.0


def test_staleness_never_pays() -> None:
    parts = [{"fresh_over_served": [[1, 5, 30_000], [2, 5, -10_000]]}, {"fresh_over_served": [[3, 5, -50_000]]}]
    assert staleness(parts) == (Decimal(2), Decimal(0))


@pytest.mark.parametrize("clusters", [0, 1])
def test_too_few_windows_have_no_interval(clusters: int) -> None:
    found = gain_of([(7, 3, 50)] * clusters)
    assert (found.low, found.high, found.windows) == (None, None, clusters)

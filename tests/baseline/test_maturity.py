"""The lag curve against labels whose lags are known: rows that still wait are censored, not slow."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pitstop.baseline.maturity import cohort_ages, lag_curve, maturity_age

WHOLE = st.lists(st.integers(0, 40), max_size=60).map(lambda values: np.array(values, dtype=np.int64))
NOBODY = np.zeros(0, dtype=np.int64)


def test_censored_rows_do_not_bias_the_curve() -> None:
    random = np.random.default_rng(5)
    rows, mean = 40_000, 10.0
    lags = random.geometric(1 / (1 + mean), rows) - 1
    age = random.integers(0, 30, rows)
    seen = lags <= age
    # A row that waits has been watched up to the window before this one.
    distinct, share = lag_curve(lags[seen], age[~seen])
    truth = 1 - (1 - 1 / (1 + mean)) ** (distinct + 1)
    early = distinct <= 20
    assert np.abs(share - truth)[early].max() < 0.02
    # The share among labelled rows only, the naive answer, is far too fast.
    naive = np.array([(lags[seen] <= lag).mean() for lag in distinct])
    assert np.abs(naive - truth)[early].max() > 0.1


@given(WHOLE, WHOLE)
def test_a_curve_rises_from_zero_to_at_most_one(lags: np.ndarray, waiting: np.ndarray) -> None:
    distinct, share = lag_curve(lags, waiting)
    assert len(distinct) == len(share) == len(set(lags.tolist()))
    assert (np.diff(distinct) > 0).all()
    assert (np.diff(share) >= -1e-12).all()
    assert ((share > 0) & (share <= 1 + 1e-12)).all()


@given(WHOLE.filter(len))
def test_without_waiting_rows_it_is_the_empirical_distribution(lags: np.ndarray) -> None:
    distinct, share = lag_curve(lags, NOBODY)
    expected = [(lags <= lag).mean() for lag in distinct]
    assert share == pytest.approx(expected)


@given(WHOLE, WHOLE, st.integers(0, 50))
def test_ages_are_few_ascending_and_bounded(lags: np.ndarray, waiting: np.ndarray, longest: int) -> None:
    ages = cohort_ages(lags, waiting, longest)
    assert list(ages) == sorted(set(ages))
    assert len(ages) <= 3
    assert (len(ages) > 0) == (len(lags) > 0)
    assert all(0 <= age <= longest for age in ages)


def test_ages_are_where_a_quarter_a_half_and_four_fifths_have_come() -> None:
    lags = np.arange(100, dtype=np.int64)
    assert cohort_ages(lags, NOBODY, 1000) == (24, 49, 79)
    assert cohort_ages(lags, NOBODY, 45) == (24, 45)
    assert cohort_ages(np.full(9, 3, dtype=np.int64), NOBODY, 45) == (3,)
    assert cohort_ages(NOBODY, lags, 45) == ()


def test_a_cohort_is_mature_when_95_percent_of_the_labels_that_come_have_come() -> None:
    lags = np.repeat(np.arange(20), 5).astype(np.int64)
    assert maturity_age(lags, NOBODY) == 18
    # Half of the rows never get a label: what matters is where the curve ends.
    assert maturity_age(lags, np.full(100, 400, dtype=np.int64)) == 18
    assert maturity_age(NOBODY, lags) is None


def test_early_positives_bias_a_young_cohort_and_not_a_mature_one() -> None:
    random = np.random.default_rng(8)
    rows = 20_000
    positive = random.random(rows) < 0.3
    lags = np.where(positive, random.geometric(0.3, rows), random.geometric(0.08, rows)).astype(np.int64)
    age = maturity_age(lags, NOBODY)
    assert age is not None
    young, mature = positive[lags <= 5].mean(), positive[lags <= age].mean()
    assert young > 0.45
    assert mature == pytest.approx(0.3, abs=0.02)

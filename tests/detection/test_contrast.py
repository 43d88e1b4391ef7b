"""Evidence of what came since an onset against all before: its mean is 1, whatever the unknown rate, or less."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom, poisson

from pitstop.detection import contrast
from pitstop.detection.streams import Floats

SHARES = st.floats(0.01, 0.9)


def evidence(count: Floats, all_counts: Floats, share: float, allowed: float = 0.0, typical: float = 2.0) -> Floats:
    """Return L [alternatives, sides, cases] of `count` since an onset that expects `share` of all that is expected."""
    since = np.stack([count, np.full(len(count), share)])[np.newaxis]
    total = np.stack([all_counts, np.ones(len(count))])
    ratios = contrast.log_ratios(np.full(len(count), typical))
    log = contrast.log_evidence(since, total, np.full(len(count), allowed), ratios)
    return np.asarray(np.exp(log)[:, :, 0])


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 60), SHARES, st.floats(0.02, 50.0))
def test_given_the_total_the_mean_is_one_for_rarer_and_at_most_one_for_oftener(
    total: int, share: float, typical: float
) -> None:
    """Poisson counts, given their total, are binomial whatever the rate: the mean needs no rate."""
    k = np.arange(total + 1.0)
    mean = evidence(k, np.full(len(k), float(total)), share, typical=typical) @ binom.pmf(k, total, share)
    assert mean[:, 1] == pytest.approx(np.ones(len(contrast.SHIFTS)), rel=1e-6)
    assert np.all(mean[:, 0] <= 1 + 1e-9)


@settings(max_examples=30, deadline=None)
@given(st.floats(0.05, 20.0), SHARES, st.floats(0.0, 1.0), st.floats(0.0, 1.0))
def test_a_change_within_the_tolerance_is_not_evidence(
    expected: float, share: float, allowed: float, part: float
) -> None:
    """A rate that rose by no more than what is allowed gives a mean of at most 1."""
    count, before = (side.ravel() for side in np.meshgrid(np.arange(150.0), np.arange(90.0), indexing="ij"))
    probability = poisson.pmf(count, expected * share * (1 + part * allowed)) * poisson.pmf(
        before, expected * (1 - share)
    )
    since = np.stack([count, np.full(len(count), expected * share)])[np.newaxis]
    total = np.stack([count + before, np.full(len(count), expected)])
    ratios = contrast.log_ratios(np.full(len(count), 2.0))
    log = contrast.log_evidence(since, total, np.full(len(count), allowed), ratios)
    assert np.all(np.exp(log[:, 0, 0]) @ probability <= 1 + 1e-6)


def test_many_counts_give_the_two_sample_z_test() -> None:
    """K ~ N(E, E): log L = d z - d^2 / 2 with d the log ratio over its standard error."""
    scale, share = 1e6, 0.2
    z = np.array([-2.0, 0.0, 2.0, 3.0])
    error = np.sqrt(scale * share * (1 - share))
    count = scale * share + z * error
    found = np.log(evidence(count, np.full(len(z), scale), share, typical=scale * share / 4)[:, 0])
    for place, logs in enumerate(contrast.log_ratios(np.array([scale * share / 4]))[:, 0]):
        d = logs * error
        assert found[place] == pytest.approx(d * z - d**2 / 2, abs=0.05)


def test_the_onsets_that_are_kept_are_few_fixed_beforehand_and_never_come_back() -> None:
    born = np.zeros(0, dtype=np.int64)
    gone: set[int] = set()
    for now in range(900):
        born = np.append(born, now)
        keep = contrast.kept(born, now)
        gone |= set(born[~keep].tolist())
        born = born[keep]
        assert not gone & set(born.tolist())
        assert set(range(max(0, now - contrast.KEPT + 1), now + 1)) <= set(born.tolist())
        assert len(born) <= contrast.KEPT * contrast.GENERATIONS
        assert now < 600 or now - born.min() >= 340
    # Half of the second generation, a quarter of the third, and so on: gaps grow with age.
    ages = 899 - born[::-1]
    assert np.all(np.diff(np.diff(ages)) >= -32)


def test_one_window_says_only_so_much_and_a_small_expectation_lets_one_or_two_through() -> None:
    k = np.array([[0], [1], [3], [60]])
    n = np.full((4, 1), 60)
    seen, expected = contrast.standardised(k, n, np.array([0.001]), np.zeros(1), np.zeros(1), np.ones(1))
    assert expected[0, 0] == pytest.approx(0.06, rel=0.01)
    assert seen[0, 0] == 0
    assert seen[1, 0] == pytest.approx(1, rel=0.01)
    assert seen[2, 0] == seen[3, 0] == pytest.approx(expected[0, 0] + 3 * np.sqrt(expected[0, 0]) + 1)

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pitstop.detection.ranks import SHIFTS, log_evidence, ranks
from pitstop.detection.streams import Floats


def spread(value: float, size: int) -> Floats:
    return np.full(size, value)


@given(st.integers(0, 500))
def test_evidence_has_mean_exactly_one_over_uniform_ranks(earlier: int) -> None:
    above = np.arange(earlier + 1)
    evidence = np.exp(log_evidence(above, np.full(earlier + 1, earlier), spread(1.0, earlier + 1)))
    assert evidence.mean(axis=1) == pytest.approx(np.ones(len(SHIFTS)), abs=1e-9)


@given(st.integers(1, 300), st.floats(1.0, 20.0))
def test_paying_for_autocorrelation_only_takes_evidence(earlier: int, kappa: float) -> None:
    above = np.arange(earlier + 1)
    count = np.full(earlier + 1, earlier)
    paid = np.exp(log_evidence(above, count, spread(kappa, earlier + 1)))
    assert np.all(paid.mean(axis=1) <= 1 + 1e-9)


@given(st.integers(1, 300))
def test_evidence_falls_with_the_number_above(earlier: int) -> None:
    above = np.arange(earlier + 1)
    assert np.all(np.diff(log_evidence(above, np.full(earlier + 1, earlier), spread(1.0, earlier + 1)), axis=1) < 0)


def test_windows_without_rows_are_not_counted() -> None:
    history = np.array([[1.0, np.nan], [np.nan, np.nan], [3.0, 5.0]])
    above, earlier = ranks(np.array([2.0, 9.0]), history)
    assert above.tolist() == [1, 0]
    assert earlier.tolist() == [2, 1]
    above, _ = ranks(np.array([np.nan, np.nan]), history)
    assert above.tolist() == [0, 0]


def test_ranks_of_exchangeable_scores_are_independent_and_uniform() -> None:
    """The theorem's assumption, checked on skewed, heavy-tailed scores: 40,000 ranks against the uniform law."""
    rng = np.random.default_rng(3)
    scores = rng.standard_cauchy((60, 2000))
    pits = []
    for t in range(40, 60):
        above, earlier = ranks(scores[t], scores[:t])
        pits.append((above + rng.random(2000)) / (earlier + 1))
    sample = np.array(pits)
    assert np.abs(np.sort(sample.ravel()) - (np.arange(40_000) + 0.5) / 40_000).max() < 0.01
    correlation = np.corrcoef(sample[:-1].ravel(), sample[1:].ravel())[0, 1]
    assert abs(correlation) < 0.02

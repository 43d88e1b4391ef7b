"""Scores among the reference: a martingale whatever the mean, and places that are what they say."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pitstop.detection.places import normal_scores
from pitstop.detection.scores import SHIFTS, log_evidence
from pitstop.detection.streams import Floats

NODES, WEIGHTS = np.polynomial.hermite_e.hermegauss(60)


def evidence(scores: Floats, onset: int, slack: float = 0.0) -> Floats:
    """Return L [shifts, sides] of scores float64[t, cases] from `onset` on."""
    count = np.ones_like(scores)
    parts = np.stack([scores, slack * count, count], axis=1)
    parts[:onset, 1] = 0.0
    since = parts[onset:].sum(axis=0)
    return np.asarray(np.exp(log_evidence(since[np.newaxis], parts.sum(axis=0))[:, :, 0]))


@settings(max_examples=40, deadline=None)
@given(st.integers(2, 40), st.integers(0, 20), st.floats(-30, 30), st.integers(0, 10_000))
def test_the_next_window_changes_the_evidence_by_a_factor_of_mean_one(
    before: int, since: int, mean: float, seed: int
) -> None:
    """Given all differences so far, the next score is normal around the mean of all, with variance 1 + 1/t.

    That is what is known without knowing the true mean; the true one shifts everything and changes nothing.
    """
    past = mean + np.random.default_rng(seed).standard_normal(before + since)
    t = len(past)
    new = past.mean() + NODES * np.sqrt(1 + 1 / t)
    whole = np.concatenate([np.tile(past[:, np.newaxis], (1, len(new))), new[np.newaxis]])
    after = evidence(whole, before) @ (WEIGHTS / WEIGHTS.sum())
    now = evidence(past[:, np.newaxis], before)[..., 0] if since else np.ones((len(SHIFTS), 2))
    assert after == pytest.approx(now, rel=1e-6)


def test_the_reference_taken_for_the_truth_would_break_it() -> None:
    """Against a fixed mean of the reference the same factor has a mean above 1: what the second half of V is for."""
    rng = np.random.default_rng(2)
    errors = rng.standard_normal(200_000) / np.sqrt(4)
    post = rng.standard_normal((200_000, 8)).sum(axis=1)
    naive = np.exp(0.5 * (post - 8 * errors) - 0.125 * 8)
    assert naive.mean() > 1.5
    fair = np.exp(0.5 * (post - 8 * errors) * 4 / 12 - 0.125 * 8 * 4 / 12)
    assert fair.mean() == pytest.approx(1, abs=0.02)


def test_a_tolerance_only_takes_evidence_away() -> None:
    scores = np.random.default_rng(1).standard_normal((30, 50))
    assert np.all(evidence(scores, 20, slack=0.3) < evidence(scores, 20))


@given(st.lists(st.floats(-5, 5), min_size=1, max_size=60))
def test_places_are_symmetric_and_grow(values: list[float]) -> None:
    reference = np.array(values)[:, np.newaxis]
    asked = np.linspace(-6, 6, 41)[:, np.newaxis]
    found = normal_scores(asked, reference)
    assert np.all(np.diff(found[:, 0]) >= 0)
    assert normal_scores(-asked, -reference) == pytest.approx(-found)
    assert np.all(np.isfinite(found))
    if len(set(values)) == len(values):
        assert normal_scores(reference, reference).sum() == pytest.approx(0, abs=1e-9)


def test_windows_without_rows_neither_score_nor_count() -> None:
    reference = np.array([[1.0], [np.nan], [3.0]])
    assert normal_scores(np.array([np.nan]), reference).tolist() == [0.0]
    assert normal_scores(np.array([2.0]), reference) == pytest.approx([0.0])

"""Fairness by group: selection, impact ratio, error rates and calibration, realised and estimated, with intervals.

Intervals of rates are Wilson's (1927), of ratios Katz's (Katz et al. 1978, on the logarithm), of differences
Newcombe's (1998, method 10), all at 95% and for each figure alone. Nothing is said of fewer rows than `FEWEST`. The
estimated rates take a score of s as s of a positive label; they assume that scores are calibrated *in each group*,
and the calibration gap of the labelled rows says whether they were.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pitstop.monitors.performance import wilson
from pitstop.statistics.groups import TICKS, GroupCounts

# With fewer rows behind a rate its interval is wider than any finding.
FEWEST = 30
_Z = 1.96


@dataclass(frozen=True)
class Figure:
    """A number with its 95% interval (None where there is none) and the rows behind it."""

    value: float
    low: float | None
    high: float | None
    rows: int


@dataclass(frozen=True)
class GroupFairness:
    """One group. A figure is None where fewer than 30 rows are behind it.

    `selection`: share chosen. `impact`: that share divided by the highest one. `tpr`, `fpr`: of labelled positives and
    negatives, those chosen; `tpr_gap`, `fpr_gap`: less those of all other groups together. `calibration`: the share
    positive of labelled and scored rows, less their mean score. `estimated_tpr`, `estimated_fpr`: before labels, from
    the scores alone, without an interval.
    """

    name: str
    rows: int
    selection: Figure | None
    impact: Figure | None
    tpr: Figure | None
    fpr: Figure | None
    tpr_gap: Figure | None
    fpr_gap: Figure | None
    calibration: Figure | None
    estimated_tpr: Figure | None
    estimated_fpr: Figure | None


def group_fairness(counts: GroupCounts) -> tuple[GroupFairness, ...]:
    """Return every group's figures, in the order of the groups."""
    state = counts.to_state()
    rows, chosen = state["rows"], state["chosen"]
    able = rows >= FEWEST
    rates = np.where(able, chosen / np.maximum(rows, 1), -1.0)
    best = int(np.argmax(rates)) if able.any() else -1
    positives, negatives = state["positive"], state["labelled"] - state["positive"]
    hits, alarms = state["true_chosen"], state["labelled_chosen"] - state["true_chosen"]
    found = []
    for at, name in enumerate(counts.bins.groups):
        reference = (int(chosen[best]), int(rows[best])) if best >= 0 else (0, 0)
        found.append(
            GroupFairness(
                name,
                int(rows[at]),
                _rate(int(chosen[at]), int(rows[at])),
                _ratio((int(chosen[at]), int(rows[at])), reference, same=at == best),
                _rate(int(hits[at]), int(positives[at])),
                _rate(int(alarms[at]), int(negatives[at])),
                _gap(hits, positives, at),
                _gap(alarms, negatives, at),
                _calibration(counts, at),
                *_estimated(counts, at),
            )
        )
    return tuple(found)


def _rate(k: int, n: int) -> Figure | None:
    return Figure(k / n, *wilson(k, n), n) if n >= FEWEST else None


def _ratio(one: tuple[int, int], best: tuple[int, int], *, same: bool) -> Figure | None:
    if min(one[1], best[1]) < FEWEST or best[0] == 0:
        return None
    value = (one[0] / one[1]) / (best[0] / best[1])
    if same or one[0] == 0:
        # The best group's ratio to itself is 1 by definition; of none chosen there is no logarithm.
        return Figure(value, None, None, one[1])
    spread = _Z * math.sqrt(1 / one[0] - 1 / one[1] + 1 / best[0] - 1 / best[1])
    return Figure(value, value * math.exp(-spread), value * math.exp(spread), one[1])


def _gap(hits: NDArray[np.int64], of: NDArray[np.int64], at: int) -> Figure | None:
    """Return the group's rate less that of all others together, with Newcombe's interval."""
    k, n = int(hits[at]), int(of[at])
    others, rest = int(hits.sum()) - k, int(of.sum()) - n
    if min(n, rest) < FEWEST:
        return None
    one, two = k / n, others / rest
    (low, high), (other_low, other_high) = wilson(k, n), wilson(others, rest)
    gap = one - two
    return Figure(gap, gap - math.hypot(one - low, other_high - two), gap + math.hypot(high - one, two - other_low), n)


def _calibration(counts: GroupCounts, at: int) -> Figure | None:
    state = counts.to_state()
    n, positive = int(state["judged"][at]), int(state["judged_positive"][at])
    if n < FEWEST:
        return None
    said = float(state["judged_score"][at]) / TICKS / n
    low, high = wilson(positive, n)
    return Figure(positive / n - said, low - said, high - said, n)


def _estimated(counts: GroupCounts, at: int) -> tuple[Figure | None, Figure | None]:
    state = counts.to_state()
    n, chosen = int(state["scored"][at]), int(state["scored_chosen"][at])
    positive, hits = (float(state[name][at]) / TICKS for name in ("score", "score_chosen"))
    if n < FEWEST:
        return None, None
    tpr = Figure(hits / positive, None, None, n) if positive >= 1 else None
    fpr = Figure((chosen - hits) / (n - positive), None, None, n) if n - positive >= 1 else None
    return tpr, fpr

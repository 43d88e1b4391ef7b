"""How long labels take: the lag curve, and the ages at which cohorts are compared.

A cohort (the rows predicted in one window) whose labels have only begun to come is not a fair sample: cancellations
come before stays, defaults after good payments. So a cohort is looked at when it has a fixed age, with the labels that
came by then, and compared with reference cohorts cut at the same age. Early positives bias both sides alike.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]

# Early, to alarm soon; half, to be typical; most, to be nearly mature.
SHARES = (0.25, 0.5, 0.8)
# What is scored against labels waits until this share of those that will come have come.
MATURE = 0.95


def lag_curve(lags: Ints, waiting: Ints) -> tuple[Ints, NDArray[np.float64]]:
    """Return the distinct lags and the share of rows whose label has come by each (Kaplan and Meier 1958).

    `lags` are the lags in windows of labelled rows, `waiting` the ages of rows that still wait: those are censored, not
    slow. Empty where no row is labelled.
    """
    if not len(lags):
        return np.zeros(0, dtype=np.int64), np.zeros(0)
    distinct, arrived = np.unique(lags, return_counts=True)
    younger = np.searchsorted(np.sort(lags), distinct) + np.searchsorted(np.sort(waiting), distinct)
    at_risk = (len(lags) + len(waiting) - younger).astype(np.float64)
    return distinct, np.asarray(1.0 - np.cumprod(1.0 - arrived / at_risk), dtype=np.float64)


def cohort_ages(lags: Ints, waiting: Ints, longest: int) -> tuple[int, ...]:
    """Return the ages in windows (at most `longest`, all different, ascending) at which cohorts are compared.

    They are the lags by which 25%, 50% and 80% of the labels have come. Where labels come all at once it is one age,
    and () where no row is labelled.
    """
    distinct, share = lag_curve(lags, waiting)
    if not len(distinct):
        return ()
    places = [min(int(np.searchsorted(share, part)), len(distinct) - 1) for part in SHARES]
    return tuple(sorted({min(int(distinct[place]), longest) for place in places}))


def maturity_age(lags: Ints, waiting: Ints) -> int | None:
    """Return the age in windows at which a cohort is mature, None where no row is labelled.

    It is the lag by which 95% of the labels have come of those that come at all: where some never do, the lag curve
    ends below 1, and the share is taken of where it ends.
    """
    distinct, share = lag_curve(lags, waiting)
    if not len(distinct):
        return None
    return int(distinct[min(int(np.searchsorted(share, MATURE * share[-1] - 1e-12)), len(distinct) - 1)])

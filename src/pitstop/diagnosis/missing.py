"""Values that turned missing, beyond chance and beyond what the column did before."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pitstop.diagnosis.breaks import Break
from pitstop.diagnosis.natural import largest, runs, stretches
from pitstop.diagnosis.wording import percent
from pitstop.statistics.significance import rate_p

# Fewer lost values than this share of the rows are no fault that a person would stop for.
LEAST = 0.01
# Missing values come in gusts where so many of them stand together.
GUST = 3.0


def find_missing(column: str, reference: NDArray[np.bool_], current: NDArray[np.bool_], alpha: float) -> Break | None:
    """Return a fault where more values are missing (true) than chance allows and than in any stretch before.

    Both in order of time. Of values that get lost in gusts, one gust that is longer than those before is none: there
    must be more gusts than in any stretch, or twice as many missing values.
    """
    if not reference.size or not current.size:
        return None
    before, now = int(reference.sum()), int(current.sum())
    rate, share = before / reference.size, now / current.size
    cuts = stretches(reference.size, current.size)
    most = max(rate, largest(lambda piece: float(np.mean(piece)), reference, cuts))
    if share - most < max(LEAST, 0.25 * most) and not (share == 1.0 > most):
        return None
    if rate_p(before, reference.size, now, current.size) >= alpha:
        return None
    if before >= GUST * runs(reference) and share < 2.0 * most + LEAST and share < 1.0:
        usual = largest(lambda piece: runs(piece) / piece.size, reference, cuts)
        if runs(current) / current.size <= usual:
            return None
    certainty = 0.5 + 0.5 * (share - most) / share
    if now == current.size:
        sentence = f"{column}: every value is missing ({percent(rate)} were missing before)."
        return Break(column, "all_null", share - rate, share, certainty, sentence)
    sentence = f"{column}: {percent(share)} of the values are missing, {percent(rate)} before."
    return Break(column, "new_nulls", share - rate, share, certainty, sentence)

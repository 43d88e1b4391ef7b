"""The calibrator: for each score bin the share of rows that are positive, or right."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sklearn.isotonic import IsotonicRegression

from pitstop.statistics.outcome_bins import score_values

Floats = NDArray[np.float64]

# With fewer labelled rows an isotonic fit is mostly noise; the score is then taken as it is.
MIN_CALIBRATION_ROWS = 50


def isotonic(negatives: Floats, positives: Floats) -> Floats:
    """Return the isotonic regression of positives on the score bin, float64[1001] for counts float64[1001].

    Without at least 50 rows and both outcomes the score stands for itself.
    """
    total = negatives + positives
    if total.sum() < MIN_CALIBRATION_ROWS or not positives.sum() or not negatives.sum():
        return score_values()
    seen = total > 0
    model = IsotonicRegression(y_min=0.0, y_max=1.0, out_of_bounds="clip")
    model.fit(score_values()[seen], positives[seen] / total[seen], sample_weight=total[seen])
    return np.asarray(model.predict(score_values()), dtype=np.float64)

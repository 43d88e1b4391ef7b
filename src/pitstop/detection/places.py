"""The place of a window among those of the reference, as a normal score (van der Waerden 1952)."""

from __future__ import annotations

import numpy as np
from scipy.special import ndtri

from pitstop.detection.streams import Floats


def normal_scores(value: Floats, reference: Floats) -> Floats:
    """Return the normal score of the place of `value` float64[..., I] among `reference` float64[m, I]; 0 where NaN.

    Of equal values half count as smaller. NaN in the reference stands for a window without rows and is not counted.
    """
    known = np.isfinite(reference).sum(axis=0)
    known_value = np.where(np.isfinite(value), value, 0.0)[..., np.newaxis, :]
    below = (reference < known_value).sum(axis=-2) + 0.5 * (reference == known_value).sum(axis=-2)
    return np.where(np.isfinite(value), ndtri((below + 0.5) / (known + 1)), 0.0)

"""The half that needs no model of a window: its rank among all earlier windows, self-starting."""

from __future__ import annotations

import numpy as np
from scipy.special import ndtr, ndtri

from pitstop.detection.streams import Floats, Ints

SHIFTS = np.array([0.25, 0.5, 1.0, 2.0, 3.0])
"""Alternatives, fixed beforehand: normal scores shifted by these, in standard deviations of a window."""


def ranks(score: Floats, history: Floats) -> tuple[Ints, Ints]:
    """Return the number of earlier scores above `score` and the number of earlier scores, both int64[I].

    `score` is [I], `history` [t, I]; NaN stands for a window without rows and is not counted.
    """
    above = (history > score).sum(axis=0)
    earlier = np.isfinite(history).sum(axis=0)
    return above.astype(np.int64), earlier.astype(np.int64)


def log_evidence(above: Ints, earlier: Ints, spread: Floats) -> Floats:
    """Return log L of each shift upwards, shape [shifts, *above.shape]; `earlier` and `spread` broadcast to `above`.

    If windows are exchangeable, the ranks are independent and R = `above` is uniform on 0..t, t = `earlier` (Renyi).
    L is the mean of exp(d z / s - d^2 / 2) over the cell R/(t+1) < 1 - Phi(z) < (R+1)/(t+1), where s^2 = `spread` >= 1
    pays for autocorrelation; so E[L | earlier ranks] = 1 for s = 1 and less above, exactly, with no draw. Downwards:
    pass t - R.
    """
    cells = earlier + 1.0
    high = -ndtri(above / cells)
    low = -ndtri((above + 1.0) / cells)
    plain = SHIFTS.reshape((-1,) + (1,) * above.ndim)
    shift = plain / np.sqrt(spread)
    # Phi(high - d) - Phi(low - d), from the side on which both are small, to keep all digits.
    mass = np.where(low > shift, ndtr(shift - low) - ndtr(shift - high), ndtr(high - shift) - ndtr(low - shift))
    with np.errstate(divide="ignore"):
        return np.asarray(np.log(cells * mass) + (shift**2 - plain**2) / 2, dtype=np.float64)

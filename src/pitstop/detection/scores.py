"""The half that knows no law of a window: where it stands among the reference's windows, as a normal score.

A window's standardised excess becomes Phi^-1 of its place among those of the reference (van der Waerden, 1952), so that
a day that the reference knows to be possible says little, however far from a normal law it is, and a small count says
much where healthy days have none. From an onset s on, let A be the sum of the scores minus what all windows average,
and V = n_s (n - n_s) / n for n_s of n windows. If scores are normal with unit variance and any mean,

    L = exp(d A - d^2 V / 2)

has mean 1 given all that came before, as the unknown mean is not part of it: the likelihood ratio of a shift by d since
s. The reference is thus a sample, and not the truth.
"""

from __future__ import annotations

import numpy as np

from pitstop.detection.dispersion import inflation
from pitstop.detection.healthy import Healthy
from pitstop.detection.places import normal_scores
from pitstop.detection.streams import Floats, Ints

SHIFTS = np.array([0.25, 0.5, 1.0, 2.0])
"""Alternatives, fixed beforehand, in standard deviations of a window."""


def of_reference(healthy: Healthy, places: Floats) -> Floats:
    """Return the sum of scores of the reference, 0 for what a tolerance takes, and its windows: float64[3, I]."""
    count = np.isfinite(places).sum(axis=0).astype(np.float64)
    score = normal_scores(places, places).sum(axis=0) / (healthy.unit * np.sqrt(healthy.spread))
    return np.stack([score, np.zeros_like(score), count])


def of_window(healthy: Healthy, phase: int, k: Ints, n: Ints, places: Floats) -> Floats:
    """Return the score of a window, what the tolerance takes from it, and 1, float64[3, I]; 0 where it has no rows."""
    score = normal_scores(healthy.place(k, n, phase), places)
    rate = healthy.rare[phase]
    variance = rate * (1 - rate) * inflation(n, healthy.rho_paid) / np.maximum(n, 1)
    scale = np.sqrt(healthy.spread)
    slack = healthy.tolerance / np.sqrt(variance * healthy.new_variance[phase])
    parts = np.stack([score / (healthy.unit * scale), slack / scale, np.ones_like(score)])
    return np.where(n > 0, parts, 0.0)


def log_evidence(since: Floats, total: Floats) -> Floats:
    """Return log L of each shift, side (up, down) and onset, float64[4, 2, S, I].

    `since` float64[S, 3, I] holds the sum of scores from each onset on, the sum of what the tolerance takes from each
    of them, and their number; `total` float64[3, I] the same of all windows.
    """
    score, slack, count = since[:, 0], since[:, 1], since[:, 2]
    windows = np.maximum(total[2], 1)
    rest = (windows - count) / windows
    weight = count * rest
    shifts = SHIFTS.reshape(-1, 1, 1)
    centred = score - count * total[0] / windows
    sides = [shifts * (sign * centred - slack * rest) - shifts**2 / 2 * weight for sign in (1.0, -1.0)]
    return np.stack(sides, axis=1)

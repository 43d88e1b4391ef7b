"""What a column does by itself: the reference cut into stretches of time, each compared with the whole.

A test against chance alone calls every season a fault: over enough rows no two weeks are alike. A pipeline breaks
in a way that the column did not take in any stretch of its own past, so each measure is held against the largest one
that the reference's own stretches show.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pitstop.statistics.significance import kolmogorov_smirnov

MOST_STRETCHES = 12
FEWEST_STRETCHES = 4
# A stretch of fewer rows shows chance, not habit.
FEWEST_ROWS = 100

# A column that held one value for so long once may do so again for twice that.
HELD_AGAIN = 2.0

Floats = NDArray[np.float64]


def stretches(rows: int, window: int) -> tuple[slice, ...]:
    """Cut `rows` rows in their order into stretches about as long as the window, 4 to 12 of at least 100 rows.

    Fewer rows make fewer stretches; below 200 there is none, and nothing is known of habit.
    """
    wanted = min(max(round(rows / max(window, 1)), FEWEST_STRETCHES), MOST_STRETCHES, rows // FEWEST_ROWS)
    if wanted < 2:
        return ()
    edges = np.linspace(0, rows, wanted + 1).astype(int)
    return tuple(slice(int(first), int(end)) for first, end in itertools.pairwise(edges))


def longest_run(values: NDArray[Any]) -> int:
    """Return the largest number of equal neighbours; 0 of nothing. NaN and other missing values are to be left out."""
    if not values.size:
        return 0
    starts = np.flatnonzero(np.append(True, values[1:] != values[:-1]))
    return int(np.diff(np.append(starts, values.size)).max())


def runs(marked: NDArray[np.bool_]) -> int:
    """Return how many runs of marked neighbours there are: gusts, if they come in gusts."""
    return int(np.sum(marked & np.append(True, ~marked[:-1]))) if marked.size else 0


def largest(measure: Callable[[Any], float], values: Any, cuts: tuple[slice, ...]) -> float:
    """Return the largest of a measure over the stretches of `values`; 0 where there are none."""
    found = [measure(values[cut]) for cut in cuts]
    return max((value for value in found if np.isfinite(value)), default=0.0)


def usual_distance(values: Floats, cuts: tuple[slice, ...]) -> float:
    """Return the largest Kolmogorov-Smirnov distance of a stretch's finite values to all; 0 without stretches."""
    whole = values[np.isfinite(values)]

    def away(piece: Floats) -> float:
        known = piece[np.isfinite(piece)]
        return kolmogorov_smirnov(whole, known) if known.size else 0.0

    return largest(away, values, cuts) if whole.size else 0.0

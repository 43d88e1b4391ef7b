"""Rows that came before: a batch sent twice, or the rows of an earlier partition in place of new ones."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pitstop.diagnosis.breaks import Break
from pitstop.diagnosis.natural import MOST_STRETCHES, stretches
from pitstop.diagnosis.wording import percent

Words = NDArray[np.uint64]

LEAST_SHARE = 0.02
# Where most rows of any stretch stand elsewhere too, rows are too alike for a repetition to say something.
_ALIKE = 0.8
_SAME = 0.9
MUCH_LONGER = 1.2


def find_repeated(reference: Words, current: Words) -> Break | None:
    """Return a fault where more rows repeat an earlier one of the same table than in any stretch of the reference.

    Both are one hash of each row's content, in order of time. Chance repeats rows the more often the more there are, so
    the stretches are as long as the current table; of a shorter reference nothing is told below half of the rows.
    """
    share = _repeats(current)
    most = max(_repeats(reference[first : first + current.size]) for first in _firsts(reference.size, current.size))
    least = 0.5 if current.size > MUCH_LONGER * reference.size and most > 0.0 else LEAST_SHARE
    if share < max(2.0 * most, most + least):
        return None
    sentence = (
        f"{percent(share)} of the rows repeat an earlier row in every column ({percent(most)} at most in any stretch "
        "of the reference)."
    )
    return Break("", "duplicates", share, share, 0.9, sentence[0].upper() + sentence[1:])


def find_stale(reference: Words, current: Words) -> Break | None:
    """Return a fault where more rows stand in the reference than those of any of its stretches stand in the others.

    Arguments as `find_repeated`. A table that holds nearly all rows of the reference is that table, and no fault.
    """
    cuts = stretches(reference.size, current.size)
    if not cuts or not current.size:
        return None
    words, at = np.unique(reference, return_inverse=True)
    homes = np.zeros(words.size, dtype=np.int64)
    for cut in cuts:
        homes[np.unique(at[cut])] += 1
    most = max(float(np.mean(homes[at[cut]] > 1)) for cut in cuts)
    share = float(np.mean(np.isin(current, words)))
    if float(np.mean(np.isin(words, current))) > _SAME:
        return None
    if most > _ALIKE or share < most + max(5 * LEAST_SHARE, 0.5 * (1 - most)):
        return None
    sentence = (
        f"{percent(share)} of the rows stand in the reference already (of its own stretches at most {percent(most)} "
        "do): an old partition was delivered again."
    )
    return Break("", "stale_rows", share, share, 0.95, sentence[0].upper() + sentence[1:])


def _firsts(rows: int, window: int) -> list[int]:
    """Return where stretches of the window's length begin, overlapping where they must."""
    if window >= rows:
        return [0]
    return [int(first) for first in np.linspace(0, rows - window, MOST_STRETCHES)]


def _repeats(rows: Words) -> float:
    return 1.0 - np.unique(rows).size / rows.size if rows.size else 0.0

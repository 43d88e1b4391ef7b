"""Faults in a category: a value renamed, or one that sticks."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pitstop.diagnosis.breaks import Break
from pitstop.diagnosis.natural import HELD_AGAIN, longest_run, stretches
from pitstop.diagnosis.wording import percent, shown
from pitstop.statistics.significance import one_sided_only_p, rate_p

Ints = NDArray[np.int64]

FEWEST_VALUES = 30
RENAMED_SHARE = 0.03
RENAMED_LIKENESS = 0.7
# A column in which most values stand once is a name or an id: nothing in it can be renamed.
NAME_LIKE = 0.5
# A column in which one value never held more in any stretch is not one that is nearly constant by itself.
VARIED = 0.9
# How far the share of a renamed category may lie outside those of the reference's stretches.
_SLACK = 0.5


@dataclass(frozen=True)
class Categories:
    """Both sides in order of time: codes into `names` (the values of either side), -1 where missing."""

    names: tuple[str, ...]
    reference: Ints
    current: Ints

    def counts(self) -> tuple[Ints, Ints]:
        """Return the rows of each category on both sides."""
        size = len(self.names)
        before, after = (np.bincount(side[side >= 0], minlength=size) for side in (self.reference, self.current))
        return before.astype(np.int64), after.astype(np.int64)

    def habits(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the smallest and the largest share of each category over the reference's stretches."""
        size, shares = len(self.names), []
        for cut in stretches(self.reference.size, self.current.size) or (slice(None),):
            piece = self.reference[cut]
            counted = np.bincount(piece[piece >= 0], minlength=size)
            shares.append(counted / max(int(counted.sum()), 1))
        return np.min(shares, axis=0), np.max(shares, axis=0)


def find_renamed(column: str, sides: Categories, alpha: float) -> Break | None:
    """Return categories that vanished while new ones took their place, or None.

    The old one was in every stretch of the reference and the new one in none; the new share lies near those that the
    old one had, or the two names are alike.
    """
    before, after = sides.counts()
    rows, now = int(before.sum()), int(after.sum())
    if min(rows, now) < FEWEST_VALUES or (rows >= 50 and int((before > 0).sum()) > NAME_LIKE * rows):
        return None
    low, high = sides.habits()
    level, part = alpha / max(1, len(sides.names)), now / (rows + now)
    gone = [
        int(at)
        for at in np.flatnonzero((after == 0) & (before > 0) & (low > 0))
        if one_sided_only_p(int(before[at]), 1 - part) < level
    ]
    left = [
        int(at) for at in np.flatnonzero((before == 0) & (after > 0)) if one_sided_only_p(int(after[at]), part) < level
    ]
    pairs: list[tuple[int, int]] = []
    for old in sorted(gone, key=lambda at: -before[at]):
        near = [new for new in left if _same_place(sides.names, old, new, (low[old], high[old]), after[new] / now)]
        if not near:
            continue
        share = before[old] / rows
        best = max(near, key=lambda new: (alike(sides.names[old], sides.names[new]), -abs(after[new] / now - share)))
        pairs.append((old, best))
        left.remove(best)
    if not pairs:
        return None
    share = float(sum(after[new] for _, new in pairs) / now)
    named = ", ".join(f"{shown(sides.names[old])} is now {shown(sides.names[new])}" for old, new in pairs[:3])
    more = f" and {len(pairs) - 3} more" if len(pairs) > 3 else ""
    sentence = f"{column}: {named}{more}, with about the same share of the rows ({percent(share)}): renamed."
    return Break(column, "renamed_category", share, share, 0.95, sentence)


def _same_place(names: Sequence[str], old: int, new: int, habit: tuple[float, float], share: float) -> bool:
    if alike(names[old], names[new]) >= RENAMED_LIKENESS:
        return True
    # Among many small categories some new one always has the share of some old one: then the names must be alike.
    low, high = habit
    return high >= RENAMED_SHARE and low * (1 - _SLACK) <= share <= high * (1 + _SLACK)


def alike(old: str, new: str) -> float:
    """Return how much two names look alike, 0 to 1. Codes of digits are never alike."""
    if any(letter.isdigit() for letter in old) and old.casefold() != new.casefold():
        return 0.0
    if old.strip().casefold() == new.strip().casefold():
        return 1.0
    return difflib.SequenceMatcher(None, old.casefold(), new.casefold()).ratio()


def find_stuck_category(column: str, sides: Categories, alpha: float) -> Break | None:
    """Return a fault where one value fills a column in which no value did so in any stretch, nor for half as long."""
    before, after = sides.counts()
    rows, now = int(before.sum()), int(after.sum())
    if min(rows, now) < FEWEST_VALUES:
        return None
    top = int(np.argmax(after))
    share, rate = float(after[top] / now), float(before[top] / rows)
    most = float(sides.habits()[1].max())
    if share < 0.99 or most > VARIED or rate_p(int(before[top]), rows, int(after[top]), now) >= alpha:
        return None
    if int(after[top]) <= HELD_AGAIN * longest_run(sides.reference[sides.reference >= 0]):
        return None
    sentence = (
        f"{column}: {percent(share)} of the rows hold the one value {shown(sides.names[top])} ({percent(rate)} "
        "before): it looks stuck, or a default is filled in."
    )
    return Break(column, "stuck_value", share - rate, share, min(1.0, 0.5 + (share - most) / 2), sentence)

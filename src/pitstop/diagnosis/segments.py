"""The worst segments: where, by the values of one or two features, a model errs most.

Every pair of conditions is tried (SliceLine, Sagadeeva and Boehm, SIGMOD 2021, to depth 2), so the worst one looks
worse than it is. Therefore the newest part of the rows takes no part in the search, and a segment is told only where
its rows err more there as well, by a test that knows how many were carried over.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

# Groups of about equal size that a feature with many cells is cut into, and the most categories that are tried.
PARTS, MOST_VALUES = 4, 12
MOST_CONDITIONS = 150
# Rows of a segment at least: this share, and so many.
SUPPORT, FEWEST = 0.02, 30
# The search sees this share of the rows, the oldest; the rest confirms.
SEARCHED = 0.6
# Candidates that are put to the test, and segments that are told.
CARRIED, TOLD = 20, 3
# A segment of two conditions must be worse than the better of its one-condition ones by so much of their gap.
_WORTH_IT = 1.2
_LEVEL = 0.05
# Where more of a segment's rows than this lie in another one, it says the same.
_SAME = 0.7


@dataclass(frozen=True)
class Cells:
    """A feature as codes of its cells, -1 where missing, with their names (of `NumericBins` where `ordered`)."""

    codes: NDArray[np.int32]
    names: tuple[str, ...]
    ordered: bool


@dataclass(frozen=True)
class Condition:
    """Rows whose feature lies in the cells `first` to `last`; -1 and -1: those where it is missing."""

    column: str
    first: int
    last: int
    text: str


@dataclass(frozen=True)
class Segment:
    """Rows that meet one or two conditions: their mean loss and that of all others, in the rows that confirmed it.

    `low`, `high`: 95% interval of the difference. `share`: of all rows. `rows`: confirming rows in it. `effect`: the
    difference over the root mean square of both standard deviations.
    """

    conditions: tuple[Condition, ...]
    rows: int
    share: float
    mean: float
    others: float
    low: float
    high: float
    effect: float

    @property
    def text(self) -> str:
        """The conditions in words."""
        return " and ".join(item.text for item in self.conditions)


def worst_segments(features: Mapping[str, Cells], losses: Floats) -> tuple[Segment, ...]:
    """Return up to three segments in which the mean loss is highest, the greatest excess (share x gap) first.

    `losses` float64[rows] are of rows in order of time: errors, or what an error exceeds its expectation by. A constant
    column makes no condition. None is told without enough rows, or where nothing is confirmed.
    """
    rows = losses.size
    cut = int(rows * SEARCHED)
    if min(cut, rows - cut) < 2 * FEWEST or float(np.ptp(losses)) == 0.0:
        return ()
    conditions, members = _conditions(features, slice(0, cut))
    found = _search(members[:, :cut].astype(np.float64), losses[:cut], [item.column for item in conditions])
    chosen: list[tuple[tuple[int, ...], NDArray[np.bool_]]] = []
    for places in found:
        inside = np.logical_and.reduce(members[list(places)])
        if not any((inside & other).sum() > _SAME * min(inside.sum(), other.sum()) for _, other in chosen):
            chosen.append((places, inside))
        if len(chosen) == CARRIED:
            break
    limit = -float(ndtri(_LEVEL / max(len(chosen), 1)))
    told = []
    for places, inside in chosen:
        segment = _confirmed(tuple(conditions[at] for at in places), inside[cut:], losses[cut:], limit)
        if segment is not None:
            told.append(segment)
    told.sort(key=lambda item: -item.share * (item.mean - item.others))
    return tuple(told[:TOLD])


def _conditions(features: Mapping[str, Cells], searched: slice) -> tuple[list[Condition], NDArray[np.bool_]]:
    """Return the conditions, and which rows meet each: bool[conditions, rows]. The searched rows decide on the cuts."""
    found: list[Condition] = []
    members: list[NDArray[np.bool_]] = []
    for name, cells in features.items():
        counts = np.bincount(cells.codes[searched] + 1, minlength=len(cells.names) + 1)
        spans = [(-1, -1)] if counts[0] else []
        known = counts[1:]
        if cells.ordered:
            spans += _quarters(known)
        else:
            often = np.argsort(-known, kind="stable")[:MOST_VALUES]
            spans += [(int(at), int(at)) for at in often if known[at]]
        if len(spans) < 2:
            continue
        for first, last in spans:
            inside = (cells.codes >= first) & (cells.codes <= last)
            if inside[searched].sum() >= max(FEWEST, SUPPORT * counts.sum()):
                found.append(Condition(name, first, last, _text(name, cells, first, last)))
                members.append(inside)
        if len(found) >= MOST_CONDITIONS:
            break
    rows = next(iter(features.values())).codes.size if features else 0
    return found, np.array(members, dtype=np.bool_).reshape(len(found), rows)


def _quarters(counts: Ints) -> list[tuple[int, int]]:
    """Return runs of neighbouring cells that hold about a quarter of the values each."""
    below = np.cumsum(counts)
    if not below.size or not below[-1]:
        return []
    part = np.minimum((below - counts / 2) * PARTS / below[-1], PARTS - 1).astype(np.int64)
    spans = []
    for at in range(PARTS):
        filled = np.flatnonzero((part == at) & (counts > 0))
        if filled.size:
            spans.append((int(filled[0]), int(filled[-1])))
    return spans


def _text(name: str, cells: Cells, first: int, last: int) -> str:
    if first < 0:
        return f"{name} is missing"
    one, other = cells.names[first], cells.names[last]
    if not cells.ordered:
        return f"{name} = {one}"
    if first == last:
        return f"{name} {one}"
    end = other.split(" to ")[-1]
    if one.startswith("below "):
        return f"{name} below {end}"
    begin = one.split(" to ")[0]
    return f"{name} from {begin}" if other.startswith("above ") else f"{name} {begin} to {end}"


def _search(members: Floats, losses: Floats, columns: Sequence[str]) -> list[tuple[int, ...]]:
    """Return conditions and pairs of them by how far they lie above the rest, in standard errors, the worst first."""
    rows, total = losses.size, float(losses.sum())
    least = max(FEWEST, SUPPORT * rows)
    spread = float(np.var(losses))
    n = members @ members.T
    sums = (members * losses) @ members.T
    with np.errstate(divide="ignore", invalid="ignore"):
        gap = sums / n - (total - sums) / (rows - n)
        score = np.where((n >= least) & (rows - n >= least), gap / np.sqrt(spread * (1 / n + 1 / (rows - n))), -np.inf)
    alone = np.diag(gap)
    better = np.maximum(alone[:, np.newaxis], alone[np.newaxis])
    score = np.where(gap >= _WORTH_IT * np.maximum(better, 0.0), score, -np.inf)
    score[np.diag_indices_from(score)] = np.where(
        np.diag(n) >= least, alone / np.sqrt(spread * (1 / np.diag(n))), -np.inf
    )
    ranked = []
    for one, other in itertools.combinations_with_replacement(range(len(columns)), 2):
        if (
            np.isfinite(score[one, other])
            and score[one, other] > 0
            and (one == other or columns[one] != columns[other])
        ):
            ranked.append((float(score[one, other]), (one,) if one == other else (one, other)))
    return [places for _, places in sorted(ranked, key=lambda item: (-item[0], item[1]))]


def _confirmed(
    conditions: tuple[Condition, ...], inside: NDArray[np.bool_], losses: Floats, limit: float
) -> Segment | None:
    """Return the segment as the confirming rows show it; None where they do not show it."""
    mine, others = losses[inside], losses[~inside]
    if min(mine.size, others.size) < FEWEST:
        return None
    gap, variances = float(mine.mean() - others.mean()), (float(mine.var()), float(others.var()))
    # Half of an error more and less, so that a segment in which every row errs has a variance as well.
    pooled = float(losses.var())
    error = float(
        np.sqrt(
            max(variances[0], pooled / mine.size) / mine.size + max(variances[1], pooled / others.size) / others.size
        )
    )
    if error == 0.0 or gap <= limit * error:
        return None
    deviation = float(np.sqrt(sum(variances) / 2)) or float(np.sqrt(pooled))
    return Segment(
        conditions,
        int(mine.size),
        mine.size / losses.size,
        float(mine.mean()),
        float(others.mean()),
        gap - 1.96 * error,
        gap + 1.96 * error,
        gap / deviation,
    )

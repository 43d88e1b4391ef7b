"""Two columns whose values changed places in some rows."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pitstop.diagnosis.breaks import Break
from pitstop.diagnosis.natural import FEWEST_ROWS, stretches
from pitstop.diagnosis.wording import percent

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

CELLS = 50
# A row counts as swapped where it is so many times likelier with its two values exchanged.
TIMES_LIKELIER, EACH_LIKELIER = 1000.0, 10.0
LEAST_SHARE = 0.02
MOST_COLUMNS = 40


@dataclass(frozen=True)
class Family:
    """Columns that share their cells: codes of both sides, -1 where missing, by column."""

    cells: int
    reference: Mapping[str, Ints]
    current: Mapping[str, Ints]


def numeric_family(reference: Mapping[str, Floats], current: Mapping[str, Floats]) -> Family:
    """Return numeric columns over the quantiles of all of them together, each weighing the same."""
    finite = [side[np.isfinite(side)] for side in reference.values()]
    pooled = [np.quantile(known, np.linspace(0, 1, CELLS)) for known in finite if known.size]
    edges = np.unique(np.concatenate(pooled)) if pooled else np.zeros(1)

    def coded(side: Mapping[str, Floats]) -> dict[str, Ints]:
        return {
            name: np.where(np.isfinite(values), np.searchsorted(edges, values, side="right"), -1)
            for name, values in side.items()
        }

    return Family(edges.size + 1, coded(reference), coded(current))


def find_swapped(family: Family, explained: Callable[[str], bool] = lambda _: False) -> list[Break]:
    """Return pairs of columns of which more rows look exchanged than in any stretch of the reference.

    A row looks exchanged where the product of its values' shares in the *other's* reference is 1,000 times that in
    their own (add-half smoothed, columns taken as independent), and each value alone is ten times likelier there. A
    pair is told under its first column. `explained` says that another fault is known of a column.
    """
    names = list(family.reference)[:MOST_COLUMNS]
    if any(side[name].size < FEWEST_ROWS for name in names for side in (family.reference, family.current)):
        return []
    logs = {name: _log_shares(family.reference[name], family.cells) for name in names}
    found = []
    for one, other in itertools.combinations(names, 2):
        now = _likelier(logs, (one, other), (family.current[one], family.current[other]))
        share = float(np.mean(now)) if now.size else 0.0
        if share < LEAST_SHARE:
            continue
        before = _likelier(logs, (one, other), (family.reference[one], family.reference[other]))
        cuts = stretches(before.size, now.size) or (slice(None),)
        most = max(float(np.mean(before[cut])) for cut in cuts)
        if share < max(2.0 * most, most + LEAST_SHARE) or explained(one) or explained(other):
            continue
        sentence = (
            f"{one}: in {percent(share)} of the rows it looks exchanged with {other} ({percent(most)} before at most)."
        )
        found.append(Break(one, "swapped_columns", share, share, 0.7, sentence))
    return _told_once(found)


def _log_shares(codes: Ints, cells: int) -> Floats:
    counts = np.bincount(codes[codes >= 0], minlength=cells) + 0.5
    return np.asarray(np.log(counts / counts.sum()), dtype=np.float64)


def _likelier(logs: Mapping[str, Floats], names: tuple[str, str], codes: Sequence[Ints]) -> NDArray[np.bool_]:
    first, second = logs[names[0]], logs[names[1]]
    known = (codes[0] >= 0) & (codes[1] >= 0)
    one, other = np.maximum(codes[0], 0), np.maximum(codes[1], 0)
    here, there = second[one] - first[one], first[other] - second[other]
    # Each value alone must look like the other column's: a column that moved by itself is no exchange.
    apart = np.minimum(here, there) > np.log(EACH_LIKELIER)
    return np.asarray(known & apart & (here + there > np.log(TIMES_LIKELIER)), dtype=np.bool_)


def _told_once(found: list[Break]) -> list[Break]:
    """Return the clearest pair of each first column."""
    best: dict[str, Break] = {}
    for item in sorted(found, key=lambda item: -item.share):
        best.setdefault(item.column, item)
    return list(best.values())

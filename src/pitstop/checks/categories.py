"""Categories in two tables: never seen, vanished, drift of their shares. Faults stand in `pitstop.diagnosis`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow.compute as pc
from numpy.typing import NDArray

from pitstop.checks.findings import Finding, Kind, Severity
from pitstop.checks.pairs import FEWEST_ROWS, SMALL, Pair, by_distance, percent, shown
from pitstop.diagnosis.categories import NAME_LIKE
from pitstop.records import columns as convert
from pitstop.records.facts import ColumnFacts
from pitstop.statistics.distances import psi
from pitstop.statistics.significance import counts_p, one_sided_only_p, rate_p


@dataclass(frozen=True)
class Counts:
    """Rows per category on both sides, over the categories of either side in a fixed order."""

    names: tuple[str, ...]
    reference: NDArray[np.int64]
    current: NDArray[np.int64]

    @property
    def rows(self) -> tuple[int, int]:
        """Rows with a value, on both sides."""
        return int(self.reference.sum()), int(self.current.sum())


def count_categories(pair: Pair) -> Counts:
    """Return the counts of both sides, in order of falling counts in the reference, then of names."""
    before, after = _counted(pair.reference), _counted(pair.current)
    names = sorted(before.keys() | after.keys(), key=lambda name: (-before.get(name, 0), name))
    first = np.array([before.get(name, 0) for name in names], dtype=np.int64)
    return Counts(tuple(names), first, np.array([after.get(name, 0) for name in names], dtype=np.int64))


def compare_categories(pair: Pair, kind: Kind = "drift") -> list[Finding]:
    """Return the findings on a column of categories, most specific first.

    Nulls are compared as missing values, not here.
    """
    counts = count_categories(pair)
    rows, current_rows = counts.rows
    if min(rows, current_rows) < FEWEST_ROWS:
        return []
    if rows >= 50 and int((counts.reference > 0).sum()) > NAME_LIKE * rows:
        return []
    found = _unseen(pair, counts)
    found += _vanished(pair, counts)
    distance = float(np.abs(counts.reference / rows - counts.current / current_rows).sum() / 2)
    if distance >= SMALL and counts_p(counts.reference, counts.current) < pair.alpha:
        moved = int(np.argmax(np.abs(counts.reference / rows - counts.current / current_rows)))
        before, after = counts.reference[moved] / rows, counts.current[moved] / current_rows
        word = {"label_shift": "the label's classes", "score_drift": "the predicted classes"}.get(
            kind, "the shares of its categories"
        )
        sentence = (
            f"{pair.name}: {word} changed, most of all {shown(counts.names[moved])}: {percent(before)}, now "
            f"{percent(after)} "
            f"({percent(distance)} of the rows moved, PSI {psi(counts.reference, counts.current):.2f})."
        )
        found.append(Finding(pair.name, kind, by_distance(distance), distance, sentence))
    return found


def _counted(facts: ColumnFacts) -> dict[str, int]:
    counted = pc.value_counts(convert.texts(facts.column, facts.name).drop_null())
    return dict(zip(counted.field("values").to_pylist(), counted.field("counts").to_pylist(), strict=True))


def _surprising(pair: Pair, counts: Counts) -> tuple[list[int], list[int]]:
    """Return the categories that vanished and those that are new, beyond what chance does to rare ones."""
    rows, current_rows = counts.rows
    share = current_rows / (rows + current_rows)
    level = pair.alpha / max(1, len(counts.names))
    gone = [
        at
        for at in np.flatnonzero((counts.current == 0) & (counts.reference > 0))
        if one_sided_only_p(int(counts.reference[at]), 1 - share) < level
    ]
    new = [
        at
        for at in np.flatnonzero((counts.reference == 0) & (counts.current > 0))
        if one_sided_only_p(int(counts.current[at]), share) < level
    ]
    return [int(at) for at in gone], [int(at) for at in new]


def _unseen(pair: Pair, counts: Counts) -> list[Finding]:
    rows, current_rows = counts.rows
    _, new = _surprising(pair, counts)
    never = (counts.reference == 0) & (counts.current > 0)
    # Many categories of one row each: compared with the categories of one row that only the reference has.
    once = int(np.sum(never & (counts.current == 1)))
    once_before = int(np.sum((counts.current == 0) & (counts.reference == 1)))
    if not new and rate_p(once_before, rows, once, current_rows) >= pair.alpha:
        return []
    if not new and once / current_rows <= once_before / rows:
        return []
    share = float(counts.current[never].sum() / pair.current_rows)
    largest = np.flatnonzero(never)[np.argsort(-counts.current[never], kind="stable")][:3]
    named = ", ".join(shown(counts.names[at]) for at in largest)
    many = int(never.sum())
    sentence = (
        f"{pair.name}: {percent(share)} of the rows hold {many} categor{'y' if many == 1 else 'ies'} never seen in "
        "the reference "
        f"({named}{', ...' if many > 3 else ''})."
    )
    severity: Severity = "critical" if share >= 0.1 else "warning" if share >= 0.01 else "info"
    return [Finding(pair.name, "unseen_categories", severity, share, sentence)]


def _vanished(pair: Pair, counts: Counts) -> list[Finding]:
    rows, _ = counts.rows
    gone, _ = _surprising(pair, counts)
    share = float(sum(counts.reference[at] for at in gone) / rows)
    if share < 0.01:
        return []
    named = ", ".join(shown(counts.names[at]) for at in gone[:3])
    sentence = (
        f"{pair.name}: {len(gone)} categor{'y' if len(gone) == 1 else 'ies'} with {percent(share)} of the reference's "
        "rows no longer "
        f"occur{'s' if len(gone) == 1 else ''} ({named}{', ...' if len(gone) > 3 else ''})."
    )
    return [Finding(pair.name, "vanished_category", by_distance(share), share, sentence)]

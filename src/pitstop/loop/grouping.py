"""Groups of people by protected column: which there are, fixed on the reference, and what was decided about each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pitstop.loop.rowlog import RowLog
from pitstop.monitors.groups import FPR, SELECTION, TPR, stream_name
from pitstop.records.spec import ModelSpec

# A group of fewer of the reference's rows is too small to watch; more groups than this share too little of the budget.
SMALL_SHARE, FEWEST, MOST_GROUPS = 0.02, 100, 12

Ints = NDArray[np.int64]
Groups = tuple[tuple[str, tuple[str, ...]], ...]


def fit_groups(spec: ModelSpec, log: RowLog, rows: Ints) -> Groups:
    """Return the groups to watch: of each protected column, and of all together, the largest of the reference `rows`.

    Only of a binary model: of others nobody is selected. A column that is a numeric feature has no groups.
    """
    protected = _protected(spec, log)
    if spec.model.task != "binary" or not len(rows):
        return ()
    sets = [(name,) for name in protected] + ([tuple(protected)] if len(protected) > 1 else [])
    found = []
    for columns in sets:
        names, place = _named(log, columns, rows)
        counts = np.bincount(place[place >= 0], minlength=len(names))
        order = np.argsort(-counts, kind="stable")[:MOST_GROUPS]
        large = [names[at] for at in order if counts[at] >= max(FEWEST, SMALL_SHARE * len(rows))]
        if len(large) > 1:
            found.append((" x ".join(columns), tuple(sorted(large))))
    return tuple(found)


def count_groups(
    spec: ModelSpec,
    log: RowLog,
    groups: Groups,
    made: tuple[Ints, NDArray[Any]],
    cohort: tuple[Ints, NDArray[Any]],
) -> Mapping[str, tuple[Ints, Ints]]:
    """Return (selected, rows) of each group by stream.

    `made`: the rows of a window and what was decided about them. `cohort`: labelled rows of a fixed age, and the same.
    """
    positive = spec.decision.positive
    found = {}
    protected = _protected(spec, log)
    for column, names in groups:
        # All of them together, where it is not one: a column's own name may hold an " x ", too.
        columns = (column,) if column in protected else tuple(protected)
        rows, decided = made
        found[stream_name(SELECTION, column)] = _chosen(log, columns, names, rows, decided == positive)
        rows, decided = cohort
        is_positive = log.labels[rows] == positive
        for rate, kept in ((TPR, is_positive), (FPR, ~is_positive)):
            found[stream_name(rate, column)] = _chosen(log, columns, names, rows[kept], decided[kept] == positive)
    return found


def _protected(spec: ModelSpec, log: RowLog) -> list[str]:
    return [name for name in spec.columns.protected if log.values(name).dtype == np.int32]


def _chosen(
    log: RowLog, columns: Sequence[str], names: Sequence[str], rows: Ints, chosen: NDArray[np.bool_]
) -> tuple[Ints, Ints]:
    known, place = _named(log, columns, rows)
    wanted = {name: at for at, name in enumerate(names)}
    table = np.array([*(wanted.get(name, -1) for name in known), -1], dtype=np.int64)
    at = table[place]
    counts = [np.bincount(at[use], minlength=len(names)) for use in ((at >= 0) & chosen.astype(np.bool_), at >= 0)]
    return counts[0].astype(np.int64), counts[1].astype(np.int64)


def _named(log: RowLog, columns: Sequence[str], rows: Ints) -> tuple[list[str], Ints]:
    """Return the groups that the rows are of, and each row's place among them (-1: a value is missing)."""
    codes = np.stack([log.values(name)[rows] for name in columns], axis=1)
    met, place = np.unique(codes, axis=0, return_inverse=True)
    words = [log.words(name) for name in columns]
    names: list[str] = []
    table = np.full(len(met), -1, dtype=np.int64)
    for at, row in enumerate(met.tolist()):
        if min(row) >= 0:
            table[at] = len(names)
            names.append(" / ".join(known[code] for known, code in zip(words, row, strict=True)))
    return names, table[place.reshape(-1)] if len(met) else np.zeros(0, dtype=np.int64)

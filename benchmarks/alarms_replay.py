"""One replay of `benchmarks alarms`: days in a random order, a reference fitted on the first, the rest watched.

The reference goes through the product's own `fit_reference` and `Watch`, with their settings; later windows are
counted by its engine and read by its monitors. Only the loop around them (training, decisions, books) is left out.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from benchmarks.alarms_sets import DAY, MOST_DAYS, Case
from pitstop.baseline.baseline import Baseline
from pitstop.baseline.maturity import cohort_ages
from pitstop.detection.streams import Finding
from pitstop.engines.base import Piece
from pitstop.engines.local import LocalEngine
from pitstop.loop.reference import REFERENCE_WINDOWS, fit_reference, row_errors
from pitstop.loop.rowlog import RowLog
from pitstop.loop.watch import Table, Watch
from pitstop.monitors.base import WindowCounts
from pitstop.profile import OutcomeProfile
from pitstop.statistics.layout import Layout

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
FIRST = 700  # number of the first window; a Monday, far from 0
MONTH = 30.0


@dataclass(frozen=True)
class Run:
    """Slots 0, 1, ... of a replay in order: `rows[slot]` are rows of the case, `phases` the slots' weekdays.

    `watch` is fitted on the first `REFERENCE_WINDOWS` slots. `errors` float64 by row of the case. `table` counts the
    watched slots.
    """

    case: Case
    rows: tuple[Ints, ...]
    phases: Ints
    baseline: Baseline
    watch: Watch
    errors: Floats
    table: Table

    @property
    def watched(self) -> int:
        """Number of watched windows."""
        return len(self.rows) - REFERENCE_WINDOWS

    @property
    def months(self) -> float:
        """Watched months of the promise."""
        return self.watched / MONTH


def order(case: Case, how: str, seed: int) -> tuple[tuple[Ints, ...], Ints]:
    """Return the rows of each slot and its weekday: whole days in random order, or all their rows as well ("rows")."""
    rng = np.random.default_rng([seed, len(case.day)])
    groups = np.unique(case.group)
    days = np.flatnonzero(case.group == groups[seed % len(groups)])
    chosen = rng.permutation(days)[:MOST_DAYS]
    starts = case.starts
    rows = [np.arange(starts[day], starts[day + 1]) for day in chosen]
    if how == "rows":
        mixed = rng.permutation(np.concatenate(rows))
        rows = np.split(mixed, np.cumsum([len(part) for part in rows])[:-1])
    return tuple(rows), case.weekday[chosen]


def start(case: Case, how: str, seed: int) -> Run:
    """Fit the reference of a random order and count what follows."""
    rows, phases = order(case, how, seed)
    baseline, watch = _fitted(case, rows[:REFERENCE_WINDOWS], phases)
    errors = row_errors(case.spec, case.decided, case.labels)
    table = counted(case, baseline, rows, phases, errors, range(REFERENCE_WINDOWS, len(rows)))
    return Run(case, rows, phases, baseline, watch, errors, table)


def _fitted(case: Case, rows: tuple[Ints, ...], phases: Ints) -> tuple[Baseline, Watch]:
    """Fit the layout, the baseline and the detectors on the reference, as a loop does at its start."""
    spec, calendar = case.spec, case.spec.calendar
    chosen = np.concatenate(rows)
    slots = np.repeat(np.arange(len(rows)), [len(part) for part in rows])
    first = 0 if calendar.by_rows else FIRST
    at = np.arange(len(chosen), dtype=np.int64) if calendar.by_rows else (first + slots) * DAY
    known = np.array([calendar.window_start(int(window) + 1) - 1 for window in range(first, first + 2 * len(rows))])
    lag = case.lag[chosen]
    arrives = slots + lag
    label_at = np.where(arrives < len(rows), known[np.minimum(arrives, len(rows))], np.iinfo(np.int64).max)
    log = RowLog(spec)
    features = case.table.take(pa.array(chosen))
    columns = {"@id": pa.array([str(row) for row in chosen]), "@at": pa.array(at)}
    log.append(pa.table(columns | {name: features[name] for name in features.column_names}))
    every = np.arange(len(chosen), dtype=np.int64)
    come = every[arrives < len(rows)]
    log.set_labels(come, case.labels[chosen][come], label_at[come])
    log.fresh_score.values[every], log.fresh_class.values[every] = case.scores[chosen], case.decided[chosen]
    regression = spec.model.task == "regression"
    shown = case.labels[chosen].copy()
    shown[arrives >= len(rows)] = np.nan if regression else None
    label = pa.array(shown, type=pa.float64() if regression else pa.string(), from_pandas=True)
    predictions = case.decided[chosen].astype(np.float64) if regression else None
    layout = Layout.fit(spec, features.append_column("@label", label), predictions=predictions)
    waiting = len(rows) - slots[arrives >= len(rows)]
    ages = cohort_ages(lag[arrives < len(rows)], waiting, REFERENCE_WINDOWS // 2)
    reference = fit_reference(spec, layout, log, before=first + len(rows), owner="benchmark", ages=ages, first_fit=True)
    table = Table.of(spec, reference.baseline, reference.windows)
    own = np.array([phases[window.window - first] for window in reference.windows], dtype=np.int64)
    return reference.baseline, Watch.fit_table(spec, reference.baseline, replace(table, phases=own))


def counted(
    case: Case,
    baseline: Baseline,
    rows: tuple[Ints, ...],
    phases: Ints,
    errors: Floats,
    slots: Iterable[int],
    features: dict[int, tuple[pa.Table, Floats, NDArray[Any]]] | None = None,
) -> Table:
    """Count some slots. `features` replaces the rows, scores and decisions of a slot by others."""
    layout = baseline.layout
    cohorts = _cohorts(case, baseline, rows, errors)
    pieces, chosen = [], list(slots)
    for slot in chosen:
        own = rows[slot]
        given = (features or {}).get(slot)
        table, scores, decided = given or (case.table.take(pa.array(own)), case.scores[own], case.decided[own])
        kind = pa.float64() if case.spec.model.task == "regression" else pa.string()
        pieces.append(
            Piece(slot, table, scores, pa.array(decided, type=kind), np.zeros(table.num_rows, dtype=np.int64))
        )
    empty = OutcomeProfile.empty(layout)
    profiles = dict(LocalEngine().profile(pieces, layout))
    windows = [WindowCounts(slot, profiles[slot], empty, cohorts(slot)) for slot in chosen]
    return replace(Table.of(case.spec, baseline, windows), phases=phases[chosen])


def _cohorts(case: Case, baseline: Baseline, rows: tuple[Ints, ...], errors: Floats) -> Any:
    """Return what the cohorts of a slot hold: the rows of `age` slots before whose labels have come by its end."""
    edges = baseline.layout.outcome_bins.error_edges

    def found(slot: int) -> tuple[tuple[tuple[int, ...], int], ...]:
        cells = []
        for age in baseline.ages:
            own = rows[slot - age][case.lag[rows[slot - age]] <= age]
            wrong = errors[own]
            counts = tuple(int((wrong >= edge).sum()) for edge in edges) if edges else (int(wrong.sum()),)
            cells.append((counts, len(own)))
        return tuple(cells)

    return found


def stepped(watch: Watch, table: Table, first: int, windows: int | None = None) -> tuple[Watch, list[Finding]]:
    """Step through the windows of a table (all, or the first `windows`), numbered from `first`."""
    found: list[Finding] = []
    for place in range(len(table) if windows is None else windows):
        watch, findings = watch.step_counts(
            first + place,
            int(table.phases[place]),
            table.k[place],
            table.n[place],
            table.rows[place].tolist(),
            table.spreads[place],
        )
        found += findings
    return watch, found

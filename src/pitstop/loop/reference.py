"""Fits the baseline of a release from the rows before it, each scored by a model that had not seen its label."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import reduce
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pitstop.baseline.baseline import (
    Baseline,
    calibrate,
    calibrator_draws,
    cell_codes,
    quantile_edges,
    surrogate_importance,
)
from pitstop.baseline.expectation import Said, fit_expectation
from pitstop.baseline.margins import MOST_ROWS, fit_margins
from pitstop.baseline.tree import LeafTree, fit_tree
from pitstop.engines.base import Piece
from pitstop.engines.local import LocalEngine
from pitstop.loop.grouping import Groups, count_groups, fit_groups
from pitstop.loop.rowlog import RowLog, given
from pitstop.monitors.base import WindowCounts
from pitstop.profile import Layout, OutcomeProfile, Profile, profile_outcomes
from pitstop.records.identity import artifact_id
from pitstop.records.spec import ModelSpec
from pitstop.statistics.bins import BINS
from pitstop.statistics.cells import Cells, LeafBins

# Days of a quarter: long enough for weekdays, short enough to be recent.
REFERENCE_WINDOWS = 90

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Reference:
    """A baseline and the windows that it was fitted on, oldest first."""

    baseline: Baseline
    windows: tuple[WindowCounts, ...]


@dataclass(frozen=True)
class Labelled:
    """Rows whose labels arrived: what a model said of them, the labels, the leaves and the errors."""

    scores: Floats
    decided: NDArray[Any]
    labels: NDArray[Any]
    leaves: NDArray[np.integer[Any]]
    errors: Floats


@dataclass(frozen=True)
class Cohorts:
    """(wrong, labelled) of the cohort of each age, and of the one of middle age the errors by leaf, and its rows."""

    counts: tuple[tuple[tuple[int, ...], int], ...]
    cells: Cells
    middle: Ints


def fit_reference(
    spec: ModelSpec, layout: Layout, log: RowLog, *, before: int, owner: str, ages: tuple[int, ...], first_fit: bool
) -> Reference:
    """Fit the baseline of the model `owner` on the `REFERENCE_WINDOWS` windows before window `before`.

    Only rows with an out-of-sample score count (`log.fresh_*`), and only labels known before it. The leaf tree is
    fitted on rows labelled in even windows; the cells that it is compared with come from odd ones. `first_fit` says
    that the layout was fitted on these very rows.
    """
    calendar = spec.calendar
    first, end = before - REFERENCE_WINDOWS, calendar.window_start(before)
    known = _scored(log)
    start = calendar.window_start(first)
    predicted = np.flatnonzero(known & (log.at >= start) & (log.at < end))
    labelled = np.flatnonzero(known & (log.first_label_at >= start) & (log.first_label_at < end))
    errors = row_errors(spec, log.fresh_class.values[labelled], log.labels[labelled])
    even = calendar.window_of(log.first_label_at[labelled]) % 2 == 0
    tree = fit_tree(_codes(layout, log, labelled[even]), errors[even])
    groups = fit_groups(spec, log, predicted)
    windows = _windows(spec, layout, log, tree, (first, before), (predicted, labelled, errors), ages, groups)
    if first_fit:
        novel = _novel(spec, log, before)
        windows = tuple(_with_novel(window, novel) for window in windows)
    profile = reduce(Profile.merged, (window.profile for window in windows), Profile.empty(layout))
    outcomes = reduce(OutcomeProfile.merged, (window.outcomes for window in windows), OutcomeProfile.empty(layout))
    odd = [window.cells for window in windows if window.window % 2 and window.cells is not None]
    cells = reduce(Cells.merged, odd, Cells.empty(LeafBins()))
    scores = profile.scores
    importance = surrogate_importance(_codes(layout, log, predicted), _output(spec, log, predicted), names_of(layout))
    held_out = np.flatnonzero(~even)
    held_out = held_out[np.linspace(0, held_out.size - 1, min(held_out.size, MOST_ROWS)).astype(np.int64)]
    codes = _codes(layout, log, labelled[held_out])
    baseline = Baseline(
        id=artifact_id("baseline", {"owner": owner, "at": end, "profile": profile.id, "outcomes": outcomes.id}),
        at=end,
        layout=layout,
        tree=tree,
        calibrated=calibrate(outcomes),
        calibrator_draws=calibrator_draws(outcomes),
        score_edges=quantile_edges(scores.by_score) if scores.bins.prediction is None else (),
        importance=importance,
        profile=profile,
        outcomes=outcomes,
        cells=cells,
        windows=(first, before - 1),
        ages=ages if outcomes.labelled else (),
        unit="" if calendar.by_rows else str(calendar.window),
        expectation=fit_expectation(layout, _said(layout, log, labelled), log.labels[labelled]),
        breaks=True,
        groups=groups,
        margins=fit_margins(layout, importance, codes, tree.apply(codes), errors[held_out]),
    )
    return Reference(baseline, windows)


def names_of(layout: Layout) -> tuple[str, ...]:
    """Return the features in the order of their cell codes: numbers, then categories."""
    return tuple(name for name, _ in (*layout.numeric, *layout.categorical))


def row_errors(spec: ModelSpec, decided: NDArray[Any], labels: NDArray[Any]) -> Floats:
    """Return the error of each row: 0 or 1 for classes, the absolute error for a regression; NaN without a decision."""
    if spec.model.task == "regression":
        return np.asarray(np.abs(decided.astype(np.float64) - labels.astype(np.float64)))
    known = given(decided)
    if spec.model.task == "binary":
        # The negative class of a score that comes without a decision has no name: only the positive one is compared.
        decided, labels = decided == spec.decision.positive, labels == spec.decision.positive
    return np.where(known, (decided != labels).astype(np.float64), np.nan)


def window_counts(
    layout: Layout,
    window: int,
    *,
    rows: pa.Table,
    outputs: tuple[Floats, NDArray[Any]],
    leaves: NDArray[np.integer[Any]],
    labelled: Labelled,
    cohorts: Cohorts,
    groups: Mapping[str, tuple[Ints, Ints]],
) -> WindowCounts:
    """Count one window: rows predicted in it with their (scores, decisions) and leaves, and rows labelled in it."""
    scores, decided = outputs
    piece = Piece(window, rows, scores, _column(layout, decided), leaves)
    ((_, profile),) = LocalEngine().profile([piece], layout)
    outcomes = profile_outcomes(
        layout,
        labelled.scores,
        _column(layout, labelled.decided),
        _column(layout, labelled.labels),
        labelled.leaves,
        labelled.errors,
    )
    return WindowCounts(window, profile, outcomes, cohorts.counts, cohorts.cells, groups=groups)


def cohort_errors(
    spec: ModelSpec,
    layout: Layout,
    log: RowLog,
    said: tuple[NDArray[Any], Ints],
    window: int,
    ages: tuple[int, ...],
) -> Cohorts:
    """Count the cohorts of a window: the rows predicted `age` windows before it, with the labels known by its end.

    `said` is what the model says of every row of the log, and its leaf. For a regression errors at or above each edge
    are counted. The cells are those of the middle age.
    """
    decided, leaves = said
    calendar, found = spec.calendar, []
    cells, middle = Cells.empty(LeafBins()), np.zeros(0, dtype=np.int64)
    end = calendar.window_start(window + 1)
    edges = layout.outcome_bins.error_edges
    for age in ages:
        start, stop = calendar.window_start(window - age), calendar.window_start(window - age + 1)
        rows = log.predicted_between(start, stop)
        rows = rows[log.label_at[rows] < end]
        rows = rows[given(decided[rows])]
        errors = row_errors(spec, decided[rows], log.labels[rows])
        wrong = tuple(int((errors >= edge).sum()) for edge in edges) if edges else (int(errors.sum()),)
        found.append((wrong, len(rows)))
        if age == ages[len(ages) // 2]:
            cells, middle = cells.updated(leaves[rows], errors), rows
    return Cohorts(tuple(found), cells, middle)


def _scored(log: RowLog) -> NDArray[np.bool_]:
    return given(log.fresh_class.values)


def _column(layout: Layout, values: NDArray[Any]) -> pa.Array:
    return pa.array(values, type=pa.float64() if layout.outcome_bins.prediction is not None else pa.string())


def _codes(layout: Layout, log: RowLog, rows: Ints) -> NDArray[np.int32]:
    return cell_codes(layout, log.features(rows), log.fresh_score.values[rows], log.fresh_class.values[rows])


def _said(layout: Layout, log: RowLog, rows: Ints) -> Said:
    return Said(_codes(layout, log, rows), log.fresh_score.values[rows], log.fresh_class.values[rows])


def _output(spec: ModelSpec, log: RowLog, rows: Ints) -> Floats:
    if spec.model.task == "regression":
        return np.asarray(log.fresh_class.values[rows], dtype=np.float64)
    scores = log.fresh_score.values[rows]
    if np.isnan(scores).all():
        _, codes = np.unique(log.fresh_class.values[rows].astype(str), return_inverse=True)
        return codes.astype(np.float64)
    return np.asarray(np.nan_to_num(scores, nan=0.5), dtype=np.float64)


def _windows(
    spec: ModelSpec,
    layout: Layout,
    log: RowLog,
    tree: LeafTree,
    span: tuple[int, int],
    rows: tuple[Ints, Ints, Floats],
    ages: tuple[int, ...],
    groups: Groups,
) -> tuple[WindowCounts, ...]:
    """Count every window of the span that has rows predicted or labels arrived."""
    predicted, labelled, errors = rows
    calendar = spec.calendar
    predicted_in = calendar.window_of(log.at[predicted])
    labelled_in = calendar.window_of(log.first_label_at[labelled])
    leaf = np.zeros(len(log), dtype=np.int64)
    both = np.union1d(predicted, labelled)
    leaf[both] = tree.apply(_codes(layout, log, both))
    scores, decided = log.fresh_score.values, log.fresh_class.values
    found = []
    for window in range(*span):
        made, late = predicted[predicted_in == window], labelled_in == window
        if not len(made) and not late.any():
            continue
        done = labelled[late]
        cohorts = cohort_errors(spec, layout, log, (decided, leaf), window, ages)
        found.append(
            window_counts(
                layout,
                window,
                rows=log.features(made),
                outputs=(scores[made], decided[made]),
                leaves=leaf[made],
                labelled=Labelled(scores[done], decided[done], log.labels[done], leaf[done], errors[late]),
                cohorts=cohorts,
                groups=count_groups(
                    spec, log, groups, (made, decided[made]), (cohorts.middle, decided[cohorts.middle])
                ),
            )
        )
    return tuple(found)


def _novel(spec: ModelSpec, log: RowLog, before: int) -> Mapping[int, Mapping[str, int]]:
    """Return, by window, how many rows would be unseen or out of range had the bins been fitted without that window.

    Bins know every value that they were fitted on, so in those windows nothing could look new; healthy data does have
    new values, and a detector must know how many.
    """
    rows = np.flatnonzero(log.at < spec.calendar.window_start(before))
    windows, which = np.unique(spec.calendar.window_of(log.at[rows]), return_inverse=True)
    found: dict[int, dict[str, int]] = {int(window): {} for window in windows}
    for name in spec.columns.features:
        values = log.values(name)[rows]
        new: dict[str, NDArray[np.bool_]]
        if name in spec.columns.categorical:
            known = values >= 0
            pairs = np.unique(np.stack([values[known], which[known]]), axis=1)
            homes = np.bincount(pairs[0], minlength=int(values.max(initial=0)) + 1)
            new = {f"unseen:{name}": known & (homes[np.maximum(values, 0)] == 1)}
        else:
            outside, far = _outside_others(values, which, len(windows))
            new = {f"range:{name}": outside | _alone(values, which), f"far:{name}": far}
        for stream, rows_of in new.items():
            counts = np.bincount(which[rows_of], minlength=len(windows))
            for window, count in zip(windows, counts, strict=True):
                found[int(window)][stream] = int(count)
    return found


def _alone(values: Floats, which: Ints) -> NDArray[np.bool_]:
    """Return which values no other window has, in a column of so few that each has a cell of its own; else none."""
    alone = np.zeros(len(values), dtype=np.bool_)
    finite = np.isfinite(values)
    known, codes = np.unique(values[finite], return_inverse=True)
    if 0 < known.size <= 2 * BINS:
        homes = np.bincount(np.unique(np.stack([codes, which[finite]]), axis=1)[0], minlength=known.size)
        alone[finite] = homes[codes] == 1
    return alone


def _outside_others(values: Floats, which: Ints, windows: int) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return which values lie outside the range of all other windows, and which by more than that range is wide."""
    finite = np.isfinite(values)
    low, high = np.full(windows, np.inf), np.full(windows, -np.inf)
    np.minimum.at(low, which[finite], values[finite])
    np.maximum.at(high, which[finite], values[finite])
    if windows < 2:
        nothing = np.zeros(len(values), dtype=np.bool_)
        return nothing, nothing
    lowest, highest = np.argmin(low), np.argmax(high)
    others_low = np.full(windows, low[lowest])
    others_low[lowest] = np.delete(low, lowest).min()
    others_high = np.full(windows, high[highest])
    others_high[highest] = np.delete(high, highest).max()
    outside = finite & ((values < others_low[which]) | (values > others_high[which]))
    # Halves, as in the bins: a range of the largest floats is no float. Infinite where no other window has a value.
    with np.errstate(invalid="ignore"):
        half, size = others_high / 2 - others_low / 2, np.maximum(np.abs(others_low), np.abs(others_high)) / 2
        half = np.where(half > 1e-12 * size, half, np.maximum(size, 0.5))
        beyond = np.maximum(others_low[which] / 2 - values / 2, values / 2 - others_high[which] / 2)
        far = outside & (beyond > half[which])
    return np.asarray(outside, dtype=np.bool_), np.asarray(far, dtype=np.bool_)


def _with_novel(window: WindowCounts, novel: Mapping[int, Mapping[str, int]]) -> WindowCounts:
    return replace(window, novel=novel.get(window.window, {}))

"""Fits the baseline of a release from the rows before it, each scored by a model that had not seen its label."""

from __future__ import annotations

from dataclasses import dataclass
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
from pitstop.baseline.tree import LeafTree, fit_tree
from pitstop.loop.rowlog import RowLog
from pitstop.monitors.base import WindowCounts
from pitstop.profile import Layout, OutcomeProfile, Profile, profile_outcomes, profile_rows
from pitstop.records.calendar import Calendar
from pitstop.records.identity import artifact_id
from pitstop.records.spec import ModelSpec

# Days of a quarter: long enough for weekdays, short enough to be recent.
REFERENCE_WINDOWS = 90

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Reference:
    """A baseline and the windows that it was fitted on, oldest first."""

    baseline: Baseline
    windows: tuple[WindowCounts, ...]


def fit_reference(spec: ModelSpec, layout: Layout, log: RowLog, *, before: int, owner: str) -> Reference:
    """Fit the baseline of the model `owner` on the `REFERENCE_WINDOWS` windows before window `before`.

    Only rows with an out-of-sample score count (`log.fresh_*`), and only labels known before it. The leaf tree is fitted on
    rows labelled in even windows; the cells that it is compared with come from odd ones.
    """
    calendar = spec.calendar
    first, end = before - REFERENCE_WINDOWS, calendar.window_start(before)
    known = _scored(spec, log)
    start = calendar.window_start(first)
    predicted = np.flatnonzero(known & (log.at >= start) & (log.at < end))
    labelled = np.flatnonzero(known & (log.label_at >= start) & (log.label_at < end))
    losses = row_errors(spec, log.fresh_class.values[labelled], log.labels[labelled])
    label_windows = calendar.window_of(log.label_at[labelled])
    even = label_windows % 2 == 0
    train = labelled[even]
    tree = fit_tree(_codes(layout, log, train), losses[even])
    windows = _windows(layout, log, tree, calendar, (first, before), predicted, labelled, losses)
    profile = reduce(Profile.merged, (window.profile for window in windows), Profile.empty(layout))
    outcomes = reduce(OutcomeProfile.merged, (window.outcomes for window in windows), OutcomeProfile.empty(layout))
    odd = [window.outcomes.cells for window in windows if window.window % 2]
    cells = reduce(lambda left, right: left.merged(right), odd, OutcomeProfile.empty(layout).cells)
    output = _output(spec, log, predicted)
    codes = _codes(layout, log, predicted)
    scores = profile.scores
    baseline = Baseline(
        id=artifact_id("baseline", {"owner": owner, "at": end, "profile": profile.id, "outcomes": outcomes.id}),
        at=end,
        layout=layout,
        tree=tree,
        calibrated=calibrate(outcomes),
        calibrator_draws=calibrator_draws(outcomes),
        score_edges=quantile_edges(scores.by_score) if scores.bins.prediction is None else (),
        importance=surrogate_importance(codes, output, layout_names(layout)),
        profile=profile,
        outcomes=outcomes,
        cells=cells,
        windows=(first, before - 1),
        by_rows=calendar.by_rows,
    )
    return Reference(baseline, windows)


def layout_names(layout: Layout) -> tuple[str, ...]:
    """Return the features in the order of their cell codes: numbers, then categories."""
    return tuple(name for name, _ in (*layout.numeric, *layout.categorical))


def row_errors(spec: ModelSpec, decided: NDArray[Any], labels: NDArray[Any]) -> NDArray[np.float64]:
    """Return the error of each row: 0 or 1 for classes, the absolute error for a regression."""
    if spec.model.task == "regression":
        return np.asarray(np.abs(decided.astype(np.float64) - labels.astype(np.float64)))
    wrong: NDArray[np.float64] = (decided != labels).astype(np.float64)
    return wrong


def window_counts(
    layout: Layout,
    window: int,
    *,
    rows: pa.Table,
    outputs: tuple[NDArray[np.float64], NDArray[Any]],
    leaves: Ints,
    duplicates: int,
    labelled: tuple[NDArray[np.float64], NDArray[Any], NDArray[Any], Ints, NDArray[np.float64]],
) -> WindowCounts:
    """Count one window: predicted rows with outputs and leaves; labelled ones as (scores, decided, labels, leaves, errors)."""
    scores, decided = outputs
    profile = profile_rows(layout, rows, scores, _column(layout, decided), leaves, duplicates=duplicates)
    late_scores, late_decided, labels, late_leaves, errors = labelled
    outcomes = profile_outcomes(
        layout, late_scores, _column(layout, late_decided), _column(layout, labels), late_leaves, errors
    )
    return WindowCounts(window, profile, outcomes)


def _column(layout: Layout, values: NDArray[Any]) -> pa.Array:
    return pa.array(values, type=pa.float64() if layout.outcome_bins.prediction is not None else pa.string())


def _scored(spec: ModelSpec, log: RowLog) -> NDArray[np.bool_]:
    if spec.model.task == "regression":
        return np.asarray(~np.isnan(log.fresh_class.values), dtype=np.bool_)
    return np.asarray(log.fresh_class.values != None, dtype=np.bool_)  # noqa: E711 - elementwise on an object array


def _codes(layout: Layout, log: RowLog, rows: Ints) -> NDArray[np.int32]:
    return cell_codes(layout, log.features(rows), log.fresh_score.values[rows], log.fresh_class.values[rows])


def _output(spec: ModelSpec, log: RowLog, rows: Ints) -> NDArray[np.float64]:
    if spec.model.task == "regression":
        return np.asarray(log.fresh_class.values[rows], dtype=np.float64)
    scores = log.fresh_score.values[rows]
    if np.isnan(scores).all():
        classes, codes = np.unique(log.fresh_class.values[rows].astype(str), return_inverse=True)
        del classes
        return codes.astype(np.float64)
    return np.asarray(np.nan_to_num(scores, nan=0.5), dtype=np.float64)


def _windows(
    layout: Layout,
    log: RowLog,
    tree: LeafTree,
    calendar: Calendar,
    span: tuple[int, int],
    predicted: Ints,
    labelled: Ints,
    losses: NDArray[np.float64],
) -> tuple[WindowCounts, ...]:
    """Count every window of the span that has rows predicted or labels arrived."""
    predicted_in = calendar.window_of(log.at[predicted])
    labelled_in = calendar.window_of(log.label_at[labelled])
    leaf = np.zeros(len(log), dtype=np.int64)
    both = np.union1d(predicted, labelled)
    leaf[both] = tree.apply(_codes(layout, log, both))
    found = []
    for window in range(*span):
        rows, late = predicted[predicted_in == window], labelled_in == window
        if not len(rows) and not late.any():
            continue
        done = labelled[late]
        found.append(
            window_counts(
                layout,
                window,
                rows=log.features(rows),
                outputs=(log.fresh_score.values[rows], log.fresh_class.values[rows]),
                leaves=leaf[rows],
                duplicates=0,
                labelled=(
                    log.fresh_score.values[done],
                    log.fresh_class.values[done],
                    log.labels[done],
                    leaf[done],
                    losses[late],
                ),
            )
        )
    return tuple(found)

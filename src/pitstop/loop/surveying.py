"""What is looked at once a period, on rows: where the model errs most, and how far they are from the reference's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pitstop.baseline.baseline import Baseline, cell_codes
from pitstop.diagnosis.attribution import usual_losses
from pitstop.diagnosis.domain import Domain, domain_drift
from pitstop.diagnosis.segments import Cells, Segment, worst_segments
from pitstop.errors import StoreError
from pitstop.loop.reference import REFERENCE_WINDOWS, names_of, row_errors
from pitstop.loop.rowlog import RowLog
from pitstop.records.spec import ModelSpec, spec_of
from pitstop.store.home import Home

# Rows that segments are sought in, evenly spaced.
MOST_ROWS = 20_000

Ints = NDArray[np.int64]


def survey(spec: ModelSpec, log: RowLog, baseline: Baseline, windows: tuple[int, int]) -> dict[str, Any]:
    """Return what a period's record says of rows, as plain JSON: `segments` and `domain` (None where rows are few).

    `windows`: the first and the last window of the period. Only labels known at its end are used.
    """
    domain = domain_of(spec, log, baseline, windows)
    return {
        "segments": [segment_document(item) for item in segments_of(spec, log, baseline, windows[1])],
        "domain": None if domain is None else {**asdict(domain), "moved": domain.moved},
    }


def segment_document(segment: Segment) -> dict[str, Any]:
    """Return a segment as plain JSON, with its conditions in words."""
    return {**asdict(segment), "text": segment.text}


def newest_survey(home: Home, model: str) -> tuple[ModelSpec, Mapping[str, Any]]:
    """Return a model's specification and its newest record of a closed period, {} before the first one.

    Raises `StoreError` for a model that has not begun.
    """
    specs = home.artifacts("spec", model)
    if not specs:
        msg = f"{model!r} has no first model yet; run `pitstop run` until its start"
        raise StoreError(msg)
    records = home.artifacts("estimate", model)
    return spec_of(specs[-1].content), records[-1].content if records else {}


def segments_of(spec: ModelSpec, log: RowLog, baseline: Baseline, last: int) -> tuple[Segment, ...]:
    """Return the worst segments of what was served in the 90 windows before the newest of full age.

    A row counts where its window is as old as the oldest cohort that alarms compare, so that early labels are few.
    Losses are errors as everywhere: wrong or not, or the absolute error.
    """
    calendar = spec.calendar
    newest = last - max(baseline.ages, default=0)
    rows = log.predicted_between(
        calendar.window_start(newest - REFERENCE_WINDOWS + 1), calendar.window_start(newest + 1)
    )
    rows = rows[log.label_at[rows] < calendar.window_start(last + 1)]
    said = log.served_class.values[rows]
    given = ~np.isnan(said) if said.dtype != object else said != None  # noqa: E711 - elementwise on an object array
    rows = _spread(rows[given], MOST_ROWS)
    if not len(rows):
        return ()
    said = log.served_class.values[rows]
    return worst_segments(_cells(spec, log, baseline, rows), row_errors(spec, said, log.labels[rows]))


def risen_segments(spec: ModelSpec, log: RowLog, baseline: Baseline, windows: tuple[int, int]) -> tuple[Segment, ...]:
    """Return the segments whose error rose most above the reference's, of the cohorts that have come of age.

    `windows`: the first one whose predictions count (90 back at most), and the last one whose labels are known. A row
    counts with its error less the reference's mean in its leaf: a kind of rows that was always hard has not risen.
    `mean` and `others` are such differences.
    """
    calendar = spec.calendar
    last = windows[1]
    # Rows from before are not judged anew when a model is released: what was said of them was another's.
    first = max(windows[0], last - REFERENCE_WINDOWS + 1, baseline.windows[1] - max(baseline.ages, default=0))
    age = baseline.ages[len(baseline.ages) // 2] if baseline.ages else 0
    rows = log.predicted_between(calendar.window_start(first), calendar.window_start(max(first, last - age + 1)))
    rows = _spread(rows[_judged(log, rows, calendar.window_start(last + 1))], MOST_ROWS)
    if not len(rows) or not baseline.cells.labelled.any():
        return ()
    usual = usual_losses(baseline.cells)[log.leaf.values[rows]]
    errors = row_errors(spec, log.judged.values[rows], log.labels[rows])
    return worst_segments(_cells(spec, log, baseline, rows), errors - usual)


def _judged(log: RowLog, rows: Ints, end: int) -> NDArray[np.bool_]:
    """Return which rows have a label that was known before an instant, and a decision to compare it with."""
    said = log.judged.values[rows]
    given = ~np.isnan(said) if said.dtype != object else said != None  # noqa: E711 - elementwise on an object array
    return np.asarray(given & (log.label_at[rows] < end), dtype=np.bool_)


def domain_of(spec: ModelSpec, log: RowLog, baseline: Baseline, windows: tuple[int, int]) -> Domain | None:
    """Return how well the rows of the windows are told from the reference's; None where either has few."""
    calendar = spec.calendar
    start = calendar.window_start(windows[0])
    first, end = (calendar.window_start(window) for window in (baseline.windows[0], baseline.windows[1] + 1))
    reference = log.predicted_between(first, min(end, start))
    current = log.predicted_between(start, calendar.window_start(windows[1] + 1))
    codes = [_codes(log, baseline, _spread(rows, MOST_ROWS)) for rows in (reference, current)]
    return domain_drift(names_of(baseline.layout), *codes)


def _codes(log: RowLog, baseline: Baseline, rows: Ints) -> NDArray[np.int32]:
    """Return the cells of the features alone."""
    scores, decided = log.served_score.values[rows], log.served_class.values[rows]
    return cell_codes(baseline.layout, log.features(rows), scores, decided)[:, :-1]


def _cells(spec: ModelSpec, log: RowLog, baseline: Baseline, rows: Ints) -> Mapping[str, Cells]:
    """Return the features by cell, and what else the specification calls a segment or protects, by value."""
    layout = baseline.layout
    codes = _codes(log, baseline, rows)
    found = {}
    for place, (name, bins) in enumerate(layout.numeric):
        found[name] = Cells(codes[:, place], bins.names(), ordered=True)
    for place, (name, categories) in enumerate(layout.categorical, start=len(layout.numeric)):
        found[name] = Cells(codes[:, place], categories.names(), ordered=False)
    others = [name for name in (*spec.columns.segments, *spec.columns.protected) if name not in found]
    table = log.features(rows, extra=True) if others else None
    for name in dict.fromkeys(others):
        column = table[name].combine_chunks() if table is not None else None
        if column is not None and hasattr(column, "dictionary"):
            values = np.asarray(column.indices.fill_null(-1).to_numpy(zero_copy_only=False), dtype=np.int32)
            found[name] = Cells(values, tuple(column.dictionary.to_pylist()), ordered=False)
    return found


def _spread(rows: Ints, size: int) -> Ints:
    return rows if len(rows) <= size else rows[np.linspace(0, len(rows) - 1, size).astype(np.int64)]

"""Counts of what came in: rows by window of prediction, and outcomes in the window of the prediction they are of."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pitstop.errors import PitstopError, StatisticError
from pitstop.profile import Layout, OutcomeProfile, Profile, profile_windows
from pitstop.records.spec import ModelSpec
from pitstop.statistics.arrays import as_floats, as_strings
from pitstop.statistics.cells import Cells, LeafBins
from pitstop.statistics.histogram import Histogram
from pitstop.statistics.outcomes import Outcomes
from pitstop.store.home import Home

# Bins of fewer rows than this would be those of a moment.
ENOUGH_ROWS = 1_000

Ints = NDArray[np.int64]


def outputs(spec: ModelSpec, table: pa.Table) -> tuple[NDArray[np.float64], Any]:
    """Return what the model said of normalised rows: scores (NaN: none), and classes (strings) or numbers (float64)."""
    count = table.num_rows
    scores = as_floats(table["@score"]) if "@score" in table.column_names else np.full(count, np.nan)
    if spec.model.task == "regression":
        return scores, as_floats(table["@prediction"]) if "@prediction" in table.column_names else np.full(
            count, np.nan
        )
    if "@prediction" in table.column_names:
        return scores, as_strings(table["@prediction"])
    if spec.model.task == "multiclass":
        return scores, pa.nulls(count, pa.string())
    names = pa.array([f"not {spec.decision.positive}", spec.decision.positive])
    codes = pa.array((scores >= spec.decision.threshold).astype(np.int32), mask=np.isnan(scores))
    return scores, names.take(codes)


def fit_layout(spec: ModelSpec, rows: pa.Table, home: Path | None) -> Layout | None:
    """Return the bins that a model's rows are counted over: those of its loop in `home`, else fitted on `rows`.

    None where there is nothing to fit the bins of its output on: neither a prediction nor a loop.
    """
    found = _layout_of_loop(spec, home)
    if found is not None:
        return found
    _, said = outputs(spec, rows)
    if isinstance(said, np.ndarray):
        table = rows.append_column("@said", pa.array(said, from_pandas=True))
    elif spec.model.task == "binary":
        # The other class is known by what was predicted, or not at all.
        filled = said if said.null_count < len(said) else pa.array([spec.decision.positive] * rows.num_rows)
        table = rows.append_column("@said", filled)
    else:
        table = rows.append_column("@said", said)
    plain = [name for name in table.column_names if name not in ("@prediction", "@label", "@said")]
    try:
        return Layout.fit(spec, table.select([*plain, "@said"]).rename_columns([*plain, "@prediction"]))
    except StatisticError:
        return None


def _layout_of_loop(spec: ModelSpec, home: Path | None) -> Layout | None:
    if home is None or not home.is_dir():
        return None
    try:
        with Home.open(home, read_only=True) as kept:
            saved = kept.load_state(spec.model.name)
            document = saved.values["layout"] if saved is not None else None
    except PitstopError:
        return None  # being made at this moment, or of another version
    return Layout.from_document(document) if document else None


def count_rows(layout: Layout, spec: ModelSpec, table: pa.Table) -> Iterator[tuple[int, Profile]]:
    """Iterate over (window, profile) of normalised rows. Duplicates are none: a known id was left out before."""
    windows = spec.calendar.window_of(np.asarray(table["@at"].to_numpy(), dtype=np.int64))
    names, codes = np.unique(windows, return_inverse=True)
    scores, said = outputs(spec, table)
    counted = profile_windows(
        layout,
        _without_missing_features(layout, table),
        codes.astype(np.int32),
        len(names),
        scores,
        said,
        np.zeros(table.num_rows, dtype=np.int32),
        duplicates=np.zeros(len(names), dtype=np.int64),
    )
    yield from zip(names.tolist(), counted, strict=True)


def _without_missing_features(layout: Layout, table: pa.Table) -> pa.Table:
    """Return the table with nulls for features that these rows were sent without, as an earlier specification said."""
    for name, kind, _ in layout.statistics():
        if name not in table.column_names:
            empty = pa.nulls(table.num_rows, pa.float64() if kind is Histogram else pa.string())
            table = table.append_column(name, empty)
    return table


def count_outcomes(
    layout: Layout, windows: Ints, scores: Any, said: Any, labels: Any
) -> Iterator[tuple[int, OutcomeProfile]]:
    """Iterate over (window, profile) of labelled rows; arrays with one entry each, classes as strings.

    Leaves and losses belong to a release, so their cells stay empty here.
    """
    order = np.argsort(windows, kind="stable")
    names, first = np.unique(windows[order], return_index=True)
    limits = [*first.tolist(), len(order)]
    cells = Cells.empty(LeafBins())
    for number, window in enumerate(names.tolist()):
        chosen = order[limits[number] : limits[number + 1]]
        outcomes = Outcomes.empty(layout.outcome_bins).updated(
            scores[chosen], _take(said, chosen), _take(labels, chosen)
        )
        yield window, OutcomeProfile(layout, len(chosen), outcomes, cells)


def _take(values: Any, chosen: Ints) -> Any:
    return values[chosen] if isinstance(values, np.ndarray) else values.take(pa.array(chosen))


def classes_of(words: Sequence[str], codes: NDArray[np.int32]) -> pa.Array:
    """Return the classes of codes as strings, null for -1."""
    return pa.array(list(words), pa.string()).take(pa.array(codes, mask=codes < 0))

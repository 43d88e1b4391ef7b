"""A plan of the rows to have labelled, from what a home keeps; and what their labels say of the model.

The plan is a table that holds all that the answer needs, so the answer reads the plan with its labels and nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pitstop.baseline.baseline import cell_codes
from pitstop.baseline.expectation import Said
from pitstop.errors import ColumnValueError, EmptyTableError, MissingColumnError
from pitstop.loop.reference import row_errors
from pitstop.loop.revisiting import Revisited
from pitstop.records.spec import ModelSpec
from pitstop.statistics.label_budget import DOUBT, BudgetEstimate, estimate_from_labels, plan_labels

Floats = NDArray[np.float64]

COLUMNS = ("id", "predicted", "score", "expected_loss", "stratum", "stratum_rows", "stratum_expected_loss", "label")


@dataclass(frozen=True)
class LabelPlan:
    """The rows to label, and of how many; `expected` is the mean loss that is expected of them all without labels."""

    table: pa.Table
    rows: int
    expected: float


def plan(known: Revisited, labels: int, windows: int, seed: int) -> LabelPlan:
    """Choose `labels` of the rows that were predicted in the last `windows` windows that have any.

    The loss is being wrong (classes), or the absolute error (regression). Labels that are known are filled in: those
    rows were drawn like the others and need not be asked for again. Raises `EmptyTableError` without rows.
    """
    log, calendar = known.log, known.spec.calendar
    served = _given(log.served_class.values)
    if not served.any():
        msg = f"{known.spec.model.name!r} has served no row yet, so there is none to label; run `pitstop run` first"
        raise EmptyTableError(msg)
    last = int(calendar.window_of(log.at[served][-1:])[0])
    rows = log.predicted_between(calendar.window_start(last - windows + 1), calendar.window_start(last + 1))
    rows = rows[served[rows]]
    scores, decided = log.served_score.values[rows], log.served_class.values[rows]
    expected, spread = _expected(known, Said(_codes(known, rows, scores, decided), scores, decided))
    chosen = plan_labels(expected, spread, labels, np.random.default_rng(seed))
    mean = np.bincount(chosen.stratum, expected) / chosen.sizes
    mine, stratum = rows[chosen.rows], chosen.stratum[chosen.rows]
    regression = known.spec.model.task == "regression"
    kind = pa.float64() if regression else pa.string()
    answers = pa.array(log.labels[mine], kind, from_pandas=True)
    content = {
        "id": pa.array([log.ids[row] for row in mine]),
        "predicted": pa.array(decided[chosen.rows], kind),
        "score": pa.array(scores[chosen.rows], from_pandas=True),
        "expected_loss": pa.array(expected[chosen.rows]),
        "stratum": pa.array(stratum),
        "stratum_rows": pa.array(chosen.sizes[stratum]),
        "stratum_expected_loss": pa.array(mean[stratum]),
        "label": answers,
    }
    return LabelPlan(pa.table(content), len(rows), float(expected.mean()))


def answer(spec: ModelSpec, table: pa.Table) -> BudgetEstimate:
    """Return the mean loss of all rows that a plan was drawn from: error rate, or mean absolute error.

    `table` is the plan with its labels; rows without one are left out, which is fair only where nobody chose them.
    Raises `MissingColumnError` for a column of the plan that is gone, `ColumnValueError` for a plan without labels or
    with other predictions than the model's task has, and `StatisticError` where a stratum has too few labels.
    """
    missing = [name for name in COLUMNS if name not in table.column_names]
    if missing:
        msg = (
            f"the plan has no column {missing[0]!r}; give the table that `pitstop label-plan --out` wrote, with labels"
        )
        raise MissingColumnError(msg)
    regression = spec.model.task == "regression"
    whole = _strata(table)
    labels = _values(table["label"], regression=regression)
    known = _given(labels)
    if not known.any():
        msg = f"the column 'label' of the plan is empty in all {len(labels)} rows; fill it in"
        raise ColumnValueError(msg)
    decided = _values(table["predicted"], regression=regression)
    losses = row_errors(spec, decided[known], labels[known])
    stratum = np.asarray(table["stratum"].to_numpy(), dtype=np.int64)[known]
    expected = np.asarray(table["expected_loss"].to_numpy(), dtype=np.float64)[known]
    return estimate_from_labels(*whole, stratum, expected, losses, rates=not regression)


def _strata(table: pa.Table) -> tuple[NDArray[np.int64], Floats]:
    stratum = np.asarray(table["stratum"].to_numpy(), dtype=np.int64)
    found, first = np.unique(stratum, return_index=True)
    if not np.array_equal(found, np.arange(len(found))):
        msg = f"the plan holds the strata {found.tolist()}; rows of others are gone, so give the whole table"
        raise ColumnValueError(msg)
    sizes = np.asarray(table["stratum_rows"].to_numpy(), dtype=np.int64)[first]
    return sizes, np.asarray(table["stratum_expected_loss"].to_numpy(), dtype=np.float64)[first]


def _values(column: Any, *, regression: bool) -> NDArray[Any]:
    if regression:
        return np.asarray(pc.fill_null(column.cast(pa.float64()), np.nan).to_numpy(), dtype=np.float64)
    # A file of whole numbers reads "1" as 1.
    texts = column.cast(pa.string()).to_pylist()
    return np.array([text or None for text in texts], dtype=object)


def _expected(known: Revisited, said: Said) -> tuple[Floats, Floats]:
    """Return the expected loss of each row and its standard deviation."""
    baseline, bins = known.baseline, known.baseline.layout.outcome_bins
    expectation = baseline.expectation
    if bins.task == "regression":
        if expectation is None:
            return np.zeros(len(said.decided)), np.ones(len(said.decided))
        expected = np.maximum(expectation.row_losses("absolute", said), 0.0)
        # Errors are about as spread as they are large.
        return expected, np.maximum(expected, 0.1 * float(expected.mean()))
    assert baseline.calibrated is not None  # noqa: S101 - every baseline of classes has a calibrator
    if expectation is None:
        wrong = np.full(len(said.decided), 0.5)
    else:
        wrong = expectation.chance_wrong(bins, baseline.calibrated, said)
    doubted = np.clip(wrong, DOUBT, 1 - DOUBT)
    return wrong, np.sqrt(doubted * (1 - doubted))


def _codes(known: Revisited, rows: NDArray[np.int64], scores: Floats, decided: NDArray[Any]) -> NDArray[np.int32]:
    return cell_codes(known.baseline.layout, known.log.features(rows), scores, decided)


def _given(values: NDArray[Any]) -> NDArray[np.bool_]:
    if values.dtype != object:
        return np.asarray(~np.isnan(values), dtype=np.bool_)
    return np.asarray(values != None, dtype=np.bool_)  # noqa: E711 - elementwise on an object array

"""A plan of the rows to have labelled, from what a home keeps; and what their labels say of the model.

The plan is a table that holds all that the answer needs, so the answer reads the plan with its labels and nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pitstop.baseline.baseline import cell_codes
from pitstop.baseline.expectation import Said
from pitstop.errors import ColumnValueError, EmptyTableError, MissingColumnError
from pitstop.loop.reference import row_errors
from pitstop.loop.revisiting import Revisited
from pitstop.records import columns as convert
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
    """Choose `labels` of the rows that were predicted in the `windows` windows up to the last one with a prediction.

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
    stratum = _numbers(table, "stratum").astype(np.int64)
    whole = _strata(table, stratum)
    labels = _values(spec, table, "label")
    known = _given(labels)
    if not known.any():
        msg = f"the column 'label' of the plan is empty in all {len(labels)} rows; fill it in"
        raise ColumnValueError(msg)
    losses = row_errors(spec, _values(spec, table, "predicted")[known], labels[known])
    expected = _numbers(table, "expected_loss")[known]
    return estimate_from_labels(*whole, stratum[known], expected, losses, rates=not regression)


def _strata(table: pa.Table, stratum: NDArray[np.int64]) -> tuple[NDArray[np.int64], Floats]:
    found, first = np.unique(stratum, return_index=True)
    if not np.array_equal(found, np.arange(len(found))):
        msg = f"the plan holds the strata {found.tolist()}; rows of others are gone, so give the whole table"
        raise ColumnValueError(msg)
    sizes = _numbers(table, "stratum_rows").astype(np.int64)[first]
    return sizes, _numbers(table, "stratum_expected_loss")[first]


def _numbers(table: pa.Table, name: str) -> Floats:
    """Return a column that the plan was written with. Raises `ColumnValueError` where a value is gone."""
    column = convert.finite_numbers(table[name], name, nan_is_missing=True)
    if column.null_count:
        row = int(np.flatnonzero(np.asarray(column.is_null().to_numpy(zero_copy_only=False)))[0]) + 1
        msg = f"the column {name!r} of the plan has no value in row {row}; give the table as it was written"
        raise ColumnValueError(msg)
    return np.asarray(column.to_numpy(), dtype=np.float64)


def _values(spec: ModelSpec, table: pa.Table, name: str) -> NDArray[Any]:
    """Return labels or predictions as the loop has them; None or NaN where there is none."""
    if spec.model.task == "regression":
        numbers = convert.finite_numbers(table[name], name, nan_is_missing=True)
        return np.asarray(numbers.to_numpy(zero_copy_only=False), dtype=np.float64)
    values = np.array([text or None for text in convert.texts(table[name], name).to_pylist()], dtype=object)
    if spec.model.task != "binary":
        return values
    positive = spec.decision.positive
    # A file reads "01" as 1 and "True" as true.
    written = {text for text in values if text is not None}
    alike = {text for text in written if _read_back(text) == _read_back(positive)}
    if name == "label" and len(written) > 1 and (len(written) > 2 or not alike):
        msg = (
            f"the column 'label' of the plan holds {', '.join(map(repr, sorted(written)[:4]))}; expected two classes, "
            f"of which {positive!r} is the positive one; write labels as the model's own are written"
        )
        raise ColumnValueError(msg)
    return np.array([positive if text in alike else text for text in values], dtype=object)


def _read_back(text: str) -> str:
    """Return a class as a file of it may be read."""
    if text in ("True", "TRUE", "False", "FALSE"):
        return text.lower()
    return repr(float(text)) if convert.reads_as_number(text) else text


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

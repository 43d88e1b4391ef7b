"""The value function: what a row's outcome is worth, what the best decision would have earned, and the difference.

`V(a, y, x) = constant_ay + factor_ay · amount(x)` for decision `a` and outcome `y` (records of business value; the
cells are those of the confusion matrix). Money is int64 in ticks of 1/10,000 of the currency unit wherever it is summed
over rows, so sums are exact and do not depend on the order of rows; it is float64 in currency where it is a loss or an
expectation. Rounding is half to even, once, when a row's worth becomes ticks.

Decisions and outcomes are given per row as text (class names, compared with `[decision] positive`), as booleans (is it
the positive class?) or, for regression, as numbers. Numpy and Arrow arrays are both taken. An amount that is missing
(null or NaN) counts as 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import ArrayLike, NDArray

from pitstop.errors import ColumnValueError, MissingColumnError, SpecError
from pitstop.records.spec import ModelSpec, Outcome

TICKS = 10_000
# Beyond this a row's worth, or a sum of 2^20 such rows, would leave int64.
_LARGEST_TICKS = 2.0**43

Floats = NDArray[np.float64]
Ticks = NDArray[np.int64]
Amounts = Mapping[str, Floats]


def outcome_values(spec: ModelSpec, predicted: ArrayLike, labels: ArrayLike, amounts: Amounts) -> Ticks:
    """Return the worth of each row's outcome in ticks.

    Regression: `per_unit_error` times the absolute error, where a worth above 0 counts as 0 (an error never earns).
    Raises `ColumnValueError` where lengths differ, a decision or label is missing, or a worth is not finite or
    too large for exact sums; `MissingColumnError` where the amount column of an outcome is not given.
    """
    if spec.model.task == "regression":
        guess, truth = _numbers(predicted, "prediction"), _numbers(labels, "label")
        _same_length(guess.size, truth.size)
        return _ticks(_unit_worth(spec, amounts, guess.size) * np.abs(guess - truth))
    if spec.model.task == "multiclass":
        guess_class, truth_class = _classes(predicted, "prediction"), _classes(labels, "label")
        _same_length(guess_class.size, truth_class.size)
        correct, wrong = (_worth(cell, amounts, truth_class.size) for cell in (spec.value.correct, spec.value.wrong))
        return _ticks(np.where(guess_class == truth_class, correct, wrong))
    acted, happened = _is_positive(spec, predicted, "prediction"), _is_positive(spec, labels, "label")
    _same_length(acted.size, happened.size)
    cells = _cells(spec, amounts, happened.size)
    return _ticks(np.where(happened, np.where(acted, cells[0], cells[3]), np.where(acted, cells[1], cells[2])))


def best_values(spec: ModelSpec, labels: ArrayLike, amounts: Amounts) -> Ticks:
    """Return the worth in ticks of the best decision for each row's label and amounts (regression: no error, 0)."""
    if spec.model.task == "regression":
        truth = _numbers(labels, "label")
        _unit_worth(spec, amounts, truth.size)
        return np.zeros(truth.size, dtype=np.int64)
    if spec.model.task == "multiclass":
        size = _classes(labels, "label").size
        return _ticks(np.maximum(_worth(spec.value.correct, amounts, size), _worth(spec.value.wrong, amounts, size)))
    happened = _is_positive(spec, labels, "label")
    hit, false_alarm, pass_, miss = _cells(spec, amounts, happened.size)
    return _ticks(np.where(happened, np.maximum(hit, miss), np.maximum(false_alarm, pass_)))


def losses(spec: ModelSpec, predicted: ArrayLike, labels: ArrayLike, amounts: Amounts) -> Floats:
    """Return each row's loss in currency: best achievable worth minus the realised one, never below 0."""
    missed = best_values(spec, labels, amounts) - outcome_values(spec, predicted, labels, amounts)
    return np.asarray(missed / TICKS, dtype=np.float64)


def largest_losses(spec: ModelSpec, rows: int, amounts: Amounts, error_range: float | None = None) -> Floats:
    """Return a bound on each row's loss in currency that holds whatever the decision and the label will be.

    It uses nothing but the amounts, so it is known before the label (the paired test needs such a bound). Regression
    has no bound of its own: `error_range` is the largest absolute error that counts, in units of the label.
    """
    if spec.model.task == "regression":
        if error_range is None or not (np.isfinite(error_range) and error_range >= 0):
            msg = f"a regression loss is unbounded; got error_range={error_range!r}, expected a number of at least 0"
            raise ColumnValueError(msg)
        bound = -_unit_worth(spec, amounts, rows) * error_range
    elif spec.model.task == "multiclass":
        bound = np.abs(_worth(spec.value.correct, amounts, rows) - _worth(spec.value.wrong, amounts, rows))
    else:
        hit, false_alarm, pass_, miss = _cells(spec, amounts, rows)
        bound = np.maximum(np.abs(hit - miss), np.abs(pass_ - false_alarm))
    # Each of the two worths may be rounded by half a tick.
    return np.asarray(bound + np.where(bound > 0, 1.0 / TICKS, 0.0), dtype=np.float64)


def expected_values(
    spec: ModelSpec, probabilities: ArrayLike, predicted: ArrayLike, amounts: Amounts
) -> tuple[Floats, Floats]:
    """Return the expected worth of each row in currency, and its variance, before the label is known.

    With p = P(positive | x), or for a multiclass task p = P(the predicted class is right | x): mean = p V₁ + (1-p) V₀
    and variance = p(1-p)(V₁ - V₀)². Holds where the probabilities are calibrated, so under covariate shift and not
    under concept drift. The variance is that of the outcome alone, without the uncertainty of the calibration. Raises
    `SpecError` for a regression and `ColumnValueError` for a probability outside [0, 1].
    """
    chance = _numbers(probabilities, "probability")
    outside = (chance < 0.0) | (chance > 1.0)
    if outside.any():
        row = int(np.argmax(outside))
        msg = f"row {row}: got the probability {chance[row]:g}; expected a number from 0 to 1"
        raise ColumnValueError(msg)
    happens, fails = worth_either_way(spec, predicted, amounts)
    _same_length(chance.size, happens.size)
    mean = chance * happens + (1.0 - chance) * fails
    variance = chance * (1.0 - chance) * np.square(happens - fails)
    return np.asarray(mean, dtype=np.float64), np.asarray(variance, dtype=np.float64)


def worth_either_way(spec: ModelSpec, predicted: ArrayLike, amounts: Amounts) -> tuple[Floats, Floats]:
    """Return what each row's decision is worth if its event happens, and if not, in currency.

    The event is the positive class (binary) or that the predicted class is right (multiclass). Raises `SpecError` for a
    regression, whose outcomes are not two.
    """
    if spec.model.task == "regression":
        msg = "expected values need the probability of each outcome: a task with classes, got 'regression'"
        raise SpecError(msg)
    if spec.model.task == "multiclass":
        size = _classes(predicted, "prediction").size
        return _worth(spec.value.correct, amounts, size), _worth(spec.value.wrong, amounts, size)
    acted = is_positive(spec, predicted)
    hit, false_alarm, pass_, miss = _cells(spec, amounts, acted.size)
    return np.where(acted, hit, miss), np.where(acted, false_alarm, pass_)


def is_positive(spec: ModelSpec, predicted: ArrayLike) -> NDArray[np.bool_]:
    """Return which decisions of a binary task act: name the positive class, or are true."""
    return _is_positive(spec, predicted, "prediction")


def value_threshold(spec: ModelSpec) -> float | None:
    """Return the probability from which acting is worth more than not acting, for calibrated probabilities.

    t* = (V_TN - V_FP) / ((V_TN - V_FP) + (V_TP - V_FN)) (Elkan 2001, eq. 2). None where there is no single one: another
    task, amounts in the value function, or cells in which a right decision is not worth more than a wrong one.
    """
    value = spec.value
    cells = (value.true_positive, value.false_positive, value.true_negative, value.false_negative)
    if spec.model.task != "binary" or any(cell.amount is not None and cell.factor != 0.0 for cell in cells):
        return None
    saved = value.true_negative.constant - value.false_positive.constant
    won = value.true_positive.constant - value.false_negative.constant
    return saved / (saved + won) if saved > 0 and won > 0 else None


def _cells(spec: ModelSpec, amounts: Amounts, rows: int) -> tuple[Floats, Floats, Floats, Floats]:
    value = spec.value
    return (
        _worth(value.true_positive, amounts, rows),
        _worth(value.false_positive, amounts, rows),
        _worth(value.true_negative, amounts, rows),
        _worth(value.false_negative, amounts, rows),
    )


def _worth(outcome: Outcome, amounts: Amounts, rows: int) -> Floats:
    if outcome.amount is None or outcome.factor == 0.0:
        return np.full(rows, outcome.constant, dtype=np.float64)
    if outcome.amount not in amounts:
        msg = f"[value] multiplies the column {outcome.amount!r}, which is not among those given: {sorted(amounts)}"
        raise MissingColumnError(msg)
    amount = np.asarray(amounts[outcome.amount], dtype=np.float64)
    _same_length(rows, amount.size)
    return outcome.constant + outcome.factor * np.where(np.isnan(amount), 0.0, amount)


def _unit_worth(spec: ModelSpec, amounts: Amounts, rows: int) -> Floats:
    unit = spec.value.per_unit_error
    if unit.constant > 0 and (unit.amount is None or unit.factor == 0.0):
        msg = (
            f"[value] per_unit_error is {unit.constant:g}; an error never earns, expected 0 or less, for instance -1.0"
        )
        raise SpecError(msg)
    return np.minimum(_worth(unit, amounts, rows), 0.0)


def _ticks(worth: Floats) -> Ticks:
    scaled = np.rint(worth * TICKS)
    usable = np.abs(scaled) <= _LARGEST_TICKS
    if not usable.all():
        row = int(np.argmin(usable))
        msg = (
            f"row {row}: its outcome is worth {worth[row]:g}; expected a finite number of at most "
            f"{_LARGEST_TICKS / TICKS:.3g}; check the amount column, or value in thousands"
        )
        raise ColumnValueError(msg)
    return scaled.astype(np.int64)


def _numbers(values: ArrayLike, role: str) -> Floats:
    array = _array(values)
    try:
        numbers = np.asarray(array, dtype=np.float64)
    except (TypeError, ValueError) as error:
        msg = f"got a {role} of type {array.dtype}; expected numbers"
        raise ColumnValueError(msg) from error
    _one_dimension(numbers, role)
    missing = ~np.isfinite(numbers)
    if missing.any():
        row = int(np.argmax(missing))
        msg = f"row {row}: the {role} is {numbers[row]}; expected a finite number; leave such rows out first"
        raise ColumnValueError(msg)
    return numbers


def _classes(values: ArrayLike, role: str) -> NDArray[np.object_]:
    classes = _array(values).astype(object)
    _one_dimension(classes, role)
    if set(map(type, classes)) <= {str}:
        return classes
    row, got = next((row, value) for row, value in enumerate(classes) if type(value) is not str)
    msg = f"row {row}: the {role} is {got!r}; expected the name of a class as text; leave rows without one out first"
    raise ColumnValueError(msg)


def _is_positive(spec: ModelSpec, values: ArrayLike, role: str) -> NDArray[np.bool_]:
    array = _array(values)
    if array.dtype == np.bool_:
        _one_dimension(array, role)
        return array
    return np.asarray(_classes(array, role) == spec.decision.positive, dtype=np.bool_)


def _array(values: ArrayLike) -> NDArray[Any]:
    if isinstance(values, pa.Array | pa.ChunkedArray):
        # Not `__array__`: Arrow answers it by way of pandas where that is installed, and importing it takes seconds.
        listed = values.to_pylist()
        return np.array(listed) if pa.types.is_boolean(values.type) and listed else np.array(listed, dtype=object)
    return np.asarray(values)


def _one_dimension(array: NDArray[np.generic], role: str) -> None:
    if array.ndim != 1:
        msg = f"got a {role} of shape {array.shape}; expected one value per row"
        raise ColumnValueError(msg)


def _same_length(expected: int, got: int) -> None:
    if expected != got:
        msg = f"got columns of {expected} and of {got} rows; expected as many of each"
        raise ColumnValueError(msg)

"""How differently a refit decides: a share of rows, for a number as for a class."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from pitstop.loop.duels import disagreement_on
from pitstop.loop.models import Predictions
from pitstop.loop.rowlog import RowLog
from pitstop.records.spec import ColumnsSection, ModelSection, ModelSpec

SPEC = ModelSpec(ModelSection("m", "regression"), ColumnsSection(time="t", features=("x",), label="y"))
ROWS = np.arange(4, dtype=np.int64)


def a_log(errors: list[float]) -> RowLog:
    """Return four rows whose labels are 0 and whose freshest predictions are off by `errors`."""
    log = RowLog(SPEC)
    log.append(pa.table({"@id": list("abcd"), "@at": [0, 1, 2, 3], "x": [0.0, 1.0, 2.0, 3.0]}))
    log.set_labels(ROWS, np.zeros(4), ROWS)
    log.fresh_class.values[ROWS] = errors
    return log


def numbers(*values: float) -> Predictions:
    return Predictions(np.full(len(values), np.nan), np.array(values))


def test_numbers_differ_where_they_lie_further_apart_than_the_usual_error() -> None:
    log = a_log([10.0, -10.0, 10.0, -10.0])
    near, far = numbers(1.0, 2.0, 3.0, 4.0), numbers(10.0, 11.0, 12.0, 24.0)
    assert disagreement_on(SPEC, log, ROWS, near, near) == 0.0
    assert disagreement_on(SPEC, log, ROWS, near, far) == 0.25
    # The same distances are large for a model that is hardly ever wrong.
    assert disagreement_on(SPEC, a_log([1.0, -1.0, 1.0, -1.0]), ROWS, near, far) == 1.0


def test_a_model_without_any_error_is_only_agreed_with_exactly() -> None:
    log = a_log([0.0, 0.0, 0.0, 0.0])
    assert disagreement_on(SPEC, log, ROWS, numbers(0, 0, 0, 0), numbers(0, 0, 0, 0)) == 0.0
    assert disagreement_on(SPEC, log, ROWS, numbers(0, 0, 0, 0), numbers(0, 0, 0, 1e-3)) == 0.25

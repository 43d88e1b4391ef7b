"""Labels judge models once, when they first come; fits that failed have cost what they cost."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pitstop.loop.rowlog import RowLog
from pitstop.loop.upkeep import Upkeep
from pitstop.records.calendar import DAY
from pitstop.records.spec import parse_spec

SPEC = parse_spec("""
[model]
name = "m"
task = "binary"
[columns]
time = "at"
id = "id"
label = "y"
features = ["x"]
prediction = "said"
[time]
window = "day"
period = 1
[costs]
fit_per_row = 0.5
release = 10.0
[trainer]
name = "none"
""")
ROWS = 12


def kept_by(corrections: list[tuple[int, int]]) -> Any:
    """Return the loss matrix after five days in which row `n` is labelled on day `n % 3`, some corrected later."""
    log = RowLog(SPEC)
    numbers = np.arange(ROWS)
    table = pa.table({"@id": [f"r{n}" for n in numbers], "@at": pa.array(numbers * 0), "x": np.zeros(ROWS)})
    log.append(table, None, np.full(ROWS, "1", dtype=object))
    upkeep = Upkeep(SPEC, log, None, 0, 0)
    for day in range(5):
        new = np.flatnonzero(numbers % 3 == day)
        log.set_labels(new, np.full(len(new), "0", dtype=object), np.full(len(new), day * DAY + 5))
        for row, later in corrections:
            if row % 3 + later == day:
                log.set_labels(np.array([row]), np.array(["1"], dtype=object), np.array([day * DAY + 9]))
        upkeep.open_period(day + 1, (day + 1) * DAY, "chain", ())
    return upkeep.matrix


@given(st.lists(st.tuples(st.integers(0, ROWS - 1), st.integers(1, 2)), max_size=6))
def test_a_corrected_label_judges_no_second_time(corrections: list[tuple[int, int]]) -> None:
    found, untouched = kept_by(corrections), kept_by([])
    assert untouched.rows.tolist() == [4, 4, 4, 0, 0]
    assert found.rows.tolist() == untouched.rows.tolist()
    np.testing.assert_array_equal(found.losses, untouched.losses)


@pytest.mark.parametrize("failed", [True, False])
def test_a_fit_that_failed_counts_against_the_months_budget(failed: bool) -> None:
    upkeep = Upkeep(SPEC, RowLog(SPEC), None, 0, 0)
    upkeep.fit_rows, upkeep.fit_at = {0: 1_000, 1: 100}, {0: 0, 1: 3 * DAY}
    upkeep.candidates = {} if failed else {1: None}  # type: ignore[dict-item] # nothing of it is looked at
    assert upkeep._spent(4 * DAY) == 50.0
    assert upkeep._spent(3 * DAY) == 0.0

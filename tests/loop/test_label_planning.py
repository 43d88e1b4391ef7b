"""A plan that comes back from people: as spreadsheets write it, with what nobody can use told by column and row."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from pitstop.errors import ColumnValueError
from pitstop.loop.label_planning import answer
from pitstop.records.spec import ColumnsSection, DecisionSection, ModelSection, ModelSpec, Task


def spec_of(task: Task, positive: str = "yes") -> ModelSpec:
    columns = ColumnsSection(time="t", features=("x",), label="y", id="i")
    return ModelSpec(ModelSection("m", task), columns, decision=DecisionSection(positive=positive))


def plan(predicted: list[Any], labels: list[Any], **columns: list[Any]) -> pa.Table:
    rows = len(predicted)
    content = {
        "id": [f"r{row}" for row in range(rows)],
        "predicted": predicted,
        "score": pa.nulls(rows, pa.float64()),
        "expected_loss": [0.1] * rows,
        "stratum": [0] * rows,
        "stratum_rows": [9] * rows,
        "stratum_expected_loss": [0.1] * rows,
        "label": labels,
    }
    return pa.table({**content, **columns})


@pytest.mark.parametrize(
    ("positive", "predicted", "labels"),
    [
        ("yes", ["not yes", "yes", "not yes", "yes"], ["no", "yes", "yes", None]),
        ("yes", ["no", "yes", "no", "yes"], ["no", "yes", "yes", ""]),
        ("1", [0, 1, 0, 1], [0.0, 1.0, 1.0, None]),
        ("01", [0, 1, 0, 1], [0, 1, 1, None]),
        ("True", [False, True, False, True], [False, True, True, None]),
    ],
    ids=["score alone", "blank", "numbers", "leading zero", "truths"],
)
def test_one_of_three_labels_says_that_the_model_was_wrong(
    positive: str, predicted: list[Any], labels: list[Any]
) -> None:
    found = answer(spec_of("binary", positive), plan(predicted, labels))
    assert found.labelled == 3
    assert found.value == pytest.approx(1 / 3, abs=0.1)


@pytest.mark.parametrize(
    ("task", "table", "said"),
    [
        ("regression", plan([1.0, 2.0, 3.0], ["1,5", "2", "3"]), "'label', row 1: cannot read '1,5' as a number"),
        ("binary", plan(["no", "yes", "no"], ["no ", "yes", "Yes"]), "holds 'Yes', 'no ', 'yes'; expected two"),
        ("binary", plan(["no", "yes", "no"], ["n", "y", "y"]), "'n', 'y'; expected two .* 'yes' is the positive"),
        ("binary", plan(["no"] * 3, ["no"] * 3, stratum=[0, None, 0]), "'stratum' of the plan has no value in row 2"),
        ("binary", plan(["no"] * 3, ["no"] * 3, stratum_rows=["9", "nine", "9"]), "'stratum_rows', row 2"),
        ("binary", plan(["no"] * 3, [None] * 3), "empty in all 3 rows"),
    ],
)
def test_what_cannot_be_used_is_said(task: Task, table: pa.Table, said: str) -> None:
    with pytest.raises(ColumnValueError, match=said):
        answer(spec_of(task), table)


def test_blank_numbers_are_left_out() -> None:
    found = answer(spec_of("regression"), plan([1.0, 2.0, 3.0, 4.0], ["", "2", "3", "4"]))
    assert found.labelled == 3
    assert found.value == pytest.approx(0.0)

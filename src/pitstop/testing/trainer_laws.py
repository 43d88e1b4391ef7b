"""Laws of trainers, to run over any program that speaks the trainer protocol.

    @pytest.mark.parametrize("law", trainer_laws.LAWS)
    def test_my_trainer(law):
        law(("python3", "train.py"), "binary")

A law raises `AssertionError` saying what should have held. Each one starts the program in the sandbox, as
production does.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow as pa

from pitstop.errors import TrainingError
from pitstop.records.spec import Task
from pitstop.retraining.sandbox import Limits, Session
from pitstop.retraining.trainer import Model, TrainingRequest

Argv = tuple[str, ...]
Law = Callable[[Argv, Task], None]


def example(task: Task, rows: int = 400, seed: int = 0) -> tuple[TrainingRequest, pa.Table]:
    """Return a request and labelled rows: numbers with nulls, a constant, an all-null column, and categories."""
    random = np.random.default_rng(seed)
    number = random.normal(size=rows)
    group = random.integers(0, 4, rows)
    signal = number + (group == 2) + random.normal(scale=0.3, size=rows)
    labels = {
        "binary": pa.array(np.where(signal > 0.3, "1", "0")),
        "multiclass": pa.array(np.array(["low", "middle", "high"])[np.digitize(signal, [-0.3, 0.6])]),
        "regression": pa.array(signal),
    }
    table = pa.table(
        {
            "number": pa.array(number, mask=random.random(rows) < 0.05),
            "constant": pa.array(np.full(rows, 7.0)),
            "nothing": pa.array([None] * rows, pa.float64()),
            "group": pa.array(
                np.array(["a", "b", "c", "d"])[group], mask=random.random(rows) < 0.05
            ).dictionary_encode(),
            "@label": labels[task],
        }
    )
    return TrainingRequest(task, ("number", "constant", "nothing", "group"), ("group",), seed=seed), table


def same_rows_and_seed_give_same_predictions(argv: Argv, task: Task) -> None:
    """Two training runs on the same rows with the same seed predict the same."""
    request, rows = example(task)
    with Session(argv) as session:
        first = session.predict(session.train(request, rows), request, rows)
        second = session.predict(session.train(request, rows), request, rows)
    if not first.equals(second):
        msg = f"{task}: two trainings on the same rows with seed {request.seed} predict differently"
        raise AssertionError(msg)


def a_prediction_belongs_to_its_row(argv: Argv, task: Task) -> None:
    """Reversed rows get reversed predictions, and a row alone gets what it gets among others."""
    request, rows = example(task)
    backward = np.arange(rows.num_rows)[::-1]
    with Session(argv) as session:
        model = session.train(request, rows)
        together = session.predict(model, request, rows)
        reverse = session.predict(model, request, rows.take(backward))
        _assert_close(together.take(backward), reverse, f"{task}: predictions are not in the order of the rows")
        for index in (0, 57, rows.num_rows - 1):
            alone = session.predict(model, request, rows.slice(index, 1))
            _assert_close(together.slice(index, 1), alone, f"{task}: row {index} alone is predicted differently")


def a_model_is_its_bytes(argv: Argv, task: Task) -> None:
    """A model given to another process, in another folder, predicts the same."""
    request, rows = example(task)
    with Session(argv) as session:
        model = session.train(request, rows)
        here = session.predict(model, request, rows)
    copy = Model(bytes(model.content), model.rows)
    with Session(argv) as session:
        there = session.predict(copy, request, rows)
    if copy.digest != model.digest or not here.equals(there):
        msg = f"{task}: the model's file alone does not predict what it predicted where it was trained"
        raise AssertionError(msg)


def unknown_categories_are_scored(argv: Argv, task: Task) -> None:
    """Rows with categories never seen in training are scored, not refused."""
    request, rows = example(task)
    strange = pa.array(["never seen"] * rows.num_rows).dictionary_encode()
    changed = rows.set_column(rows.column_names.index("group"), "group", strange)
    with Session(argv) as session:
        session.predict(session.train(request, rows), request, changed)


def a_failure_leaves_nothing(argv: Argv, task: Task) -> None:
    """A run stopped by its limit of time raises, and leaves no model and no folder."""
    request, rows = example(task)
    with TemporaryDirectory() as parent:
        try:
            with Session(argv, Limits(wall_seconds=0.0), parent=Path(parent)) as session:
                session.train(request, rows)
        except TrainingError:
            left = [path.name for path in Path(parent).iterdir()]
            if left:
                msg = f"a failed run left {left}"
                raise AssertionError(msg) from None
        else:
            msg = "a run with no time at all gave a model"
            raise AssertionError(msg)


LAWS: tuple[Law, ...] = (
    same_rows_and_seed_give_same_predictions,
    a_prediction_belongs_to_its_row,
    a_model_is_its_bytes,
    unknown_categories_are_scored,
    a_failure_leaves_nothing,
)


def _assert_close(expected: pa.Table, got: pa.Table, message: str) -> None:
    for name in expected.column_names:
        first, second = expected[name].to_pylist(), got[name].to_pylist()
        if isinstance(first[0], str):
            same = first == second
        else:
            # Sums over rows in another order may differ in their last bits.
            same = bool(np.allclose(first, second, rtol=1e-9, atol=1e-12))
        if not same:
            raise AssertionError(message)

"""Data as it comes: gaps, late labels, one class, unseen values, lost columns, and models that are only watched."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from pitstop.records.spec import ModelSpec

Maker = Callable[..., pa.Table]
FIRST = int(np.datetime64("2024-01-01", "us").astype(np.int64))
DAY = 86_400_000_000


def days(table: pa.Table, name: str) -> Any:
    """Return a column of instants as days since the first."""
    return (np.asarray(table[name].cast(pa.int64()).to_numpy()) - FIRST) / DAY


def changed(table: pa.Table, name: str, values: Any) -> pa.Table:
    """Return the table with one column replaced."""
    return table.set_column(table.column_names.index(name), name, values)


def blanked(table: pa.Table, name: str, where: Any) -> pa.Table:
    """Return the table with a column null where a mask says so."""
    kind = table.schema.field(name).type
    return changed(table, name, pc.if_else(pa.array(where), pa.scalar(None, kind), table[name]))


def delayed(table: pa.Table, start: float, end: float) -> pa.Table:
    """Return the table with labels that came from day `start` to before day `end` coming at `end`."""
    known = days(table, "known_at")
    later = np.where((known >= start) & (known < end), np.maximum(end, days(table, "at")), known)
    moments = pa.array((FIRST + np.ceil(later * DAY)).astype(np.int64)).cast(pa.timestamp("us", "UTC"))
    return changed(table, "known_at", moments)


def without_rows(table: pa.Table) -> pa.Table:
    at = days(table, "at")
    return table.filter(pa.array((at < 30) | (at >= 33)))


def without_some_labels(table: pa.Table) -> pa.Table:
    return delayed(table, 30, 33)


def with_late_labels(table: pa.Table) -> pa.Table:
    """No label comes from day 31 to day 44, so two whole periods have none; then all come at once."""
    return delayed(table, 31, 44)


def with_one_class(table: pa.Table) -> pa.Table:
    known = days(table, "known_at")
    return changed(table, "label", pc.if_else(pa.array((known >= 27) & (known < 37)), 1, table["label"]))


def without_later_labels(table: pa.Table) -> pa.Table:
    """Labels end on day 26: in the end the recipe, which looks back three periods, finds none."""
    gone = days(table, "known_at") >= 26
    return blanked(blanked(table, "label", gone), "known_at", gone)


def with_dead_columns(table: pa.Table) -> pa.Table:
    dead = blanked(
        changed(table, "x2", pa.array(np.full(table.num_rows, 3.5))), "x1", np.ones(table.num_rows, dtype=bool)
    )
    return changed(dead, "kind", pa.array([f"only {number}" for number in range(table.num_rows)]))


def with_lost_columns(table: pa.Table) -> pa.Table:
    late = days(table, "at") >= 30
    return changed(blanked(table, "x1", late), "kind", pc.if_else(pa.array(late), "new", table["kind"]))


@pytest.mark.parametrize(
    ("spoil", "monitors"),
    [
        pytest.param(without_rows, {"volume"}, marks=pytest.mark.slow),
        pytest.param(without_some_labels, set(), marks=pytest.mark.slow),
        pytest.param(with_late_labels, set(), marks=pytest.mark.slow),
        pytest.param(with_one_class, set(), marks=pytest.mark.slow),
        pytest.param(without_later_labels, set(), marks=pytest.mark.slow),
        pytest.param(with_dead_columns, set(), marks=pytest.mark.slow),
        (with_lost_columns, {"nulls:x1", "unseen:kind"}),
    ],
)
def test_the_loop_goes_through_and_says_what_it_saw(
    spoil: Callable[[pa.Table], pa.Table], monitors: set[str], workshop: Any, spec: ModelSpec, history: Maker
) -> None:
    table = spoil(history())
    run = workshop.replay(table, spec, spoil.__name__)
    document = run.document
    assert len(document["periods"]) == 9
    assert sum(period["rows"] for period in document["periods"]) == int((days(table, "at") >= 12).sum())
    assert monitors <= {alarm["monitor"] for alarm in document["alarms"]}
    assert {name for item in document["incidents"] for name in item["alarms"]} == {
        alarm["id"] for alarm in document["alarms"]
    }
    for incident in document["incidents"]:
        assert incident["cause"]
    assert_finite(document)


def assert_finite(value: Any) -> None:
    """No number of a document is NaN or infinite: JSON has neither."""
    if isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            assert_finite(item)
    elif isinstance(value, float):
        assert math.isfinite(value)


@pytest.mark.slow
def test_a_broken_pipeline_is_told_apart_from_decay(workshop: Any, spec: ModelSpec, history: Maker) -> None:
    table = with_lost_columns(history(turns=()))
    run = workshop.replay(table, spec, "broken")
    first = run.document["incidents"][0]
    assert "2024-01-30" <= first["since"] <= "2024-02-01"
    assert "Do not retrain: find where the values get lost" in first["cause"]
    assert "x1" in first["cause"]


def watched(table: pa.Table) -> pa.Table:
    """Return the history with the score and the class of a model that was fitted elsewhere."""
    x1 = np.nan_to_num(table["x1"].to_numpy())
    score = 1 / (1 + np.exp(-2.5 * x1 - np.nan_to_num(table["x2"].to_numpy())))
    classes = np.where(score >= 0.5, "1", "0")
    return table.append_column("score", pa.array(score)).append_column("said", pa.array(classes))


@pytest.mark.parametrize(
    ("columns", "kinds"),
    [
        ({"score": "score", "prediction": "said"}, {"error"}),
        pytest.param({"score": "score"}, {"error"}, marks=pytest.mark.slow),
        pytest.param({"prediction": "said"}, {"error"}, marks=pytest.mark.slow),
        pytest.param(
            {"score": "score", "prediction": "said", "label": None, "label_time": None},
            {"nulls:x2"},
            marks=pytest.mark.slow,
        ),
    ],
    ids=["both", "score", "prediction", "no labels"],
)
def test_a_model_without_a_trainer_is_only_watched(
    columns: dict[str, Any], kinds: set[str], workshop: Any, spec: ModelSpec, history: Maker
) -> None:
    described = replace(
        spec,
        trainer=replace(spec.trainer, name="none", command=()),
        columns=replace(spec.columns, **columns),
    )
    run = workshop.replay(watched(history()), described, f"watched-{len(columns)}-{'-'.join(columns)}")
    assert kinds <= {alarm["monitor"] for alarm in run.document["alarms"]}
    assert not run.of("challenger", "release", "comparison")
    assert run.document["releases"] == []
    # The loop ends at a recommendation.
    assert run.document["decisions"]
    assert set(run.document["totals"]) == {"champion"}
    assert_finite(run.document)


def test_a_score_alone_is_judged_like_a_score_with_its_class(workshop: Any, spec: ModelSpec, history: Maker) -> None:
    table, seen = watched(history(days=30)), []
    for prediction in ("said", None):
        described = replace(
            spec,
            trainer=replace(spec.trainer, name="none", command=()),
            columns=replace(spec.columns, score="score", prediction=prediction),
        )
        run = workshop.replay(table, described, f"judged-{prediction}")
        alarms = [(alarm["monitor"], alarm["since"], alarm["size"]) for alarm in run.document["alarms"]]
        seen.append((alarms, run.document["segments"]))
    assert "error" in {monitor for monitor, *_ in seen[0][0]}
    assert seen[1] == seen[0]


def test_answers_that_are_missing_are_no_answers(workshop: Any, spec: ModelSpec, history: Maker) -> None:
    """A model that gave no answer for some rows is watched on the others, whichever of its outputs is logged."""
    table, seen = watched(history(days=26)), []
    missing = np.random.default_rng(1).random(table.num_rows) < 0.05
    holes = blanked(blanked(table, "score", missing), "said", missing)
    costs = replace(spec.costs, review_per_row=0.5)
    for score, prediction in (("score", "said"), ("score", None), (None, "said")):
        described = replace(
            spec,
            trainer=replace(spec.trainer, name="none", command=()),
            columns=replace(spec.columns, score=score, prediction=prediction),
            costs=costs,
        )
        run = workshop.replay(holes, described, f"holes-{score}-{prediction}")
        alarms = [(item["monitor"], item["size"]) for item in run.document["alarms"] if item["monitor"] == "error"]
        seen.append((alarms, run.document["totals"]["champion"]["value"], run.document["segments"]))
    assert len(seen[0][0]) == 1
    assert seen[1] == seen[0] == seen[2]


def multiclass(table: pa.Table) -> pa.Table:
    side = np.where(table["label"].to_numpy() == 1, 1.0, -1.0)
    levels = np.digitize(np.nan_to_num(table["x2"].to_numpy()) + side, [-0.7, 0.7])
    return changed(table, "label", pa.array(np.array(["low", "mid", "high"])[levels]))


def regression(table: pa.Table) -> pa.Table:
    sign = np.where(days(table, "at") < 20, 1.0, -1.0)
    numbers = 3 * np.nan_to_num(table["x2"].to_numpy()) + 2 * sign * np.nan_to_num(table["x1"].to_numpy())
    return changed(table, "label", pa.array(numbers))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("task", "make", "metric"), [("multiclass", multiclass, "accuracy"), ("regression", regression, "MAE")]
)
def test_the_other_tasks(
    task: Any, make: Callable[[pa.Table], pa.Table], metric: str, workshop: Any, spec: ModelSpec, history: Maker
) -> None:
    described = replace(spec, model=replace(spec.model, task=task))
    run = workshop.replay(make(history()), described, task)
    document = run.document
    assert document["metric_name"].lower() == metric.lower()
    assert document["higher_is_better"] == (task != "regression")
    assert "error" in {alarm["monitor"] for alarm in document["alarms"]}
    totals = document["totals"]
    assert totals["oracle"]["value"] >= totals["never"]["value"]
    assert totals["oracle"]["value"] >= totals["monthly"]["value"]
    assert_finite(document)


@pytest.mark.slow
def test_a_built_in_trainer(workshop: Any, spec: ModelSpec, history: Maker) -> None:
    built_in = replace(spec, trainer=replace(spec.trainer, name="linear", command=()))
    run = workshop.replay(history(), built_in, "linear")
    assert "error" in {alarm["monitor"] for alarm in run.document["alarms"]}
    metric = [period["metric"] for period in run.document["periods"]]
    assert metric[0]["never"] > 0.85
    assert metric[7]["monthly"] > metric[7]["never"] + 0.3

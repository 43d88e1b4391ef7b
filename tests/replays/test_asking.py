"""A loop whose labels stop coming asks for some, and does not where they only come late."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa

from pitstop.records.spec import ModelSpec


def decisions(run: Any) -> list[dict[str, Any]]:
    return [item[3] for item in run.of("decision")]


def test_late_labels_are_waited_for(small: Any) -> None:
    assert {item["action"] for item in decisions(small)} <= {"keep", "retrain"}


def test_labels_that_stay_away_are_asked_for(workshop: Any, spec: ModelSpec, history: Callable[..., pa.Table]) -> None:
    table = history(days=60, turns=())
    day = np.asarray(table["at"].cast(pa.int64())) // 86_400_000_000
    gone = pa.array(day - day[0] >= 20)
    labels = pa.compute.if_else(gone, pa.scalar(None, table["label"].type), table["label"])
    known = pa.compute.if_else(gone, pa.scalar(None, table["known_at"].type), table["known_at"])
    silent = table.set_column(table.column_names.index("label"), "label", labels)
    silent = silent.set_column(table.column_names.index("known_at"), "known_at", known)
    run = workshop.replay(silent, replace(spec, policy=replace(spec.policy, name="shadow_plan")), "silent")
    asked = [item for item in decisions(run) if item["action"] == "ask_for_labels"]
    assert asked
    assert all(item["recipe"] is None for item in asked)
    assert all("Ask for labels: " in item["reason"] for item in asked)
    assert "no label has come by which the model could be judged" in asked[-1]["reason"]


def test_where_the_decision_hides_the_outcome_nothing_is_retrained(
    workshop: Any, spec: ModelSpec, history: Callable[..., pa.Table]
) -> None:
    """Rows that the model decides as negative, or nearly those, never get a label."""
    table = history(days=45, turns=())
    eager = replace(spec, policy=replace(spec.policy, name="every_period"))
    # Nearly what the first model says, which has learnt 2.5 x1 + x2.
    score = np.nan_to_num(table["x1"].to_numpy()) * 2.5 + np.nan_to_num(table["x2"].to_numpy())
    day = np.asarray(table["at"].cast(pa.int64())) // 86_400_000_000
    hidden = pa.array((score < 0) & (day - day[0] >= 12))
    for name in ("label", "known_at"):
        column = pa.compute.if_else(hidden, pa.scalar(None, table[name].type), table[name])
        table = table.set_column(table.column_names.index(name), name, column)
    run = workshop.replay(table, eager, "selective")
    late = decisions(run)[-2:]
    assert all("labels depend on the decision" in item["reason"] for item in late), [i["reason"] for i in late]
    assert {item["action"] for item in late} <= {"keep", "ask_for_labels"}

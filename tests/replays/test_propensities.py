"""A history whose decisions hide outcomes is refused without propensities, and goes on where they were logged."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from pitstop.errors import ColumnValueError
from pitstop.records.spec import ModelSpec


def hidden(table: pa.Table, explored: float, seed: int = 0) -> pa.Table:
    """Return the history with labels that a lender would see: all of a high score, of the others an explored share."""
    score = np.nan_to_num(table["x1"].to_numpy()) * 2.5 + np.nan_to_num(table["x2"].to_numpy())
    day = np.asarray(table["at"].cast(pa.int64())) // 86_400_000_000
    chance = np.where((score > 0) | (day - day[0] < 12), 1.0, explored)
    gone = pa.array(np.random.default_rng(seed).random(len(day)) >= chance)
    for name in ("label", "known_at"):
        column = pa.compute.if_else(gone, pa.scalar(None, table[name].type), table[name])
        table = table.set_column(table.column_names.index(name), name, column)
    return table.append_column("chance", pa.array(chance))


@pytest.fixture(scope="module")
def eager(spec: ModelSpec) -> ModelSpec:
    columns, policy = replace(spec.columns, propensity="chance"), replace(spec.policy, name="every_period")
    return replace(spec, columns=columns, policy=policy)


@pytest.fixture(scope="module")
def explored(workshop: Any, eager: ModelSpec, history: Callable[..., pa.Table]) -> Any:
    """The relation turns round on day 14, so a challenger is much better."""
    return workshop.replay(hidden(history(days=47, rows=80, turns=(14,)), 0.3), eager, "explored")


def test_a_challenger_is_proven_by_whole_cohorts(explored: Any) -> None:
    decisions = [item[3] for item in explored.of("decision")]
    assert not any("labels depend on the decision" in item["reason"] for item in decisions)
    proofs = [item[3] for item in explored.of("comparison")]
    assert [proof["verdict"] for proof in proofs].count("better") >= 1
    assert "worse" not in [proof["verdict"] for proof in proofs]
    # The rows of a comparison are all that were predicted, revealed or not: 80 a day, for five days at least.
    assert all(proof["rows"] >= 400 for proof in proofs)
    assert len([item for item in explored.of("release") if item[3]["stage"] == "champion"]) > 1


def test_rows_to_come_change_nothing(
    workshop: Any, eager: ModelSpec, history: Callable[..., pa.Table], explored: Any
) -> None:
    table = hidden(history(days=47, rows=80, turns=(14,)), 0.3)
    day = np.asarray(table["at"].cast(pa.int64())) // 86_400_000_000
    later = pa.array(day - day[0] >= 40)
    turned = pa.compute.if_else(later, pa.compute.subtract(1, table["label"]), table["label"])
    again = workshop.replay(table.set_column(table.column_names.index("label"), "label", turned), eager, "turned")
    instant = int(day[0] + 40) * 86_400_000_000
    kinds = ("decision", "comparison", "release")
    before = [item for item in explored.until(instant) if item[1] in kinds]
    assert before == [item for item in again.until(instant) if item[1] in kinds]
    assert len(before) > 10


def test_without_overlap_a_retrain_is_held_back(
    workshop: Any, eager: ModelSpec, history: Callable[..., pa.Table]
) -> None:
    run = workshop.replay(hidden(history(days=45, turns=(20,)), 0.0), eager, "no overlap")
    reasons = [item[3]["reason"] for item in run.of("decision")]
    assert any("had a chance below 0.01 to show their label" in reason for reason in reasons), reasons


def test_a_log_without_chances_is_refused(workshop: Any, eager: ModelSpec, history: Callable[..., pa.Table]) -> None:
    table = hidden(history(days=20), 0.3)
    place = table.column_names.index("chance")
    wrong = np.where(np.arange(table.num_rows) == 3, 1.5, 1.0)
    with pytest.raises(ColumnValueError, match=r"'chance', row 4: got 1\.5; expected the chance from 0 to 1"):
        workshop.replay(table.set_column(place, "chance", pa.array(wrong)), eager, "wrong")
    missing = pa.array(wrong, mask=np.arange(table.num_rows) == 3)
    with pytest.raises(ColumnValueError, match="got nothing"):
        workshop.replay(table.set_column(place, "chance", missing), eager, "missing")
    never = np.zeros(table.num_rows)
    with pytest.raises(ColumnValueError, match="whose chance to show one was logged as 0"):
        workshop.replay(table.set_column(place, "chance", pa.array(never)), eager, "never")


def test_a_home_goes_on_where_it_stopped(
    workshop: Any, eager: ModelSpec, history: Callable[..., pa.Table], explored: Any
) -> None:
    """Chances, outcome models and how far cohorts were compared are kept with the rows and the state."""
    table = hidden(history(days=47, rows=80, turns=(14,)), 0.3)
    for as_of in ("2024-02-04", "2024-02-10", ""):
        workshop.run(table, eager, "in pieces", as_of)
    kinds = ("decision", "comparison", "release")
    assert [item for item in workshop.artifacts("in pieces") if item[1] in kinds] == list(explored.of(*kinds))

"""Rows from a broken pipeline teach nobody, and a broken pipeline is mended before anything is retrained."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pyarrow as pa
import pytest

from pitstop.diagnosis.breaks import SURE
from pitstop.diagnosis.breaks import Break as Fault
from pitstop.incidents import Alarm, Incident
from pitstop.loop.quarantine import MOST_WINDOWS, breaks_of, faults_of
from pitstop.records.spec import ModelSpec

Maker = Callable[..., pa.Table]


def alarm(window: int, kind: str = "quality", *, fast: bool = True) -> Alarm:
    return Alarm(
        id=f"alarm-{window}-{kind}",
        at=window,
        window=window,
        monitor="nulls:x",
        kind=kind,
        column="x",
        indicator="nulls of x",
        since=window,
        observed=0.5,
        expected=0.0,
        size=0.5,
        low=0.4,
        high=0.6,
        evidence=2.0,
        fast=fast,
        caused_by=(),
    )


def incident(*alarms: Alarm) -> tuple[tuple[Incident, ...], dict[str, Alarm]]:
    first, last = alarms[0].window, alarms[-1].window
    names = tuple(item.id for item in alarms)
    found = Incident("incident-1", first, first, first, last, first, names, ("nulls:x",), ())
    return (found,), {item.id: item for item in alarms}


def test_a_break_ends_a_week_after_its_last_alarm() -> None:
    incidents, alarms = incident(alarm(10), alarm(13))
    (now,) = breaks_of(incidents, alarms, 20)
    assert (now.first, now.last, now.standing, now.columns) == (10, 19, True, ("x",))
    (later,) = breaks_of(incidents, alarms, 60)
    assert (later.first, later.last, later.standing) == (10, 20, False)


def test_what_stays_for_four_weeks_is_how_the_data_are_now() -> None:
    incidents, alarms = incident(*(alarm(window) for window in range(10, 60, 7)))
    (long,) = breaks_of(incidents, alarms, 60)
    assert (long.first, long.last, long.standing) == (10, 10 + MOST_WINDOWS - 1, False)


@pytest.mark.parametrize("one", [alarm(10, "drift"), alarm(10, fast=False), alarm(10, "error")])
def test_what_is_no_sudden_fault_of_the_data_is_to_be_learnt(one: Alarm) -> None:
    assert breaks_of(*incident(one), 20) == ()


def fault(certainty: float, column: str = "price") -> Fault:
    return Fault(column, "all_null", 1.0, 1.0, certainty, f"{column}: all values are missing.")


def test_a_sure_fault_is_a_break_however_slowly_it_came() -> None:
    incidents, _ = incident(alarm(10, "drift", fast=False), alarm(13, "drift", fast=False))
    (found,) = faults_of(incidents, {"incident-1": (fault(SURE), fault(0.9, "x"), fault(0.1, "y"))}, 15)
    assert (found.first, found.last, found.standing) == (10, 14, True)
    assert found.columns == ("price", "x")
    assert found.said == "price: all values are missing"
    assert found.way_out.startswith("restore the column")
    assert not faults_of(incidents, {"incident-1": (fault(SURE),)}, 60)[0].standing


def test_what_is_not_sure_or_not_known_holds_nothing_back() -> None:
    incidents, _ = incident(alarm(10))
    assert faults_of(incidents, {"incident-1": (fault(SURE - 0.01),)}, 12) == ()
    assert faults_of(incidents, {}, 12) == ()


def test_a_sure_fault_forbids_a_retrain_though_nothing_is_quarantined(
    workshop: Any, spec: ModelSpec, history: Maker
) -> None:
    eager = replace(spec, policy=replace(spec.policy, name="every_period"))
    workshop.run(history(), eager, "fault")
    artifacts = workshop.artifacts("fault")
    broke = min(
        item[2]
        for item in artifacts
        if item[1] in ("incident", "incident-growth")
        and any(found["certainty"] >= SURE for found in item[3]["cause"]["breaks"])
    )
    after = [item[3] for item in artifacts if item[1] == "decision" and item[2] > broke]
    assert after
    assert {item["action"] for item in after} == {"keep"}
    assert all("x2" in item["reason"] and "find where the values get lost" in item["reason"] for item in after)
    assert not [item for item in artifacts if item[1] == "quarantine"]


def test_the_loop_leaves_the_broken_rows_out_and_says_so(workshop: Any, spec: ModelSpec, history: Maker) -> None:
    careful = replace(spec, policy=replace(spec.policy, name="every_period", quarantine=True))
    workshop.run(history(), careful, "quarantine")
    artifacts = workshop.artifacts("quarantine")
    records = [item for item in artifacts if item[1] == "quarantine"]
    assert [item[3]["columns"] for item in records] == [["x2"]]
    (record,) = records
    incidents = {item[0]: item for item in artifacts if item[1] == "incident"}
    broke = incidents[record[3]["incident"]]
    day = 86_400_000_000
    after = [item[3] for item in artifacts if item[1] == "challenger" and item[2] >= record[2]]
    before = [item[3] for item in artifacts if item[1] == "challenger" and item[2] < record[2]]
    assert after
    assert all(item["recipe"]["exclude"] == [] for item in before)
    assert all(item["recipe"]["exclude"][0][0] == broke[3]["since"] * day for item in after)
    held = [item[3] for item in artifacts if item[1] == "decision" and "mend that upstream first" in item[3]["reason"]]
    assert held
    assert all(item["action"] == "keep" for item in held)
    # With the option off there is nothing of this, and the specification is the one it always was.
    assert replace(careful, policy=replace(careful.policy, quarantine=False)).id != careful.id
    assert "quarantine" not in spec.content["policy"]

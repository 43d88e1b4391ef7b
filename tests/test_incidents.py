"""Alarms with one onset are one incident; incidents end, and nothing joins everything to one."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pitstop.detection.streams import Finding, Stream
from pitstop.incidents import (
    ONSET_WINDOWS,
    QUIET_WINDOWS,
    REGRESSED_WINDOWS,
    REPEAT_WINDOWS,
    Alarm,
    Incident,
    alarm_from,
    condition,
    grouped,
    told,
)


def alarm(window: int, since: int, monitor: str = "error", **seen: Any) -> Alarm:
    kind = monitor.split(":", maxsplit=1)[0]
    column = monitor.split(":")[1] if ":" in monitor else None
    stream = Stream(monitor, kind, column, (seen.pop("indicator", f"{column} is null"),))
    values = {"observed": 0.3, "expected": 0.2, "low": 0.05, "high": 0.15, "evidence": 1.5, "fast": False} | seen
    return alarm_from(
        Finding(stream=stream, window=window, indicator=stream.indicators[0], direction="up", since=since, **values),
        at=100 * window,
        caused_by=("baseline-1",),
    )


def taken(*alarms: Alarm) -> tuple[Incident, ...]:
    incidents: tuple[Incident, ...] = ()
    for item in alarms:
        incidents, _, _ = grouped(incidents, item)
    return incidents


def test_alarms_that_began_within_a_week_are_one_incident() -> None:
    first, second = alarm(20, 15), alarm(24, 15 + ONSET_WINDOWS, "drift:x")
    (found,) = taken(first, second)
    assert found.alarms == (first.id, second.id)
    assert found.monitors == ("error", "drift:x")
    assert (found.since, found.opened, found.last, found.onset) == (15, 20, 24, 15)
    assert found.caused_by == (first.id,)


def test_alarms_that_began_apart_are_two() -> None:
    assert len(taken(alarm(20, 10), alarm(24, 10 + ONSET_WINDOWS + 1, "drift:x"))) == 2


def test_a_later_alarm_leaves_the_id_and_the_opening_alone() -> None:
    (one,) = taken(alarm(20, 15))
    (both,) = taken(alarm(20, 15), alarm(26, 12, "drift:x"))
    assert (both.id, both.at, both.opened, both.caused_by) == (one.id, one.at, one.opened, one.caused_by)
    # An earlier onset within its first week is its onset as told; the one that alarms are grouped by stays.
    assert (both.since, both.onset) == (12, 15)
    (late,) = taken(alarm(20, 15), alarm(20 + ONSET_WINDOWS + 1, 12, "drift:x"))
    assert late.since == 15


def test_a_stream_that_alarms_again_stays_in_its_incident_until_it_was_quiet() -> None:
    again = alarm(20 + QUIET_WINDOWS, 18)
    assert len(taken(alarm(20, 15), again)) == 1
    assert len(taken(alarm(20, 15), alarm(20 + QUIET_WINDOWS + 1, 18))) == 2


def test_a_new_change_seen_by_the_same_stream_opens_another() -> None:
    assert len(taken(alarm(20, 15), alarm(30, 20 + ONSET_WINDOWS + 1))) == 2


def test_of_two_incidents_the_one_with_the_nearest_onset_takes_the_alarm() -> None:
    incidents = taken(alarm(20, 10), alarm(24, 20, "drift:x"))
    grown, taker, opened = grouped(incidents, alarm(25, 16, "drift:y"))
    assert not opened
    assert taker.onset == 20
    assert [item.onset for item in grown] == [10, 20]


MONITORS = st.sampled_from(["error", "score", "drift:x", "drift:y", "volume"])
STREAM = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 40), MONITORS), max_size=40)


@given(STREAM)
def test_every_alarm_is_in_one_incident_and_ids_never_change(steps: list[tuple[int, int, str]]) -> None:
    incidents: tuple[Incident, ...] = ()
    window = 100
    alarms: list[str] = []
    for wait, back, monitor in steps:
        window += wait
        item = alarm(window, window - back, monitor, observed=0.2 + len(alarms) / 100)
        alarms.append(item.id)
        before = {found.id: (found.at, found.opened, found.caused_by) for found in incidents}
        incidents, taker, opened = grouped(incidents, item)
        assert item.id in taker.alarms
        assert opened == (taker.id not in before)
        assert taker.is_open(window)
        after = {found.id: (found.at, found.opened, found.caused_by) for found in incidents}
        assert before.items() <= after.items()
    assert sorted(name for found in incidents for name in found.alarms) == sorted(alarms)


def test_a_year_of_unrelated_changes_is_not_one_endless_incident() -> None:
    """A change each fortnight, each seen by some stream of two: no incident covers more than a few weeks."""
    incidents: tuple[Incident, ...] = ()
    for number in range(26):
        onset = 100 + 14 * number
        monitor = ("error", "drift:x")[number % 2]
        for later in (3, 5):
            incidents, _, _ = grouped(incidents, alarm(onset + later, onset, monitor))
    assert len(incidents) == 26
    assert max(item.last - item.since for item in incidents) <= 14


def test_an_alarm_says_what_was_seen() -> None:
    found = alarm(20, 15, "quality:price", observed=0.31, expected=0.02)
    assert found.size == pytest.approx(0.29)
    assert "price" in found.sentence
    assert "31.0%" in found.sentence
    assert "2.0%" in found.sentence
    rows = alarm(20, 15, "volume", observed=12.0, expected=400.0, indicator="rows")
    assert "400" in rows.sentence
    assert "12" in rows.sentence


def test_the_id_digests_what_was_seen_and_not_how_sure_it_was() -> None:
    one = alarm(20, 15)
    assert alarm(20, 15, evidence=9.0).id == one.id
    assert alarm(20, 15, observed=0.31).id != one.id
    assert alarm(21, 15).id != one.id
    assert dataclasses.asdict(alarm(20, 15)) == dataclasses.asdict(one)


def stands(window: int, *alarms: Alarm) -> str:
    """Return the condition of the newest incident."""
    found = taken(*alarms)
    return condition(found[-1], {item.id: item for item in alarms}, found, window)


def test_an_incident_is_new_then_ongoing_then_recovered() -> None:
    first = alarm(20, 15)
    assert stands(20, first) == "new"
    assert stands(20 + REPEAT_WINDOWS + 1, first) == "ongoing"
    assert stands(20 + QUIET_WINDOWS + 1, first) == "recovered"


def test_it_escalates_only_where_the_change_has_surely_grown() -> None:
    first = alarm(20, 15)  # a size of .1
    grown = alarm(30, 18, observed=0.5, low=0.2, high=0.4)
    assert stands(30, first, grown) == "escalating"
    assert stands(30, first, alarm(30, 18, observed=0.5, low=0.05, high=0.5)) == "ongoing"
    assert stands(30, first, alarm(30, 18, "drift:x", observed=0.5, low=0.2, high=0.4)) == "ongoing"
    # It has shrunk again.
    assert stands(36, first, grown, alarm(36, 20, low=0.01)) == "ongoing"


def test_what_comes_back_after_it_recovered_has_regressed() -> None:
    first, back = alarm(20, 15), 20 + QUIET_WINDOWS + 10
    assert stands(back, first, alarm(back, back - 2)) == "regressed"
    assert stands(back, first, alarm(back, back - 2, "drift:x")) == "new"
    assert stands(back, first, alarm(back, back - 2, observed=0.1, low=-0.2, high=-0.05)) == "new"
    late = 20 + REGRESSED_WINDOWS + 1
    assert stands(late, first, alarm(late, late - 2)) == "new"


def test_columns_that_broke_together_share_an_incident_however_their_onsets_were_estimated() -> None:
    def broken(column: str, since: int) -> Finding:
        stream = Stream(f"nulls:{column}", "quality", column, (f"{column} is null",))
        return Finding(
            stream, 40, stream.indicators[0], "up", since, 1.0, 0.0, 0.9, 1.0, 9.0, fast=True, count=50, size=50
        )

    (group,) = told([broken("a", 40), broken("b", 20)], 400, ("baseline-1",), ())
    incidents, incident, opened = grouped((), group[0])
    assert opened
    incidents, same, opened = grouped(incidents, group[1], incident.id)
    assert (same.id, opened, same.monitors) == (incident.id, False, ("nulls:a", "nulls:b"))
    assert len(taken(*group)) == 2  # alone, their onsets would have kept them apart
    assert told([broken("a", 40)], 410, ("baseline-1",), group) == ()


def test_what_broke_today_opens_its_own_incident_though_its_column_has_drifted_for_weeks() -> None:
    def seen(family: str, kind: str, since: int, *, fast: bool) -> Finding:
        stream = Stream(f"{family}:t", kind, "t", ("t is odd",))
        return Finding(
            stream, 40, stream.indicators[0], "up", since, 1.0, 0.0, 0.9, 1.0, 9.0, fast=fast, count=50, size=50
        )

    (season,) = taken(alarm(12, 8, "drift:t"), alarm(30, 14, "drift:t"))
    findings = [seen("drift", "drift", 12, fast=False), seen("range", "quality", 40, fast=True)]
    (group,) = told(findings, 4000, ("baseline-2",), ())
    assert [item.monitor for item in group] == ["range:t", "drift:t"]
    incidents, broken, opened = grouped((season,), group[0])
    assert (opened, broken.onset) == (True, 40)
    incidents, same, _ = grouped(incidents, group[1], broken.id)
    assert (same.id, same.since) == (broken.id, 40)
    assert next(item for item in incidents if item.id == season.id) == season

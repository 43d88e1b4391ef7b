"""A change that stays is told once in a while, not whenever its detector crosses again."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pitstop.incidents import QUIET_WINDOWS, REPEAT_WINDOWS, Alarm, repeats

TOLD = Alarm(
    id="a",
    at=0,
    window=100,
    monitor="range:x",
    kind="quality",
    column="x",
    indicator="x outside the baseline's range",
    since=99,
    observed=1.0,
    expected=0.0,
    size=1.0,
    low=0.9,
    high=1.0,
    evidence=2.0,
    fast=False,
    caused_by=("baseline",),
)


def test_a_change_that_stays_is_told_again_late_but_before_its_incident_ends() -> None:
    told: list[Alarm] = []
    for window in range(100, 300):
        again = replace(TOLD, window=window)
        if not repeats(again, told):
            told.append(again)
    assert [alarm.window for alarm in told] == list(range(100, 300, REPEAT_WINDOWS))
    assert REPEAT_WINDOWS < QUIET_WINDOWS


@pytest.mark.parametrize(
    "other",
    [
        {"monitor": "range:y"},
        {"size": -1.0},
        {"caused_by": ("the next baseline",)},
        {"fast": True},
        {"window": 100 + REPEAT_WINDOWS},
    ],
)
def test_news_is_never_left_out(other: dict[str, object]) -> None:
    assert repeats(replace(TOLD, window=102), [TOLD])
    assert not repeats(replace(TOLD, **{"window": 102, **other}), [TOLD])  # type: ignore[arg-type] # any field

"""The sentence of an incident: what matters first, no date, and no cause that the alarms and labels do not carry."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import cast

import pytest

from pitstop.baseline.baseline import Baseline
from pitstop.diagnosis.attribution import Decomposition, Suspect
from pitstop.incidents import Alarm
from pitstop.loop.diagnosing import _sentence
from pitstop.records.calendar import Calendar

DAYS = Calendar(window="day", period="month")
SUSPECTS = (Suspect("lead_time", 0.5, 0.3, 0.6), Suspect("adr", 0.3, 0.2, 0.3), Suspect("meal", 0.1, 0.1, 0.01))
RELATION = Decomposition(0.2, 0.02, 0.18, 0.01, 0.01, (3,))
INPUTS = Decomposition(0.2, 0.15, 0.05, 0.01, 0.01, ())
UNCLEAR = Decomposition(0.01, 0.005, 0.005, 0.1, 0.1, ())


class Tree:
    """A tree whose every leaf is reached by the score and one feature."""

    def path(self, leaf: int, names: tuple[str, ...]) -> tuple[str, ...]:
        assert leaf == 3
        return (names[-1], names[0])


LAYOUT = SimpleNamespace(numeric=(("lead_time", None),), categorical=())
BASELINE = cast("Baseline", SimpleNamespace(layout=LAYOUT, tree=Tree()))


def alarm(kind: str, monitor: str, column: str | None, indicator: str, *, fast: bool = False) -> Alarm:
    return Alarm(
        id=f"alarm-{monitor}",
        at=0,
        window=0,
        monitor=monitor,
        kind=kind,
        column=column,
        indicator=indicator,
        since=0,
        observed=0.346,
        expected=0.133,
        size=0.213,
        low=0.1,
        high=0.3,
        evidence=2.0,
        fast=fast,
        caused_by=(),
    )


ERROR = alarm("error", "error", None, "the model's error rate")
DRIFT = alarm("drift", "drift:adr", "adr", "adr < 60")
SCORE = alarm("score", "score", None, "score < 0.5")
VOLUME = replace(alarm("volume", "volume", None, "rows"), expected=55.0, observed=134.0)
NULLS = alarm("quality", "nulls:adr", "adr", "adr is null")
BREAK = replace(NULLS, fast=True)


def sentence(*alarms: Alarm, split: Decomposition | None = None) -> str:
    return _sentence(alarms, SUSPECTS, split, BASELINE, DAYS)


def test_the_error_leads_and_the_relation_is_named_with_its_place() -> None:
    assert sentence(DRIFT, VOLUME, ERROR, split=RELATION) == (
        "The model's error rose from 13.3% to 34.6%. Also adr below 60: 13.3% → 34.6% and rows per day: 55 → 134. "
        "Mostly the relation of inputs to outcome changed (90% of the rise, most where the score and lead_time set "
        "rows apart): the model has to learn it anew. Inputs that moved most, by importance: lead_time and adr."
    )


def test_harder_rows_are_told_from_a_new_relation() -> None:
    assert "Mostly the inputs changed (75% of the rise): more rows of kinds" in sentence(ERROR, split=INPUTS)


@pytest.mark.parametrize("split", [None, UNCLEAR, RELATION, INPUTS])
def test_an_alarm_about_the_error_is_never_said_to_show_no_rise(split: Decomposition | None) -> None:
    text = sentence(ERROR, DRIFT, split=split)
    assert "no rise" not in text
    assert "rose with it" not in text


def test_without_an_error_alarm_the_labels_are_asked() -> None:
    assert "The labels so far show no rise of the error." in sentence(DRIFT, split=UNCLEAR)
    assert "Too few labels have come yet to see what it does to the error." in sentence(DRIFT)
    assert "The error rose with it; mostly the inputs changed" in sentence(DRIFT, split=INPUTS)


@pytest.mark.parametrize("others", [(), (ERROR,), (DRIFT, VOLUME)])
def test_upstream_is_named_only_where_a_fast_quality_alarm_says_so(others: tuple[Alarm, ...]) -> None:
    for quiet in (NULLS, replace(DRIFT, fast=True), replace(VOLUME, fast=True)):
        assert "upstream" not in sentence(quiet, *others)
    assert "It came within one day, as a broken pipeline does: check adr upstream first." in sentence(BREAK, *others)


def test_volume_alone_is_no_reason_to_retrain_and_has_no_suspects() -> None:
    assert sentence(VOLUME, split=RELATION) == (
        "Rows per day rose from 55 to 134. A change of volume alone is no reason to retrain."
    )
    assert "volume alone" not in sentence(VOLUME, DRIFT)


def test_many_alarms_are_counted() -> None:
    assert " and 1 more." in sentence(ERROR, DRIFT, SCORE, NULLS)


@pytest.mark.parametrize("alarms", [(ERROR,), (BREAK, ERROR), (DRIFT, SCORE, VOLUME)])
def test_no_date_stands_in_a_sentence(alarms: tuple[Alarm, ...]) -> None:
    """When it began stands beside it, once."""
    assert "1970" not in sentence(*alarms, split=RELATION)

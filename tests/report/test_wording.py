"""Alarms in words: the subject, the direction and the numbers of each kind, and which one is told first."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pitstop.incidents import Alarm
from pitstop.report.wording import amount, arrow, capitalised, continued, most_telling, phrase, subject

ERROR = Alarm(
    id="alarm-1",
    at=0,
    window=0,
    monitor="error",
    kind="error",
    column=None,
    indicator="the model's error rate, labels within 7 days",
    since=0,
    observed=0.346,
    expected=0.133,
    size=0.213,
    low=0.1,
    high=0.3,
    evidence=2.0,
    fast=False,
    caused_by=(),
)


def alarm(
    kind: str, monitor: str, column: str | None, indicator: str, *, size: float = 0.1, fast: bool = False
) -> Alarm:
    return replace(ERROR, kind=kind, monitor=monitor, column=column, indicator=indicator, size=size, fast=fast)


VOLUME = replace(alarm("volume", "volume", None, "rows"), expected=55.2, observed=1133.9, size=1078.7)


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (ERROR, "the model's error"),
        (
            replace(ERROR, indicator="the model's share of errors of 30 and more"),
            "the model's share of errors of 30 and more",
        ),
        (VOLUME, "rows per day"),
        (alarm("drift", "drift:adr", "adr", "adr < 69.11"), "adr below 69.11"),
        (alarm("drift", "drift:agent", "agent", "agent is 28"), "agent = 28"),
        (alarm("drift", "drift:is it", "is it", "is it is is"), "is it = is"),
        (alarm("score", "score", None, "score < 0.6195"), "scores below 0.6195"),
        (alarm("score", "score", None, "prediction < 12"), "predictions below 12"),
        (alarm("score", "predicted_class", None, "predicted class is 1"), "predictions of 1"),
        (alarm("quality", "nulls:agent", "agent", "agent is null"), "missing agent"),
        (alarm("quality", "range:adr", "adr", "adr outside the baseline's range"), "adr outside its usual range"),
        (alarm("quality", "unseen:agent", "agent", "agent has a value never seen"), "unknown values of agent"),
        (alarm("quality", "far:adr", "adr", "adr far outside the baseline's range"), "adr far outside its usual range"),
        (alarm("quality", "stuck:adr", "adr", "adr at one value"), "adr at one value"),
        (alarm("quality", "stuck_output", None, "the model's output at one value"), "the model's output at one value"),
        (alarm("quality", "duplicates", None, "a row repeats another"), "repeated rows"),
    ],
)
def test_the_subject_is_plain(made: Alarm, words: str) -> None:
    assert subject(made, "day") == words


def test_a_change_is_told_with_its_direction_and_both_ends() -> None:
    assert phrase(ERROR, "day") == "the model's error rose from 13.3% to 34.6%"
    assert arrow(ERROR, "day") == "the model's error: 13.3% → 34.6%"
    fallen = alarm("drift", "drift:adr", "adr", "adr < 60", size=-0.297)
    fallen = replace(fallen, expected=0.424, observed=0.127)
    assert phrase(fallen, "day") == "adr below 60 fell from 42.4% to 12.7% of rows"
    spread = replace(alarm("quality", "spread:adr", "adr", "adr: spread"), expected=1.0, observed=0.0, size=-1.0)
    assert phrase(spread, "day") == "the spread of adr fell from 100.0% to 0.0% of its usual"
    assert arrow(spread, "day") == "the spread of adr: 100.0% → 0.0% of its usual"
    assert phrase(VOLUME, "week") == "rows per week rose from 55 to 1,134"


def test_a_size_has_its_unit() -> None:
    assert amount(ERROR) == "+21.3 points"
    assert amount(replace(ERROR, size=-0.05)) == "-5.0 points"
    assert amount(VOLUME) == "+1,079 rows"


def test_a_column_keeps_its_own_spelling_at_the_beginning() -> None:
    assert capitalised("the model's error rose") == "The model's error rose"
    assert capitalised("adr below 60 rose") == "adr below 60 rose"
    assert capitalised("missing agent rose") == "Missing agent rose"


KINDS = [
    ERROR,
    alarm("quality", "nulls:x", "x", "x is null", fast=True),
    alarm("quality", "range:x", "x", "x outside the baseline's range"),
    alarm("score", "score", None, "score < 0.5"),
    alarm("drift", "drift:x", "x", "x < 1", size=-0.4),
    alarm("drift", "drift:y", "y", "y < 1", size=0.3),
    VOLUME,
]


@given(st.permutations(KINDS))
def test_the_error_comes_first_then_breaks_then_by_kind_and_size(shuffled: list[Alarm]) -> None:
    assert list(most_telling(shuffled)) == KINDS


def test_of_one_monitor_the_newest_speaks() -> None:
    later = replace(ERROR, id="alarm-2", observed=0.4)
    assert most_telling([ERROR, VOLUME, later]) == (later, VOLUME)


@pytest.mark.parametrize(
    ("sentence", "rest"),
    [("The model's error rose", "the model's error rose"), ("ADR below 3 rose", "ADR below 3 rose"), ("", "")],
)
def test_a_sentence_goes_on_in_small_letters_but_a_column_keeps_its_name(sentence: str, rest: str) -> None:
    assert continued(sentence) == rest
    assert capitalised(rest) == sentence

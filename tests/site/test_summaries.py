"""What pages read, and what leaves it in which state."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

pytest.importorskip("starlette", reason="the extra `server` is not installed")

from pitstop.compliance import handling
from pitstop.compliance.facts import Artifact, Facts
from pitstop.errors import StatementError
from pitstop.journal.merkle import CompactRange
from pitstop.journal.verification import Verification
from pitstop.records.calendar import Calendar
from pitstop.report.pictured import Pictured
from pitstop.report.sparkline import sparkline
from pitstop.report.tables import Column
from pitstop.service.fleet import Fleet
from pitstop.service.site import summaries
from pitstop.service.site.gather.handled import handled
from pitstop.service.site.gather.performance import _auc
from pitstop.service.site.summaries import IncidentLine, Summary
from pitstop.store.home import ArtifactRecord

STATES = ("open", "snoozed", "recovered", "closed")
CARD: dict[str, Any] = {"exposed": None, "held": "", "clocks": [], "changed": [], "journal": 0, "open_incidents": 0}


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    found = Fleet.open(tmp_path / "fleet.sqlite")
    yield found
    found.close()


def line(number: int, state: str = "open", model: str = "m") -> IncidentLine:
    return IncidentLine(model, f"incident-{number}", number, state, "error", 1.0 * number, f"It rose {number}", {})


def summary(model: str = "m", lines: tuple[IncidentLine, ...] = (), exposed: float = 0.0) -> Summary:
    amount = {"a_day": exposed, "low": 0.0, "high": 2 * exposed, "days": 1.0} if exposed else None
    open_now = sum(item.state == "open" for item in lines)
    card = {**CARD, "model": model, "exposed": amount, "open_incidents": open_now}
    return Summary(model, "", card, lines, {"model": {"a": 1}, "power": {"baseline": ""}})


def test_gathering_again_replaces_everything_of_a_model_and_nothing_of_others(fleet: Fleet) -> None:
    with fleet.write() as connection:
        summaries.put(connection, summary("a", (line(1, model="a"),)), summary("b", (line(2, model="b"),)))
        summaries.put(connection, summary("a", (line(3, model="a"), line(4, "closed", "a"))))
    with fleet.read() as connection:
        assert [item["id"] for item in summaries.incidents(connection)] == ["incident-4", "incident-3", "incident-2"]
        assert [item["id"] for item in summaries.incidents(connection, state="open")] == ["incident-3", "incident-2"]
        assert summaries.totals(connection) == {"models": 2, "open": 2, "waiting": 0, "clocks": 0}


def test_what_an_earlier_version_gathered_is_as_if_it_were_not_there(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    with fleet.write() as connection:
        summaries.put(connection, summary("a"))
    monkeypatch.setattr(summaries, "FORMAT", summaries.FORMAT + 1)
    with fleet.write() as connection:
        assert summaries.card(connection, "a") is None
        assert summaries.cards(connection) == []
        summaries.put(connection, summary("a"))
        assert summaries.card(connection, "a") is not None


def test_models_come_by_what_they_lose_a_day_then_by_name(fleet: Fleet) -> None:
    with fleet.write() as connection:
        summaries.put(connection, *(summary(name, (), exposed) for name, exposed in (("b", 0), ("a", 0), ("c", 5))))
    with fleet.read() as connection:
        assert [card["model"] for card in summaries.cards(connection)] == ["c", "a", "b"]
        assert [card["model"] for card in summaries.cards(connection, 1, 1)] == ["a"]


@settings(max_examples=20)
@given(moves=st.lists(st.tuples(st.integers(0, 3), st.sampled_from(STATES)), max_size=12))
def test_the_card_counts_open_incidents_however_they_are_restated(
    moves: list[tuple[int, str]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    fleet = Fleet.open(tmp_path_factory.mktemp("fleet") / "fleet.sqlite")
    try:
        with fleet.write() as connection:
            summaries.put(connection, summary(lines=tuple(line(number) for number in range(4))))
            for place, (number, state) in enumerate(moves):
                changed = {"assigned": state}
                summaries.restate(connection, "m", f"incident-{number}", state, changed, journal=place)
        with fleet.read() as connection:
            open_now = summaries.count_incidents(connection, state="open")
            card = summaries.card(connection, "m")
            assert card is not None
            assert card["open_incidents"] == open_now == summaries.totals(connection)["open"]
            assert card["journal"] == max(len(moves) - 1, 0)
    finally:
        fleet.close()


def test_whoever_sees_some_models_is_told_of_those_alone(fleet: Fleet) -> None:
    theirs = frozenset({"a"})
    with fleet.write() as connection:
        summaries.put(connection, summary("b", (line(1, model="b"), line(2, model="b")), exposed=9.0))
        summaries.put(connection, summary("a", (line(3, model="a"),)))
    with fleet.read() as connection:
        assert summaries.totals(connection, theirs) == {"models": 1, "open": 1, "waiting": 0, "clocks": 0}
        assert summaries.totals(connection, frozenset()) == {"models": 0, "open": 0, "waiting": 0, "clocks": 0}
        # A screenful of one is not filled by what they may not see.
        assert [card["model"] for card in summaries.cards(connection, 0, 1, of=theirs)] == ["a"]
        assert [item["id"] for item in summaries.incidents(connection, of=theirs, number=1)] == ["incident-3"]
        assert summaries.count_incidents(connection, of=theirs, state="open") == 1
        assert [item["id"] for item in summaries.found(connection, "rose", of=theirs)[1]] == ["incident-3"]


def test_a_search_takes_signs_of_patterns_for_what_they_are(fleet: Fleet) -> None:
    with fleet.write() as connection:
        summaries.put(connection, summary("model_1"), summary("modelx1"))
    with fleet.read() as connection:
        assert summaries.found(connection, "MODEL_")[0] == ["model_1"]
        assert summaries.found(connection, "%") == ([], [])
        assert summaries.found(connection, " ") == ([], [])


def said(kind: str, **content: Any) -> ArtifactRecord:
    return ArtifactRecord(f"{kind}-1", kind, "m", 0, (), {"item": "incident-1", "by": "ann", "text": "", **content})


@given(
    then=st.dictionaries(st.sampled_from("ab"), st.floats(0, 1)),
    now=st.lists(st.tuples(st.sampled_from("abc"), st.floats(0, 1)), max_size=4),
)
def test_a_snoozed_incident_wakes_exactly_where_something_is_larger_or_new(
    then: dict[str, float], now: list[tuple[str, float]]
) -> None:
    stand = handled("incident-1", [said("snooze", sizes=then)])
    worse = any((monitor not in then and size > 0) or size > then.get(monitor, 2.0) for monitor, size in now)
    assert stand.state(now, recovered=False) == ("open" if worse else "snoozed")
    assert stand.state(now, recovered=True) == "recovered"
    closed = handled("incident-1", [said("snooze", sizes=then), said("disposition")])
    assert closed.state(now, recovered=False) == "closed"


def test_what_is_said_about_another_incident_does_not_count() -> None:
    assert handled("incident-2", [said("disposition"), said("assignment", to="bob")]).assigned == ""


def facts() -> Facts:
    alarm = {"monitor": "error", "size": -0.25}
    opened = {"id": "incident-1", "alarms": ["alarm-1"]}
    kept = (
        Artifact("alarm-1", "alarm", 0, (), alarm),
        Artifact("incident-1", "incident", 0, ("alarm-1",), opened),
    )
    clean = Verification(0, CompactRange().root, 0, ())
    return Facts("m", Calendar("day", "month"), 0, kept, (), None, lambda: clean, lambda: ())


def test_a_snooze_remembers_how_large_each_alarm_was() -> None:
    kept = handling.snooze(facts(), "incident-1", by="ann", text="known", observed={})
    assert kept.content["sizes"] == {"error": 0.25}
    assert kept.caused_by == ("incident-1",)


def test_statements_have_a_name_a_reason_and_an_incident() -> None:
    known = facts()
    seen: dict[str, Any] = {"observed": {}}
    acts: tuple[Callable[[], Artifact], ...] = (
        lambda: handling.comment(known, "incident-1", by="ann", text=" ", **seen),
        lambda: handling.comment(known, "incident-2", by="ann", text="x", **seen),
        lambda: handling.comment(known, "incident-1", by=" ", text="x", **seen),
        lambda: handling.snooze(known, "incident-1", by="ann", text="", **seen),
        lambda: handling.close(known, "incident-1", verdict="odd", by="ann", text="x", **seen),
        lambda: handling.close(known, "incident-1", verdict="false alarm", by="ann", text="", **seen),
    )
    for act in acts:
        with pytest.raises(StatementError):
            act()
    closed = handling.close(known, "incident-1", verdict="false alarm", by="ann", text="a test", observed={})
    assert (closed.kind, closed.content["text"]) == ("disposition", "false alarm: a test")
    with pytest.raises(StatementError, match="closed already"):
        handling.close(
            replace(known, artifacts=(*known.artifacts, closed)),
            "incident-1",
            verdict="false alarm",
            by="bob",
            text="again",
            observed={},
        )


@given(seed=st.integers(0, 10_000))
def test_the_area_under_the_curve_is_scikit_learns(seed: int) -> None:
    draw = np.random.default_rng(seed)
    positive = np.r_[True, False, draw.random(30) < 0.4]
    score = np.round(draw.random(32), 1)
    assert _auc(score, positive) == pytest.approx(roc_auc_score(positive, score))
    assert _auc(score, np.ones(32, dtype=bool)) is None


def test_csv_does_not_run_in_a_spreadsheet_and_leaves_the_unknown_empty() -> None:
    chart = Pictured("a", "A", "", (), (Column("x"), Column("y")), [], [("=1+1", None), ("a,b", 0.5)])
    assert chart.csv().splitlines() == ["x,y", "'=1+1,", '"a,b",0.5']


def test_a_sparkline_breaks_where_nothing_is_known() -> None:
    drawing = sparkline([1.0, 2.0, None, float("nan"), 3.0, 4.0, None, 5.0], "rises")
    assert drawing.count("<path") == 2
    assert "<title>rises</title>" in drawing
    assert "nan" not in sparkline([], "nothing")

"""Who may say what: four eyes, named roles, clocks; and what selection rates, scores and the gate make of it."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pitstop.compliance.clocks import DAYS, serious_incidents
from pitstop.compliance.facts import Artifact, Facts
from pitstop.compliance.fairness import audit
from pitstop.compliance.gate import judge
from pitstop.compliance.packs import Pack, parse_pack
from pitstop.compliance.score import SECTIONS, score, score_tests
from pitstop.compliance.served import served_at
from pitstop.compliance.statements import approve, attest, declare, override, report
from pitstop.errors import StatementError
from pitstop.records.calendar import DAY, Calendar

PACK = """
name = "ours"
version = "1"
title = "Ours"
dated = 2024-01-01
source = "us"
notice = "none"
[[item]]
id = "reviewed"
obligation = "It was reviewed."
query = "attestation"
limit = 365
gate = "release"
"""


def pack(more: str = "") -> Pack:
    return parse_pack(PACK + more, "ours.toml")


def held_up(good: Facts, asked: Pack) -> Facts:
    """Return the facts in which the release of model-2 is refused by a pack."""
    facts = replace(good, candidate="model-2")
    held = [item.to_json() for item in judge([asked], facts).objections]
    refusal = Artifact("refusal-1", "refusal", 134 * DAY, ("model-2",), {"challenger": "model-2", "open": held})
    return with_said(facts, refusal)


def with_said(facts: Facts, *said: Artifact) -> Facts:
    return replace(facts, artifacts=(*facts.artifacts, *said))


def test_an_override_counts_only_for_its_item_its_model_and_from_who_may_say_it(good: Facts) -> None:
    asked = pack()
    facts = held_up(good, asked)
    assert not judge([asked], facts).admitted
    said = override(facts, "reviewed", by="cleo ", text="Monday.")
    verdict = judge([asked], with_said(facts, said))
    assert (verdict.admitted, verdict.overridden) == (True, (said,))
    assert verdict.words == "; reviewed overridden by cleo (Monday.)"
    for change in ({"challenger": "model-1"}, {"item": "other"}, {"by": "Ben"}, {"by": "Ada"}, {"pack": "theirs"}):
        other = replace(said, content={**said.content, **change})
        assert not judge([asked], with_said(facts, other)).admitted, change


@pytest.mark.parametrize(
    ("more", "by", "text", "words"),
    [
        ("", "Ben", "x", "Ben may not override 'reviewed': [rules] risk_officers names Cleo"),
        ("", "Cleo", " ", "needs a reason"),
        ("", " ", "x", "needs the name"),
        ('override = "nobody"', "Cleo", "x", "may not be overridden by anybody"),
        ('override = "approver"', "Ada", "x", "Ada is among the authors"),
        ('override = "approver"', "Cleo", "x", "[rules] approvers names Ben, Ada"),
    ],
)
def test_an_override_that_may_not_be_is_refused(good: Facts, more: str, by: str, text: str, words: str) -> None:
    with pytest.raises(StatementError) as caught:
        override(held_up(good, pack(more)), "reviewed", by=by, text=text)
    assert words in str(caught.value)


def test_four_eyes_the_author_approves_nothing_and_an_approval_is_for_one_model(good: Facts) -> None:
    asked = pack('\n[[item]]\nid = "four-eyes"\nobligation = "b"\nquery = "release_is_approved"\ngate = "release"')
    facts = with_said(held_up(good, asked), attest(good, [asked], "reviewed", by="Ada"))
    with pytest.raises(StatementError, match="Ada is among the authors of m"):
        approve(facts, by="Ada")
    with pytest.raises(StatementError, match="may not approve"):
        approve(facts, by="Cleo")
    given = approve(facts, by="BEN")
    assert given.caused_by == ("model-2", "refusal-1")
    assert judge([asked], with_said(facts, given)).approvals == (given,)
    assert judge([asked], with_said(facts, given)).admitted
    # Whoever is no approver any more is not named as one by a release, whether or not a pack asks for approval.
    gone = replace(given, content={**given.content, "by": "Cleo"})
    assert [judge([], with_said(facts, said)).words for said in (given, gone)] == ["; approved by BEN", ""]
    other = approve(facts, by="Ben", challenger="model-1")
    assert not judge([asked], with_said(facts, other)).admitted


def test_an_item_that_does_not_bind_yet_holds_up_nothing(good: Facts) -> None:
    facts = replace(good, candidate="model-2")
    assert judge([pack("effective = 2030-01-01")], facts).admitted
    assert not judge([pack("effective = 1970-01-01")], facts).admitted
    assert judge([parse_pack(PACK.replace('gate = "release"', ""), "ours.toml")], facts).admitted


@pytest.mark.parametrize(("severity", "days"), [("serious", 15), ("death", 10), ("widespread", 2)])
def test_the_clock_of_article_73_runs_from_when_one_became_aware(good: Facts, severity: str, days: int) -> None:
    assert DAYS[severity] == days  # type: ignore[index]
    aware = 133 * DAY + DAY // 3
    said = declare(replace(good, artifacts=()), severity=severity, aware_at=aware, by="Ben", text="x")
    facts = with_said(replace(good, artifacts=()), *said)
    (found,) = serious_incidents(facts)
    assert found.due == aware + days * DAY
    assert not found.overdue(found.due)
    assert found.overdue(found.due + 1)
    assert found.freeze is not None
    assert found.freeze.content["windows"] == [window for window in good.windows if window >= 103]
    early, late = (report(facts, found.declared.id, reported_at=found.due + n, by="Ben", text="x") for n in (0, 1))
    assert not serious_incidents(with_said(facts, early))[0].overdue(found.due + 99 * DAY)
    assert serious_incidents(with_said(facts, late))[0].overdue(found.due)


def test_no_clock_begins_or_ends_in_a_time_to_come(good: Facts) -> None:
    facts, typed = replace(good, artifacts=()), {"recorded": "1970-05-15T06:00:00+00:00"}
    now = facts.calendar.parse_instant(typed["recorded"])
    with pytest.raises(StatementError, match="which is after now"):
        declare(facts, severity="death", aware_at=now + 1_000_000, by="Ben", text="x", observed=typed)
    said = declare(facts, severity="death", aware_at=now + 999_999, by="Ben", text="x", observed=typed)
    for closes in (False, True):
        words = {"by": "Ben", "text": "x", "closes": closes, "observed": typed}
        with pytest.raises(StatementError, match="which is after now"):
            report(with_said(facts, *said), said[0].id, reported_at=now + DAY, **words)  # type: ignore[arg-type]


def test_a_calendar_of_rows_has_no_clock(good: Facts) -> None:
    by_rows = replace(good, calendar=Calendar(50, 10))
    with pytest.raises(StatementError, match="counts rows and not days"):
        declare(by_rows, severity="death", aware_at=1, by="Ben", text="x")


def test_an_incident_is_disposed_of_by_what_a_person_says(good: Facts) -> None:
    said = attest(good, [], "incident-1", by="Ben", text="A pipeline.")
    assert (said.kind, said.caused_by) == ("disposition", ("incident-1",))


Groups = st.lists(st.tuples(st.sampled_from(["a", "b", "c", None]), st.sampled_from(["x", "y", None]), st.booleans()))


@given(Groups.filter(lambda rows: len(rows) > 0))
def test_selection_rates_and_impact_ratios_are_what_the_rule_says(rows: list[tuple[Any, Any, bool]]) -> None:
    spec = {"model": {"task": "binary"}, "columns": {"protected": ["sex", "race"]}, "decision": {"positive": "1"}}
    facts = Facts(
        model="m",
        calendar=Calendar("day", 10),
        now=0,
        artifacts=(Artifact("spec-1", "spec", 0, (), spec),),
        windows=(),
        start=None,
        check=lambda: pytest.fail("not asked"),
        logged=tuple,
    )
    table = pa.table(
        {
            "sex": pa.array([row[0] for row in rows], pa.string()),
            "race": pa.array([row[1] for row in rows], pa.string()),
            "@prediction": ["1" if row[2] else "0" for row in rows],
        }
    )
    found = audit(facts, table).content
    assert [item["name"] for item in found["tables"]] == ["sex", "race", "sex x race"]
    for item in found["tables"]:
        # Every row is in one category or unknown, and nobody is counted twice.
        assert sum(group["rows"] for group in item["groups"]) + item["unknown"] == len(rows)
        rates = {g["name"]: Fraction(g["selected"], g["rows"]) for g in item["groups"]}
        large = [rates[g["name"]] for g in item["groups"] if not g["small"]]
        best = max(large, default=Fraction(0))
        for group in item["groups"]:
            assert group["small"] == (group["rows"] < Decimal("0.02") * len(rows))
            assert group["rate"] == pytest.approx(float(rates[group["name"]]))
            if best:
                assert group["impact_ratio"] == pytest.approx(float(rates[group["name"]] / best))
            else:
                assert group["impact_ratio"] is None


def test_a_regression_is_audited_by_its_scoring_rate(good: Facts) -> None:
    (spec,) = good.of("spec")
    content = {**spec.content, "model": {"name": "m", "task": "regression"}}
    facts = replace(good, artifacts=(replace(spec, content=content),))
    table = pa.table({"sex": ["f", "f", "m", "m"], "@prediction": [1.0, 2.0, 3.0, 4.0]})
    groups = audit(facts, table).content["tables"][0]["groups"]
    assert [group["rate"] for group in groups] == [0.0, 1.0]
    multi = replace(spec, content={**content, "model": {"task": "multiclass"}})
    with pytest.raises(StatementError, match="more than two classes"):
        audit(replace(facts, artifacts=(multi,)), table)
    with pytest.raises(StatementError, match="no row is kept"):
        audit(facts, table.slice(0, 0))


def test_the_score_has_28_tests_in_four_sections_and_the_weakest_counts(good: Facts) -> None:
    tests = score_tests()
    assert {name: sum(test.section == name for test in tests) for name in SECTIONS} == dict.fromkeys(SECTIONS, 7)
    found = score(good)
    assert found.final == min(found.section(name) for name in SECTIONS)
    assert found.next is not None
    assert found.section(found.next.test.section) == found.final


def test_following_the_advice_half_a_point_at_a_time_ends_with_a_whole_score(good: Facts) -> None:
    facts, last = good, score(good).final
    for _ in range(60):
        found = score(facts)
        assert found.final >= last
        last = found.final
        if found.next is None:
            break
        facts = with_said(facts, attest(facts, [], found.next.test.id, by="Ben", automated=found.next.points > 0))
    assert last == 7.0


def test_what_is_said_by_hand_is_half_a_point_and_what_runs_by_itself_a_whole_one(good: Facts) -> None:
    def points(*said: Artifact) -> float:
        return next(item.points for item in score(with_said(good, *said)).tests if item.test.id == "data.2")

    by_hand, by_itself = (attest(good, [], "data.2", by="B", automated=automated) for automated in (False, True))
    assert (points(), points(by_hand), points(by_itself)) == (0.0, 0.5, 1.0)
    over = replace(by_itself, content={**by_itself.content, "until": 100 * DAY})
    assert points(over) == 0.0


@pytest.mark.parametrize(
    ("day", "version", "who"),
    [(100, 1, "Nobody approved it"), (115, 2, "Ben approved it"), (125, 3, "Nobody"), (131, 2, "Nobody")],
)
def test_what_served_why_and_who_approved_it(good: Facts, day: int, version: int, who: str) -> None:
    found = served_at(good, day * DAY + 5)
    assert found.release.content["version"] == version
    assert found.who.startswith(who)
    assert found.challenger is not None
    assert found.challenger.id == f"model-{version - 1}"
    assert len({item.id for item in found.why}) == len(found.why)


def test_a_release_that_a_person_ordered_says_who_and_why(good: Facts) -> None:
    content = {"action": "release", "by": "Dan", "reason": "The fair is on.", "version": 2}
    order = Artifact("order-1", "order", 109 * DAY, ("model-1",), content)
    changed = (
        replace(item, caused_by=("order-1", *item.caused_by)) if item.id == good.champions[1].id else item
        for item in good.artifacts
    )
    found = served_at(replace(good, artifacts=(order, *changed)), 115 * DAY)
    assert found.who == "Dan ordered it (The fair is on.); Ben approved it."


def test_it_serves_from_the_very_instant(good: Facts) -> None:
    before, after = served_at(good, 110 * DAY - 1), served_at(good, 110 * DAY)
    assert (before.release.content["version"], after.release.content["version"]) == (1, 2)
    assert before.replaced_at == after.since


def test_an_audit_holds_error_rates_and_calibration_where_labels_came(good: Facts) -> None:
    rows = 200
    table = pa.table(
        {
            "@id": [f"r{row}" for row in range(rows)],
            "sex": ["f" if row % 2 else "m" for row in range(rows)],
            "@prediction": ["1" if row % 4 < 2 else "0" for row in range(rows)],
            "@score": [0.75 if row % 4 < 2 else 0.25 for row in range(rows)],
        }
    )
    groups = audit(good, table, {f"r{row}": str(int(row % 8 < 2)) for row in range(rows)}).content["tables"][0][
        "groups"
    ]
    for group in groups:
        assert group["tpr"] is None, "25 positives are too few for a rate"
        assert group["fpr"]["value"] == pytest.approx(25 / 75)
        assert group["fpr"]["low"] < 25 / 75 < group["fpr"]["high"]
        assert group["calibration"]["value"] == pytest.approx(-0.25)
        assert group["estimated_tpr"]["value"] == pytest.approx(0.75)
    before_labels = audit(good, table).content["tables"][0]["groups"][0]
    assert before_labels["fpr"] is None
    assert before_labels["estimated_fpr"]["value"] == pytest.approx(0.25)

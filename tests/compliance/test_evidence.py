"""Every query passes on a model that is kept well, and fails where what it asks for is missing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from pitstop.compliance.checklist import Checklist
from pitstop.compliance.evidence import QUERIES, Artifact, Facts
from pitstop.compliance.packs import built_in
from pitstop.journal.verification import Fault, Verification
from pitstop.records.calendar import DAY, Calendar
from pitstop.releases import ReleaseTimeline

CALENDAR = Calendar("day", 10)
START = 100
INTACT = Verification(50, bytes(32), 50, ())


def artifact(kind: str, name: str, day: int, causes: tuple[str, ...] = (), **content: Any) -> Artifact:
    return Artifact(name, kind, day * DAY, causes, content)


def proof(name: str, day: int, challenger: str, verdict: str = "better", causes: tuple[str, ...] = ()) -> Artifact:
    return artifact("comparison", name, day, causes, challenger=challenger, champion="other", verdict=verdict)


def released(timeline: ReleaseTimeline) -> tuple[Artifact, ...]:
    """Return a timeline's releases, each with the baseline of a champion."""
    found = []
    for release in timeline.releases:
        found.append(Artifact(release.id, "release", release.at, release.caused_by, release.to_json()))
        if release.stage == "champion":
            found.append(artifact("baseline", f"baseline-{release.id}", release.at // DAY, owner=release.id))
    return tuple(found)


def timeline() -> ReleaseTimeline:
    """Three models: the first, one proven in shadow, one whose recipe was proven; then back to the second."""
    found = ReleaseTimeline().promote(START * DAY, "model-0", 10, ("model-0",))
    found = found.promote(110 * DAY, "model-1", 20, ("proof-1",))
    found = found.promote(120 * DAY, "model-2", 30, ("decision-2", "proof-2", "model-2"))
    return found.roll_back(130 * DAY, ("proof-3",))


def well_kept() -> Facts:
    """Return what is known of a model of which every promise was kept."""
    trained = tuple(
        artifact("challenger", f"model-{number}", START + 10 * number, rows=10, rows_digest=f"rows-{number}")
        for number in range(3)
    )
    others = (
        artifact("spec", "spec-1", START),
        *trained,
        proof("proof-1", 110, "model-1"),
        # The tested model is another than the refit, which is a cause.
        proof("proof-2", 120, "model-1b", causes=("decision-2", "model-2")),
        proof("proof-3", 130, "model-1"),
        artifact("decision", "decision-2", 120, action="retrain"),
        artifact("decision", "decision-3", 130, action="keep"),
        artifact("alarm", "alarm-1", 112),
        artifact("alarm", "alarm-2", 113),
        artifact("incident", "incident-1", 112, alarms=["alarm-1"], cause={"sentence": "The inputs moved."}),
        artifact("incident-growth", "growth-1", 113, alarms=["alarm-1", "alarm-2"], cause={"sentence": "More."}),
        artifact("failure", "failure-1", 115, challenger="model-x"),
        artifact("attestation", "attestation-1", 125, item="somebody-answers", by="A. Person", text="I do."),
    )
    return Facts(
        model="m",
        calendar=CALENDAR,
        now=135 * DAY,
        artifacts=(*others, *released(timeline())),
        windows=tuple(range(90, 135)),
        start=START,
        journal=INTACT,
    )


def ask(query: str, facts: Facts, limit: int = 2) -> tuple[str, tuple[str, ...]]:
    answer = QUERIES[query].find(facts, "somebody-answers", limit)
    assert answer.sentence
    return answer.status, answer.ids


def without(*names: str) -> Facts:
    facts = well_kept()
    assert set(names) <= set(facts.by_id)
    return replace(facts, artifacts=tuple(item for item in facts.artifacts if item.id not in names))


def changed(name: str, **content: Any) -> Facts:
    facts = well_kept()
    assert name in facts.by_id
    items = (
        replace(item, content={**item.content, **content}) if item.id == name else item for item in facts.artifacts
    )
    return replace(facts, artifacts=tuple(items))


def with_more(*more: Artifact) -> Facts:
    facts = well_kept()
    return replace(facts, artifacts=(*facts.artifacts, *more))


def champion_ids() -> list[str]:
    return [release.id for release in timeline().releases if release.stage == "champion"]


def test_a_well_kept_model_meets_every_obligation_of_the_house_rules() -> None:
    found = Checklist.of(built_in("house_rules"), well_kept())
    assert {line.item.id: line.answer.status for line in found.lines} == {
        line.item.id: "attested" if line.item.query == "attestation" else "pass" for line in found.lines
    }
    assert found.open == ()
    assert {line.item.query for line in found.lines} == set(QUERIES)
    known = {*well_kept().by_id}
    assert all(set(line.answer.ids) <= known for line in found.lines)
    assert all(
        line.answer.ids for line in found.lines if line.item.query not in ("journal_verifies", "monitoring_has_no_gap")
    )


def rolled_back_twice() -> Facts:
    """Return a model of which the only other version that ever served was found worse."""
    found = ReleaseTimeline().promote(START * DAY, "model-0", 10).promote(110 * DAY, "model-1", 20)
    return replace(well_kept(), artifacts=released(found.roll_back(120 * DAY)))


@pytest.mark.parametrize(
    ("query", "facts", "status", "ids"),
    [
        ("releases_were_compared", lambda: without("proof-1"), "fail", {champion_ids()[1]}),
        ("releases_were_compared", lambda: changed("proof-1", verdict="undecided"), "fail", {champion_ids()[1]}),
        ("releases_were_compared", lambda: changed("proof-3", challenger="model-9"), "fail", {champion_ids()[3]}),
        ("training_rows_are_digested", lambda: changed("model-1", rows_digest=""), "fail", {"model-1"}),
        ("training_rows_are_digested", lambda: changed("model-2", rows=0), "fail", {"model-2"}),
        (
            "champions_have_a_baseline",
            lambda: without(f"baseline-{champion_ids()[2]}"),
            "fail",
            {champion_ids()[2]},
        ),
        ("alarms_have_a_cause", lambda: without("growth-1"), "fail", {"alarm-2"}),
        ("alarms_have_a_cause", lambda: changed("incident-1", cause={"sentence": " "}), "fail", {"incident-1"}),
        ("failures_did_no_harm", lambda: changed("failure-1", challenger="model-0"), "fail", None),
        ("a_rollback_target_exists", rolled_back_twice, "fail", None),
        ("attestation", lambda: without("attestation-1"), "fail", set()),
        ("attestation", lambda: changed("attestation-1", item="another"), "fail", set()),
        ("attestation", lambda: replace(well_kept(), now=160 * DAY), "stale", {"attestation-1"}),
        ("a_decision_is_recent", lambda: replace(well_kept(), now=160 * DAY), "stale", {"decision-3"}),
        ("a_decision_is_recent", lambda: without("decision-2", "decision-3"), "fail", set()),
        ("monitoring_has_no_gap", lambda: replace(well_kept(), now=138 * DAY), "stale", set()),
        (
            "monitoring_has_no_gap",
            lambda: replace(well_kept(), windows=(*range(90, 110), *range(113, 135))),
            "fail",
            set(),
        ),
        ("monitoring_has_no_gap", lambda: replace(well_kept(), windows=tuple(range(103, 135))), "fail", set()),
        ("monitoring_has_no_gap", lambda: replace(well_kept(), windows=()), "stale", set()),
        (
            "journal_verifies",
            lambda: replace(well_kept(), journal=replace(INTACT, faults=(Fault("edited", 3, 3, "edited: entry 3"),))),
            "fail",
            set(),
        ),
        ("journal_verifies", lambda: replace(well_kept(), journal=replace(INTACT, signed_size=47)), "stale", set()),
    ],
)
def test_each_query_can_fail_and_names_what_is_at_fault(
    query: str, facts: Callable[[], Facts], status: str, ids: set[str] | None
) -> None:
    assert ask(query, well_kept())[0] in ("pass", "attested")
    got, found = ask(query, facts())
    assert got == status
    assert ids is None or set(found) == ids


def test_limits_are_the_greatest_that_is_allowed() -> None:
    gap = replace(well_kept(), windows=(*range(90, 110), *range(112, 135)))
    assert ask("monitoring_has_no_gap", gap, 2)[0] == "pass"
    assert ask("monitoring_has_no_gap", gap, 1)[0] == "fail"
    tail = replace(well_kept(), journal=replace(INTACT, signed_size=47))
    assert ask("journal_verifies", tail, 3)[0] == "pass"
    # Decided in period 13; attested in period 12.
    assert ask("a_decision_is_recent", replace(well_kept(), now=155 * DAY), 2)[0] == "pass"
    assert ask("attestation", replace(well_kept(), now=145 * DAY), 2)[0] == "attested"


def test_what_has_not_begun_is_not_applicable_and_not_open() -> None:
    nothing = replace(well_kept(), artifacts=(), windows=(), start=None, now=START * DAY)
    found = {query: ask(query, nothing)[0] for query in QUERIES}
    assert found.pop("journal_verifies") == "pass"
    assert found.pop("attestation") == "fail"
    assert set(found.values()) == {"not applicable"}


def test_a_monitored_model_has_the_baseline_of_its_specification() -> None:
    spec = artifact("spec", "spec-1", START)
    facts = replace(well_kept(), artifacts=(spec,))
    assert ask("champions_have_a_baseline", facts) == ("fail", ("spec-1",))
    baseline = artifact("baseline", "baseline-1", START, owner="spec-1")
    assert ask("champions_have_a_baseline", replace(facts, artifacts=(spec, baseline))) == ("pass", ("baseline-1",))


def test_the_newest_attestation_counts() -> None:
    later = artifact("attestation", "attestation-2", 134, item="somebody-answers", by="B. Person", text="")
    facts = with_more(later)
    assert ask("attestation", replace(facts, now=150 * DAY)) == ("attested", ("attestation-2",))

"""Every query passes on a model that is kept well, and fails where what it asks for is missing; so does every item."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from pitstop.compliance.checklist import Checklist
from pitstop.compliance.facts import Answer, Artifact, Facts
from pitstop.compliance.gate import judge
from pitstop.compliance.packs import BUILT_IN, Item, built_in
from pitstop.compliance.queries import QUERIES
from pitstop.compliance.statements import override
from pitstop.journal.verification import Fault, Verification
from pitstop.records.calendar import DAY, Calendar

Change = Callable[[Facts], Facts]
FAR = 9_000


def artifact(kind: str, name: str, day: int, **content: Any) -> Artifact:
    return Artifact(name, kind, day * DAY, (), content)


def without(*names: str) -> Change:
    def change(facts: Facts) -> Facts:
        assert set(names) <= set(facts.by_id)
        return replace(facts, artifacts=tuple(item for item in facts.artifacts if item.id not in names))

    return change


def no(*kinds: str) -> Change:
    def change(facts: Facts) -> Facts:
        assert facts.of(*kinds)
        return replace(facts, artifacts=tuple(item for item in facts.artifacts if item.kind not in kinds))

    return change


def changed(name: str, **content: Any) -> Change:
    def change(facts: Facts) -> Facts:
        assert name in facts.by_id
        items = (
            replace(item, content={**item.content, **content}) if item.id == name else item for item in facts.artifacts
        )
        return replace(facts, artifacts=tuple(items))

    return change


def added(*more: Artifact) -> Change:
    return lambda facts: replace(facts, artifacts=(*facts.artifacts, *more))


def at(day: int) -> Change:
    return lambda facts: replace(facts, now=day * DAY)


def rows_in(*windows: int) -> Change:
    return lambda facts: replace(facts, windows=windows)


def journal(found: Verification) -> Change:
    return lambda facts: replace(facts, check=lambda: found)


def both(*changes: Change) -> Change:
    def change(facts: Facts) -> Facts:
        for one in changes:
            facts = one(facts)
        return facts

    return change


def champion(place: int) -> Callable[[Facts], str]:
    return lambda facts: facts.champions[place].id


def spec_with(**columns: Any) -> Change:
    return lambda facts: changed("spec-1", columns={**facts.spec["columns"], **columns})(facts)


EDITED = Verification(50, bytes(32), 3, (Fault("edited", 3, 3, "edited: entry 3 is changed"),))
OVERRIDES = tuple(artifact("override", f"override-{n}", 130, item="x") for n in range(9))
SKEWED = [{"name": "f", "rows": 50, "rate": 0.4, "impact_ratio": 0.1, "small": False}]

# How each query fails whatever its limit, and further ways: (query, change, status, ids at fault or None).
BREAKS: dict[str, list[tuple[Change, str, set[str] | None]]] = {
    "releases_were_compared": [
        (without("proof-1"), "fail", None),
        (changed("proof-1", verdict="undecided"), "fail", None),
        (changed("proof-3", challenger="model-9"), "fail", None),
        (lambda facts: replace(facts, candidate="model-7"), "fail", {"model-7"}),
    ],
    "champions_have_a_baseline": [(no("baseline"), "fail", None)],
    "a_rollback_target_exists": [
        (lambda facts: replace(facts, artifacts=tuple(rolled_back_twice(facts))), "fail", None)
    ],
    "release_is_approved": [
        (without("approval-1"), "fail", {"model-1"}),
        (changed("approval-1", by="Ada"), "fail", {"approval-1"}),
        (changed("approval-1", by="Nobody"), "fail", {"approval-1"}),
        (lambda facts: replace(facts, candidate="model-2"), "fail", {"model-2"}),
    ],
    "overrides_are_rare": [(added(*OVERRIDES), "fail", {item.id for item in OVERRIDES})],
    "a_rollback_was_drilled": [
        (at(FAR), "stale", None),
        (no("release", "attestation"), "fail", set()),
    ],
    "training_rows_are_digested": [
        (changed("model-1", rows_digest=""), "fail", {"model-1"}),
        (changed("model-2", rows=0), "fail", {"model-2"}),
    ],
    "training_can_be_repeated": [(changed("model-1", seed=None), "fail", {"model-1"})],
    "failures_did_no_harm": [(changed("failure-1", challenger="model-0"), "fail", None)],
    "specification_is_on_record": [
        (no("spec"), "fail", None),
        (added(artifact("challenger", "early", 5)), "fail", {"early"}),
    ],
    "protected_columns_are_named": [(spec_with(protected=[]), "fail", {"spec-1"})],
    "protected_columns_are_not_used": [(spec_with(features=["amount", "sex"]), "fail", {"spec-1"})],
    "journal_verifies": [
        (journal(EDITED), "fail", set()),
        (journal(Verification(9_999, bytes(32), 50, ())), "stale", set()),
    ],
    "monitoring_has_no_gap": [
        (rows_in(), "stale", set()),
        (rows_in(*range(90, 101), *range(124, 135)), "fail", set()),
        (rows_in(*range(123, 135)), "fail", set()),
    ],
    "a_decision_is_recent": [(at(FAR), "stale", {"decision-3"}), (both(no("decision"), at(FAR)), "fail", set())],
    "alarms_have_a_cause": [
        (without("growth-1"), "fail", {"alarm-2"}),
        (changed("incident-1", cause={"sentence": " "}), "fail", {"incident-1"}),
    ],
    "incidents_are_disposed_of": [(both(no("decision"), at(FAR)), "fail", {"incident-1"})],
    "false_alarms_are_budgeted": [(changed("spec-1", alarms={"per_month": 9.0}), "fail", {"spec-1"})],
    "performance_is_estimated": [
        (
            changed("estimate-1", metrics={"accuracy": {"withdrawn": "contradicted", "metric": "accuracy"}}),
            "fail",
            {"estimate-1"},
        ),
        (at(FAR), "stale", {"estimate-1"}),
        (both(no("estimate"), at(FAR)), "fail", set()),
    ],
    "logs_are_kept": [(rows_in(*range(90, 134)), "fail", set())],
    "rows_are_not_kept_longer": [(at(FAR), "fail", set())],
    "people_are_named": [
        (changed("rules-1", authors=[]), "fail", {"rules-1"}),
        (changed("rules-1", approvers=["ada"]), "fail", {"rules-1"}),
        (no("rules"), "fail", set()),
    ],
    "attestation": [
        (no("attestation"), "fail", set()),
        (at(FAR), "stale", {"attestation-1"}),
        (changed("attestation-1", until=130 * DAY), "stale", {"attestation-1"}),
        (changed("attestation-1", item="another"), "fail", set()),
    ],
    "selection_was_audited": [(no("fairness-audit"), "fail", set()), (at(FAR), "stale", {"audit-1"})],
    "impact_ratios_are_at_least": [
        (no("fairness-audit"), "fail", set()),
        (changed("audit-1", tables=[{"name": "sex", "unknown": 0, "groups": SKEWED}]), "fail", {"audit-1"}),
        (changed("audit-1", tables=[]), "fail", {"audit-1"}),
    ],
    "serious_incidents_are_reported": [
        (both(no("incident-report"), at(FAR)), "fail", {"serious-1"}),
        (changed("report-1", reported_at=143 * DAY), "fail", {"serious-1"}),
    ],
    "incident_evidence_is_frozen": [
        (no("freeze"), "fail", {"serious-1"}),
        (rows_in(*range(90, 120), *range(122, 135)), "fail", {"freeze-1"}),
    ],
    "corrective_actions_are_closed": [(at(FAR), "fail", {"serious-1"})],
}
# 9 of 35 against 9 of 28: four fifths.
EXACTLY = (9 / 35) / (9 / 28)
LIMITS = {
    "journal_verifies": 0,
    "impact_ratios_are_at_least": 80,
    "rows_are_not_kept_longer": 50,
    "overrides_are_rare": 3,
    "false_alarms_are_budgeted": 2,
}


def rolled_back_twice(facts: Facts) -> list[Artifact]:
    """Leave two versions, of which the one that does not serve was found worse."""
    releases = list(facts.of("release"))
    last = releases[-1]
    return [
        *releases[:3],
        replace(releases[1], id="back", content={**releases[1].content, "stage": "rolled_back"}),
        last,
    ]


def ask(query: str, facts: Facts, limit: int | None = None, item: str = "somebody-answers") -> Answer:
    answer = QUERIES[query].find(facts, item, LIMITS.get(query, 20) if limit is None else limit)
    assert answer.sentence
    return answer


def test_every_query_has_a_way_to_fail() -> None:
    assert set(BREAKS) == set(QUERIES)


@pytest.mark.parametrize("query", QUERIES)
def test_each_query_is_content_with_a_model_that_is_kept_well(good: Facts, query: str) -> None:
    answer = ask(query, good)
    assert answer.status == ("attested" if QUERIES[query].manual else "pass")
    assert set(answer.ids) <= set(good.by_id)


@pytest.mark.parametrize(
    ("query", "change", "status", "ids"),
    [(query, *case) for query, cases in BREAKS.items() for case in cases],
)
def test_each_query_can_fail_and_names_what_is_at_fault(
    good: Facts, query: str, change: Change, status: str, ids: set[str] | None
) -> None:
    answer = ask(query, change(good))
    assert answer.status == status
    assert ids is None or set(answer.ids) == ids


ITEMS = [(name, item) for name in BUILT_IN for item in built_in(name).items]


@pytest.mark.parametrize(("pack", "item"), ITEMS, ids=[f"{pack}-{item.id}" for pack, item in ITEMS])
def test_every_item_of_every_pack_can_fail_with_its_own_limit(good: Facts, pack: str, item: Item) -> None:
    change, status, _ = BREAKS[item.query][0]
    answer = ask(item.query, change(good), item.limit or 0, item.id)
    assert answer.status == status, pack
    assert answer.status in ("fail", "stale")


GATES = [(name, item) for name, item in ITEMS if item.gate == "release"]


@pytest.mark.parametrize(("pack", "item"), GATES, ids=[f"{pack}-{item.id}" for pack, item in GATES])
def test_every_gate_of_every_pack_blocks_and_its_override_is_recorded(good: Facts, pack: str, item: Item) -> None:
    bound = replace(built_in(pack), items=(item,), effective=None)
    facts = replace(BREAKS[item.query][0][0](good), candidate="model-2")
    refused = judge([bound], facts)
    assert [objection.line.item for objection in refused.objections] == [item]
    content = {"challenger": "model-2", "open": [objection.to_json() for objection in refused.objections]}
    refusal = Artifact("refusal-1", "refusal", 134 * DAY, ("model-2",), content)
    held = added(refusal)(facts)
    said = override(held, item.id, by="Cleo", text="Reviewed on paper.")
    assert said.caused_by == ("refusal-1",)
    passed = judge([bound], added(said)(held))
    assert passed.admitted
    assert passed.causes[-1] == said.id
    assert f"{item.id} overridden by Cleo (Reviewed on paper.)" in passed.words


def test_what_only_a_person_can_say_is_listed_as_manual_and_never_counted_as_a_pass(good: Facts) -> None:
    for name in BUILT_IN:
        pack = built_in(name)
        said = added(*(artifact("attestation", item.id, 130, item=item.id, by="B", text="") for item in pack.items))
        found = Checklist.of(pack, said(good))
        manual = {line.item.id for line in found.lines if line.item.query == "attestation"}
        assert set(found.to_json()["manual"]) == manual
        assert {line.item.id for line in found.lines if line.answer.status == "attested"} >= manual
        assert found.counts["pass"] <= len(pack.items) - len(manual)


def test_a_drill_that_a_person_tells_of_is_attested_and_a_real_one_observed(good: Facts) -> None:
    told = added(artifact("attestation", "drill", 134, item="somebody-answers", by="B", text="in staging"))
    assert ask("a_rollback_was_drilled", told(good)).status == "pass"
    assert ask("a_rollback_was_drilled", both(no("release"), told)(good)).status == "attested"
    passed = added(artifact("attestation", "drill", 134, item="somebody-answers", by="B", text="", until=134 * DAY))
    assert ask("a_rollback_was_drilled", both(no("release"), passed)(good)).status == "stale"


def test_a_ratio_that_is_the_limit_to_the_last_bit_is_met(good: Facts) -> None:
    groups = [{"name": name, "impact_ratio": ratio, "small": False} for name, ratio in (("a", 1.0), ("b", EXACTLY))]
    audited = changed("audit-1", tables=[{"name": "sex", "unknown": 0, "groups": groups}])(good)
    assert EXACTLY * 100 < 80
    assert [ask("impact_ratios_are_at_least", audited, limit).status for limit in (80, 81)] == ["pass", "fail"]


def test_limits_are_the_greatest_that_is_allowed(good: Facts) -> None:
    gap = rows_in(*range(90, 110), *range(112, 135))(good)
    assert [ask("monitoring_has_no_gap", gap, limit).status for limit in (1, 2)] == ["fail", "pass"]
    tail = journal(Verification(50, bytes(32), 47, ()))(good)
    assert [ask("journal_verifies", tail, limit).status for limit in (2, 3)] == ["stale", "pass"]
    # Attested on day 125.
    assert [ask("attestation", at(135)(good), limit).status for limit in (9, 10)] == ["stale", "attested"]
    assert [ask("rows_are_not_kept_longer", good, limit).status for limit in (44, 45)] == ["fail", "pass"]


def test_what_has_not_begun_is_not_applicable_and_not_open(good: Facts) -> None:
    nothing = replace(good, artifacts=(), windows=(), start=None, logged=tuple)
    open_from_the_start = {
        *("attestation", "people_are_named", "selection_was_audited", "impact_ratios_are_at_least"),
        "a_rollback_was_drilled",
    }
    for query in QUERIES:
        status = ask(query, nothing).status
        if query in open_from_the_start:
            assert status == "fail"
        else:
            assert status == ("pass" if query in ("journal_verifies", "overrides_are_rare") else "not applicable"), (
                query
            )


def test_a_monitored_model_has_the_baseline_of_its_specification(good: Facts) -> None:
    (spec,) = good.of("spec")
    facts = replace(good, artifacts=(spec,))
    assert ask("champions_have_a_baseline", facts).ids == ("spec-1",)
    baseline = artifact("baseline", "baseline-1", 100, owner="spec-1")
    assert ask("champions_have_a_baseline", replace(facts, artifacts=(spec, baseline))).ids == ("baseline-1",)


def test_with_row_counts_a_day_is_a_window(good: Facts) -> None:
    by_rows = replace(good, calendar=Calendar(50, 10), now=700 * 50, artifacts=())
    assert by_rows.days(650 * 50) == 50
    facts = added(replace(artifact("attestation", "a", 0, item="somebody-answers", by="B", text=""), at=650 * 50))(
        by_rows
    )
    assert [ask("attestation", facts, limit).status for limit in (49, 50)] == ["stale", "attested"]

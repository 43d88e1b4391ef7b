"""What the loop may do by itself: inside the agreed envelope at once, outside only with a named person's word."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pyarrow as pa
import pytest

from pitstop.compliance.statements import approve, override
from pitstop.errors import SpecError, StatementError
from pitstop.integrations.serving import carry_out
from pitstop.loop.envelope import ProposedChange, outside
from pitstop.loop.orders import Order
from pitstop.loop.recalling import facts_of
from pitstop.records.spec import LimitsSection, ModelSpec, RulesSection
from pitstop.replays.replay import run
from pitstop.store.home import Home

Maker = Callable[..., pa.Table]
PEOPLE = RulesSection(authors=("Ada",), approvers=("Ben", "Ada"), risk_officers=("Cleo",))


def limited(spec: ModelSpec, **limits: Any) -> ModelSpec:
    return replace(spec, rules=PEOPLE, limits=LimitsSection(**limits))


def kept(workshop: Any, name: str, kind: str) -> list[Any]:
    with Home.open(workshop.folder / name, read_only=True) as home:
        return list(home.artifacts(kind, "small"))


def served(workshop: Any, name: str) -> list[int]:
    return [item.content["version"] for item in kept(workshop, name, "release") if item.content["stage"] == "champion"]


def say(workshop: Any, name: str, statement: Any, *what: Any, **more: str) -> str:
    with Home.open(workshop.folder / name) as home:
        said = statement(facts_of(home, "small"), *what, **more)
        with home.transaction() as store:
            store.put_artifact(said.content, said.kind, said.id, said.at, said.caused_by, "small")
    return str(said.id)


def test_limits_that_nothing_leaves_change_no_id(workshop: Any, small: Any, spec: ModelSpec, history: Maker) -> None:
    wide = limited(spec, recipes=("last_3",), most_changed=0.999, cool_down=0, budget_per_month=1e9)
    assert wide.id == spec.id
    workshop.run(history(), wide, "wide")
    ours = [item for item in workshop.artifacts("wide") if item[1] != "rules"]
    # A replay ends with the half window after the last full one.
    assert [item[0] for item in ours] == [item[0] for item in small.artifacts[: len(ours)]]
    assert len(ours) > 0.9 * len(small.artifacts)


def test_what_lies_outside_is_said_limit_by_limit() -> None:
    change = ProposedChange("last_3", rows=80, champion_rows=100, changed=0.2)
    limits = LimitsSection(automatic=False, recipes=("all",), most_changed=0.1, least_rows=0.9)
    assert outside(limits, change) == (
        ("automatic", "no release is made without a person"),
        ("recipes", "it was trained by last_3; agreed are all"),
        ("most_changed", "it decides 20.0% of rows otherwise; agreed are at most 10.0%"),
        ("least_rows", "it has 80 training rows, agreed are 90"),
    )
    assert outside(LimitsSection(recipes=("last_3",), most_changed=0.2, least_rows=0.8), change) == ()
    assert outside(LimitsSection(), change) == ()


def test_outside_the_envelope_a_release_waits_for_the_named_role(
    workshop: Any, spec: ModelSpec, history: Maker
) -> None:
    bound, name, words = limited(spec, most_changed=0.05), "envelope", "limits.most_changed: it decides"
    found = run(workshop.folder / name, spec=bound, source=history(), as_of="2024-02-09", base=workshop.folder)
    assert words in found.held_up
    assert served(workshop, name) == [1]
    (refusal,) = kept(workshop, name, "refusal")
    assert [item["pack"] for item in refusal.content["open"]] == ["limits"]
    with pytest.raises(StatementError, match="Ada is among the authors"):
        say(workshop, name, approve, by="Ada")
    given = say(workshop, name, approve, by="Ben")
    workshop.run(history(), bound, name, as_of="2024-02-11")
    release = kept(workshop, name, "release")[-1]
    assert release.content["stage"] == "champion"
    assert {given, refusal.id} <= set(release.caused_by)
    assert "approved by Ben" in release.content["reason"]


@pytest.mark.slow
def test_the_role_may_be_another_one_and_gives_its_word_by_an_override(
    workshop: Any, spec: ModelSpec, history: Maker
) -> None:
    bound = limited(spec, automatic=False, approval="risk_officer")
    workshop.run(history(), bound, "officer", as_of="2024-02-09")
    say(workshop, "officer", approve, by="Ben")
    workshop.run(history(), bound, "officer", as_of="2024-02-10")
    # An approver's word does not count where a risk officer's was agreed.
    assert served(workshop, "officer") == [1]
    say(workshop, "officer", override, "limits.automatic", by="Cleo", text="Seen by the committee.")
    workshop.run(history(), bound, "officer", as_of="2024-02-12")
    assert len(served(workshop, "officer")) == 2


def test_an_ordered_release_is_its_own_approval_and_an_author_s_is_not(
    workshop: Any, spec: ModelSpec, history: Maker
) -> None:
    bound = replace(limited(spec, automatic=False), policy=replace(spec.policy, name="never"))
    workshop.run(history(), bound, "ordered", as_of="2024-02-05")
    for action in ("retrain", "release"):
        order = Order(action, "Ben", "the relation turned round")
        carry_out(workshop.folder / "ordered", order, spec=bound, base=workshop.folder)
    assert served(workshop, "ordered") == [1, 2]
    workshop.run(history(), bound, "ordered")


@pytest.mark.slow
def test_a_policy_cools_down_and_keeps_to_its_budget(workshop: Any, spec: ModelSpec, history: Maker) -> None:
    eager = replace(spec, policy=replace(spec.policy, name="every_period"))
    resting = limited(eager, cool_down=3)
    workshop.run(history(), resting, "resting")
    held = [item for item in kept(workshop, "resting", "decision") if "held back" in item.content["reason"]]
    assert held
    assert all(item.content["action"] == "keep" for item in held)
    stops = [item.content["at"] for item in kept(workshop, "resting", "release") if item.content["stage"] == "champion"]
    length = spec.calendar.period_start(1) - spec.calendar.period_start(0)
    wanted = [
        item.content["at"] for item in kept(workshop, "resting", "decision") if item.content["action"] == "retrain"
    ]
    assert wanted
    assert not any(0 < at - stop <= 3 * length for at in wanted for stop in stops[1:])
    # One release and its fits; nothing is left of the month's money for another one.
    saving = limited(eager, budget_per_month=9.0)
    workshop.run(history(), saving, "saving")
    paid = [
        (item[2], -float(line["amount"]))
        for item in workshop.artifacts("saving")
        if item[1] == "transaction" and item[3]["kind"] in ("release", "fit")
        for line in item[3]["postings"]
    ]
    month = 30 * 86_400_000_000
    first = min(at for at, _ in paid)
    later = [(at, amount) for at, amount in paid if at > first]
    assert later
    for end, _ in later:
        assert sum(amount for at, amount in later if end - month < at <= end) <= 9.0
    assert any("pass the budget" in item.content["reason"] for item in kept(workshop, "saving", "decision"))


def test_limits_without_anybody_to_approve_are_refused(spec: ModelSpec) -> None:
    with pytest.raises(SpecError, match="names nobody"):
        replace(spec, limits=LimitsSection(automatic=False))
    with pytest.raises(SpecError, match="expected a share"):
        LimitsSection(most_changed=1.2)

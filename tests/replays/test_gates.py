"""Packs that bind a model hold up its releases in the real loop, until an item passes or somebody says why not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from pitstop.compliance.facts import Artifact
from pitstop.compliance.statements import approve, attest, override
from pitstop.errors import PackError
from pitstop.loop.auditing import asked_packs
from pitstop.loop.recalling import facts_of
from pitstop.records.spec import ModelSpec, RulesSection
from pitstop.replays.replay import run
from pitstop.store.home import Home

Maker = Callable[..., pa.Table]
PACK = """
name = "ours"
version = "1"
title = "Ours"
dated = 2024-01-01
source = "us"
notice = "none"
[[item]]
id = "ITEM"
obligation = "It is looked at."
query = "QUERY"
gate = "release"
"""
PEOPLE = RulesSection(("ours.toml",), authors=("Ada",), approvers=("Ben",), risk_officers=("Cleo",))


def bound(workshop: Any, spec: ModelSpec, query: str, limit: str = "") -> ModelSpec:
    """Return the specification bound by a pack of one item."""
    name = f"{query}.toml"
    text = PACK.replace("QUERY", query).replace("ITEM", query.replace("_", "-"))
    (workshop.folder / name).write_text(text + limit)
    return replace(spec, rules=replace(PEOPLE, packs=(name,)))


def say(workshop: Any, name: str, statement: Callable[..., Artifact], *what: Any, **more: str) -> str:
    """Put a statement into a home, as the command line does, and return its id."""
    with Home.open(workshop.folder / name) as home:
        said = statement(facts_of(home, "small"), *what, **more)
        with home.transaction() as store:
            store.put_artifact(said.content, said.kind, said.id, said.at, said.caused_by, "small")
    return said.id


def kept(workshop: Any, name: str, kind: str) -> list[Any]:
    with Home.open(workshop.folder / name, read_only=True) as home:
        return list(home.artifacts(kind, "small"))


def versions(workshop: Any, name: str) -> list[tuple[int, int]]:
    """Return (day since the start of 2024, version) of every release from which on a model served."""
    return [
        ((item.at // 86_400_000_000) - 19723, item.content["version"])
        for item in kept(workshop, name, "release")
        if item.content["stage"] == "champion"
    ]


def test_a_release_is_held_up_with_one_record_until_somebody_else_approves_it(
    workshop: Any, small: Any, spec: ModelSpec, history: Maker
) -> None:
    champions = [item for item in small.of("release") if item[3]["stage"] == "champion"]
    free = [item[2] // 86_400_000_000 - 19723 for item in champions]
    first, second = (item[3]["version"] for item in champions)
    gated, table, name = bound(workshop, spec, "release_is_approved"), history(), "gate-approval"
    day = f"2024-02-{free[1] - 31 + 3:02}"
    found = run(workshop.folder / name, spec=gated, source=table, as_of=day, base=workshop.folder)
    assert found.held_up == "the release is held up by release-is-approved: nobody approved this model before it served"
    assert versions(workshop, name) == [(free[0], first)]
    (refusal,) = kept(workshop, name, "refusal")
    assert refusal.content["open"][0]["item"] == "release-is-approved"
    assert refusal.content["challenger"] in refusal.caused_by
    given = say(workshop, name, approve, by="Ben", text="Looked at the slices.")
    workshop.run(table, gated, name, as_of=f"2024-02-{free[1] - 31 + 5:02}")
    # Said two days after the refusal, so known at the end of the window that followed.
    assert versions(workshop, name) == [(free[0], first), (free[1] + 3, second)]
    release = kept(workshop, name, "release")[-1]
    assert {given, refusal.id} <= set(release.caused_by)
    assert "approved by Ben" in release.content["reason"]
    assert len(kept(workshop, name, "refusal")) == 1
    with Home.open(workshop.folder / name, read_only=True) as home:
        assert home.verify(rows=True).ok
        assert facts_of(home, "small").waiting is None


def test_an_override_with_a_reason_lets_it_pass_and_is_shown(workshop: Any, spec: ModelSpec, history: Maker) -> None:
    gated, table, name = bound(workshop, spec, "attestation", "limit = 30\n"), history(), "gate-override"
    workshop.run(table, gated, name, as_of="2024-02-09")
    (refusal,) = kept(workshop, name, "refusal")[-1:]
    given = say(workshop, name, override, "attestation", by="Cleo", text="The review is on Monday.")
    workshop.run(table, gated, name, as_of="2024-02-11")
    release = kept(workshop, name, "release")[-1]
    assert release.content["stage"] == "champion"
    assert {given, refusal.id} <= set(release.caused_by)
    assert "attestation overridden by Cleo (The review is on Monday.)" in release.content["reason"]


@pytest.mark.slow
def test_it_passes_as_soon_as_the_item_does(workshop: Any, spec: ModelSpec, history: Maker) -> None:
    gated, table, name = bound(workshop, spec, "attestation", "limit = 30\n"), history(), "gate-attested"
    workshop.run(table, gated, name, as_of="2024-02-09")
    with Home.open(workshop.folder / name, read_only=True) as home:
        facts = facts_of(home, "small")
    pack = gated_packs(gated, workshop.folder)
    say(workshop, name, lambda found: attest(found, pack, "attestation", by="Ada"))
    workshop.run(table, gated, name, as_of="2024-02-11")
    release = kept(workshop, name, "release")[-1]
    assert facts.waiting is not None
    assert release.content["stage"] == "champion"
    assert facts.waiting.id in release.caused_by


def gated_packs(spec: ModelSpec, folder: Path) -> Any:
    from pitstop.compliance.packs import load_packs  # noqa: PLC0415 - only here

    return load_packs(spec.rules.packs, folder)


@pytest.mark.slow
def test_a_release_that_nobody_lets_pass_is_withdrawn_and_every_refusal_ends_once(
    workshop: Any, spec: ModelSpec, history: Maker
) -> None:
    gated, name = bound(workshop, spec, "release_is_approved"), "gate-never"
    run = workshop.replay(history(), gated, name)
    champions = [item[3]["version"] for item in run.of("release") if item[3]["stage"] == "champion"]
    assert champions == [1]
    refusals = {item[0] for item in run.of("refusal")}
    with Home.open(workshop.folder / name, read_only=True) as home:
        ends = [set(item.caused_by) & refusals for item in home.artifacts("withdrawal", "small")]
        waiting = facts_of(home, "small").waiting
    ended = [one for found in ends for one in found]
    assert len(ended) == len(set(ended))
    assert refusals - set(ended) == ({waiting.id} if waiting else set())
    assert len(ended) >= 1


@pytest.mark.slow
def test_a_replay_that_stops_and_goes_on_holds_up_the_same(workshop: Any, spec: ModelSpec, history: Maker) -> None:
    gated, table = bound(workshop, spec, "release_is_approved"), history()
    workshop.replay(table, gated, "gate-whole")
    for day in ("2024-01-20", "2024-02-08", "2024-02-11", "2024-02-25"):
        workshop.run(table, gated, "gate-parts", as_of=day)
    workshop.replay(table, gated, "gate-parts")
    whole, parts = ({item[0]: item for item in workshop.artifacts(name)} for name in ("gate-whole", "gate-parts"))
    assert whole == parts


@pytest.mark.slow
@pytest.mark.parametrize("query", ["releases_were_compared", "champions_have_a_baseline", "journal_verifies"])
def test_a_pack_whose_items_pass_changes_no_release(
    workshop: Any, small: Any, spec: ModelSpec, history: Maker, query: str
) -> None:
    limit = "limit = 0\n" if query == "journal_verifies" else ""
    run = workshop.replay(history(), bound(workshop, spec, query, limit), f"gate-{query}")
    # The reason and the causes are the same too: nobody had to say anything.
    assert run.of("release") == small.of("release")
    assert not run.of("refusal")


def test_without_packs_everything_is_as_it_was_and_people_alone_bind_nothing(
    workshop: Any, small: Any, spec: ModelSpec, history: Maker
) -> None:
    run = workshop.replay(history(), replace(spec, rules=replace(PEOPLE, packs=())), "gate-people")
    assert [item for item in run.artifacts if item[1] != "rules"] == list(small.artifacts)
    assert [item[3]["authors"] for item in run.of("rules")] == [["Ada"]]


@pytest.mark.slow
def test_a_change_of_the_rules_is_one_entry_each_and_a_missing_pack_an_error(
    workshop: Any, spec: ModelSpec, history: Maker
) -> None:
    table, name = history(), "gate-rules"
    first, second = bound(workshop, spec, "releases_were_compared"), bound(workshop, spec, "release_is_approved")
    for day, rules in (("2024-01-15", first), ("2024-01-16", first), ("2024-01-17", second), ("2024-01-18", first)):
        workshop.run(table, rules, name, as_of=day)
    found = kept(workshop, name, "rules")
    assert [item.content["packs"][0]["items"] for item in found] == [
        ["releases-were-compared"],
        ["release-is-approved"],
        ["releases-were-compared"],
    ]
    assert found[2].caused_by == (found[1].id,)
    with Home.open(workshop.folder / name, read_only=True) as home:
        facts = facts_of(home, "small")
    # What binds is shown from the record, without the file.
    assert [pack.name for pack in asked_packs(facts)] == ["evidence_checklist", "house_rules", "ours"]
    with pytest.raises(PackError, match=r"cannot read the pack .*none\.toml"):
        workshop.run(table, replace(spec, rules=RulesSection(("none.toml",))), name, as_of="2024-01-19")

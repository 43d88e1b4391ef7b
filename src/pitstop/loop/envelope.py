"""The agreed envelope of change: whether a release may be made without a person, and whether a person approved it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from pitstop.compliance.checklist import Line
from pitstop.compliance.facts import Answer, Artifact, Facts
from pitstop.compliance.gate import Objection, Verdict
from pitstop.compliance.packs import Item
from pitstop.records.spec import LimitsSection

PACK = "limits"
SHOWN_SEGMENTS = 3


@dataclass(frozen=True)
class ProposedChange:
    """What a release would change: `changed` is the share of rows decided otherwise than by the champion.

    `worse` are the segments in which it is proven worse, `unproven` those in which nothing is proven yet, in words.
    """

    recipe: str
    rows: int
    champion_rows: int
    changed: float
    worse: tuple[str, ...] = ()
    unproven: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return it as plain JSON types."""
        return asdict(self)

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> ProposedChange:
        """Return what `to_json` described."""
        told = {name: tuple(content.get(name, ())) for name in ("worse", "unproven")}
        return cls(**{**content, **told})


def outside(limits: LimitsSection, change: ProposedChange) -> tuple[tuple[str, str], ...]:
    """Return in what a change leaves the envelope: (id of the limit, sentence) for each; empty inside."""
    found = []
    if not limits.automatic:
        found.append(("automatic", "no release is made without a person"))
    if limits.recipes and change.recipe not in limits.recipes:
        found.append(("recipes", f"it was trained by {change.recipe}; agreed are {', '.join(limits.recipes)}"))
    if change.changed > limits.most_changed:
        found.append(
            (
                "most_changed",
                f"it decides {change.changed:.1%} of rows otherwise; agreed are at most {limits.most_changed:.1%}",
            )
        )
    if change.rows < limits.least_rows * change.champion_rows:
        found.append(
            (
                "least_rows",
                f"it has {change.rows:,} training rows, agreed are {limits.least_rows * change.champion_rows:,.0f}",
            )
        )
    if limits.segments != "recorded" and change.worse:
        found.append(("segments", f"it is proven worse where {_listed(change.worse)}"))
    elif limits.segments == "proven" and change.unproven:
        found.append(("segments", f"it is not proven to be no worse where {_listed(change.unproven)}"))
    return tuple(found)


def _listed(names: Sequence[str]) -> str:
    more = f" and in {len(names) - SHOWN_SEGMENTS} more segments" if len(names) > SHOWN_SEGMENTS else ""
    return " or ".join(names[:SHOWN_SEGMENTS]) + more


def with_limits(verdict: Verdict, limits: LimitsSection, change: ProposedChange | None, facts: Facts) -> Verdict:
    """Return the verdict of the packs with what the envelope objects to, and who approved it.

    An approval counts for the model that it was given for, where the person holds the role and made nothing of it; so
    does a release of it that such a person orders, and an override of the very limit.
    """
    if change is None:
        return verdict
    left = outside(limits, change)
    if not left:
        return verdict
    said = _approvals(facts, limits.approval)
    if said:
        known = {item.id for item in verdict.approvals}
        return replace(verdict, approvals=(*verdict.approvals, *(item for item in said if item.id not in known)))
    overridden = [_override(facts, name, limits.approval) for name, _ in left]
    objections = tuple(
        Objection(
            PACK,
            Line(
                Item(f"limits.{name}", "A release stays inside the agreed envelope.", PACK, override=limits.approval),
                Answer("fail", sentence),
            ),
        )
        for (name, sentence), passed in zip(left, overridden, strict=True)
        if passed is None
    )
    passes = tuple(item for item in overridden if item is not None)
    return replace(verdict, objections=(*verdict.objections, *objections), overridden=(*verdict.overridden, *passes))


def _approvals(facts: Facts, role: str) -> tuple[Artifact, ...]:
    """Return who lets it pass. Where nobody is named for the role, whoever orders a release answers for it."""
    people = facts.people
    named = people.approvers if role == "approver" else people.risk_officers
    given = [item for item in facts.of("approval") if item.content["challenger"] == facts.candidate]
    given += [
        item
        for item in facts.of("order")
        if item.content["action"] == "release" and item.content.get("model") == facts.candidate
    ]
    return tuple(
        item
        for item in given
        if (people.holds(item.content["by"], role) or not named) and not people.is_author(item.content["by"])
    )


def _override(facts: Facts, limit: str, role: str) -> Artifact | None:
    people = facts.people
    given: Sequence[Artifact] = [
        item
        for item in facts.of("override")
        if (item.content["pack"], item.content["item"], item.content["challenger"])
        == (PACK, f"limits.{limit}", facts.candidate)
        and people.holds(item.content["by"], role)
        and not people.is_author(item.content["by"])
    ]
    return given[-1] if given else None

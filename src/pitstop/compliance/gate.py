"""Whether a release may be made: the items of binding packs that gate, and the overrides that let one pass."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pitstop.compliance.checklist import Line, line_of
from pitstop.compliance.facts import Artifact, Facts
from pitstop.compliance.packs import Pack


@dataclass(frozen=True)
class Objection:
    """An open item that holds up a release, with the name of its pack."""

    pack: str
    line: Line

    def to_json(self) -> dict[str, Any]:
        """Return the objection as plain JSON types."""
        item, answer = self.line.item, self.line.answer
        return {
            "pack": self.pack,
            "item": item.id,
            "obligation": item.obligation,
            "status": answer.status,
            "found": answer.sentence,
            "evidence": list(answer.ids),
            "override": item.override,
        }


@dataclass(frozen=True)
class Verdict:
    """What stands in the way of a release, what was overridden, and who approved it."""

    objections: tuple[Objection, ...] = ()
    overridden: tuple[Artifact, ...] = ()
    approvals: tuple[Artifact, ...] = ()

    @property
    def admitted(self) -> bool:
        """Whether the release may be made."""
        return not self.objections

    @property
    def causes(self) -> tuple[str, ...]:
        """Ids of the approvals and overrides that a release owes its way to."""
        return tuple(item.id for item in (*self.approvals, *self.overridden))

    @property
    def words(self) -> str:
        """What a release's reason says of them, empty where there were none."""
        said = [f"approved by {item.content['by']}" for item in self.approvals[-1:]]
        said += [
            f"{item.content['item']} overridden by {item.content['by']} ({item.content['text']})"
            for item in self.overridden
        ]
        return "".join(f"; {part}" for part in said)

    @property
    def sentence(self) -> str:
        """Why a release is refused."""
        held = "; ".join(f"{item.line.item.id}: {item.line.answer.sentence}" for item in self.objections)
        return f"the release is held up by {held}"


def judge(packs: Sequence[Pack], facts: Facts) -> Verdict:
    """Ask every binding item that gates about `facts.candidate`.

    An override counts for the model that it was given for, and only where somebody who may override that item gave it
    and is not among the authors; an approval likewise, from whoever is an approver now.
    """
    objections: list[Objection] = []
    overridden: list[Artifact] = []
    for pack in packs:
        for item in pack.items:
            if item.gate != "release" or not pack.binds(item, facts.now, facts.calendar):
                continue
            line = line_of(pack, item, facts)
            if not line.open:
                continue
            given = [said for said in facts.of("override") if _lets_pass(facts, said, pack.name, line)]
            overridden += given[-1:]
            objections += [] if given else [Objection(pack.name, line)]
    people = facts.people
    approvals = tuple(
        item
        for item in facts.of("approval")
        if item.content["challenger"] == facts.candidate
        and people.holds(item.content["by"], "approver")
        and not people.is_author(item.content["by"])
    )
    return Verdict(tuple(objections), tuple(overridden), approvals)


def _lets_pass(facts: Facts, said: Artifact, pack: str, line: Line) -> bool:
    content, people = said.content, facts.people
    return (
        (content["pack"], content["item"], content["challenger"]) == (pack, line.item.id, facts.candidate)
        and people.holds(content["by"], line.item.override)
        and not people.is_author(content["by"])
    )

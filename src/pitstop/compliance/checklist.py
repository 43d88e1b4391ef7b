"""A pack asked of one model: its obligations with what was found."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pitstop.compliance.facts import Answer, Facts
from pitstop.compliance.packs import Item, Pack
from pitstop.compliance.queries import QUERIES


@dataclass(frozen=True)
class Line:
    """One obligation, and what was found; `binding`: whether it is in effect at that instant."""

    item: Item
    answer: Answer
    binding: bool = True

    @property
    def open(self) -> bool:
        """Whether the obligation is not met: failed, or its evidence is too old."""
        return self.answer.status in ("fail", "stale")


@dataclass(frozen=True)
class Checklist:
    """All obligations of a pack for one model, as known at the instant `as_of`, in the pack's order."""

    model: str
    as_of: str
    pack: Pack
    lines: tuple[Line, ...]

    @classmethod
    def of(cls, pack: Pack, facts: Facts) -> Checklist:
        """Ask every query of the pack."""
        lines = tuple(line_of(pack, item, facts) for item in pack.items)
        return cls(facts.model, facts.name(facts.now), pack, lines)

    @property
    def open(self) -> tuple[Line, ...]:
        """Obligations that bind and are not met."""
        return tuple(line for line in self.lines if line.open and line.binding)

    @property
    def counts(self) -> Mapping[str, int]:
        """How many items have each status; an item that only a person can answer never counts as a pass."""
        return Counter(line.answer.status for line in self.lines)

    def to_json(self) -> dict[str, Any]:
        """Return the checklist as plain JSON types."""
        pack = self.pack
        return {
            "model": self.model,
            "as_of": self.as_of,
            "pack": pack.to_json(),
            "notice": pack.notice,
            "open": len(self.open),
            "counts": dict(self.counts),
            "manual": [line.item.id for line in self.lines if line.item.manual],
            "items": [
                {
                    "id": line.item.id,
                    "obligation": line.item.obligation,
                    "reference": line.item.reference,
                    "status": line.answer.status,
                    "binding": line.binding,
                    "manual": line.item.manual,
                    "found": line.answer.sentence,
                    "evidence": list(line.answer.ids),
                    "limit": line.item.limit,
                    "measure": QUERIES[line.item.query].measure or None,
                    "gate": line.item.gate,
                }
                for line in self.lines
            ],
        }


def line_of(pack: Pack, item: Item, facts: Facts) -> Line:
    """Ask the query of one item."""
    answer = QUERIES[item.query].find(facts, item.id, item.limit or 0)
    return Line(item, answer, pack.binds(item, facts.now, facts.calendar))

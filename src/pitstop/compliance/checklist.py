"""A pack asked of one model: its obligations with what was found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pitstop.compliance.evidence import QUERIES, Answer, Facts
from pitstop.compliance.packs import Item, Pack


@dataclass(frozen=True)
class Line:
    """One obligation, and what was found."""

    item: Item
    answer: Answer

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
        lines = tuple(Line(item, QUERIES[item.query].find(facts, item.id, item.limit or 0)) for item in pack.items)
        return cls(facts.model, facts.name(facts.now), pack, lines)

    @property
    def open(self) -> tuple[Line, ...]:
        """Obligations that are not met."""
        return tuple(line for line in self.lines if line.open)

    def to_json(self) -> dict[str, Any]:
        """Return the checklist as plain JSON types."""
        pack = self.pack
        return {
            "model": self.model,
            "as_of": self.as_of,
            "pack": {"name": pack.name, "title": pack.title, "dated": pack.dated.isoformat(), "source": pack.source},
            "notice": pack.notice,
            "open": len(self.open),
            "items": [
                {
                    "id": line.item.id,
                    "obligation": line.item.obligation,
                    "status": line.answer.status,
                    "found": line.answer.sentence,
                    "evidence": list(line.answer.ids),
                    "limit": line.item.limit,
                    "measure": QUERIES[line.item.query].measure or None,
                    "gate": line.item.gate,
                }
                for line in self.lines
            ],
        }

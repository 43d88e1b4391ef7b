"""What is on record: the checklists of packs, who did what, and how the journal stands."""

from __future__ import annotations

from typing import Any

from pitstop.compliance.checklist import Checklist
from pitstop.compliance.clocks import serious_incidents
from pitstop.compliance.facts import Facts
from pitstop.loop.auditing import asked_packs
from pitstop.store.home import Home

DONE = (
    *("order", "approval", "override", "attestation", "disposition", "assignment", "snooze", "comment"),
    *("serious-incident", "incident-report", "incident-closing", "export", "rules"),
)
"""Kinds of artifacts that a person made."""
NEWEST = 40


def evidence(home: Home, facts: Facts) -> dict[str, Any]:
    """Return the document of the page: checklists as they stand now, deeds newest first, the newest entries."""
    head = home.journal_head()
    size = head.size
    return {
        "as_of": facts.name(facts.now),
        "checklists": [
            Checklist.of(pack, facts).to_json() for pack in asked_packs(facts, (), default=("house_rules",))
        ],
        "clocks": clocks(facts),
        "deeds": [deed(facts, item) for item in reversed(facts.of(*DONE))][:NEWEST],
        "journal": {
            "size": size,
            "root": head.root.hex() if size else "",
            "signed": facts.journal.signed_size,
            "faults": [fault.sentence for fault in facts.journal.faults],
            "entries": [
                {
                    "sequence": entry.sequence,
                    "kind": entry.kind,
                    "when": "" if entry.at is None else facts.name(entry.at),
                    "id": entry.id,
                    "digest": entry.digest,
                }
                for entry in reversed(list(home.entries(max(0, size - NEWEST))))
            ],
        },
    }


def clocks(facts: Facts) -> list[dict[str, Any]]:
    """Return the clocks that run: serious incidents that were declared and not reported yet."""
    return [
        {
            "id": item.declared.id,
            "sentence": item.sentence(facts),
            "due": facts.name(item.due),
            "due_at": item.due,
            "overdue": item.overdue(facts.now),
        }
        for item in serious_incidents(facts)
        if item.report is None
    ]


def deed(facts: Facts, item: Any) -> dict[str, Any]:
    """Return what a person did, in a line: when, who, what, why, and about what."""
    content = item.content
    about = content.get("item") or content.get("challenger") or content.get("incident") or content.get("version") or ""
    return {
        "id": item.id,
        "kind": item.kind,
        "when": facts.name(item.at),
        "recorded": (content.get("observed") or {}).get("recorded", ""),
        "by": content.get("by", ""),
        "what": {"order": f"ordered: {content.get('action', '')}"}.get(item.kind, item.kind.replace("-", " ")),
        "about": f"v{about}" if isinstance(about, int) else about,
        "text": content.get("reason") or content.get("text") or content.get("to") or "",
    }

"""What was in production at an instant, why, and who approved it: the question of every audit, as one value."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pitstop.compliance.facts import Artifact, Facts
from pitstop.errors import ReleaseError


@dataclass(frozen=True)
class Served:
    """The release that served at `at`, the model in it, what led there (nearest cause first), and who allowed it.

    `approvals`, `overrides` and `orders` are what people said that the release owes its way to; empty where nobody did.
    `replaced_at` is when another one took its place, None where none has.
    """

    model: str
    at: str
    release: Artifact
    challenger: Artifact | None
    why: tuple[Artifact, ...]
    approvals: tuple[Artifact, ...]
    overrides: tuple[Artifact, ...]
    orders: tuple[Artifact, ...]
    since: str
    replaced_at: str | None

    @property
    def sentence(self) -> str:
        """The answer in one sentence."""
        content = self.release.content
        until = f" until {self.replaced_at}" if self.replaced_at else ", and still does"
        return (
            f"At {self.at} version {content['version']} of {self.model} served (since {self.since}{until}): "
            f"{content['reason']}."
        )

    @property
    def statements(self) -> tuple[Artifact, ...]:
        """All that people said."""
        return (*self.orders, *self.approvals, *self.overrides)

    @property
    def who(self) -> str:
        """Who allowed it, in one sentence."""
        if self.statements:
            said = [f"{item.content['by']} ordered it ({item.content['reason']})" for item in self.orders]
            said += [f"{item.content['by']} approved it" for item in self.approvals]
            said += [
                f"{item.content['by']} overrode {item.content['item']} ({item.content['text']})"
                for item in self.overrides
            ]
            return "; ".join(said) + "."
        return "Nobody approved it: no pack that binds asked for that, and the loop released it by its own test."

    def to_json(self) -> dict[str, Any]:
        """Return the answer as plain JSON types."""
        return {
            "model": self.model,
            "at": self.at,
            "version": self.release.content["version"],
            "since": self.since,
            "until": self.replaced_at,
            "reason": self.release.content["reason"],
            "release": self.release.id,
            "challenger": self.release.content["model"],
            "trained_on_rows": self.release.content["trained_on_rows"],
            "approved_by": [item.content["by"] for item in self.approvals],
            "ordered_by": [item.content["by"] for item in self.orders],
            "overridden_by": [item.content["by"] for item in self.overrides],
            "caused_by": [{"id": item.id, "kind": item.kind} for item in self.why],
        }


def served_at(facts: Facts, at: int) -> Served:
    """Return what served rows predicted at the instant `at`. Raises `ReleaseError` before the first release."""
    release = facts.timeline.champion_at(at)
    if release is None:
        first = facts.champions[:1]
        known = f"the first model served from {facts.name(first[0].at)} on" if first else "no model was released"
        msg = f"nothing served at {facts.name(at)}: {known}"
        raise ReleaseError(msg)
    later = [item for item in facts.champions if item.at > release.at]
    why = tuple(_causes(facts, release.id))
    return Served(
        model=facts.model,
        at=_readable(facts.name(at)),
        release=facts.by_id[release.id],
        challenger=facts.by_id.get(release.model),
        why=why,
        approvals=tuple(item for item in why if item.kind == "approval"),
        overrides=tuple(item for item in why if item.kind == "override"),
        orders=tuple(item for item in why if item.kind == "order"),
        since=facts.name(release.at),
        replaced_at=facts.name(later[0].at) if later else None,
    )


def _causes(facts: Facts, name: str) -> Iterator[Artifact]:
    """Walk `caused_by` breadth first, each artifact once; what happened before an earlier release is its own story."""
    seen, front = {name}, [name]
    while front:
        causes = [cause for item in front for cause in facts.by_id[item].caused_by if cause in facts.by_id]
        fresh = [cause for cause in dict.fromkeys(causes) if cause not in seen]
        seen.update(fresh)
        yield from (facts.by_id[cause] for cause in fresh)
        front = [cause for cause in fresh if facts.by_id[cause].kind not in ("release", "baseline", "spec")]


def _readable(name: str) -> str:
    """Return an instant's name as one would write it: `2017-03-03 14:05 UTC`."""
    return name.replace("T", " ").replace(":00+00:00", " UTC").replace("+00:00", " UTC")

"""What serves after a run, as it is handed to whoever publishes it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pitstop.loop.loop import Loop
from pitstop.releases import Release


@dataclass(frozen=True)
class CanaryPublication:
    """The model that is to serve a `share` of the rows, from 0 to 1, besides; see `records.routing.in_share`.

    `release` is the salt by which rows are chosen.
    """

    version: int
    release: str
    digest: str
    share: float
    content: bytes


@dataclass(frozen=True)
class Publication:
    """The model that is to serve: `content` is its file, `digest` the hex SHA-256 of it, `at` when it was released.

    `canary` serves a share of the rows in its place; None where there is none.
    """

    model: str
    version: int
    release: str
    digest: str
    at: str
    content: bytes
    canary: CanaryPublication | None = None

    def facts(self) -> dict[str, str | int | float]:
        """Return everything but the contents, as plain JSON types; those of a canary only where there is one."""
        facts: dict[str, str | int | float] = {
            "model": self.model,
            "version": self.version,
            "release": self.release,
            "digest": self.digest,
            "at": self.at,
        }
        if self.canary is not None:
            facts |= {
                "canary_version": self.canary.version,
                "canary_release": self.canary.release,
                "canary_digest": self.canary.digest,
                "canary_share": self.canary.share,
            }
        return facts


Publish = Callable[[Publication], None]


def publication_of(loop: Loop, champion: Release) -> Publication:
    """Return the champion as the home keeps it, with a canary if there is one, each file checked against its digest."""
    digest, canary = loop.upkeep.digests[champion.model], loop.upkeep.timeline.canary
    beside = None
    if canary is not None and canary.share is not None:
        other = loop.upkeep.digests[canary.model]
        beside = CanaryPublication(canary.version, canary.id, other, canary.share, loop.home.read_file(other))
    return Publication(
        model=loop.spec.model.name,
        version=champion.version,
        release=champion.id,
        digest=digest,
        at=loop.calendar.name_instant(champion.at),
        content=loop.home.read_file(digest),
        canary=beside,
    )

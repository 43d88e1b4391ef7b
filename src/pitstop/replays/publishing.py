"""What serves after a run, as it is handed to whoever publishes it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pitstop.loop.loop import Loop
from pitstop.releases import Release


@dataclass(frozen=True)
class Publication:
    """The model that is to serve: `content` is its file, `digest` the hex SHA-256 of it, `at` when it was released."""

    model: str
    version: int
    release: str
    digest: str
    at: str
    content: bytes

    def facts(self) -> dict[str, str | int]:
        """Return everything but the content, as plain JSON types."""
        return {
            "model": self.model,
            "version": self.version,
            "release": self.release,
            "digest": self.digest,
            "at": self.at,
        }


Publish = Callable[[Publication], None]


def publication_of(loop: Loop, champion: Release) -> Publication:
    """Return the champion as the home keeps it, its file checked against its digest."""
    digest = loop.upkeep.digests[champion.model]
    return Publication(
        model=loop.spec.model.name,
        version=champion.version,
        release=champion.id,
        digest=digest,
        at=loop.calendar.name_instant(champion.at),
        content=loop.home.read_file(digest),
    )

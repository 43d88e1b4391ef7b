"""What a release target is."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from pitstop.records.spec import ServingSection
from pitstop.replays.publishing import Publication


class ReleaseTarget(Protocol):
    """Somewhere that a champion is published, so that it serves."""

    @property
    def name(self) -> str:
        """The name under which it is found; lower case with underscores."""

    def publish(self, publication: Publication, section: ServingSection, base: Path) -> None:
        """Make `publication` serve, and prove that it does. Relative paths are taken from `base`, the spec's folder.

        Called at every run, so publishing what serves already must change nothing. Raises `ReleaseTargetError` where it
        could not be done; what served before must then still serve.
        """

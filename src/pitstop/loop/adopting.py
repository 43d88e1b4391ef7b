"""A model that is only watched changes elsewhere: the release made there is a release here, dated and on record."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pitstop.errors import ReleaseError
from pitstop.loop.kept import Kept
from pitstop.loop.loop import Loop
from pitstop.records.identity import artifact_id


def adopt(loop: Loop, version: Mapping[str, Any], *, why: str) -> tuple[Kept, ...]:
    """Take over that `version` (of a registry, as plain JSON) serves from the next window on; return what to keep.

    What is healthy stays as it was found: no row has been predicted by the new version yet. Raises `ReleaseError` where
    models are trained here, as then only a release of this loop decides who serves.
    """
    upkeep, as_of = loop.upkeep, loop.calendar.window_start(loop.window)
    if upkeep.models is not None:
        msg = f"{loop.spec.model.name!r} is trained here; a release of another system would leave its champion unknown"
        raise ReleaseError(msg)
    if loop.baseline is None:
        msg = f"{loop.spec.model.name!r} has not begun; run `pitstop run` until its start"
        raise ReleaseError(msg)
    last = upkeep.timeline.releases[-1].id if upkeep.timeline.releases else loop.spec.id
    name = artifact_id("registered-model", {**version, "after": last})
    before = len(upkeep.timeline.releases)
    upkeep.timeline = upkeep.timeline.promote(as_of, name, 0, (name,), why)
    made = Kept("registered-model", name, as_of, (last,), {**version})
    releases = [
        Kept("release", item.id, item.at, item.caused_by, item.to_json()) for item in upkeep.timeline.releases[before:]
    ]
    return (made, *releases, *loop.books.releases(loop.window, releases, upkeep.timeline.releases))

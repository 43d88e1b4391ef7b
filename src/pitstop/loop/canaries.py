"""Which logged rows a canary served: known from the timeline and a row's id, so nothing of it has to be kept."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pitstop.loop.rowlog import RowLog
from pitstop.records.routing import in_share
from pitstop.releases import ReleaseTimeline


def by_canary(log: RowLog, timeline: ReleaseTimeline, rows: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return which rows lie in the share of a canary, and came while it was one."""
    found = np.zeros(len(rows), dtype=np.bool_)
    at = log.at[rows]
    for release, until in timeline.canaries:
        here = np.flatnonzero((at >= release.at) & (True if until is None else at < until))
        if len(here) and release.share is not None:
            found[here] |= in_share([log.ids[row] for row in rows[here]], release.share, release.id)
    return found

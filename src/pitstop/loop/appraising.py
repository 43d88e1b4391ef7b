"""What retraining has really brought: on the rows that a release served, what would the model it replaced have earned?

When a period closes, the labels that arrived in it are looked at once more. Each row was served by one release; the
replaced model, the first model and the freshest candidate go on scoring beside it, on the same rows. Their differences
are kept by the window of prediction, because the rows of one window have effects in common.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pitstop.loop.bookkeeping import Books
from pitstop.loop.canaries import by_canary
from pitstop.loop.kept import Kept
from pitstop.loop.models import Models
from pitstop.records.identity import artifact_id
from pitstop.releases import Release, ReleaseTimeline

Ints = NDArray[np.int64]


def appraise(books: Books, models: Models | None, timeline: Sequence[Release], period: int, as_of: int) -> list[Kept]:
    """Return the appraisal of the labels that arrived in a period which has just been closed; none where none did.

    Amounts are ticks of 1/10,000 of the currency, each row valued by the value model of its own window. Rows that a
    canary served are left out: they were not the champion's.
    """
    calendar, log = books.spec.calendar, books.log
    champions = [release for release in timeline if release.stage == "champion"]
    if models is None or not champions:
        return []
    start, end = calendar.period_start(period), calendar.period_start(period + 1)
    rows = np.flatnonzero((log.first_label_at >= start) & (log.first_label_at < end) & (log.at >= champions[0].at))
    rows = rows[~by_canary(log, ReleaseTimeline(tuple(timeline)), rows)]
    if not len(rows):
        return []
    starts = np.array([release.at for release in champions], dtype=np.int64)
    in_force = np.searchsorted(starts, log.at[rows], side="right") - 1
    served = books.worth(rows, log.served_class.values[rows])
    fresh = books.worth(rows, log.fresh_class.values[rows])
    windows = calendar.window_of(log.at[rows])
    first = np.zeros(len(rows), dtype=np.int64)
    releases = []
    for number in np.unique(in_force):
        here = in_force == number
        if number == 0:
            continue
        gain = served[here] - _worth(books, models, rows[here], champions[number - 1])
        releases.append(
            {
                "release": champions[number].id,
                "replaced": champions[number - 1].id,
                "windows": _by_window(windows[here], gain),
            }
        )
        if champions[number].model != champions[0].model:
            first[here] = served[here] - _worth(books, models, rows[here], champions[0])
    owners = tuple(champions[number].id for number in np.unique(in_force))
    content: dict[str, Any] = {
        "period": period,
        "rows": len(rows),
        "served": int(served.sum()),
        "over_first": _by_window(windows[in_force > 0], first[in_force > 0]),
        "fresh_over_served": _by_window(windows, fresh - served),
        "releases": releases,
    }
    identity = artifact_id("appraisal", {"period": period, "releases": owners, "rows": len(rows)})
    return [Kept("appraisal", identity, as_of, owners, content)]


def _worth(books: Books, models: Models, rows: Ints, release: Release) -> Ints:
    """Return what rows would have earned with the decisions of a release's model."""
    said = models.predict(release.model, books.log.features(rows))
    return books.worth(rows, said.decided)


def _by_window(windows: Ints, gain: Ints) -> list[list[int]]:
    """Return [window, rows, ticks] for each window."""
    found, which = np.unique(windows, return_inverse=True)
    counts = np.bincount(which, minlength=len(found))
    sums = np.zeros(len(found), dtype=np.int64)
    np.add.at(sums, which, gain)
    return [[int(window), int(count), int(total)] for window, count, total in zip(found, counts, sums, strict=True)]

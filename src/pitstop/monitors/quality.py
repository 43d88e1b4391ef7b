"""Data quality: nulls, values never seen, values outside the reference's range, duplicates, and the number of rows."""

from __future__ import annotations

import numpy as np

from pitstop.baseline.baseline import Baseline
from pitstop.detection.streams import Stream
from pitstop.monitors.base import BUDGET_SHARES, Ints, Signal, WindowCounts, constant, evenly
from pitstop.statistics.histogram import Histogram

TOLERANCE = 0.001


class Quality:
    """Streams of rates that are normally constant: a break of a pipeline shows here first."""

    name = "quality"

    def streams(self, baseline: Baseline) -> tuple[Stream, ...]:
        """Return a null stream for each feature, a range or unseen stream where it has one, and one for duplicates."""
        found: list[tuple[str, str | None, str]] = []
        for column, bins in baseline.layout.numeric:
            found.append((f"nulls:{column}", column, f"{column} is null"))
            if bins.cells > 1:
                found.append((f"range:{column}", column, f"{column} outside the baseline's range"))
        for column, categories in baseline.layout.categorical:
            found.append((f"nulls:{column}", column, f"{column} is null"))
            if len(categories.values) > 0:
                found.append((f"unseen:{column}", column, f"{column} has a value never seen"))
        found.append(("duplicates", None, "a row repeats another"))
        weights = evenly(BUDGET_SHARES["quality"], tuple(name for name, _, _ in found))
        return tuple(
            Stream(
                name=name,
                kind="quality",
                column=column,
                indicators=(indicator,),
                weight=weights[name],
                tolerance=TOLERANCE,
                two_sided=False,
            )
            for name, column, indicator in found
        )

    def counts(self, stream: Stream, window: WindowCounts) -> tuple[Ints, Ints]:
        """Return how many rows are null or duplicates of all rows, and unseen or out of range of those present."""
        profile = window.profile
        if stream.column is None:
            return constant([profile.duplicates], profile.rows)
        statistic = profile.features[stream.column]
        if stream.name.startswith("nulls:"):
            return constant([statistic.nulls], profile.rows)
        n = statistic.n
        if stream.name in window.novel:
            return constant([window.novel[stream.name]], n)
        if isinstance(statistic, Histogram):
            return constant([int(statistic.counts[0] + statistic.counts[-1])], n)
        return constant([int(statistic.counts[-1])], n)

    def signals(self, baseline: Baseline, window: WindowCounts) -> tuple[Signal, ...]:
        """Return the null rate of each feature that has nulls, and the share of duplicates."""
        del baseline
        rows = window.profile.rows
        if rows == 0:
            return ()
        rates = [
            Signal("null_rate", column, statistic.nulls / rows)
            for column, statistic in window.profile.features.items()
            if statistic.nulls
        ]
        if window.profile.duplicates:
            rates.append(Signal("duplicate_rate", "", window.profile.duplicates / rows))
        return tuple(rates)


class Volume:
    """The number of rows of a window, against windows of the same weekday."""

    name = "volume"

    def streams(self, baseline: Baseline) -> tuple[Stream, ...]:
        """Return one stream; row-count windows have none, because their volume is given."""
        if not baseline.unit:
            return ()
        return (
            Stream(
                name="volume",
                kind="volume",
                column=None,
                indicators=("rows",),
                weight=BUDGET_SHARES["volume"],
                tolerance=0.0,
                two_sided=True,
            ),
        )

    def counts(self, stream: Stream, window: WindowCounts) -> tuple[Ints, Ints]:
        """Return the number of rows (k) and 1 (n)."""
        del stream
        return np.array([window.profile.rows], dtype=np.int64), np.ones(1, dtype=np.int64)

    def signals(self, baseline: Baseline, window: WindowCounts) -> tuple[Signal, ...]:
        """Return the number of rows predicted and of labels that arrived."""
        del baseline
        return (
            Signal("rows", "", float(window.profile.rows)),
            Signal("labels", "", float(window.outcomes.labelled)),
        )

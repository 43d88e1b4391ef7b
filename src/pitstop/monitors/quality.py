"""Data quality: nulls, values never seen, values outside the reference's range, duplicates, and the number of rows."""

from __future__ import annotations

import numpy as np

from pitstop.baseline.baseline import Baseline
from pitstop.detection.fast import SMALLEST_CELL
from pitstop.detection.streams import Stream
from pitstop.monitors.base import BUDGET_SHARES, Ints, Signal, WindowCounts, constant, evenly
from pitstop.profile import Profile
from pitstop.statistics.histogram import Histogram

TOLERANCE = 0.001
# Filled cells beyond one a column that must have even counts before a window is said to have come twice.
PARITIES = 40


class Quality:
    """Streams of rates that are normally constant: a break of a pipeline shows here first."""

    name = "quality"

    def streams(self, baseline: Baseline) -> tuple[Stream, ...]:
        """Return a null stream for each feature, a range or unseen stream where it has one, and one for duplicates.

        Nulls are watched for becoming fewer, too, where the baseline misses at least a tenth of the values.
        """
        found: list[tuple[str, str | None, str]] = []
        grids: set[str] = set()
        for column, bins in baseline.layout.numeric:
            found.append((f"nulls:{column}", column, f"{column} is null"))
            if bins.cells > 1 and on_grid(baseline, column):
                found.append((f"range:{column}", column, f"{column} at a value never seen"))
                grids.add(f"range:{column}")
            elif bins.cells > 1:
                found.append((f"range:{column}", column, f"{column} outside the baseline's range"))
        for column, categories in baseline.layout.categorical:
            found.append((f"nulls:{column}", column, f"{column} is null"))
            if len(categories.values) > 0:
                found.append((f"unseen:{column}", column, f"{column} has a value never seen"))
        found.append(("duplicates", None, "a row repeats another"))
        weights = evenly(BUDGET_SHARES["quality"], tuple(name for name, _, _ in found))
        # Where values are often missing, filling all of them is how a default, or a stuck value, looks.
        often_missing = {
            f"nulls:{column}"
            for column, statistic in baseline.features.items()
            if statistic.nulls >= SMALLEST_CELL * (statistic.n + statistic.nulls) > 0
        }
        return tuple(
            Stream(
                name=name,
                kind="quality",
                column=column,
                indicators=(indicator,),
                weight=weights[name],
                tolerance=TOLERANCE,
                two_sided=name in often_missing,
                grid=name in grids,
            )
            for name, column, indicator in found
        )

    def counts(self, stream: Stream, window: WindowCounts) -> tuple[Ints, Ints]:
        """Return how many rows are null or duplicates of all rows, and unseen or out of range of those present.

        Where a number has few values, values between them count as well (`Histogram.between`). Where the whole window
        was sent twice, every row is a duplicate, not one of two.
        """
        profile = window.profile
        if stream.column is None:
            return constant([profile.rows if _sent_again(profile) else profile.duplicates], profile.rows)
        statistic = profile.features[stream.column]
        if stream.name.startswith("nulls:"):
            return constant([statistic.nulls], profile.rows)
        n = statistic.n
        if stream.name in window.novel:
            return constant([window.novel[stream.name]], n)
        if isinstance(statistic, Histogram):
            return constant([statistic.outside + (statistic.between if stream.grid else 0)], n)
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


def _sent_again(profile: Profile) -> bool:
    """Whether every row of the window came as often as every other, twice or more: all counts have a common divisor.

    Parities of counts are coins, so many filled cells are all even by chance in one window of 2^`PARITIES` at most.
    """
    times, filled = profile.rows, 0
    for statistic in profile.features.values():
        times = int(np.gcd.reduce(statistic.vector, initial=times))
        if times < 2:  # nearly always with the first feature
            return False
        filled += max(int(np.count_nonzero(statistic.counts)) - 1, 0)
    return filled >= PARITIES


def on_grid(baseline: Baseline, column: str) -> bool:
    """Whether every value of the reference has a cell of its own."""
    statistic = baseline.features[column]
    return isinstance(statistic, Histogram) and statistic.n > 0 and statistic.between == 0


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

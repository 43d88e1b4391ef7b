"""What a broken pipeline leaves in one window: values far off, one value in most rows, a spread that collapsed."""

from __future__ import annotations

from pitstop.baseline.baseline import Baseline
from pitstop.detection.spread import NOTHING
from pitstop.detection.streams import SPREAD, Stream
from pitstop.monitors.base import BUDGET_SHARES, Ints, Signal, WindowCounts, constant, evenly
from pitstop.monitors.quality import on_grid
from pitstop.statistics.categories import CategoryCounts
from pitstop.statistics.histogram import Histogram

# Rates that are 0 in a healthy window, and shares of a commonest value, which wander.
FAR_TOLERANCE, STUCK_TOLERANCE = 0.0025, 0.05
# A column that sticks does so in nearly all rows; on a healthy day a tour or a calm may fill half of them.
STUCK_SHARE = 0.9
FAR, STUCK, STUCK_OUTPUT = "far", "stuck", "stuck_output"
# Variances are counted in such parts of the squared range; fewer values than these have none worth comparing.
SPREAD_UNIT, SPREAD_ROWS = 2.0**-32, 8


class Breaks:
    """Streams beside those of quality, for what they and drift can hardly tell from a busy day.

    `far`: values more than one reference range outside it (another unit, a marker such as -9999). Values just outside
    it come on healthy days, and in runs; these do not. `stuck`: rows that hold the commonest value, of a feature or of
    the score (see `Histogram.alike`): where a day's rows resemble each other, they still differ. `spread`: the
    variance of a number (`pitstop.detection.spread`), which a stuck value or a thousandth of the unit takes away,
    wherever in the range the values lie; not of a number of few values, of which a healthy window may hold but one. All
    follow from counts that profiles hold anyway.
    """

    name = "breaks"

    def streams(self, baseline: Baseline) -> tuple[Stream, ...]:
        """Return up to three streams for each feature, and one for the score; none for a baseline without `breaks`."""
        if not baseline.breaks:
            return ()
        layout = baseline.layout
        found: list[tuple[str, str | None, str]] = []
        for column, bins in layout.numeric:
            if bins.cells > 1:
                found.append((f"{FAR}:{column}", column, f"{column} far outside the baseline's range"))
                found.append((f"{STUCK}:{column}", column, f"{column} at one value"))
                if not on_grid(baseline, column):
                    found.append((f"{SPREAD}:{column}", column, f"spread of {column}, of the usual,"))
        found += [
            (f"{STUCK}:{column}", column, f"{column} at one value")
            for column, categories in layout.categorical
            if len(categories.values) > 0
        ]
        if layout.outcome_bins.prediction is not None or int(baseline.profile.scores.by_score.sum()):
            found.append((STUCK_OUTPUT, None, "the model's output at one value"))
        weights = evenly(BUDGET_SHARES["breaks"], tuple(name for name, _, _ in found))
        return tuple(
            Stream(
                name=name,
                kind="quality",
                column=column,
                indicators=(indicator,),
                weight=weights[name],
                tolerance=FAR_TOLERANCE if name.startswith(f"{FAR}:") else STUCK_TOLERANCE,
                two_sided=False,
                autocorrelated=not name.startswith(f"{FAR}:"),
                sudden=0.0 if name.startswith(f"{FAR}:") else STUCK_SHARE,
            )
            for name, column, indicator in found
        )

    def counts(self, stream: Stream, window: WindowCounts) -> tuple[Ints, Ints]:
        """Return how many of the rows present are far out, or hold the commonest value; or the variance, of 1 (n)."""
        if stream.column is None:
            scores = window.profile.scores
            if scores.bins.prediction is not None:
                return constant([scores.histogram.alike], scores.n)
            by_score = scores.by_score
            return constant([int(by_score.max())], int(by_score.sum()))
        statistic = window.profile.features[stream.column]
        if stream.family == SPREAD:
            return _variance(statistic)
        if not stream.name.startswith(f"{FAR}:"):
            # Values that were never seen have a stream of their own.
            alike = statistic.alike if isinstance(statistic, Histogram) else int(statistic.counts[:-1].max())
            return constant([alike], statistic.n)
        far = statistic.clipped if isinstance(statistic, Histogram) else 0
        return constant([window.novel.get(stream.name, far)], statistic.n)

    def signals(self, baseline: Baseline, window: WindowCounts) -> tuple[Signal, ...]:
        """Return nothing: the rates stand in the alarms."""
        del baseline, window
        return ()


def _variance(statistic: Histogram | CategoryCounts) -> tuple[Ints, Ints]:
    """Return the variance in parts of the squared range of the reference, or `NOTHING`, of 1."""
    if not isinstance(statistic, Histogram) or statistic.n < SPREAD_ROWS:
        return constant([NOTHING], 1)
    return constant([round(statistic.relative_variance / SPREAD_UNIT)], 1)

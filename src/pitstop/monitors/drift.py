"""Drift of each feature: the share of rows below each reference edge, or in each category."""

from __future__ import annotations

import numpy as np

from pitstop.baseline.baseline import Baseline
from pitstop.detection.streams import Stream
from pitstop.monitors.base import BUDGET_SHARES, Ints, Signal, WindowCounts
from pitstop.statistics.bins import NumericBins
from pitstop.statistics.categories import CategoryCounts
from pitstop.statistics.distances import jensen_shannon_each
from pitstop.statistics.histogram import Histogram

# Mass that may move without mattering (methods study: tolerances inside the test).
TOLERANCE = 0.02
# The first and the last edge bound the reference's range, which quality watches.
MARGINS = 2
# Half of a family's budget is shared equally, so that an unimportant feature is still watched.
EQUAL_PART = 0.5


class FeatureDrift:
    """One stream a feature; the budget goes half equally, half by the feature's importance to the model."""

    name = "drift"

    def streams(self, baseline: Baseline) -> tuple[Stream, ...]:
        """Return one stream for each feature that can drift (more than one cell)."""
        layout = baseline.layout
        names: dict[str, tuple[str, ...]] = {}
        for column, bins in layout.numeric:
            if len(bins.edges) > MARGINS:
                names[column] = below(column, bins)
        for column, categories in layout.categorical:
            if len(categories.values) > 0:
                names[column] = tuple(f"{column} is {name}" for name in categories.names()[:-1])
        total = sum(baseline.importance.get(column, 0.0) for column in names) or 1.0
        share = BUDGET_SHARES["drift"]
        return tuple(
            Stream(
                name=f"drift:{column}",
                kind="drift",
                column=column,
                indicators=indicators,
                weight=share
                * (EQUAL_PART / len(names) + (1 - EQUAL_PART) * baseline.importance.get(column, 0.0) / total),
                tolerance=TOLERANCE,
                two_sided=True,
                autocorrelated=True,
            )
            for column, indicators in names.items()
        )

    def counts(self, stream: Stream, window: WindowCounts) -> tuple[Ints, Ints]:
        """Return rows below each edge (numbers) or in each category, of rows present; quality watches `unseen`."""
        statistic = window.profile.features[str(stream.column)]
        k = statistic.counts.cumsum()[1:-2] if isinstance(statistic, Histogram) else statistic.counts[:-1]
        return k, np.full(k.size, statistic.n)

    def signals(self, baseline: Baseline, window: WindowCounts) -> tuple[Signal, ...]:
        """Return the Jensen-Shannon distance of each feature to the baseline (0 to 1)."""
        counted = [
            (column, baseline.features[column].counts, statistic.counts)
            for column, statistic in window.profile.features.items()
            if statistic.n and baseline.features[column].n
        ]
        distances = jensen_shannon_each([before for _, before, _ in counted], [now for *_, now in counted])
        return tuple(
            Signal("js_distance", column, value)
            for (column, *_), value in zip(counted, distances.tolist(), strict=True)
        )


def below(name: str, bins: NumericBins) -> tuple[str, ...]:
    """Return the indicators "name < edge" of the inner edges, all different."""
    inner = bins.edges[1:-1]
    short = tuple(f"{name} < {edge:.6g}" for edge in inner)
    return short if len(set(short)) == len(short) else tuple(f"{name} < {edge!r}" for edge in inner)


def distance(reference: Histogram | CategoryCounts, window: Histogram | CategoryCounts) -> float:
    """Return the Jensen-Shannon distance between two statistics of one feature, 0 where either is empty."""
    if int(reference.counts.sum()) == 0 or int(window.counts.sum()) == 0:
        return 0.0
    if isinstance(reference, Histogram) and isinstance(window, Histogram):
        return window.jensen_shannon(reference)
    if isinstance(reference, CategoryCounts) and isinstance(window, CategoryCounts):
        return window.jensen_shannon(reference)
    return 1.0

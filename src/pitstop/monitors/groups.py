"""Groups of people, watched: who is selected, and how often rightly and wrongly, by protected column and intersection.

Each rate is compared with the same group's own in the reference, under the budget of false alarms like every other. The
audit (`pitstop audit`) says how groups differ from each other; this says when a group begins to be treated otherwise.
"""

from __future__ import annotations

import numpy as np

from pitstop.baseline.baseline import Baseline
from pitstop.detection.streams import Stream
from pitstop.monitors.base import BUDGET_SHARES, Ints, Signal, WindowCounts, evenly

# Points of a rate that may move without mattering, as for scores.
TOLERANCE = 0.02
SELECTION, TPR, FPR = "selection", "tpr", "fpr"
_WORDS = {
    SELECTION: "are selected",
    TPR: "with a positive label are selected",
    FPR: "with a negative label are selected",
}


class GroupRates:
    """Up to three streams for each protected column of a binary model, with an indicator for each group."""

    name = "groups"

    def streams(self, baseline: Baseline) -> tuple[Stream, ...]:
        """Return the selection rate's stream of each column, and where labels come those of both error rates."""
        rates = (SELECTION, TPR, FPR) if baseline.ages else (SELECTION,)
        found = [(rate, column, groups) for column, groups in baseline.groups for rate in rates]
        weights = evenly(BUDGET_SHARES["fairness"], tuple(stream_name(rate, column) for rate, column, _ in found))
        return tuple(
            Stream(
                name=stream_name(rate, column),
                kind="fairness",
                column=None,
                indicators=tuple(f"those of {column} = {group} that {_WORDS[rate]}" for group in groups),
                weight=weights[stream_name(rate, column)],
                tolerance=TOLERANCE,
                two_sided=True,
                autocorrelated=rate == SELECTION,
            )
            for rate, column, groups in found
        )

    def counts(self, stream: Stream, window: WindowCounts) -> tuple[Ints, Ints]:
        """Return who was selected, of each group's rows, or of those of a fixed age with that label; 0 of 0 unknown."""
        nothing = np.zeros(len(stream.indicators), dtype=np.int64)
        return window.groups.get(stream.name, (nothing, nothing))

    def signals(self, baseline: Baseline, window: WindowCounts) -> tuple[Signal, ...]:
        """Return the selection rate of each group that has rows; `column` holds protected column and group."""
        found = []
        for column, groups in baseline.groups:
            k, n = window.groups.get(stream_name(SELECTION, column), ((), ()))
            found += [
                Signal("selection_rate", f"{column} = {group}", float(one / of))
                for group, one, of in zip(groups, k, n, strict=False)
                if of
            ]
        return tuple(found)


def stream_name(rate: str, column: str) -> str:
    """Return the name of the stream of a rate over the groups of a column."""
    return f"{rate}:{column}"


def labelled_indicators(baseline: Baseline) -> tuple[tuple[str, int], ...]:
    """Return the indicators that count rows of a fixed age, with that age in windows."""
    age = baseline.ages[len(baseline.ages) // 2] if baseline.ages else 0
    return tuple(
        (indicator, age)
        for stream in GroupRates().streams(baseline)
        if not stream.name.startswith(f"{SELECTION}:")
        for indicator in stream.indicators
    )

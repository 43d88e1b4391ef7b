"""Drift of what the model says: its score, its predicted classes, or its predicted numbers.

Classifier outputs are the best single reduction of the inputs for shift detection (Rabanser et al. 2019), so they are
always watched.
"""

from __future__ import annotations

import numpy as np

from pitstop.baseline.baseline import Baseline
from pitstop.detection.streams import Stream
from pitstop.monitors.base import BUDGET_SHARES, Ints, Signal, WindowCounts
from pitstop.monitors.drift import below
from pitstop.statistics.distances import jensen_shannon

TOLERANCE = 0.02
SCORE, CLASSES = "score", "predicted_class"


class OutputDrift:
    """One stream for the score (or the predicted number), one for the predicted class."""

    name = "outputs"

    def streams(self, baseline: Baseline) -> tuple[Stream, ...]:
        """Return the streams that the task has; a model that logs no scores has none for them."""
        bins = baseline.layout.outcome_bins
        share = BUDGET_SHARES["score"]
        if bins.prediction is not None:
            names = below("prediction", bins.prediction)
            return (_stream(SCORE, names, share),) if names else ()
        classes = tuple(f"predicted class is {name}" for name in bins.group_names())
        # Two classes are one indicator: the other is its complement.
        classes = classes[1:] if len(classes) == 2 else classes
        if not int(baseline.profile.scores.by_score.sum()):
            return (_stream(CLASSES, classes, share),)
        edges = tuple(f"score < {(edge - 0.5) / 1000:.4g}" for edge in baseline.score_edges)
        return (_stream(SCORE, edges, share / 2), _stream(CLASSES, classes, share / 2))

    def counts(self, stream: Stream, window: WindowCounts) -> tuple[Ints, Ints]:
        """Return rows below each score edge, or in each class, of rows with a prediction."""
        scores = window.profile.scores
        if scores.bins.prediction is not None:
            k = np.cumsum(scores.histogram.counts)[1:-2]
            n = int(scores.histogram.counts.sum())
        elif stream.name == SCORE:
            edges = np.array([_edge(name) for name in stream.indicators])
            below = np.concatenate([[0], np.cumsum(scores.by_score)])
            k, n = below[edges], int(below[-1])
        else:
            k, n = scores.by_class[-len(stream.indicators) :], int(scores.by_class.sum())
        return k.astype(np.int64), np.full(len(k), n, dtype=np.int64)

    def signals(self, baseline: Baseline, window: WindowCounts) -> tuple[Signal, ...]:
        """Return the mean score and its Jensen-Shannon distance to the baseline (0 to 1)."""
        scores, reference = window.profile.scores, baseline.profile.scores
        if scores.n == 0:
            return ()
        if scores.bins.prediction is not None:
            distance = scores.histogram.jensen_shannon(reference.histogram)
            return (Signal("mean_prediction", "", scores.mean), Signal("output_js_distance", "", distance))
        found = [Signal("class_js_distance", "", jensen_shannon(reference.by_class, scores.by_class))]
        if int(scores.by_score.sum()):
            cells = np.array(baseline.score_edges)
            distance = jensen_shannon(_binned(reference.by_score, cells), _binned(scores.by_score, cells))
            found += [Signal("mean_score", "", scores.mean), Signal("output_js_distance", "", distance)]
        return tuple(found)


def _stream(name: str, indicators: tuple[str, ...], weight: float) -> Stream:
    return Stream(
        name=name,
        kind="score",
        column=None,
        indicators=indicators,
        weight=weight,
        tolerance=TOLERANCE,
        two_sided=True,
        autocorrelated=True,
    )


def _edge(indicator: str) -> int:
    return round(float(indicator.removeprefix("score < ")) * 1000 + 0.5)


def _binned(by_score: Ints, edges: Ints) -> Ints:
    return np.add.reduceat(by_score, np.concatenate([[0], edges[edges < len(by_score)]]))

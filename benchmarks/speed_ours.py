"""Our side of the speed benchmark: from a table and a stored baseline to every number that the monitors need."""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from benchmarks.speed_workload import NUMBERS, TEXTS, days_of
from pitstop.baseline.baseline import Baseline, calibrate, calibrator_draws, cell_codes, quantile_edges
from pitstop.baseline.baseline import surrogate_importance as importance_of
from pitstop.baseline.tree import fit_tree
from pitstop.monitors import MONITORS
from pitstop.monitors.base import Ints, Signal, WindowCounts
from pitstop.monitors.estimated import Estimate, estimates
from pitstop.profile import Layout, OutcomeProfile, Profile, profile_outcomes, profile_windows
from pitstop.records.spec import ColumnsSection, ModelSection, ModelSpec
from pitstop.statistics.cells import Cells, LeafBins
from pitstop.statistics.scores import Scores

SPEC = ModelSpec(
    ModelSection("speed", "binary"),
    ColumnsSection(
        time="at", features=(*NUMBERS, *TEXTS), categorical=TEXTS, label="@label", prediction="predicted", score="score"
    ),
)

# Performance waits for labels, and its estimate is a bar of its own.
_WATCHED = tuple(monitor for monitor in MONITORS if monitor.name not in {"performance", "estimated"})


@dataclass(frozen=True)
class Drift:
    """One day: every signal, and (k, n) of every indicator that an alarm stream tests."""

    signals: tuple[Signal, ...]
    counts: tuple[tuple[Ints, Ints], ...]


def fit(reference: pa.Table) -> Baseline:
    """Return the baseline of the reference table, as a release fits it."""
    labels = reference["label"].cast(pa.string())
    layout = Layout.fit(SPEC, reference.append_column("@label", labels))
    scores, decided, given = outputs(reference)
    codes = cell_codes(layout, reference, scores, given)
    wrong = (scores >= 0.5).astype(np.float64) != reference["label"].to_numpy()
    tree = fit_tree(codes, wrong.astype(np.float64))
    leaves = tree.apply(codes)
    days = days_of(reference)
    profile = reduce(
        Profile.merged,
        profile_windows(layout, reference, days, int(days.max()) + 1, scores, decided, leaves),
    )
    outcomes = profile_outcomes(layout, scores, decided, labels, leaves, wrong.astype(np.float64))
    return Baseline(
        id="baseline-of-the-benchmark",
        at=0,
        layout=layout,
        tree=tree,
        calibrated=calibrate(outcomes),
        calibrator_draws=calibrator_draws(outcomes),
        score_edges=quantile_edges(profile.scores.by_score),
        importance=importance_of(codes, scores, (*NUMBERS, *TEXTS)),
        profile=profile,
        outcomes=outcomes,
        cells=Cells.empty(LeafBins()).updated(leaves, wrong.astype(np.float64)),
        windows=(0, int(days.max())),
        ages=(0,),
        unit="day",
        breaks=True,
    )


def outputs(table: pa.Table) -> tuple[NDArray[np.float64], NDArray[np.bool_], NDArray[np.object_]]:
    """Return scores and decisions of each row, and the decisions that a leaf tree of a regression would take."""
    scores = table["score"].to_numpy()
    return scores, scores >= 0.5, np.zeros(0, dtype=object)


def drift_by_day(baseline: Baseline, table: pa.Table, *, threads: int = 1) -> list[Drift]:
    """Return every day's signals and alarm indicators: drift of features and outputs, quality, volume."""
    streams = [(monitor, stream) for monitor in _WATCHED for stream in monitor.streams(baseline)]
    found = []
    for day, profile in enumerate(profiles(baseline, table, threads=threads)):
        window = WindowCounts(day, profile, OutcomeProfile.empty(baseline.layout))
        signals = tuple(signal for monitor in _WATCHED for signal in monitor.signals(baseline, window))
        found.append(Drift(signals, tuple(monitor.counts(stream, window) for monitor, stream in streams)))
    return found


def profiles(baseline: Baseline, table: pa.Table, *, threads: int = 1) -> list[Profile]:
    """Return every day's profile with the shipped defaults, leaves and repeated rows included."""
    days = days_of(table)
    scores, decided, given = outputs(table)
    table = baseline.layout.encoded(table, threads=threads)
    leaves = baseline.leaves(table, scores, given, threads=threads)
    return profile_windows(baseline.layout, table, days, int(days.max()) + 1, scores, decided, leaves, threads=threads)


def estimated_by_day(baseline: Baseline, table: pa.Table) -> list[tuple[Estimate, ...]]:
    """Return the estimated metrics of every day, with their intervals."""
    days = days_of(table)
    scores, decided, _ = outputs(table)
    bins = baseline.layout.outcome_bins
    counted = np.zeros((int(days.max()) + 1, Scores.size_for(bins)), dtype=np.int64)
    Scores.count_into(counted, bins, scores, decided, days)
    empty = Profile.empty(baseline.layout)
    return [
        estimates(baseline, Profile(empty.layout, 0, 0, empty.features, Scores(bins, day), empty.leaves))
        for day in counted
    ]

"""Distributions before and after an incident, for pictures: what the columns under suspicion looked like."""

from __future__ import annotations

import itertools

import numpy as np

from pitstop.incidents import Incident
from pitstop.loop.loop import Loop
from pitstop.monitors.drift import distance
from pitstop.report.story import DistributionPair
from pitstop.statistics.bins import NumericBins
from pitstop.statistics.categories import CategoryCounts
from pitstop.statistics.histogram import Histogram

# Rows of bars that an eye compares at once; a baseline has about twice as many cells.
INNER_CELLS = 10


def moved(loop: Loop, incident: Incident) -> list[tuple[float, DistributionPair]]:
    """Return the distributions of an incident's suspects with importance x distance, greatest first.

    A column without a single value on one side is left out.
    """
    cause, found = loop.causes[incident.id], []
    for suspect in cause.suspects:
        before, after = cause.before.features[suspect.column], cause.after.features[suspect.column]
        if before.counts.sum() == 0 or after.counts.sum() == 0:
            continue
        names, starts = drawn_cells(before)
        pair = DistributionPair(
            suspect.column,
            "baseline",
            f"since {loop.calendar.name_window(incident.since)}",
            names,
            tuple((np.add.reduceat(before.counts, starts) / before.counts.sum()).tolist()),
            tuple((np.add.reduceat(after.counts, starts) / after.counts.sum()).tolist()),
        )
        found.append((suspect.importance * distance(before, after), pair))
    return sorted(found, key=lambda item: (-item[0], item[1].column))


def most_moved(loop: Loop, most: int) -> tuple[DistributionPair, ...]:
    """Return the columns that moved most over all incidents, each in the incident that moved it most."""
    best: dict[str, tuple[float, DistributionPair]] = {}
    for incident in loop.incidents:
        for weight, pair in moved(loop, incident):
            if weight > best.get(pair.column, (0.0,))[0]:
                best[pair.column] = (weight, pair)
    ranked = sorted(best.values(), key=lambda item: (-item[0], item[1].column))
    return tuple(pair for _, pair in ranked[:most])


def drawn_cells(statistic: Histogram | CategoryCounts) -> tuple[tuple[str, ...], list[int]]:
    """Return the names of the cells to draw, and the statistic's cell with which each of them begins.

    Neighbouring cells of numbers are joined to at most `INNER_CELLS` between the outer two; categories stay apart.
    """
    bins = statistic.bins
    inner = bins.cells - 2
    if not isinstance(bins, NumericBins) or inner <= INNER_CELLS:
        return tuple(bins.names()), list(range(bins.cells))
    stride = -(-inner // INNER_CELLS)
    ends = [*range(0, inner, stride), inner]
    edges = [f"{edge:.6g}" for edge in bins.edges]
    pairs = [(edges[left], edges[right]) for left, right in itertools.pairwise(ends)]
    names = [left if left == right else f"{left} to {right}" for left, right in pairs]
    return (f"below {edges[0]}", *names, f"above {edges[-1]}"), [0, *(end + 1 for end in ends)]

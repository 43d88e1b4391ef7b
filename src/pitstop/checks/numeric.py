"""Numbers in two tables: values outside the known range, and drift. Faults stand in `pitstop.diagnosis`."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pitstop.checks.findings import Finding, Kind
from pitstop.checks.pairs import FEWEST_ROWS, NOTABLE, SMALL, Pair, by_distance, number, percent
from pitstop.statistics.bins import NumericBins
from pitstop.statistics.distances import psi
from pitstop.statistics.significance import kolmogorov_smirnov, kolmogorov_smirnov_p, one_sided_only_p

Floats = NDArray[np.float64]

PSI_BINS = 10


def compare_numbers(pair: Pair, kind: Kind = "drift") -> list[Finding]:
    """Return the findings on a numeric column, most specific first. `kind` names a plain change of the distribution.

    NaN, infinities and nulls are left out here; they are compared as missing values. Nothing is said where a side has
    fewer than 30 finite values.
    """
    reference, current = _finite(pair.reference.numbers()), _finite(pair.current.numbers())
    if min(len(reference), len(current)) < FEWEST_ROWS:
        return []
    distance = kolmogorov_smirnov(reference, current)
    chance = kolmogorov_smirnov_p(distance, len(reference), len(current)) >= pair.alpha
    found: list[Finding] = []
    outside = _outside(pair, reference, current)
    if not chance and distance >= (NOTABLE if outside else SMALL):
        found.append(_drift(pair, reference, current, distance, kind))
    return found + outside


def _finite(values: Floats) -> Floats:
    return values[np.isfinite(values)]


def _outside(pair: Pair, reference: Floats, current: Floats) -> list[Finding]:
    low, high = float(reference.min()), float(reference.max())
    below, above = int(np.sum(current < low)), int(np.sum(current > high))
    share_of_rows = len(current) / (len(current) + len(reference))
    # Of exchangeable rows the k largest all lie on one side with probability share ** k.
    if min(one_sided_only_p(below, share_of_rows), one_sided_only_p(above, share_of_rows)) >= pair.alpha / 2:
        return []
    worst = float(current.min()) if below > above else float(current.max())
    share = (below + above) / len(current)
    far = below + above and max(low - float(current.min()), float(current.max()) - high) > 3 * (high - low)
    sentence = (
        f"{pair.name}: {percent(share)} of the rows lie outside the known range {number(low)} to {number(high)} "
        f"(as far as {number(worst)})."
    )
    return [Finding(pair.name, "range", "warning" if share >= 0.01 or far else "info", share, sentence)]


def _drift(pair: Pair, reference: Floats, current: Floats, distance: float, kind: Kind) -> Finding:
    edges = np.array(NumericBins.fit(reference, PSI_BINS).edges)
    before, after = (
        np.bincount(np.searchsorted(edges, side, side="right"), minlength=len(edges) + 1)
        for side in (reference, current)
    )
    stability = psi(before.astype(np.int64), after.astype(np.int64))
    word = {"label_shift": "the label", "score_drift": "the score"}.get(kind, "the distribution")
    first, second = (number(float(np.median(side))) for side in (reference, current))
    medians = f": median {first}, now {second}" if first != second else f" around the same median, {first}"
    sentence = (
        f"{pair.name}: {word} changed{medians} "
        f"(largest difference of the distributions {percent(distance)}, PSI {stability:.2f})."
    )
    return Finding(pair.name, kind, by_distance(distance), distance, sentence)

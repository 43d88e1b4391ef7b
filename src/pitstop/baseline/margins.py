"""How the loss goes with each feature inside the leaves of the loss tree: what the leaves alone cannot see.

A tree of 64 leaves leaves something over: inputs that move within a leaf change the loss there, and a decomposition by
leaves takes that for a change of the relation. The counts that every profile holds already, rows by cell of each
feature, tell how far they moved. This is the generalised regression estimator of survey sampling (Cassel, Sarndal and
Wretman 1976) with leaves and cells as auxiliary totals: it gives the part of the inputs without bias where either the
loss or the ratio of the two densities is a sum of terms in the leaf and in single features' cells.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from pitstop.baseline.tree import Codes
from pitstop.profile import Layout, Profile
from pitstop.statistics.categories import CategoryCounts
from pitstop.statistics.cells import LEAVES
from pitstop.statistics.histogram import Histogram
from pitstop.statistics.outcome_bins import STEPS

# Cells of all features together, the most important features first, and rows that are learnt from.
MOST_CELLS, MOST_ROWS = 320, 10_000
# Each cell is drawn to the mean of its leaf as if it had so many rows more: a cell without rows says nothing.
RIDGE = 20.0
# Groups left out in turn: enough for a standard error to a sixth of itself.
GROUPS = 20
# A regression on cells needs some rows for each leaf, and some for each cell.
FEWEST_ROWS = 500

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Margins:
    """What one row of each cell adds to the mean loss of its leaf.

    `columns`: the features used; the model's output comes after them. `effects`: float64[1 + 20, cells], of all rows
    and without each group of rows; `offsets`: float64[1 + 20, 64], less what the rows of each leaf add on the
    reference, so that there the sum is 0. `spread`: variance of what is added to a row. `rows`: how many rows were
    learnt from. Units: those of the loss.
    """

    columns: tuple[str, ...]
    effects: Floats
    offsets: Floats
    spread: float
    rows: int

    def moved(self, window: Profile) -> tuple[float, float]:
        """Return the change of the mean loss that comes from inputs moving within leaves, and its standard error.

        (0, 0) for a window without rows. Raises `KeyError` where the profile lacks a feature.
        """
        rows = int(window.leaves.sum())
        if not rows:
            return 0.0, 0.0
        cells = np.concatenate([*(_cells(window.features[name]) for name in self.columns), _output_cells(window)])
        found = (self.effects @ cells + self.offsets @ window.leaves) / rows
        left_out = found[1:]
        drawn = (GROUPS - 1) / GROUPS * float(((left_out - left_out.mean()) ** 2).sum())
        return float(found[0]), float(np.sqrt(drawn + self.spread * (1 / rows + 1 / self.rows)))

    def to_state(self) -> dict[str, Any]:
        """Return it as arrays and JSON values."""
        numbers = {"columns": list(self.columns), "spread": self.spread, "rows": self.rows}
        return {"effects": self.effects, "offsets": self.offsets, "numbers": numbers}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        """Return the margins that `to_state` described."""
        numbers = state["numbers"]
        columns = tuple(numbers["columns"])
        return cls(columns, state["effects"], state["offsets"], float(numbers["spread"]), int(numbers["rows"]))


def fit_margins(
    layout: Layout,
    importance: Mapping[str, float],
    codes: Codes,
    leaves: NDArray[np.integer[Any]],
    losses: Floats,
) -> Margins | None:
    """Fit the margins to labelled rows that the tree was not fitted on; None for fewer than 500.

    `codes`: int32[rows, features + 1] as `cell_codes` gives them, of at most `MOST_ROWS` rows where time matters.
    `importance` as in `Baseline`. Ridge regression within leaves; its noise by the jackknife over groups of rows.
    """
    if len(losses) < FEWEST_ROWS:
        return None
    columns, places, sizes = _chosen(layout, importance)
    starts = np.concatenate([[0], np.cumsum(sizes)])
    rows = len(losses)
    design = np.zeros((rows, int(starts[-1])), dtype=np.float32)
    for place, start, size in zip(places, starts, sizes, strict=False):
        design[np.arange(rows), start + np.clip(codes[:, place] + 1, 0, size - 1)] = 1.0
    counted = np.maximum(np.bincount(leaves, minlength=LEAVES), 1)
    means = np.zeros((LEAVES, design.shape[1]))
    np.add.at(means, leaves, design)
    means /= counted[:, np.newaxis]
    design -= means.astype(np.float32)[leaves]
    left = (losses - (np.bincount(leaves, losses, LEAVES) / counted)[leaves]).astype(np.float32)
    squares, products = [], []
    for group in range(GROUPS):
        part, mine = design[group::GROUPS], left[group::GROUPS]
        squares.append((part.T @ part).astype(np.float64))
        products.append((part.T @ mine).astype(np.float64))
    square, product = np.sum(squares, axis=0), np.sum(products, axis=0)
    ridge = RIDGE * np.eye(square.shape[0])
    effects = np.stack(
        [
            np.linalg.solve(square - without + ridge, product - less)
            for without, less in zip([0.0, *squares], [0.0, *products], strict=True)
        ]
    )
    spread = float(effects[0] @ square @ effects[0]) / rows
    return Margins(columns, effects, -effects @ means.T, spread, rows)


def _chosen(layout: Layout, importance: Mapping[str, float]) -> tuple[tuple[str, ...], list[int], list[int]]:
    """Return the features that fit, the most important first, the place of each and of the output, and their cells."""
    features = [(name, bins.cells + 1) for name, _, bins in layout.statistics()]
    prediction = layout.outcome_bins.prediction
    output = prediction.cells + 1 if prediction is not None else 11
    room = MOST_CELLS - output
    chosen = []
    for place in sorted(range(len(features)), key=lambda at: (-importance.get(features[at][0], 0.0), at)):
        size = features[place][1]
        if size <= room:
            chosen.append((place, size))
            room -= size
    places = [place for place, _ in chosen]
    sizes = [size for _, size in chosen]
    return tuple(features[place][0] for place in places), [*places, len(features)], [*sizes, output]


def _cells(feature: Histogram | CategoryCounts) -> Floats:
    """Return rows by cell, the missing ones first, as `cell_codes` numbers them from -1 on."""
    return np.concatenate([[feature.nulls], feature.counts]).astype(np.float64)


def _output_cells(window: Profile) -> Floats:
    scores = window.scores
    if scores.bins.prediction is not None:
        return _cells(scores.histogram)
    tenths = np.minimum(np.arange(STEPS + 1) * 10 // STEPS, 9)
    return np.concatenate([[scores.unscored.sum()], np.bincount(tenths, scores.by_score, 10)]).astype(np.float64)

"""What a row's features say of its outcome beyond its score: small boosted trees, kept as arrays.

CBPE takes all rows of one score for alike. Where the inputs move, rows of one score are not what they were: a
calibrator that is right on average over the reference is then wrong on average over a window. The trees learn, on
labelled reference rows, the difference between the outcome and the calibrator from the cells of the features; a window
is judged by the mean of both over its own rows. It still assumes that the relation of inputs to outcome is unchanged.

The same trees learn a regression's errors (direct loss estimation: NannyML's idea).

How much of the difference is believed, 0 to 1, is measured on blocks of time that the trees had not seen, so what does
not carry over from one part of the reference to the next is not used. Source of the fit: scikit-learn's histogram
gradient boosting (after LightGBM, Ke et al. 2017); of `share`: the slope of a stacked regression (Breiman 1996).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingRegressor

from pitstop.baseline.tree import Codes

Floats = NDArray[np.float64]

# Chosen on sets that the benchmark does not score (docs/decisions/0025).
ROUNDS = 150
RATE = 0.05
DEPTH = 6
MIN_LEAF_ROWS = 50
RIDGE = 5.0
# Blocks of time for the share and the spread of the fit.
BLOCKS = 4
# With fewer labelled rows nothing is learnt of them; with more, an even choice of them is enough.
FEWEST_ROWS = 500
MOST_ROWS = 30_000
# Rows that walk the trees together: few enough that what they need stays near the processor.
_TOGETHER = 512


@dataclass(frozen=True, eq=False)
class Trees:
    """A sum of trees over cell codes: at a node with `left` >= 0 a row goes left where `code[feature] <= threshold`.

    `roots` are the first nodes of the trees; `value` counts at leaves only.
    """

    roots: NDArray[np.int32]
    feature: NDArray[np.int32]
    threshold: NDArray[np.int32]
    left: NDArray[np.int32]
    right: NDArray[np.int32]
    value: Floats
    start: float

    def predict(self, codes: Codes) -> Floats:
        """Return the sum for each row of `codes` (int32[rows, features])."""
        parts = [codes[start : start + _TOGETHER] for start in range(0, codes.shape[0], _TOGETHER)]
        return np.concatenate([self._sums(part) for part in parts]) if parts else np.zeros(0)

    def _sums(self, codes: Codes) -> Floats:
        """Walk all trees with all rows at once, level by level."""
        rows = np.arange(codes.shape[0])[:, np.newaxis]
        node = np.repeat(self.roots[np.newaxis], codes.shape[0], axis=0)
        left = self.left[node]
        while (left >= 0).any():
            goes_left = codes[rows, self.feature[node]] <= self.threshold[node]
            node = np.where(left < 0, node, np.where(goes_left, left, self.right[node]))
            left = self.left[node]
        return np.asarray(self.start + self.value[node].sum(axis=1), dtype=np.float64)

    def to_state(self) -> dict[str, NDArray[Any]]:
        """Return it as arrays."""
        nodes = np.stack([self.feature, self.threshold, self.left, self.right]).astype(np.int32)
        return {"roots": self.roots, "nodes": nodes, "value": np.append(self.value, self.start)}

    @classmethod
    def from_state(cls, state: Mapping[str, NDArray[Any]]) -> Self:
        """Return the trees that `to_state` described."""
        feature, threshold, left, right = state["nodes"]
        value = state["value"]
        return cls(state["roots"], feature, threshold, left, right, value[:-1], float(value[-1]))


@dataclass(frozen=True, eq=False)
class OutcomeModel:
    """Trees fitted on all reference rows, the same without each block of time, and the share that is believed."""

    whole: Trees
    without: tuple[Trees, ...]
    share: float

    def differences(self, codes: Codes) -> Floats:
        """Return the expected difference of each row: float64[1 + blocks, rows], the fit on all rows first."""
        if self.share == 0.0:
            return np.zeros((1 + len(self.without), codes.shape[0]))
        return self.share * np.stack([trees.predict(codes) for trees in (self.whole, *self.without)])

    def to_state(self) -> dict[str, NDArray[Any]]:
        """Return it as arrays."""
        parts = {"whole": self.whole, **{f"without{k}": trees for k, trees in enumerate(self.without)}}
        state = {f"{name}.{key}": value for name, trees in parts.items() for key, value in trees.to_state().items()}
        return state | {"share": np.array([self.share])}

    @classmethod
    def from_state(cls, state: Mapping[str, NDArray[Any]]) -> Self:
        """Return the model that `to_state` described."""

        def trees(name: str) -> Trees:
            start = f"{name}."
            return Trees.from_state({key.removeprefix(start): state[key] for key in state if key.startswith(start)})

        blocks = sum(key.startswith("without") and key.endswith(".roots") for key in state)
        return cls(trees("whole"), tuple(trees(f"without{k}") for k in range(blocks)), float(state["share"][0]))


@dataclass(frozen=True, eq=False)
class Fit:
    """A model, and what the fits without a row's own block of time say of it (float64[rows], times the share)."""

    model: OutcomeModel
    held_out: Floats


def fit_outcome_model(codes: Codes, differences: Floats) -> Fit | None:
    """Fit the trees to `differences` (float64[rows], outcome less what is expected of it) of rows in order of time.

    None with fewer than `FEWEST_ROWS` rows, or where nothing carries over from one block of time to the others.
    """
    rows = len(differences)
    if rows < FEWEST_ROWS or float(np.ptp(differences)) == 0.0:
        return None
    block = np.arange(rows) * BLOCKS // rows
    without = tuple(_fit(codes[block != part], differences[block != part]) for part in range(BLOCKS))
    held_out = np.zeros(rows)
    for part, trees in enumerate(without):
        held_out[block == part] = trees.predict(codes[block == part])
    square = float(held_out @ held_out)
    share = min(1.0, max(0.0, float(held_out @ differences) / square)) if square else 0.0
    if share == 0.0:
        return None
    return Fit(OutcomeModel(_fit(codes, differences), without, share), share * held_out)


def thinned(rows: int) -> NDArray[np.int64]:
    """Return the places of the rows that are learnt from: all of them, or `MOST_ROWS` evenly chosen ones."""
    return np.linspace(0, rows - 1, min(rows, MOST_ROWS)).astype(np.int64)


def _fit(codes: Codes, differences: Floats) -> Trees:
    model = HistGradientBoostingRegressor(
        max_iter=ROUNDS,
        learning_rate=RATE,
        max_depth=DEPTH,
        min_samples_leaf=MIN_LEAF_ROWS,
        l2_regularization=RIDGE,
        early_stopping=False,
        random_state=0,
    ).fit(codes.astype(np.float64), differences)
    # scikit-learn has no public form of these trees; its own exporters (ONNX, treelite) read the same attributes.
    nodes = [predictor.nodes for step in model._predictors for predictor in step]  # noqa: SLF001
    sizes = np.array([len(tree) for tree in nodes])
    roots = np.cumsum(sizes) - sizes
    joined = np.concatenate(nodes)
    shift = np.repeat(roots, sizes)
    inner = joined["is_leaf"] == 0
    return Trees(
        roots=roots.astype(np.int32),
        feature=joined["feature_idx"].astype(np.int32),
        # Codes are whole numbers, so what is below a threshold is at most its floor.
        threshold=np.floor(np.where(inner, np.clip(joined["num_threshold"], -2, 2**30), 0)).astype(np.int32),
        left=np.where(inner, joined["left"] + shift, -1).astype(np.int32),
        right=np.where(inner, joined["right"] + shift, -1).astype(np.int32),
        value=np.where(inner, 0.0, joined["value"]).astype(np.float64),
        start=float(np.ravel(model._baseline_prediction)[0]),  # noqa: SLF001
    )

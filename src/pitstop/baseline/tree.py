"""The leaf tree: at most 64 cells of the feature space in which the model's loss is about equal.

Profiles count rows and losses by leaf, so a later drop splits exactly into a part that comes from the inputs and a part
that comes from the relation to the outcome (`pitstop.diagnosis`), without touching rows again.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from sklearn.tree import DecisionTreeRegressor

MAX_LEAVES = 64
# A leaf with fewer rows has a mean loss too noisy to compare windows with.
MIN_LEAF_ROWS = 25

Codes = NDArray[np.int32]


@dataclass(frozen=True)
class LeafTree:
    """A binary tree over cell codes, as arrays over its nodes; `leaf` is -1 at inner nodes.

    A row goes left where `code[feature] <= threshold`. Codes are cell numbers of the layout's bins (-1 for missing, and
    the score's tenth as the last column), so the tree is exact, small, and the same on every machine.
    """

    feature: NDArray[np.int64]
    threshold: NDArray[np.float64]
    left: NDArray[np.int64]
    right: NDArray[np.int64]
    leaf: NDArray[np.int64]

    @property
    def leaves(self) -> int:
        """Number of leaves."""
        return int(self.leaf.max()) + 1

    def apply(self, codes: Codes) -> NDArray[np.int64]:
        """Return the leaf number (0 to 63) of each row of `codes` (shape rows x features)."""
        node = np.zeros(codes.shape[0], dtype=np.int64)
        while True:
            inner = self.leaf[node] < 0
            if not inner.any():
                return self.leaf[node]
            rows = np.flatnonzero(inner)
            at = node[rows]
            goes_left = codes[rows, self.feature[at]] <= self.threshold[at]
            node[rows] = np.where(goes_left, self.left[at], self.right[at])

    @cached_property
    def reach(self) -> tuple[NDArray[np.uint64], NDArray[np.int32]]:
        """For each node the leaves that a row which goes right there may still reach, and the leaf of each bit.

        Bits are the leaves from left to right: a row ends in the lowest bit that is in all masks of the nodes, on its
        path or not, at which it goes right (Lucchese et al., "QuickScorer", 2015). uint64[nodes] and int32[64].
        """
        masks = np.full(self.leaf.size, 2**64 - 1, dtype=np.uint64)
        order = np.zeros(MAX_LEAVES, dtype=np.int32)
        bits = itertools.count()

        def below(node: int) -> int:
            """Return the bits of the leaves under a node."""
            if self.leaf[node] >= 0:
                bit = next(bits)
                order[bit] = self.leaf[node]
                return 1 << bit
            first = below(int(self.left[node]))
            masks[node] = (2**64 - 1) ^ first
            return first | below(int(self.right[node]))

        below(0)
        return masks, order

    def path(self, leaf: int, names: tuple[str, ...]) -> tuple[str, ...]:
        """Return the names of the columns that the path to `leaf` tests, in order, without repetition."""
        node = int(np.flatnonzero(self.leaf == leaf)[0])
        found: list[str] = []
        while node:
            parents = np.flatnonzero((self.left == node) | (self.right == node))
            node = int(parents[0])
            found.append(names[int(self.feature[node])])
        return tuple(dict.fromkeys(reversed(found)))

    def to_state(self) -> dict[str, NDArray[np.int64]]:
        """Return the tree as integer arrays (thresholds are halves, so they are doubled)."""
        return {
            "feature": self.feature,
            "threshold2": np.round(self.threshold * 2).astype(np.int64),
            "left": self.left,
            "right": self.right,
            "leaf": self.leaf,
        }

    @classmethod
    def from_state(cls, state: dict[str, NDArray[np.int64]]) -> LeafTree:
        """Return the tree that `to_state` described."""
        return cls(state["feature"], state["threshold2"] / 2, state["left"], state["right"], state["leaf"])


def fit_tree(codes: Codes, losses: NDArray[np.float64]) -> LeafTree:
    """Fit a tree of at most 64 leaves to the loss of each row (CART, squared error, scikit-learn).

    With fewer than 50 rows it has one leaf: everything is then one cell.
    """
    if codes.shape[0] < 2 * MIN_LEAF_ROWS or float(np.ptp(losses)) == 0.0:
        nothing = np.zeros(1, dtype=np.int64)
        return LeafTree(nothing, np.zeros(1), nothing, nothing, nothing)
    minimum = max(MIN_LEAF_ROWS, codes.shape[0] // 200)
    model = DecisionTreeRegressor(max_leaf_nodes=MAX_LEAVES, min_samples_leaf=minimum, random_state=0)
    tree = model.fit(codes, losses).tree_
    is_leaf = tree.children_left < 0
    leaf = np.where(is_leaf, np.cumsum(is_leaf) - 1, -1).astype(np.int64)
    return LeafTree(
        feature=np.maximum(tree.feature, 0).astype(np.int64),
        threshold=np.round(np.where(is_leaf, 0.0, tree.threshold) * 2) / 2,
        left=np.maximum(tree.children_left, 0).astype(np.int64),
        right=np.maximum(tree.children_right, 0).astype(np.int64),
        leaf=leaf,
    )

"""The leaf tree: every row in one leaf, the same after a round trip, and leaves that differ in loss."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from pitstop.baseline.tree import MAX_LEAVES, MIN_LEAF_ROWS, LeafTree, fit_tree


def sample(rows: int, seed: int = 0) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
    random = np.random.default_rng(seed)
    codes = random.integers(-1, 12, (rows, 3)).astype(np.int32)
    losses = (random.random(rows) < np.where(codes[:, 1] > 5, 0.8, 0.1)).astype(np.float64)
    return codes, losses


def same(one: LeafTree, other: LeafTree) -> bool:
    return all(
        np.array_equal(getattr(one, name), getattr(other, name))
        for name in ("feature", "threshold", "left", "right", "leaf")
    )


@given(st.integers(0, 400), st.integers(0, 5))
def test_every_row_has_a_leaf_and_a_state_gives_the_tree_back(rows: int, seed: int) -> None:
    codes, losses = sample(rows, seed)
    tree = fit_tree(codes, losses)
    leaves = tree.apply(codes)
    assert leaves.shape == (rows,)
    assert ((leaves >= 0) & (leaves < tree.leaves)).all()
    assert 1 <= tree.leaves <= MAX_LEAVES
    back = LeafTree.from_state(tree.to_state())
    assert same(back, tree)
    # Codes never seen still land somewhere.
    assert (back.apply(codes + 1000) < tree.leaves).all()


def test_leaves_are_large_enough_and_separate_what_differs() -> None:
    codes, losses = sample(5000)
    tree = fit_tree(codes, losses)
    leaves = tree.apply(codes)
    counts = np.bincount(leaves, minlength=tree.leaves)
    assert counts.min() >= MIN_LEAF_ROWS
    high = tree.apply(codes[codes[:, 1] > 5])
    low = tree.apply(codes[codes[:, 1] <= 5])
    assert not set(high.tolist()) & set(low.tolist())
    assert tree.path(int(high[0]), ("a", "b", "c"))[0] == "b"


def test_too_few_rows_or_one_loss_make_one_leaf() -> None:
    codes, losses = sample(2 * MIN_LEAF_ROWS - 1)
    assert fit_tree(codes, losses).leaves == 1
    codes, _ = sample(500)
    tree = fit_tree(codes, np.ones(500))
    assert tree.leaves == 1
    assert tree.path(0, ("a", "b", "c")) == ()
    assert (tree.apply(codes) == 0).all()

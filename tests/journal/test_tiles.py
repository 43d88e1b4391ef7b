"""Proofs from stored tiles are the proofs of the whole tree, whatever its size."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pitstop.errors import JournalError
from pitstop.journal.merkle import (
    CompactRange,
    consistency_proof,
    inclusion_proof,
    tree_root,
    verify_consistency,
    verify_inclusion,
)
from pitstop.journal.tiles import LEVEL_HEIGHT, StoredLevels, Tiles

LEAVES = [hashlib.sha256(str(number).encode()).digest() for number in range(5_000)]


def stored(size: int, pieces: Sequence[int] = ()) -> StoredLevels:
    """Return the levels of a tree that grew in pieces."""
    levels, tree = StoredLevels(), CompactRange()
    for end in (*sorted(pieces), size):
        tree = tree.extended(LEAVES[tree.size : end], levels.add)
    return levels


def tiles(size: int, levels: StoredLevels) -> tuple[Tiles, list[int]]:
    nodes = {(row["level"], row["place"]): row["hash"] for row in levels.rows}
    reads: list[int] = []

    def read(level: int, first: int, last: int) -> list[bytes]:
        reads.append(last - first)
        if not level:
            return LEAVES[first : min(last, size)]
        return [nodes[level, place] for place in range(first, last) if (level, place) in nodes]

    return Tiles(size, read), reads


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 1_200), st.data())
def test_every_proof_is_the_one_of_the_whole_tree(size: int, data: st.DataObject) -> None:
    index, old = data.draw(st.integers(0, size - 1)), data.draw(st.integers(0, size))
    pieces = data.draw(st.lists(st.integers(0, size), max_size=4))
    leaves = LEAVES[:size]
    found, _ = tiles(size, stored(size, pieces))
    assert found.root == tree_root(leaves)
    assert found.inclusion_proof(index) == inclusion_proof(leaves, index)
    assert found.consistency_proof(old) == consistency_proof(leaves, old)
    assert verify_inclusion(leaves[index], index, size, found.inclusion_proof(index), found.root)
    proof = found.consistency_proof(old)
    assert verify_consistency(old, size, tree_root(leaves[:old]), found.root, proof)


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 1_200), st.lists(st.integers(0, 1_200), max_size=5))
def test_what_is_stored_does_not_depend_on_how_the_tree_grew(size: int, pieces: list[int]) -> None:
    whole = stored(size).rows
    assert stored(size, [piece for piece in pieces if piece <= size]).rows == whole
    # One more hash for every fifteen leaves, at most.
    assert len(whole) <= size // 15


def test_an_old_tree_is_read_from_the_same_tiles_as_a_later_one() -> None:
    levels = stored(5_000)
    nodes = {(row["level"], row["place"]): row["hash"] for row in levels.rows}
    found = Tiles(
        1_234,
        lambda level, first, last: (
            LEAVES[first:last] if not level else [nodes[level, p] for p in range(first, last) if (level, p) in nodes]
        ),
    )
    assert found.root == tree_root(LEAVES[:1_234])
    assert found.inclusion_proof(7) == inclusion_proof(LEAVES[:1_234], 7)


def test_a_proof_reads_a_tile_a_level() -> None:
    found, reads = tiles(5_000, stored(5_000))
    found.inclusion_proof(2_500)
    # Two tiles of a level at most: beside the path, and at the ragged right edge.
    assert len(reads) <= 2 * 4
    assert set(reads) == {1 << LEVEL_HEIGHT}


def test_a_hash_that_is_not_there_is_named() -> None:
    levels = stored(600)
    del levels.rows[3]
    found, _ = tiles(600, levels)
    with pytest.raises(JournalError, match="of level 1 are not all stored"):
        found.inclusion_proof(0)
    with pytest.raises(JournalError, match="entries 0 to 599, got 600"):
        found.inclusion_proof(600)

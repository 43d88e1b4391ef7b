"""Proofs from stored hashes: leaves, and the roots of the perfect subtrees at every fourth level above them.

A tile is sixteen hashes of one level that stand side by side. A writer stores one hash more for every fifteen leaves; a
proof reads one tile a level, five of them at a million leaves, instead of all leaves. (C2SP `tlog-tiles` cuts at every
eighth level, for files of 256 hashes; a database reads sixteen rows faster.)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from pitstop.errors import JournalError
from pitstop.journal.merkle import CompactRange, consistency_path, inclusion_path, node_hash, tree_root

LEVEL_HEIGHT = 4

ReadHashes = Callable[[int, int, int], Sequence[bytes]]
"""Returns the stored hashes of `level` (0: leaves, 1: subtrees of 16 leaves, ...) from `first` to before `last`."""


class StoredLevels:
    """Gathers the hashes that are stored beside the leaves, as rows of (level, place, hash) in order of completion."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []

    def add(self, height: int, place: int, root: bytes) -> None:
        """Take the root of a perfect subtree (see `CompactRange.extended`); keep it if its level is stored."""
        if height % LEVEL_HEIGHT == 0:
            self.rows.append({"level": height // LEVEL_HEIGHT, "place": place, "hash": root})


class Tiles:
    """The tree of the first `size` leaves, read through `read`.

    Raises `JournalError` where a hash that should be stored is not.
    """

    def __init__(self, size: int, read: ReadHashes) -> None:
        self.size = size
        self._read = read
        self._tiles: dict[tuple[int, int], Sequence[bytes]] = {}

    def inclusion_proof(self, index: int) -> tuple[bytes, ...]:
        """Return the audit path of leaf `index`; O(log size) reads of a tile."""
        return inclusion_path(index, self.size, self.subtree)

    def consistency_proof(self, old_size: int) -> tuple[bytes, ...]:
        """Return the proof that the tree of the first `old_size` leaves is a prefix of this one."""
        return consistency_path(old_size, self.size, self.subtree)

    @property
    def root(self) -> bytes:
        """The Merkle tree hash."""
        return self.subtree(0, self.size) if self.size else CompactRange().root

    def subtree(self, low: int, high: int) -> bytes:
        """Return the root of the leaves `low` to before `high`, which have to be a subtree of the whole."""
        perfect = []
        while low < high:
            height = (high - low).bit_length() - 1
            perfect.append(self._perfect(low, height))
            low += 1 << height
        root = perfect.pop()
        while perfect:
            root = node_hash(perfect.pop(), root)
        return root

    def _perfect(self, low: int, height: int) -> bytes:
        level, rest = divmod(height, LEVEL_HEIGHT)
        first = low >> (level * LEVEL_HEIGHT)
        place, offset = divmod(first, 1 << LEVEL_HEIGHT)
        tile = self._tiles.get((level, place))
        if tile is None:
            tile = self._read(level, place << LEVEL_HEIGHT, (place + 1) << LEVEL_HEIGHT)
            self._tiles[level, place] = tile
        there = min(1 << LEVEL_HEIGHT, (self.size >> (level * LEVEL_HEIGHT)) - (place << LEVEL_HEIGHT))
        hashes = tile[offset : offset + (1 << rest)]
        # One that is missing in the middle would move the others to its place.
        if len(tile) < there or len(hashes) != 1 << rest:
            msg = (
                f"hashes {first} to {first + (1 << rest) - 1} of level {level} are not all stored; run "
                "`pitstop journal verify`, and restore the home from a backup"
            )
            raise JournalError(msg)
        return tree_root(hashes)

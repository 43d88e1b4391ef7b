"""The Merkle tree of RFC 6962 (section 2.1), with the proof algorithms of RFC 9162 (sections 2.1.3 and 2.1.4).

A leaf hash is SHA-256(0x00 || data), an inner hash SHA-256(0x01 || left || right), the root of the empty tree
SHA-256 of nothing. All hashes are 32 bytes. A log is appended to through a *compact range*: the roots of the
perfect subtrees that make up the tree, at most log2(size) of them, which is all that a writer has to keep. Proofs are
put together from the roots of subtrees, which `tiles` reads from what was stored.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from pitstop.errors import JournalError

HASH_BYTES = 32
EMPTY_ROOT = hashlib.sha256(b"").digest()

Subtree = Callable[[int, int], bytes]
"""Gives the root of the leaves `low` to before `high`, a subtree of the whole."""

Completed = Callable[[int, int, bytes], None]
"""Takes height, index and root of a perfect subtree."""


def leaf_hash(data: bytes) -> bytes:
    """Return the hash of a leaf's data."""
    return hashlib.sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of an inner node."""
    return hashlib.sha256(b"\x01" + left + right).digest()


@dataclass(frozen=True)
class CompactRange:
    """The frontier of a tree of `size` leaves: roots of its perfect subtrees, the largest first."""

    size: int = 0
    peaks: tuple[bytes, ...] = ()

    def __post_init__(self) -> None:
        """Refuse a frontier that belongs to no tree."""
        if self.size < 0 or len(self.peaks) != self.size.bit_count():
            msg = (
                f"a tree of {self.size} leaves has {max(self.size, 0).bit_count()} peaks, got {len(self.peaks)}; "
                "the recorded head of the journal is damaged: restore it from a backup"
            )
            raise JournalError(msg)

    def extended(self, leaves: Iterable[bytes], completed: Completed | None = None) -> CompactRange:
        """Return the range after the leaf hashes `leaves`; amortised O(1), at most O(log n), per leaf.

        `completed` is called with (height, index, root) of every perfect subtree of two leaves or more that is
        completed: the one of `height` that begins at leaf `index << height`.
        """
        peaks = list(self.peaks)
        size = self.size
        sha256 = hashlib.sha256
        for leaf in leaves:
            node = leaf
            # Each trailing one bit of the old size is a perfect subtree that the new leaf completes.
            bits, height = size, 0
            while bits & 1:
                node = sha256(b"\x01" + peaks.pop() + node).digest()
                bits >>= 1
                height += 1
                if completed is not None:
                    completed(height, bits, node)
            peaks.append(node)
            size += 1
        return CompactRange(size, tuple(peaks))

    @property
    def root(self) -> bytes:
        """The Merkle tree hash of all leaves so far."""
        if not self.peaks:
            return EMPTY_ROOT
        root = self.peaks[-1]
        for peak in reversed(self.peaks[:-1]):
            root = node_hash(peak, root)
        return root

    def to_bytes(self) -> bytes:
        """Return the peaks one after another; `from_bytes` needs the size beside them."""
        return b"".join(self.peaks)

    @staticmethod
    def from_bytes(size: int, data: bytes) -> CompactRange:
        """Return the range of `size` leaves whose peaks are `data`; raise `JournalError` if they do not fit."""
        if len(data) % HASH_BYTES:
            msg = f"the journal's head has {len(data)} bytes, not a multiple of {HASH_BYTES}; restore it from a backup"
            raise JournalError(msg)
        return CompactRange(size, tuple(data[i : i + HASH_BYTES] for i in range(0, len(data), HASH_BYTES)))


def tree_root(leaves: Iterable[bytes]) -> bytes:
    """Return the Merkle tree hash of leaf hashes."""
    return CompactRange().extended(leaves).root


def inclusion_path(index: int, size: int, subtree: Subtree) -> tuple[bytes, ...]:
    """Return the audit path of leaf `index` in the tree of `size` leaves; asks for at most log2(size) + 1 subtrees."""
    if not 0 <= index < size:
        msg = f"the journal has entries 0 to {size - 1}, got {index}"
        raise JournalError(msg)
    low, high = 0, size
    path = []
    while high - low > 1:
        middle = low + _split(high - low)
        if index < middle:
            path.append(subtree(middle, high))
            high = middle
        else:
            path.append(subtree(low, middle))
            low = middle
    return tuple(reversed(path))


def consistency_path(old_size: int, size: int, subtree: Subtree) -> tuple[bytes, ...]:
    """Return the proof that the tree of `old_size` leaves is a prefix of the tree of `size`, from roots of subtrees."""
    if not 0 <= old_size <= size:
        msg = f"the journal has {size} entries, so an earlier size is 0 to {size}, got {old_size}"
        raise JournalError(msg)
    if old_size in (0, size):
        return ()
    low, high, rest = 0, size, old_size
    path = []
    while rest != high - low:
        split = _split(high - low)
        if rest <= split:
            path.append(subtree(low + split, high))
            high = low + split
        else:
            path.append(subtree(low, low + split))
            low += split
            rest -= split
    # The old tree's own root is known to the verifier; any other subtree has to be given.
    if low:
        path.append(subtree(low, high))
    return tuple(reversed(path))


def inclusion_proof(leaves: Sequence[bytes], index: int) -> tuple[bytes, ...]:
    """Return the audit path of leaf `index` in the tree of `leaves` (leaf hashes); O(len(leaves)) hashes."""
    return inclusion_path(index, len(leaves), lambda low, high: tree_root(leaves[low:high]))


def consistency_proof(leaves: Sequence[bytes], old_size: int) -> tuple[bytes, ...]:
    """Return the proof that the tree of the first `old_size` leaves is a prefix of the tree of all `leaves`."""
    return consistency_path(old_size, len(leaves), lambda low, high: tree_root(leaves[low:high]))


def verify_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> bool:
    """Return whether `proof` shows that `leaf` (a leaf hash) is number `index` of the tree of `size` with `root`.

    RFC 9162, section 2.1.3.2.
    """
    if not 0 <= index < size:
        return False
    position, last = index, size - 1
    node = leaf
    for sibling in proof:
        if last == 0:
            return False
        if position & 1 or position == last:
            node = node_hash(sibling, node)
            while position and not position & 1:
                position >>= 1
                last >>= 1
        else:
            node = node_hash(node, sibling)
        position >>= 1
        last >>= 1
    return last == 0 and node == root


def verify_consistency(old_size: int, new_size: int, old_root: bytes, new_root: bytes, proof: Sequence[bytes]) -> bool:
    """Return whether `proof` shows that the tree of `old_size` is a prefix of the tree of `new_size`.

    RFC 9162, section 2.1.4.2; the empty tree is a prefix of every tree.
    """
    if not 0 <= old_size <= new_size:
        return False
    if old_size == 0:
        return not proof and old_root == EMPTY_ROOT
    if old_size == new_size:
        return not proof and old_root == new_root
    # A perfect old tree is itself the first node of the path, and is not repeated in the proof.
    path = [old_root, *proof] if old_size & (old_size - 1) == 0 else list(proof)
    if not path:
        return False
    position, last = old_size - 1, new_size - 1
    while position & 1:
        position >>= 1
        last >>= 1
    old, new = path[0], path[0]
    for sibling in path[1:]:
        if last == 0:
            return False
        if position & 1 or position == last:
            old = node_hash(sibling, old)
            new = node_hash(sibling, new)
            while position and not position & 1:
                position >>= 1
                last >>= 1
        else:
            new = node_hash(new, sibling)
        position >>= 1
        last >>= 1
    return last == 0 and old == old_root and new == new_root


def _split(size: int) -> int:
    """Return the largest power of two below `size` (size >= 2)."""
    return 1 << ((size - 1).bit_length() - 1)

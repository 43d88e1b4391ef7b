"""Checks a journal offline, and names what was done to it.

The log is believed as far as signed checkpoints reach. Entries after the last one are checked against the store's
own head only, which whoever can write the store can rewrite: they are counted as `unprotected`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from pitstop.errors import JournalError
from pitstop.journal.checkpoints import Checkpoint, SignedCheckpoint, note_digest
from pitstop.journal.entries import Entry
from pitstop.journal.merkle import CompactRange, Completed

FaultKind = Literal["edited", "deleted", "reordered", "inserted", "truncated", "forked", "signature", "content", "tree"]


@dataclass(frozen=True)
class Fault:
    """Something was done to the entries `first` to `last` (inclusive), as the sentence says."""

    kind: FaultKind
    first: int
    last: int
    sentence: str


@dataclass(frozen=True)
class Verification:
    """What a check of the journal found.

    `size` entries were read; `root` is the root of the entries that are intact from the start; the first
    `signed_size` of them are proven by a signed checkpoint; `faults` is empty if all is well. `erased` contents were
    destroyed on request, on record.
    """

    size: int
    root: bytes
    signed_size: int
    faults: tuple[Fault, ...]
    erased: int = 0

    @property
    def ok(self) -> bool:
        """Whether nothing was found."""
        return not self.faults

    @property
    def unprotected(self) -> int:
        """Number of entries after the last signed checkpoint that fits."""
        return max(self.size - self.signed_size, 0)

    def require(self) -> None:
        """Raise `JournalError` with every fault, unless there is none."""
        if self.faults:
            msg = f"the journal does not verify: {'; '.join(fault.sentence for fault in self.faults)}"
            raise JournalError(msg)


class Check:
    """Takes entries one by one, in the order in which they are stored, and keeps a hash of each and no more."""

    def __init__(self) -> None:
        self._leaves: list[bytes] = []
        self._sequences: list[int] = []
        self._highest = -1
        self._in_order = True
        self._seen: set[int] = set()
        self._doubles: set[int] = set()
        self._edited: list[int] = []
        self._order: list[Fault] = []

    @property
    def size(self) -> int:
        """Number of entries taken."""
        return len(self._leaves)

    def take(self, sequence: int, leaf: bytes, stored: bytes | None = None) -> None:
        """Take the leaf hash of the next entry, as it is now.

        `stored` is the hash that was stored beside it, if one was: it tells *which* entry was edited.
        """
        self._place(sequence, leaf)
        if stored is not None and stored != leaf:
            self._edited.append(sequence)

    def _place(self, number: int, leaf: bytes) -> None:
        self._leaves.append(leaf)
        self._sequences.append(number)
        if self._in_order and number == self._highest + 1:
            self._highest = number
            return
        if self._in_order:
            # Only from here on is it necessary to know which numbers were there.
            self._in_order = False
            self._seen = set(self._sequences[:-1])
        if number in self._seen:
            self._doubles.add(number)
            self._order.append(_fault("inserted", number, number, "there more than once"))
        elif number < self._highest:
            self._order.append(_fault("reordered", number, number, "stored out of order"))
        self._seen.add(number)
        self._highest = max(self._highest, number)

    def finish(
        self, signed: Iterable[Checkpoint], head: Checkpoint | None = None, completed: Completed | None = None
    ) -> Verification:
        """Compare with checkpoints whose signatures were verified, and with the store's own record `head`.

        `completed` gets every inner node of the tree of intact entries (see `CompactRange.extended`).
        """
        ordered, intact = self._leaves, self.size
        faults = list(self._order)
        if not self._in_order:
            missing = _gaps(sorted(self._seen))
            faults += [_fault("deleted", first, last, "missing") for first, last in missing]
            intact = min([*(first for first, _ in missing), *self._doubles, self._highest + 1])
            pairs = sorted(zip(self._sequences, self._leaves, strict=True), key=lambda pair: pair[0])
            ordered = [leaf for _, leaf in pairs]
        runs = _runs(sorted(set(self._edited)))
        faults += [_fault("edited", first, last, "changed after it was written") for first, last in runs]
        unique = sorted(set(signed), key=lambda item: (item.size, item.root))
        faults += _forks(unique)
        largest = max((item for item in (*unique, *([head] if head else []))), key=lambda item: item.size, default=None)
        end = self._highest + 1
        if largest is not None and end < largest.size:
            faults.append(_fault("truncated", end, largest.size - 1, "cut off the end"))
        if head is not None and end > head.size:
            faults.append(_fault("inserted", head.size, end - 1, "added after the recorded end"))
        tree, signed_size, mismatches = _root_faults(ordered[:intact], unique, head, faults, completed)
        return Verification(self.size, tree.root, signed_size, (*faults, *mismatches))


def verify(
    entries: Iterable[Entry],
    checkpoints: Iterable[Checkpoint],
    *,
    leaves: Sequence[bytes] | None = None,
    head: Checkpoint | None = None,
) -> Verification:
    """Check entries, in the order in which they were stored, against checkpoints whose signatures were verified.

    `leaves` are the leaf hashes that were stored beside the entries, if any: they tell *which* entry was edited where
    a root alone tells only between which checkpoints. `head` is the store's own unsigned record of size and root.
    """
    check = Check()
    for number, entry in enumerate(entries):
        stored = leaves[number] if leaves is not None and number < len(leaves) else None
        check.take(entry.sequence, entry.leaf, stored)
    if leaves is not None and len(leaves) != check.size:
        msg = f"got {check.size} entries but {len(leaves)} leaf hashes; give one for each entry"
        raise JournalError(msg)
    return check.finish(checkpoints, head)


def chain_faults(checkpoints: Sequence[SignedCheckpoint], newest: int = 0) -> list[Fault]:
    """Check that signed checkpoints follow each other as each says: none was removed, put in or replaced.

    Each names the digest of the one signed before it. `newest` is the size up to which the store says that it signed.
    Checkpoints of before version 0.2 name none; they may only come first.
    """
    by_digest = {note_digest(item.note): item for item in checkpoints}
    faults = []
    followed: dict[str, SignedCheckpoint] = {}
    chained = [item for item in sorted(checkpoints, key=lambda item: item.checkpoint.size) if item.previous]
    for item in chained:
        size = item.checkpoint.size
        if item.previous not in by_digest:
            faults.append(_at("deleted", size, f"the checkpoint before the one of {size:,} entries is missing"))
        if item.previous in followed:
            other = followed[item.previous].checkpoint.size
            what = f"the checkpoints of {other:,} and of {size:,} entries both follow the same one"
            faults.append(_at("forked", size, what))
        followed[item.previous] = item
    first = chained[0].checkpoint.size if chained else 0
    for item in checkpoints:
        size = item.checkpoint.size
        if chained and not item.previous and size > first:
            faults.append(_at("inserted", size, f"the checkpoint of {size:,} entries follows none, and others do"))
    last = max((item.checkpoint.size for item in checkpoints), default=0)
    if last < newest:
        faults.append(_at("truncated", newest, f"the newest checkpoint, of {newest:,} entries, is missing"))
    return faults


def _root_faults(
    ordered: Sequence[bytes],
    signed: Sequence[Checkpoint],
    head: Checkpoint | None,
    known: Sequence[Fault],
    completed: Completed | None,
) -> tuple[CompactRange, int, list[Fault]]:
    """Grow the tree over the leaf hashes of the intact entries, comparing its root wherever one is recorded."""
    recorded = [(item, True) for item in signed] + ([(head, False)] if head else [])
    faults: list[Fault] = []
    tree, fitting, signed_size = CompactRange(), 0, 0
    for item, is_signed in sorted(recorded, key=lambda pair: pair[0].size):
        if item.size > len(ordered):
            break
        tree = tree.extended(ordered[tree.size : item.size], completed)
        if tree.root == item.root:
            fitting = item.size
            signed_size = item.size if is_signed else signed_size
            continue
        first, last = fitting, max(item.size - 1, fitting)
        if any(fault.kind == "forked" and fault.last == item.size - 1 for fault in known):
            continue
        # An edit that was already named inside this range explains the root; saying it twice only hides it.
        if not any(fault.kind == "edited" and first <= fault.first <= last for fault in (*known, *faults)):
            faults.append(_fault("edited", first, last, "changed after the root was recorded"))
    return tree.extended(ordered[tree.size :], completed), signed_size, faults


def _forks(signed: Sequence[Checkpoint]) -> list[Fault]:
    return [
        _fault("forked", 0, max(one.size - 1, 0), f"signed twice at size {one.size} with different roots")
        for one, two in pairwise(signed)
        if one.size == two.size and one.root != two.root
    ]


def _runs(numbers: Sequence[int]) -> list[tuple[int, int]]:
    """Return the first and last of each run of consecutive numbers (ascending)."""
    runs: list[tuple[int, int]] = []
    for number in numbers:
        if runs and number == runs[-1][1] + 1:
            runs[-1] = (runs[-1][0], number)
        else:
            runs.append((number, number))
    return runs


def _gaps(numbers: Sequence[int]) -> list[tuple[int, int]]:
    """Return the first and last of each run from 0 on that is not among numbers (ascending): however long it is."""
    return [(last + 1, number - 1) for last, number in pairwise((-1, *numbers)) if number > last + 1]


def _fault(kind: FaultKind, first: int, last: int, what: str) -> Fault:
    where = f"entry {first} is" if first == last else f"entries {first} to {last} are"
    return Fault(kind, first, last, f"{kind}: {where} {what}")


def _at(kind: FaultKind, size: int, what: str) -> Fault:
    return Fault(kind, 0, max(size - 1, 0), f"{kind}: {what}")

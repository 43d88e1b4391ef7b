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
from pitstop.journal.checkpoints import Checkpoint
from pitstop.journal.entries import Entry
from pitstop.journal.merkle import CompactRange

FaultKind = Literal["edited", "deleted", "reordered", "inserted", "truncated", "forked", "signature", "content"]


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
    `signed_size` of them are proven by a signed checkpoint; `faults` is empty if all is well.
    """

    size: int
    root: bytes
    signed_size: int
    faults: tuple[Fault, ...]

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


def verify(
    entries: Sequence[Entry],
    checkpoints: Iterable[Checkpoint],
    *,
    leaves: Sequence[bytes] | None = None,
    head: Checkpoint | None = None,
) -> Verification:
    """Check entries, in the order in which they were stored, against checkpoints whose signatures were verified.

    `leaves` are the leaf hashes that were stored beside the entries, if any: they tell *which* entry was edited where
    a root alone tells only between which checkpoints. `head` is the store's own unsigned record of size and root.
    """
    signed = sorted(set(checkpoints), key=lambda item: (item.size, item.root))
    faults, intact = _order_faults(entries)
    # Hashing is what a check costs, so each entry is hashed once.
    hashed = [entry.leaf for entry in entries]
    ordered = [leaf for _, leaf in sorted(zip(entries, hashed, strict=True), key=lambda pair: pair[0].sequence)]
    if leaves is not None:
        faults += _edits(entries, hashed, leaves)
    faults += _forks(signed)
    largest = max((item for item in (*signed, *([head] if head else []))), key=lambda item: item.size, default=None)
    end = max((entry.sequence + 1 for entry in entries), default=0)
    if largest is not None and end < largest.size:
        faults.append(_fault("truncated", end, largest.size - 1, "cut off the end"))
    if head is not None and end > head.size:
        faults.append(_fault("inserted", head.size, end - 1, "added after the recorded end"))
    tree, signed_size, mismatches = _root_faults(ordered[:intact], signed, head, faults)
    return Verification(len(entries), tree.root, signed_size, (*faults, *mismatches))


def _root_faults(
    ordered: Sequence[bytes], signed: Sequence[Checkpoint], head: Checkpoint | None, known: Sequence[Fault]
) -> tuple[CompactRange, int, list[Fault]]:
    """Grow the tree over the leaf hashes of the intact entries, comparing its root wherever one is recorded."""
    recorded = [(item, True) for item in signed] + ([(head, False)] if head else [])
    faults: list[Fault] = []
    tree, fitting, signed_size = CompactRange(), 0, 0
    for item, is_signed in sorted(recorded, key=lambda pair: pair[0].size):
        if item.size > len(ordered):
            break
        tree = tree.extended(ordered[tree.size : item.size])
        if tree.root == item.root:
            fitting = item.size
            signed_size = item.size if is_signed else signed_size
            continue
        first, last = fitting, max(item.size - 1, fitting)
        # An edit that was already named inside this range explains the root; saying it twice only hides it.
        if not any(fault.kind in ("edited", "forked") and first <= fault.first <= last for fault in (*known, *faults)):
            faults.append(_fault("edited", first, last, "changed after the root was recorded"))
    return tree.extended(ordered[tree.size :]), signed_size, faults


def _order_faults(entries: Sequence[Entry]) -> tuple[list[Fault], int]:
    """Return faults of the sequence numbers, and how many entries from the start are complete and unambiguous."""
    faults: list[Fault] = []
    seen: set[int] = set()
    doubles: set[int] = set()
    highest = -1
    for entry in entries:
        number = entry.sequence
        if number in seen:
            doubles.add(number)
            faults.append(_fault("inserted", number, number, "there more than once"))
        elif number < highest:
            faults.append(_fault("reordered", number, number, "stored out of order"))
        seen.add(number)
        highest = max(highest, number)
    missing = [number for number in range(highest + 1) if number not in seen] if len(seen) <= highest else []
    for first, last in _runs(missing):
        faults.append(_fault("deleted", first, last, "missing"))
    return faults, min([*missing, *doubles, highest + 1])


def _edits(entries: Sequence[Entry], hashed: Sequence[bytes], leaves: Sequence[bytes]) -> list[Fault]:
    if len(leaves) != len(entries):
        msg = f"got {len(entries)} entries but {len(leaves)} leaf hashes; give one for each entry"
        raise JournalError(msg)
    wrong = {entry.sequence for entry, now, then in zip(entries, hashed, leaves, strict=True) if now != then}
    return [_fault("edited", first, last, "changed after it was written") for first, last in _runs(sorted(wrong))]


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


def _fault(kind: FaultKind, first: int, last: int, what: str) -> Fault:
    where = f"entry {first} is" if first == last else f"entries {first} to {last} are"
    return Fault(kind, first, last, f"{kind}: {where} {what}")

"""The laws of a statistic, for whoever writes one: `for law in statistic_laws(): law(subject)`.

A subject is a kind of statistic, its bins and a few batches; the better the batches (nulls, NaN, infinities, constants,
huge values, none at all), the more the laws find. A broken law raises `AssertionError` with the law's docstring.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pitstop.errors import StatisticError
from pitstop.statistics.base import Statistic

# One batch: its columns, as the statistic's `updated` takes them. Each can be sliced and has a length.
Batch = tuple[Any, ...]


@dataclass(frozen=True)
class Subject:
    """A kind of statistic under test. `other_bins`: bins with another id."""

    kind: type[Statistic]
    bins: Any
    other_bins: Any
    batches: Sequence[Batch]

    def count(self, batches: Sequence[Batch]) -> Statistic:
        """Return the statistic of some batches, one after the other."""
        statistic = self.kind.empty(self.bins)
        for batch in batches:
            statistic = statistic.updated(*batch)
        return statistic


Law = Callable[[Subject], None]


def statistic_laws() -> Iterator[Law]:
    """Yield every law."""
    yield identity
    yield order
    yield grouping
    yield pieces
    yield removal
    yield too_much
    yield state
    yield purity
    yield strangers


def identity(subject: Subject) -> None:
    """The statistic of no rows changes nothing, on either side, and neither does an empty batch."""
    nothing, whole = subject.kind.empty(subject.bins), subject.count(subject.batches)
    _equal(identity, nothing.merged(whole), whole)
    _equal(identity, whole.merged(nothing), whole)
    _equal(identity, nothing.merged(nothing), nothing)
    for batch in subject.batches[:1]:
        _equal(identity, whole.updated(*(column[:0] for column in batch)), whole)


def order(subject: Subject) -> None:
    """Batches may come, and be merged, in any order."""
    backwards = subject.batches[::-1]
    _equal(order, subject.count(backwards), subject.count(subject.batches))
    if len(subject.batches) > 1:
        first, rest = subject.count(subject.batches[:1]), subject.count(subject.batches[1:])
        _equal(order, first.merged(rest), rest.merged(first))


def grouping(subject: Subject) -> None:
    """Merging may be grouped in any way."""
    third = max(1, len(subject.batches) // 3)
    batches = subject.batches
    a, b, c = (subject.count(part) for part in (batches[:third], batches[third : 2 * third], batches[2 * third :]))
    _equal(grouping, a.merged(b).merged(c), a.merged(b.merged(c)))


def pieces(subject: Subject) -> None:
    """Pieces of batches, counted apart and merged, are the whole, bit for bit."""
    total = subject.kind.empty(subject.bins)
    for batch in subject.batches:
        size = len(batch[0])
        # Odd cuts, so that no piece starts where a byte of a validity bitmap does.
        cuts = sorted({0, size // 7, size // 3, (2 * size) // 3, size})
        for start, end in zip(cuts, [*cuts[1:], size], strict=True):
            piece = subject.kind.empty(subject.bins).updated(*(column[start:end] for column in batch))
            total = total.merged(piece)
    _equal(pieces, total, subject.count(subject.batches))


def removal(subject: Subject) -> None:
    """Removing what was added leaves what was there before."""
    before, after = subject.count(subject.batches[1:]), subject.count(subject.batches)
    _equal(removal, after.removed(subject.count(subject.batches[:1])), before)
    _equal(removal, after.removed(after), subject.kind.empty(subject.bins))


def too_much(subject: Subject) -> None:
    """Removing rows that were never counted is refused."""
    whole, nothing = subject.count(subject.batches), subject.kind.empty(subject.bins)
    if _same(whole, nothing):
        return
    _refuses(too_much, lambda: nothing.removed(whole))


def state(subject: Subject) -> None:
    """A statistic comes back from its state as it was, and goes on from there."""
    whole = subject.count(subject.batches)
    again = subject.kind.from_state(subject.bins, whole.to_state())
    _equal(state, again, whole)
    _equal(state, again.merged(whole), whole.merged(whole))
    for part in whole.to_state().values():
        _demand(state, part.dtype == np.int64, "a part is not int64")


def purity(subject: Subject) -> None:
    """Updating, merging and removing leave their operands as they were, and no count can be changed from outside."""
    whole = subject.count(subject.batches)
    kept = {name: part.copy() for name, part in whole.to_state().items()}
    for batch in subject.batches:
        whole.updated(*batch)
    whole.merged(whole).removed(whole)
    for name, part in whole.to_state().items():
        _demand(purity, np.array_equal(part, kept[name]), f"{name} was changed")
        _demand(purity, not part.flags.writeable, f"{name} can be changed")


def strangers(subject: Subject) -> None:
    """Statistics over other bins do not add up, and a state does not fit bins that it was not made with."""
    whole, other = subject.count(subject.batches), subject.kind.empty(subject.other_bins)
    _refuses(strangers, lambda: whole.merged(other))
    _refuses(strangers, lambda: whole.removed(other))
    _refuses(strangers, lambda: subject.kind.from_state(subject.bins, {"unknown": np.zeros(1, np.int64)}))


def _same(left: Statistic, right: Statistic) -> bool:
    ours, theirs = left.to_state(), right.to_state()
    return ours.keys() == theirs.keys() and all(np.array_equal(ours[name], theirs[name]) for name in ours)


def _equal(law: Law, left: Statistic, right: Statistic) -> None:
    ours, theirs = left.to_state(), right.to_state()
    wrong = [name for name in ours if name not in theirs or not np.array_equal(ours[name], theirs[name])]
    _demand(law, not wrong and ours.keys() == theirs.keys(), f"{left.name}: different {', '.join(wrong) or 'parts'}")


def _refuses(law: Law, action: Callable[[], object]) -> None:
    try:
        action()
    except StatisticError:
        return
    _demand(law, False, "no StatisticError was raised")  # noqa: FBT003 - a failed demand has no name to give


def _demand(law: Law, holds: bool, found: str) -> None:
    if not holds:
        msg = f"law `{law.__name__}` is broken: {law.__doc__} ({found})"
        raise AssertionError(msg)

"""What a statistic is: a commutative monoid of counts over bins that were fixed beforehand.

Every statistic here is one flat vector of int64 and the bins that give its entries their meaning. Adding two is adding
their vectors, so order and grouping never matter and the same rows give the same bits everywhere. What people
read (means, rates, distances) is derived, never stored.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Any, ClassVar, Generic, Protocol, Self, TypeVar, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from pitstop.errors import StatisticError

Counts = NDArray[np.int64]
Floats = NDArray[np.float64]

# Two totals below this cannot overflow int64 when they are added.
SAFE = 2**62


class Bins(Protocol):
    """What gives a statistic's counts their meaning."""

    @property
    def id(self) -> str:
        """Digest of the bins: statistics add up only where it is equal."""


@runtime_checkable
class Statistic(Protocol):
    """A mergeable summary of rows. `pitstop.testing.statistics_laws` holds its laws."""

    name: ClassVar[str]

    @classmethod
    def empty(cls, bins: Any) -> Self:
        """Return the statistic of no rows."""

    def updated(self, *args: Any, **kwargs: Any) -> Self:
        """Return the statistic with one batch more; the arguments are the batch's columns."""

    def merged(self, other: Self) -> Self:
        """Return the statistic of both sets of rows. Raises `StatisticError` where the bins differ."""

    def removed(self, other: Self) -> Self:
        """Return the statistic without rows that were counted in it. Raises `StatisticError` where they were not."""

    def to_state(self) -> dict[str, Counts]:
        """Return the named counts; enough, with the bins, to make the statistic again."""

    @classmethod
    def from_state(cls, bins: Any, state: Mapping[str, Counts]) -> Self:
        """Return the statistic with these counts. Raises `StatisticError` where they do not fit the bins."""


B = TypeVar("B", bound=Bins)


@dataclass(frozen=True, eq=False)
class Tally(ABC, Generic[B]):
    """A statistic as one read-only int64 vector. A subclass names the vector's parts and how a batch is counted.

    Equal bins and equal counts make equal statistics.
    """

    name: ClassVar[str]
    # Parts that may be negative: sums of signed quantities.
    signed: ClassVar[frozenset[str]] = frozenset()

    bins: B
    vector: Counts

    def __post_init__(self) -> None:
        """Hold the counts where nobody can change them."""
        size = self.size_for(self.bins)
        if self.vector.dtype != np.int64 or self.vector.shape != (size,):
            msg = f"{self.name} got {self.vector.dtype}{self.vector.shape}; with these bins it holds int64({size},)"
            raise StatisticError(msg)
        self.vector.flags.writeable = False

    @classmethod
    @abstractmethod
    def parts(cls, bins: B) -> dict[str, tuple[int, ...]]:
        """Return the shape of each part of the vector, in their order."""

    @classmethod
    def size_for(cls, bins: B) -> int:
        """Return the length of the vector."""
        return sum(prod(shape) for shape in cls.parts(bins).values())

    @classmethod
    def empty(cls, bins: B) -> Self:
        """Return the statistic of no rows."""
        return cls(bins, np.zeros(cls.size_for(bins), dtype=np.int64))

    def merged(self, other: Self) -> Self:
        """Return the statistic of both sets of rows. Raises `StatisticError` where the bins differ."""
        self._refuse_stranger(other)
        for total in (self.vector, other.vector):
            if total.size and max(int(total.max()), -int(total.min())) >= SAFE:
                msg = f"a total of {self.name} would pass 2^62; profile shorter windows"
                raise StatisticError(msg)
        return type(self)(self.bins, self.vector + other.vector)

    def removed(self, other: Self) -> Self:
        """Return the statistic without rows that were counted in it. Raises `StatisticError` where they were not."""
        self._refuse_stranger(other)
        rest = type(self)(self.bins, self.vector - other.vector)
        for name, part in rest.to_state().items():
            if name not in self.signed and part.size and int(part.min()) < 0:
                msg = f"{self.name}: more was removed than had been counted ({name}); remove only what was added"
                raise StatisticError(msg)
        return rest

    def to_state(self) -> dict[str, Counts]:
        """Return the named parts as read-only views."""
        state, start = {}, 0
        for name, shape in self.parts(self.bins).items():
            state[name] = self.vector[start : start + prod(shape)].reshape(shape)
            start += prod(shape)
        return state

    @classmethod
    def from_state(cls, bins: B, state: Mapping[str, Counts]) -> Self:
        """Return the statistic with these counts. Raises `StatisticError` where they do not fit the bins."""
        shapes = cls.parts(bins)
        got = {name: np.asarray(part).shape for name, part in state.items()}
        if got != shapes:
            msg = f"{cls.name} got parts {got}; with these bins its parts are {shapes}"
            raise StatisticError(msg)
        return cls(bins, np.concatenate([np.asarray(state[name], dtype=np.int64).ravel() for name in shapes]))

    def part(self, name: str) -> Counts:
        """Return one named part as a read-only view."""
        return self.to_state()[name]

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Tally) or type(self) is not type(other):
            return NotImplemented
        return self.bins.id == other.bins.id and np.array_equal(self.vector, other.vector)

    def __hash__(self) -> int:
        return hash((self.name, self.bins.id, self.vector.tobytes()))

    def _refuse_stranger(self, other: Self) -> None:
        if type(self) is not type(other) or self.bins.id != other.bins.id:
            msg = (
                f"{self.name} over {self.bins.id} does not add up with {type(other).__name__} over "
                f"{getattr(getattr(other, 'bins', None), 'id', 'no bins')}; count both over the same bins"
            )
            raise StatisticError(msg)

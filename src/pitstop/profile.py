"""Profiles: what was counted of one model's rows in one window. Everything downstream reads these, never rows."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pitstop.errors import StatisticError
from pitstop.records.identity import artifact_id
from pitstop.statistics.arrays import chunks
from pitstop.statistics.base import SAFE, Counts
from pitstop.statistics.cells import LEAVES, Cells, LeafBins
from pitstop.statistics.counting import count_windows, repeated_rows
from pitstop.statistics.layout import Feature, Features, Layout
from pitstop.statistics.outcomes import Outcomes
from pitstop.statistics.packing import pack_counts, unpack_counts
from pitstop.statistics.scores import Scores

__all__ = [
    "Feature",
    "Layout",
    "OutcomeProfile",
    "Profile",
    "profile_outcomes",
    "profile_rows",
    "profile_windows",
    "repeated_rows",
]

_MAGIC = b"PITP1"
_HEADER = struct.Struct("<5s16s16s")


@dataclass(frozen=True, eq=False)
class Profile:
    """What was counted of the rows predicted in one window.

    `rows`: all rows. `duplicates`: those that repeat an earlier row. `features`: by column name. `leaves`: rows per
    leaf of the release's loss tree, int64[64]. Profiles of pieces add up to the profile of the whole, bit for bit.
    """

    layout: Layout
    rows: int
    duplicates: int
    features: Mapping[str, Feature]
    scores: Scores
    leaves: Counts
    # All counts where they lie in one array already; the parts above are then views of it. No copy keeps it.
    _whole: Counts | None = field(default=None, init=False, repr=False)

    @classmethod
    def empty(cls, layout: Layout) -> Self:
        """Return the profile of no rows."""
        features = {name: statistic.empty(bins) for name, statistic, bins in layout.statistics()}
        return cls(layout, 0, 0, features, Scores.empty(layout.outcome_bins), _frozen(np.zeros(LEAVES, np.int64)))

    @property
    def layout_id(self) -> str:
        """The layout whose bins this was counted over."""
        return self.layout.id

    @property
    def id(self) -> str:
        """Digest of the layout and every count."""
        return _digest_id("profile", self.layout, self.vector())

    def merged(self, other: Self) -> Self:
        """Return the profile of both sets of rows. Raises `StatisticError` where the layouts differ."""
        _refuse_stranger(self.layout, other.layout)
        return type(self)(
            self.layout,
            self.rows + other.rows,
            self.duplicates + other.duplicates,
            {name: _add(feature, other.features[name]) for name, feature in self.features.items()},
            self.scores.merged(other.scores),
            _frozen(self.leaves + other.leaves),
        )

    @classmethod
    def total(cls, layout: Layout, profiles: Sequence[Self]) -> Self:
        """Return the profile of all rows of any number of profiles, as `merged` would one after the other, but at once.

        Raises `StatisticError` where one has another layout.
        """
        for profile in profiles:
            _refuse_stranger(layout, profile.layout)
        return cls.of_vector(layout, _added([p.vector() for p in profiles])) if profiles else cls.empty(layout)

    def removed(self, other: Self) -> Self:
        """Return the profile without rows that were counted in it. Raises `StatisticError` where they were not."""
        _refuse_stranger(self.layout, other.layout)
        leaves = self.leaves - other.leaves
        rows, duplicates = self.rows - other.rows, self.duplicates - other.duplicates
        if rows < 0 or duplicates < 0 or leaves.min() < 0:
            msg = (
                f"more was removed than had been counted: {other.rows} rows of {self.rows}; remove only what was added"
            )
            raise StatisticError(msg)
        features = {name: _subtract(feature, other.features[name]) for name, feature in self.features.items()}
        return type(self)(self.layout, rows, duplicates, features, self.scores.removed(other.scores), _frozen(leaves))

    def pack(self) -> bytes:
        """Return the profile as bytes: the same bytes for the same counts on every machine."""
        return _pack(self.layout, self.vector())

    @classmethod
    def unpack(cls, layout: Layout, data: bytes) -> Self:
        """Return the profile in `data`. Raises `StatisticError` where it is damaged or of another layout."""
        return cls.of_vector(layout, _unpack(layout, data, layout.size))

    @classmethod
    def of_vector(cls, layout: Layout, vector: Counts) -> Self:
        """Return the profile with these counts, in the order of `vector`; the array is kept, and not to be written to.

        Raises `StatisticError` where it is not int64[layout.size].
        """
        if vector.dtype != np.int64 or vector.shape != (layout.size,):
            msg = f"got {vector.dtype}{vector.shape}; a profile of this layout holds int64({layout.size},)"
            raise StatisticError(msg)
        _frozen(vector)
        first = 2 + LEAVES + Scores.size_for(layout.outcome_bins)
        scores = Scores(layout.outcome_bins, vector[2 + LEAVES : first])
        features = Features(layout, vector[first:])
        made = cls(layout, int(vector[0]), int(vector[1]), features, scores, vector[2 : 2 + LEAVES])
        object.__setattr__(made, "_whole", vector)
        return made

    def vector(self) -> Counts:
        """Return every count as one vector: rows, duplicates, leaves, scores, then the features in their order."""
        if self._whole is not None:
            return self._whole
        head = np.array([self.rows, self.duplicates], dtype=np.int64)
        return np.concatenate([head, self.leaves, self.scores.vector, *(f.vector for f in self.features.values())])

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Profile):
            return NotImplemented
        return self.layout.id == other.layout.id and np.array_equal(self.vector(), other.vector())

    def __hash__(self) -> int:
        return hash(self.id)


@dataclass(frozen=True, eq=False)
class OutcomeProfile:
    """What was counted of the rows whose label arrived in one window. `labelled`: rows with a label."""

    layout: Layout
    labelled: int
    outcomes: Outcomes
    cells: Cells

    @classmethod
    def empty(cls, layout: Layout) -> Self:
        """Return the profile of no rows."""
        return cls(layout, 0, Outcomes.empty(layout.outcome_bins), Cells.empty(LeafBins()))

    @property
    def layout_id(self) -> str:
        """The layout whose bins this was counted over."""
        return self.layout.id

    @property
    def id(self) -> str:
        """Digest of the layout and every count."""
        return _digest_id("outcomeprofile", self.layout, self._vector())

    def merged(self, other: Self) -> Self:
        """Return the profile of both sets of rows. Raises `StatisticError` where the layouts differ."""
        _refuse_stranger(self.layout, other.layout)
        outcomes, cells = self.outcomes.merged(other.outcomes), self.cells.merged(other.cells)
        return type(self)(self.layout, self.labelled + other.labelled, outcomes, cells)

    def removed(self, other: Self) -> Self:
        """Return the profile without rows that were counted in it. Raises `StatisticError` where they were not."""
        _refuse_stranger(self.layout, other.layout)
        if other.labelled > self.labelled:
            msg = f"{other.labelled} labelled rows cannot be removed from {self.labelled}; remove only what was added"
            raise StatisticError(msg)
        outcomes, cells = self.outcomes.removed(other.outcomes), self.cells.removed(other.cells)
        return type(self)(self.layout, self.labelled - other.labelled, outcomes, cells)

    def pack(self) -> bytes:
        """Return the profile as bytes: the same bytes for the same counts on every machine."""
        return _pack(self.layout, self._vector())

    @classmethod
    def unpack(cls, layout: Layout, data: bytes) -> Self:
        """Return the profile in `data`. Raises `StatisticError` where it is damaged or of another layout."""
        sizes = [1, Outcomes.size_for(layout.outcome_bins), Cells.size_for(LeafBins())]
        return cls._of_vector(layout, _unpack(layout, data, sum(sizes)))

    @classmethod
    def total(cls, layout: Layout, profiles: Sequence[Self]) -> Self:
        """Return the profile of all rows of any number of profiles, as `merged` would one after the other, but at once.

        Raises `StatisticError` where one has another layout.
        """
        for profile in profiles:
            _refuse_stranger(layout, profile.layout)
        return cls._of_vector(layout, _added([p._vector() for p in profiles])) if profiles else cls.empty(layout)  # noqa: SLF001 - of its own kind

    @classmethod
    def _of_vector(cls, layout: Layout, vector: Counts) -> Self:
        end = 1 + Outcomes.size_for(layout.outcome_bins)
        outcomes, cells = Outcomes(layout.outcome_bins, vector[1:end]), Cells(LeafBins(), vector[end:])
        return cls(layout, int(vector[0]), outcomes, cells)

    def _vector(self) -> Counts:
        return np.concatenate([np.array([self.labelled], np.int64), self.outcomes.vector, self.cells.vector])

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, OutcomeProfile):
            return NotImplemented
        return self.layout.id == other.layout.id and np.array_equal(self._vector(), other._vector())

    def __hash__(self) -> int:
        return hash(self.id)


def profile_rows(
    layout: Layout, table: pa.Table, scores: Any, predicted: Any, leaves: Any, *, duplicates: int = 0
) -> Profile:
    """Return the profile of the predicted rows of `table` (normalised: numeric columns float64, categories as text).

    `scores`, `predicted`: as in `Scores.updated`, one for each row. `leaves`: 0..63 for each row. Raises
    `StatisticError` where a feature is missing, the lengths differ, or a value is not what its column holds.
    """
    given = np.array([duplicates], dtype=np.int64)
    return profile_windows(layout, table, None, 1, scores, predicted, leaves, duplicates=given)[0]


def profile_windows(
    layout: Layout,
    table: pa.Table,
    windows: NDArray[np.int32] | None,
    count: int,
    scores: Any,
    predicted: Any,
    leaves: Any,
    *,
    duplicates: Counts | None = None,
    threads: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> list[Profile]:
    """Return the profile of each of `count` windows, counted in one pass over each column of `table`.

    `windows`: int32, the window of each row, 0..`count`-1, in any order; -1 leaves a row out; None puts all rows in
    one. `scores`, `predicted`, `leaves` as in `profile_rows`, one for each row of the table. Each profile equals the
    one that `profile_rows` gives for the window's rows alone, bit for bit. `duplicates`: those of each window,
    int64[count]; without it they are counted (see `repeated_rows`).

    `threads` columns are counted at the same time. `progress` is told (columns counted, columns) after each one; what
    it raises ends the counting. Raises `StatisticError` as `profile_rows`, and for a window out of range.
    """
    counted = count_windows(
        layout,
        table,
        windows,
        count,
        scores,
        predicted,
        leaves,
        repeats=duplicates is None,
        threads=threads,
        progress=progress,
    )
    sizes = counted.leaves.sum(axis=1)
    again = counted.repeats if duplicates is None else duplicates
    heads = np.stack([sizes, again], axis=1)
    matrices = [heads, counted.leaves, counted.scores, *(matrix for *_, matrix in counted.features)]
    return [
        Profile.of_vector(layout, np.concatenate([matrix[window] for matrix in matrices])) for window in range(count)
    ]


def profile_outcomes(
    layout: Layout, scores: Any, predicted: Any, labels: Any, leaves: Any, losses: Any
) -> OutcomeProfile:
    """Return the profile of rows whose label arrived: one score, prediction, label, leaf and loss for each row.

    Arguments as in `Outcomes.updated` and `Cells.updated`. Raises `StatisticError` as they do.
    """
    outcomes = Outcomes.empty(layout.outcome_bins).updated(scores, predicted, labels)
    cells = Cells.empty(LeafBins()).updated(leaves, losses)
    if int(cells.rows.sum()) != outcomes.n + outcomes.nulls:
        msg = f"got {outcomes.n + outcomes.nulls} labels and {int(cells.rows.sum())} leaves; expected one for each row"
        raise StatisticError(msg)
    labelled = sum(len(chunk) - chunk.null_count - _nans(chunk) for chunk in chunks(labels))
    return OutcomeProfile(layout, labelled, outcomes, cells)


def _nans(chunk: pa.Array) -> int:
    if not pa.types.is_floating(chunk.type):
        return 0
    return int(np.isnan(chunk.drop_null().to_numpy(zero_copy_only=False)).sum())


def _added(vectors: Sequence[Counts]) -> Counts:
    """Return the sum of counts of one layout. Raises `StatisticError` where it might not fit into 64 bits."""
    stacked = np.stack(vectors)
    if max(int(stacked.max()), -int(stacked.min())) >= SAFE // len(vectors):
        msg = f"a total of {len(vectors)} profiles would pass 2^62; profile shorter windows"
        raise StatisticError(msg)
    return np.asarray(stacked.sum(axis=0))


def _add(left: Any, right: Any) -> Feature:
    """Add two statistics of one column; that they are of one kind is checked where they are added."""
    total: Feature = left.merged(right)
    return total


def _subtract(left: Any, right: Any) -> Feature:
    rest: Feature = left.removed(right)
    return rest


def _refuse_stranger(layout: Layout, other: Layout) -> None:
    if layout.id != other.id:
        msg = f"profiles of {layout.id} and {other.id} do not add up; count both over one layout"
        raise StatisticError(msg)


def _digest_id(kind: str, layout: Layout, vector: Counts) -> str:
    digest = hashlib.sha256(vector.astype("<i8").tobytes()).hexdigest()
    return artifact_id(kind, {"layout": layout.id, "counts": digest})


def _pack(layout: Layout, vector: Counts) -> bytes:
    """Put a digest of the layout and one of the packed counts before them."""
    body = pack_counts(vector)
    return _HEADER.pack(_MAGIC, _digest(layout.id.encode()), _digest(body)) + body


def _unpack(layout: Layout, data: bytes, size: int) -> Counts:
    head, body = data[: _HEADER.size], data[_HEADER.size :]
    if len(head) < _HEADER.size or head[:5] != _MAGIC:
        msg = f"got {len(data)} bytes that are not a packed profile of this version"
        raise StatisticError(msg)
    _, owner, digest = _HEADER.unpack(head)
    if owner != _digest(layout.id.encode()):
        msg = f"this profile was not counted over {layout.id}; unpack it with the layout that it was made with"
        raise StatisticError(msg)
    if digest != _digest(body):
        msg = "this packed profile is damaged: its digest does not match; count the rows again"
        raise StatisticError(msg)
    return unpack_counts(body, size)


def _digest(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()[:16]


def _frozen(array: Counts) -> Counts:
    array.flags.writeable = False
    return array

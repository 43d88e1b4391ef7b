"""Profiles: what was counted of one model's rows in one window. Everything downstream reads these, never rows."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pyarrow as pa

from pitstop.errors import StatisticError
from pitstop.records.identity import artifact_id
from pitstop.statistics.arrays import chunks
from pitstop.statistics.base import Counts
from pitstop.statistics.cells import LEAVES, Cells, LeafBins, leaf_array
from pitstop.statistics.layout import Feature, Layout
from pitstop.statistics.outcomes import Outcomes
from pitstop.statistics.packing import pack_counts, unpack_counts
from pitstop.statistics.scores import Scores

__all__ = ["Feature", "Layout", "OutcomeProfile", "Profile", "profile_outcomes", "profile_rows"]

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
        return _digest_id("profile", self.layout, self._vector())

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
        return _pack(self.layout, self._vector())

    @classmethod
    def unpack(cls, layout: Layout, data: bytes) -> Self:
        """Return the profile in `data`. Raises `StatisticError` where it is damaged or of another layout."""
        statistics = layout.statistics()
        sizes = [1, 1, LEAVES, Scores.size_for(layout.outcome_bins), *(s.size_for(bins) for _, s, bins in statistics)]
        rows, duplicates, leaves, scores, *parts = _unpack(layout, data, sizes)
        features = {
            name: statistic(bins, part) for (name, statistic, bins), part in zip(statistics, parts, strict=True)
        }
        made = Scores(layout.outcome_bins, scores)
        return cls(layout, int(rows[0]), int(duplicates[0]), features, made, _frozen(leaves))

    def _vector(self) -> Counts:
        head = np.array([self.rows, self.duplicates], dtype=np.int64)
        return np.concatenate([head, self.leaves, self.scores.vector, *(f.vector for f in self.features.values())])

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Profile):
            return NotImplemented
        return self.layout.id == other.layout.id and np.array_equal(self._vector(), other._vector())

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
        bins, leaves = layout.outcome_bins, LeafBins()
        sizes = [1, Outcomes.size_for(bins), Cells.size_for(leaves)]
        labelled, outcomes, cells = _unpack(layout, data, sizes)
        return cls(layout, int(labelled[0]), Outcomes(bins, outcomes), Cells(leaves, cells))

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
    for what, column in (("scores", scores), ("predictions", predicted), ("leaves", leaves)):
        if column is not None and len(column) != table.num_rows:
            msg = f"got {len(column)} {what} for {table.num_rows} rows; expected one for each row"
            raise StatisticError(msg)
    place = {name: index for index, name in enumerate(table.column_names)}
    features: dict[str, Feature] = {}
    for name, statistic, bins in layout.statistics():
        if name not in place:
            msg = f"the table lacks the feature {name!r}; it has {', '.join(place)}"
            raise StatisticError(msg)
        features[name] = statistic.empty(bins).updated(table.column(place[name]))
    by_leaf = np.bincount(leaf_array(leaves, LeafBins()), minlength=LEAVES).astype(np.int64)
    counted = Scores.empty(layout.outcome_bins).updated(scores, predicted)
    return Profile(layout, table.num_rows, duplicates, features, counted, _frozen(by_leaf))


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


def _unpack(layout: Layout, data: bytes, sizes: list[int]) -> Iterator[Counts]:
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
    vector = unpack_counts(body, sum(sizes))
    return iter(np.split(vector, np.cumsum(sizes)[:-1]))


def _digest(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()[:16]


def _frozen(array: Counts) -> Counts:
    array.flags.writeable = False
    return array

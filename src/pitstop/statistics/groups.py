"""Outcomes by group of people: who was selected, who deserved it, and what the score said."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from pitstop.errors import StatisticError
from pitstop.records.identity import artifact_id
from pitstop.statistics.base import Tally

# Scores are counted in millionths: sums are exact in any order, for 9e12 rows a group.
TICKS = 1_000_000


@dataclass(frozen=True)
class GroupBins:
    """The groups, each by its name; rows of no group are counted nowhere."""

    groups: tuple[str, ...]

    @cached_property
    def id(self) -> str:
        """Digest of the names."""
        return artifact_id("groupbins", list(self.groups))


@dataclass(frozen=True, eq=False)
class GroupCounts(Tally[GroupBins]):
    """Counts per group. `rows`, `chosen`: of all. `scored`, `score`, `score_chosen`: rows with a score, sums of it.

    Of rows with a label: `labelled`, `positive`, and of the chosen `true_chosen` (the label was positive); of those
    with a score as well `judged`, `judged_positive` and their summed `judged_score`. Sums are in millionths.
    """

    name: ClassVar[str] = "groups"

    @classmethod
    def parts(cls, bins: GroupBins) -> dict[str, tuple[int, ...]]:
        """Return the shape of each part."""
        names = ("rows", "chosen", "scored", "scored_chosen", "score", "score_chosen")
        labelled = ("labelled", "positive", "labelled_chosen", "true_chosen")
        judged = ("judged", "judged_positive", "judged_score")
        return dict.fromkeys((*names, *labelled, *judged), (len(bins.groups),))

    def updated(
        self,
        groups: NDArray[np.int64],
        chosen: NDArray[np.bool_],
        scores: NDArray[np.float64],
        labels: NDArray[np.float64],
    ) -> Self:
        """Return it with a batch more: each row's group (-1: none), whether it was chosen, score and label.

        `scores` lie in 0..1, NaN where there is none; `labels` are 1 (positive), 0, or NaN where none came. Raises
        `StatisticError` for arrays of different lengths, an unknown group, or a score outside 0..1.
        """
        if not groups.shape == chosen.shape == scores.shape == labels.shape:
            msg = f"got {groups.size} groups, {chosen.size} choices, {scores.size} scores and {labels.size} labels"
            raise StatisticError(msg)
        size = len(self.bins.groups)
        if groups.size and (groups.min() < -1 or groups.max() >= size):
            msg = f"got the group {int(groups.max())}; expected -1 (none) to {size - 1}"
            raise StatisticError(msg)
        scored, labelled, positive = ~np.isnan(scores), ~np.isnan(labels), labels == 1.0
        if scored.any() and (np.nanmin(scores) < 0 or np.nanmax(scores) > 1):
            msg = f"got a score of {np.nanmax(np.abs(scores)):g}; expected 0 to 1, or NaN"
            raise StatisticError(msg)
        ticks = np.where(scored, np.rint(np.nan_to_num(scores) * TICKS), 0).astype(np.int64)
        judged = scored & labelled
        columns = (
            np.ones_like(groups),
            chosen,
            scored,
            scored & chosen,
            ticks,
            np.where(chosen, ticks, 0),
            labelled,
            labelled & positive,
            labelled & chosen,
            labelled & chosen & positive,
            judged,
            judged & positive,
            np.where(judged, ticks, 0),
        )
        known = groups >= 0
        counted = np.zeros((len(columns), size), dtype=np.int64)
        for total, column in zip(counted, columns, strict=True):
            np.add.at(total, groups[known], column[known].astype(np.int64))
        return type(self)(self.bins, self.vector + counted.ravel())

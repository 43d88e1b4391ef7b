"""What an engine is, and the pieces that it counts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import pyarrow as pa

from pitstop.checks.excerpts import Excerpt
from pitstop.profile import Layout, Profile
from pitstop.records.spec import ModelSpec

# Called after each part with the rows counted so far and the rows in all; what it raises ends the pass.
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Piece:
    """Some rows of one window: normalised features, and for each row a score, a prediction and a leaf.

    `scores` and `predicted` as in `Scores.updated`; `leaves` 0..63.
    """

    window: int
    table: pa.Table
    scores: Any
    predicted: Any
    leaves: Any


class Engine(Protocol):
    """Something that counts rows where they lie. Every engine gives the same profiles, bit for bit."""

    @property
    def name(self) -> str:
        """The name under which it is found; lower case with underscores."""

    def profiles(
        self,
        source: Any,
        spec: ModelSpec,
        layout: Layout,
        *,
        windows: tuple[int | None, int | None] = (None, None),
        progress: Progress | None = None,
    ) -> Iterator[tuple[int, Profile]]:
        """Yield (window, profile) of the rows of `source`, by window; only windows from the first to before the second.

        Rows may come in any order (but for row-count windows). The features, the logged prediction and score are
        counted; ids and labels are not read, and all rows are in leaf 0. `duplicates` are estimated in windows of more
        than `counting.WINDOW_LIMIT` different rows (see `Distinct`). Raises `RecordError` for a table that does not
        fit `spec`, `StatisticError` where a value does not fit `layout`.
        """

    def excerpt(self, source: Any) -> Excerpt:
        """Return the table as a comparison needs it (`pitstop.check`). The same excerpt on every engine."""

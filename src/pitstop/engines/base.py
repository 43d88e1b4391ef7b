"""What an engine is, and the pieces that it counts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import pyarrow as pa

from pitstop.profile import Layout, Profile


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
    """Something that counts rows. Every engine gives the same profiles, bit for bit."""

    @property
    def name(self) -> str:
        """The name under which it is found; lower case with underscores."""

    def profile(self, pieces: Iterable[Piece], layout: Layout) -> Iterator[tuple[int, Profile]]:
        """Yield (window, profile) for each window that has a piece, in order.

        Pieces come in order of their windows; how a window's rows are cut into pieces, and in which order, changes
        nothing. Raises `RecordError` for a window that comes after a later one, and `StatisticError` as `profile_rows`.
        """

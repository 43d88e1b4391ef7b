"""Losses of the strategy benchmark: computed once with the default trainer, kept by digest in the user's cache."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.strategy_streams import Stream
from pitstop.backtests.candidates import make_candidates
from pitstop.backtests.kept_files import KeptFiles
from pitstop.backtests.past import past_of
from pitstop.records.batches import normalise
from pitstop.strategy.row_losses import RowLosses

Floats = NDArray[np.float64]

RECIPES = ("all", "last_6", "last_2")


@dataclass(frozen=True, eq=False)
class Measured:
    """One stream: row losses by recipe, mean inputs by period, and what the stream is."""

    stream: Stream
    by_recipe: dict[str, RowLosses]
    inputs: Floats

    @property
    def name(self) -> str:
        """The stream's name."""
        return self.stream.name


def cache_folder() -> Path:
    """Return where models and predictions are kept."""
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return home / "pitstop" / "benchmark-strategy"


def measure(
    stream: Stream, rows: int, data: Path | None, recipes: Sequence[str] = RECIPES, workers: int = 2
) -> Measured:
    """Fit and score every candidate of a stream that is not kept yet."""
    table, spec = stream.load(rows, data)
    past = past_of(spec, normalise(spec, table))

    def report(name: str, done: int, total: int) -> None:
        if sys.stderr.isatty():
            print(f"\r{stream.name} {name} {done}/{total}   ", end="", file=sys.stderr)

    found = make_candidates(
        past,
        recipes,
        tuple(range(past.periods)),
        KeptFiles(cache_folder()),
        base=Path(),
        workers=workers,
        progress=report,
    )
    return Measured(stream, dict(found.by_recipe), past.mean_inputs())

"""A column in both tables, with the sentences' common parts and the levels that every comparison shares."""

from __future__ import annotations

from dataclasses import dataclass

from pitstop.checks.findings import Severity
from pitstop.diagnosis.wording import number, percent, shown
from pitstop.records.facts import ColumnFacts

__all__ = ["FEWEST_ROWS", "LARGE", "NOTABLE", "SMALL", "Pair", "by_distance", "number", "percent", "shown"]

# Below this many rows on a side no distribution is compared: eight rows cannot drift.
FEWEST_ROWS = 30
# Distances (Kolmogorov-Smirnov, total variation) from which a difference that is not chance is told, and how loudly.
SMALL, NOTABLE, LARGE = 0.05, 0.1, 0.25


@dataclass(frozen=True)
class Pair:
    """One column in both tables. `alpha` is the error probability that each single test of the column may spend."""

    name: str
    reference: ColumnFacts
    current: ColumnFacts
    alpha: float

    @property
    def rows(self) -> int:
        """Rows of the reference."""
        return len(self.reference.column)

    @property
    def current_rows(self) -> int:
        """Rows of the current table."""
        return len(self.current.column)


def by_distance(distance: float) -> Severity:
    """Return how loudly a distance between distributions is told."""
    if distance >= LARGE:
        return "critical"
    return "warning" if distance >= NOTABLE else "info"

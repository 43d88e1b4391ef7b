"""A fault of a pipeline, told apart from a change of the world, and named with its size and the way out.

Six kinds are recognised: values that turned missing, another unit (a factor or an offset), a value that sticks, a
renamed category, hours moved by a constant, and drift of none of these kinds, which is no fault. Evidence against
chance is one condition; the other is that the column never behaved so in any stretch of the reference
(`pitstop.diagnosis.natural`). Rows are bounded samples, which merge; exact rates come from profiles.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

BreakKind = Literal["all_null", "new_nulls", "unit_change", "stuck_value", "renamed_category", "time_shift"]

# From this certainty on a fault is called one, and forbids a retrain; below it is a question to the pipeline's owner.
SURE = 0.75

WAYS_OUT: dict[BreakKind, str] = {
    "all_null": "restore the column at its source and predict these rows again",
    "new_nulls": "find where the values get lost",
    "unit_change": "convert the values back where they are read",
    "stuck_value": "look for a sensor, job or default that no longer moves",
    "renamed_category": "map the new name to the old one",
    "time_shift": "read the times in the zone that the model was trained on",
}


@dataclass(frozen=True)
class Break:
    """One fault. `size`: a share of rows (nulls, stuck, renamed), a factor (1 for an offset), or hours (time shift).

    `share` is the part of the rows that it touches, 0 to 1. `certainty`, 0 to 1, says how unlike the reference's own
    stretches it is; it ranks faults and is no probability. `sentence` says what happened, without the way out.
    """

    column: str
    kind: BreakKind
    size: float
    share: float
    certainty: float
    sentence: str

    @property
    def way_out(self) -> str:
        """What to do instead of retraining."""
        return WAYS_OUT[self.kind]


def ranked(breaks: Iterable[Break]) -> tuple[Break, ...]:
    """Return faults, the most certain first, then those that touch most rows."""
    return tuple(sorted(breaks, key=lambda item: (-round(item.certainty, 2), -item.share, item.column)))

"""A fault of a pipeline, told apart from a change of the world, and named with its size and the way out.

Recognised are values that turned missing, another unit (a factor or an offset), a value that sticks, a renamed
category, hours moved by a constant, misspelt or otherwise new values, columns that changed places, repeated rows and
an old partition delivered again. Drift of none of these kinds is no fault. Evidence against
chance is one condition; the other is that the column never behaved so in any stretch of the reference
(`pitstop.diagnosis.natural`). Rows are bounded samples, which merge; exact rates come from profiles.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

BreakKind = Literal[
    "all_null",
    "new_nulls",
    "unit_change",
    "stuck_value",
    "renamed_category",
    "time_shift",
    "misspelt",
    "unseen_categories",
    "new_values",
    "range",
    "swapped_columns",
    "duplicates",
    "stale_rows",
]

# From this certainty on a fault is called one, and forbids a retrain; below it is a question to the pipeline's owner.
SURE = 0.75

WAYS_OUT: dict[BreakKind, str] = {
    "all_null": "restore the column at its source and predict these rows again",
    "new_nulls": "find where the values get lost",
    "unit_change": "convert the values back where they are read",
    "stuck_value": "look for a sensor, job or default that no longer moves",
    "renamed_category": "map the new name to the old one",
    "time_shift": "read the times in the zone that the model was trained on",
    "misspelt": "correct the words where they are entered or read",
    "unseen_categories": "ask what the new values mean, and map or add them",
    "new_values": "look where the new values come from: another unit, another column, a new code",
    "range": "look where the new values come from: another unit, another column, a default",
    "swapped_columns": "put the two columns back in their places where they are read",
    "duplicates": "find the batch that was sent twice and take it out once",
    "stale_rows": "ask for the partition that was meant",
}


@dataclass(frozen=True)
class Break:
    """One fault; `column` is empty for the rows as such.

    `size` is a share of rows, but for a unit change a factor (1 for an offset) and for a time shift hours. `share` is
    the part of the rows that it touches, 0 to 1. `certainty`, 0 to 1, says how unlike the reference's own stretches it
    is; it ranks faults and is no probability. `sentence` says what happened, without the way out.
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

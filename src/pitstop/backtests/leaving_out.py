"""What no candidate may learn from: quarantined batches, rows of erased subjects, features that are broken now."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pitstop.errors import ColumnValueError, MissingColumnError, SpecError
from pitstop.records.calendar import Calendar

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class LeftOut:
    """`spans`: (first, last) instants of prediction as text, both included; `ids`: rows; `features`: whole columns.

    Rows that are left out of training are still predicted and judged: the batch did arrive, and somebody was served.
    """

    spans: tuple[tuple[str, str], ...] = ()
    ids: tuple[str, ...] = ()
    features: tuple[str, ...] = ()

    def features_kept(self, features: Sequence[str]) -> list[str]:
        """Return the features to train on, in order. Raises `MissingColumnError` for a name that is no feature."""
        stray = [name for name in self.features if name not in features]
        if stray:
            msg = f"cannot leave out {stray[0]!r}: it is no feature; the features are {', '.join(features)}"
            raise MissingColumnError(msg)
        kept = [name for name in features if name not in self.features]
        if not kept:
            msg = "all features are left out, so nothing can be trained; keep at least one"
            raise SpecError(msg)
        return kept

    def keeps(self, calendar: Calendar, at: Ints, ids: pa.ChunkedArray) -> NDArray[np.bool_]:
        """Return which rows may be trained on. Raises `ColumnValueError` where an id is in no row."""
        kept = np.ones(len(at), dtype=np.bool_)
        for first, last in self.spans:
            begin, end = calendar.parse_instant(first), calendar.parse_instant(last)
            if end < begin:
                msg = f"got the span {first} to {last}, which ends before it begins; expected FIRST..LAST"
                raise SpecError(msg)
            # The window that holds the last instant is left out to its end: a date means the whole day.
            end = max(end + 1, calendar.window_start(calendar.window_at(end) + 1))
            kept &= (at < begin) | (at >= end)
        if self.ids:
            wanted = pa.array(self.ids)
            unknown = [name for name in self.ids if not pc.any(pc.equal(ids, name)).as_py()]
            if unknown:
                msg = f"cannot leave out the row {unknown[0]!r}: no row has that id; check the list of erased rows"
                raise ColumnValueError(msg)
            kept &= ~np.asarray(pc.is_in(ids, value_set=wanted))
        return kept

"""A table of past rows as a live system would have met them: window by window, labels when they became known."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pitstop.errors import EmptyTableError, SpecError
from pitstop.records.batches import Rows
from pitstop.records.spec import ModelSpec

# Periods of labels before the first model, and the least share of history, unless the spec says when to start.
FIRST_PERIODS = 3
FIRST_SHARE = 0.1


class Feed:
    """Rows and labels of a normalised history by window."""

    def __init__(self, spec: ModelSpec, rows: Rows) -> None:
        table = rows.table
        self.calendar = spec.calendar
        self.rows = table.drop_columns([name for name in ("@label", "@label_at") if name in table.column_names])
        self._windows = self.calendar.window_of(rows.at)
        self.first, self.last = int(self._windows[0]), int(self._windows[-1])
        self.labels = _labels(table)
        known = np.asarray(self.labels["@label_at"].to_numpy(), dtype=np.int64)
        self._label_windows = self.calendar.window_of(known)

    @property
    def full(self) -> int:
        """The window after the last one that is known to be complete."""
        if self.calendar.by_rows:
            return self.calendar.window_at(self.rows.num_rows)
        return self.last

    def window(self, window: int) -> tuple[pa.Table, pa.Table]:
        """Return the rows predicted in a window, and the labels that became known in it."""
        return _between(self.rows, self._windows, window), _between(self.labels, self._label_windows, window)

    def start(self, spec: ModelSpec, asked: str) -> int:
        """Return the instant at which the first model is released: the start of a period.

        `asked`, then `[replay] start`, else after three periods or a tenth of the windows, whichever is later. Raises
        `SpecError` for a start outside the history.
        """
        text = asked or spec.replay.start
        if text:
            instant = self.calendar.parse_instant(text)
        else:
            tenth = self.calendar.window_start(self.first + int(np.ceil((self.last - self.first + 1) * FIRST_SHARE)))
            opening = self.calendar.period_at(self.calendar.window_start(self.first))
            # A history rarely begins where a period does; the broken first one is not counted.
            opening += int(self.calendar.period_start(opening) < self.calendar.window_start(self.first))
            instant = max(tenth, self.calendar.period_start(opening + FIRST_PERIODS))
        period = self.calendar.period_at(instant)
        if self.calendar.period_start(period) < instant:
            period += 1
        start = self.calendar.period_start(period)
        begin, end = self.calendar.window_start(self.first), self.calendar.window_start(self.last + 1)
        if not begin < start < end:
            msg = (
                f"the first model would be fitted at {self.calendar.name_instant(start)}, but the history goes from "
                f"{self.calendar.name_instant(begin)} to {self.calendar.name_instant(end)}; give a --start inside it, "
                "with labelled rows before it"
            )
            raise SpecError(msg) if text else EmptyTableError(msg)
        return start


def _labels(table: pa.Table) -> pa.Table:
    """Return the known labels (@id, @label, @label_at) in the order in which they became known."""
    if "@label" not in table.column_names:
        empty = pa.array([], pa.string())
        return pa.table({"@id": empty, "@label": empty, "@label_at": pa.array([], pa.int64())})
    labels = table.select(["@id", "@label", "@label_at"]).filter(table["@label"].is_valid())
    known = np.asarray(labels["@label_at"].to_numpy(), dtype=np.int64)
    return labels.take(pa.array(np.argsort(known, kind="stable"))).combine_chunks()


def _between(table: pa.Table, windows: NDArray[np.int64], window: int) -> pa.Table:
    first, end = np.searchsorted(windows, [window, window + 1])
    return table.slice(int(first), int(end - first))

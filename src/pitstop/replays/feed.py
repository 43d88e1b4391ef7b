"""A table of past rows as a live system would have met them: window by window, labels when they became known."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pitstop.errors import EmptyTableError, SpecError
from pitstop.loop.rowlog import NEVER, RowLog
from pitstop.records.batches import Rows
from pitstop.records.spec import ModelSpec

# Periods of labels before the first model, and the least share of history, unless the spec says when to start.
FIRST_PERIODS = 3
FIRST_SHARE = 0.1


class Feed:
    """Rows and labels of a normalised history by window.

    `labels` (@id, @label, @label_at, in order of time) are those of a table of their own; without it they come with the
    rows. `missed` counts rows that came after their window was taken in, and were left out.
    """

    def __init__(self, spec: ModelSpec, rows: Rows, labels: pa.Table | None = None) -> None:
        table = rows.table
        self.calendar = spec.calendar
        self.rows = table.drop_columns([name for name in ("@label", "@label_at") if name in table.column_names])
        self._windows = self.calendar.window_of(rows.at)
        self.first, self.last = int(self._windows[0]), int(self._windows[-1])
        self.missed = 0
        self._set_labels(_labels(table) if labels is None else labels)

    @property
    def full(self) -> int:
        """The window after the last one that is known to be complete."""
        if self.calendar.by_rows:
            return self.calendar.window_at(self.rows.num_rows)
        return self.last

    def window(self, window: int) -> tuple[pa.Table, pa.Table]:
        """Return the rows predicted in a window, and the labels that became known in it."""
        return _between(self.rows, self._windows, window), _between(self.labels, self._label_windows, window)

    def catch_up(self, window: int, log: RowLog) -> None:
        """Go on at `window`, after the windows that are in `log`, though the source may have changed before it.

        A label that came after its window was taken in is known from `window` on; of several for one row the latest
        holds. A row that came too late was never predicted on, so it is left out with its labels, and counted.
        """
        taken = int(np.searchsorted(self._windows, window))
        logged = pa.array(log.ids, type=pa.string())
        late = pc.invert(pc.is_in(self.rows["@id"].slice(0, taken), value_set=logged))
        self.missed = int(pc.sum(late).as_py() or 0)
        if self.missed:
            strange = self.rows["@id"].slice(0, taken).filter(late).combine_chunks()
            keep = ~np.concatenate(
                [np.asarray(late.to_numpy(), dtype=bool), np.zeros(len(self._windows) - taken, bool)]
            )
            self.rows, self._windows = self.rows.filter(pa.array(keep)).combine_chunks(), self._windows[keep]
            self._set_labels(self.labels.filter(pc.invert(pc.is_in(self.labels["@id"], value_set=strange))))
        over = int(np.searchsorted(self._label_windows, window))
        overdue = _last_of_each(self.labels.slice(0, over))
        rows = log.ordinals(overdue["@id"].to_pylist())
        said = np.array(overdue["@label"].to_pylist(), dtype=log.labels.dtype)
        news = pa.array((log.label_at[rows] == NEVER) | (log.labels[rows] != said))
        here = int(np.searchsorted(self._label_windows, window + 1))
        moved = overdue.filter(news)
        moment = pa.array(np.full(moved.num_rows, self.calendar.window_start(window), dtype=np.int64))
        moved = moved.set_column(moved.column_names.index("@label_at"), "@label_at", moment)
        now = _last_of_each(pa.concat_tables([moved, self.labels.slice(over, here - over)]))
        self._set_labels(pa.concat_tables([self.labels.slice(0, over), now, self.labels.slice(here)]))

    def _set_labels(self, labels: pa.Table) -> None:
        """Take labels in order of the instants at which they became known."""
        self.labels = labels.combine_chunks()
        known = np.asarray(self.labels["@label_at"].to_numpy(), dtype=np.int64)
        self._label_windows = self.calendar.window_of(known)

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


def _last_of_each(labels: pa.Table) -> pa.Table:
    """Return the last label of each id, in order."""
    if not labels.num_rows:
        return labels
    codes = np.asarray(labels["@id"].combine_chunks().dictionary_encode().indices.to_numpy(zero_copy_only=False))
    _, last = np.unique(codes[::-1], return_index=True)
    return labels.take(pa.array(np.sort(len(codes) - 1 - last)))

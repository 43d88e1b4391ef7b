"""The rows that a model's releases served, with the labels that have come: read once for everything that needs rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pitstop.records.spec import ModelSpec
from pitstop.store.home import Home

# Two years of days: what a page shows of the past, and so the most that is read again.
WINDOWS = 740


@dataclass(frozen=True, eq=False)
class ServedRows:
    """Predictions since the first release, at most `WINDOWS` windows back.

    `at` int64[n] instants; `window` int64[n]; `score` float64[n], NaN where there is none; `decided` and `label`
    object[n] (text, or numbers for a regression; None: no label yet); `lag` int64[n] windows until the label, -1 while
    it is awaited; `segments`: the columns of `[columns] segments`, object[n] each.
    """

    at: NDArray[np.int64]
    window: NDArray[np.int64]
    score: NDArray[np.float64]
    decided: NDArray[np.object_]
    label: NDArray[np.object_]
    lag: NDArray[np.int64]
    segments: Mapping[str, NDArray[np.object_]]

    @property
    def known(self) -> NDArray[np.bool_]:
        """Which rows have a label."""
        return self.lag >= 0


def served_rows(home: Home, spec: ModelSpec, start: int) -> ServedRows:
    """Return the rows predicted from the instant `start` on."""
    name, calendar = spec.model.name, spec.calendar
    first = calendar.window_at(start)
    newest = max((item.window for item in home.segments("predictions", name, first)), default=first)
    first = max(first, newest - WINDOWS + 1)
    wanted = ["@id", "@at", "@score", "@prediction", *spec.columns.segments]
    rows = home.read_segments("predictions", name, first, None, wanted)
    if rows.num_rows:
        rows = rows.filter(pc.and_(rows["@prediction"].is_valid(), pc.greater_equal(rows["@at"], start)))
    if not rows.num_rows:
        none = np.zeros(0, dtype=np.int64)
        empty = none.astype(object)
        columns = dict.fromkeys(spec.columns.segments, empty)
        return ServedRows(none, none, none.astype(np.float64), empty, empty, none, columns)
    at = np.asarray(rows["@at"].to_numpy(), dtype=np.int64)
    window = np.asarray(calendar.window_of(at), dtype=np.int64)
    label, lag = _labels(home, spec, first, rows["@id"], window)
    return ServedRows(
        at=at,
        window=window,
        score=np.asarray(rows["@score"].to_numpy(), dtype=np.float64),
        decided=_objects(rows["@prediction"]),
        label=label,
        lag=lag,
        segments={
            column: _objects(rows[column].cast(pa.string())) if column in rows.column_names else _nothing(len(at))
            for column in spec.columns.segments
        },
    )


def served_ids(
    home: Home, spec: ModelSpec, start: int
) -> tuple[list[str], NDArray[np.int64], NDArray[np.float64], NDArray[np.object_]]:
    """Return id, instant, score and decision of the rows predicted from `start` on whose label is awaited."""
    name, first = spec.model.name, spec.calendar.window_at(start)
    rows = home.read_segments("predictions", name, first, None, ["@id", "@at", "@score", "@prediction"])
    if not rows.num_rows:
        return [], np.zeros(0, dtype=np.int64), np.zeros(0), _nothing(0)
    labels = home.read_segments("labels", name, first, None, ["@id"])
    rows = rows.filter(rows["@prediction"].is_valid())
    if labels.num_rows:
        rows = rows.filter(pc.invert(pc.is_in(rows["@id"], value_set=labels["@id"].combine_chunks())))
    at = np.asarray(rows["@at"].to_numpy(), dtype=np.int64)
    score = np.asarray(rows["@score"].to_numpy(), dtype=np.float64)
    return rows["@id"].to_pylist(), at, score, _objects(rows["@prediction"])


def _labels(
    home: Home, spec: ModelSpec, first: int, ids: pa.ChunkedArray, window: NDArray[np.int64]
) -> tuple[NDArray[np.object_], NDArray[np.int64]]:
    label, lag = _nothing(len(window)), np.full(len(window), -1, dtype=np.int64)
    table = home.read_segments("labels", spec.model.name, first, None, ["@id", "@label", "@label_at"])
    if not table.num_rows:
        return label, lag
    # Of several labels of one row the newest holds: it is the first of the reversed table.
    table = table.take(pa.array(np.arange(table.num_rows - 1, -1, -1)))
    place = pc.index_in(ids, value_set=table["@id"].combine_chunks()).combine_chunks()
    found = np.asarray(place.is_valid())
    rows = np.asarray(place.drop_null(), dtype=np.int64)
    known = np.asarray(table["@label_at"].to_numpy(), dtype=np.int64)[rows]
    label[found] = _objects(table["@label"])[rows]
    lag[found] = np.maximum(spec.calendar.window_of(known) - window[found], 0)
    return label, lag


def _objects(column: pa.ChunkedArray) -> NDArray[np.object_]:
    values: list[Any] = column.to_pylist()
    found = np.empty(len(values), dtype=object)
    found[:] = values
    return found


def _nothing(rows: int) -> NDArray[np.object_]:
    return np.full(rows, None, dtype=object)

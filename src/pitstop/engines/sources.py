"""Cuts a source into pieces by window, batch by batch: a file that does not fit in memory can be counted."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pitstop.engines.base import Piece
from pitstop.errors import DuplicateIdError, RecordError
from pitstop.profile import Layout
from pitstop.records.batches import normalise
from pitstop.records.instants import read_instants
from pitstop.records.sources import iter_batches
from pitstop.records.spec import ModelSpec

BATCH_ROWS = 65_536
Leaves = Callable[[pa.Table, Any, Any], NDArray[np.int64]]


def pieces_of(
    sources: Iterable[Path | str | pa.Table],
    spec: ModelSpec,
    layout: Layout,
    *,
    leaves: Leaves | None = None,
    rows: int = BATCH_ROWS,
) -> Iterator[Piece]:
    """Yield the rows of `sources` (one after the other, all in order of time) in pieces of at most `rows` rows.

    Rows are checked as `normalise` does, batch by batch; the model's output is the logged one, and missing where none
    is logged. `leaves` gives the leaf of each row from (rows, scores, predictions); without it all are in leaf 0.

    Raises as `normalise` does, `DuplicateIdError` for an id that a window has twice, and `RecordError` for rows out of
    order (with row-count windows: by one row; else by a window).
    """
    named, calendar = spec.columns, spec.calendar
    wanted = [named.time, named.id, named.prediction, named.score, named.propensity]
    wanted += [*named.inputs, *spec.amounts, *named.segments, *named.protected]
    columns = list(dict.fromkeys(name for name in wanted if name))
    ordinal, latest, window = 0, np.iinfo(np.int64).min, None
    ids: set[str] = set()
    for batch in (part for source in sources for part in iter_batches(source, columns=columns, rows=rows)):
        raw = pa.Table.from_batches([batch])
        if not raw.num_rows:
            continue
        if calendar.by_rows:
            times = read_instants(raw.column(named.time), named.time).values
            if times[0] < latest or (np.diff(times) < 0).any():
                _refuse_order(named.time)
            latest = int(times[-1])
        found = normalise(spec, raw, first_ordinal=ordinal, labelled=False)
        ordinal += raw.num_rows
        windows = calendar.window_of(found.at)
        for here in np.unique(windows):
            if window is not None and here < window:
                _refuse_order(named.time)
            first, end = np.searchsorted(windows, [here, here + 1])
            part = found.table.slice(int(first), int(end - first))
            if here != window:
                window, ids = int(here), set()
            if named.id is not None:
                _refuse_repeats(named.id, ids, part["@id"].to_pylist())
            yield _piece(int(here), part, spec, layout, leaves)


def _piece(window: int, table: pa.Table, spec: ModelSpec, layout: Layout, leaves: Leaves | None) -> Piece:
    regression = spec.model.task == "regression"
    scores = table["@score"] if "@score" in table.column_names else None
    if "@prediction" in table.column_names:
        predicted = table["@prediction"]
    elif scores is not None and spec.model.task == "binary":
        negative, positive = layout.classes
        known = np.asarray(scores.to_numpy(), dtype=np.float64)
        chosen = np.where(known >= spec.decision.threshold, positive, negative)
        predicted = pa.array(chosen, type=pa.string(), mask=np.isnan(known))
    else:
        predicted = pa.nulls(table.num_rows, pa.float64() if regression else pa.string())
    leaf = np.zeros(table.num_rows, np.int64) if leaves is None else leaves(table, scores, predicted)
    return Piece(window, table, None if regression else scores, predicted, leaf)


def _refuse_order(name: str) -> None:
    msg = f"time column {name!r}: the source is not in order of time; sort its rows, and name its files in that order"
    raise RecordError(msg)


def _refuse_repeats(name: str, seen: set[str], ids: list[str]) -> None:
    again = next((one for one in ids if one in seen), None)
    if again is not None:
        msg = f"id column {name!r}: {again!r} is there twice; remove the repeated rows"
        raise DuplicateIdError(msg)
    seen.update(ids)

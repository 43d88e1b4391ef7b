"""Puts small segments of a window together, so that reading a window opens few files; the rows stay in their order.

The newest segments of one size become one, as soon as there are enough of them; what is large already is left alone,
so a row is rewritten once per size. The journal is told which segments went into which: it goes on verifying.
"""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
import sqlalchemy as sa

from pitstop.records.identity import artifact_id
from pitstop.store.home import Home
from pitstop.store.migrations import TABLES
from pitstop.store.segments import SegmentKind, SegmentRecord, joined

FAN_IN = 16
# Segments below this many rows are of one size.
SMALLEST = 2_000

_SEGMENTS = TABLES.tables["segments"]


def crowded(home: Home, most: int = 64) -> list[tuple[str, SegmentKind, int]]:
    """Return (model, kind, window) of windows with many segments, the most crowded first, at most so many."""
    count = sa.func.count()
    group = (_SEGMENTS.c.model, _SEGMENTS.c.kind, _SEGMENTS.c.window)
    query = sa.select(*group).group_by(*group).having(count >= FAN_IN).order_by(count.desc()).limit(most)
    return [(row.model, row.kind, row.window) for row in home.select(query)]


def compact(home: Home, model: str, kind: SegmentKind, window: int, at: int) -> int:
    """Put the newest segments of a window together where enough of them are of one size; return how many there were.

    `at` is the instant that the journal is given: one by which the window's rows were known.
    """
    segments = home.segments(kind, model, window, window + 1)
    chosen = _alike(segments)
    if not chosen:
        return 0
    table = joined([home.read_segment(segment) for segment in chosen])
    members = [{"id": segment.id, "before": segment.digest, "after": ""} for segment in chosen]
    content = {"kind": kind, "window": window, "segments": members, "rows": sum(item.rows for item in chosen)}
    identity = artifact_id("compaction", {"model": model, **content})
    with home.transaction() as store:
        store.drop_segments(chosen)
        made = store.add_segment(kind, model, window, identity, _plain(table), at=at)
        store.put_artifact(content, "compaction", identity, at, (made.id,) if made else (), model)
    return len(chosen)


def _alike(segments: Sequence[SegmentRecord]) -> list[SegmentRecord]:
    """Return the newest segments that are to become one: only neighbours, because the order of coming matters."""
    taken, rows = 0, 0
    while True:
        older = segments[: len(segments) - taken]
        size = _size_of(rows)
        alike = next((place for place, item in enumerate(reversed(older)) if _size_of(item.rows) > size), len(older))
        if alike < FAN_IN - (1 if taken else 0):
            break
        taken += alike
        rows += sum(item.rows for item in older[len(older) - alike :])
    return list(segments[len(segments) - taken :])


def _size_of(rows: int) -> int:
    size = 0
    while rows > SMALLEST:
        rows //= FAN_IN
        size += 1
    return size


def _plain(table: pa.Table) -> pa.Table:
    return table.replace_schema_metadata(None)

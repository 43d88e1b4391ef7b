"""Walks a feed through the loop, window by window, committing each; what `replay`, `run` and `demo` share."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pyarrow as pa

from pitstop.loop.keeping import keep, restore, save
from pitstop.loop.loop import Loop
from pitstop.loop.models import Models
from pitstop.records.spec import ModelSpec
from pitstop.replays.feed import Feed
from pitstop.store.home import Home
from pitstop.store.segments import SegmentKind

Progress = Callable[[str, int, int], None]
"""Called with the name of the window just done, the number of windows done and their total."""


def no_progress(_name: str, _done: int, _total: int) -> None:
    """Show nothing."""


def open_loop(stack: ExitStack, home: Home, spec: ModelSpec, base: Path, *, first: int, start: int) -> Loop:
    """Return the loop of a model in a home, at its saved state where it has one. Its processes end with the stack."""
    models = stack.enter_context(Models(spec, base, home.read_file)) if spec.trains else None
    loop = Loop(home, spec, models, first_data=first, start=start)
    restore(loop)
    return loop


def walk(loop: Loop, feed: Feed, until: int, progress: Progress = no_progress) -> None:
    """Take in every window before `until`; save the state where periods end, and at the end.

    Windows that were committed after the last saved state are taken again from the home: the source may have changed.
    """
    first = loop.window
    total = max(until - first, 0)
    kept = _first_not_kept(loop)
    while loop.window < until:
        window = loop.window
        if window == kept:
            feed.catch_up(window, loop.log)
        rows, labels = feed.window(window)
        taken = loop.take(*(_kept(loop, window, rows, labels) if window < kept else (rows, labels)))
        with loop.home.transaction() as store:
            keep(store, loop, taken)
            if loop.opens_period(loop.window) or loop.window == until:
                save(store, loop)
        progress(loop.calendar.name_window(window), window - first + 1, total)


def _first_not_kept(loop: Loop) -> int:
    """Return the window after the last one that is in the home."""
    spec = loop.spec
    if loop.models is not None and (spec.columns.score or spec.columns.prediction):
        # The home keeps what the champion said in the place of the logged output, so such rows cannot be had back.
        return loop.window
    kinds: tuple[SegmentKind, ...] = ("predictions", "labels")
    segments = [part for kind in kinds for part in loop.home.segments(kind, spec.model.name, loop.window)]
    return max((segment.window + 1 for segment in segments), default=loop.window)


def _kept(loop: Loop, window: int, rows: pa.Table, labels: pa.Table) -> tuple[pa.Table, pa.Table]:
    """Return the rows and labels of a window as they were when it was committed; `rows` and `labels` say their columns."""
    model = loop.spec.model.name
    old_rows = loop.home.read_segments("predictions", model, window, window + 1)
    old_labels = loop.home.read_segments("labels", model, window, window + 1)
    return (
        old_rows.select(rows.column_names) if old_rows.num_rows else rows.slice(0, 0),
        old_labels.select(labels.column_names) if old_labels.num_rows else labels.slice(0, 0),
    )

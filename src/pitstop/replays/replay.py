"""`replay`: what would Pitstop have done with my model? And `run`: do what is due now."""

from __future__ import annotations

import json
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from pitstop.loop.loop import Loop
from pitstop.records.batches import normalise
from pitstop.records.label_tables import normalise_labels
from pitstop.records.sources import read_table
from pitstop.records.spec import ModelSpec
from pitstop.replays.feed import Feed
from pitstop.replays.hindsight import look_back
from pitstop.replays.publishing import Publish, publication_of
from pitstop.replays.result import ReplayResult, conclude
from pitstop.replays.walk import Progress, no_progress, open_loop, walk
from pitstop.store.home import Home
from pitstop.store.received import Received


def replay(
    history: Any,
    spec: ModelSpec,
    *,
    start: str = "",
    home: Path | str | None = None,
    base: Path | str = ".",
    progress: Progress = no_progress,
    note: str = "",
) -> ReplayResult:
    """Walk a table of past rows with their labels through the loop, and say what Pitstop would have done.

    `history` is a path or any object with `__arrow_c_stream__`. `start` is when the first model is fitted (default: the
    spec's, else after three periods or a tenth of the history). `home` keeps everything; without it a temporary folder
    is used. A home that holds part of the same replay is gone on with. `base` is the folder from which a trainer's
    own files are named. `note` credits the data. Raises a `PitstopError` for input that cannot be used.
    """
    rows = normalise(spec, read_table(history))
    feed = Feed(spec, rows)
    opening = feed.start(spec, start)
    with ExitStack() as stack:
        place = Path(home) if home is not None else Path(stack.enter_context(TemporaryDirectory(prefix="pitstop-")))
        kept = stack.enter_context(Home.open(place))
        loop = open_loop(stack, kept, spec, Path(base), first=feed.first, start=opening)
        walk(loop, feed, feed.last + 1, progress)
        return finish(loop, feed, note)


def finish(loop: Loop, feed: Feed, note: str) -> ReplayResult:
    """Look back on a finished walk with all labels."""
    ordinals = loop.log.ordinals(feed.labels["@id"].to_pylist())
    labels = np.array(feed.labels["@label"].to_pylist(), dtype=loop.log.labels.dtype)
    calendar = loop.calendar
    known = int((loop.log.label_at < calendar.window_start(loop.start)).sum())
    started = (
        f"The first model was fitted at {calendar.name_instant(calendar.window_start(loop.start))} on the {known:,} "
        "labels known then."
    )
    return conclude(loop, look_back(loop, (ordinals, labels)), started=started, note=note)


@dataclass(frozen=True)
class Tick:
    """What one `run` did: windows taken in, and what came out of them.

    `held_up` says why a release waits, empty where none does.
    """

    windows: int
    until: str
    alarms: int
    incidents: int
    decisions: tuple[str, ...]
    champion: str | None
    late_rows: int = 0
    held_up: str = ""


def run(
    home: Path | str,
    *,
    spec: ModelSpec,
    source: Any,
    labels: Any = None,
    as_of: str = "",
    start: str = "",
    base: Path | str = ".",
    progress: Progress = no_progress,
    publish: Publish | None = None,
) -> Tick:
    """Do everything that is due at `as_of`: take in every window that has closed by then, and commit each.

    `source` is the table (path, folder or object) to which rows and labels are added, or the `Received` rows and labels
    of a workspace. `as_of` is an ISO instant or, with row-count windows, a number of rows; empty means all windows
    that are full. The other arguments are those of `replay`. `labels` is a table of labels of its own (id, label,
    label time); without it they stand in `source`. Calling again with nothing new does nothing. Raises a
    `PitstopError` for input that cannot be used.

    `publish` is called with the champion after everything is committed, at every run, so it must bear repetition.
    """
    feed = _feed(spec, source, labels)
    calendar = spec.calendar
    until = feed.full
    if as_of:
        until = min(calendar.window_at(calendar.parse_instant(as_of)), until if calendar.by_rows else feed.last + 1)
    with ExitStack() as stack:
        kept = stack.enter_context(Home.open(home))
        opening = _opening(kept, spec, feed, start)
        loop = open_loop(stack, kept, spec, Path(base), first=feed.first, start=opening, revalue=True)
        window, alarms, incidents, decided = loop.window, len(loop.alarms), len(loop.incidents), len(loop.decisions)
        walk(loop, feed, until, progress)
        champion = loop.upkeep.timeline.champion
        if publish is not None and champion is not None:
            publish(publication_of(loop, champion))
        return Tick(
            windows=loop.window - window,
            until=calendar.name_instant(calendar.window_start(loop.window)),
            alarms=len(loop.alarms) - alarms,
            incidents=len(loop.incidents) - incidents,
            decisions=tuple(decision.reason for decision in loop.decisions[decided:]),
            champion=f"v{champion.version}" if champion else None,
            late_rows=feed.missed,
            held_up=loop.upkeep.held.sentence if loop.upkeep.held else "",
        )


def _feed(spec: ModelSpec, source: Any, labels: Any) -> Feed:
    if isinstance(source, Received):
        received = source.rows()
        return Feed(spec, received, source.labels(spec, received))
    table = read_table(source)
    if labels is None:
        return Feed(spec, normalise(spec, table))
    rows = normalise(spec, table, labelled=False)
    return Feed(spec, rows, normalise_labels(spec, table, rows, read_table(labels)))


def _opening(kept: Home, spec: ModelSpec, feed: Feed, asked: str) -> int:
    """Return when the first model is released; once decided, it does not move as the history grows."""
    saved = None if asked or spec.replay.start else kept.load_state(spec.model.name)
    return spec.calendar.window_start(saved.values["start"]) if saved else feed.start(spec, asked)


def to_json(result: ReplayResult) -> str:
    """Return the JSON text of a replay's result."""
    return json.dumps(result.document, indent=2, allow_nan=False)

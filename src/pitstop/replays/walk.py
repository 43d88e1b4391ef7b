"""Walks a feed through the loop, window by window, and commits; what `replay`, `run` and `demo` share."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from pitstop.loop.gatekeeping import gate_of
from pitstop.loop.keeping import keep, restore, save
from pitstop.loop.loop import Loop, Taken
from pitstop.loop.models import Models
from pitstop.records.spec import ModelSpec
from pitstop.replays.feed import Feed
from pitstop.store.home import Home

# Windows in one transaction at most: long periods of short windows must not fill the memory.
MOST_WAITING = 100

Progress = Callable[[str, int, int], None]
"""Called with the name of the window just done, the number of windows done and their total."""


def no_progress(_name: str, _done: int, _total: int) -> None:
    """Show nothing."""


def open_loop(
    stack: ExitStack, home: Home, spec: ModelSpec, base: Path, *, first: int, start: int, revalue: bool = False
) -> Loop:
    """Return the loop of a model in a home, at its saved state where it has one. Its processes end with the stack.

    With `revalue` the specification may say another worth and other costs than before (see `restore`).
    """
    models = stack.enter_context(Models(spec, base, home.read_file)) if spec.trains else None
    gate = gate_of(home, spec, base, spec.calendar.window_at(start))
    loop = Loop(home, spec, models, first_data=first, start=start, gate=gate)
    restore(loop, revalue=revalue)
    return loop


def walk(loop: Loop, feed: Feed, until: int, progress: Progress = no_progress) -> None:
    """Take in every window before `until`; commit them, with the state, where a period ends and at the end.

    Windows and state are committed together, so a crash goes back to the end of a period and nothing is half there; the
    commit of each window by itself would cost time and save none.
    """
    first = loop.window
    total = max(until - first, 0)
    if first > feed.first:
        feed.catch_up(first, loop.log)
    waiting: list[Taken] = []
    while loop.window < until:
        window = loop.window
        waiting.append(loop.take(*feed.window(window)))
        if loop.opens_period(loop.window) or loop.window == until or len(waiting) >= MOST_WAITING:
            with loop.home.transaction() as store:
                for taken in waiting:
                    keep(store, loop, taken)
                save(store, loop)
            waiting = []
        progress(loop.calendar.name_window(window), window - first + 1, total)

"""Breaks are seen in their first window, by the streams that were made for them, and healthy windows are not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from pitstop.baseline.baseline import Baseline
from pitstop.detection.streams import Finding
from pitstop.loop.watch import Watch
from pitstop.monitors.breaks import Breaks
from pitstop.records.spec import Task
from pitstop.testing import monitor_laws as laws

FIRST = laws.FIRST + laws.REFERENCE_WINDOWS
TASKS: tuple[Task, ...] = ("binary", "multiclass", "regression")


@cache
def watched(task: Task) -> tuple[laws.Ward, Watch]:
    known = laws.ward(task)
    return known, Watch.fit(known.spec, known.baseline, known.reference)


def found(task: Task, sample: laws.Sample) -> tuple[Finding, ...]:
    """Return what the first window after the reference gives."""
    known, watch = watched(task)
    return watch.step(known.counted(FIRST, sample))[1]


def column(name: str, make: Callable[[Any], Any]) -> Callable[[laws.Sample], laws.Sample]:
    def change(sample: laws.Sample) -> laws.Sample:
        table = sample.table
        made = make(table[name].combine_chunks())
        return replace(sample, table=table.set_column(table.column_names.index(name), name, made))

    return change


def a_fifth(value: float) -> Callable[[Any], Any]:
    return lambda values: pc.if_else(pa.array(np.arange(len(values)) % 5 == 0), value, values)


def stuck_output(sample: laws.Sample) -> laws.Sample:
    scores, decided = (np.full_like(side, side[0]) for side in (sample.scores, sample.decided))
    return replace(sample, scores=scores, decided=decided)


BREAKS: dict[str, tuple[str, Callable[[laws.Sample], laws.Sample]]] = {
    "another unit": ("far:age", column("age", lambda x: pc.multiply(x, 100.0))),
    "a marker in a fifth": ("far:price", column("price", a_fifth(-9999.0))),
    "stuck at a usual value": ("stuck:age", column("age", lambda x: pa.array(np.full(len(x), 40.0)))),
    "nearly one value": ("stuck:price", column("price", lambda x: pc.add(pc.multiply(x, 1e-4), 10.0))),
    "one shop": ("stuck:shop", column("shop", lambda x: pa.array(["b"] * len(x)).dictionary_encode())),
    "one output": ("stuck_output", stuck_output),
}


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("name", BREAKS)
def test_a_break_pages_in_its_first_window(name: str, task: Task) -> None:
    stream, make = BREAKS[name]
    healthy = laws.sample(task, np.random.default_rng(11))
    assert not found(task, healthy)
    (told,) = [item for item in found(task, make(healthy)) if item.stream.name == stream]
    assert told.fast
    assert (told.window, told.direction, told.stream.kind) == (FIRST, "up", "quality")


@pytest.mark.parametrize("task", TASKS)
def test_what_holds_half_of_the_rows_is_no_break(task: Task) -> None:
    healthy = laws.sample(task, np.random.default_rng(12))
    half = column("age", lambda x: pc.if_else(pa.array(np.arange(len(x)) % 2 == 0), 40.0, x))
    assert not [item for item in found(task, half(healthy)) if item.stream.name.startswith("stuck")]


def test_healthy_windows_raise_nothing() -> None:
    known, watch = watched("binary")
    random, told = np.random.default_rng(13), []
    for day in range(120):
        watch, findings = watch.step(known.counted(FIRST + day, laws.sample("binary", random)))
        told += [item for item in findings if item.stream.name.startswith(("far:", "stuck"))]
    assert told == []


def test_a_baseline_kept_before_has_none_of_these_streams_and_goes_on_as_it_was() -> None:
    known, _ = watched("binary")
    state = known.baseline.to_state()
    kept = Baseline.from_state(known.baseline.layout, state)
    assert Breaks().streams(kept) == Breaks().streams(known.baseline)
    del state["breaks"]
    older = Baseline.from_state(known.baseline.layout, state)
    assert Breaks().streams(older) == ()
    before = Watch.fit(known.spec, older, known.reference)
    assert Watch.from_state(known.spec, older, before.to_state()).counted == before.counted

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
from pitstop.monitors.quality import Quality
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


def few(values: Any) -> Any:
    return pa.array((np.arange(len(values)) * 7 % 4).astype(np.float64))


@cache
def few_valued() -> tuple[laws.Ward, Watch]:
    """A model whose age has only the values 0 to 3, as a number of children has."""
    known = laws.ward("binary", change=column("age", few))
    return known, Watch.fit(known.spec, known.baseline, known.reference)


def test_a_thousandth_of_a_number_of_few_values_is_a_value_never_seen() -> None:
    known, watch = few_valued()
    healthy = column("age", few)(laws.sample("binary", np.random.default_rng(14)))
    assert watch.step(known.counted(FIRST, healthy))[1] == ()
    small = column("age", lambda x: pc.multiply(x, 0.001))(healthy)
    told = {item.stream.name: item for item in watch.step(known.counted(FIRST, small))[1]}
    assert told["range:age"].fast
    assert told["range:age"].stream.grid
    assert "spread:age" not in {stream.name for stream in Breaks().streams(known.baseline)}


def mostly_missing(values: Any) -> Any:
    return pc.if_else(pa.array(np.arange(len(values)) % 5 == 0), values, None)


def test_a_column_that_is_usually_missing_pages_when_a_default_fills_it() -> None:
    sparse = column("price", mostly_missing)
    known = laws.ward("binary", change=sparse)
    watch = Watch.fit(known.spec, known.baseline, known.reference)
    healthy = laws.sample("binary", np.random.default_rng(17))
    assert watch.step(known.counted(FIRST, sparse(healthy)))[1] == ()
    filled = column("price", lambda x: pc.fill_null(mostly_missing(x), 20.0))(healthy)
    told = {item.stream.name: item for item in watch.step(known.counted(FIRST, filled))[1]}
    assert (told["nulls:price"].fast, told["nulls:price"].direction) == (True, "down")
    sides = {stream.name: stream.two_sided for stream in Quality().streams(known.baseline)}
    assert (sides["nulls:price"], sides["nulls:age"]) == (True, False)


@pytest.mark.parametrize("task", TASKS)
def test_a_spread_that_collapses_pages_wherever_the_values_lie(task: Task) -> None:
    healthy = laws.sample(task, np.random.default_rng(15))
    narrow = column("price", lambda x: pc.add(pc.multiply(x, 1e-4), 10.0))(healthy)
    (told,) = [item for item in found(task, narrow) if item.stream.name == "spread:price"]
    assert (told.fast, told.direction, told.window, told.stream.kind) == (True, "down", FIRST, "quality")
    assert told.observed < 0.05


@pytest.mark.parametrize("task", TASKS)
def test_a_window_that_is_sent_twice_is_all_duplicates_and_one_with_a_row_more_is_not(task: Task) -> None:
    sample = laws.sample(task, np.random.default_rng(16))
    once = np.arange(sample.table.num_rows)
    for rows, whole in ((np.concatenate([once, once, once[:1]]), False), (np.tile(once, 2), True)):
        again = laws.Sample(
            sample.table.take(pa.array(rows)), sample.scores[rows], sample.decided[rows], sample.labels[rows]
        )
        known, _ = watched(task)
        stream = next(item for item in Quality().streams(known.baseline) if item.name == "duplicates")
        k, n = Quality().counts(stream, known.counted(FIRST, again))
        assert int(n[0]) == len(rows)
        assert (int(k[0]) == len(rows)) is whole
    (told,) = [item for item in found(task, again) if item.stream.name == "duplicates"]
    assert told.fast


def test_healthy_windows_raise_nothing() -> None:
    known, watch = watched("binary")
    random, told = np.random.default_rng(13), []
    for day in range(120):
        watch, findings = watch.step(known.counted(FIRST + day, laws.sample("binary", random)))
        told += [item for item in findings if item.stream.name.startswith(("far:", "stuck", "spread:"))]
    assert told == []


def test_a_baseline_kept_before_has_none_of_these_streams_and_goes_on_as_it_was() -> None:
    known, _ = watched("binary")
    state = known.baseline.to_state()
    kept = Baseline.from_state(known.baseline.layout, state)
    assert Breaks().streams(kept) == Breaks().streams(known.baseline)
    del state["breaks"]
    older = Baseline.from_state(known.baseline.layout, state)
    assert Breaks().streams(older) == ()
    now = Watch.fit(known.spec, known.baseline, known.reference)
    unspread = {name: array for name, array in now.to_state().items() if not name.startswith("spread.")}
    again = Watch.from_state(known.spec, known.baseline, unspread)
    assert (again.measured, again.spreads.streams) == ((), ())
    assert again.step(known.reference[0])[1] == ()
    before = Watch.fit(known.spec, older, known.reference)
    assert Watch.from_state(known.spec, older, before.to_state()).counted == before.counted

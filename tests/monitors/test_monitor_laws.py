"""Every built-in monitor obeys every law, for every task; and the laws find monitors that break them."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest

from pitstop.detection.streams import Stream
from pitstop.monitors import MONITORS
from pitstop.monitors.base import Monitor, Signal, WindowCounts
from pitstop.monitors.drift import FeatureDrift
from pitstop.records.spec import Task
from pitstop.testing import monitor_laws as laws

TASKS: tuple[Task, ...] = ("binary", "multiclass", "regression")


@cache
def ward(task: Task) -> laws.Ward:
    return laws.ward(task)


@pytest.mark.parametrize("law", laws.monitor_laws(), ids=lambda law: law.__name__)
@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("monitor", tuple(MONITORS), ids=lambda monitor: monitor.name)
def test_every_monitor_obeys_every_law(monitor: Monitor, task: Task, law: laws.Law) -> None:
    law(monitor, ward(task))


class Cumulative(FeatureDrift):
    """Counts more rows than there are."""

    name = "cumulative"

    def counts(self, stream: Stream, window: WindowCounts) -> tuple[Any, Any]:
        k, n = super().counts(stream, window)
        return k + 1, n


class Remembering(FeatureDrift):
    """Counts every other time that it is asked, so a window has other counts than its parts together."""

    name = "remembering"
    asked = 0

    def counts(self, stream: Stream, window: WindowCounts) -> tuple[Any, Any]:
        self.asked += 1
        k, n = super().counts(stream, window)
        return k * (self.asked % 2), n


class Positional(FeatureDrift):
    """Looks at whatever column comes first."""

    name = "positional"

    def signals(self, baseline: Any, window: WindowCounts) -> tuple[Signal, ...]:
        column = next(iter(baseline.features))
        return (Signal("nulls", column, float(window.profile.features[column].nulls)),)


class Deaf(FeatureDrift):
    """Says that nothing ever changes."""

    name = "deaf"

    def counts(self, stream: Stream, window: WindowCounts) -> tuple[Any, Any]:
        _, n = super().counts(stream, window)
        return np.zeros_like(n), n


class Jumpy(FeatureDrift):
    """Counts what it was not fitted on differently."""

    name = "jumpy"

    def counts(self, stream: Stream, window: WindowCounts) -> tuple[Any, Any]:
        k, n = super().counts(stream, window)
        return (n - k, n) if window.window >= laws.FIRST + laws.REFERENCE_WINDOWS else (k, n)


@pytest.mark.parametrize(
    ("bad", "law"),
    [
        (Cumulative(), laws.counts_are_counts),
        (Remembering(), laws.pieces_are_the_whole),
        (Positional(), laws.column_order_is_irrelevant),
        (Deaf(), laws.sees_what_breaks),
        (Jumpy(), laws.silent_on_identical_profiles),
    ],
    ids=lambda item: getattr(item, "name", None) or item.__name__,
)
def test_the_laws_find_a_monitor_that_breaks_them(bad: Monitor, law: laws.Law) -> None:
    with pytest.raises(AssertionError, match=bad.name):
        law(bad, ward("binary"))

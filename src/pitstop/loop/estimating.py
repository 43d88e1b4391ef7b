"""The estimate of a period: what performance was thought to be before its labels came, kept when the period closes.

Earlier estimates are scored here, each once its cohort (the rows predicted in its period) is mature: labels that come
early are not a fair sample, so a cohort counts when nearly all labels that will come have come.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import reduce

import numpy as np
import pyarrow as pa

from pitstop.baseline.baseline import Baseline, cell_codes
from pitstop.baseline.expectation import Said
from pitstop.baseline.maturity import maturity_age
from pitstop.loop.rowlog import RowLog
from pitstop.monitors.base import WindowCounts
from pitstop.monitors.estimated import Estimate, estimates
from pitstop.monitors.track_record import REMEMBERED, Miss, misses_of
from pitstop.profile import Layout, Profile
from pitstop.records.calendar import Calendar
from pitstop.statistics.outcomes import Outcomes

Stint = tuple[Baseline, tuple[WindowCounts, ...]]


def extended(stints: tuple[Stint, ...], baseline: Baseline, window: WindowCounts) -> tuple[Stint, ...]:
    """Add a window to the stint of the model that served it; another baseline begins another stint."""
    if stints and stints[-1][0].id == baseline.id:
        return (*stints[:-1], (baseline, (*stints[-1][1], window)))
    return (*stints, (baseline, (window,)))


def estimate_period(
    stints: Sequence[Stint], log: RowLog, calendar: Calendar, earlier: Mapping[int, Mapping[str, Estimate]]
) -> Mapping[str, Estimate]:
    """Return the estimates of a period by metric; of several models that served in it, for the one that served longest.

    They know what `earlier` estimates (by period) missed by, as far as labels known by now tell: values are corrected
    by it, intervals widened; each carries the reason why it is withdrawn, where they tell too much.
    """
    if not stints:
        return {}
    baseline, windows = max(stints, key=lambda stint: len(stint[1]))
    layout = baseline.layout
    profile = reduce(Profile.merged, (window.profile for window in windows), Profile.empty(layout))
    start, end = calendar.window_start(windows[0].window), calendar.window_start(windows[-1].window + 1)
    rows = log.predicted_between(start, end)
    scores, decided = log.served_score.values[rows], log.served_class.values[rows]
    said = Said(cell_codes(layout, log.features(rows), scores, decided), scores, decided)
    now = calendar.window_start(stints[-1][1][-1].window + 1)
    misses = scored(layout, log, calendar, earlier, now)
    period = calendar.period_at(start)
    return {found.metric: found for found in estimates(baseline, profile, said, misses, period=period)}


def scored(
    layout: Layout, log: RowLog, calendar: Calendar, earlier: Mapping[int, Mapping[str, Estimate]], now: int
) -> tuple[Miss, ...]:
    """Return what estimates of earlier periods missed by, oldest first, by the labels known before instant `now`.

    Only of periods whose last row is as old as `maturity_age` says, and of those only as many as are remembered.
    """
    if not earlier:
        return ()
    known = log.first_label_at < now
    made = calendar.window_of(log.at)
    last = calendar.window_at(now) - 1
    age = maturity_age(calendar.window_of(log.first_label_at[known]) - made[known], last - made[~known])
    if age is None:
        return ()
    found: list[tuple[Miss, ...]] = []
    for period in sorted(earlier, reverse=True):
        end = calendar.period_start(period + 1)
        if len(found) == REMEMBERED:
            break
        if calendar.window_at(end) - 1 + age > last:
            continue
        rows = log.predicted_between(calendar.period_start(period), end)
        rows = rows[known[rows]]
        realised = _outcomes(layout, log, rows).metrics()
        items = earlier[period].values()
        model = next((item.model for item in items), "")
        told = ((item.metric, item.value - item.correction, item.sampling) for item in items)
        found.append(misses_of(realised, told, period=period, model=model))
    return tuple(miss for misses in reversed(found) for miss in misses)


def _outcomes(layout: Layout, log: RowLog, rows: np.ndarray[tuple[int], np.dtype[np.int64]]) -> Outcomes:
    kind = pa.float64() if layout.outcome_bins.prediction is not None else pa.string()
    decided, labels = (pa.array(values[rows], kind) for values in (log.served_class.values, log.labels))
    return Outcomes.empty(layout.outcome_bins).updated(log.served_score.values[rows], decided, labels)

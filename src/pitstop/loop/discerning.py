"""Power: what each monitor of a model could not have seen, at the traffic that the model has."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pitstop.baseline.baseline import Baseline
from pitstop.detection.detector import Detector
from pitstop.detection.panel import Panel
from pitstop.detection.power import COPIES, Block, Sight, Traffic, smallest, smallest_fall
from pitstop.detection.streams import Stream
from pitstop.loop.reference import row_errors
from pitstop.loop.revisiting import Revisited
from pitstop.loop.watch import Table, Watch
from pitstop.records.spec import ModelSpec
from pitstop.value.function import losses


@dataclass(frozen=True)
class Power:
    """What one monitor sees within the asked number of windows, with the asked probability.

    `sight` holds the smallest change of `indicator`'s rate (for a volume: the share of rows lost). `rows` is the mean
    number of rows in a window behind it. `worth` is what a change of the error of that size costs a period, in
    currency; None for other monitors, and where the value function says nothing. `after` is the number of windows until
    labels show a change to this monitor at all.
    """

    monitor: str
    kind: str
    column: str | None
    indicator: str
    sight: Sight
    rows: float
    worth: float | None = None
    after: int = 0


def discern(
    known: Revisited, *, within: int = 7, probability: float = 0.8, copies: int = COPIES, seed: int = 0
) -> tuple[Power, ...]:
    """Return the power of every monitor, the error first, then the smallest change first; the blind ones last.

    Raises `BaselineError` for a question that has no answer (no window, a probability outside (0, 1)).
    """
    spec, baseline = known.spec, known.baseline
    used = [window for window in known.windows if window.profile.rows]
    table = Table.of(spec, baseline, used)
    watch = Watch.fit(spec, baseline, known.windows)
    found = []
    alike: dict[tuple[float, str, bytes], Sight] = {}
    layout = watch.panel.layout
    for place, stream in enumerate(layout.streams):
        columns = slice(int(layout.starts[place]), int(layout.starts[place + 1]))
        traffic = Traffic(table.n[:, columns], table.phases)
        if not traffic.n.any():
            continue
        panel = _alone(watch.panel, place)
        blocks = _blocks(baseline, stream, panel)
        # Columns that never were null, of which there are many, are watched alike.
        rare = None if panel.healthy.rate.any() else (panel.thresholds[0], stream.kind, traffic.n.tobytes())
        sight = alike.get(rare) if rare else None
        if sight is None:
            sight = smallest(panel, blocks, traffic, within=within, probability=probability, copies=copies, seed=seed)
        if rare:
            alike[rare] = sight
        focus = blocks[0].first + blocks[0].focus
        found.append(
            Power(
                stream.name,
                stream.kind,
                stream.column,
                stream.indicators[focus],
                sight,
                float(traffic.n[:, focus].mean()),
                _worth(known, sight) if stream.kind == "error" else None,
                min(baseline.ages, default=0) if stream.kind == "error" else 0,
            )
        )
    for place, (_, detector) in enumerate(watch.volumes):
        sight = smallest_fall(detector, table.phases, within=within, probability=probability, copies=copies, seed=seed)
        stream = detector.stream
        rows = float(table.rows[:, place].mean())
        found.append(Power(stream.name, stream.kind, None, stream.indicators[0], sight, rows))
    return tuple(sorted(found, key=_order))


def _order(item: Power) -> tuple[bool, bool, float, str]:
    change = item.sight.change
    return change is None, item.kind != "error", change or 0.0, item.monitor


def _alone(panel: Panel, place: int) -> Panel:
    """Return the panel of one of its streams."""
    layout = panel.layout
    columns = slice(int(layout.starts[place]), int(layout.starts[place + 1]))
    last, one = (..., columns), slice(place, place + 1)
    state = panel.to_state()
    own = {
        name: array[one]
        if name in ("thresholds", "fast_levels", "broken")
        else array
        if name in ("last_window", "recent_windows", "born")
        else array[last]
        for name, array in state.items()
    }
    return Detector.from_state(layout.streams[place], own).panel


def _blocks(baseline: Baseline, stream: Stream, panel: Panel) -> tuple[Block, ...]:
    """Return how a stream's indicators share rows, and which of them is to change: the one nearest to a half."""
    count = len(stream.indicators)
    if stream.kind == "error":
        # Cohort by cohort; within one, shares of errors of at least each edge.
        edges = count // len(baseline.ages)
        youngest = min(baseline.ages)
        return tuple(
            Block(place * edges, (place + 1) * edges, "above", 0, age - youngest)
            for place, age in enumerate(baseline.ages)
        )
    focus = int(np.argmin(np.abs(panel.healthy.rate - 0.5)))
    numeric = {column for column, _ in baseline.layout.numeric}
    nested = stream.kind == "drift" and stream.column in numeric
    nested = nested or (stream.kind == "score" and "<" in stream.indicators[0])
    return (Block(0, count, "below" if nested else "apart", focus),)


def _worth(known: Revisited, sight: Sight) -> float | None:
    """Return what the change costs a period: rows a period, times what a wrong decision loses more than a right one."""
    spec, log, (first, last) = known.spec, known.log, known.baseline.windows
    if sight.change is None or spec.model.task == "regression":
        return None
    calendar = spec.calendar
    start, end = calendar.window_start(first), calendar.window_start(last + 1)
    rows = np.flatnonzero((log.first_label_at >= start) & (log.first_label_at < end))
    said = log.fresh_class.values[rows]
    given = np.array([value is not None for value in said], dtype=np.bool_)
    rows, said = rows[given], said[given]
    wrong = row_errors(spec, said, log.labels[rows]) > 0
    if not wrong.any() or wrong.all():
        return None
    lost = losses(spec, said, log.labels[rows], log.amounts(rows))
    each = float(lost[wrong].mean() - lost[~wrong].mean())
    return sight.change * each * _rows_a_period(known, spec) if each > 0 else None


def _rows_a_period(known: Revisited, spec: ModelSpec) -> float:
    """Return the rows that the model is asked about in a period, from the reference's windows that have rows."""
    calendar = spec.calendar
    period = calendar.period_at(known.baseline.at) - 1
    windows = calendar.window_at(calendar.period_start(period + 1)) - calendar.window_at(calendar.period_start(period))
    return windows * float(np.mean([window.profile.rows for window in known.windows if window.profile.rows]))

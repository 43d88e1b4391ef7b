"""The engine: capped, tempered Shiryaev-Roberts evidence of many streams, window after window.

For each indicator and side there are two Shiryaev-Roberts statistics M: one sums the evidence of a change over its
onsets, each contrasted with all windows before it (`contrast`); one remembers the reference alone (`clopper_pearson`).
A stream alarms when the weighted mean of its M reaches its threshold c, and starts again from 0. E[M_t | past] <=
M_{t-1} + 1 and an alarm removes at least c, so T windows hold at most T / c false alarms in expectation, restarts
included, and streams add up under any dependence. Shin, Ramdas, Rinaldo, "E-detectors: a nonparametric framework for
sequential change detection", 2022; docs/explanation/alarm-budget.md has the proof and says where this is exact and
where it is approximate.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pitstop.detection import clopper_pearson, contrast, fast, onset, scores
from pitstop.detection.dispersion import inflation
from pitstop.detection.healthy import Healthy, joined
from pitstop.detection.streams import Direction, Finding, Floats, Ints, Stream, check_counts
from pitstop.errors import BaselineError

MEMORY = 0.2
"""Share of the half that remembers the reference alone: it finds again a change that the other half has got used to."""

RECENT = 90
"""Windows in which the start of a change is looked for."""


PLACED = 0.5
"""Share of the scores in the evidence of an onset, where windows of the reference differ; counts have the rest."""

_LARGEST = 300.0  # logarithms above it are as good as infinite, and their exponentials can still be added

State = dict[str, NDArray[Any]]

_ARRAYS = (
    "thresholds",
    "fast_levels",
    "exact_sr",
    "places",
    "total",
    "ratios",
    "since",
    "alive",
    "born",
    "recent_windows",
    "recent_counts",
    "worst",
    "broken",
)


@dataclass(frozen=True)
class Layout:
    """Where K streams lie in I columns of indicators, with what is constant for each."""

    streams: tuple[Stream, ...]

    @cached_property
    def starts(self) -> Ints:
        """First column of each stream, and I at the end: int64[K + 1]."""
        return np.cumsum([0, *(len(stream.indicators) for stream in self.streams)], dtype=np.int64)

    @cached_property
    def owner(self) -> Ints:
        """Stream of each column: int64[I]."""
        return np.repeat(np.arange(len(self.streams)), np.diff(self.starts))

    @cached_property
    def share(self) -> Floats:
        """Weight of each side and column in its stream's mean, float64[2, I]; 0 for the side that does not count."""
        sides = np.array([2 if stream.two_sided else 1 for stream in self.streams])
        each = (1 / (sides * np.diff(self.starts)))[self.owner]
        return np.stack([each, np.where(sides[self.owner] == 2, each, 0.0)])

    @cached_property
    def sudden(self) -> Floats:
        """Rate that a window of each column must reach to page by itself: float64[I]."""
        return np.array([stream.sudden for stream in self.streams])[self.owner]

    @cached_property
    def quality(self) -> Floats:
        """1.0 for each column of a quality stream, else 0.0: float64[I]."""
        return np.array([float(stream.kind == "quality") for stream in self.streams])[self.owner]


@dataclass(frozen=True, eq=False)
class Panel:
    """The state of K streams with I indicators together, after some windows. Immutable: `step` returns the next.

    thresholds, fast_levels: float64[K]. exact_sr float64[6, 2, I]: M of each alternative, side (up, down) and indicator
    against the reference alone. places float64[m, I]: standardised excess of the reference's windows (NaN: no rows).
    total float64[5, I]: sums over all windows of what `contrast.effective` and `scores.of_window` return. ratios
    float64[4, I]: log theta of the alternatives. since float64[S, 5, I]: the sums from each onset on; born int64[S]:
    the window that each onset began with; alive float64[S, I]: 1.0 where the onset is later than the stream's last
    alarm and the indicator had rows in it.
    recent_windows int64[r, 2]: window and phase of the last windows; recent_counts int64[r, 2, I]: their k and n.
    worst float64[2, I]: largest standardised excess and shortfall since the reference. broken bool[K]: whether the
    last window of the stream was a break.
    """

    layout: Layout
    healthy: Healthy
    thresholds: Floats
    fast_levels: Floats
    exact_sr: Floats
    places: Floats
    total: Floats
    ratios: Floats
    since: Floats
    alive: Floats
    born: Ints
    recent_windows: Ints
    recent_counts: Ints
    last_window: int | None
    worst: Floats
    broken: NDArray[np.bool_]

    @classmethod
    def joined(cls, panels: Sequence[Panel]) -> Panel:
        """Return the streams of several panels side by side. They must stand at the same window."""
        if len({panel.last_window for panel in panels}) != 1:
            got = [panel.last_window for panel in panels]
            msg = f"got panels that stand at the windows {got}; expected at least one panel, all at the same window"
            raise BaselineError(msg)
        if any(not np.array_equal(panel.recent_windows, panels[0].recent_windows) for panel in panels):
            msg = "panels that have seen different windows cannot be joined; step them one by one"
            raise BaselineError(msg)
        if len({panel.healthy.phase_rate.shape[0] for panel in panels}) != 1:
            msg = "panels with different numbers of weekly phases cannot be joined"
            raise BaselineError(msg)
        longest = max(panel.places.shape[0] for panel in panels)
        return cls(
            layout=Layout(tuple(stream for panel in panels for stream in panel.layout.streams)),
            healthy=joined([panel.healthy for panel in panels]),
            thresholds=np.concatenate([panel.thresholds for panel in panels]),
            fast_levels=np.concatenate([panel.fast_levels for panel in panels]),
            exact_sr=np.concatenate([panel.exact_sr for panel in panels], axis=-1),
            places=np.concatenate([_padded(panel.places, longest) for panel in panels], axis=1),
            total=np.concatenate([panel.total for panel in panels], axis=-1),
            ratios=np.concatenate([panel.ratios for panel in panels], axis=-1),
            since=np.concatenate([panel.since for panel in panels], axis=-1),
            alive=np.concatenate([panel.alive for panel in panels], axis=-1),
            born=panels[0].born,
            recent_windows=panels[0].recent_windows,
            recent_counts=np.concatenate([panel.recent_counts for panel in panels], axis=-1),
            last_window=panels[0].last_window,
            worst=np.concatenate([panel.worst for panel in panels], axis=-1),
            broken=np.concatenate([panel.broken for panel in panels]),
        )

    @property
    def evidence(self) -> Floats:
        """The evidence of a change since the last alarm of each stream, M / c in [0, 1): float64[K]."""
        return self._by_stream(self.by_indicator) / self.thresholds

    def step(self, window: int, phase: int, k: Ints, n: Ints) -> tuple[Panel, tuple[Finding, ...]]:
        """Take in the counts of one window, later than all before; return the next state and the alarms.

        `k`, `n` are int64[I], 0 <= k <= n, streams side by side. Indicators with n = 0 keep their evidence. Raises
        `BaselineError` for wrong shapes, counts, phases or order.
        """
        self._check(window, phase, k, n)
        if not bool(n.any()):
            keep = contrast.kept(self.born, window)
            thinned = replace(self, since=self.since[keep], alive=self.alive[keep], born=self.born[keep])
            return replace(thinned, last_window=window), ()
        layout = self.layout
        before = self._taken_in(window, phase, k, n)
        by_indicator = before.by_indicator
        evidence = self._by_stream(by_indicator) / self.thresholds
        excess = self.healthy.excess(k, n, phase)
        level = self.fast_levels[layout.owner] * layout.share * (k >= layout.sudden * n)
        breaks = fast.evidence(
            self.healthy,
            phase,
            k,
            n,
            excess=excess,
            appears=layout.quality,
            tolerance=self.healthy.tolerance,
            level=level,
        )
        first = layout.starts[:-1]
        seen = np.add.reduceat(n, first) > 0
        full = (evidence >= 1) & seen
        broken = np.where(seen, np.maximum.reduceat(breaks.max(axis=0), first) >= 1, self.broken)
        restart = full[layout.owner]
        after = replace(
            before,
            exact_sr=np.where(restart, 0.0, before.exact_sr),
            alive=np.where(restart, 0.0, before.alive),
            recent_windows=np.concatenate([self.recent_windows[1 - RECENT :], [[window, phase]]]),
            recent_counts=np.concatenate([self.recent_counts[1 - RECENT :], np.stack([k, n])[np.newaxis]]),
            last_window=window,
            worst=np.maximum(self.worst, np.stack([excess, -excess])),
            broken=broken,
        )
        # A break pages once, at its onset, and only if nothing like it was seen; the slow path goes on meanwhile.
        breaks = np.where(np.stack([excess, -excess]) > self.worst, breaks, 0.0)
        sudden = seen & ~self.broken & (np.maximum.reduceat(breaks.max(axis=0), first) >= 1)
        findings: list[Finding] = []
        for index in np.flatnonzero(full | sudden):
            if sudden[index]:
                findings.append(_found(after, int(index), breaks, float("nan"), fast_path=True))
                continue
            finding = _found(after, int(index), by_indicator, float(evidence[index]), fast_path=False)
            # Leaving out an alarm never breaks the promise: one without a change in its direction is a tie of draws.
            if (finding.observed - finding.expected) * (1 if finding.direction == "up" else -1) > 0:
                findings.append(finding)
        return after, tuple(findings)

    def to_state(self) -> State:
        """Return everything but the streams as arrays."""
        state: State = {f"healthy.{field.name}": getattr(self.healthy, field.name) for field in fields(Healthy)}
        state |= {name: getattr(self, name) for name in _ARRAYS}
        last = self.last_window
        state["last_window"] = np.array([] if last is None else [last], dtype=np.int64)
        return state

    @classmethod
    def from_state(cls, streams: Sequence[Stream], state: Mapping[str, NDArray[Any]]) -> Panel:
        """Return the panel that `to_state` described for the same streams; it goes on as the first would have."""
        known = {f"healthy.{field.name}" for field in fields(Healthy)} | set(_ARRAYS) | {"last_window"}
        layout = Layout(tuple(streams))
        if set(state) != known or state["exact_sr"].shape[-1] != layout.starts[-1]:
            msg = (
                f"this is not a state of the streams {[stream.name for stream in streams]} with {layout.starts[-1]} "
                "indicators together; fit the detectors again"
            )
            raise BaselineError(msg)
        last = state["last_window"]
        return cls(
            layout=layout,
            healthy=Healthy(**{field.name: state[f"healthy.{field.name}"] for field in fields(Healthy)}),
            last_window=int(last[0]) if last.size else None,
            **{name: state[name] for name in _ARRAYS},
        )

    def _taken_in(self, window: int, phase: int, k: Ints, n: Ints) -> Panel:
        """Return the panel with the window's counts in its sums, before any alarm."""
        cap = 0.5 * np.log(self.thresholds)[self.layout.owner]
        effective = np.stack(contrast.effective(self.healthy, phase, k, n))
        now = np.concatenate([effective, scores.of_window(self.healthy, phase, k, n, self.places)])
        born = np.append(self.born, window)
        keep = contrast.kept(born, window)
        since = np.concatenate([self.since, np.zeros((1, *now.shape))])[keep] + now
        return replace(
            self,
            exact_sr=_updated(self.exact_sr, self._exact_evidence(k, n), cap, n),
            total=self.total + now,
            since=since,
            alive=np.concatenate([self.alive, (n > 0).astype(np.float64)[np.newaxis]])[keep],
            born=born[keep],
        )

    def _exact_evidence(self, k: Ints, n: Ints) -> Floats:
        """Return log L of the Clopper-Pearson half, [6, 2, I], tempered by overdispersion and autocorrelation."""
        healthy = self.healthy
        tolerance = healthy.tolerance
        rates = np.stack([healthy.upper + tolerance, 1 - healthy.lower + tolerance])
        value = clopper_pearson.log_evidence(np.stack([k, n - k]), n, rates)
        rho = np.maximum(healthy.rho_upper, healthy.rho_paid)
        return np.asarray(value / (inflation(n, rho) * healthy.spread), dtype=np.float64)

    @property
    def by_indicator(self) -> Floats:
        """The evidence of each side (up, down) and indicator, [2, I]: the weighted mean of both halves."""
        layout, healthy = self.layout, self.healthy
        known = (healthy.effective > 0) & (layout.share > 0)
        if not len(self.born):
            return np.zeros(layout.share.shape)
        counted = contrast.log_evidence(self.since[:, :2], self.total[:2], healthy.allowed, self.ratios)
        counted = np.exp(np.minimum(counted, _LARGEST)).mean(axis=0)
        counted = np.where(healthy.flip > 0, counted[::-1], counted)
        placed = np.exp(np.minimum(scores.log_evidence(self.since[:, 2:], self.total[2:]), _LARGEST)).mean(axis=0)
        mean = counted + PLACED * healthy.ranked * (placed - counted)
        needed = self.thresholds[layout.owner] / np.where(layout.share > 0, layout.share, 1.0)
        # No single window pages: each adds at most half of what the indicator alone would need.
        limit = np.exp(np.minimum(0.5 * np.log(needed)[:, np.newaxis] * self.since[:, 4], _LARGEST))
        contrasted = (self.alive * np.minimum(mean, limit)).sum(axis=1)
        both = (1 - MEMORY) * contrasted + MEMORY * self.exact_sr.mean(axis=0)
        return np.where(known, both, 0.0)

    def _by_stream(self, by_indicator: Floats) -> Floats:
        weighted = (by_indicator * self.layout.share).sum(axis=0)
        return np.asarray(np.add.reduceat(weighted, self.layout.starts[:-1]), dtype=np.float64)

    def _check(self, window: int, phase: int, k: Ints, n: Ints) -> None:
        shape = (int(self.layout.starts[-1]),)
        if k.shape != shape or n.shape != shape:
            msg = f"got counts of the shapes {k.shape} and {n.shape}; expected {shape} twice"
            raise BaselineError(msg)
        if not 0 <= phase < self.healthy.phase_rate.shape[0]:
            msg = f"got phase {phase}; expected 0 to {self.healthy.phase_rate.shape[0] - 1}"
            raise BaselineError(msg)
        if self.last_window is not None and window <= self.last_window:
            msg = f"got window {window} after window {self.last_window}; windows must come in order, each once"
            raise BaselineError(msg)
        check_counts(f"window {window}", k, n)


def _found(panel: Panel, index: int, by_indicator: Floats, evidence: float, *, fast_path: bool) -> Finding:
    """Return the finding of a stream: strongest indicator and side, onset and size from the recent windows."""
    stream, (first, last) = panel.layout.streams[index], panel.layout.starts[index : index + 2]
    part = by_indicator[:, first:last]
    side, position = (int(i) for i in np.unravel_index(int(np.argmax(part)), part.shape))
    direction: Direction = "up" if side == 0 else "down"
    column = int(first) + position
    n = panel.recent_counts[:, 1, column]
    rows = n > 0
    windows, phases = panel.recent_windows[rows].T
    found = onset.estimate(
        windows,
        panel.recent_counts[rows, 0, column],
        n[rows],
        expected=panel.healthy.phase_rate[phases, column],
        inflated=inflation(n[rows], panel.healthy.rho_upper[column]),
        reference_rows=float(panel.healthy.effective[column]),
        direction=direction,
    )
    return Finding(
        stream=stream,
        window=int(panel.recent_windows[-1, 0]),
        indicator=stream.indicators[position],
        direction=direction,
        since=found.since,
        observed=found.observed,
        expected=found.expected,
        low=found.low,
        high=found.high,
        evidence=float(part[side, position]) if fast_path else evidence,
        fast=fast_path,
        count=int(panel.recent_counts[-1, 0, column]),
        size=int(panel.recent_counts[-1, 1, column]),
    )


def _updated(sr: Floats, log_evidence: Floats, cap: Floats, n: Ints) -> Floats:
    """Return M <- (M + 1) min(L, e^cap) where rows were seen, M elsewhere."""
    return np.where(n > 0, (sr + 1) * np.exp(np.minimum(log_evidence, cap)), sr)


def _padded(history: Floats, length: int) -> Floats:
    missing = np.full((length - history.shape[0], history.shape[1]), np.nan)
    return np.concatenate([missing, history])

"""Row counts of windows: an e-detector from conformal ranks, and a fast path for an outage.

A volume has no k out of n, and its law is unknown. Its seasonal score is log(1 + count) minus the level of its phase,
in robust standard deviations; p = (1 + #{earlier |score| >= |score|}) / (1 + number of earlier scores) is uniform or
larger if windows are exchangeable, and e = p^-1/2 / 2 has mean 1 under a uniform p (Vovk, Wang, "E-values", Annals of
Statistics 49, 2021, section 2), so at most 1 here. M <- (M + 1) e, as in `panel`; capped at half of log c, so that no
single window pages. Ranks look back on the monitored windows too, so a level that stays is absorbed in the end.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtr

from pitstop.detection.healthy import FEW_BROKEN
from pitstop.detection.panel import RECENT, State
from pitstop.detection.streams import Direction, Finding, Floats, Ints, Stream
from pitstop.errors import BaselineError

HISTORY = 4096
"""Windows that ranks look back on. Older ones are dropped, which only makes a rank less sharp."""

FEWEST = 5
"""References of fewer windows say nothing about a volume: the detector stays silent."""

_SMALLEST_SPREAD = 0.02  # counts that never varied by more are given this much, in log units
_OUTAGE = 0.5  # the fast path wants less than this share of the smallest earlier window
_DEAD = 0.1  # share of the usual rows below which a window of the reference is no healthy one
_MAD_TO_SD = 1.4826


@dataclass(frozen=True, eq=False)
class VolumeDetector:
    """The state of a volume stream. Immutable: `step` returns the next one.

    level float64[P]: usual log(1 + count) of each phase. spread: robust standard deviation around it. reference:
    number of windows of the reference. scores float64[t]: all earlier seasonal scores, newest last. recent int64[r, 3]:
    window, phase, count. smallest: smallest earlier count, but for a few dead windows of the reference. sr: M.
    """

    stream: Stream
    threshold: float
    fast_level: float
    level: Floats
    spread: float
    reference: int
    scores: Floats
    recent: Ints
    smallest: int
    sr: float
    last_window: int | None

    @classmethod
    def fit(
        cls,
        stream: Stream,
        counts: Ints,
        reference_phases: Ints,
        threshold: float,
        phases: int,
        *,
        fast_level: float = 0.0,
    ) -> VolumeDetector:
        """Fit the reference: `counts` int64[m], rows of each window, oldest first, `reference_phases` int64[m].

        Levels are medians of phases, shrunk to the overall median by two windows' weight. With fewer than `FEWEST`
        windows nothing alarms. Raises `BaselineError` when shapes or values do not fit together.
        """
        if counts.ndim != 1 or counts.shape != reference_phases.shape or bool(np.any(counts < 0)):
            msg = (
                f"stream {stream.name!r}: got counts of the shape {counts.shape} and phases {reference_phases.shape}; "
                "expected [m] twice, and no count below 0"
            )
            raise BaselineError(msg)
        if phases < 1 or bool(np.any((reference_phases < 0) | (reference_phases >= phases))):
            msg = f"stream {stream.name!r}: a phase of the reference is not in 0 to {phases - 1}"
            raise BaselineError(msg)
        if not 1 <= threshold < math.inf or not 0 <= fast_level <= 1:
            msg = (
                f"stream {stream.name!r}: got threshold {threshold!r} and fast_level {fast_level!r}; "
                "expected at least 1 (finite) and inside [0, 1]"
            )
            raise BaselineError(msg)
        logs = np.log1p(counts.astype(np.float64))
        overall = float(np.median(logs)) if logs.size else 0.0
        level = np.full(phases, overall)
        left_out = np.full(logs.shape, overall)
        for phase in np.unique(reference_phases):
            at = np.flatnonzero(reference_phases == phase)
            level[phase] = _shrunk(logs[at], overall)
            for own in at:
                # A reference window is judged as a new one would be: by a level that has not seen it.
                left_out[own] = _shrunk(logs[at[at != own]], overall)
        residual = logs - left_out
        spread = max(float(np.median(np.abs(residual))) * _MAD_TO_SD, _SMALLEST_SPREAD) if logs.size else 1.0
        return cls(
            stream=stream,
            threshold=threshold,
            fast_level=fast_level,
            level=level,
            spread=spread,
            reference=int(logs.size),
            scores=(residual / spread)[-HISTORY:],
            recent=np.zeros((0, 3), dtype=np.int64),
            smallest=int(counts[~_dead(counts, level[reference_phases])].min(initial=np.iinfo(np.int64).max)),
            sr=0.0,
            last_window=None,
        )

    @property
    def evidence(self) -> float:
        """The evidence of a change since the last alarm, M / c in [0, 1)."""
        return self.sr / self.threshold

    def step(self, window: int, phase: int, count: int) -> tuple[VolumeDetector, Finding | None]:
        """Take in the number of rows of one window, later than all before; 0 is an observation, not a gap."""
        if count < 0 or not 0 <= phase < len(self.level):
            msg = (
                f"stream {self.stream.name!r}: got the count {count} in phase {phase}; expected at least 0, in phases "
                f"0 to {len(self.level) - 1}"
            )
            raise BaselineError(msg)
        if self.last_window is not None and window <= self.last_window:
            msg = f"stream {self.stream.name!r}: got window {window} after {self.last_window}; expected a later one"
            raise BaselineError(msg)
        score = (math.log1p(count) - float(self.level[phase])) / self.spread
        p_value = (1 + int((np.abs(self.scores) >= abs(score)).sum())) / (1 + len(self.scores))
        sr = 0.0
        if self.reference >= FEWEST:
            sr = (self.sr + 1) * min(0.5 / math.sqrt(p_value), math.sqrt(self.threshold))
        outage = self._outage(score, count)
        full = sr >= self.threshold
        after = replace(
            self,
            scores=np.append(self.scores[1 - HISTORY :], score),
            recent=np.concatenate([self.recent[1 - RECENT :], [[window, phase, count]]]),
            smallest=min(self.smallest, count),
            sr=0.0 if full else sr,
            last_window=window,
        )
        if outage >= 1:
            return after, _found(after, outage, fast=True)
        return after, _found(after, sr / self.threshold, fast=False) if full else None

    def _outage(self, score: float, count: int) -> float:
        """Return fast_level / p-value of a collapse of the volume, 0 where it is none.

        Student's t on the seasonal score, and less than half of the smallest window ever seen. The level promises
        false alarms only as far as log counts have no heavier lower tail than t with m - 1 degrees of freedom.
        """
        if self.fast_level <= 0 or self.reference < FEWEST or count >= _OUTAGE * self.smallest:
            return 0.0
        return self.fast_level / max(float(stdtr(self.reference - 1, score)), 1e-300)

    def to_state(self) -> State:
        """Return everything but the stream as arrays."""
        last = [] if self.last_window is None else [self.last_window]
        return {
            "level": self.level,
            "scores": self.scores,
            "recent": self.recent,
            "scalars": np.array([self.threshold, self.fast_level, self.spread, self.sr]),
            "counts": np.array([self.reference, self.smallest], dtype=np.int64),
            "last_window": np.array(last, dtype=np.int64),
        }

    @classmethod
    def from_state(cls, stream: Stream, state: Mapping[str, NDArray[Any]]) -> VolumeDetector:
        """Return the detector that `to_state` described; it goes on exactly as the first would have."""
        if set(state) != {"level", "scores", "recent", "scalars", "counts", "last_window"}:
            msg = f"this is not a state of the volume stream {stream.name!r}; fit the detector again"
            raise BaselineError(msg)
        threshold, fast_level, spread, sr = (float(value) for value in state["scalars"])
        last = state["last_window"]
        return cls(
            stream=stream,
            threshold=threshold,
            fast_level=fast_level,
            level=state["level"],
            spread=spread,
            reference=int(state["counts"][0]),
            scores=state["scores"],
            recent=state["recent"],
            smallest=int(state["counts"][1]),
            sr=sr,
            last_window=int(last[0]) if last.size else None,
        )


def _found(detector: VolumeDetector, evidence: float, *, fast: bool) -> Finding:
    """Return the finding: the suffix of recent windows whose scores are jointly most extreme, and its size in rows."""
    windows, phases, counts = detector.recent.T
    level = detector.level[phases]
    residual = np.log1p(counts) - level
    sums, lengths = np.cumsum(residual[::-1])[::-1], np.arange(len(counts), 0, -1)
    start = int(np.argmax(sums**2 / lengths)) if not fast else len(counts) - 1
    mean, length = float(sums[start] / lengths[start]), int(lengths[start])
    direction: Direction = "up" if mean > 0 else "down"
    expected = float(np.expm1(level[start:]).mean())
    half = 1.96 * detector.spread * math.sqrt(1 / length + 1 / max(detector.reference, 1))
    return Finding(
        stream=detector.stream,
        window=int(windows[-1]),
        indicator=detector.stream.indicators[0],
        direction=direction,
        since=int(windows[start]),
        observed=float(counts[start:].mean()),
        expected=expected,
        low=expected * math.expm1(mean - half),
        high=expected * math.expm1(mean + half),
        evidence=evidence,
        fast=fast,
    )


def _dead(counts: Ints, level: Floats) -> NDArray[np.bool_]:
    """Return the windows of the reference with hardly any rows, where they are few; none where they are common."""
    dead = counts < _DEAD * np.expm1(level)
    return np.asarray(dead & (dead.sum() * FEW_BROKEN <= len(counts)), dtype=np.bool_)


def _shrunk(logs: Floats, overall: float) -> float:
    """Return the median of a phase, moved towards the overall one by the weight of two windows."""
    if logs.size == 0:
        return overall
    return (logs.size * float(np.median(logs)) + 2 * overall) / (logs.size + 2)

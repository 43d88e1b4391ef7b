"""Numbers whose spread collapses: a stuck value, a thousandth of a unit, in one window.

The logarithm of a window's variance is compared with those of the reference: its distance from their median, in the
larger of the robust and the plain standard deviation, has at most the tail of Student's t with m - 1 degrees of
freedom, as far as logarithms of variances have no heavier one. Two guards only leave alarms out: the standard deviation
must fall to a twentieth of the usual, as no calm day's does, and the window must leave the worst one so far behind by a
half, so a column that was constant on some healthy day is never called stuck here. There is no slow path: spreads that
change slowly are drift, and are watched as such.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtr

from pitstop.detection.streams import Finding, Floats, Ints, Stream
from pitstop.errors import BaselineError

FEWEST = 20
"""Columns with fewer windows in the reference stay silent: the tail of a short reference is a guess."""

NOTHING = -1
"""Stands for the variance of a window with too few values to have one."""

_SMALLEST_SCALE = 0.1  # in units of a logarithm: spreads that never varied by more are given this much
_MAD_TO_SD = 1.4826
_LEAST_WORST = -2.0
_BEYOND_WORST = 1.5
_COLLAPSED = 2 * np.log(1 / 20)
_ARRAYS = ("levels", "usual", "scale", "windows", "worst")


@dataclass(frozen=True, eq=False)
class Spreads:
    """The state of S columns. Immutable: `step` returns the next one.

    levels float64[S]: probability with which a healthy window may page. usual float64[S]: median of log(1 + variance).
    scale float64[S]: its standard deviation. windows int64[S]: those of the reference that had a variance. worst
    float64[S]: the lowest standardised value so far, at most -2.
    """

    streams: tuple[Stream, ...]
    levels: Floats
    usual: Floats
    scale: Floats
    windows: Ints
    worst: Floats

    @classmethod
    def fit(cls, streams: Sequence[Stream], reference: Ints, levels: Floats) -> Self:
        """Fit columns on the variances of their reference windows, int64[m, S], in any unit, `NOTHING` for none."""
        if reference.ndim != 2 or reference.shape[1] != len(streams) or levels.shape != (len(streams),):
            msg = (
                f"got variances of the shape {reference.shape} and levels {levels.shape} for {len(streams)} streams; "
                "expected [m, streams] and [streams]"
            )
            raise BaselineError(msg)
        known = reference > NOTHING
        logs = np.where(known, np.log1p(np.maximum(reference, 0)), np.nan)
        windows = known.sum(axis=0)
        usual, scale, lowest = np.zeros(len(streams)), np.ones(len(streams)), np.full(len(streams), -np.inf)
        for place in np.flatnonzero(windows):
            own = logs[known[:, place], place]
            usual[place] = np.median(own)
            robust = _MAD_TO_SD * float(np.median(np.abs(own - usual[place])))
            scale[place] = max(robust, float(np.std(own)), _SMALLEST_SCALE)
            lowest[place] = (own.min() - usual[place]) / scale[place]
        return cls(tuple(streams), levels, usual, scale, windows, np.minimum(lowest, _LEAST_WORST))

    @classmethod
    def none(cls) -> Self:
        """Return that of no columns."""
        return cls.fit((), np.zeros((0, 0), dtype=np.int64), np.zeros(0))

    def step(self, window: int, variances: Ints) -> tuple[Spreads, tuple[Finding, ...]]:
        """Take in the variances of one window, int64[S], `NOTHING` for none; return the next state and the alarms."""
        if variances.shape != self.levels.shape:
            msg = f"got {variances.shape} variances for {len(self.streams)} streams"
            raise BaselineError(msg)
        known = (variances > NOTHING) & (self.windows >= FEWEST)
        logs = np.log1p(np.maximum(variances, 0))
        score = np.where(known, (logs - self.usual) / self.scale, 0.0)
        guarded = known & (score < _BEYOND_WORST * self.worst) & (logs - self.usual <= _COLLAPSED)
        evidence = np.zeros(len(self.streams))
        p_value = stdtr(self.windows[guarded] - 1, score[guarded])
        evidence[guarded] = self.levels[guarded] / np.maximum(p_value, 1e-300)
        found = tuple(
            self._found(window, int(place), float(logs[place]), float(evidence[place]))
            for place in np.flatnonzero(evidence >= 1)
        )
        after = type(self)(
            self.streams, self.levels, self.usual, self.scale, self.windows, np.minimum(self.worst, score)
        )
        return after, found

    def _found(self, window: int, place: int, log: float, evidence: float) -> Finding:
        """Return the finding of a column: the standard deviation as a share of the usual one."""
        away, half = (log - self.usual[place]) / 2, 1.96 * self.scale[place] / 2
        return Finding(
            stream=self.streams[place],
            window=window,
            indicator=self.streams[place].indicators[0],
            direction="down",
            since=window,
            observed=float(np.exp(away)),
            expected=1.0,
            low=float(np.expm1(away - half)),
            high=float(np.expm1(away + half)),
            evidence=evidence,
            fast=True,
        )

    def to_state(self) -> dict[str, NDArray[Any]]:
        """Return everything but the streams as arrays."""
        return {name: getattr(self, name) for name in _ARRAYS}

    @classmethod
    def from_state(cls, streams: Sequence[Stream], state: Mapping[str, NDArray[Any]]) -> Self:
        """Return what `to_state` described for the same streams; none of them where it is of a time before spreads."""
        if not state:
            return cls.none()
        if set(state) != set(_ARRAYS) or state["levels"].shape != (len(streams),):
            msg = f"this is not a state of the spreads of {len(streams)} columns; fit the detectors again"
            raise BaselineError(msg)
        return cls(tuple(streams), **{name: state[name] for name in _ARRAYS})

"""One stream's detector: fit a reference, step through windows, keep and restore the state."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pitstop.detection import clopper_pearson, contrast, scores
from pitstop.detection.healthy import fit, without_broken
from pitstop.detection.panel import Layout, Panel, State
from pitstop.detection.streams import Finding, Ints, ReferenceCounts, Stream
from pitstop.errors import BaselineError


@dataclass(frozen=True, eq=False)
class Detector:
    """The state of one stream. Immutable: `step` returns the next one. Many streams step faster in one `Panel`."""

    panel: Panel

    @classmethod
    def fit(
        cls,
        stream: Stream,
        reference: ReferenceCounts,
        threshold: float,
        phases: int,
        alpha_reference: float,
        *,
        fast_level: float = 0.0,
        elsewhere: float = 0.0,
    ) -> Detector:
        """Fit the reference of a stream; O(m I).

        `threshold` is c from `Budget.thresholds`, `fast_level` from `Budget.fast_levels` (0: no fast path), `phases`
        the number of weekly phases, `alpha_reference` in (0, 1) this stream's share of the probability with which
        the reference may mislead, `elsewhere` in [0, 1) the correlation of rows within windows that the model's other
        streams show (`dispersion.usual`). Short references widen limits and dispersion; an empty one never alarms.
        Raises `BaselineError` when shapes or values do not fit together.
        """
        count = len(stream.indicators)
        if reference.k.shape[1] != count:
            msg = f"stream {stream.name!r} has {count} indicators, its reference {reference.k.shape[1]}"
            raise BaselineError(msg)
        if phases < 1 or bool(np.any((reference.phases < 0) | (reference.phases >= phases))):
            got = sorted(set(reference.phases.tolist()))
            msg = f"stream {stream.name!r}: the reference has the phases {got}; expected 0 to {phases - 1}"
            raise BaselineError(msg)
        if not 1 <= threshold < math.inf or not 0 < alpha_reference < 1 or not 0 <= fast_level <= 1:
            msg = (
                f"stream {stream.name!r}: got threshold {threshold!r}, alpha_reference {alpha_reference!r}, fast_level "
                f"{fast_level!r}; expected at least 1, inside (0, 1) and inside [0, 1]"
            )
            raise BaselineError(msg)
        reference = without_broken(stream, reference)
        healthy, places = fit(stream, reference, phases, alpha_reference, elsewhere)
        total, typical = contrast.of_reference(healthy, reference)
        return cls(
            Panel(
                layout=Layout((stream,)),
                healthy=healthy,
                thresholds=np.array([threshold], dtype=np.float64),
                fast_levels=np.array([fast_level], dtype=np.float64),
                exact_sr=np.zeros((len(clopper_pearson.LOG_ODDS_RATIOS), 2, count)),
                places=places,
                total=np.concatenate([total, scores.of_reference(healthy, places)]),
                ratios=contrast.log_ratios(typical),
                since=np.zeros((0, 5, count)),
                alive=np.zeros((0, count)),
                born=np.zeros(0, dtype=np.int64),
                recent_windows=np.zeros((0, 2), dtype=np.int64),
                recent_counts=np.zeros((0, 2, count), dtype=np.int64),
                last_window=None,
                worst=np.zeros((2, count)),
                broken=np.zeros(1, dtype=np.bool_),
            )
        )

    @property
    def stream(self) -> Stream:
        """The stream that is watched."""
        return self.panel.layout.streams[0]

    @property
    def evidence(self) -> float:
        """The evidence of a change since the last alarm, M / c in [0, 1)."""
        return float(self.panel.evidence[0])

    def step(self, window: int, phase: int, k: Ints, n: Ints) -> tuple[Detector, Finding | None]:
        """Take in the counts of one window, later than all before; return the next state and an alarm or None.

        `k`, `n` are int64[I], 0 <= k <= n. Indicators with n = 0 keep their evidence; a window without any row
        changes nothing but the time. Raises `BaselineError` for wrong shapes, counts, phases or order.
        """
        after, findings = self.panel.step(window, phase, k, n)
        return Detector(after), findings[0] if findings else None

    def to_state(self) -> State:
        """Return everything but the stream as arrays."""
        return self.panel.to_state()

    @classmethod
    def from_state(cls, stream: Stream, state: Mapping[str, NDArray[Any]]) -> Detector:
        """Return the detector that `to_state` described; it goes on exactly as the first would have."""
        return cls(Panel.from_state((stream,), state))

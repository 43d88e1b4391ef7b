"""Autocorrelated nulls: alarms a month where neighbouring windows resemble each other, and what the self-test says."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pitstop.detection.budget import Budget
from pitstop.detection.detector import Detector
from pitstop.detection.panel import Panel
from pitstop.detection.streams import ReferenceCounts, Stream
from pitstop.loop.rehearsing import rehearse_table
from pitstop.loop.watch import Table, Watch
from pitstop.monitors.drift import TOLERANCE as DRIFT
from pitstop.monitors.performance import TOLERANCE as ERROR
from pitstop.records.spec import parse_spec

LAGS = (0.0, 0.3, 0.6, 0.9)
REFERENCE, WATCHED, STREAMS, ROWS = 90, 180, 5, 400
RATE, SPREAD = 0.2, 0.05
SPEC = '[model]\nname = "null"\ntask = "binary"\n[columns]\ntime = "at"\nfeatures = ["x"]\n'


@dataclass(frozen=True)
class Null:
    """One family of streams at one correlation: alarms a month, and the share of self-tests that warn."""

    kind: str
    lag: float
    alarms: float
    warned: float


def nulls(seeds: int) -> list[Null]:
    """Return each family at each correlation of the rates of neighbouring windows, `seeds` runs of each."""
    found = []
    for kind, tolerance in (("drift", DRIFT), ("error", ERROR)):
        streams = tuple(
            Stream(f"{kind}:{place}", kind, None, ("x",), tolerance=tolerance, autocorrelated=kind == "drift")
            for place in range(STREAMS)
        )
        for lag in LAGS:
            runs = [_run(streams, lag, seed) for seed in range(seeds)]
            alarms = float(np.mean([count for count, _ in runs])) / (WATCHED / 30)
            found.append(Null(kind, lag, alarms, float(np.mean([warned for _, warned in runs]))))
    return found


def _run(streams: tuple[Stream, ...], lag: float, seed: int) -> tuple[int, bool]:
    rng = np.random.default_rng([seed, int(100 * lag)])
    noise = rng.standard_normal((REFERENCE + WATCHED, len(streams)))
    for window in range(1, len(noise)):
        noise[window] = lag * noise[window - 1] + np.sqrt(1 - lag**2) * noise[window]
    n = np.full(noise.shape, ROWS, dtype=np.int64)
    k = rng.binomial(n, np.clip(RATE + SPREAD * noise, 0.01, 0.99))
    phases = np.arange(len(noise), dtype=np.int64) % 7
    nothing = np.zeros((len(noise), 0), dtype=np.int64)
    whole = Table(k, n, nothing, phases, nothing)
    spec = parse_spec(SPEC)
    thresholds = Budget(1.0, 30).thresholds({stream.name: stream.weight for stream in streams})

    def fit(table: Table) -> Watch:
        panels = [
            Detector.fit(
                stream,
                ReferenceCounts(table.k[:, [place]], table.n[:, [place]], table.phases),
                thresholds[stream.name],
                7,
                0.05 / len(streams),
            ).panel
            for place, stream in enumerate(streams)
        ]
        return Watch((), Panel.joined(panels), (), spec.calendar, {})

    reference = whole.taken(np.arange(REFERENCE))
    watch, alarms = fit(reference), 0
    for window in range(REFERENCE, len(whole)):
        watch, findings = watch.step_counts(window, int(phases[window]), k[window], n[window], [], nothing[window])
        alarms += len(findings)
    return alarms, not rehearse_table(spec, fit, reference, runs=5, seed=seed).kept

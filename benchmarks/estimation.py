"""Estimates of performance before labels, against what was realised, beside NannyML's CBPE and DLE.

Every window is scored, also where the estimate is withdrawn, in standard errors of the metric of such a window. Both
sides see the same labelled reference. Ours learns from what its estimates missed by, so it is shown a window's labels
when they come: `LAG` windows later for the bars, and beside them `LATE` windows later and never. NannyML's estimators
take no labels after the reference. What one would say without any estimator, the last realised value known, stands
beside, too. `python -m benchmarks.estimation_settings` shows how the settings were chosen, on other sets.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.estimation_cases import Case, scored, scored_cases, task_of
from benchmarks.estimation_ours import Judge
from benchmarks.estimation_truth import METRICS, nannyml, realised, sampling_errors
from benchmarks.result import Bar, MissingDataError, Result
from pitstop.monitors.track_record import Miss, corrected

Floats = NDArray[np.float64]

# Windows until labels are known.
LAG, LATE = 1, 4
RESAMPLES = 2000
# One-sided 95%.
LOWER = 5.0


@dataclass(frozen=True)
class Errors:
    """Errors in standard errors by [window][metric] of one case, NaN where a metric is not defined.

    `ours` knows labels `LAG` windows later, `late` `LATE` windows later, `never` none; `last` is the value realised
    `LAG` windows before (where there is none, what `never` says).
    """

    ours: Floats
    late: Floats
    never: Floats
    last: Floats
    plain: Floats
    theirs: Floats
    covered: Floats
    theirs_covered: Floats
    withdrawn: Floats
    half: Floats


def run(quick: bool, data: Path | None) -> Result:
    """Judge every set with every kind of model. Raises `MissingDataError` where no table is there."""
    rows: list[dict[str, Any]] = []
    by_set: dict[str, list[Errors]] = {}
    missing = []
    for name in scored():
        try:
            cases = list(scored_cases(name, data, quick))
            for case, peer in zip(cases, nannyml(cases), strict=True):
                found = judged(case, peer)
                by_set.setdefault(name, []).append(found)
                rows.append(
                    {"set": name, "model": case.kind, "task": case.task, "rows": case.window, **summary([found])}
                )
                print(rows[-1], file=sys.stderr)
        except MissingDataError as error:
            missing.append(str(error))
    if not by_set:
        raise MissingDataError("; ".join(missing))
    sets = [{"set": name, "model": "all", "task": task_of(name), **summary(found)} for name, found in by_set.items()]
    return Result((*rows, *sets), bars(sets))


def judged(case: Case, peer: Mapping[str, Mapping[str, Floats]]) -> Errors:
    """Return the errors of both sides in every window of a case; `peer` are NannyML's estimates."""
    names = list(METRICS[case.task])
    chance = sampling_errors(case)
    error = np.array([chance[name] for name in names])
    error[error == 0] = np.nan
    realised_by = [realised(case, part) for part in case.windows()]
    truth = np.array([[window[name] for name in names] for window in realised_by])
    theirs, low, high = (np.stack([peer[name][part] for name in names], axis=1) for part in ("value", "low", "high"))
    judge = Judge.fit(case)
    raw, plain, halves, withdrawn = (np.zeros(truth.shape) for _ in range(4))
    soon, late = np.zeros(truth.shape), np.zeros(truth.shape)
    misses: list[list[Miss]] = []
    for window, part in enumerate(case.windows()):
        items, simple = judge.estimates(part), judge.estimates(part, plain=True)
        for place, name in enumerate(names):
            item = items[name]
            raw[window, place], plain[window, place] = item.value, simple[name].value
            known = item.calibration_variance + judge.expectation.spreads.get(name, 0.0)
            for values, lag in ((late, LATE), (soon, LAG)):
                known_by_now = [miss for earlier in misses[: max(window - lag + 1, 0)] for miss in earlier]
                unit = case.task != "regression"
                found = corrected(
                    name, item.value, (item.sampling_variance, known), known_by_now, period=window, unit=unit
                )
                values[window, place] = item.value + found.correction
            halves[window, place], withdrawn[window, place] = found.half, found.withdrawn is not None
        misses.append(
            [
                Miss(name, float(truth[window, place] - raw[window, place]), items[name].sampling_variance, window)
                for place, name in enumerate(names)
                if np.isfinite(truth[window, place] - raw[window, place])
            ]
        )
    # Both are scored where all are defined.
    defined = np.isfinite(truth) & np.isfinite(raw) & np.isfinite(theirs) & np.isfinite(error)
    nothing = np.where(defined, 0.0, np.nan)
    last = np.concatenate([raw[:LAG], truth[:-LAG]])
    told = (soon, late, raw, np.where(np.isfinite(last), last, raw), plain, theirs)
    ours, later, never, persisting, alone, peers = (np.abs(values - truth) / error + nothing for values in told)
    return Errors(
        ours=ours,
        late=later,
        never=never,
        last=persisting,
        plain=alone,
        theirs=peers,
        covered=np.where(defined, np.abs(soon - truth) <= halves, np.nan),
        theirs_covered=np.where(defined, (low <= truth) & (truth <= high), np.nan),
        withdrawn=withdrawn,
        half=halves / error,
    )


def summary(found: Sequence[Errors]) -> dict[str, Any]:
    """Return the figures of one or several cases of a set; a bootstrap draws windows, the same of every case."""

    def mean(values: Sequence[Floats]) -> float:
        joined = np.concatenate([part.ravel() for part in values])
        return float(np.nanmean(joined)) if np.isfinite(joined).any() else float("nan")

    kept = [np.where(item.withdrawn > 0, np.nan, item.covered) for item in found]
    widths = [np.where((item.withdrawn > 0) | np.isnan(item.covered), np.nan, item.half) for item in found]
    ours, theirs = mean([item.ours for item in found]), mean([item.theirs for item in found])
    return {
        "windows": len(found[0].ours),
        "ours": _number(ours),
        "labels later": _number(mean([item.late for item in found])),
        "no later labels": _number(mean([item.never for item in found])),
        "last realised": _number(mean([item.last for item in found])),
        "CBPE alone": _number(mean([item.plain for item in found])),
        "NannyML": _number(theirs),
        "ratio": _number(ours / theirs),
        "lower limit": _number(_lower(found)),
        "covered": _number(mean(kept)),
        "NannyML covered": _number(mean([item.theirs_covered for item in found])),
        "withdrawn": _number(mean([np.where(np.isnan(item.ours), np.nan, item.withdrawn) for item in found])),
        "half width": _number(mean(widths)),
    }


def _lower(found: Sequence[Errors]) -> float:
    """Return the lower limit of the ratio of mean errors, from windows drawn with replacement."""
    sums = [
        [np.nansum(part, axis=1) for part in (item.ours, np.where(np.isnan(item.ours), np.nan, item.theirs))]
        for item in found
    ]
    ours, theirs = (np.sum([pair[side] for pair in sums], axis=0) for side in (0, 1))
    draw = np.random.default_rng(0).integers(0, len(ours), (RESAMPLES, len(ours)))
    return float(np.percentile(ours[draw].sum(axis=1) / theirs[draw].sum(axis=1), LOWER))


def bars(sets: Sequence[Mapping[str, Any]]) -> tuple[Bar, ...]:
    """Return the promises of the issue; each is recomputed from the rows whose model is "all"."""
    classes = [row for row in sets if row["task"] != "regression"]
    numbers = [row for row in sets if row["task"] == "regression"]
    control = [row["withdrawn"] for row in sets if row["set"] == "acs_employment_ma"]

    def worst(values: Sequence[float]) -> float | None:
        return max(values) if values else None

    covered = [row["covered"] for row in sets if row["covered"] is not None]
    ratios = [row["ratio"] for row in classes]
    return (
        Bar(
            "estimation.3a",
            worst([row["lower limit"] for row in classes]),
            1.02,
            text="error in standard errors, ratio to NannyML's CBPE: paired-bootstrap lower limit, worst set",
        ),
        Bar(
            "estimation.3b",
            float(np.mean(ratios)) if ratios else None,
            0.95,
            text="the same ratio, mean over the classification sets",
        ),
        Bar(
            "estimation.3c",
            worst([row["ratio"] for row in numbers]),
            1.02,
            text="regression: ratio to NannyML's DLE, worst set",
        ),
        Bar(
            "estimation.3d",
            min(covered) if covered else None,
            0.90,
            side="at least",
            text="95% bands that hold the realised metric where the estimate was not withdrawn, worst set",
        ),
        Bar("estimation.3e", worst(control), 0.10, text="windows withdrawn on acs_employment_ma"),
    )


def _number(value: float) -> float | None:
    return round(value, 4) if np.isfinite(value) else None

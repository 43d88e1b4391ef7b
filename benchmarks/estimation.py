"""Estimates of performance before labels, against what was realised, beside NannyML's CBPE and DLE.

Every window is scored, also where the estimate is withdrawn, in standard errors of the metric of such a window. Both
sides see the same labelled reference and no label after it, except that a window's labels are known to our intervals
(not to our values) one window later. `python -m benchmarks.estimation_settings` shows how the settings were chosen, on
other sets.
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
from pitstop.monitors.track_record import Miss, band

Floats = NDArray[np.float64]

RESAMPLES = 2000
# One-sided 95%.
LOWER = 5.0


@dataclass(frozen=True)
class Errors:
    """Errors in standard errors by [window][metric] of one case, NaN where a metric is not defined."""

    ours: Floats
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
    found = [realised(case, part) for part in case.windows()]
    truth = np.array([[window[name] for name in names] for window in found])
    theirs, low, high = (np.stack([peer[name][part] for name in names], axis=1) for part in ("value", "low", "high"))
    judge = Judge.fit(case)
    misses: list[Miss] = []
    values, plain, halves, withdrawn = (np.zeros(truth.shape) for _ in range(4))
    for window, part in enumerate(case.windows()):
        ours, alone = judge.estimates(part), judge.estimates(part, plain=True)
        for place, name in enumerate(names):
            item = ours[name]
            known = item.calibration_variance + judge.expectation.spreads.get(name, 0.0)
            said = band(name, item.value, (item.sampling_variance, known), misses, unit=case.task != "regression")
            values[window, place], plain[window, place] = item.value, alone[name].value
            halves[window, place], withdrawn[window, place] = said.half, said.withdrawn is not None
        misses += [
            Miss(name, float(truth[window, place] - values[window, place]), ours[name].sampling_variance)
            for place, name in enumerate(names)
            if np.isfinite(truth[window, place] - values[window, place])
        ]
    # Both are scored where all are defined.
    defined = np.isfinite(truth) & np.isfinite(values) & np.isfinite(theirs) & np.isfinite(error)
    nothing = np.where(defined, 0.0, np.nan)
    return Errors(
        np.abs(values - truth) / error + nothing,
        np.abs(plain - truth) / error + nothing,
        np.abs(theirs - truth) / error + nothing,
        np.where(defined, np.abs(values - truth) <= halves, np.nan),
        np.where(defined, (low <= truth) & (truth <= high), np.nan),
        withdrawn,
        halves / error,
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

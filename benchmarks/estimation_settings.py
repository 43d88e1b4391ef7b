"""How the settings of estimates were chosen: on generated sets and those of NannyML's package; none of them is scored.

`python -m benchmarks.estimation_settings [SET ...]` prints, for each case, the error of each variant relative to
NannyML's CBPE: the calibrator alone, the density ratio that was tried and dropped, and the shipped trees; then, for
each setting of the track record and each delay of labels, the error of corrected estimates, how often intervals cover,
and how much is withdrawn. The choices themselves were made with scripts of the day on part of these cases
(docs/decisions/0025, 0057); this is a fuller form of them.
"""

from __future__ import annotations

import itertools
import math
import sys
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score

from benchmarks.environments import environment
from benchmarks.estimation_cases import Case, Part, fitted_cases, readable, rehearsals
from benchmarks.estimation_ours import Judge, said
from benchmarks.estimation_truth import METRICS, nannyml, realised, sampling_errors
from pitstop.baseline.calibration import isotonic
from pitstop.baseline.expectation import outcome_codes
from pitstop.monitors import track_record
from pitstop.monitors.track_record import Miss, corrected
from pitstop.statistics.expected import cbpe
from pitstop.statistics.outcome_bins import STEPS
from pitstop.statistics.scores import Scores

Floats = NDArray[np.float64]

# Reference, analysis and targets in the package, and the label. Its set of employment is one that is scored.
PACKAGED = {
    "car_loan": ("synthetic_car_loan", "_target", "repaid", "binary"),
    "wfh": ("synthetic_sample", "_gt", "work_home_actual", "binary"),
    "california": ("california_housing", "_gt", "clf_target", "binary"),
    "credit_cards": ("mc", "_gt", "y_true", "multiclass"),
    "car_price": ("regression_synthetic", "_targets", "y_true", "regression"),
}
NOT_FEATURES = ("id", "identifier", "timestamp", "period")
# Density ratio: two folds, weights of at most 20, and the calibrator alone where the halves look alike.
CLIP, ALIKE, FEWEST_EFFECTIVE = 20.0, 0.55, 200.0
# Of the track record: persistences of the bias, what is remembered, and windows until labels are known.
PERSISTENCES = ((0.0, 0.9), (0.0, 0.5, 0.8, 0.95), (0.0, 0.5, 0.8, 0.95, 0.99))
RECORDS = tuple(itertools.product(PERSISTENCES, (4, 12, 24), (1, 4)))


def packaged(name: str) -> Iterator[Case]:
    """Yield the cases of one set of NannyML's package."""
    stem, ending, label, task = PACKAGED[name]
    python = environment("nannyml")
    (folder,) = python.parent.parent.glob("lib/python3*/site-packages/nannyml/datasets/data")
    reference, analysis, targets = (
        pa_csv.read_csv(folder / f"{stem}_{part}.csv") for part in ("reference", "analysis", f"analysis{ending}")
    )
    analysis = analysis.drop_columns([label] if label in analysis.column_names else [])
    analysis = analysis.append_column(label, _in_order(analysis, targets, label))
    both = pa.concat_tables([reference.select(analysis.column_names), analysis], promote_options="permissive")
    features = {
        column: readable(both[column])
        for column in both.column_names
        if column != label and column and column not in NOT_FEATURES and not column.startswith("y_pred")
    }
    known = both[label]
    if task == "binary":
        known = known.cast(pa.float64()).cast(pa.int64())
    yield from fitted_cases(name, task, features, known)


def _in_order(analysis: pa.Table, targets: pa.Table, label: str) -> pa.ChunkedArray:
    if len(targets) == len(analysis):
        return targets[label]
    place = {value: row for row, value in enumerate(targets["id"].to_pylist())}
    return targets[label].take(pa.array([place[value] for value in analysis["id"].to_pylist()]))


def density_ratio(case: Case, judge: Judge, part: Part, draw: np.random.Generator) -> Floats:
    """Return the calibrator averaged with one that is fitted on the reference, weighted to look like the window."""
    assert judge.calibrated is not None  # noqa: S101 - only cases of classes are asked
    bins = case.layout.outcome_bins
    reference = case.reference
    before, after = outcome_codes(bins, said(case, reference)), outcome_codes(bins, said(case, part))
    rows = np.vstack([before, after]).astype(np.float64)
    which = np.repeat([0, 1], [len(before), len(after)])
    fold, chance = draw.permutation(len(rows)) % 2, np.zeros(len(rows))
    for side in (0, 1):
        model = HistGradientBoostingClassifier(max_iter=50, max_leaf_nodes=15, min_samples_leaf=50, random_state=0)
        chance[fold == side] = model.fit(rows[fold != side], which[fold != side]).predict_proba(rows[fold == side])[
            :, 1
        ]
    share = chance[: len(before)]
    weights = np.minimum(len(before) / len(after) * share / np.maximum(1 - share, 1e-3), CLIP)
    if roc_auc_score(which, chance) < ALIKE or weights.sum() ** 2 / (weights**2).sum() < FEWEST_EFFECTIVE:
        return judge.calibrated
    right = reference.labels == (case.classes[1] if case.task == "binary" else reference.predicted)
    place = np.floor(reference.scores * STEPS + 0.5).astype(np.int64)
    positives: Floats = np.bincount(place, weights * right, minlength=STEPS + 1).astype(np.float64)
    negatives: Floats = np.bincount(place, weights * ~right, minlength=STEPS + 1).astype(np.float64)
    both: Floats = judge.calibrated + isotonic(negatives, positives)
    return both / 2


@dataclass(frozen=True)
class Past:
    """Of one metric in one window: miss of the estimate, its variances, and what an error is measured by."""

    miss: float
    sampling: float
    known: float
    error: float
    peer: float


def rehearse(case: Case) -> tuple[dict[str, float], list[tuple[float, float, float]]]:
    """Return each variant's error relative to NannyML's, and (error, covered, withdrawn) of each of `RECORDS`."""
    names = list(METRICS[case.task])
    error = sampling_errors(case)
    (theirs,), judge, draw = nannyml([case]), Judge.fit(case), np.random.default_rng(0)
    sums: dict[str, list[float]] = {}
    misses: dict[str, dict[int, Past]] = {name: {} for name in names}
    for window, part in enumerate(case.windows()):
        truth = realised(case, part)
        found = {"trees": judge.estimates(part)}
        if case.task != "regression":
            found["calibrator"] = judge.estimates(part, plain=True)
            counted = Scores.empty(case.layout.outcome_bins).updated(part.scores, pa.array(part.predicted, pa.string()))
            curve = density_ratio(case, judge, part, draw)
            found["density ratio"] = cbpe(counted, curve, confusion=judge.confusion)
        for name in names:
            peer = theirs[name]["value"][window]
            if not (math.isfinite(truth[name]) and math.isfinite(peer) and error[name]):
                continue
            sums.setdefault("NannyML", []).append(abs(peer - truth[name]) / error[name])
            for variant, items in found.items():
                sums.setdefault(variant, []).append(abs(items[name].value - truth[name]) / error[name])
            item = found["trees"][name]
            known = item.calibration_variance + judge.expectation.spreads.get(name, 0.0)
            misses[name][window] = Past(
                truth[name] - item.value, item.sampling_variance, known, error[name], sums["NannyML"][-1]
            )
    whole = {variant: float(np.nanmean(values)) for variant, values in sums.items()}
    ratios = {variant: value / whole["NannyML"] for variant, value in whole.items() if variant != "NannyML"}
    unit = case.task != "regression"
    return ratios, [_record(misses, *setting, unit=unit) for setting in RECORDS]


def _record(
    misses: dict[str, dict[int, Past]], persistence: tuple[float, ...], remembered: int, lag: int, *, unit: bool
) -> tuple[float, float, float]:
    """Return the error relative to NannyML's, the share of intervals that hold where not withdrawn, and what is."""
    shipped = track_record.REMEMBERED, track_record.PERSISTENCE
    track_record.REMEMBERED, track_record.PERSISTENCE = remembered, np.array(persistence)
    held, gone, errors, peers = [], 0, 0.0, 0.0
    for name, found in misses.items():
        for window, now in found.items():
            before = [
                Miss(name, past.miss, past.sampling, place) for place, past in found.items() if place <= window - lag
            ]
            # Values are not kept, so that of a rate stands for all: it matters to how wide is useless alone.
            made = corrected(name, 0.5, (now.sampling, now.known), before, period=window, unit=unit)
            off = abs(now.miss - made.correction)
            errors, peers = errors + off / now.error, peers + now.peer
            gone += made.withdrawn is not None
            if made.withdrawn is None:
                held.append(off <= made.half)
    track_record.REMEMBERED, track_record.PERSISTENCE = shipped
    covered = float(np.mean(held)) if held else math.nan
    return errors / peers, covered, gone / max(gone + len(held), 1)


def main(wanted: list[str]) -> None:
    """Print one line for each case, then one for each setting of the track record."""
    cases = itertools.chain(rehearsals(quick=False), *(packaged(name) for name in PACKAGED))
    records = []
    for case in cases:
        if wanted and case.name not in wanted:
            continue
        ratios, found = rehearse(case)
        records.append(found)
        print(case.name, case.kind, {name: round(value, 3) for name, value in ratios.items()}, flush=True)
    for place, (persistence, remembered, lag) in enumerate(RECORDS):
        ratio, covered, withdrawn = np.array([found[place] for found in records]).T
        print(
            f"persistence {persistence}, remembered {remembered}, labels {lag} windows late: error "
            f"{ratio.mean():.3f} of NannyML's, worst {ratio.max():.3f}; "
            f"covered {np.nanmean(covered):.3f}, least {np.nanmin(covered):.3f}; withdrawn {withdrawn.mean():.3f}"
        )


if __name__ == "__main__":
    main(sys.argv[1:])

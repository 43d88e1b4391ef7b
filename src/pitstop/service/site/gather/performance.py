"""How good the model was: realised and estimated metrics by period, the worst segments, how soon labels come."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pitstop.baseline.maturity import lag_curve
from pitstop.monitors.performance import wilson
from pitstop.records.spec import ModelSpec
from pitstop.service.site.gather.served import ServedRows
from pitstop.store.home import ArtifactRecord

# With fewer labels a period's metric is mostly chance, and a segment's error too.
LEAST_ROWS = 30
LEAST_SEGMENT_ROWS = 50
SEGMENT_WINDOWS = 180
SHOWN_SEGMENTS = 12
MATURITY_POINTS = (0, 1, 3, 7, 14, 30, 60, 90, 120, 180, 270, 365)
METRICS = {
    "binary": ("roc_auc", "accuracy", "precision", "recall", "f1"),
    "multiclass": ("accuracy",),
    "regression": ("mae",),
}

Bools = NDArray[np.bool_]


def by_period(spec: ModelSpec, rows: ServedRows, estimates: Sequence[ArtifactRecord]) -> list[dict[str, Any]]:
    """Return each period's rows, labelled rows, realised metrics and estimates with their intervals.

    A realised metric is that of the rows predicted in the period whose label has come, None with fewer than
    `LEAST_ROWS` of them. An estimate that labels contradicted says so in `withdrawn`.
    """
    calendar = spec.calendar
    period = calendar.period_of(rows.at)
    foreseen = {int(item.content["period"]): item.content["metrics"] for item in estimates}
    names = sorted({int(value) for value in np.unique(period)} | set(foreseen))
    found = []
    for number in names:
        mine = period == number
        known = mine & rows.known
        found.append(
            {
                "period": number,
                "name": calendar.name_period(number),
                "start": calendar.period_start(number),
                "end": calendar.period_start(number + 1),
                "rows": int(mine.sum()),
                "labelled": int(known.sum()),
                "realised": realised(spec, rows, known),
                "estimated": {
                    name: {key: foreseen[number][name][key] for key in ("value", "low", "high", "withdrawn")}
                    for name in METRICS[spec.model.task]
                    if name in foreseen.get(number, {})
                },
            }
        )
    return found


def realised(spec: ModelSpec, rows: ServedRows, known: Bools) -> dict[str, float | None]:
    """Return the metrics of the rows `known`; None where too few labels, or only one class, leave one undefined."""
    names = METRICS[spec.model.task]
    if known.sum() < LEAST_ROWS:
        return dict.fromkeys(names)
    label, decided = rows.label[known], rows.decided[known]
    if spec.model.task == "regression":
        miss = np.abs(np.asarray(label, dtype=np.float64) - np.asarray(decided, dtype=np.float64))
        return {"mae": float(miss.mean())}
    right = label == decided
    found: dict[str, float | None] = {"accuracy": float(right.mean())}
    if spec.model.task == "binary":
        positive = spec.decision.positive
        is_one, says_one = label == positive, decided == positive
        hits = float((is_one & says_one).sum())
        precision = hits / says_one.sum() if says_one.any() else None
        recall = hits / is_one.sum() if is_one.any() else None
        both = says_one.sum() + is_one.sum()
        found |= {"precision": precision, "recall": recall, "f1": float(2 * hits / both) if both else None}
        found["roc_auc"] = _auc(rows.score[known], is_one)
    return {name: found[name] for name in names}


def _auc(score: NDArray[np.float64], positive: Bools) -> float | None:
    """Return the area under the curve (Mann and Whitney 1947, ties count half)."""
    heard = np.isfinite(score)
    score, positive = score[heard], positive[heard]
    ones = int(positive.sum())
    if not 0 < ones < len(score):
        return None
    _, place, counts = np.unique(score, return_inverse=True, return_counts=True)
    ranks = np.cumsum(counts) - (counts - 1) / 2
    return float((ranks[place][positive].sum() - ones * (ones + 1) / 2) / (ones * (len(score) - ones)))


def worst_segments(spec: ModelSpec, rows: ServedRows) -> dict[str, Any]:
    """Return the segments whose error is surely largest, of rows predicted in the last `SEGMENT_WINDOWS` windows.

    They are ordered by the lower end of Wilson's 95% interval. Empty for a regression, and without segments or labels.
    """
    if spec.model.task == "regression" or not len(rows.window):
        return {"rows": 0, "error": None, "segments": []}
    recent = rows.known & (rows.window > rows.window.max() - SEGMENT_WINDOWS)
    wrong = rows.label[recent] != rows.decided[recent]
    found: list[dict[str, Any]] = []
    for column, values in rows.segments.items():
        mine = np.array(["(none)" if value is None else str(value) for value in values[recent]], dtype=object)
        for value in sorted(set(mine)):
            inside = mine == value
            n, bad = int(inside.sum()), int(wrong[inside].sum())
            if n < LEAST_SEGMENT_ROWS:
                continue
            low, high = wilson(bad, n)
            found.append({"column": column, "value": value, "rows": n, "error": bad / n, "low": low, "high": high})
    found.sort(key=lambda item: (-item["low"], item["column"], item["value"]))
    overall = float(wrong.mean()) if len(wrong) else None
    return {"rows": int(recent.sum()), "error": overall, "segments": found[:SHOWN_SEGMENTS]}


def label_maturity(rows: ServedRows) -> list[dict[str, float]]:
    """Return the share of rows whose label has come by an age in windows (Kaplan and Meier: waiting rows count)."""
    if not len(rows.window):
        return []
    now = int(rows.window.max())
    ages, share = lag_curve(rows.lag[rows.known], (now - rows.window)[~rows.known])
    if not len(ages):
        return []
    points = [age for age in MATURITY_POINTS if age <= int(ages[-1])]
    places = np.searchsorted(ages, points, side="right") - 1
    return [
        {"age": float(age), "share": float(share[place]) if place >= 0 else 0.0}
        for age, place in zip(points, places, strict=True)
    ]


def features(
    signals: Sequence[tuple[int, str, float]], importance: Mapping[str, float], windows_a_month: int
) -> list[dict[str, Any]]:
    """Return the features by importance x drift: distance now (mean of the last month) and a line of the past.

    `signals` are (window, column, distance from the reference). The line has a point a week, a quarter of a month.
    """
    series: dict[str, dict[int, float]] = {}
    for window, column, value in signals:
        if math.isfinite(value):
            series.setdefault(column, {})[window] = value
    step = max(1, windows_a_month // 4)
    last = max((window for values in series.values() for window in values), default=0)
    found: list[dict[str, Any]] = []
    for column, values in series.items():
        weeks: dict[int, list[float]] = {}
        for window, value in values.items():
            weeks.setdefault((last - window) // step, []).append(value)
        line = [float(np.mean(weeks[week])) if week in weeks else None for week in range(max(weeks), -1, -1)]
        recent = [value for window, value in values.items() if window > last - windows_a_month]
        now = float(np.mean(recent)) if recent else None
        weight = float(importance.get(column, 0.0))
        found.append({"column": column, "importance": weight, "distance": now, "line": line[-104:]})
    found.sort(key=lambda item: (-item["importance"] * (item["distance"] or 0.0), item["column"]))
    return found

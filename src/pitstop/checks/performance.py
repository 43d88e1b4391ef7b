"""Performance in two tables that both hold labels and the model's own output."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pyarrow.compute as pc
from numpy.typing import NDArray

from pitstop.checks.findings import Finding, Severity
from pitstop.checks.pairs import FEWEST_ROWS
from pitstop.records import columns as convert
from pitstop.records.facts import ColumnFacts
from pitstop.statistics.significance import normal_p, rate_p

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Outputs:
    """Label and model output of one table; `positive` is the class that the score is the probability of."""

    label: ColumnFacts
    prediction: ColumnFacts | None
    score: ColumnFacts | None
    positive: str


def compare_performance(reference: Outputs, current: Outputs, task: str, alpha: float) -> list[Finding]:
    """Return a finding where the metric fell by more than chance and by an amount that matters.

    Binary with a score: ROC AUC (standard error of DeLong, DeLong and Clarke-Pearson 1988); with classes: accuracy, by
    Fisher's exact test; regression: mean absolute error (Welch). The 95% interval is of the difference. Rows without a
    label or output are left out.
    """
    if task == "binary" and reference.score is not None and current.score is not None:
        return _auc_drop(reference, current, alpha)
    if reference.prediction is None or current.prediction is None:
        return []
    if task == "regression":
        return _error_rise(reference, current, alpha)
    return _accuracy_drop(reference, current, alpha)


def _auc_drop(reference: Outputs, current: Outputs, alpha: float) -> list[Finding]:
    before, after = _auc(reference), _auc(current)
    if before is None or after is None:
        return []
    drop, error = before[0] - after[0], math.hypot(before[1], after[1])
    if drop < 0.01 or error == 0 or normal_p(drop / error) >= alpha:
        return []
    return [
        _finding(
            current.label.name,
            "ROC AUC",
            (before[0], after[0]),
            1.96 * error,
            "critical" if drop >= 0.05 else "warning",
        )
    ]


def _auc(outputs: Outputs) -> tuple[float, float] | None:
    """Return AUC and its standard error, or None with fewer than ten rows of a class."""
    if outputs.score is None:
        return None
    labels = convert.texts(outputs.label.column, outputs.label.name)
    positive = np.asarray(
        pc.fill_null(pc.equal(labels, outputs.positive), fill_value=False).to_numpy(zero_copy_only=False)
    )
    scores = outputs.score.numbers()
    known = np.asarray(labels.is_valid().to_numpy(zero_copy_only=False), dtype=bool) & np.isfinite(scores)
    high, low = np.sort(scores[known & positive]), np.sort(scores[known & ~positive])
    if min(len(high), len(low)) < 10:
        return None
    wins = _wins(low, high) / len(low)
    losses = 1.0 - _wins(high, low) / len(high)
    variance = float(np.var(wins, ddof=1)) / len(high) + float(np.var(losses, ddof=1)) / len(low)
    return float(wins.mean()), math.sqrt(variance)


def _wins(others: Floats, values: Floats) -> Floats:
    """Return for each value how many of the sorted `others` it beats; ties count half."""
    below = np.searchsorted(others, values, side="left")
    return (below + np.searchsorted(others, values, side="right")) / 2.0


def _accuracy_drop(reference: Outputs, current: Outputs, alpha: float) -> list[Finding]:
    (wrong, rows), (now_wrong, current_rows) = _errors(reference), _errors(current)
    if min(rows, current_rows) < FEWEST_ROWS:
        return []
    before, after = 1 - wrong / rows, 1 - now_wrong / current_rows
    if before - after < 0.01 or rate_p(wrong, rows, now_wrong, current_rows) >= alpha:
        return []
    half = 1.96 * math.sqrt(before * (1 - before) / rows + after * (1 - after) / current_rows)
    severity: Severity = "critical" if before - after >= 0.05 else "warning"
    return [_finding(current.label.name, "accuracy", (before, after), half, severity)]


def _errors(outputs: Outputs) -> tuple[int, int]:
    if outputs.prediction is None:
        return 0, 0
    labels = convert.texts(outputs.label.column, outputs.label.name)
    same = pc.equal(labels, convert.texts(outputs.prediction.column, outputs.prediction.name)).drop_null()
    right = pc.sum(same).as_py() or 0
    return len(same) - right, len(same)


def _error_rise(reference: Outputs, current: Outputs, alpha: float) -> list[Finding]:
    before, after = _absolute_errors(reference), _absolute_errors(current)
    if min(len(before), len(after)) < FEWEST_ROWS:
        return []
    rise = float(after.mean() - before.mean())
    # Squares of errors beyond 1e154 are infinite: then nothing is sure.
    with np.errstate(over="ignore"):
        error = math.sqrt(float(before.var(ddof=1)) / len(before) + float(after.var(ddof=1)) / len(after))
    if rise < 0.05 * float(before.mean()) or error == 0 or normal_p(rise / error) >= alpha:
        return []
    severity: Severity = "critical" if rise >= 0.25 * float(before.mean()) else "warning"
    return [
        _finding(
            current.label.name,
            "mean absolute error",
            (float(before.mean()), float(after.mean())),
            1.96 * error,
            severity,
        )
    ]


def _absolute_errors(outputs: Outputs) -> Floats:
    if outputs.prediction is None:
        return np.zeros(0)
    errors = np.abs(outputs.label.numbers() - outputs.prediction.numbers())
    return errors[np.isfinite(errors)]


def _finding(column: str, metric: str, sides: tuple[float, float], half: float, severity: Severity) -> Finding:
    before, after = sides
    change = abs(after - before)
    verb = "rose" if after > before else "fell"
    sentence = (
        f"{column}: the model's {metric} {verb} from {before:.4g} to {after:.4g}, by {change:.2g} "
        f"(95% interval {change - half:.2g} to {change + half:.2g})."
    )
    return Finding(column, "performance_drop", severity, change, sentence)

"""What the estimates of the benchmark are judged against: realised metrics of rows, their sampling error, NannyML."""

from __future__ import annotations

import json
import tempfile
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from sklearn import metrics

from benchmarks.environments import ask
from benchmarks.estimation_cases import Case, Part

Floats = NDArray[np.float64]

# Our names of the metrics that both sides estimate, and NannyML's.
METRICS = {
    "binary": {
        "accuracy": "accuracy",
        "precision": "precision",
        "recall": "recall",
        "f1": "f1",
        "roc_auc": "roc_auc",
        "average_precision": "average_precision",
    },
    "multiclass": {"accuracy": "accuracy", "macro_f1": "f1"},
    "regression": {"mae": "mae", "rmse": "rmse"},
}
SAMPLES = 100
SCRIPT = Path(__file__).resolve().parent / "peers" / "nannyml_estimation.py"


def realised(case: Case, part: Part) -> dict[str, float]:
    """Return the realised metrics of rows by scikit-learn; NaN where the rows do not define one."""
    truth, said = part.labels, part.predicted
    if case.task == "regression":
        error = said - truth
        return {"mae": float(np.abs(error).mean()), "rmse": float(np.sqrt((error**2).mean()))}
    if case.task == "multiclass":
        return {
            "accuracy": float(np.mean(said == truth)),
            "macro_f1": float(metrics.f1_score(truth.astype(str), said.astype(str), average="macro")),
        }
    positive, taken = truth == case.classes[1], said == case.classes[1]
    hits, found, there = float((positive & taken).sum()), float(taken.sum()), float(positive.sum())
    both = 0 < there < len(truth)
    score = part.probabilities[:, 1]
    return {
        "accuracy": float(np.mean(positive == taken)),
        "precision": hits / found if found else np.nan,
        "recall": hits / there if there else np.nan,
        "f1": 2 * hits / (found + there) if found + there else np.nan,
        "roc_auc": float(metrics.roc_auc_score(positive, score)) if both else np.nan,
        "average_precision": float(metrics.average_precision_score(positive, score)) if both else np.nan,
    }


def sampling_errors(case: Case) -> dict[str, float]:
    """Return the standard error of each metric of a window of rows that are drawn from the reference."""
    draw = np.random.default_rng(1)
    rows = len(case.reference.labels)
    found: dict[str, list[float]] = {}
    for _ in range(SAMPLES):
        chosen = draw.integers(0, rows, case.window)
        reference = case.reference
        sample = Part(
            reference.rows.slice(0, 0),
            reference.predicted[chosen],
            reference.probabilities[chosen],
            reference.labels[chosen],
        )
        for name, value in realised(case, sample).items():
            found.setdefault(name, []).append(value)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        return {name: float(np.nanstd(values)) for name, values in found.items()}


def nannyml(cases: Sequence[Case]) -> list[dict[str, dict[str, Floats]]]:
    """Return, for each case, NannyML's estimates (value, low, high by window) of each metric, by our names."""
    with tempfile.TemporaryDirectory() as temporary:
        folders = [Path(temporary) / str(place) for place in range(len(cases))]
        for case, folder in zip(cases, folders, strict=True):
            folder.mkdir()
            _write(case, folder)
        answer = ask("nannyml", SCRIPT, *map(str, folders), variables={"OMP_NUM_THREADS": "1"})
    return [
        {
            name: {part: np.array(found[theirs][part], dtype=np.float64) for part in ("value", "low", "high")}
            for name, theirs in METRICS[case.task].items()
        }
        for case, found in zip(cases, answer["cases"], strict=True)
    ]


def _write(case: Case, folder: Path) -> None:
    described = {
        "task": case.task,
        "window": case.window,
        "classes": list(case.classes),
        "features": list(case.spec.columns.features),
        "metrics": list(METRICS[case.task].values()),
    }
    (folder / "case.json").write_text(json.dumps(described), encoding="utf-8")
    full = len(case.current.labels) // case.window * case.window
    pq.write_table(_table(case, case.reference, labelled=True), folder / "reference.parquet")
    pq.write_table(_table(case, case.current.piece(0, full), labelled=False), folder / "analysis.parquet")


def _table(case: Case, part: Part, *, labelled: bool) -> pa.Table:
    rows = part.rows if case.task == "regression" else part.rows.select([])
    content: dict[str, Any] = {name: rows[name] for name in rows.column_names}
    if case.task == "binary":
        content["y_pred_proba"] = part.probabilities[:, 1]
        content["y_pred"] = (part.predicted == case.classes[1]).astype(np.int64)
        truth: NDArray[Any] = (part.labels == case.classes[1]).astype(np.int64)
    else:
        content |= {f"y_pred_proba_{name}": part.probabilities[:, k] for k, name in enumerate(case.classes)}
        content["y_pred"] = pa.array(part.predicted)
        truth = part.labels
    if labelled:
        content["y_true"] = pa.array(truth)
    return pa.table(content)

"""NannyML's CBPE or DLE, as it ships, on the cases of `benchmarks/estimation.py`.

Arguments: folders, one for each case, with `case.json` (task, window, classes, features, metrics), `reference.parquet`
(y_true known) and `analysis.parquet` (no label). Prints for each case, and each metric, the estimate and its band of
each window.
"""

import json
import sys
from pathlib import Path

import nannyml
import pandas as pd


def main() -> None:
    """Estimate every window of every case and print one line."""
    # Its encoder does not take pandas 3's own strings.
    pd.options.future.infer_string = False
    cases = [estimated(Path(folder)) for folder in sys.argv[1:]]
    print(json.dumps({"version": nannyml.__version__, "cases": cases}).replace("NaN", "null"))


def estimated(folder: Path) -> dict[str, dict[str, list[float]]]:
    """Return the estimates of one case by metric."""
    case = json.loads((folder / "case.json").read_text(encoding="utf-8"))
    reference = pd.read_parquet(folder / "reference.parquet")
    analysis = pd.read_parquet(folder / "analysis.parquet")
    common = {"y_pred": "y_pred", "y_true": "y_true", "chunk_size": case["window"], "metrics": case["metrics"]}
    if case["task"] == "regression":
        estimator = nannyml.DLE(feature_column_names=case["features"], **common)
    else:
        proba = "y_pred_proba"
        if case["task"] == "multiclass":
            proba = {name: f"y_pred_proba_{name}" for name in case["classes"]}
        estimator = nannyml.CBPE(y_pred_proba=proba, problem_type=f"classification_{case['task']}", **common)
    found = estimator.fit(reference).estimate(analysis).filter(period="analysis").to_df()
    return {
        metric: {
            "value": found[(metric, "value")].tolist(),
            "low": found[(metric, "lower_confidence_boundary")].tolist(),
            "high": found[(metric, "upper_confidence_boundary")].tolist(),
        }
        for metric in case["metrics"]
    }


if __name__ == "__main__":
    main()

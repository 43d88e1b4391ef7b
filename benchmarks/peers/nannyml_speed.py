"""NannyML: seconds of univariate drift by day, or of CBPE by day, on the tables of `benchmarks/speed.py`.

Arguments: `drift` or `cbpe`, the reference and the current table (Parquet), the number of runs. The fit is not timed.
"""

import json
import sys
import time

import nannyml
import pandas as pd


def main() -> None:
    """Time the calculation and print one line."""
    what, reference_path, current_path, runs = sys.argv[1:]
    reference, current = pd.read_parquet(reference_path), pd.read_parquet(current_path)
    names = [name for name in reference.columns if name.startswith(("number_", "text_"))]
    if what == "drift":
        fitted = nannyml.UnivariateDriftCalculator(
            column_names=names,
            timestamp_column_name="at",
            continuous_methods=["kolmogorov_smirnov"],
            categorical_methods=["chi2"],
            chunk_period="D",
        ).fit(reference)
        action = fitted.calculate
    else:
        fitted = nannyml.CBPE(
            y_pred_proba="score",
            y_pred="predicted",
            y_true="label",
            timestamp_column_name="at",
            problem_type="classification_binary",
            metrics=["accuracy", "precision", "recall", "f1", "roc_auc"],
            chunk_period="D",
        ).fit(reference)
        action = fitted.estimate
    seconds = []
    for _ in range(int(runs)):
        start = time.perf_counter()
        action(current)
        seconds.append(time.perf_counter() - start)
    print(json.dumps({"seconds": seconds, "version": nannyml.__version__}))


if __name__ == "__main__":
    main()

"""Worst segments, and all features together, in words."""

from __future__ import annotations

from pitstop.report.surveyed import domain_line, segment_lines

SEGMENT = {"text": "shop = c", "rows": 90, "share": 0.1, "mean": 0.5, "others": 0.1, "low": 0.3, "high": 0.5}
DOMAIN = {"auc": 0.71, "low": 0.68, "high": 0.74, "usual": 0.55, "columns": [["x1", 0.1], ["x2", 0.05]], "moved": True}


def test_segments_are_told_with_the_interval_of_the_rows_that_confirmed_them() -> None:
    (line,) = segment_lines({"segments": [SEGMENT]}, "binary")
    assert line == "shop = c: 50.0% are wrong instead of 10.0% (30.0 to 50.0 points more; 10% of the rows)"
    (line,) = segment_lines({"segments": [SEGMENT]}, "regression")
    assert line == "shop = c: the error is 0.5 instead of 0.1 (0.3 to 0.5 more; 10% of the rows)"
    assert segment_lines({"period": 1, "metrics": {}}, "binary") == ()


def test_all_features_together_are_told_beside_what_is_usual() -> None:
    assert domain_line({"domain": DOMAIN}) == (
        "New rows are told from the reference's with an AUC of 0.71 (0.68 to 0.74; within the reference it is 0.55), "
        "most by x1 and x2."
    )
    still = domain_line({"domain": {**DOMAIN, "moved": False, "usual": None}})
    assert still.startswith("All features together look as they did")
    assert domain_line({"domain": None}) == ""

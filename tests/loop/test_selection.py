"""Selective labels are told from labels that are rare, late or few."""

from __future__ import annotations

import numpy as np
import pytest

from pitstop.loop.selection import hidden_by_decision


def rows(shares: dict[str, float], each: int) -> tuple[np.ndarray, np.ndarray]:
    decided = np.repeat(np.array(list(shares), dtype=object), each)
    labelled = np.concatenate([np.arange(each) < share * each for share in shares.values()])
    return decided, labelled


def test_labels_that_come_for_one_decision_only_are_no_sample() -> None:
    why = hidden_by_decision(*rows({"grant": 0.9, "refuse": 0.0}, 500))
    assert why.startswith("labels depend on the decision: 0.0% of the rows decided 'refuse'")
    assert "90.0% of those decided 'grant'" in why
    # A few by exploration do not make it one: they need their chance beside them.
    assert hidden_by_decision(*rows({"grant": 0.9, "refuse": 0.03, "ask": 0.8}, 2000))


@pytest.mark.parametrize(
    ("shares", "each"),
    [({"a": 0.9, "b": 0.7}, 5000), ({"a": 0.2, "b": 0.2}, 500), ({"a": 1.0, "b": 0.0}, 5), ({"a": 0.5}, 500)],
    ids=["not quite alike", "few labels for all", "too few rows to tell", "one decision"],
)
def test_other_gaps_are_let_pass(shares: dict[str, float], each: int) -> None:
    assert hidden_by_decision(*rows(shares, each)) == ""


def test_no_rows_tell_nothing() -> None:
    assert hidden_by_decision(np.zeros(0, dtype=object), np.zeros(0, dtype=np.bool_)) == ""

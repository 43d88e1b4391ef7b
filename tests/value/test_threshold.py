"""The profit curve against trying every threshold, and advice that does not flatter itself."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pitstop.errors import ColumnValueError, SpecError
from pitstop.records.spec import ColumnsSection, DecisionSection, ModelSection, ModelSpec, Outcome, ValueSection
from pitstop.value.function import outcome_values, value_threshold
from pitstop.value.money import money
from pitstop.value.threshold import advise

SPEC = ModelSpec(
    ModelSection("m", "binary"),
    ColumnsSection(time="t", features=("x",), label="y", score="s"),
    decision=DecisionSection("1", 0.5),
    value=ValueSection(
        currency="EUR",
        true_positive=Outcome(20.0),
        false_positive=Outcome(-10.0, -0.5, "price"),
        true_negative=Outcome(0.0),
        false_negative=Outcome(-1.0),
    ),
)
ROWS = st.lists(
    st.tuples(st.integers(0, 1000), st.booleans(), st.integers(0, 50), st.integers(0, 5)), min_size=1, max_size=40
)


@settings(max_examples=60, deadline=None)
@given(ROWS)
def test_the_curve_is_what_each_threshold_would_have_earned(rows: list[tuple[int, bool, int, int]]) -> None:
    scores = np.array([score for score, *_ in rows]) / 1000
    labels = np.array(["1" if good else "0" for _, good, *_ in rows], dtype=object)
    amounts = {"price": np.array([float(price) for _, _, price, _ in rows])}
    windows = np.array([window for *_, window in rows])
    found = advise(SPEC, scores, labels, amounts, windows)
    for place in (0, 1, 250, 499, 500, 501, 999, 1000, 1001):
        said = np.where(scores >= found.thresholds[place], "1", "0").astype(object)
        assert found.profit[place] == outcome_values(SPEC, said, labels, amounts).sum()
    today = np.where(scores >= 0.5, "1", "0").astype(object)
    assert found.today_profit == money(outcome_values(SPEC, today, labels, amounts).sum())
    assert found.best_profit == money(int(found.profit.max()))
    # What is chosen on one half and charged on the other cannot be better than the best of hindsight.
    assert found.regret.total <= found.best_profit - found.today_profit


def drawn(rows: int, threshold: float, seed: int) -> tuple[ModelSpec, np.ndarray, np.ndarray, np.ndarray]:
    """Return calibrated scores over 60 days, with labels, under some threshold of today."""
    rng = np.random.default_rng(seed)
    scores = rng.uniform(size=rows)
    labels = np.where(rng.uniform(size=rows) < scores, "1", "0").astype(object)
    spec = replace(
        SPEC,
        decision=DecisionSection("1", threshold),
        value=replace(SPEC.value, false_positive=Outcome(-10.0), false_negative=Outcome()),
    )
    return spec, scores, labels, rng.integers(0, 60, rows)


def test_a_wrong_threshold_is_found_near_the_one_that_theory_gives() -> None:
    spec, scores, labels, windows = drawn(20_000, 0.7, 0)
    theory = value_threshold(spec)
    assert theory == pytest.approx(1 / 3)
    found = advise(spec, scores, labels, {}, windows)
    assert found.worth_changing
    assert found.best == pytest.approx(theory, abs=0.06)


def test_at_the_right_threshold_there_is_rarely_advice() -> None:
    """The best of a sample beats the right one on that sample; across halves it does not."""
    wrong = 0
    for seed in range(60):
        spec, scores, labels, windows = drawn(800, 1 / 3, seed)
        found = advise(spec, scores, labels, {}, windows)
        assert found.best_profit >= found.today_profit
        wrong += found.worth_changing
    assert wrong <= 5


def test_other_tasks_and_no_rows_are_refused() -> None:
    none = np.zeros(0)
    with pytest.raises(SpecError, match="matter of binary tasks"):
        advise(replace(SPEC, model=ModelSection("m", "regression")), none, none, {}, none.astype(int))
    with pytest.raises(ColumnValueError, match="got 0 rows"):
        advise(SPEC, none, none, {}, none.astype(int))

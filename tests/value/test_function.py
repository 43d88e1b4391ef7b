from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pitstop.errors import ColumnValueError, MissingColumnError, SpecError
from pitstop.records.spec import (
    ColumnsSection,
    DecisionSection,
    ModelSection,
    ModelSpec,
    Outcome,
    Task,
    ValueSection,
)
from pitstop.value.function import (
    TICKS,
    best_values,
    expected_values,
    largest_losses,
    losses,
    outcome_values,
    value_threshold,
)

worths = st.floats(-1e4, 1e4).map(lambda worth: round(worth, 3))
outcomes = st.builds(Outcome, worths, st.floats(-3, 3), st.sampled_from([None, "amount"]))
values = st.builds(
    ValueSection, st.just("EUR"), outcomes, outcomes, outcomes, outcomes, outcomes, outcomes, st.just(Outcome(-2.0))
)
amount_columns = st.lists(st.floats(-1e4, 1e4) | st.just(float("nan")), min_size=1, max_size=20)


def spec_of(value: ValueSection, task: Task = "binary") -> ModelSpec:
    return ModelSpec(
        ModelSection("m", task), ColumnsSection("t", ("x",)), value=value, decision=DecisionSection("yes", 0.5)
    )


HOTEL = ValueSection("EUR", true_positive=Outcome(20.0), false_positive=Outcome(-10.0), false_negative=Outcome())


@settings(max_examples=40)
@given(values, amount_columns, st.randoms(use_true_random=False))
def test_a_loss_is_never_negative_and_never_above_its_bound(
    value: ValueSection, column: list[float], rng: object
) -> None:
    amounts = {"amount": np.array(column)}
    draw = np.random.default_rng(rng.randrange(2**32))  # type: ignore[attr-defined]  # hypothesis gives a Random
    for task, classes in (("binary", ["no", "yes"]), ("multiclass", ["a", "b", "c"])):
        spec = spec_of(value, "binary" if task == "binary" else "multiclass")
        labels, predicted = (draw.choice(classes, len(column)) for _ in range(2))
        lost = losses(spec, predicted, labels, amounts)
        assert (lost >= 0).all()
        assert (lost <= largest_losses(spec, len(column), amounts) + 1e-9).all()


@settings(max_examples=40)
@given(values, amount_columns)
def test_the_best_of_both_decisions_has_no_loss(value: ValueSection, column: list[float]) -> None:
    spec, amounts = spec_of(value), {"amount": np.array(column)}
    for label in ("yes", "no"):
        labels = np.full(len(column), label)
        both = [losses(spec, np.full(len(column), decision), labels, amounts) for decision in ("yes", "no")]
        np.testing.assert_array_equal(np.minimum(*both), 0.0)


@settings(max_examples=40)
@given(values, amount_columns, st.integers(0, 2**32 - 1))
def test_the_expectation_is_the_mean_over_both_labels(value: ValueSection, column: list[float], seed: int) -> None:
    spec, amounts, size = spec_of(value), {"amount": np.array(column)}, len(column)
    draw = np.random.default_rng(seed)
    chance, acted = draw.random(size), draw.random(size) < 0.5
    mean, variance = expected_values(spec, chance, acted, amounts)
    if_yes, if_no = (outcome_values(spec, acted, np.full(size, label), amounts) / TICKS for label in (True, False))
    np.testing.assert_allclose(mean, chance * if_yes + (1 - chance) * if_no, atol=1e-4)
    spread = chance * (if_yes - mean) ** 2 + (1 - chance) * (if_no - mean) ** 2
    # The worths that are compared here were rounded to ticks.
    np.testing.assert_allclose(variance, spread, rtol=1e-6, atol=10 * 1e-4 * (1 + np.abs(if_yes - if_no).max()))


@settings(max_examples=40)
@given(worths, worths, worths, worths)
def test_acting_pays_exactly_from_the_threshold_on(hit: float, alarm: float, quiet: float, miss: float) -> None:
    spec = spec_of(ValueSection("EUR", Outcome(hit), Outcome(alarm), Outcome(quiet), Outcome(miss)))
    threshold = value_threshold(spec)
    if threshold is None:
        assert quiet <= alarm or hit <= miss
        return
    chance = np.array([threshold * 0.99, threshold + (1 - threshold) * 0.01])
    acting, _ = expected_values(spec, chance, np.array([True, True]), {})
    waiting, _ = expected_values(spec, chance, np.array([False, False]), {})
    assert acting[0] < waiting[0]
    assert acting[1] > waiting[1]


def test_the_hotel_by_hand() -> None:
    spec = spec_of(HOTEL)
    predicted, labels = np.array(["yes", "yes", "no", "no"]), np.array(["yes", "no", "yes", "no"])
    assert outcome_values(spec, predicted, labels, {}).tolist() == [200_000, -100_000, 0, 0]
    assert best_values(spec, labels, {}).tolist() == [200_000, 0, 200_000, 0]
    assert losses(spec, predicted, labels, {}).tolist() == [0.0, 10.0, 20.0, 0.0]
    assert value_threshold(spec) == pytest.approx(1 / 3)
    mean, variance = expected_values(spec, [0.5], ["yes"], {})
    assert (mean[0], variance[0]) == (5.0, 225.0)


def test_arrow_columns_and_booleans_mean_the_same_as_text() -> None:
    spec = spec_of(HOTEL)
    text = outcome_values(spec, np.array(["yes", "no"]), np.array(["yes", "yes"]), {})
    arrow = outcome_values(spec, pa.array(["yes", "no"]), pa.array(["yes", "yes"]).dictionary_encode(), {})
    flags = outcome_values(spec, np.array([True, False]), np.array([True, True]), {})
    arrow_flags = outcome_values(spec, pa.chunked_array([[True], [False]]), pa.array([True, True]), {})
    assert text.tolist() == arrow.tolist() == flags.tolist() == arrow_flags.tolist()
    with pytest.raises(ColumnValueError, match="expected the name of a class"):
        outcome_values(spec, pa.array([True, False]), pa.array([True, None]), {})
    empty = losses(spec, pa.array([], pa.string()), pa.array([], pa.bool_()), {})
    assert empty.tolist() == []


def test_amounts_are_multiplied_rounded_half_to_even_and_missing_ones_count_as_nothing() -> None:
    spec = spec_of(ValueSection("EUR", true_positive=Outcome(0.0, 0.5, "price")))
    act = np.array(["yes"] * 5)
    worth = outcome_values(spec, act, act, {"price": np.array([3.0, np.nan, 0.0625, 0.1875, 0.3125])})
    assert worth.tolist() == [15_000, 0, 312, 938, 1562]
    assert value_threshold(spec) is None


def test_an_error_in_regression_costs_its_size_and_earns_never() -> None:
    spec = spec_of(ValueSection("EUR", per_unit_error=Outcome(0.0, -0.5, "price")), "regression")
    amounts = {"price": np.array([2.0, -2.0])}
    assert losses(spec, [1.0, 1.0], [4.0, 4.0], amounts).tolist() == [3.0, 0.0]
    assert largest_losses(spec, 2, amounts, error_range=5.0)[0] == pytest.approx(5.0, abs=1e-3)
    with pytest.raises(ColumnValueError, match="error_range"):
        largest_losses(spec, 2, amounts)
    with pytest.raises(SpecError, match="never earns"):
        losses(spec_of(ValueSection(per_unit_error=Outcome(1.0)), "regression"), [1.0], [2.0], {})
    with pytest.raises(SpecError, match="a task with classes"):
        expected_values(spec, [0.5], [1.0], amounts)


@pytest.mark.parametrize(
    ("predicted", "labels", "message"),
    [
        (["yes"], ["yes", "no"], "columns of 1 and of 2 rows"),
        (["yes", None], ["yes", "no"], "row 1: the prediction is None"),
        ([1, 0], ["yes", "no"], "row 0: the prediction is 1"),
        ([["yes", "no"]], ["yes", "no"], "one value per row"),
    ],
)
def test_what_is_not_a_decision_is_refused(predicted: list[object], labels: list[str], message: str) -> None:
    with pytest.raises(ColumnValueError, match=message):
        outcome_values(spec_of(HOTEL), np.array(predicted), np.array(labels), {})


def test_amounts_that_are_absent_too_large_or_too_short_are_refused() -> None:
    spec = spec_of(ValueSection("EUR", true_positive=Outcome(1.0, 0.5, "price")))
    act = np.array(["yes", "yes"])
    with pytest.raises(MissingColumnError, match="'price'"):
        outcome_values(spec, act, act, {})
    with pytest.raises(ColumnValueError, match="row 1: its outcome is worth inf"):
        outcome_values(spec, act, act, {"price": np.array([1.0, np.inf])})
    with pytest.raises(ColumnValueError, match="columns of 2 and of 1 rows"):
        outcome_values(spec, act, act, {"price": np.array([1.0])})
    with pytest.raises(ColumnValueError, match=r"row 1: got the probability 1\.5"):
        expected_values(spec, [0.5, 1.5], act, {"price": np.ones(2)})

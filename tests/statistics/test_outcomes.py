"""Realised metrics from counts against scikit-learn's from rows, and losses per leaf against their rows."""

from __future__ import annotations

import math
import statistics
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics

from pitstop.errors import StatisticError
from pitstop.statistics.bins import NumericBins
from pitstop.statistics.cells import Cells, LeafBins
from pitstop.statistics.outcome_bins import OutcomeBins
from pitstop.statistics.outcomes import Outcomes
from pitstop.statistics.scores import Scores

BINARY = OutcomeBins("binary", ("0", "1"))
CLASSES = OutcomeBins("multiclass", ("1", "2", "3"))


def binary_rows(n: int) -> tuple[Any, Any, Any]:
    rng = np.random.default_rng(n)
    scores = rng.beta(1, 2, n)
    return scores, scores >= 0.4, (rng.random(n) < scores).astype(np.int64)


def test_binary_metrics_are_those_of_the_rows() -> None:
    scores, predicted, labels = binary_rows(4_000)
    got = Outcomes.empty(BINARY).updated(scores, predicted, pa.array(labels).cast(pa.string())).metrics()
    binned = np.floor(scores * 1000 + 0.5) / 1000
    assert got["accuracy"] == pytest.approx(metrics.accuracy_score(labels, predicted))
    assert got["precision"] == pytest.approx(metrics.precision_score(labels, predicted))
    assert got["recall"] == pytest.approx(metrics.recall_score(labels, predicted))
    assert got["f1"] == pytest.approx(metrics.f1_score(labels, predicted))
    assert got["roc_auc"] == pytest.approx(metrics.roc_auc_score(labels, binned))
    assert got["average_precision"] == pytest.approx(metrics.average_precision_score(labels, binned))
    assert got["brier"] == pytest.approx(metrics.brier_score_loss(labels, binned))
    assert got["roc_auc"] == pytest.approx(metrics.roc_auc_score(labels, scores), abs=1e-3)
    assert got["log_loss"] == pytest.approx(metrics.log_loss(labels, scores), abs=2e-3)


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 1)), min_size=1, max_size=60))
def test_auc_from_counts_is_the_share_of_pairs_in_order(rows: list[tuple[int, int]]) -> None:
    scores, labels = np.array([row[0] / 4 for row in rows]), np.array([row[1] for row in rows])
    got = Outcomes.empty(BINARY).updated(scores, scores >= 0.5, labels).metrics()["roc_auc"]
    pairs = [
        (s > t) + (s == t) / 2
        for s, y in zip(scores, labels, strict=True)
        if y
        for t, z in zip(scores, labels, strict=True)
        if not z
    ]
    assert got == pytest.approx(np.mean(pairs)) if pairs else math.isnan(got)


def test_rows_without_a_score_count_in_the_confusion_only() -> None:
    outcomes = Outcomes.empty(BINARY).updated(None, np.array([True, False]), np.array([1, 1]))
    assert outcomes.confusion.tolist() == [[0, 1], [0, 1]]
    assert outcomes.metrics()["accuracy"] == 0.5
    assert math.isnan(outcomes.metrics()["roc_auc"])
    assert outcomes.errors == ((1,), 2)


def test_undefined_metrics_are_nan() -> None:
    for bins in (BINARY, CLASSES, OutcomeBins("regression", (), NumericBins((0.0, 1.0)))):
        assert all(math.isnan(value) for value in Outcomes.empty(bins).metrics().values())


def test_multiclass_metrics_are_those_of_the_rows() -> None:
    rng = np.random.default_rng(5)
    labels = rng.integers(1, 4, 3_000)
    predicted = np.where(rng.random(3_000) < 0.7, labels, rng.integers(1, 4, 3_000))
    outcomes = Outcomes.empty(CLASSES).updated(rng.random(3_000), predicted, labels)
    assert outcomes.metrics()["accuracy"] == pytest.approx(metrics.accuracy_score(labels, predicted))
    assert outcomes.metrics()["macro_f1"] == pytest.approx(metrics.f1_score(labels, predicted, average="macro"))
    assert outcomes.confusion[:3, :3].tolist() == metrics.confusion_matrix(predicted, labels).tolist()
    assert outcomes.by_score.sum(axis=1).tolist() == [
        int((labels != predicted).sum()),
        int((labels == predicted).sum()),
    ]


def test_two_classes_never_seen_before_are_not_the_same_class() -> None:
    outcomes = Outcomes.empty(CLASSES).updated(None, pa.array(["8", "1"]), pa.array(["9", "1"]))
    assert outcomes.errors == ((1,), 2)
    assert outcomes.metrics()["accuracy"] == 0.5
    assert outcomes.part("hits").sum(axis=1).tolist() == [1, 1]


def test_a_constant_label_has_no_r2_however_many_its_rows() -> None:
    bins = OutcomeBins("regression", (), NumericBins.fit(np.random.default_rng(0).random(1000)))
    labels = np.full(999_999, 2.987)
    outcomes = Outcomes.empty(bins).updated(None, labels + 0.5, labels)
    assert math.isnan(outcomes.metrics()["r2"])
    # One label that lies one off is a spread of about 1.
    got = outcomes.updated(None, np.array([4.0]), np.array([3.987])).metrics()
    assert got["r2"] == pytest.approx(1 - 0.25 * 1e6, rel=1e-3)


def test_regression_metrics_are_those_of_the_rows() -> None:
    rng = np.random.default_rng(6)
    labels = rng.gamma(2.0, 100.0, 3_000)
    predicted = labels + rng.normal(5, 40, 3_000)
    bins = OutcomeBins("regression", (), NumericBins.fit(labels), (20.0, 60.0))
    outcomes = Outcomes.empty(bins).updated(None, predicted, labels)
    got = outcomes.metrics()
    assert got["mae"] == pytest.approx(metrics.mean_absolute_error(labels, predicted), abs=bins.unit)
    assert got["rmse"] == pytest.approx(metrics.root_mean_squared_error(labels, predicted), abs=bins.unit)
    assert got["r2"] == pytest.approx(metrics.r2_score(labels, predicted), abs=1e-3)
    assert got["bias"] == pytest.approx(float(np.mean(predicted - labels)), abs=bins.unit)
    error = np.abs(predicted - labels)
    assert outcomes.errors == ((int((error >= 20).sum()), int((error >= 60).sum())), 3_000)


def test_an_error_far_beyond_the_labels_is_clipped_and_counted() -> None:
    bins = OutcomeBins("regression", (), NumericBins((0.0, 50.0, 100.0)), (10.0,))
    outcomes = Outcomes.empty(bins).updated(None, np.array([1e308, 1.0]), np.array([-1e308, 1.0]))
    assert int(outcomes.part("clipped")) == 1
    assert outcomes.metrics()["mae"] == pytest.approx(16 * 128 / 2, rel=0.01)


def test_rows_without_prediction_or_label_are_nulls() -> None:
    outcomes = Outcomes.empty(BINARY).updated(None, pa.array([None, "1", "0"]), pa.array(["1", None, "0"]))
    assert (outcomes.n, outcomes.nulls) == (1, 2)


@pytest.mark.parametrize("predicted", [np.array([1.0, 0.0]), pa.array([1.0])])
def test_classes_as_floats_are_refused(predicted: Any) -> None:
    with pytest.raises(StatisticError, match="as text"):
        Scores.empty(BINARY).updated(None, predicted)


def test_lengths_that_differ_are_refused() -> None:
    with pytest.raises(StatisticError, match="one label for each"):
        Outcomes.empty(BINARY).updated(None, np.array([True]), np.array([1, 0]))
    with pytest.raises(StatisticError, match="expected one each"):
        Scores.empty(BINARY).updated(np.array([0.5]), np.array([True, False]))


def test_scores_give_their_mean_and_classes() -> None:
    scores = Scores.empty(BINARY).updated(pa.array([0.2, 0.4, None]), pa.array(["0", "1", "1"]))
    assert scores.mean == pytest.approx(0.3)
    assert scores.by_class.tolist() == [1, 2]
    assert scores.unscored.tolist() == [0, 1]
    assert scores.by_score[[200, 400]].tolist() == [1, 1]


def test_booleans_mean_positive_whatever_the_positive_class_is_called() -> None:
    bins = OutcomeBins("binary", ("stays", "cancels"))
    by_flag = Scores.empty(bins).updated(None, np.array([True, False]))
    assert by_flag == Scores.empty(bins).updated(None, pa.array(["cancels", "anything"]))


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 63), st.integers(0, 10**9)), min_size=1, max_size=40))
def test_losses_and_their_squares_are_exact(rows: list[tuple[int, int]]) -> None:
    leaves, ticks = np.array([row[0] for row in rows]), [row[1] for row in rows]
    cells = Cells.empty(LeafBins()).updated(leaves, np.array(ticks) / 10_000)
    state = cells.to_state()
    for leaf in set(leaves.tolist()):
        mine = [tick for at, tick in rows if at == leaf]
        assert int(state["loss"][leaf]) == sum(mine)
        square = (int(state["high"][leaf]) << 40) + (int(state["mixed"][leaf]) << 21) + int(state["low"][leaf])
        assert square == sum(tick * tick for tick in mine)
        if len(mine) > 1:
            assert cells.variance[leaf] == pytest.approx(statistics.variance(mine) / 10**8, rel=1e-12)
    assert cells.total_loss == pytest.approx(sum(ticks) / 10_000)


@pytest.mark.parametrize(
    ("leaves", "losses", "message"),
    [
        ([64], [0.0], "code 64"),
        ([-1], [0.0], "code -1"),
        ([0, 1], [0.0, -1.0], "row 1 has the loss -1.0"),
        ([0], [math.inf], "row 0 has the loss inf"),
        ([0], [0.0, 1.0], "one each"),
        ([0.5], [0.0], "whole numbers"),
    ],
)
def test_impossible_leaves_and_losses_are_refused(leaves: list[Any], losses: list[float], message: str) -> None:
    with pytest.raises(StatisticError, match=message):
        Cells.empty(LeafBins()).updated(np.array(leaves), np.array(losses))


@pytest.mark.parametrize(
    "arguments",
    [
        ("binary", ("1",)),
        ("multiclass", ()),
        ("multiclass", ("a", "a")),
        ("regression", ("a",)),
        ("regression", (), NumericBins((0.0,)), (2.0, 1.0)),
    ],
)
def test_outcome_bins_that_do_not_fit_their_task_are_refused(arguments: Any) -> None:
    with pytest.raises(StatisticError):
        OutcomeBins(*arguments)

"""Every built-in statistic keeps every law, on the nastiest batches that hypothesis finds."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pitstop.errors import StatisticError
from pitstop.statistics.base import Statistic
from pitstop.statistics.bins import CategoryBins, NumericBins
from pitstop.statistics.categories import CategoryCounts
from pitstop.statistics.cells import Cells, LeafBins
from pitstop.statistics.histogram import Histogram
from pitstop.statistics.outcome_bins import OutcomeBins
from pitstop.statistics.outcomes import Outcomes
from pitstop.statistics.scores import Scores
from pitstop.testing.statistics_laws import Subject, statistic_laws

NASTY = [0.0, -0.0, 1.0, 1e308, -1e308, 5e-324, 1.7976931348623157e308, math.inf, -math.inf, math.nan, None]
NUMBERS = st.one_of(st.sampled_from(NASTY), st.floats(-100, 100), st.integers(-5, 5).map(float))
NUMERIC = {
    "quantiles": NumericBins.fit(np.random.default_rng(1).normal(0, 10, 500)),
    "one value each": NumericBins.fit(np.array([0.0, 1.0, 2.0, 5.0])),
    "constant": NumericBins.fit(np.zeros(4)),
    "nothing": NumericBins(()),
    "huge": NumericBins((-1e308, 0.0, 1e308)),
    "tiny": NumericBins((0.0, 5e-324, 1e-300)),
}
TEXTS = st.one_of(st.none(), st.sampled_from(["a", "b", "c", "d", "unheard of", ""]))
CATEGORIES = {
    "closed": CategoryBins(("a", "b"), ("a", "b", "c")),
    "open": CategoryBins(("a", "b"), (), open=True),
    "nothing": CategoryBins(()),
}
BINARY = OutcomeBins("binary", ("no", "yes"))
MULTICLASS = OutcomeBins("multiclass", ("a", "b", "c"))
REGRESSION = OutcomeBins("regression", (), NUMERIC["quantiles"], (1.0, 5.0))
SCORE = st.one_of(st.none(), st.just(math.nan), st.floats(0, 1), st.sampled_from([0.0, 1.0, 0.5, 0.0005, 0.9995]))
LOSS = st.one_of(st.none(), st.floats(0, 1e9), st.just(0.0), st.just(1e300))


def floats(values: list[Any]) -> pa.Array:
    return pa.array(values, pa.float64())


def texts(values: list[Any]) -> pa.Array:
    return pa.array(values, pa.string())


def encoded(values: list[Any]) -> pa.Array:
    return texts(values).dictionary_encode()


def leaves(values: list[Any]) -> Any:
    return np.array(values, dtype=np.int64)


Column = tuple[st.SearchStrategy[Any], Callable[[list[Any]], Any]]
CLASS = st.one_of(st.none(), st.sampled_from(["no", "yes", "a", "b", "c", "z"]))
KINDS: dict[str, tuple[type[Statistic], Any, Any, list[Column]]] = {
    **{
        f"histogram {name}": (Histogram, bins, NumericBins((7.0, 8.0)), [(NUMBERS, floats)])
        for name, bins in NUMERIC.items()
    },
    **{
        f"categories {name}": (CategoryCounts, bins, CategoryBins(("q",), ("q",)), [(TEXTS, texts)])
        for name, bins in CATEGORIES.items()
    },
    "categories encoded": (CategoryCounts, CATEGORIES["closed"], CATEGORIES["open"], [(TEXTS, encoded)]),
    "scores binary": (Scores, BINARY, MULTICLASS, [(SCORE, floats), (CLASS, texts)]),
    "scores multiclass": (Scores, MULTICLASS, BINARY, [(SCORE, floats), (CLASS, encoded)]),
    "scores regression": (Scores, REGRESSION, BINARY, [(SCORE, floats), (NUMBERS, floats)]),
    "outcomes binary": (Outcomes, BINARY, MULTICLASS, [(SCORE, floats), (CLASS, texts), (CLASS, texts)]),
    "outcomes multiclass": (Outcomes, MULTICLASS, BINARY, [(SCORE, floats), (CLASS, texts), (CLASS, encoded)]),
    "outcomes regression": (Outcomes, REGRESSION, BINARY, [(SCORE, floats), (NUMBERS, floats), (NUMBERS, floats)]),
    "cells": (Cells, LeafBins(), LeafBins(32), [(st.integers(0, 63), leaves), (LOSS, floats)]),
}


@pytest.mark.parametrize("name", list(KINDS))
def test_every_statistic_keeps_every_law(name: str) -> None:
    kind, bins, other, columns = KINDS[name]

    @settings(max_examples=12, deadline=None)
    @given(st.lists(st.lists(st.tuples(*(strategy for strategy, _ in columns)), max_size=40), max_size=4))
    def holds(raw: list[list[tuple[Any, ...]]]) -> None:
        batches = [tuple(make([row[index] for row in rows]) for index, (_, make) in enumerate(columns)) for rows in raw]
        for law in statistic_laws():
            law(Subject(kind, bins, other, batches))

    holds()


class Forgetful(Histogram):
    """A broken statistic: it takes no further batch once it has counted something."""

    def updated(self, values: Any) -> Any:
        return self if self.n else super().updated(values)


class Undercounting(Histogram):
    """A broken statistic: it drops the last value of every batch."""

    def updated(self, values: Any) -> Any:
        return super().updated(values[:-1])


@pytest.mark.parametrize(("kind", "law"), [(Forgetful, "order"), (Forgetful, "pieces"), (Undercounting, "pieces")])
def test_the_laws_find_a_broken_statistic(kind: type[Histogram], law: str) -> None:
    batches = [(floats([1.0, 2.0]),), (floats([5.0, 0.0]),)]
    subject = Subject(kind, NUMERIC["one value each"], NUMERIC["constant"], batches)
    check = next(candidate for candidate in statistic_laws() if candidate.__name__ == law)
    with pytest.raises(AssertionError, match=f"law `{law}` is broken"):
        check(subject)


@settings(deadline=None)
@given(st.integers(0, 2**62 - 1))
def test_totals_that_could_overflow_are_refused(total: int) -> None:
    near = Histogram(NUMERIC["nothing"], np.array([0, 2**62 + total, 0, 0, 0, 0], dtype=np.int64))
    with pytest.raises(StatisticError, match="2\\^62"):
        near.merged(near)

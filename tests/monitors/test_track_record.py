"""What estimates missed by widens the next one's interval, and ends it when it says no more than a guess."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pitstop.monitors.track_record import REMEMBERED, Miss, band, misses_of

CHANCE = 1e-4
Z = 1.96


def of(*misses: float) -> tuple[Miss, ...]:
    return tuple(Miss("accuracy", miss, CHANCE) for miss in misses)


@given(st.lists(st.floats(-0.5, 0.5), max_size=8), st.floats(0, 1e-3))
def test_an_interval_is_never_narrower_than_without_a_record(misses: list[float], known: float) -> None:
    alone = band("accuracy", 0.8, (CHANCE, known), ())
    assert alone.half == pytest.approx(Z * math.sqrt(CHANCE + known))
    assert alone.withdrawn is None
    assert band("accuracy", 0.8, (CHANCE, known), of(*misses)).half >= alone.half


def test_an_estimate_that_is_not_defined_and_has_no_record_is_not_withdrawn() -> None:
    assert band("roc_auc", math.nan, (math.nan, math.nan), ()).withdrawn is None


def test_only_the_same_metric_and_the_latest_misses_count() -> None:
    other = tuple(Miss("f1", 0.4, CHANCE) for _ in range(3))
    assert band("accuracy", 0.8, (CHANCE, 0.0), other).withdrawn is None
    old = of(0.4, *[0.0] * REMEMBERED)
    assert band("accuracy", 0.8, (CHANCE, 0.0), old).half == pytest.approx(Z * 0.01)


def test_it_comes_back_once_estimates_are_near_again() -> None:
    assert band("accuracy", 0.8, (CHANCE, 0.0), of(0.1, 0.1)).withdrawn is not None
    assert band("accuracy", 0.8, (CHANCE, 0.0), of(0.1, 0.1, 0.01, 0.0, 0.01, 0.01)).withdrawn is None


def test_a_sharp_test_on_very_many_rows_withdraws_nothing_that_is_near() -> None:
    assert band("accuracy", 0.8, (1e-8, 0.0), tuple(Miss("accuracy", 0.01, 1e-8) for _ in range(4))).withdrawn is None


def test_chance_alone_withdraws_nothing() -> None:
    random = np.random.default_rng(3)
    found = [band("accuracy", 0.8, (CHANCE, 0.0), of(*random.normal(0, 0.01, 4))).withdrawn for _ in range(5000)]
    assert not any(found)


@pytest.mark.parametrize("drift", [0.0, 0.005, 0.01])
def test_intervals_that_stand_cover_a_bias_that_wanders(drift: float) -> None:
    """The bias is a random walk whose steps are at most what chance makes; 95% is the aim."""
    random = np.random.default_rng(11)
    inside, standing = 0, 0
    for _ in range(60):
        bias = 0.0
        misses: list[float] = []
        for _ in range(40):
            bias += random.normal(0, drift)
            miss = bias + random.normal(0, 0.01)
            found = band("accuracy", 0.8, (CHANCE, 0.0), of(*misses))
            if found.withdrawn is None:
                standing += 1
                inside += abs(miss) <= found.half
            misses.append(miss)
    assert inside / standing >= 0.90


def test_a_metric_that_is_not_defined_is_no_miss() -> None:
    realised = {"accuracy": 0.7, "precision": math.nan}
    estimated = [("accuracy", 0.8, CHANCE), ("precision", 0.5, CHANCE), ("f1", 0.5, CHANCE)]
    (found,) = misses_of(realised, estimated)
    assert (found.metric, found.sampling) == ("accuracy", CHANCE)
    assert found.miss == pytest.approx(-0.1)

"""What estimates missed by corrects the next, widens its interval, and ends it when it says no more than a guess."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pitstop.monitors.track_record import REMEMBERED, Corrected, Miss, corrected, misses_of

CHANCE = 1e-4
Z = 1.96


def of(*misses: float, model: str = "", chance: float = CHANCE) -> tuple[Miss, ...]:
    return tuple(Miss("accuracy", miss, chance, period, model) for period, miss in enumerate(misses))


def after(misses: tuple[Miss, ...], known: float = 0.0, *, model: str = "", later: int = 1) -> Corrected:
    """Return what becomes of the estimate that follows the last miss by so many periods."""
    period = misses[-1].period + later if misses else 0
    chance = misses[-1].sampling if misses else CHANCE
    return corrected("accuracy", 0.8, (chance, known), misses, period=period, model=model)


@given(st.floats(0, 1e-3))
def test_without_a_record_nothing_is_corrected(known: float) -> None:
    alone = after((), known)
    assert (alone.correction, alone.withdrawn) == (0.0, None)
    assert alone.half == pytest.approx(Z * math.sqrt(CHANCE + known))


@given(st.lists(st.floats(-0.5, 0.5), min_size=1, max_size=8), st.floats(0, 1e-3))
def test_a_correction_is_odd_and_never_beyond_what_was_missed(misses: list[float], known: float) -> None:
    found, turned = after(of(*misses), known), after(of(*(-miss for miss in misses)), known)
    assert turned.correction == pytest.approx(-found.correction, abs=1e-12)
    assert turned.half == pytest.approx(found.half)
    assert abs(found.correction) <= max(map(abs, misses)) + 1e-12
    assert found.half >= Z * math.sqrt(CHANCE) - 1e-12


@given(st.lists(st.floats(-0.2, 0.2), min_size=1, max_size=6), st.floats(0.01, 100.0))
def test_the_unit_of_the_metric_does_not_matter(misses: list[float], unit: float) -> None:
    found = after(of(*misses), 1e-5)
    scaled = after(of(*(unit * miss for miss in misses), chance=unit**2 * CHANCE), unit**2 * 1e-5)
    assert scaled.correction == pytest.approx(unit * found.correction, rel=1e-3, abs=1e-6 * unit)
    assert scaled.half == pytest.approx(unit * found.half, rel=1e-3)


def test_an_estimate_that_is_not_defined_and_has_no_record_is_not_withdrawn() -> None:
    found = corrected("roc_auc", math.nan, (math.nan, math.nan), (), period=3)
    assert (found.correction, found.withdrawn) == (0.0, None)


def test_only_the_same_metric_and_the_latest_misses_count() -> None:
    other = tuple(Miss("f1", 0.4, CHANCE, period) for period in range(3))
    assert corrected("accuracy", 0.8, (CHANCE, 0.0), other, period=3).correction == 0.0
    old = of(0.4, *[0.0] * REMEMBERED)
    assert after(old) == after(old[1:])


def test_a_bias_that_stays_is_taken_off_and_one_that_comes_and_goes_is_not() -> None:
    stays, goes = after(of(*[-0.1] * 6)), after(of(*[0.1, -0.1] * 3))
    assert stays.correction == pytest.approx(-0.1, abs=0.01)
    assert abs(goes.correction) < 0.03
    assert goes.half > 3 * stays.half


def test_what_was_missed_long_ago_says_less() -> None:
    near, far = (after(of(-0.1, -0.1, -0.1), later=later) for later in (1, 12))
    assert abs(far.correction) < 0.8 * abs(near.correction)
    assert far.half > near.half


def test_misses_of_another_model_do_not_count() -> None:
    old, new = of(*[-0.1] * 6, model="old"), of(0.0, 0.01, model="new")
    later = tuple(replace(item, period=item.period + 6) for item in new)
    assert after(old, model="new").half == pytest.approx(Z * math.sqrt(CHANCE))
    assert after(old, model="new").correction == 0.0
    assert after((*old, *later), model="new") == after(later, model="new")


def test_misses_within_what_was_known_narrow_the_interval_and_withdraw_nothing() -> None:
    known, halves = 0.004, [after((), 0.004).half]  # the reference's pieces were missed by up to .12
    for count in (1, 2, 4, 8):
        found = after(of(*([0.02, -0.03] * 4)[:count]), known)
        assert found.withdrawn is None
        halves.append(found.half)
    assert halves[1] < 1.05 * halves[0]
    assert halves[-1] < 0.9 * halves[0]


def test_it_comes_back_once_estimates_are_near_again() -> None:
    wild = (0.3, -0.3, 0.3, -0.3)
    said = after(of(*wild)).withdrawn
    assert said is not None
    assert "accuracy came out 0.3 away from the last 4 estimates on average" in said
    assert after(of(*wild, *[0.01, 0.0, -0.01] * 4)).withdrawn is None


def test_a_sharp_test_on_very_many_rows_withdraws_nothing_that_is_near() -> None:
    assert after(of(*[0.01, -0.01] * 2, chance=1e-8)).withdrawn is None


def test_chance_alone_withdraws_nothing_and_corrects_little() -> None:
    random = np.random.default_rng(3)
    found = [after(of(*random.normal(0, 0.01, 8))) for _ in range(500)]
    assert not any(item.withdrawn for item in found)
    # A mean of eight misses that is believed whole would have .0035.
    assert np.std([item.correction for item in found]) < 0.0025


@pytest.mark.parametrize("steps", [0.0, 0.005, 0.01, 0.03])
def test_intervals_cover_a_bias_that_wanders_and_correction_brings_estimates_nearer(steps: float) -> None:
    """The bias is a random walk, with steps of up to three times what chance makes; 95% is the aim, .92 is reached."""
    random = np.random.default_rng(11)
    inside, before, now = [], 0.0, 0.0
    for _ in range(40):
        bias, misses = 0.0, list[float]()
        for _ in range(20):
            bias += random.normal(0, steps)
            miss = bias + random.normal(0, 0.01)
            found = after(of(*misses))
            if misses:
                inside.append(abs(miss - found.correction) <= found.half)
                before, now = before + abs(miss), now + abs(miss - found.correction)
            misses.append(miss)
    assert np.mean(inside) >= 0.90
    assert now <= before * {0.0: 1.04, 0.005: 0.83, 0.01: 0.64, 0.03: 0.49}[steps]


def test_a_metric_that_is_not_defined_is_no_miss() -> None:
    realised = {"accuracy": 0.7, "precision": math.nan}
    estimated = [("accuracy", 0.8, CHANCE), ("precision", 0.5, CHANCE), ("f1", 0.5, CHANCE)]
    (found,) = misses_of(realised, estimated, period=4, model="m")
    assert (found.metric, found.sampling, found.period, found.model) == ("accuracy", CHANCE, 4, "m")
    assert found.miss == pytest.approx(-0.1)

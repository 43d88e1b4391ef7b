"""Axes: round ticks that hold every value, labels that never touch."""

from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pitstop.report.lettering import fitted, text_width
from pitstop.report.scales import label_places, spread, value_scale

# No deadline: a busy machine is not a defect of the code under test.
QUICK = settings(max_examples=40, deadline=None)

NUMBERS = st.floats(allow_nan=True, allow_infinity=True)


@QUICK
@given(st.lists(st.one_of(st.none(), NUMBERS), max_size=30), st.booleans())
def test_every_finite_value_lies_between_the_ends_of_the_scale(values: list[float | None], zero: bool) -> None:
    scale = value_scale(values, 200.0, 10.0, zero=zero)
    assert scale.low < scale.high
    assert scale.low in scale.ticks
    assert scale.high in scale.ticks
    assert 2 <= len(scale.ticks) <= 12
    for value in values:
        if value is not None and math.isfinite(value):
            assert 10.0 <= scale.at(value) <= 200.0
    if zero:
        assert scale.low <= 0.0 <= scale.high


@QUICK
@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=30, unique=True))
def test_larger_values_stand_higher(values: list[float]) -> None:
    scale = value_scale(values, 0.0, 100.0)
    ordered = sorted(values)
    assert all(scale.at(one) <= scale.at(other) for one, other in itertools.pairwise(ordered))


@QUICK
@given(st.lists(NUMBERS, max_size=10))
def test_ticks_have_different_texts(values: list[float]) -> None:
    scale = value_scale(values, 0.0, 100.0)
    texts = [scale.tick_text(tick) for tick in scale.ticks]
    assert len(set(texts)) == len(texts)


@pytest.mark.parametrize(
    ("values", "texts"),
    [
        ([0.63, 0.86], ["0.6", "0.7", "0.8", "0.9"]),
        ([300, 7000], ["0", "2k", "4k", "6k", "8k"]),
        ([-40, 10], ["-40", "-20", "0", "20"]),
        ([], ["0.00", "0.25", "0.50", "0.75", "1.00"]),
    ],
)
def test_ticks_are_round(values: list[float], texts: list[str]) -> None:
    scale = value_scale(values, 0.0, 100.0)
    assert [scale.tick_text(tick) for tick in scale.ticks] == texts


@QUICK
@given(
    st.lists(st.tuples(st.floats(0, 800), st.text(min_size=1, max_size=12)), min_size=1, max_size=80),
    st.floats(60, 900),
)
def test_chosen_labels_do_not_touch(labels: list[tuple[float, str]], width: float) -> None:
    ordered = sorted(labels)
    chosen = label_places([x for x, _ in ordered], [text for _, text in ordered], 12.0, 0.0, width)
    assert chosen
    for (left, first), (right, second) in itertools.pairwise(chosen):
        assert left + text_width(first, 12.0) / 2 < right - text_width(second, 12.0) / 2


@QUICK
@given(st.lists(st.floats(-50, 300), max_size=20), st.floats(1, 40))
def test_spread_places_keep_distance_order_and_bounds(places: list[float], gap: float) -> None:
    moved = spread(places, gap, 0.0, 200.0)
    possible = min(gap, 200.0 / max(1, len(places) - 1))
    ordered = sorted(moved)
    assert all(after - before >= possible - 1e-6 for before, after in itertools.pairwise(ordered))
    assert all(-1e-6 <= place <= 200.0 + 1e-6 for place in moved)
    ranks = sorted(range(len(places)), key=lambda index: places[index])
    assert [moved[index] for index in ranks] == ordered


@QUICK
@given(st.text(max_size=60), st.floats(20, 200))
def test_fitted_text_fits(text: str, width: float) -> None:
    short = fitted(text, width, 12.0)
    assert text_width(short, 12.0) <= width or len(short) <= 2

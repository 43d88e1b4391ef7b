"""Worst segments: found where they are, confirmed on later rows, and not told where there are none."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from pitstop.diagnosis.segments import FEWEST, TOLD, Cells, worst_segments

ROWS = 6_000
SHOPS = ("a", "b", "c", "d", "e")


def features(random: np.random.Generator, rows: int = ROWS) -> dict[str, Cells]:
    numbers = tuple(f"{at} to {at + 1}" for at in range(20))
    found = {
        f"x{at}": Cells(random.integers(-1 if at == 0 else 0, 20, rows).astype(np.int32), numbers, ordered=True)
        for at in range(5)
    }
    found["shop"] = Cells(random.integers(0, len(SHOPS), rows).astype(np.int32), SHOPS, ordered=False)
    return found | {"same": Cells(np.zeros(rows, np.int32), ("only",), ordered=False)}


def errors(random: np.random.Generator, chance: NDArray[np.float64]) -> NDArray[np.float64]:
    return (random.random(chance.size) < chance).astype(np.float64)


@pytest.mark.parametrize("seed", range(5))
def test_a_segment_of_two_features_is_found(seed: int) -> None:
    random = np.random.default_rng(seed)
    known = features(random)
    bad = (known["shop"].codes == 2) & (known["x1"].codes >= 15)
    first, *others = worst_segments(known, errors(random, np.where(bad, 0.5, 0.1)))
    assert {item.column for item in first.conditions} == {"shop", "x1"}
    assert "shop = c" in first.text
    assert first.low < 0.4 < first.high or abs(first.mean - first.others - 0.4) < 0.1
    # What else is told overlaps with it: there is nothing else.
    assert all({"shop", "x1"} & {item.column for item in other.conditions} for other in others)


def test_one_condition_is_not_told_as_two() -> None:
    random = np.random.default_rng(9)
    known = features(random)
    chance = np.where(known["x0"].codes < 0, 0.6, 0.1)
    told = worst_segments(known, errors(random, chance))
    assert told[0].text == "x0 is missing"
    assert len(told[0].conditions) == 1


def test_where_errors_are_even_hardly_any_segment_is_told() -> None:
    told = 0
    for seed in range(60):
        random = np.random.default_rng([1, seed])
        told += bool(worst_segments(features(random), errors(random, np.full(ROWS, 0.2))))
    # The confirming rows give one in twenty by chance; 60 runs give more than 8 with a probability of 0.2%.
    assert told <= 8


def test_what_the_search_found_and_the_newest_rows_do_not_show_is_not_told() -> None:
    random = np.random.default_rng(3)
    known = features(random)
    old = np.arange(ROWS) < 0.6 * ROWS
    bad = (known["shop"].codes == 2) & old
    assert worst_segments(known, errors(random, np.where(bad, 0.6, 0.1))) == ()


@given(st.integers(0, 300), st.integers(0, 2**32 - 1))
@settings(max_examples=25)
def test_any_rows_give_at_most_three_segments_of_enough_rows(rows: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    for item in worst_segments(features(random, rows), random.exponential(1.0, rows)):
        assert item.rows >= FEWEST
        assert item.low > 0
        assert item.mean > item.others
    assert len(worst_segments(features(random, rows), random.exponential(1.0, rows))) <= TOLD
    assert worst_segments({}, np.ones(rows)) == ()


def test_the_order_of_columns_does_not_matter() -> None:
    random = np.random.default_rng(4)
    known = features(random)
    loss = errors(random, np.where(known["x2"].codes < 5, 0.4, 0.1))
    turned = dict(reversed(known.items()))
    assert {item.text for item in worst_segments(known, loss)} == {item.text for item in worst_segments(turned, loss)}

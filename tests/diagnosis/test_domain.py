"""The domain classifier tells rows apart that differ in one column or in several together, and no others."""

from __future__ import annotations

import numpy as np
import pytest

from pitstop.diagnosis.domain import FEWEST_ROWS, Codes, domain_drift

NAMES = ("a", "b", "c", "d")


def rows(random: np.random.Generator, count: int) -> Codes:
    return random.integers(-1, 20, (count, len(NAMES))).astype(np.int32)


@pytest.mark.parametrize("seed", range(8))
def test_rows_of_one_population_are_not_told_apart(seed: int) -> None:
    random = np.random.default_rng(seed)
    found = domain_drift(NAMES, rows(random, 3000), rows(random, 1000))
    assert found is not None
    assert abs(found.auc - 0.5) < 0.05
    assert not found.moved


def test_a_column_that_moved_is_named() -> None:
    random = np.random.default_rng(1)
    current = rows(random, 1000)
    current[:, 2] = np.minimum(current[:, 2] + random.integers(0, 8, 1000), 19)
    found = domain_drift(NAMES, rows(random, 3000), current)
    assert found is not None
    assert found.moved
    assert found.columns[0][0] == "c"


def test_columns_that_hang_together_otherwise_are_seen_though_none_moved() -> None:
    random = np.random.default_rng(2)
    current = rows(random, 2000)
    # Each column alone is as before; a and b have become one.
    current[:, 1] = current[:, 0]
    found = domain_drift(NAMES, rows(random, 4000), current)
    assert found is not None
    assert found.moved
    assert {name for name, _ in found.columns[:2]} == {"a", "b"}


def test_a_reference_that_wanders_is_its_own_yardstick() -> None:
    random = np.random.default_rng(3)
    known = rows(random, 3000)
    known[:, 0] = np.clip(known[:, 0] // 2 + np.arange(3000) // 300, 0, 19)
    found = domain_drift(NAMES, known, known[2000:])
    assert found is not None
    assert found.usual is not None
    assert found.usual > 0.8
    assert not found.moved


def test_few_rows_say_nothing() -> None:
    random = np.random.default_rng(4)
    assert domain_drift(NAMES, rows(random, FEWEST_ROWS - 1), rows(random, 500)) is None
    assert domain_drift((), rows(random, 500)[:, :0], rows(random, 500)[:, :0]) is None
    known, current = rows(random, 500), rows(random, 500)
    assert domain_drift(NAMES, known, current) == domain_drift(NAMES, known, current)

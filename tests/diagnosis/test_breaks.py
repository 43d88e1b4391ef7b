"""Faults of a pipeline: each named in a column that drifts by itself, and none named where only the season turns."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pitstop.checks.breaks import breaks_in, swaps, time_shifts
from pitstop.checks.pairs import Pair
from pitstop.diagnosis.breaks import SURE, Break, ranked
from pitstop.diagnosis.missing import find_missing
from pitstop.diagnosis.natural import stretches
from pitstop.diagnosis.numbers import find_stuck_number, find_unit_change
from pitstop.diagnosis.repeated import find_repeated, find_stale
from pitstop.records.facts import facts_of

DAYS, PER_DAY = 90, 60
ALPHA = 1e-4
Columns = dict[str, Any]


def season(seed: int, first: int, days: int) -> Columns:
    """Return rows whose warmth, prices and shares move through the year, and whose warmth follows the hour."""
    random = np.random.default_rng([seed, first])
    day = np.sort(random.uniform(first, first + days, days * PER_DAY))
    turn = np.sin(day / 365 * 2 * np.pi)
    hour = np.floor(day % 1 * 24)
    share = 0.3 + 0.2 * turn
    return {
        "hour": hour,
        "warmth": np.round(14 + 10 * turn + 6 * np.cos((hour - 15) / 12 * np.pi) + random.normal(0, 2, day.size), 1),
        "sun": np.maximum(0, np.cos((hour - 12) / 12 * np.pi)) * 700 + random.normal(0, 30, day.size),
        "price": random.lognormal(4 + 0.5 * turn, 0.4),
        "guests": random.poisson(2 + turn).astype(float),
        "channel": np.where(random.random(day.size) < share, "agent", random.choice(["web", "phone"], day.size)),
    }


def found(change: Callable[[Columns], None], seed: int = 0) -> tuple[Break, ...]:
    """Return the faults of two weeks against the ninety days before them."""
    first = 37 * seed % 365
    before, after = season(seed, first, DAYS), season(seed, first + DAYS, 14)
    change(after)
    sides = [facts_of(pa.table(side)) for side in (before, after)]
    pairs = [Pair(name, sides[0][name], sides[1][name], ALPHA) for name in before]
    return ranked([*(item for pair in pairs for item in breaks_in(pair)), *time_shifts(pairs)])


def change_of(name: str, make: Callable[[Any], Any]) -> Callable[[Columns], None]:
    def change(columns: Columns) -> None:
        columns[name] = make(columns[name])

    return change


def lost(share: float) -> Callable[[Any], Any]:
    return lambda values: np.where(np.random.default_rng(5).random(len(values)) < share, np.nan, values)


FAULTS: dict[str, tuple[str, str, float, Callable[[Any], Any]]] = {
    "a few values lost": ("warmth", "new_nulls", 0.05, lost(0.05)),
    "all values lost": ("price", "all_null", 1.0, lambda x: pa.nulls(len(x), pa.float64())),
    "cents": ("price", "unit_change", 100.0, lambda x: x * 100),
    "grams": ("warmth", "unit_change", 1000.0, lambda x: x * 1000),
    "per thousand": ("guests", "unit_change", 1000.0, lambda x: x * 1000),
    "a sensor hangs": ("sun", "stuck_value", 1.0, lambda x: np.full(len(x), x[0])),
    "another word": ("channel", "renamed_category", 0.4, lambda x: np.where(x == "agent", "TA/TO", x)),
    "six hours on": ("hour", "time_shift", 6.0, lambda x: (x + 6) % 24),
    "an hour back": ("hour", "time_shift", 2.0, lambda x: (x - 2) % 24),
}


@pytest.mark.parametrize("name", FAULTS)
@pytest.mark.parametrize("seed", [0, 3])
def test_a_fault_is_told_first_by_its_kind_and_size_while_the_season_turns(name: str, seed: int) -> None:
    column, kind, size, make = FAULTS[name]
    breaks = found(change_of(column, make), seed)
    assert [(item.column, item.kind) for item in breaks] == [(column, kind)], breaks
    assert breaks[0].size == pytest.approx(size, rel=0.5 if kind in ("renamed_category", "new_nulls") else 0.01)
    assert breaks[0].certainty >= SURE
    assert breaks[0].sentence.startswith(f"{column}: ")
    assert breaks[0].way_out


@pytest.mark.parametrize("seed", range(10))
def test_a_season_is_no_fault(seed: int) -> None:
    assert found(lambda _: None, seed) == ()


def test_prices_that_rise_are_not_in_another_currency() -> None:
    # Forty prices of a list, of which the dearer ones are bought later on: 1.6 times the median, with the same shape.
    random = np.random.default_rng(2)
    listed = np.round(np.exp(np.linspace(3, 6, 60)), 2)
    reference = listed[np.clip(random.normal(20, 5, 4000), 0, 59).astype(int)]
    current = listed[np.clip(random.normal(30, 5, 1000), 0, 59).astype(int)]
    assert find_unit_change("price", reference, current, ALPHA) is None
    assert find_unit_change("price", reference, reference[:1000] * 1.609344, ALPHA) is not None


def test_any_constant_factor_or_offset_is_told_where_the_shape_stays() -> None:
    random = np.random.default_rng(3)
    reference, current = random.gamma(4.0, 2.0, 4000), random.gamma(4.0, 2.0, 1000)
    factor = find_unit_change("flow", reference, current * 5.5, ALPHA)
    assert factor is not None
    assert factor.size == pytest.approx(5.5, rel=0.1)
    added = find_unit_change("flow", reference, current + 40, ALPHA)
    assert added is not None
    assert "a constant" in added.sentence


@given(st.integers(1, 5000), st.integers(1, 5000))
@settings(max_examples=50)
def test_stretches_cover_every_row_once(rows: int, window: int) -> None:
    cuts = stretches(rows, window)
    assert (rows < 200) == (not cuts)
    if cuts:
        assert np.array_equal(np.concatenate([np.arange(rows)[cut] for cut in cuts]), np.arange(rows))
        assert min(cut.stop - cut.start for cut in cuts) >= 100


def test_a_rate_that_is_fixed_daily_is_not_stuck_and_a_sensor_is() -> None:
    random = np.random.default_rng(8)
    daily = np.repeat(np.round(random.normal(3.0, 0.5, 60), 3), random.integers(50, 400, 60))
    held = np.full(500, 2.5)
    assert find_stuck_number("rate", daily, held, ALPHA) is None
    assert find_stuck_number("rate", daily, np.full(1000, 2.5), ALPHA) is not None
    mixed_up = random.permutation(daily)
    assert find_stuck_number("rate", mixed_up, held, ALPHA) is not None


def test_values_that_are_lost_in_gusts_may_be_lost_in_another_one() -> None:
    random = np.random.default_rng(9)
    gusty = np.zeros(8000, dtype=bool)
    for first in random.integers(0, 7900, 40):
        gusty[first : first + random.integers(5, 40)] = True
    current = np.zeros(1000, dtype=bool)
    worst = max(float(np.mean(gusty[at : at + 1000])) for at in range(0, 8000, 1000))
    current[100 : 100 + int(1400 * worst)] = True
    assert find_missing("pressure", gusty, current, ALPHA) is None
    # As many, one here and one there, are lost otherwise; and twice as many are too many.
    assert find_missing("pressure", gusty, random.permutation(current), ALPHA) is not None
    current[100 : 150 + int(2200 * worst)] = True
    assert find_missing("pressure", gusty, current, ALPHA) is not None


def mixed(make: Callable[[Any], Any], share: float = 0.2) -> Callable[[Any], Any]:
    return lambda values: np.where(np.random.default_rng(6).random(len(values)) < share, make(values), values)


PARTIAL: dict[str, tuple[str, str, Callable[[Any], Any]]] = {
    "slips of a key": ("channel", "misspelt", mixed(lambda x: np.char.replace(x.astype(str), "agent", "aegnt"))),
    "a new word": ("channel", "unseen_categories", mixed(lambda x: np.full(len(x), "kiosk"))),
    "halves of guests": ("guests", "new_values", mixed(lambda x: x / 2)),
    "some in cents": ("price", "unit_change", mixed(lambda x: x * 1000)),
    "a marker": ("price", "range", mixed(lambda x: np.full(len(x), -9999.0), 0.04)),
}


@pytest.mark.parametrize("name", PARTIAL)
def test_a_fault_in_part_of_the_rows_is_told_by_its_kind(name: str) -> None:
    column, kind, make = PARTIAL[name]
    breaks = found(change_of(column, make))
    assert [(item.column, item.kind) for item in breaks] == [(column, kind)], breaks
    assert 0.02 < breaks[0].share < 0.25
    assert breaks[0].size == (1000 if kind == "unit_change" else breaks[0].share)


def test_columns_that_change_places_in_some_rows_are_told() -> None:
    before, after = season(1, 0, DAYS), season(1, DAYS, 14)
    hit = np.random.default_rng(7).random(len(after["price"])) < 0.1
    after["warmth"], after["sun"] = (
        np.where(hit, after["sun"], after["warmth"]),
        np.where(hit, after["warmth"], after["sun"]),
    )
    sides = [facts_of(pa.table(side)) for side in (before, after)]
    pairs = [Pair(name, sides[0][name], sides[1][name], ALPHA) for name in before]
    (told,) = swaps(pairs)
    assert (told.column, told.kind) == ("warmth", "swapped_columns")
    assert "exchanged with sun" in told.sentence
    assert swaps([Pair(name, sides[0][name], sides[0][name], ALPHA) for name in before]) == []


def hashes(rows: int, seed: int, kinds: int = 1 << 60) -> Any:
    return np.random.default_rng(seed).integers(0, kinds, rows).astype(np.uint64)


def test_a_batch_sent_twice_and_an_old_partition_are_told_and_rows_that_are_alike_by_nature_are_not() -> None:
    reference, current = hashes(4000, 1), hashes(500, 2)
    assert find_repeated(reference, current) is None
    assert find_stale(reference, current) is None
    twice = find_repeated(reference, np.concatenate([current, current[:100]]))
    assert twice is not None
    assert twice.size == pytest.approx(100 / 600)
    old = find_stale(reference, reference[-500:])
    assert old is not None
    assert old.size == 1.0
    alike, more = hashes(4000, 3, kinds=300), hashes(500, 4, kinds=300)
    assert find_repeated(alike, more) is None
    assert find_stale(alike, more) is None
    assert find_stale(reference, reference[::-1]) is None, "the reference itself is no old partition"


def test_the_most_certain_fault_comes_first() -> None:
    faults = [Break("a", "new_nulls", 0.2, 0.2, 0.6, ""), Break("b", "stuck_value", 0.9, 0.9, 0.95, "")]
    assert [item.column for item in ranked(faults)] == ["b", "a"]

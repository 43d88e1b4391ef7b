"""What the strategy benchmark does to a stream before policies meet it."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import numpy as np
import pytest

from pitstop.backtests.past import past_of
from pitstop.records.batches import normalise
from pitstop.strategy.row_losses import RowLosses, RowTimes

sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent))  # benchmarks are no part of the package
delayed = importlib.import_module("benchmarks.strategy_cases").delayed
streams = importlib.import_module("benchmarks.strategy_streams").streams
PERIODS = importlib.import_module("benchmarks.strategy_streams").PERIODS


def immediate(periods: int = 6, rows: int = 20) -> RowLosses:
    draw = np.random.default_rng(0)
    period = np.repeat(np.arange(periods), rows)
    times = RowTimes(periods, period, period, period)
    return RowLosses(times, {i: np.where(period >= i, draw.random(len(period)), np.nan) for i in range(periods)})


def test_a_delay_shifts_what_is_charged_and_keeps_what_is_seen() -> None:
    """Labels one period late: the candidate of period i is that of i - 1, and meets the rows of period i."""
    found = immediate()
    late = delayed(found, 1)
    np.testing.assert_array_equal(late.seen().losses, found.seen().losses[:5, :5])
    np.testing.assert_array_equal(late.charged()[np.triu_indices(5)], found.charged()[:5, 1:][np.triu_indices(5)])
    assert delayed(found, 0) is found
    # A column is complete one period after its rows were predicted.
    assert (late.times.arrived - late.times.predicted == 1).all()


@pytest.mark.parametrize("name", ["abrupt", "recurring", "newcomers", "hard_seasons"])
def test_synthetic_streams_have_the_periods_that_they_promise(name: str) -> None:
    stream = next(stream for stream in streams() if stream.name == name)
    table, spec = stream.load(20, None)
    past = past_of(spec, normalise(spec, table))
    assert table.num_rows == 20 * PERIODS
    assert past.periods == PERIODS - 3
    again, _ = stream.load(20, None)
    assert again.equals(table)
    assert 0.2 < float(np.mean(table["label"].to_numpy())) < 0.8


def test_every_stream_has_one_name_and_the_new_families_are_three() -> None:
    names = [stream.name for stream in streams()]
    assert len(set(names)) == len(names)
    assert sum(stream.kind == "new" for stream in streams()) == 3
    assert {stream.name for stream in streams() if stream.control} == {"acs_employment_ma", "stationary"}

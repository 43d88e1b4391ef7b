"""The self-test says that the promise is broken where it is, and does not where it is not."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from pitstop.detection.budget import Budget
from pitstop.detection.detector import Detector
from pitstop.detection.panel import Panel
from pitstop.detection.streams import Floats, ReferenceCounts, Stream
from pitstop.errors import BaselineError
from pitstop.loop.rehearsing import FEWEST, Rehearsal, rehearse, rehearse_table
from pitstop.loop.watch import Table, Watch
from pitstop.records.spec import ModelSpec, parse_spec

SPEC = """
[model]
name = "synthetic"
task = "binary"

[columns]
time = "at"
features = ["x"]
"""
STREAMS, N = 5, 400


@dataclass(frozen=True)
class World:
    """`lag`: correlation of neighbours. `wave`: amplitude, in standard deviations, of a wave of 30 windows."""

    lag: float = 0.0
    wave: float = 0.0
    windows: int = 90
    kind: str = "drift"


def counts(world: World, seed: int) -> Table:
    rng = np.random.default_rng(seed)
    noise: Floats = rng.standard_normal((world.windows, STREAMS))
    for t in range(1, world.windows):
        noise[t] = world.lag * noise[t - 1] + np.sqrt(1 - world.lag**2) * noise[t]
    noise += world.wave * np.sin(2 * np.pi * np.arange(world.windows) / 30)[:, np.newaxis]
    rates = 0.2 + 0.05 * noise
    n = np.full(rates.shape, N, dtype=np.int64)
    phases = np.arange(world.windows, dtype=np.int64) % 7
    nothing = np.zeros((world.windows, 0), dtype=np.int64)
    return Table(rng.binomial(n, np.clip(rates, 0.01, 0.99)), n, nothing, phases, nothing)


def self_test(world: World, seed: int = 0, runs: int = 2) -> Rehearsal:
    spec: ModelSpec = parse_spec(SPEC)
    streams = [
        Stream(f"{world.kind}:{place}", world.kind, None, ("x",), autocorrelated=world.kind == "drift")
        for place in range(STREAMS)
    ]
    thresholds = Budget(1.0, 30).thresholds({stream.name: stream.weight for stream in streams})

    def fit(table: Table) -> Watch:
        panels = [
            Detector.fit(
                stream,
                ReferenceCounts(table.k[:, [place]], table.n[:, [place]], table.phases),
                thresholds[stream.name],
                7,
                0.005,
            ).panel
            for place, stream in enumerate(streams)
        ]
        return Watch((), Panel.joined(panels), (), spec.calendar, {})

    return rehearse_table(spec, fit, counts(world, seed), runs=runs, seed=seed)


@pytest.mark.parametrize("kind", ["drift", "error"])
@pytest.mark.parametrize("seed", [0, 1])
def test_independent_windows_are_fine(kind: str, seed: int) -> None:
    found = self_test(World(kind=kind), seed)
    assert found.kept, found.warnings
    whole = found.families[0]
    assert whole.promise == pytest.approx(1)
    assert whole.shuffled.mean <= 1


@pytest.mark.parametrize("kind", ["drift", "error"])
@pytest.mark.parametrize("seed", [0, 1])
def test_neighbours_that_resemble_each_other_are_told(kind: str, seed: int) -> None:
    found = self_test(World(lag=0.9, kind=kind), seed)
    assert not found.kept
    assert "resemble each other" in " ".join(found.warnings)
    # Shuffling removes what neighbours have in common: the same windows keep the promise.
    assert found.families[0].shuffled.mean <= 1


def test_correlation_is_measured_as_it_is() -> None:
    """Of the variance, a part is the rows' own: the correlation of scores is a little below that of rates."""
    measured = [self_test(World(lag=lag), 3, runs=2).families[0].lag.value for lag in (0.0, 0.5, 0.9)]
    assert measured == sorted(measured)
    assert abs(measured[0]) < 0.15
    assert 0.6 < measured[-1] <= 0.95


def test_a_monthly_wave_is_named_with_its_length() -> None:
    found = self_test(World(wave=1.5))
    assert found.wave.p_value < 0.01
    assert found.wave.windows == pytest.approx(30)
    assert "wave of about 30" in " ".join((*found.warnings, *found.notes))
    assert self_test(World()).wave.p_value > 0.01


def test_the_order_that_is_drawn_is_that_of_the_seed() -> None:
    assert self_test(World(lag=0.5), 1) == self_test(World(lag=0.5), 1)


def test_too_little_to_replay_is_said() -> None:
    with pytest.raises(BaselineError, match=f"at least {FEWEST} windows"):
        rehearse(parse_spec(SPEC), None, ())  # type: ignore[arg-type]  # it is refused before it is read


@pytest.mark.simulation
def test_warnings_come_as_often_as_they_should() -> None:
    """False warnings on independent windows in at most 2 of 30; at a correlation of .9 at most 2 of 30 are missed."""
    quiet = [self_test(World(kind=kind), seed).kept for seed in range(15) for kind in ("drift", "error")]
    loud = [self_test(World(lag=0.9, kind=kind), seed).kept for seed in range(15) for kind in ("drift", "error")]
    assert np.sum(quiet) >= 28
    assert np.sum(loud) <= 2

"""Small histories that make themselves: a relation that drifts, labels that come late, and a way to replay them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from pitstop.records.spec import ModelSpec, parse_spec
from pitstop.replays.replay import replay
from pitstop.store.home import Home

FIRST_DAY = datetime(2024, 1, 1, tzinfo=UTC)
START = "2024-01-29"

SPEC = """
[model]
name = "small"
task = "binary"

[columns]
time = "at"
id = "id"
label = "label"
label_time = "known_at"
features = ["x1", "x2", "kind"]
categorical = ["kind"]

[time]
window = "day"
period = "week"

[costs]
release = 30.0
fit_per_row = 0.001

[trainer]
name = "linear"

[replay]
start = "2024-01-29"
"""


@dataclass(frozen=True)
class Run:
    """What a replay left: its document, and its artifacts as (id, kind, at, content) in the order they were kept."""

    document: dict[str, Any]
    artifacts: tuple[tuple[str, str, int, Any], ...]

    def of(self, kind: str) -> list[tuple[str, str, int, Any]]:
        """Return the artifacts of one kind."""
        return [item for item in self.artifacts if item[1] == kind]

    def before(self, instant: int) -> list[tuple[str, str, int, Any]]:
        """Return the artifacts whose `at` is at most an instant."""
        return [item for item in self.artifacts if item[2] <= instant]


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> Iterator[None]:
    """Fit small models with one thread: with two, cores that others use make them ten times slower."""
    before = os.environ.get("OMP_NUM_THREADS")
    os.environ["OMP_NUM_THREADS"] = "1"
    yield
    if before is None:
        del os.environ["OMP_NUM_THREADS"]
    else:
        os.environ["OMP_NUM_THREADS"] = before


def day(number: int) -> datetime:
    """Return the start of a day of the history."""
    return FIRST_DAY + timedelta(days=number)


def make_history(days: int = 84, rows: int = 30, seed: int = 0, turns: tuple[int, ...] = (42,)) -> pa.Table:
    """Return rows whose relation of `x1` to the label turns round on each day of `turns`.

    Positive labels come after about two days, negative ones after about five.
    """
    random = np.random.default_rng(seed)
    at = np.sort(random.uniform(0, days, days * rows))
    x1, x2 = random.normal(size=(2, len(at)))
    kind = random.integers(0, 4, len(at))
    sign = np.prod([np.where(at < turn, 1.0, -1.0) for turn in turns], axis=0) if turns else 1.0
    logit = 2.5 * sign * x1 + x2 + 0.7 * (kind == 2)
    label = random.random(len(at)) < 1 / (1 + np.exp(-logit))
    delay = np.where(label, random.exponential(2.0, len(at)), random.exponential(5.0, len(at)))
    instants = [FIRST_DAY + timedelta(days=float(value)) for value in at]
    known = [FIRST_DAY + timedelta(days=float(value)) for value in at + delay]
    return pa.table(
        {
            "id": pa.array([f"r{number}" for number in range(len(at))]),
            "at": pa.array(instants, pa.timestamp("us", "UTC")),
            "x1": pa.array(x1, mask=random.random(len(at)) < 0.02),
            "x2": pa.array(x2),
            "kind": pa.array(np.array(["a", "b", "c", "d"])[kind]),
            "label": pa.array(label.astype(np.int64)),
            "known_at": pa.array(known, pa.timestamp("us", "UTC")),
        }
    )


def run_replay(table: Any, spec: ModelSpec, home: Path, **options: Any) -> Run:
    """Replay into a home and return what came out."""
    result = replay(table, spec, home=home, **options)
    return Run(dict(result.document), kept_in(home))


def kept_in(home: Path) -> tuple[tuple[str, str, int, Any], ...]:
    """Return the artifacts in a home."""
    with Home.open(home, read_only=True) as kept:
        return tuple((item.id, item.kind, item.at, item.content) for item in kept.artifacts())


@pytest.fixture(scope="session")
def history() -> Callable[..., pa.Table]:
    """Return the maker of histories."""
    return make_history


@pytest.fixture(scope="session")
def spec() -> ModelSpec:
    """Return the specification of the small model."""
    return parse_spec(SPEC)


@pytest.fixture(scope="session")
def replayed() -> Callable[..., Run]:
    """Return the function that replays a table into a home."""
    return run_replay


@pytest.fixture(scope="session")
def artifacts_in() -> Callable[[Path], tuple[tuple[str, str, int, Any], ...]]:
    """Return the function that reads a home's artifacts."""
    return kept_in


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory, spec: ModelSpec) -> Run:
    """Return the replay of the standard history, made once."""
    return run_replay(make_history(), spec, tmp_path_factory.mktemp("small") / "home")

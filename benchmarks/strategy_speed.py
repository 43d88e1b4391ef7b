"""How long a backtest of 50,000 rows, 40 periods and three recipes takes, and the next one with one period more."""

from __future__ import annotations

import resource
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from pitstop.backtests.backtest import BacktestPlan, backtest
from pitstop.backtests.past import LEAD
from pitstop.records.spec import ModelSpec, parse_spec

PERIODS, ROWS = 40, 50_000
NUMBERS, CATEGORIES = 12, 4


@dataclass(frozen=True)
class Times:
    """Wall seconds and processor seconds (all processes) of the first backtest and of the one a period later."""

    first: float
    first_processor: float
    next: float
    next_processor: float


def measure(workers: int = 2, *, rows: int = ROWS, periods: int = PERIODS) -> Times:
    """Run both with an empty folder to begin with."""
    chunk = rows // (periods + LEAD)
    spec, table = _spec(chunk), _table(chunk * (periods + LEAD + 1))
    plan = BacktestPlan(recipes=("all", "last_6", "decay_6"), workers=workers)
    with tempfile.TemporaryDirectory(prefix="pitstop-speed-") as folder:
        found = [
            _timed(table.slice(0, count), spec, plan, Path(folder))
            for count in (chunk * (periods + LEAD), table.num_rows)
        ]
    return Times(*found[0], *found[1])


def _timed(table: pa.Table, spec: ModelSpec, plan: BacktestPlan, folder: Path) -> tuple[float, float]:
    wall, processor = time.perf_counter(), _processor()
    backtest(table, spec, plan, cache=folder)
    return time.perf_counter() - wall, _processor() - processor


def _processor() -> float:
    """Return processor seconds of this process and of those that it has waited for."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(item.ru_utime + item.ru_stime for item in used)


def _table(count: int) -> pa.Table:
    draw = np.random.default_rng(0)
    content: dict[str, pa.Array] = {f"n{column}": pa.array(draw.normal(size=count)) for column in range(NUMBERS)}
    names = np.array([f"value {number}" for number in range(20)])
    content |= {f"c{column}": pa.array(draw.choice(names, count)) for column in range(CATEGORIES)}
    turn = np.arange(count) / count * 2
    score = np.cos(turn) * content["n0"].to_numpy() + np.sin(turn) * content["n1"].to_numpy()
    content["label"] = pa.array((score + draw.normal(size=count) > 0).astype(np.int64))
    content["order"] = pa.array(np.arange(count))
    return pa.table(content)


def _spec(chunk: int) -> ModelSpec:
    names = [f"n{column}" for column in range(NUMBERS)] + [f"c{column}" for column in range(CATEGORIES)]
    return parse_spec(
        f"""
[model]
name = "speed"
task = "binary"
[columns]
time = "order"
label = "label"
features = {names}
categorical = {names[NUMBERS:]}
[time]
window = {chunk}
period = 1
[costs]
release = 50.0
"""
    )

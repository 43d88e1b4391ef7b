"""Synthetic streams with mechanisms of their own: three to be scored once, and twenty to choose rules on.

`unseen` were written down, with their seed, before anything was run on them, and nothing was changed after. `rehearsal`
are never scored: a rule with a free choice in it is chosen on them, so that it need not be chosen on what it is
reported on. Neither shares its inputs or its seed with the streams of `strategy_streams`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from benchmarks.strategy_streams import PERIODS, SYNTHETIC_ROWS, Stream, described_spec
from pitstop.records.spec import ModelSpec

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Content = dict[str, pa.Array]
Make = Callable[[np.random.Generator, Ints], Content]

SEED = 20261128
REHEARSAL_ROWS = 400


def unseen() -> tuple[Stream, ...]:
    """Return the three families that are scored once."""
    return tuple(
        Stream(name, "unseen", _loader(make, task, SEED + place, SYNTHETIC_ROWS))
        for place, (name, (task, make)) in enumerate(_UNSEEN.items())
    )


def rehearsal() -> tuple[Stream, ...]:
    """Return the streams that rules are chosen on."""
    return tuple(
        Stream(f"rehearsal_{place}", "rehearsal", _loader(_drawn, "binary", 4100 + place, REHEARSAL_ROWS))
        for place in range(20)
    )


def _loader(make: Make, task: str, seed: int, most: int) -> Callable[[int, Path | None], tuple[pa.Table, ModelSpec]]:
    def load(rows: int, data: Path | None) -> tuple[pa.Table, ModelSpec]:
        del data
        chunk = min(rows, most)
        period = np.repeat(np.arange(PERIODS), chunk)
        content = make(np.random.default_rng(seed), period)
        features = [name for name in content if name != "label"]
        table = pa.table({**content, "order": pa.array(np.arange(len(period)))})
        return table, described_spec("synthetic", task, table, features, chunk)

    return load


def _wandering_levels(draw: np.random.Generator, period: Ints) -> Content:
    """Fourteen shops, each with a log-odds of its own that walks at random; four numbers whose effects stay."""
    odds = draw.normal(0.0, 1.2, 14) + np.cumsum(draw.normal(0.0, 0.22, (PERIODS, 14)), axis=0)
    shop, numbers = draw.integers(0, 14, len(period)), draw.normal(size=(len(period), 4))
    logit = odds[period, shop] + numbers @ np.array([0.9, -0.6, 0.4, 0.0])
    label = draw.random(len(period)) < 1 / (1 + np.exp(-logit))
    content: Content = {"shop": pa.array([f"shop {number}" for number in shop])}
    content |= {f"n{column}": pa.array(numbers[:, column]) for column in range(4)}
    return content | {"label": pa.array(label.astype(np.int64))}


def _rising_prices(draw: np.random.Generator, period: Ints) -> Content:
    """Prices rise by 3% a period and budgets follow six periods late: what was dear is cheap, and inputs move too."""
    index = 1.03 ** np.arange(PERIODS)
    lagged = 1.03 ** np.maximum(0, np.arange(PERIODS) - 6)
    price = np.exp(draw.normal(3.0, 0.5, len(period))) * index[period]
    need, income = draw.random(len(period)), np.exp(draw.normal(0.0, 0.4, len(period)))
    spare = np.log(income * lagged[period]) + 1.5 * need - np.log(price / np.exp(3.0)) - 0.6
    label = draw.random(len(period)) < 1 / (1 + np.exp(-3.0 * spare))
    content: Content = {"price": pa.array(price), "need": pa.array(need), "income": pa.array(income)}
    content |= {f"other{column}": pa.array(draw.normal(size=len(period))) for column in range(3)}
    return content | {"label": pa.array(label.astype(np.int64))}


def _new_rules(draw: np.random.Generator, period: Ints) -> Content:
    """Three classes by two limits on a score; a limit is set anew at random times, by a random amount."""
    jumps = np.where(draw.random((PERIODS, 2)) < 0.11, draw.normal(0.0, 0.6, (PERIODS, 2)), 0.0)
    limits = np.sort(np.array([-0.5, 0.5]) + np.cumsum(jumps, axis=0), axis=1)
    mixing = draw.normal(size=(5, 5))
    inputs = draw.normal(size=(len(period), 5)) @ mixing
    score = np.tanh(inputs[:, 0]) + 0.5 * inputs[:, 1] / (1 + np.abs(inputs[:, 2])) + draw.normal(0, 0.2, len(period))
    place = (score > limits[period, 0]).astype(np.int64) + (score > limits[period, 1])
    content: Content = {f"i{column}": pa.array(inputs[:, column]) for column in range(5)}
    return content | {"label": pa.array([("low", "middle", "high")[number] for number in place])}


_UNSEEN: Mapping[str, tuple[str, Make]] = {
    "wandering_levels": ("binary", _wandering_levels),
    "rising_prices": ("binary", _rising_prices),
    "new_rules": ("multiclass", _new_rules),
}


def _drawn(draw: np.random.Generator, period: Ints) -> Content:
    """A relation that is drawn at random: how often it jumps, how fast it turns, whether it swings, how noisy it is."""
    columns = int(draw.integers(4, 9))
    jump_rate, speed, swing = draw.choice([0.0, 0.04, 0.1]), draw.choice([0.0, 0.02, 0.06]), draw.choice([0.0, 0.6])
    noise, cycle = draw.uniform(0.02, 0.2), draw.integers(8, 16)
    one, other = np.linalg.qr(draw.normal(size=(columns, 2)))[0].T
    angle = np.cumsum(np.where(draw.random(PERIODS) < jump_rate, draw.normal(0.0, 1.0, PERIODS), speed))
    angle = angle + swing * np.sin(2 * np.pi * np.arange(PERIODS) / cycle)
    inputs = draw.normal(size=(len(period), columns))
    bent = inputs + 0.5 * np.roll(inputs, 1, axis=1) * (inputs > 0)
    score = np.cos(angle[period]) * (bent @ one) + np.sin(angle[period]) * (bent @ other)
    label = (score > draw.normal(0.0, 0.3)) ^ (draw.random(len(period)) < noise)
    content: Content = {f"x{column}": pa.array(inputs[:, column]) for column in range(columns)}
    return content | {"label": pa.array(label.astype(np.int64))}

"""The streams of the strategy benchmark: public sets in real time order, and synthetic ones whose truth is known.

Each is cut into 40 equal periods: three before the first candidate and 37 with one. Larger sets are thinned evenly.
Errors cost 1. On three sets nearly everybody has the same label, so that an error rate hardly moves; there a missed
positive costs as much as all negatives for each positive.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from benchmarks.result import MissingDataError
from pitstop.data import hotel_bookings_path, hotel_bookings_spec
from pitstop.records.spec import ModelSpec, parse_spec

Floats = NDArray[np.float64]
Kind = Literal["real", "known", "new", "unseen", "rehearsal"]

PERIODS = 40
ROWS = 800
SYNTHETIC_ROWS = 600


@dataclass(frozen=True)
class Stream:
    """A stream: `kind` is a public set, a synthetic one that is known, or a family that was never looked at.

    `new` were not looked at by the default of their time, `unseen` by any rule (see `strategy_unseen`, which has the
    streams for a `rehearsal` too).

    `delays` says whether a label delay of one period is added; where label times are real, it is not. `control` marks
    streams without drift.
    """

    name: str
    kind: Kind
    load: Callable[[int, Path | None], tuple[pa.Table, ModelSpec]]
    delays: bool = True
    control: bool = False


@dataclass(frozen=True)
class _Set:
    label: str
    time: str
    task: str
    drop: tuple[str, ...] = ()
    weighted: bool = False
    shuffled: bool = False
    share: float = 1.0


_SETS = {
    "acs_employment_ma": _Set(
        "employed", "year", "binary", ("id", "prediction", "predicted_probability"), shuffled=True
    ),
    "bank_marketing": _Set("subscribed", "contact_month", "binary", ("duration", "month"), weighted=True),
    "beijing_pm25": _Set("unhealthy", "dt", "binary", ("pm2.5",)),
    "bike_sharing": _Set("cnt", "dt", "regression", ("yr", "mnth", "season")),
    "covtype_8th": _Set("Cover_Type", "step", "multiclass", share=0.75),
    "elec2": _Set("target", "step", "binary", share=1.5),
    "metro_traffic": _Set("traffic_volume", "date_time", "regression"),
    "noaa_weather": _Set("target", "step", "binary"),
    "nycflights13": _Set("late", "dt", "binary", weighted=True),
    "us_flights_2001": _Set("late", "date", "binary", weighted=True),
}


def streams() -> tuple[Stream, ...]:
    """Return all streams, in the order in which they are reported."""
    real = [Stream(name, "real", _loader(name), control=described.shuffled) for name, described in _SETS.items()]
    known = [Stream(name, "known", _synthetic(make), control=name == "stationary") for name, make in _KNOWN.items()]
    new = [Stream(name, "new", _synthetic(make)) for name, make in _NEW.items()]
    return (*real, Stream("hotel_bookings", "real", _hotel, delays=False), *known, *new)


def _loader(name: str) -> Callable[[int, Path | None], tuple[pa.Table, ModelSpec]]:
    described = _SETS[name]

    def load(rows: int, data: Path | None) -> tuple[pa.Table, ModelSpec]:
        path = (data or Path()) / f"{name}.parquet"
        if data is None or not path.is_file():
            msg = f"{name}.parquet is not in the folder of the benchmark tables"
            raise MissingDataError(msg)
        table = pq.read_table(path)
        order = np.argsort(np.asarray(table[described.time].to_pylist(), dtype=object), kind="stable")
        if described.shuffled:
            order = np.random.default_rng(0).permutation(table.num_rows)
        keep = min(len(order), int(rows * described.share) * PERIODS)
        chunk = max(1, keep // PERIODS)
        order = order[np.linspace(0, len(order) - 1, keep).astype(np.int64)][: chunk * PERIODS]
        table = table.take(pa.array(order))
        left = {described.label, described.time, *described.drop}
        features = [column for column in table.column_names if column not in left]
        content: dict[str, Any] = {column: _readable(table[column]) for column in features}
        content["label"] = table[described.label]
        content["order"] = pa.array(np.arange(len(order)))
        return pa.table(content), _spec(name, described, pa.table(content), features, chunk)

    return load


def _spec(name: str, described: _Set, table: pa.Table, features: list[str], chunk: int) -> ModelSpec:
    categorical = [
        column
        for column in features
        if not (pa.types.is_integer(table[column].type) or pa.types.is_floating(table[column].type))
    ]
    odds = 1.0
    if described.weighted:
        positive = float(np.mean(np.asarray(table["label"].to_pylist()) == 1))
        odds = round((1 - positive) / positive, 1)
    return parse_spec(
        _TOML.format(
            name=name,
            task=described.task,
            features=_quoted(features),
            categorical=_quoted(categorical),
            chunk=chunk,
            missed=-odds,
            threshold=1 / (1 + odds),
        )
    )


def described_spec(name: str, task: str, table: pa.Table, features: list[str], chunk: int) -> ModelSpec:
    """Return the specification of a synthetic table with the columns `label` and `order`, cut into `chunk` rows."""
    return _spec(name, _Set("label", "order", task), table, features, chunk)


_TOML = """
[model]
name = "{name}"
task = "{task}"
[columns]
time = "order"
label = "label"
features = {features}
categorical = {categorical}
[time]
window = {chunk}
period = 1
[decision]
positive = "1"
threshold = {threshold}
[value]
false_negative = {missed}
"""


def _quoted(names: list[str]) -> str:
    return "[" + ", ".join(f'"{name}"' for name in names) + "]"


def _readable(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return numbers that came as text as numbers; a few that are garbled are missing."""
    if pa.types.is_dictionary(column.type) or pa.types.is_integer(column.type) or pa.types.is_floating(column.type):
        return column
    values = column.to_pylist()
    found = [_number(value) for value in values]
    if sum(number is not None for number in found) < 0.9 * len(found):
        return column
    return pa.chunked_array([pa.array(found, pa.float64())])


def _number(value: str | None) -> float | None:
    try:
        return None if value is None else float(value)
    except ValueError:
        return None


def _hotel(rows: int, data: Path | None) -> tuple[pa.Table, ModelSpec]:
    del data
    table = pq.read_table(hotel_bookings_path())
    keep = min(table.num_rows, int(1.4 * rows) * PERIODS)
    table = table.take(pa.array(np.linspace(0, table.num_rows - 1, keep).astype(np.int64)))
    # 37 periods of 18 days instead of 22 months.
    return table, parse_spec(hotel_bookings_spec().replace('period = "month"', "period = 18"))


# Synthetic streams: x uniform in ten dimensions, a tenth of the labels turned round.

Make = Callable[[np.random.Generator, Floats, Floats], NDArray[np.bool_]]


def _synthetic(make: Make) -> Callable[[int, Path | None], tuple[pa.Table, ModelSpec]]:
    def load(rows: int, data: Path | None) -> tuple[pa.Table, ModelSpec]:
        del data
        draw = np.random.default_rng(7)
        chunk = min(rows, SYNTHETIC_ROWS)
        count = chunk * PERIODS
        when = np.arange(count) / count
        x = draw.random((count, 10))
        label = make(draw, x, when)
        turned = draw.random(count) < 0.1
        features = [f"x{column}" for column in range(10)]
        content: dict[str, Any] = {name: pa.array(x[:, column]) for column, name in enumerate(features)}
        content |= {"label": pa.array((label ^ turned).astype(np.int64)), "order": pa.array(np.arange(count))}
        table = pa.table(content)
        return table, _spec("synthetic", _Set("label", "order", "binary"), table, features, chunk)

    return load


def _plane(x: Floats, angle: Floats | float) -> NDArray[np.bool_]:
    return np.asarray(
        np.cos(angle) * (x[:, 0] - 0.5) + np.sin(angle) * (x[:, 1] - 0.5) + 0.3 * (x[:, 2] - 0.5) > 0, dtype=np.bool_
    )


def _abrupt(draw: np.random.Generator, x: Floats, when: Floats) -> NDArray[np.bool_]:
    del draw
    return _plane(x, np.where(when < 0.35, 0.0, np.where(when < 0.7, 1.2, 2.4)))


def _late_jump(draw: np.random.Generator, x: Floats, when: Floats) -> NDArray[np.bool_]:
    del draw
    return _plane(x, np.where(when < 0.8, 0.0, 1.8))


def _gradual(draw: np.random.Generator, x: Floats, when: Floats) -> NDArray[np.bool_]:
    del draw
    return _plane(x, 2.0 * when)


def _stationary(draw: np.random.Generator, x: Floats, when: Floats) -> NDArray[np.bool_]:
    del draw, when
    return _plane(x, 0.7)


def _circles(draw: np.random.Generator, x: Floats, when: Floats) -> NDArray[np.bool_]:
    del draw
    centre = 0.25 + 0.5 * when
    return np.asarray((x[:, 0] - centre) ** 2 + (x[:, 1] - 0.5) ** 2 < 0.09, dtype=np.bool_)


# Families that were added after the first policies were fixed; the present default was built with them in sight.


def _recurring(draw: np.random.Generator, x: Floats, when: Floats) -> NDArray[np.bool_]:
    """Two relations that take turns every nine periods: what was learnt long ago is right again."""
    del draw
    return _plane(x, np.where((when * PERIODS) % 18 < 9, 0.3, 1.5))


def _newcomers(draw: np.random.Generator, x: Floats, when: Floats) -> NDArray[np.bool_]:
    """A group of rows with a rule of its own grows from none to 60% from the middle on."""
    newcomer = draw.random(len(x)) < np.clip((when - 0.4) * 1.2, 0.0, 0.6)
    x[:, 9] = np.where(newcomer, 0.8 + 0.2 * x[:, 9], 0.8 * x[:, 9])
    return np.where(newcomer, _plane(x, 2.6), _plane(x, 0.7))


def _hard_seasons(draw: np.random.Generator, x: Floats, when: Floats) -> NDArray[np.bool_]:
    """The relation turns slowly, and every third of the stream is noisy for everybody: hard, and not stale."""
    label = _plane(x, 1.0 * when)
    noisy = (draw.random(len(x)) < 0.25) & ((when * 6).astype(np.int64) % 2 == 1)
    return np.where(noisy, draw.random(len(x)) < 0.5, label)


# Families written after the present default was fixed, and scored once: nothing was changed after that.


def _dying_feature(draw: np.random.Generator, x: Floats, when: Floats) -> NDArray[np.bool_]:
    """The strongest input slowly becomes noise from the middle on, while the relation to what it was stays."""
    label = _plane(x, 0.4)
    lost = draw.random(len(x)) < np.clip((when - 0.45) * 2.5, 0.0, 1.0)
    x[:, 0] = np.where(lost, draw.random(len(x)), x[:, 0])
    return label


def _shock_and_back(draw: np.random.Generator, x: Floats, when: Floats) -> NDArray[np.bool_]:
    """Twice for two periods another relation holds, then the old one again; beneath it all a slow turn."""
    del draw
    period = (when * PERIODS).astype(np.int64)
    shocked = ((period >= 17) & (period < 19)) | ((period >= 28) & (period < 30))
    return _plane(x, np.where(shocked, 1.6, 0.5) + 0.4 * when)


def _accelerating(draw: np.random.Generator, x: Floats, when: Floats) -> NDArray[np.bool_]:
    """The relation turns ever faster: what was learnt about ageing is too mild for what comes."""
    del draw
    return _plane(x, 3.0 * when**3)


_KNOWN: dict[str, Make] = {
    "abrupt": _abrupt,
    "late_jump": _late_jump,
    "gradual": _gradual,
    "circles": _circles,
    "stationary": _stationary,
    "recurring": _recurring,
    "newcomers": _newcomers,
    "hard_seasons": _hard_seasons,
}
_NEW: dict[str, Make] = {
    "dying_feature": _dying_feature,
    "shock_and_back": _shock_and_back,
    "accelerating": _accelerating,
}

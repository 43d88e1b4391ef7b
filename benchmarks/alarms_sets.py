"""The sets of `benchmarks alarms`: rows with a day each, scored by a model that was fitted on other whole days.

Every third day trains the model (every sixth of a short set); the others are replayed, never in their own order. Sets
without dates are cut into blocks of consecutive rows, which stand for days.
acs_employment_ma is trained on its first year and replayed within one of the others: its file is sorted by place.
"""

from __future__ import annotations

import gzip
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

from benchmarks.environments import environment
from benchmarks.result import MissingDataError
from pitstop.loop.models import decide
from pitstop.records.batches import normalise
from pitstop.records.infer import infer_spec
from pitstop.records.spec import ModelSpec, TimeSection

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
DAY = 86_400_000_000
TRAIN_EVERY, TRAIN_EVERY_SHORT, SHORT = 3, 6, 250
MOST_DAYS = 330


@dataclass(frozen=True)
class Described:
    """Where a set's roles are. `rows`: rows of a block that stands for a day; 0 where the time column has days."""

    label: str
    time: str
    drop: tuple[str, ...] = ()
    rows: int = 0
    label_time: str | None = None
    within: str | None = None


SETS = {
    "acs_employment_ma": Described(
        "employed", "year", ("id", "prediction", "predicted_probability"), rows=385, within="year"
    ),
    "bank_marketing": Described("subscribed", "step", ("duration", "month", "contact_month"), rows=150),
    "beijing_pm25": Described("unhealthy", "dt", ("pm2.5",)),
    "bike_sharing": Described("cnt", "dt", ("yr", "mnth", "season")),
    "covtype_8th": Described("Cover_Type", "step", rows=200),
    "elec2": Described("target", "step", rows=48),
    "hotel_bookings": Described("is_canceled", "booked_on", ("country", "arrives_on"), label_time="resolved_on"),
    "metro_traffic": Described("traffic_volume", "date_time"),
    "noaa_weather": Described("target", "step", rows=60),
    "nycflights13": Described("late", "dt"),
    "us_flights_2001": Described("late", "date"),
}

# Never looked at while the engine or its settings were made. They lie in packages of the peers' environments.
NEW = {
    "randhie (statsmodels)": Described("visits", "step", rows=100),
    "shuttle (river)": Described("anomaly", "step", rows=200),
}


@dataclass(frozen=True)
class Case:
    """A set ready to be replayed: normalised rows of the days that trained no model, in order of time.

    `day` int64[rows] numbers the replayed days, 0, 1, ...; `weekday` and `group` int64[days]: position in the week (0
    without dates), and the part of the set within which days are shuffled. `lag` int64[rows]: days from the prediction
    until its label is known. `scores`, `decided` are what the model says; `labels` the truth.
    """

    name: str
    spec: ModelSpec
    table: pa.Table
    day: Ints
    weekday: Ints
    group: Ints
    lag: Ints
    scores: Floats
    decided: NDArray[Any]
    labels: NDArray[Any]

    @property
    def starts(self) -> Ints:
        """First row of each day, and the number of rows at the end."""
        return np.searchsorted(self.day, np.arange(len(self.weekday) + 1)).astype(np.int64)


def load(name: str, data: Path | None) -> Case:
    """Return a set, with its model fitted (seconds). Raises `MissingDataError` where it is not here."""
    if name in NEW:
        described, table = NEW[name], _packaged(name)
    else:
        described, path = SETS[name], (data or Path()) / f"{name}.parquet"
        if data is None or not path.is_file():
            msg = f"{name}.parquet is not in the folder of the benchmark tables"
            raise MissingDataError(msg)
        table = pq.read_table(path)
    within = table[described.within] if described.within else None
    if described.rows:
        table = _stepped(table, described.time)
    return _case(name, described, table, within)


def _stepped(table: pa.Table, name: str) -> pa.Table:
    """Give the rows their place in the file as their time."""
    if name in table.column_names:
        table = table.drop_columns([name])
    return table.append_column(name, pa.array(np.arange(table.num_rows)))


def _case(name: str, described: Described, table: pa.Table, within: pa.ChunkedArray | None) -> Case:
    drop = tuple(column for column in described.drop if column in table.column_names)
    inference = infer_spec(
        table, time=described.time, label=described.label, label_time=described.label_time, drop=drop, name="set"
    )
    window: Any = described.rows or "day"
    spec = replace(inference.spec, time=TimeSection(window=window, period=30 if described.rows else "month"))
    rows = normalise(spec, table).table
    at = np.asarray(rows["@at"].to_numpy(), dtype=np.int64)
    days = spec.calendar.window_of(at)
    _, day = np.unique(days, return_inverse=True)
    known = np.asarray(rows["@label_at"].to_numpy(), dtype=np.int64)
    lag = spec.calendar.window_of(known) - days if described.label_time else np.zeros(len(day), dtype=np.int64)
    groups = np.zeros(len(day), dtype=np.int64)
    if within is not None:
        groups = np.unique(np.asarray(within.to_numpy()), return_inverse=True)[1].astype(np.int64)
    group = groups[np.searchsorted(day, np.arange(day.max() + 1))]
    every = TRAIN_EVERY_SHORT if len(group) < SHORT else TRAIN_EVERY
    train = (group == 0)[day] if within is not None else day % every == 0
    full = np.bincount(day) >= (described.rows or 1)
    scores, decided, labels = _modelled(spec, rows, train)
    keep = ~train & full[day]
    numbers, again = np.unique(day[keep], return_inverse=True)
    weekday = np.array([spec.calendar.phase(int(window)) for window in np.unique(days)], dtype=np.int64)
    return Case(
        name,
        spec,
        rows.filter(pa.array(keep)).select([*spec.columns.features]).combine_chunks(),
        again.astype(np.int64),
        weekday[numbers],
        group[numbers],
        lag[keep],
        scores[keep],
        decided[keep],
        labels[keep],
    )


def _modelled(spec: ModelSpec, rows: pa.Table, train: NDArray[np.bool_]) -> tuple[Floats, NDArray[Any], NDArray[Any]]:
    """Fit gradient boosting on the training rows; return scores, decisions and labels of all rows."""
    codes = []
    for name in spec.columns.features:
        column = rows[name].combine_chunks()
        if name in spec.columns.categorical:
            column = column if pa.types.is_dictionary(column.type) else column.dictionary_encode()
            codes.append(np.asarray(column.indices.fill_null(-1).to_numpy(zero_copy_only=False), dtype=np.float64))
        else:
            codes.append(np.asarray(column.to_numpy(zero_copy_only=False), dtype=np.float64))
    features = np.column_stack(codes)
    regression = spec.model.task == "regression"
    labels = np.array(rows["@label"].to_pylist(), dtype=np.float64 if regression else object)
    settings: dict[str, Any] = {"random_state": 0, "max_iter": 60, "early_stopping": False}
    if regression:
        fitted = HistGradientBoostingRegressor(**settings).fit(features[train], labels[train])
        said = np.asarray(fitted.predict(features), dtype=np.float64)
        return np.full(len(said), np.nan), said, labels
    names = np.unique(labels.astype(str))
    model = HistGradientBoostingClassifier(**settings).fit(features[train], labels[train].astype(str))
    likely = model.predict_proba(features)
    if len(names) > 2:
        return likely.max(axis=1), model.classes_[likely.argmax(axis=1)].astype(object), labels
    positive = spec.decision.positive
    scores = np.asarray(likely[:, list(model.classes_).index(positive)], dtype=np.float64)
    other = next(str(name) for name in names if name != positive)
    return scores, decide(spec, scores, (other, positive)), labels


def _packaged(name: str) -> pa.Table:
    """Return a set that comes with a package: RAND's health insurance experiment, or NASA's shuttle sensors."""
    peer, place = ("evidently", "statsmodels/datasets/randhie/randhie.csv")
    if "river" in name:
        peer, place = ("river", "river/datasets/shuttle.csv.gz")
    path = next((environment(peer).parent.parent / "lib").glob(f"python*/site-packages/{place}"))
    raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    table = pc.read_csv(pa.BufferReader(raw))
    if "river" in name:
        return table
    visits = pa.array((np.asarray(table["mdvis"].to_numpy()) > 2).astype(np.int64))
    return table.drop_columns(["mdvis"]).append_column("visits", visits)

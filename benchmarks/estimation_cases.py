"""The cases of the estimation benchmark: a model fitted on the past, a reference new to it, and windows to judge.

Each set is put in order of time and cut: the first quarter trains the model, the second is the reference, the rest are
the windows. Sets for choosing settings (`rehearsals`) come from NannyML's own package and from generators; they are
none of those that are scored (`scored`).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray
from sklearn.compose import make_column_transformer
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from benchmarks.result import MissingDataError
from pitstop.profile import Layout
from pitstop.records.batches import normalise
from pitstop.records.spec import ModelSpec, parse_spec
from pitstop.retraining.encoding import Encoding

Floats = NDArray[np.float64]

KINDS = ("linear", "gradient_boosting", "random_forest")
TRAINING, REFERENCE = 0.25, 0.25
# Rows of a set at most, evenly thinned, and rows of a window: 20 to 50 windows each.
MOST_ROWS, QUICK_ROWS = 60_000, 16_000
WINDOWS = 40


@dataclass(frozen=True)
class Part:
    """Rows, and what the model says of them: `probabilities` is float64[rows, classes], empty for a regression."""

    rows: pa.Table
    predicted: NDArray[Any]
    probabilities: Floats
    labels: NDArray[Any]

    @property
    def scores(self) -> Floats:
        """Return the score that Pitstop counts: of the positive class, or of the predicted one; NaN for a number."""
        if not self.probabilities.size:
            return np.full(len(self.labels), np.nan)
        return self.probabilities[:, 1] if self.probabilities.shape[1] == 2 else self.probabilities.max(axis=1)

    def piece(self, start: int, stop: int) -> Part:
        """Return the rows from `start` to before `stop`."""
        cut = slice(start, stop)
        return Part(
            self.rows.slice(start, stop - start), self.predicted[cut], self.probabilities[cut], self.labels[cut]
        )


@dataclass(frozen=True)
class Case:
    """One model on one set. `classes` are those of the columns of `probabilities`."""

    name: str
    kind: str
    spec: ModelSpec
    layout: Layout
    classes: tuple[str, ...]
    reference: Part
    current: Part
    window: int

    @property
    def task(self) -> str:
        """Return binary, multiclass or regression."""
        return self.spec.model.task

    def windows(self) -> Iterator[Part]:
        """Yield the full windows after the reference, oldest first."""
        for start in range(0, len(self.current.labels) - self.window + 1, self.window):
            yield self.current.piece(start, start + self.window)


@dataclass(frozen=True)
class _Set:
    label: str
    time: str
    task: str = "binary"
    drop: tuple[str, ...] = ()
    shuffled: bool = False


# What is dropped tells the label, or the date (see the tables' own notes).
_SETS = {
    "acs_employment_ma": _Set("employed", "year", drop=("id", "prediction", "predicted_probability"), shuffled=True),
    "bank_marketing": _Set("subscribed", "contact_month", drop=("duration", "month")),
    "beijing_pm25": _Set("unhealthy", "dt", drop=("pm2.5",)),
    "covtype_8th": _Set("Cover_Type", "step", "multiclass"),
    "elec2": _Set("target", "step"),
    "hotel_bookings": _Set("is_canceled", "booked_on", drop=("booking_id", "arrives_on", "resolved_on", "country")),
    "noaa_weather": _Set("target", "step"),
    "nycflights13": _Set("late", "dt"),
    "us_flights_2001": _Set("late", "date"),
    "bike_sharing": _Set("cnt", "dt", "regression", ("yr", "mnth", "season")),
    "metro_traffic": _Set("traffic_volume", "date_time", "regression"),
}


def scored() -> tuple[str, ...]:
    """Return the names of the sets that are scored."""
    return tuple(_SETS)


def task_of(name: str) -> str:
    """Return the task of a scored set."""
    return _SETS[name].task


def scored_cases(name: str, data: Path | None, quick: bool) -> Iterator[Case]:
    """Yield the cases of one scored set, one for each kind of model. Raises `MissingDataError` without its table."""
    described = _SETS[name]
    path = (data or Path()) / f"{name}.parquet"
    if data is None or not path.is_file():
        msg = f"{name}.parquet is not in the folder of the benchmark tables"
        raise MissingDataError(msg)
    table = pq.read_table(path)
    draw = np.random.default_rng(0)
    time = table[described.time].combine_chunks()
    if described.shuffled:
        table = table.take(pa.array(draw.permutation(table.num_rows)))
        time = table[described.time].combine_chunks()
    order = np.asarray(pc.array_sort_indices(time) if time.null_count else pc.sort_indices(time))
    keep = min(len(order), QUICK_ROWS if quick else MOST_ROWS)
    table = table.take(pa.array(order[np.linspace(0, len(order) - 1, keep).astype(np.int64)]))
    left = {described.label, described.time, *described.drop}
    features = {column: readable(table[column]) for column in table.column_names if column not in left}
    yield from fitted_cases(name, described.task, features, table[described.label])


def fitted_cases(name: str, task: str, features: dict[str, Any], label: pa.ChunkedArray) -> Iterator[Case]:
    """Yield a case for each kind of model, fitted on the first quarter of the rows, which are in order of time."""
    count = len(label)
    classes = sorted({str(value) for value in label.to_pylist()}) if task != "regression" else []
    first, second = int(TRAINING * count), int((TRAINING + REFERENCE) * count)
    spec = parse_spec(_spec_text(name, task, features, classes))
    content = {**features, "label": label.cast(pa.float64() if task == "regression" else pa.string())}
    rows = normalise(spec, pa.table({**content, "order": pa.array(np.arange(count))})).table
    labels = np.array(rows["@label"].to_pylist(), dtype=np.float64 if task == "regression" else object)
    training = rows.slice(0, first)
    names = list(spec.columns.features)
    encoding = Encoding.fit(training, names, list(spec.columns.categorical))
    matrix = encoding.matrix(rows)
    for kind in KINDS:
        model = _model(kind, task, encoding.categorical).fit(matrix[:first], labels[:first])
        found = model.predict(matrix[first:]) if task == "regression" else model.predict_proba(matrix[first:])
        known = [] if task == "regression" else [str(value) for value in model.classes_]
        outputs = _outputs(task, found, known, labels[:first])
        reference, current = (
            Part(rows.slice(start, stop - start).select(names), predicted[cut], probabilities[cut], labels[start:stop])
            for predicted, probabilities in [outputs]
            for start, stop, cut in [
                (first, second, slice(0, second - first)),
                (second, count, slice(second - first, None)),
            ]
        )
        yield case_of(name, kind, spec, tuple(known), reference, current)


def case_of(name: str, kind: str, spec: ModelSpec, classes: tuple[str, ...], reference: Part, current: Part) -> Case:
    """Return the case, with bins fitted on its reference."""
    content = {column: reference.rows[column] for column in reference.rows.column_names}
    regression = spec.model.task == "regression"
    content["@label"] = pa.chunked_array([pa.array(reference.labels, pa.float64() if regression else pa.string())])
    numbers = reference.predicted if regression else None
    layout = Layout.fit(spec, pa.table(content), predictions=numbers)
    window = max(250, min(2000, round(len(current.labels) / WINDOWS / 250) * 250))
    return Case(name, kind, spec, layout, classes, reference, current, window)


def _outputs(task: str, found: Floats, classes: list[str], labels: NDArray[Any]) -> tuple[NDArray[Any], Floats]:
    """Return what is predicted, and the probabilities; a rare positive class is predicted from its share upwards."""
    if task == "regression":
        return np.asarray(found, dtype=np.float64), np.zeros((len(found), 0))
    names = np.array(classes, dtype=object)
    if task == "binary":
        threshold = min(0.5, float(np.mean(labels == classes[1])))
        return names[(found[:, 1] >= threshold).astype(np.int64)], found
    return names[found.argmax(axis=1)], found


def _model(kind: str, task: str, categorical: NDArray[np.bool_]) -> Any:
    regression = task == "regression"
    if kind == "gradient_boosting":
        boosting = HistGradientBoostingRegressor if regression else HistGradientBoostingClassifier
        return boosting(max_iter=100 if task != "multiclass" else 40, random_state=0, categorical_features=categorical)
    if kind == "random_forest":
        forest = RandomForestRegressor if regression else RandomForestClassifier
        trees = forest(n_estimators=60, min_samples_leaf=5, random_state=0, max_samples=0.5)
        return make_pipeline(SimpleImputer(strategy="constant", fill_value=-1, keep_empty_features=True), trees)
    numbers = make_pipeline(SimpleImputer(strategy="median", keep_empty_features=True), StandardScaler())
    words = make_pipeline(
        SimpleImputer(strategy="constant", fill_value=-1, keep_empty_features=True),
        OneHotEncoder(handle_unknown="ignore"),
    )
    design = make_column_transformer(
        (numbers, np.flatnonzero(~categorical)), (words, np.flatnonzero(categorical)), sparse_threshold=0.0
    )
    return make_pipeline(design, Ridge() if regression else LogisticRegression(max_iter=300))


def _spec_text(name: str, task: str, features: dict[str, Any], classes: list[str]) -> str:
    numbers = {
        column
        for column, values in features.items()
        if pa.types.is_integer(values.type) or pa.types.is_floating(values.type)
    }
    positive = classes[1] if task == "binary" else "1"
    return (
        f'[model]\nname = "{name}"\ntask = "{task}"\n[columns]\ntime = "order"\nlabel = "label"\n'
        f"features = {_quoted(list(features))}\ncategorical = {_quoted([c for c in features if c not in numbers])}\n"
        f'[time]\nwindow = 1000\nperiod = 1\n[decision]\npositive = "{positive}"\n'
    )


def _quoted(names: list[str]) -> str:
    return "[" + ", ".join(f'"{name}"' for name in names) + "]"


def readable(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return texts that are mostly numbers as numbers (a few garbled ones are missing), all other texts as strings."""
    if pa.types.is_dictionary(column.type):
        return column.cast(pa.string())
    if not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
        return column.cast(pa.int64()) if pa.types.is_boolean(column.type) else column
    values = [_number(value) for value in column.to_pylist()]
    if sum(value is not None for value in values) >= 0.9 * len(values):
        return pa.chunked_array([pa.array(values, pa.float64())])
    return column.cast(pa.string())


def _number(value: str | None) -> float | None:
    try:
        return None if value is None else float(value)
    except ValueError:
        return None


# Synthetic sets to choose settings on. x is normal in six dimensions; each takes (draw, x, time from 0 to 1) to logits.
Make = Callable[[np.random.Generator, Floats, Floats], tuple[Floats, Floats]]


def rehearsal_generators() -> dict[str, Make]:
    """Return generators by name: each changes the inputs, the relation, both or neither as time goes from 0 to 1."""
    return {
        "still": lambda _, x, __: (x, _relation(x)),
        "inputs_shift": _inputs_shift,
        "inputs_swing": _inputs_swing,
        "unseen_relation": _both,
        "relation_turns": lambda _, x, when: (x, _relation(x) + 1.5 * np.clip(when - 0.5, 0, 0.3) * x[:, 0]),
        "level_drifts": lambda _, x, when: (x, _relation(x) + 1.2 * np.sin(5 * when)),
    }


def rehearsals(quick: bool) -> Iterator[Case]:
    """Yield the synthetic cases."""
    count = 12_000 if quick else 40_000
    for (name, make), seed in zip(rehearsal_generators().items(), itertools.count(1)):
        draw = np.random.default_rng(seed)
        when = np.arange(count) / count
        x, logits = make(draw, draw.normal(size=(count, 6)), when)
        labels = (draw.random(count) < 1 / (1 + np.exp(-logits))).astype(np.int64)
        features = {f"x{column}": pa.chunked_array([pa.array(x[:, column])]) for column in range(x.shape[1])}
        yield from fitted_cases(name, "binary", features, pa.chunked_array([pa.array(labels)]))


def _relation(x: Floats) -> Floats:
    return np.asarray(x[:, 0] + 0.8 * x[:, 1] * x[:, 2] - 0.5 + np.where(x[:, 3] > 0.5, 1.0, -0.3) * x[:, 4])


def _inputs_shift(_: np.random.Generator, x: Floats, when: Floats) -> tuple[Floats, Floats]:
    moved = x.copy()
    moved[:, 0] += 1.2 * np.clip(when - 0.4, 0, None)
    moved[:, 3] += 1.5 * np.clip(when - 0.4, 0, None)
    return moved, _relation(moved)


def _inputs_swing(_: np.random.Generator, x: Floats, when: Floats) -> tuple[Floats, Floats]:
    moved = x.copy()
    moved[:, 1] += 0.8 * np.sin(12 * when)
    moved[:, 4] *= 1 + 0.5 * np.sin(9 * when)
    return moved, _relation(moved)


def _both(_: np.random.Generator, x: Floats, when: Floats) -> tuple[Floats, Floats]:
    moved = x[:, [0, 1, 2, 3, 4]].copy()
    moved[:, 1] += 1.0 * when
    return moved, _relation(moved) + 0.6 * x[:, 5] * (1 + when)

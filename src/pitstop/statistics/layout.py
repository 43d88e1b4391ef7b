"""All bins of one model: what its rows are counted against, in this release and the next."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pitstop.errors import StatisticError
from pitstop.records.identity import artifact_id
from pitstop.records.spec import ModelSpec, Task
from pitstop.statistics.arrays import as_floats, as_strings
from pitstop.statistics.bins import CategoryBins, NumericBins
from pitstop.statistics.categories import CategoryCounts
from pitstop.statistics.cells import LEAVES
from pitstop.statistics.histogram import Histogram, nearly_equal
from pitstop.statistics.outcome_bins import MAX_CLASSES, OutcomeBins
from pitstop.statistics.scores import Scores
from pitstop.statistics.words import encoded

Feature = Histogram | CategoryCounts

# Shares of the reference's |error| at which errors are counted (methods: alarms.md, indicators of a regression).
_ERROR_SHARES = (0.5, 0.8)
# Features of a profile from which it is cheaper to work out the totals of all of them at once.
_SEVERAL = 4


@dataclass(frozen=True)
class Layout:
    """The bins of a model's features and output, fitted on a reference; they survive its releases.

    `classes`: binary (negative, positive), multiclass by falling frequency, regression (). `prediction_edges` and
    `error_edges` belong to a regression.
    """

    numeric: tuple[tuple[str, NumericBins], ...]
    categorical: tuple[tuple[str, CategoryBins], ...]
    task: Task
    classes: tuple[str, ...] = ()
    prediction_edges: NumericBins | None = None
    error_edges: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        """Refuse outputs that do not fit the task, and columns with two sets of bins."""
        names = [name for name, _ in (*self.numeric, *self.categorical)]
        if len(set(names)) != len(names):
            msg = f"a feature has two sets of bins among {names}"
            raise StatisticError(msg)
        _ = self.outcome_bins

    @cached_property
    def id(self) -> str:
        """Digest of every bin."""
        numeric = [[name, bins.id] for name, bins in self.numeric]
        categorical = [[name, bins.id] for name, bins in self.categorical]
        return artifact_id("layout", {"numeric": numeric, "categorical": categorical, "outcomes": self.outcome_bins.id})

    @cached_property
    def outcome_bins(self) -> OutcomeBins:
        """The cells of scores, predictions and outcomes."""
        return OutcomeBins(self.task, self.classes, self.prediction_edges, self.error_edges)

    def statistics(self) -> tuple[tuple[str, Any, Any], ...]:
        """Return (column, kind of statistic, bins) of each feature, numeric ones first."""
        return self._statistics

    @cached_property
    def _statistics(self) -> tuple[tuple[str, Any, Any], ...]:
        return (
            *((name, Histogram, bins) for name, bins in self.numeric),
            *((name, CategoryCounts, bins) for name, bins in self.categorical),
        )

    @cached_property
    def places(self) -> dict[str, tuple[Any, Any, int, int]]:
        """Kind of statistic, bins, and where its counts begin and end in a vector of all features', by column."""
        found, start = {}, 0
        for (name, kind, bins), size in zip(self._statistics, self.sizes, strict=True):
            found[name] = kind, bins, start, start + size
            start += size
        return found

    @cached_property
    def totals(self) -> Totals:
        """How totals of every feature follow from a vector of their counts."""
        return Totals(self)

    @cached_property
    def sizes(self) -> tuple[int, ...]:
        """Number of counts of each feature, in the order of `statistics`."""
        return tuple(int(kind.size_for(bins)) for _, kind, bins in self._statistics)

    @cached_property
    def size(self) -> int:
        """Number of counts of a profile: rows, duplicates, leaves, scores and features."""
        return 2 + LEAVES + Scores.size_for(self.outcome_bins) + sum(self.sizes)

    def encoded(self, table: pa.Table, *, threads: int = 1) -> pa.Table:
        """Return `table` with its plain categories dictionary-encoded: worth it where it is counted more than once.

        `threads` columns are encoded at the same time. What is counted of either is the same (`words.encoded`).
        """
        names = [name for name, _ in self.categorical if name in table.column_names]
        columns = [table.column(name) for name in names]
        if threads == 1 or len(names) < 2:
            made = [encoded(column) for column in columns]
        else:
            with ThreadPoolExecutor(threads, thread_name_prefix="encode") as pool:
                made = list(pool.map(encoded, columns))
        for name, column, new in zip(names, columns, made, strict=True):
            if new is not column:
                table = table.set_column(table.column_names.index(name), name, new)
        return table

    @classmethod
    def fit(cls, spec: ModelSpec, rows: pa.Table, *, predictions: NDArray[np.float64] | None = None) -> Self:
        """Return the layout of `spec`'s model on normalised reference `rows` (features, `@label`, `@prediction`).

        `predictions`: a regression's predicted numbers for the same rows, where the table does not log them; without
        any, errors are measured against the median label. Classes come from the labels, else from logged predictions.
        Raises `StatisticError` where a column is missing or there is neither a label nor a prediction.
        """
        missing = [name for name in spec.columns.features if name not in rows.column_names]
        if missing:
            msg = f"the reference lacks the feature {missing[0]!r}; it has {', '.join(rows.column_names)}"
            raise StatisticError(msg)
        numeric = tuple((name, NumericBins.fit(rows.column(name))) for name in spec.numeric)
        categorical = tuple((name, CategoryBins.fit(rows.column(name))) for name in spec.columns.categorical)
        if spec.model.task == "regression":
            target = as_floats(_target(rows))
            guess = predictions if predictions is not None else _logged(rows)
            return cls(
                numeric,
                categorical,
                spec.model.task,
                prediction_edges=NumericBins.fit(target),
                error_edges=_error_edges(target, guess),
            )
        classes = _classes(spec, as_strings(_target(rows)))
        return cls(numeric, categorical, spec.model.task, classes)

    def to_document(self) -> dict[str, Any]:
        """Return the layout as plain JSON types; floats as hexadecimal text, exact to the last bit."""
        prediction = self.prediction_edges
        return {
            "numeric": [[name, [edge.hex() for edge in bins.edges]] for name, bins in self.numeric],
            "categorical": [[name, list(bins.values), list(bins.known), bins.open] for name, bins in self.categorical],
            "task": self.task,
            "classes": list(self.classes),
            "prediction_edges": None if prediction is None else [edge.hex() for edge in prediction.edges],
            "error_edges": [edge.hex() for edge in self.error_edges],
        }

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Self:
        """Return the layout that `to_document` wrote."""
        prediction = document["prediction_edges"]
        return cls(
            tuple((name, NumericBins(_unhex(edges))) for name, edges in document["numeric"]),
            tuple(
                (name, CategoryBins(tuple(values), tuple(known), is_open))
                for name, values, known, is_open in document["categorical"]
            ),
            document["task"],
            tuple(document["classes"]),
            None if prediction is None else NumericBins(_unhex(prediction)),
            _unhex(document["error_edges"]),
        )


class Totals:
    """What monitors ask of each feature (`n`, `nulls`, `alike`), worked out for all features of a profile at once.

    Each number is made by the operations of `Histogram` and `CategoryCounts` on the same values: the same bits.
    """

    def __init__(self, layout: Layout) -> None:
        self._names = list(layout.places)
        places = list(layout.places.values())
        cells = [int(bins.cells) for _, bins, _, _ in places]
        starts = [start for _, _, start, _ in places]
        self._cells, self._firsts = _spans(starts, cells)
        self._nulls = np.array([end - (3 if kind is Histogram else 1) for kind, _, _, end in places], dtype=np.int64)
        inner = [at for at, (kind, bins, _, _) in enumerate(places) if kind is Histogram and bins.cells > 2]
        self._alike_names = [self._names[at] for at in inner]
        self._inner, self._inner_firsts = _spans([starts[at] + 1 for at in inner], [cells[at] - 2 for at in inner])
        self._width = np.repeat(np.array([cells[at] for at in inner], np.int64), [cells[at] - 2 for at in inner])

    def of(self, vector: NDArray[np.int64]) -> dict[str, dict[str, int]]:
        """Return them by feature, from the counts of all features."""
        n = np.add.reduceat(vector[self._cells], self._firsts).tolist()
        nulls = vector[self._nulls].tolist()
        found = {name: {"n": a, "nulls": b} for name, a, b in zip(self._names, n, nulls, strict=True)}
        if self._inner.size:
            at, width = self._inner, self._width
            rows = nearly_equal(vector[at], vector[at + width], vector[at + 2 * width])
            alike = np.maximum.reduceat(rows, self._inner_firsts).tolist()
            for name, value in zip(self._alike_names, alike, strict=True):
                found[name]["alike"] = value
        return found


def _spans(starts: list[int], sizes: list[int]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the positions of several spans one after the other, and at which of these each begins."""
    spans = [np.arange(start, start + size) for start, size in zip(starts, sizes, strict=True)]
    return np.concatenate([np.zeros(0, np.int64), *spans]), np.cumsum([0, *sizes[:-1]])[: len(sizes)]


class Features(Mapping[str, Feature]):
    """The statistics of a profile's features by column, out of the vector of their counts, each made when asked for.

    Of thousands of columns, making what nobody looks at costs more than reading the counts.
    """

    __slots__ = ("_layout", "_made", "_places", "_totals", "_vector")

    def __init__(self, layout: Layout, vector: NDArray[np.int64]) -> None:
        self._layout, self._places, self._vector = layout, layout.places, vector
        self._made: dict[str, Feature] = {}
        self._totals: Mapping[str, Mapping[str, int]] = {}

    def __getitem__(self, name: str) -> Feature:
        found = self._made.get(name)
        if found is None:
            kind, bins, start, end = self._places[name]
            found = self._made[name] = object.__new__(kind)
            # As the constructor would, less its checks: these places are those of the layout's own bins.
            found.__dict__.update(bins=bins, vector=self._vector[start:end])
            if len(self._made) == _SEVERAL:
                self._totals = self._layout.totals.of(self._vector)
            if self._totals:
                # Where it would be kept once it was asked for (`functools.cached_property`).
                found.__dict__.update(self._totals[name])
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)


def _unhex(texts: list[str]) -> tuple[float, ...]:
    return tuple(float.fromhex(text) for text in texts)


def _target(rows: pa.Table) -> Any:
    """Return the labels, or the logged predictions where no row has a label."""
    found = [rows.column(name) for name in ("@label", "@prediction") if name in rows.column_names]
    filled = [column for column in found if column.null_count < len(column)]
    if not filled:
        msg = "the reference has neither a label nor a prediction; name one of them in [columns]"
        raise StatisticError(msg)
    return filled[0]


def _logged(rows: pa.Table) -> NDArray[np.float64] | None:
    if "@prediction" not in rows.column_names or "@label" not in rows.column_names:
        return None
    return as_floats(rows.column("@prediction"))


def _error_edges(target: NDArray[np.float64], guess: NDArray[np.float64] | None) -> tuple[float, ...]:
    if guess is not None and guess.shape != target.shape:
        msg = f"got {guess.size} predictions for {target.size} reference rows; expected one each"
        raise StatisticError(msg)
    known = np.isfinite(target) if guess is None else np.isfinite(target) & np.isfinite(guess)
    labels = np.sort(target[known])
    if labels.size == 0:
        return ()
    errors = np.sort(np.abs(labels - labels[labels.size // 2] if guess is None else target[known] - guess[known]))
    at = [min(int(share * errors.size), errors.size - 1) for share in _ERROR_SHARES]
    # An edge of 0 would call every row an error.
    return tuple(sorted({float(errors[index]) for index in at if 0.0 < errors[index] < np.inf}))


def _classes(spec: ModelSpec, labels: pa.Array) -> tuple[str, ...]:
    counted = pc.value_counts(labels.drop_null())
    names, counts = counted.field("values").to_pylist(), counted.field("counts").to_pylist()
    order = [name for _, name in sorted(zip(counts, names, strict=True), key=lambda item: (-item[0], item[1]))]
    if spec.model.task == "multiclass":
        return tuple(order[:MAX_CLASSES])
    others = [name for name in order if name != spec.decision.positive]
    return (others[0] if len(others) == 1 else "other", spec.decision.positive)

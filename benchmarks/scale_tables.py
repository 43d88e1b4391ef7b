"""The tables of the scale benchmark: tall, wide and skewed, written a row group at a time."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pitstop.profile import Layout
from pitstop.records.spec import ColumnsSection, ModelSection, ModelSpec, TrainerSection
from pitstop.statistics.bins import CategoryBins, NumericBins

TALL_COLUMNS = 30
WIDE_COLUMNS = 5_000
# Rows of a group: what PyArrow writes by default is four times as much.
GROUP_ROWS = 250_000
DAYS = 100
_MICROS = 86_400_000_000
_CATEGORIES = (3, 10, 40, 200)


def model(names: list[str]) -> ModelSpec:
    """Return the specification: a binary model with a score; columns k0, k1, ... are categories."""
    features = tuple(name for name in names if name not in ("at", "score"))
    categorical = tuple(name for name in features if name.startswith("k"))
    columns = ColumnsSection(time="at", score="score", features=features, categorical=categorical)
    return ModelSpec(ModelSection("scale", "binary"), columns, trainer=TrainerSection(name="none"))


def layout(path: Path, spec: ModelSpec, rows: int = 20_000) -> Layout:
    """Return the default bins, fitted on the first rows of a file, some columns at a time."""
    fitted: dict[str, Any] = {}
    with pq.ParquetFile(path) as file:
        features = list(spec.columns.features)
        for start in range(0, len(features), 100):
            names = features[start : start + 100]
            table = pa.Table.from_batches([next(file.iter_batches(rows, row_groups=[0], columns=names))])
            for name in names:
                kind = CategoryBins if name in spec.columns.categorical else NumericBins
                fitted[name] = kind.fit(table.column(name))
    numeric = tuple((name, fitted[name]) for name in spec.numeric)
    return Layout(numeric, tuple((name, fitted[name]) for name in spec.columns.categorical), "binary", ("0", "1"))


def write_plain(path: Path, rows: int, columns: int, group_rows: int = GROUP_ROWS, *, days: int = DAYS) -> None:
    """Write `columns` columns: two thirds numbers (normal, log-normal, rounded), a third categories, time, score.

    The rows of a group are those of the first one, each column moved by another number of rows: rows differ, and
    drawing costs nothing. Times are spread evenly over `days`.
    """
    size = min(rows, group_rows)
    first = _drawn(size, columns - 2)
    schema = pa.schema(
        [("at", pa.timestamp("us")), *((name, column.type) for name, column in first), ("score", pa.float64())]
    )
    with pq.ParquetWriter(path, schema, use_dictionary=[name for name, _ in first if name[0] == "k"]) as writer:
        for start in range(0, rows, size):
            count = min(size, rows - start)
            writer.write_batch(_moved(first, start, (count, rows, days), schema), row_group_size=count)


def write_skewed(path: Path, rows: int, distinct: int) -> None:
    """Write what is hard: as many categories as rows or `distinct`, a constant, 99.9% nulls, heavy tails, no order."""
    draw = np.random.default_rng(2)
    codes = draw.integers(0, distinct, rows)
    table = pa.table(
        {
            "at": _times(draw.permutation(rows), rows),
            "k0": pa.array([f"customer {code}" for code in codes]),
            "k1": pa.array(np.where(draw.random(rows) < 0.999, "usual", "rare")),
            "constant": np.full(rows, 7.0),
            "nulls": pa.array(draw.random(rows), mask=draw.random(rows) < 0.999),
            "tails": draw.standard_cauchy(rows),
            "whole": draw.zipf(1.6, rows).astype(np.float64),
            "score": draw.random(rows),
        }
    )
    pq.write_table(table, path, row_group_size=max(1, rows // 7))


def _drawn(rows: int, columns: int) -> list[tuple[str, pa.Array]]:
    draw = np.random.default_rng(1)
    numbers = columns * 2 // 3
    found: list[tuple[str, pa.Array]] = []
    for at in range(numbers):
        values = (draw.normal, draw.standard_normal, draw.random)[at % 3](size=rows) * 10.0 ** (at % 4)
        found.append((f"x{at}", pa.array(np.exp(values / 1000) if at % 5 == 1 else np.round(values, 3))))
    for at in range(columns - numbers):
        many = _CATEGORIES[at % len(_CATEGORIES)]
        names = pa.array([f"category {number}" for number in range(many)])
        found.append(
            (f"k{at}", pa.DictionaryArray.from_arrays(pa.array(draw.integers(0, many, rows, np.int32)), names))
        )
    return found


def _moved(
    first: list[tuple[str, pa.Array]], start: int, sizes: tuple[int, int, int], schema: pa.Schema
) -> pa.RecordBatch:
    count, rows, days = sizes
    size = len(first[0][1])
    columns = [_times(np.arange(start, start + count), rows, days)]
    for place, (_, column) in enumerate(first):
        by = (start // size * (2 * place + 1) * 7919) % size
        moved = column if not by else pa.concat_arrays([column.slice(by), column.slice(0, by)])
        columns.append(moved.slice(0, count))
    columns.append(pa.array(np.random.default_rng(start).random(count)))
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def _times(place: Any, rows: int, days: int = DAYS) -> pa.Array:
    start = np.datetime64("2024-01-01T00:00:00", "us")
    return pa.array(start + (place * (days * _MICROS // rows)).astype("timedelta64[us]"))


def differing(left: dict[int, Any], right: dict[int, Any]) -> Iterator[int]:
    """Yield for each window how many entries of two profiles' vectors differ."""
    for window in sorted(left.keys() | right.keys()):
        if window not in left or window not in right:
            yield 1
            continue
        one, other = left[window], right[window]
        yield int(one.rows != other.rows) + int(one.duplicates != other.duplicates)
        yield int((one.scores.vector != other.scores.vector).sum())
        for name, feature in one.features.items():
            yield int((feature.vector != other.features[name].vector).sum())

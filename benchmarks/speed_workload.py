"""The workload of the speed benchmark: rows of 20 numbers and 10 texts by day, with a score, a decision and a label.

Numbers are of the usual shapes (normal, log-normal, whole, mostly zero); texts have 3 to 200 values, of Zipf's
frequencies. The later days drift a little, so that no statistic is trivially zero.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

NUMBERS = tuple(f"number_{index}" for index in range(20))
TEXTS = tuple(f"text_{index}" for index in range(10))
_VALUES = (3, 5, 8, 12, 20, 20, 35, 50, 100, 200)
_SECONDS = 86_400


def workload(rows: int, days: int, seed: int, drift: float = 0.0) -> pa.Table:
    """Return `rows` rows in order of time over `days` days; texts are dictionary-encoded.

    `drift`: how far the last day's numbers have moved, in standard deviations.
    """
    rng = np.random.default_rng(seed)
    at = np.sort(rng.integers(0, days * _SECONDS, rows))
    shift = drift * (at / (days * _SECONDS))
    columns: dict[str, pa.Array] = {
        "at": pa.array(at * 1_000_000, pa.timestamp("us", tz="UTC")),
        **{name: pa.array(_number(rng, index, rows) + shift) for index, name in enumerate(NUMBERS)},
        **{name: _text(rng, size, rows) for name, size in zip(TEXTS, _VALUES, strict=True)},
    }
    score = rng.beta(2.0, 5.0, rows)
    label = rng.random(rows) < score
    columns["score"] = pa.array(score)
    columns["predicted"] = pa.array((score >= 0.5).astype(np.int64))
    columns["label"] = pa.array(label.astype(np.int64))
    return pa.table(columns)


def days_of(table: pa.Table) -> NDArray[np.int32]:
    """Return the day of each row from the first one, int32."""
    at = table["at"].to_numpy().astype("datetime64[us]").astype(np.int64)
    return np.asarray(at // (_SECONDS * 1_000_000), dtype=np.int32)


def plain(table: pa.Table) -> pa.Table:
    """Return the table with its texts as plain strings, not dictionary-encoded."""
    for name in TEXTS:
        table = table.set_column(table.column_names.index(name), name, table[name].cast(pa.string()))
    return table


def write(table: pa.Table, path: Path) -> None:
    """Write the table as users' tools do: Parquet with its defaults (dictionaries, Snappy)."""
    pq.write_table(table, path)


def _number(rng: np.random.Generator, index: int, rows: int) -> NDArray[np.float64]:
    kinds = (
        lambda: rng.normal(size=rows),
        lambda: rng.lognormal(0.0, 1.0, rows),
        lambda: rng.integers(0, 50, rows).astype(np.float64),
        lambda: np.where(rng.random(rows) < 0.7, 0.0, rng.gamma(2.0, 10.0, rows)),
    )
    return np.asarray(kinds[index % len(kinds)](), dtype=np.float64)


def _text(rng: np.random.Generator, size: int, rows: int) -> pa.Array:
    weight = 1.0 / np.arange(1, size + 1)
    codes = rng.choice(size, rows, p=weight / weight.sum()).astype(np.int32)
    words = [f"value {number}" if number % 3 else f"a longer value, number {number}" for number in range(size)]
    return pa.DictionaryArray.from_arrays(pa.array(codes), pa.array(words))

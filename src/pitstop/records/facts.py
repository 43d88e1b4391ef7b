"""What can be seen of a column before anyone has said what it means: its kind, its distinct values, its order."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pitstop.errors import ColumnValueError
from pitstop.records import columns as convert
from pitstop.records.instants import Instants, read_instants

SAMPLE_ROWS = 50_000
Kind = Literal["number", "category", "time", "flag", "empty", "other"]

_LOOKS_LIKE_TIME = re.compile(r"\d{4}(-\d{2}|-?Q[1-4]).*")


@dataclass(frozen=True)
class ColumnFacts:
    """One column of a sample.

    `kind`: "number"; "category" (text, dictionaries); "time" (dates, timestamps, ISO text); "flag" (boolean); "empty"
    (all null); "other" (nested, binary). `distinct` counts values in the sample without null; `whole` says that all
    numbers are integers; `why` says how numeric text was taken.
    """

    name: str
    column: pa.ChunkedArray
    kind: Kind
    distinct: int
    nulls: int
    whole: bool
    odd: str = ""

    @property
    def constant(self) -> bool:
        """Whether there is at most one value and no null beside it."""
        return self.distinct == 0 or (self.distinct == 1 and self.nulls == 0)

    def numbers(self) -> NDArray[np.float64]:
        """The sample as float64, NaN where missing (kinds number and flag)."""
        array = convert.numbers(self.column, self.name)
        return np.asarray(array.to_numpy(zero_copy_only=False), dtype=np.float64)

    def codes(self) -> NDArray[np.int64]:
        """The sample as codes of its distinct values, -1 where missing (any kind but "other")."""
        indices = convert.texts(self.column, self.name).dictionary_encode().indices
        return np.asarray(pc.fill_null(indices, -1).to_numpy(zero_copy_only=False), dtype=np.int64)

    def instants(self) -> Instants:
        """The sample as instants (kinds time and whole numbers)."""
        return read_instants(self.column, self.name)


def sample(table: pa.Table, rows: int = SAMPLE_ROWS) -> pa.Table:
    """Return at most `rows` rows, evenly spread over the table and in its order."""
    if table.num_rows <= rows:
        return table
    positions = np.linspace(0, table.num_rows - 1, rows).astype(np.int64)
    return table.take(pa.array(positions))


def facts_of(table: pa.Table) -> dict[str, ColumnFacts]:
    """Return the facts of every column, in the order of the table."""
    return {name: _facts(name, table.column(position)) for position, name in enumerate(table.column_names)}


def _facts(name: str, column: pa.ChunkedArray) -> ColumnFacts:
    kind = column.type
    if pa.types.is_nested(kind) or pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        return ColumnFacts(name, column, "other", 0, column.null_count, whole=False)
    plain = convert.decoded(column)
    if plain.null_count == len(plain):
        return ColumnFacts(name, column, "empty", 0, len(plain), whole=False)
    distinct = pc.count_distinct(plain).as_py()
    if convert.is_number(kind) and not pa.types.is_dictionary(kind):
        return _number(name, plain, distinct, plain.null_count)
    if convert.is_text(kind):
        return _text(name, column, distinct, plain.null_count)
    return ColumnFacts(name, column, _plain_kind(kind), distinct, plain.null_count, whole=pa.types.is_boolean(kind))


def _plain_kind(kind: pa.DataType) -> Kind:
    if pa.types.is_boolean(kind):
        return "flag"
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        return "time"
    return "category" if pa.types.is_dictionary(kind) else "other"


def _number(name: str, column: pa.ChunkedArray, distinct: int, nulls: int) -> ColumnFacts:
    values = np.asarray(convert.numbers(column, name).to_numpy(zero_copy_only=False), dtype=np.float64)
    known = values[~np.isnan(values)]
    if not len(known):
        return ColumnFacts(name, column, "empty", 0, len(column), whole=False)
    whole = bool(np.all(np.isfinite(known)) and np.all(known == np.floor(known)))
    # Arrow counts NaN as a value; for us it is a missing one.
    missing = len(values) - len(known)
    return ColumnFacts(name, column, "number", distinct - int(missing > nulls), missing, whole=whole)


def _text(name: str, column: pa.ChunkedArray, distinct: int, nulls: int) -> ColumnFacts:
    values = [value for value in pc.unique(convert.decoded(column)).to_pylist() if value]
    if values and all(_LOOKS_LIKE_TIME.match(value) for value in values[:100]) and _are_times(column, name):
        return ColumnFacts(name, column, "time", distinct, nulls, whole=False)
    category = ColumnFacts(name, column, "category", distinct, nulls, whole=False)
    if pa.types.is_dictionary(column.type) or distinct <= 30:
        return category
    bad = [value for value in values if not convert.reads_as_number(value.strip())]
    if bad and len(bad) <= 0.1 * len(values):
        count = f"{len(bad)} of its {len(values)} texts"
        odd = f"{count} are no numbers, such as {bad[0]!r}; correct them to use it as a number"
        return replace(category, odd=odd)
    if bad or not _are_amounts(values):
        return category
    whole = all(float(value).is_integer() for value in values)
    return ColumnFacts(name, column, "number", distinct, nulls, whole=whole)


def _are_times(column: pa.ChunkedArray, name: str) -> bool:
    try:
        read_instants(column, name)
    except ColumnValueError:
        return False
    return True


def _are_amounts(values: list[str]) -> bool:
    """Whether texts of numbers are amounts. Digits with many gaps between them are codes (an agent, a shop)."""
    numbers = np.array([float(value) for value in values])
    if not np.all(np.isfinite(numbers)):
        return False
    low, high = np.quantile(numbers, (0.05, 0.95))
    inside = int(np.sum((numbers >= low) & (numbers <= high)))
    return bool(np.any(numbers != np.floor(numbers))) or inside >= 0.8 * (high - low + 1)

"""Time columns of any type as instants: microseconds since 1970-01-01 UTC, or the integers of a step or year column."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pitstop.errors import ColumnValueError
from pitstop.records.calendar import Ints

EXPECTED = (
    "expected ISO dates or times such as 2015-07-01 or 2015-07-01T10:00, with the same use of time zones in every row"
)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
# What has a date: windows are named by theirs.
_FIRST, _LAST = ((moment.replace(tzinfo=UTC) - _EPOCH) // _MICROSECOND for moment in (datetime.min, datetime.max))  # noqa: DTZ901 - the zone is set
_MONTH = re.compile(r"(\d{4})-(\d{2})")
_QUARTER = re.compile(r"(\d{4})-?Q([1-4])")
_YEAR = re.compile(r"\d{4}")
_MICRO = pa.timestamp("us")
_MICRO_UTC = pa.timestamp("us", tz="UTC")


@dataclass(frozen=True)
class Instants:
    """A time column as numbers.

    `values` int64 (0 where missing), `valid` whether there is a value. `kind`: "integer" (not a date at all), "date"
    (whole days or coarser: the moment within the day is not known) or "moment".
    """

    values: Ints
    valid: NDArray[np.bool_]
    kind: Literal["integer", "date", "moment"]


def read_instants(column: pa.ChunkedArray, name: str) -> Instants:
    """Return a time column as `Instants`.

    Dates, timestamps of any unit (with a zone: converted to UTC; without: taken as UTC), integers, whole floats, and
    text: ISO dates and times, `2008-05`, `2008-Q2`, `2008`. Text with different zone offsets is converted to UTC; text
    that has a zone in some rows only is refused, because the others could mean anything.
    Raises `ColumnValueError` with the column, the first bad row (counted from 1) and its value.
    """
    kind = column.type
    if pa.types.is_dictionary(kind):
        return read_instants(column.cast(kind.value_type), name)
    valid = np.asarray(column.is_valid().to_numpy(), dtype=bool)
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        return Instants(_micros(column, name), valid, "date" if pa.types.is_date(kind) else "moment")
    if pa.types.is_integer(kind):
        return Instants(_integers(column, name), valid, "integer")
    if pa.types.is_floating(kind):
        return _whole_floats(column, name)
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return _texts(column, name)
    if pa.types.is_null(kind):
        return Instants(np.zeros(len(column), dtype=np.int64), valid, "moment")
    msg = f"time column {name!r} has the type {kind}; {EXPECTED}, or whole numbers (step, year)"
    raise ColumnValueError(msg)


def _filled(column: pa.ChunkedArray) -> Ints:
    return np.asarray(pc.fill_null(column, 0).to_numpy(), dtype=np.int64)


def _integers(column: pa.ChunkedArray, name: str) -> Ints:
    try:
        return _filled(column.cast(pa.int64()))
    except pa.ArrowInvalid as error:
        msg = f"time column {name!r} holds a number beyond 64 bits with a sign ({error}); correct it"
        raise ColumnValueError(msg) from error


def _micros(column: pa.ChunkedArray, name: str) -> Ints:
    values = _counted(column, name)
    outside = np.flatnonzero((values < _FIRST) | (values > _LAST))
    if len(outside):
        msg = f"time column {name!r}, row {outside[0] + 1}: the time lies outside the years 1 to 9999; correct it"
        raise ColumnValueError(msg)
    return values


def _counted(column: pa.ChunkedArray, name: str) -> Ints:
    kind = column.type
    try:
        if pa.types.is_timestamp(kind):
            if kind.unit == "ns":
                # Floor, as integer division does, so that times before 1970 round the same way.
                return _filled(column.cast(pa.int64())) // 1000
            return _filled(column.cast(pa.timestamp("us", tz=kind.tz)).cast(pa.int64()))
        return _filled(column.cast(_MICRO).cast(pa.int64()))
    except pa.ArrowInvalid as error:
        msg = f"time column {name!r} holds a time outside the years that microseconds can count ({error}); correct it"
        raise ColumnValueError(msg) from error


def _whole_floats(column: pa.ChunkedArray, name: str) -> Instants:
    values = np.asarray(column.cast(pa.float64()).to_numpy(), dtype=np.float64)
    valid = ~np.isnan(values)
    bad = np.flatnonzero(valid & ((np.abs(values) >= 2**53) | (values != np.floor(values))))
    if len(bad):
        msg = (
            f"time column {name!r}, row {bad[0] + 1}: got {values[bad[0]]:g}; numbers in a time column are whole "
            "(step, year)"
        )
        raise ColumnValueError(msg)
    return Instants(np.where(valid, values, 0).astype(np.int64), valid, "integer")


def _texts(column: pa.ChunkedArray, name: str) -> Instants:
    encoded = pc.utf8_trim_whitespace(column.cast(pa.large_string())).combine_chunks().dictionary_encode()
    texts = encoded.dictionary
    codes = np.asarray(pc.fill_null(encoded.indices, -1).to_numpy(zero_copy_only=False), dtype=np.int64)
    parsed = _cast_all(texts)
    if parsed is None:
        parsed = _parse_each(texts.to_pylist(), codes, name)
    empty = np.array([not text for text in texts.to_pylist()], dtype=bool)
    valid = codes >= 0
    if len(texts):
        valid &= ~empty[codes]
    longest = pc.max(pc.utf8_length(texts)).as_py() or 0
    values = np.where(valid, parsed[codes] if len(texts) else 0, 0).astype(np.int64)
    return Instants(values, valid, "date" if longest <= 10 else "moment")


def _cast_all(texts: pa.LargeStringArray) -> Ints | None:
    """Return microseconds where Arrow's own, much faster reader takes all texts as they are, else None."""
    for kind in (_MICRO, _MICRO_UTC):
        try:
            return np.asarray(texts.cast(kind).cast(pa.int64()).to_numpy(zero_copy_only=False), dtype=np.int64)
        except pa.ArrowInvalid:
            continue
    return None


def _parse_each(texts: list[str], codes: Ints, name: str) -> Ints:
    values = np.zeros(len(texts), dtype=np.int64)
    zoned: dict[bool, int] = {}
    for code, text in enumerate(texts):
        if not text:
            continue
        moment = _parse(text)
        if moment is None:
            row = int(np.flatnonzero(codes == code)[0]) + 1
            msg = f"time column {name!r}, row {row}: cannot read {text!r} as a time; {EXPECTED}"
            raise ColumnValueError(msg)
        zoned.setdefault(moment.tzinfo is not None, code)
        values[code] = _micro(moment)
    if len(zoned) == 2:
        rows = {has: int(np.flatnonzero(codes == code)[0]) + 1 for has, code in zoned.items()}
        msg = (
            f"time column {name!r} mixes time zones: row {rows[True]} ({texts[zoned[True]]!r}) names its zone, row "
            f"{rows[False]} "
            f"({texts[zoned[False]]!r}) does not; write all times in UTC, or all with their offset"
        )
        raise ColumnValueError(msg)
    return values


def _micro(moment: datetime) -> int:
    return ((moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - _EPOCH) // _MICROSECOND


def _parse(text: str) -> datetime | None:
    try:
        if match := _MONTH.fullmatch(text):
            return datetime(int(match[1]), int(match[2]), 1)  # noqa: DTZ001 - a month names no zone
        if match := _QUARTER.fullmatch(text):
            return datetime(int(match[1]), 3 * int(match[2]) - 2, 1)  # noqa: DTZ001 - as above
        if _YEAR.fullmatch(text):
            return datetime(int(text), 1, 1)  # noqa: DTZ001 - as above
        return datetime.fromisoformat(text)
    except ValueError:
        return None

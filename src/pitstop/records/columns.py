"""One column at a time into the types of normalised rows: numbers, categories, texts, classes, scores.

Every function takes the column's name for its message and raises `ColumnValueError` with the first bad row, counted
from 1.
"""

from __future__ import annotations

import re

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pitstop.errors import ColumnValueError

# ASCII digits only, as Arrow reads them.
_NUMBER = re.compile(r"[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)(e[-+]?[0-9]+)?|[-+]?(nan|inf|infinity)", re.IGNORECASE)
CATEGORY = pa.dictionary(pa.int32(), pa.string())


def is_text(kind: pa.DataType) -> bool:
    """Whether a type holds strings, encoded as a dictionary or not."""
    if pa.types.is_dictionary(kind):
        return is_text(kind.value_type)
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def is_number(kind: pa.DataType) -> bool:
    """Whether a type holds numbers (booleans are not)."""
    if pa.types.is_dictionary(kind):
        return is_number(kind.value_type)
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))


def decoded(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return a dictionary-encoded column as plain values, others as they are."""
    return column.cast(column.type.value_type) if pa.types.is_dictionary(column.type) else column


def numbers(column: pa.ChunkedArray, name: str) -> pa.Array:
    """Return float64; nulls stay null and NaN stays NaN.

    Booleans become 0 and 1; text is read as numbers ("" is null).
    """
    plain = decoded(column)
    kind = plain.type
    if pa.types.is_floating(kind) or pa.types.is_integer(kind):
        return _flat(plain.cast(pa.float64(), safe=False))
    if pa.types.is_boolean(kind):
        return _flat(plain.cast(pa.int8()).cast(pa.float64()))
    if pa.types.is_decimal(kind) or pa.types.is_null(kind):
        return _flat(plain.cast(pa.float64()))
    if is_text(kind):
        return _numbers_in_text(plain, name)
    if pa.types.is_temporal(kind):
        msg = f"column {name!r} holds {kind}; expected numbers. Leave it out of features, or give the days since a date"
        raise ColumnValueError(msg)
    msg = f"column {name!r} holds {kind}; expected numbers. Leave it out of features"
    raise ColumnValueError(msg)


def _numbers_in_text(column: pa.ChunkedArray, name: str) -> pa.Array:
    encoded = pc.utf8_trim_whitespace(column.cast(pa.large_string())).combine_chunks().dictionary_encode()
    texts = encoded.dictionary
    texts = pc.if_else(pc.equal(texts, ""), pa.scalar(None, pa.large_string()), texts)
    try:
        return texts.cast(pa.float64()).take(encoded.indices)
    except pa.ArrowInvalid:
        for code, text in enumerate(texts.to_pylist()):
            if text is None or reads_as_number(text):
                continue
            row = pc.index(encoded.indices, pa.scalar(code, encoded.indices.type)).as_py() + 1
            msg = (
                f"column {name!r}, row {row}: cannot read {text!r} as a number; write numbers as 1.5, or name the "
                "column in "
                "[columns] categorical"
            )
            raise ColumnValueError(msg) from None
        raise


def reads_as_number(text: str) -> bool:
    """Whether a text is a number to Arrow's reader ("1.5", "-2e3"; not "1,5")."""
    return _NUMBER.fullmatch(text) is not None


def texts(column: pa.ChunkedArray, name: str) -> pa.Array:
    """Return strings; null and NaN are null. Whole numbers are "1" whatever their type, booleans "true" and "false".

    The text of a value depends on that value alone, so it does not matter how a table was cut.
    """
    plain = decoded(column)
    kind = plain.type
    if is_text(kind):
        return _flat(plain.cast(pa.string()))
    if pa.types.is_floating(kind):
        values = np.asarray(plain.cast(pa.float64()).to_numpy(), dtype=np.float64)
        whole = np.isfinite(values) & (values == np.floor(values)) & (np.abs(values) < 2**53)
        as_whole = pa.array(np.where(whole, values, 0).astype(np.int64), mask=~whole).cast(pa.string())
        return as_whole if whole.all() else pc.coalesce(as_whole, pa.array(values, from_pandas=True).cast(pa.string()))
    if pa.types.is_nested(kind) or pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        msg = f"column {name!r} holds {kind}; expected text, numbers or dates. Leave it out of [columns]"
        raise ColumnValueError(msg)
    return _flat(plain.cast(pa.string()))


def categories(column: pa.ChunkedArray, name: str) -> pa.DictionaryArray:
    """Return dictionary<int32, string>, values in order of first appearance, nulls as nulls (never as a value)."""
    return texts(column, name).dictionary_encode().cast(CATEGORY)


def classes(column: pa.ChunkedArray, name: str) -> pa.Array:
    """Return class labels as strings (see `texts`). A number with a fraction is not a class."""
    plain = decoded(column)
    if pa.types.is_floating(plain.type):
        values = np.asarray(plain.cast(pa.float64()).to_numpy(), dtype=np.float64)
        bad = np.flatnonzero(~np.isnan(values) & (values != np.floor(values)))
        if len(bad):
            msg = (
                f"column {name!r}, row {bad[0] + 1}: got {values[bad[0]]:g}, which is not a class; write whole "
                "numbers or "
                'text, or set task = "regression"'
            )
            raise ColumnValueError(msg)
    return texts(column, name)


def finite_numbers(column: pa.ChunkedArray, name: str, *, nan_is_missing: bool) -> pa.Array:
    """Return float64 without infinities; NaN becomes null where `nan_is_missing`, else it is refused."""
    array = numbers(column, name)
    values = np.asarray(array.to_numpy(zero_copy_only=False), dtype=np.float64)
    valid = np.asarray(array.is_valid().to_numpy(zero_copy_only=False), dtype=bool)
    refused = np.isinf(values) if nan_is_missing else valid & ~np.isfinite(values)
    bad = np.flatnonzero(refused)
    if len(bad):
        msg = (
            f"column {name!r}, row {bad[0] + 1}: got {values[bad[0]]}; expected a finite number, or null where there "
            "is none"
        )
        raise ColumnValueError(msg)
    return pa.array(values, from_pandas=True)


def scores(column: pa.ChunkedArray, name: str) -> pa.Array:
    """Return probabilities as float64 in [0, 1], null where the row has none.

    NaN, infinities and other numbers are refused.
    """
    array = finite_numbers(column, name, nan_is_missing=False)
    values = np.asarray(array.to_numpy(zero_copy_only=False), dtype=np.float64)
    bad = np.flatnonzero((values < 0) | (values > 1))
    if len(bad):
        msg = (
            f"score column {name!r}, row {bad[0] + 1}: got {values[bad[0]]:g}; expected a probability between 0 and 1 "
            "(a margin or a percentage has to be converted first)"
        )
        raise ColumnValueError(msg)
    return array


def chances(column: pa.ChunkedArray, name: str) -> pa.Array:
    """Return the chance of each row to show its label as float64 in [0, 1]; a missing one is refused like any other."""
    array = finite_numbers(column, name, nan_is_missing=True)
    values = np.asarray(array.to_numpy(zero_copy_only=False), dtype=np.float64)
    bad = np.flatnonzero(~((values >= 0) & (values <= 1)))
    if len(bad):
        got = "nothing" if np.isnan(values[bad[0]]) else f"{values[bad[0]]:g}"
        msg = (
            f"propensity column {name!r}, row {bad[0] + 1}: got {got}; expected the chance from 0 to 1 with which the "
            f"row's label was to be revealed ({len(bad)} such rows); 1 where the decision shows it, 0 where nothing can"
        )
        raise ColumnValueError(msg)
    return array


def row_hashes(arrays: list[pa.Array | NDArray[np.int64]]) -> NDArray[np.uint64]:
    """Return one 64-bit hash per row over these columns; equal rows have equal hashes within this table.

    Each column's 64-bit words are folded in with the finaliser of SplitMix64 (Steele, Lea, Flood 2014).
    """
    length = len(arrays[0])
    state = np.full(length, 0x9E3779B97F4A7C15, dtype=np.uint64)
    for array in arrays:
        state = _mixed(state ^ _words(array))
    return state


def _words(array: pa.Array | NDArray[np.int64]) -> NDArray[np.uint64]:
    if isinstance(array, np.ndarray):
        return array.astype(np.int64).view(np.uint64)
    if pa.types.is_floating(array.type):
        values = np.array(array.to_numpy(zero_copy_only=False), dtype=np.float64)
        values[np.isnan(values)] = np.nan  # one bit pattern for every NaN
        return (values + 0.0).view(np.uint64)  # and one for both zeros
    if pa.types.is_integer(array.type):
        return np.asarray(pc.fill_null(array, -1).to_numpy(zero_copy_only=False)).astype(np.int64).view(np.uint64)
    encoded = array if pa.types.is_dictionary(array.type) else array.dictionary_encode()
    return np.asarray(pc.fill_null(encoded.indices, -1).to_numpy(zero_copy_only=False)).astype(np.int64).view(np.uint64)


def _mixed(state: NDArray[np.uint64]) -> NDArray[np.uint64]:
    with np.errstate(over="ignore"):
        state = state + np.uint64(0x9E3779B97F4A7C15)
        state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return state ^ (state >> np.uint64(31))


def _flat(column: pa.ChunkedArray) -> pa.Array:
    if column.num_chunks == 1:
        return column.chunk(0)  # combining would copy it
    combined = column.combine_chunks()
    return pa.concat_arrays(combined.chunks) if isinstance(combined, pa.ChunkedArray) else combined

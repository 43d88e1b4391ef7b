"""Rows as 64-bit hashes of what they hold: equal rows have equal hashes in every file, process and engine.

Unlike `columns.row_hashes`, whose codes mean something within one table only, texts are hashed by their letters. The
hash is not made against an adversary: it finds repeated rows, it proves nothing.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pitstop.records import columns as convert

Words = NDArray[np.uint64]

_START = np.uint64(0x9E3779B97F4A7C15)
_MISSING = np.uint64(0xD1B54A32D192ED03)
_FOLD = np.uint64(0xFF51AFD7ED558CCD)
_HALF = np.uint64(32)
_TEXTS = 4096


def stable_hashes(columns: Iterable[pa.Array | pa.ChunkedArray], rows: int) -> Words:
    """Return one hash per row over these columns, in this order, uint64[rows].

    A missing number and NaN are one value, and so are 0.0 and -0.0. An integer and a float are different values; give
    the columns the types that they are to be compared in.
    """
    state = np.full(rows, _START, dtype=np.uint64)
    for column in columns:
        fold(state, column)
    return finished(state)


def fold(state: Words, column: pa.Array | pa.ChunkedArray) -> None:
    """Fold one column into unfinished hashes, in place (`finished` ends them)."""
    state ^= words(column)
    state *= _FOLD
    state ^= state >> _HALF


def start(rows: int) -> Words:
    """Return the unfinished hashes of rows without columns."""
    return np.full(rows, _START, dtype=np.uint64)


def finished(state: Words) -> Words:
    """Return hashes whose leading bits are as good as random (the finaliser of SplitMix64; Steele, Lea, Flood 2014)."""
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return state ^ (state >> np.uint64(31))


def words(column: pa.Array | pa.ChunkedArray) -> Words:
    """Return 64 bits for each value: a number's own, or a hash of a text's letters."""
    array = _flat(column)
    kind = array.type
    if pa.types.is_dictionary(kind):
        return _coded(array)
    if pa.types.is_floating(kind):
        values = np.array(array.cast(pa.float64()).to_numpy(zero_copy_only=False), dtype=np.float64)
        values += 0.0  # one bit pattern for both zeros
        values[np.isnan(values)] = np.nan  # and one for every NaN
        return values.view(np.uint64)
    if pa.types.is_integer(kind) or pa.types.is_boolean(kind) or pa.types.is_temporal(kind):
        return _whole(array)
    if not (convert.is_text(kind) or _is_bytes(kind)):
        array = array.cast(pa.string())
    return _coded(array.dictionary_encode())


def text_words(texts: pa.Array) -> Words:
    """Return a hash of each text's UTF-8 bytes; of a null, a fixed one.

    The sum of the bytes, each times its own odd random number (multilinear hashing; Lemire and Kaser 2014).
    """
    plain = texts.cast(pa.large_binary() if _is_bytes(texts.type) else pa.large_string())
    # A few thousand at a time: what is made on the way stays in the processor's cache.
    pieces = [_text_words(plain.slice(at, _TEXTS)) for at in range(0, len(plain), _TEXTS)]
    return np.concatenate(pieces) if pieces else np.zeros(0, dtype=np.uint64)


def _text_words(plain: pa.LargeStringArray) -> Words:
    offsets = np.frombuffer(plain.buffers()[1], dtype=np.int64)[plain.offset : plain.offset + len(plain) + 1]
    lengths = np.diff(offsets)
    total = lengths.astype(np.uint64)
    filled = np.flatnonzero(lengths)
    if filled.size:
        letters = np.frombuffer(plain.buffers()[2], dtype=np.uint8)[offsets[0] : offsets[-1]]
        starts = (offsets[:-1] - offsets[0])[filled]
        places = np.arange(letters.size) - np.repeat(starts, lengths[filled])
        factors = finished(np.arange(1, int(lengths.max()) + 1, dtype=np.uint64) * _START) | np.uint64(1)
        products = (letters.astype(np.uint64) + np.uint64(1)) * factors[places]
        total[filled] += np.add.reduceat(products, starts)
    found: Words = finished(total)
    found[np.asarray(plain.is_null().to_numpy(zero_copy_only=False), dtype=bool)] = _MISSING
    return found


def _coded(array: pa.DictionaryArray) -> Words:
    """Hash each value of a dictionary once."""
    values = array.dictionary
    if not len(values):
        return np.full(len(array), _MISSING, dtype=np.uint64)
    of_value = text_words(values) if convert.is_text(values.type) or _is_bytes(values.type) else words(values)
    table: Words = np.append(of_value, _MISSING)
    indices = array.indices
    if indices.null_count:
        indices = pc.fill_null(indices.cast(pa.int64()), len(values))
    found: Words = np.take(table, indices.to_numpy(zero_copy_only=False))
    return found


def _whole(array: pa.Array) -> Words:
    kind = array.type
    if pa.types.is_date(kind) or (pa.types.is_timestamp(kind) and kind.unit != "ns"):
        array = array.cast(pa.timestamp("us", tz=getattr(kind, "tz", None)))
    elif pa.types.is_boolean(kind):
        array = array.cast(pa.int8())
    elif pa.types.is_time32(kind):
        array = array.cast(pa.int32())
    if array.type != pa.uint64():
        array = array.cast(pa.int64())
    known = np.asarray(pc.fill_null(array, 0).to_numpy(zero_copy_only=False))
    values: Words = known.view(np.uint64).copy()
    if array.null_count:
        values[np.asarray(array.is_null().to_numpy(zero_copy_only=False), dtype=bool)] = _MISSING
    return values


def _is_bytes(kind: pa.DataType) -> bool:
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind))


def _flat(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    if not isinstance(column, pa.ChunkedArray):
        return column
    if column.num_chunks == 1:
        return column.chunk(0)  # combining would copy it
    combined = column.combine_chunks()
    return pa.concat_arrays(combined.chunks) if isinstance(combined, pa.ChunkedArray) else combined

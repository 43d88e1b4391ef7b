"""The digest of rows: of what a table says, not of how some writer laid it out.

The same rows have the same digest whatever the Parquet or Arrow version, chunking, dictionary order, column order or
bits under nulls. Row order counts. Floats count bit by bit, except that every NaN is the same NaN.
"""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pitstop.errors import StoreError
from pitstop.records.identity import canonical_json

_PREFIX = b"pitstop rows 1\n"


def rows_digest(table: pa.Table) -> str:
    """Return 64 hex digits over the rows of `table`.

    Columns may be null, boolean, integer, float, date, time, timestamp, string or a dictionary of strings; others
    raise `StoreError`, as do two columns of the same name.
    """
    names = sorted(table.column_names)
    if len(set(names)) < len(names):
        double = next(name for name in names if names.count(name) > 1)
        msg = f"a segment's columns need different names, but {double!r} is there twice"
        raise StoreError(msg)
    kinds = [(name, _kind(name, table.schema.field(name).type)) for name in names]
    digest = hashlib.sha256(_PREFIX + canonical_json([kinds, table.num_rows]) + b"\n")
    for name, kind in kinds:
        _update(digest, table.column(name), kind)
    return digest.hexdigest()


def _kind(name: str, kind: Any) -> str:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return "string"
    plain = pa.types.is_boolean(kind) or pa.types.is_integer(kind) or pa.types.is_floating(kind)
    if plain or pa.types.is_null(kind):
        return str(kind)
    if pa.types.is_temporal(kind) and not pa.types.is_interval(kind):
        return str(kind)
    msg = f"column {name!r} has the type {kind}; a segment holds numbers, booleans, times and text"
    raise StoreError(msg)


def _update(digest: Any, column: Any, kind: str) -> None:
    array = column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()
    # Decoded before nulls are looked for: a dictionary may hold a null itself.
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    if pa.types.is_string_view(array.type):
        array = array.cast(pa.large_string())
    if array.null_count:
        valid = np.asarray(pc.is_valid(array).to_numpy(zero_copy_only=False), dtype=np.bool_)
        digest.update(b"nulls" + np.packbits(valid).tobytes())
        array = array.drop_null()
    if kind == "null" or not len(array):
        return
    if kind == "string":
        _update_text(digest, array)
        return
    if pa.types.is_temporal(array.type):
        array = array.view(pa.int32() if array.type.bit_width == 32 else pa.int64())
    values = array.to_numpy(zero_copy_only=False)
    if values.dtype.kind == "f" and np.isnan(values).any():
        values = np.where(np.isnan(values), values.dtype.type(np.nan), values)
    digest.update(np.ascontiguousarray(values.astype(values.dtype.newbyteorder("<"), copy=False)))


def _update_text(digest: Any, array: Any) -> None:
    """Add the byte length of each text, then all texts one after another."""
    _, offsets, data = array.buffers()
    width = np.int64 if pa.types.is_large_string(array.type) else np.int32
    ends = np.frombuffer(offsets, dtype=width)[array.offset : array.offset + len(array) + 1].astype("<i8")
    digest.update(np.diff(ends))
    if data is not None:
        digest.update(memoryview(data)[int(ends[0]) : int(ends[-1])])

"""Columns as they come: Arrow arrays, chunked or not, or numpy arrays, without a copy where none is needed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pitstop.errors import StatisticError


@dataclass(frozen=True)
class Piece:
    """One contiguous piece of a column in Arrow's layout; its validity bitmap starts at bit `offset`."""

    values: NDArray[Any]
    validity: NDArray[np.uint8] | None
    offset: int


@dataclass(frozen=True)
class TextPiece:
    """One contiguous piece of a column of texts: `size` + 1 offsets into `data`; validity as in `Piece`."""

    offsets: NDArray[np.int32]
    data: NDArray[np.uint8]
    validity: NDArray[np.uint8] | None
    offset: int

    @property
    def size(self) -> int:
        """Number of texts."""
        return self.offsets.size - 1

    @property
    def texts(self) -> tuple[int, int, int]:
        """Address of the offsets, address of the bytes, and their number, as the kernels take them."""
        return self.offsets.ctypes.data, self.data.ctypes.data, self.data.size

    @property
    def rows(self) -> tuple[int | None, int, int]:
        """Address of the bitmap, its first bit, and the number of texts, as the kernels take them."""
        return None if self.validity is None else self.validity.ctypes.data, self.offset, self.size


def chunks(values: Any) -> Iterator[pa.Array]:
    """Yield the Arrow arrays of a column."""
    if isinstance(values, pa.ChunkedArray):
        yield from values.chunks
    elif isinstance(values, pa.Array):
        yield values
    else:
        array = np.asarray(values)
        if array.ndim != 1:
            msg = f"got an array of shape {array.shape}; a column has one dimension"
            raise StatisticError(msg)
        yield pa.array(array)


def float_pieces(values: Any) -> Iterator[Piece]:
    """Yield the pieces of a numeric column as float64. Raises `StatisticError` where it is not numeric."""
    if isinstance(values, np.ndarray) and values.dtype == np.float64 and values.ndim == 1:
        yield Piece(np.ascontiguousarray(values), None, 0)
        return
    for chunk in chunks(values):
        yield piece(_as_double(chunk), np.float64)


def piece(array: pa.Array, dtype: Any) -> Piece:
    """Return the buffers of a primitive Arrow array (or of a dictionary array's codes) as numpy arrays, uncopied."""
    validity, data = array.buffers()[:2]
    size = len(array)
    if size == 0 or data is None:
        return Piece(np.zeros(0, dtype), None, 0)
    items = np.frombuffer(data, dtype=dtype)[array.offset : array.offset + size]
    bitmap = None if validity is None or array.null_count == 0 else np.frombuffer(validity, dtype=np.uint8)
    return Piece(items, bitmap, array.offset)


def text_piece(array: pa.Array) -> TextPiece:
    """Return the buffers of an Arrow array of strings (int32 offsets) as numpy arrays, uncopied."""
    validity, offsets, data = array.buffers()
    size = len(array)
    if size == 0 or offsets is None:
        return TextPiece(np.zeros(1, np.int32), np.zeros(1, np.uint8), None, 0)
    places = np.frombuffer(offsets, dtype=np.int32)[array.offset : array.offset + size + 1]
    content = np.frombuffer(data, dtype=np.uint8) if data is not None and data.size else np.zeros(1, np.uint8)
    bitmap = None if validity is None or array.null_count == 0 else np.frombuffer(validity, dtype=np.uint8)
    return TextPiece(places, content, bitmap, array.offset)


def as_floats(values: Any) -> NDArray[np.float64]:
    """Return a numeric column as one float64 array, nulls as NaN; it may be the column's own memory.

    Raises `StatisticError` where it is not numeric.
    """
    if isinstance(values, np.ndarray) and values.dtype == np.float64:
        return values
    parts = [np.asarray(_as_double(chunk).to_numpy(zero_copy_only=False), np.float64) for chunk in chunks(values)]
    if len(parts) == 1:
        return parts[0]
    return np.concatenate(parts) if parts else np.zeros(0)


def as_strings(values: Any) -> pa.Array:
    """Return a column as one Arrow array of strings; dictionaries are decoded, numbers written out."""
    parts = []
    for chunk in chunks(values):
        plain = chunk.dictionary_decode() if pa.types.is_dictionary(chunk.type) else chunk
        parts.append(plain if plain.type == pa.string() else plain.cast(pa.string()))
    if len(parts) == 1:
        return parts[0]
    return pa.concat_arrays(parts) if parts else pa.array([], pa.string())


def _as_double(array: pa.Array) -> pa.Array:
    if array.type == pa.float64():
        return array
    numeric = pa.types.is_integer(array.type) or pa.types.is_floating(array.type) or pa.types.is_null(array.type)
    if not (numeric or pa.types.is_boolean(array.type)):
        msg = f"got a column of {array.type}; expected numbers, or name it among the categorical columns"
        raise StatisticError(msg)
    if pa.types.is_boolean(array.type):
        array = array.cast(pa.int8())
    # safe=False: integers beyond 2^53 are rounded, as any float column would have them.
    return array.cast(pa.float64(), safe=False)

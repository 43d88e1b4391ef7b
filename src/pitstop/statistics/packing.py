"""Vectors of counts as few bytes: zeros cost a bit, other counts as many bytes as they need. The same bytes everywhere.

Layout, little-endian: a bitmap of the entries that are not 0 (first entry in the lowest bit); the number of bytes of
each such entry (one byte each); then those bytes. Negative entries are zigzag-coded (0, -1, 1, -2, ... as 0, 1, 2, 3,
...), all others are doubled.
"""

from __future__ import annotations

import numpy as np

from pitstop.errors import StatisticError
from pitstop.statistics.base import Counts

_POWERS = np.array([256**power for power in range(1, 8)], dtype=np.uint64)


def pack_counts(vector: Counts) -> bytes:
    """Return `vector` (int64) as bytes."""
    filled = vector != 0
    values = vector[filled]
    coded = (values.astype(np.uint64) << np.uint64(1)) ^ (values >> np.int64(63)).astype(np.uint64)
    lengths = (np.searchsorted(_POWERS, coded, side="right") + 1).astype(np.uint8)
    planes = coded.astype("<u8").view(np.uint8).reshape(-1, 8)
    kept = planes[np.arange(8) < lengths[:, None]]
    bitmap = np.packbits(filled, bitorder="little")
    return b"".join((bitmap.tobytes(), lengths.tobytes(), kept.tobytes()))


def unpack_counts(data: bytes, size: int) -> Counts:
    """Return the `size` entries in `data`. Raises `StatisticError` where it does not hold exactly those."""
    raw = np.frombuffer(data, dtype=np.uint8)
    head = (size + 7) // 8
    filled = np.unpackbits(raw[:head], count=size, bitorder="little").astype(bool) if raw.size >= head else None
    if filled is None:
        raise _damaged(size)
    many = int(filled.sum())
    lengths = raw[head : head + many]
    if lengths.size != many or (many and not 1 <= lengths.min() <= lengths.max() <= 8):
        raise _damaged(size)
    body = raw[head + many :]
    if body.size != int(lengths.sum()):
        raise _damaged(size)
    planes = np.zeros((many, 8), dtype=np.uint8)
    planes[np.arange(8) < lengths[:, None]] = body
    coded = planes.view("<u8").ravel().astype(np.uint64)
    vector = np.zeros(size, dtype=np.int64)
    vector[filled] = (coded >> np.uint64(1)).astype(np.int64) ^ -(coded & np.uint64(1)).astype(np.int64)
    return vector


def _damaged(size: int) -> StatisticError:
    return StatisticError(f"these bytes do not hold {size} counts; they are damaged or belong to another layout")

"""Rows that repeat an earlier row of their window in every column, found without reading most columns of most rows.

A row that differs from all others of its window in the first columns repeats nothing, whatever its other columns hold.
So the columns are taken in a few at a time, as hashes of 64 bits, and after each time the rows are sifted: only those
that may still equal another one are read further. Two different rows are mistaken for equal only where their hashes
are, with a probability of about (rows of the window)^2 / 2^65.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from pitstop.statistics.arrays import Piece, as_strings, chunks, float_pieces, piece, text_piece
from pitstop.statistics.base import Counts
from pitstop.statistics.kernels import Hashes, Windows, count_repeats, fold_codes, fold_numbers, hash_texts, sift

# Places for each row to be sifted in: of the rows that equal no other, about one in five stays by chance.
_PLACES = 4


def repeats_by_window(columns: Sequence[Any], windows: Windows, sizes: Counts) -> Counts:
    """Return how many rows of each window repeat an earlier one of it in all `columns`, int64[windows].

    Columns: Arrow arrays of numbers, strings or dictionary-encoded strings, chunked or not, whose rows come in any
    order. Null and NaN are one value, and so are both zeros. `windows`: the window of each row (int32, -1 to leave it
    out), or None for one window. `sizes`: the rows of each window. The most telling column should come first.
    """
    repeats = np.zeros(sizes.size, dtype=np.int64)
    if not columns or not sizes.any():
        return repeats
    rows = np.arange(len(columns[0]), dtype=np.int32)
    if windows is not None and windows.min() < 0:
        rows = rows[windows >= 0]
    every = rows.size == len(columns[0])
    hashes = np.full(rows.size, 0x9E3779B97F4A7C15, dtype=np.uint64)
    regions = np.concatenate([[0], np.cumsum(_PLACES * sizes + 1)])
    step = 1
    for number, column in enumerate(columns, start=1):
        fold(column, None if every else rows, hashes)
        if number == step or number == len(columns):
            step *= 2
            kept = sift(hashes, rows, windows, regions)
            if kept == 0:
                return repeats
            every = every and kept == rows.size
            rows, hashes = rows[:kept], hashes[:kept]
    count_repeats(hashes, rows, windows, regions, repeats)
    return repeats


def row_hashes(columns: Sequence[Any]) -> Hashes:
    """Return a hash of 64 bits for each row over all `columns` (see `repeats_by_window`), the same in every process.

    Equal rows have equal hashes however their columns are chunked or encoded, so hashes of pieces can be compared.
    """
    hashes = np.full(len(columns[0]) if columns else 0, 0x9E3779B97F4A7C15, dtype=np.uint64)
    for column in columns:
        fold(column, None, hashes)
    return hashes


def fold(column: Any, rows: Any, hashes: Hashes) -> None:
    """Fold a column into the hash of each of `rows` (int32 positions, or None for all), in place."""
    whole = column
    if rows is not None and isinstance(column, pa.ChunkedArray) and column.num_chunks != 1:
        # Chosen rows are looked up by position; few are left by then.
        whole, rows = column.take(pa.array(rows)), None
    start = 0
    for chunk in chunks(whole):
        here = hashes if rows is not None else hashes[start : start + len(chunk)]
        start += len(chunk)
        if pa.types.is_dictionary(chunk.type):
            indices = chunk.indices if chunk.indices.type == pa.int32() else chunk.indices.cast(pa.int32())
            fold_codes(piece(indices, np.int32), hash_texts(text_piece(as_strings(chunk.dictionary))), rows, here)
        elif pa.types.is_string(chunk.type) or pa.types.is_large_string(chunk.type):
            chosen = as_strings(chunk if rows is None else chunk.take(pa.array(rows)))
            words = hash_texts(text_piece(chosen))
            fold_codes(Piece(np.arange(words.size, dtype=np.int32), None, 0), words, None, here)
        else:
            for numbers in float_pieces(chunk):
                fold_numbers(numbers, rows, here)

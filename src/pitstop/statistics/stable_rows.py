"""Hashes of rows as `records.row_words` defines them, by compiled kernels where there is one for a column's type."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from pitstop.records import row_words
from pitstop.statistics.arrays import Piece, TextPiece, chunks, piece, text_piece
from pitstop.statistics.kernels import Hashes, address, library


def fold(state: Hashes, column: Any) -> None:
    """Fold one column into unfinished hashes, in place: the same bits as `row_words.fold`, several times as fast.

    `column`: an Arrow array, chunked or not, with a value for each hash. Kernels take float64 and dictionary-encoded
    strings; `row_words` takes the others.
    """
    start = 0
    for chunk in chunks(column):
        here = state[start : start + len(chunk)]
        start += len(chunk)
        kind = chunk.type
        if kind == pa.float64():
            _fold_numbers(here, piece(chunk, np.float64))
        elif pa.types.is_dictionary(kind) and kind.index_type == pa.int32() and kind.value_type == pa.string():
            _fold_codes(here, piece(chunk, np.int32), words(text_piece(chunk.dictionary)))
        else:
            row_words.fold(here, chunk)


def words(texts: TextPiece) -> Hashes:
    """Return a hash of each text's UTF-8 bytes; of a null, a fixed one (`row_words.text_words`)."""
    found = np.empty(texts.size, dtype=np.uint64)
    library.pitstop_stable_words(*texts.texts, *texts.rows, found.ctypes.data)
    return found


def _fold_numbers(state: Hashes, values: Piece) -> None:
    library.pitstop_stable_numbers(
        values.values.ctypes.data, address(values.validity), values.offset, state.size, state.ctypes.data
    )


def _fold_codes(state: Hashes, codes: Piece, by_code: Hashes) -> None:
    library.pitstop_stable_codes(
        codes.values.ctypes.data,
        address(codes.validity),
        codes.offset,
        state.size,
        by_code.ctypes.data,
        by_code.size,
        state.ctypes.data,
    )

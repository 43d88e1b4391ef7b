"""Columns of texts, plain or dictionary-encoded, as the cells of a fixed vocabulary, without one Python text a row."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pitstop.statistics.arrays import Piece, TextPiece, as_strings, chunks, piece, text_piece
from pitstop.statistics.base import Counts
from pitstop.statistics.kernels import PreparedWords, Windows, count_codes, count_texts, encode_texts, find_cells

# A dictionary that is longer than this many times the rows of its batch costs more to look up than the rows' own texts.
_LONG = 4
# Different texts of a batch beyond which a dictionary of them does not pay.
_MANY = 2_048


def prepare_words(cells: Mapping[str, int], unknown: int) -> PreparedWords:
    """Return a vocabulary for the kernels: the cell of each word, and the cell of every other one."""
    words = text_piece(pa.array(list(cells), pa.string()))
    return PreparedWords(words, np.fromiter(cells.values(), np.int32, len(cells)), unknown)


def count_words(values: Any, prepared: PreparedWords, counts: Counts, windows: Windows = None) -> None:
    """Add a column to `counts` (int64[..., cells + 1], nulls last).

    `values`: an Arrow array of strings or of dictionary-encoded strings, chunked or not; other types count as their
    text. `windows` as in `kernels.count_histogram`.
    """
    start = 0
    for chunk in chunks(values):
        here = None if windows is None else windows[start : start + len(chunk)]
        start += len(chunk)
        words = dictionary_or_texts(chunk)
        if isinstance(words, TextPiece):
            count_texts(words, prepared, counts, here)
        else:
            codes, texts = words
            cells = find_cells(texts, prepared, counts.shape[-1] - 1)
            count_codes(codes, cells.size, counts, cells, here)


def cells_of(values: Any, prepared: PreparedWords) -> NDArray[np.int32]:
    """Return the cell of each text of a column, int32; -1 for a null. Columns as in `count_words`."""
    parts = list(_cells_of_chunks(values, prepared))
    return parts[0] if len(parts) == 1 else np.concatenate([np.zeros(0, np.int32), *parts])


def cells_by_code(values: Any, prepared: PreparedWords) -> tuple[Piece, NDArray[np.int32]]:
    """Return the codes of a column without nulls among them, and the cell of each code, -1 for a null.

    Columns as in `count_words`. A dictionary's codes are used as they are where that is possible.
    """
    parts = list(chunks(values))
    if len(parts) == 1:
        words = dictionary_or_texts(parts[0])
        if not isinstance(words, TextPiece) and words[0].validity is None:
            return words[0], find_cells(words[1], prepared, -1)
    cells = cells_of(values, prepared)
    return Piece(cells + np.int32(1), None, 0), np.arange(-1, int(cells.max(initial=-1)) + 1, dtype=np.int32)


def encoded(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return a column of plain texts dictionary-encoded, so that whoever counts it looks each word up once.

    A column of another type, or with more than 2,048 different texts in a batch, is returned as it is.
    """
    if not (pa.types.is_string(values.type) or pa.types.is_large_string(values.type)):
        return values
    found = []
    for chunk in values.chunks:
        texts = as_strings(chunk)
        words = encode_texts(text_piece(texts), _MANY)
        if words is None:
            return values
        codes, firsts = words
        absent = texts.is_null().to_numpy(zero_copy_only=False) if texts.null_count else None
        found.append(
            pa.DictionaryArray.from_arrays(pa.array(codes, mask=absent), texts.take(pa.array(firsts)), safe=False)
        )
    made = pa.chunked_array(found, pa.dictionary(pa.int32(), pa.string()))
    return made if len(found) < 2 else made.unify_dictionaries()


def _cells_of_chunks(values: Any, prepared: PreparedWords) -> Iterator[NDArray[np.int32]]:
    for chunk in chunks(values):
        words = dictionary_or_texts(chunk)
        if isinstance(words, TextPiece):
            yield find_cells(words, prepared, -1)
            continue
        codes, texts = words
        # Null codes may be any number: they take the last entry.
        cells = np.append(find_cells(texts, prepared, -1), np.int32(-1))
        if codes.validity is None:
            yield cells[codes.values]
        else:
            valid = chunk.is_valid().to_numpy(zero_copy_only=False)
            yield cells[np.where(valid, codes.values, texts.size)]


def dictionary_or_texts(chunk: pa.Array) -> TextPiece | tuple[Piece, TextPiece]:
    """Return the texts of an array, or its int32 codes and the texts that they stand for, whichever is less to read."""
    if not pa.types.is_dictionary(chunk.type) or len(chunk.dictionary) > _LONG * len(chunk):
        return text_piece(as_strings(chunk))
    indices = chunk.indices if chunk.indices.type == pa.int32() else chunk.indices.cast(pa.int32())
    return piece(indices, np.int32), text_piece(as_strings(chunk.dictionary))

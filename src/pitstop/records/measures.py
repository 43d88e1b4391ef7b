"""Free text and embeddings as numbers: columns that have no cells become a few that have.

A text is measured without knowing its language: its length, the shares of digits, capitals and characters beyond ASCII,
and the share of its words that are not known. An embedding is measured by its dimensions, its norm and its projections
on eight fixed directions of random signs (Achlioptas 2003), which keep distances between means on average. Nothing is
fitted, so a row measures the same wherever and whenever it is read; what is usual is learnt where bins are fitted.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import zlib
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pitstop.errors import ColumnValueError, SpecError
from pitstop.records.columns import texts as as_texts

Floats = NDArray[np.float64]

UNKNOWN = "out-of-vocabulary share"
TEXT_MEASURES = ("length", "share of digits", "share of capitals", "share beyond ASCII")
PROJECTIONS = 8
VECTOR_MEASURES = ("dimensions", "norm", *(f"projection {place + 1}" for place in range(PROJECTIONS)))
MOST_DIMENSIONS = 1 << 16

# Known words are kept as bits of a hash: about one unknown word in nine passes for known, always the same ones.
_BITS, _MOST_WORDS = 1 << 14, 2_000
# A word of fewer texts may be a name or a slip; it would be known only in the texts that it was taken from.
_FEWEST_TEXTS = 3
_WORD = re.compile(r"[^\W_]+")
_PATTERNS = (r"\p{Nd}", r"\p{Lu}", r"[^\x00-\x7F]")
_ROWS = 4096


def text_columns(name: str, known: str) -> tuple[str, ...]:
    """Return the names of a text's measures; without known words none of them is about words."""
    return tuple(f"{name}: {measure}" for measure in (*TEXT_MEASURES, *((UNKNOWN,) if known else ())))


def vector_columns(name: str) -> tuple[str, ...]:
    """Return the names of an embedding's measures."""
    return tuple(f"{name}: {measure}" for measure in VECTOR_MEASURES)


def measured_texts(column: pa.ChunkedArray, name: str, known: str = "") -> dict[str, pa.Array]:
    """Return the measures of texts, float64 each: null where there is no text, 0 shares of an empty one.

    `known`: what `known_words` returned, or "". Raises `ColumnValueError` for a column that holds no text.
    """
    given = as_texts(column, name)
    size = pc.utf8_length(given).cast(pa.float64())
    whole = pc.max_element_wise(size, 1.0, skip_nulls=False)
    found = [size, *(pc.divide(pc.count_substring_regex(given, p).cast(pa.float64()), whole) for p in _PATTERNS)]
    if known:
        found.append(_unknown(given, _bits(known)))
    return dict(zip(text_columns(name, known), found, strict=True))


def measured_vectors(column: pa.ChunkedArray, name: str) -> dict[str, pa.Array]:
    """Return the measures of embeddings, float64 each: null where there is no list, or a value in it is not finite.

    Projections are divided by the root of the dimensions, so that they are of the size of a value. Raises
    `ColumnValueError` for a column of anything but lists of numbers, and for lists of more than 65,536.
    """
    kind = column.type
    listed = pa.types.is_fixed_size_list(kind) or pa.types.is_list(kind) or pa.types.is_large_list(kind)
    plain = listed and (pa.types.is_floating(kind.value_type) or pa.types.is_integer(kind.value_type))
    found = np.full((len(column), len(VECTOR_MEASURES)), np.nan)
    if not plain and column.null_count < len(column) and not (listed and pa.types.is_null(kind.value_type)):
        msg = f"column {name!r} holds {kind}; expected lists of numbers, as [columns] embeddings says"
        raise ColumnValueError(msg)
    if plain:
        rows = np.flatnonzero(column.is_valid().to_numpy())
        lists = column.drop_null().combine_chunks()
        lists = pa.concat_arrays(lists.chunks) if isinstance(lists, pa.ChunkedArray) else lists
        lengths = np.asarray(pc.list_value_length(lists)).astype(np.int64)
        if lengths.size and lengths.max() > MOST_DIMENSIONS:
            msg = f"column {name!r} holds a list of {lengths.max()} numbers; an embedding has {MOST_DIMENSIONS} at most"
            raise ColumnValueError(msg)
        values = np.asarray(lists.flatten().cast(pa.float64()).to_numpy(zero_copy_only=False), dtype=np.float64)
        starts = np.cumsum(lengths) - lengths
        for size in np.unique(lengths).tolist():
            here = np.flatnonzero(lengths == size)
            for first in range(0, here.size, _ROWS):
                part = here[first : first + _ROWS]
                matrix = values[starts[part, np.newaxis] + np.arange(size)]
                found[rows[part]] = _of_matrix(matrix)
    bad = ~np.isfinite(found).all(axis=1)
    return {title: pa.array(found[:, at], mask=bad) for at, title in enumerate(vector_columns(name))}


def known_words(texts: Sequence[str]) -> str:
    """Return the words that at least three of the texts hold, the commonest 2,000 of them, as a short text.

    The text is a filter of 16,384 bits, packed: it tells whether a word is known and lists none. "" without any.
    """
    counted: dict[str, int] = {}
    for text in texts:
        for word in set(_WORD.findall(text.lower())):
            counted[word] = counted.get(word, 0) + 1
    often = sorted((word for word, count in counted.items() if count >= _FEWEST_TEXTS), key=lambda w: (-counted[w], w))
    if not often:
        return ""
    bits = np.zeros(_BITS, dtype=np.bool_)
    bits[[_place(word) for word in often[:_MOST_WORDS]]] = True
    return base64.b64encode(zlib.compress(np.packbits(bits).tobytes(), 9)).decode("ascii")


def wordy(texts: Sequence[str]) -> bool:
    """Whether texts are written to be read: three words or more on average; names and ids have fewer."""
    some = texts[:: max(1, len(texts) // 500)]
    return bool(some) and float(np.mean([len(_WORD.findall(text)) for text in some])) >= 3.0


def embedding_size(column: pa.ChunkedArray) -> int | None:
    """Return the length of lists of floats that all have one length of 2 or more; None for any other column."""
    kind = column.type
    listed = pa.types.is_fixed_size_list(kind) or pa.types.is_list(kind) or pa.types.is_large_list(kind)
    if not listed or not pa.types.is_floating(kind.value_type):
        return None
    lengths = pc.unique(pc.list_value_length(column).drop_null()).to_pylist()
    return int(lengths[0]) if len(lengths) == 1 and lengths[0] >= 2 else None


def check_known(name: str, known: str) -> None:
    """Raise `SpecError` where `known` is not what `known_words` returns."""
    try:
        _bits(known)
    except (ValueError, binascii.Error, zlib.error) as error:
        msg = f'[columns] known_words of {name!r} are damaged ({error}); `pitstop init TABLE` writes them, "" is none'
        raise SpecError(msg) from error


def derived(
    columns: Sequence[tuple[str, str]], vectors: Sequence[str], column_of: Callable[[str], pa.ChunkedArray]
) -> Mapping[str, pa.Array]:
    """Return the measures of all texts (name, known words) and embeddings of a table, by their names."""
    found: dict[str, pa.Array] = {}
    for name, known in columns:
        found |= measured_texts(column_of(name), name, known)
    for name in vectors:
        found |= measured_vectors(column_of(name), name)
    return found


def _unknown(given: pa.Array, bits: NDArray[np.bool_]) -> pa.Array:
    words = pc.split_pattern_regex(pc.utf8_lower(given), pattern=r"[^\p{L}\p{N}]+")
    # Flattened lists leave out rows without a text, and so do their parents.
    rows = np.asarray(pc.list_parent_indices(words)).astype(np.int64)
    coded = pc.list_flatten(words).dictionary_encode()
    table = np.array([-1 if not word else int(not bits[_place(word)]) for word in coded.dictionary.to_pylist()])
    states = table[np.asarray(coded.indices)] if len(coded) else np.zeros(0, dtype=np.int64)
    all_words = np.bincount(rows[states >= 0], minlength=len(given))
    unknown = np.bincount(rows[states == 1], minlength=len(given))
    return pa.array(unknown / np.maximum(all_words, 1), mask=~np.asarray(given.is_valid()))


def _place(word: str) -> int:
    return zlib.crc32(word.encode("utf-8", "surrogatepass")) % _BITS


@lru_cache(maxsize=64)
def _bits(known: str) -> NDArray[np.bool_]:
    # Bounded, so that a short text cannot unpack into much.
    unpacked = zlib.decompressobj().decompress(base64.b64decode(known, validate=True), _BITS // 8 + 1)
    bits = np.unpackbits(np.frombuffer(unpacked, dtype=np.uint8)).astype(np.bool_)
    if bits.size != _BITS:
        msg = f"got {bits.size} bits, expected {_BITS}"
        raise ValueError(msg)
    return bits


def _of_matrix(matrix: Floats) -> Floats:
    """Return the measures of rows of one length. Row by row the same sums, whatever rows are beside it."""
    size = matrix.shape[1]
    root = max(size, 1) ** 0.5
    with np.errstate(over="ignore", invalid="ignore"):
        norm = np.sqrt((matrix**2).sum(axis=1))
        turned = [(matrix * signs).sum(axis=1) / root for signs in _directions(size)]
    return np.column_stack([np.full(len(matrix), float(size)), norm, *turned])


@lru_cache(maxsize=16)
def _directions(size: int) -> Floats:
    """Return float64[8, size] of +1 and -1: bits of a hash, so that they are the same on every machine."""
    bits = [
        np.unpackbits(np.frombuffer(hashlib.shake_256(f"{place} of {size}".encode()).digest(size // 8 + 1), np.uint8))
        for place in range(PROJECTIONS)
    ]
    return np.array([found[:size] for found in bits], dtype=np.float64) * 2.0 - 1.0

"""The formats of a batch: JSON rows, NDJSON, CSV, Arrow IPC stream and Parquet; measured before they are unpacked."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.ipc as pa_ipc
import pyarrow.parquet as pq

from pitstop.errors import ColumnValueError, EmptyTableError, TooLargeError, UnreadableTableError
from pitstop.records.sources import plain_strings
from pitstop.records.text_tables import read_csv
from pitstop.service.ingest.batch import LIMITS, Limits
from pitstop.service.ingest.csv_headers import header_columns
from pitstop.service.ingest.messages import is_compressed
from pitstop.service.ingest.topic_messages import (
    MESSAGES,
    MESSAGES_MEDIA,
    SET_ASIDE,
    SET_ASIDE_MEDIA,
    read_set_aside,
    rows_of_lines,
)

MEDIA_TYPES: Mapping[str, str] = {
    "application/json": "json",
    "application/x-ndjson": "ndjson",
    "application/ndjson": "ndjson",
    "application/jsonl": "ndjson",
    "application/x-jsonlines": "ndjson",
    "application/json-lines": "ndjson",
    "text/csv": "csv",
    "application/csv": "csv",
    "application/vnd.apache.arrow.stream": "arrow",
    "application/vnd.apache.parquet": "parquet",
    "application/parquet": "parquet",
    "application/x-parquet": "parquet",
    MESSAGES_MEDIA: MESSAGES,
    SET_ASIDE_MEDIA: SET_ASIDE,
}
FORMATS = ("json", "ndjson", "csv", "arrow", "parquet")
ROWS_AT_A_TIME = 65_536


def count_rows(kind: str, payload: bytes, limits: Limits = LIMITS) -> int:
    """Return how many rows a payload holds, without unpacking more than has to be.

    Raises `UnreadableTableError` for what is not of its format, `EmptyTableError` for no rows, `TooLargeError` for
    more than `limits` allows, and `ColumnValueError` for columns that no row may have.
    """
    count = _COUNTERS[_known(kind)]
    with _broken(kind):
        rows = count(payload, limits)
    if not rows:
        msg = "the batch holds no row; send at least one"
        raise EmptyTableError(msg)
    return rows


def count_cells(kind: str, payload: bytes) -> int:
    """Return how many cells (rows x columns) the table in a Parquet file or an Arrow stream has; 0 where none is."""
    try:
        if kind == "parquet":
            facts = pq.read_metadata(pa.BufferReader(payload))
            return int(facts.num_rows * facts.num_columns)
        if kind == "arrow":
            with pa_ipc.open_stream(payload) as stream:
                return sum(int(batch.num_rows) for batch in stream) * len(stream.schema)
    except (pa.ArrowException, OSError, ValueError):
        pass
    return 0


def read_batch(kind: str, payload: bytes, limits: Limits = LIMITS) -> pa.Table:
    """Return the rows of a payload as a table. Raises as `count_rows` does."""
    if kind in ("json", "ndjson", MESSAGES):
        return table_of_rows(json_rows(kind, payload, limits), limits)
    read = _READERS[_known(kind)]
    with _broken(kind):
        return _checked(read(payload, limits), limits)


def json_rows(kind: str, payload: bytes, limits: Limits = LIMITS) -> list[dict[str, Any]]:
    """Return the rows of a JSON object, an array of objects, an object on each line (`ndjson`), or of `messages`."""
    try:
        if kind == MESSAGES:
            found: Any = rows_of_lines(payload)
        elif kind == "ndjson":
            found = [json.loads(line) for line in payload.split(b"\n") if line.strip()]
        else:
            found = json.loads(payload)
            if type(found) is dict:
                found = [found]
    except (ValueError, RecursionError) as error:
        what = "JSON" if kind == "json" else "one JSON object a line"
        msg = f"the body is not {what} ({error}); send rows as objects"
        raise UnreadableTableError(msg) from error
    if type(found) is not list:
        msg = f"the body is a JSON {type(found).__name__}; expected an object, or an array of objects, one for each row"
        raise UnreadableTableError(msg)
    _limit(len(found), limits.rows, "rows")
    for place, row in enumerate(found):
        if type(row) is not dict:
            msg = f"row {place + 1} is a JSON {type(row).__name__}; expected an object"
            raise UnreadableTableError(msg)
    return found


def table_of_rows(rows: Sequence[Mapping[str, Any]], limits: Limits = LIMITS) -> pa.Table:
    """Return rows as a table; a key that a row lacks is null there. Raises `TooLargeError` and `ColumnValueError`."""
    names = _measured(rows, limits)
    content = {}
    for name in names:
        try:
            content[name] = pa.array([row.get(name) for row in rows])
        except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
            msg = f"column {name!r} mixes types ({error}); give all its values one type"
            raise ColumnValueError(msg) from error
    return pa.table(content)


def _measured(rows: Sequence[Mapping[str, Any]], limits: Limits) -> Mapping[str, None]:
    """Hold the table that rows would become against the limits; return the names of its columns in order.

    Each row has a cell for each name that any row has, and so has each object or list within: a few bytes sent can be
    many cells.
    """
    names = dict.fromkeys(chain.from_iterable(rows))
    _limit(len(names), limits.columns, "columns")
    cells = len(rows) * len(names)
    _limit(cells, limits.cells, "cells")
    waiting = [value for row in rows for value in row.values() if type(value) is list or type(value) is dict]
    if not waiting:
        return names
    within, places = set[str](), len(rows)
    while waiting:
        value = waiting.pop()
        if type(value) is dict:
            within.update(value)
            inner: Iterable[Any] = value.values()
        else:
            places += len(value)
            inner = value
        cells += len(value)
        kinds = set(map(type, inner))
        if list in kinds or dict in kinds:
            waiting += [item for item in inner if type(item) is list or type(item) is dict]
    _limit(max(cells, len(within) * places), limits.cells, "cells")
    return names


@contextmanager
def _broken(kind: str) -> Iterator[None]:
    """Say of whatever a reader stumbles over that the body is broken: names that are no UTF-8, types that are none."""
    try:
        yield
    except (pa.ArrowException, ValueError, ArithmeticError, LookupError, OSError) as error:
        msg = f"the body is not readable as {kind} ({_first_line(error)}); write it again"
        raise UnreadableTableError(msg) from error


def _known(kind: str) -> str:
    if kind not in _COUNTERS:
        msg = f"got the format {kind!r}; known: {', '.join(FORMATS)}"
        raise UnreadableTableError(msg)
    return kind


def _limit(got: int, most: int, what: str) -> None:
    if got > most:
        msg = f"the batch has {got:,} {what}; at most {most:,} are taken at a time: send it in parts"
        raise TooLargeError(msg)


def _count_json(kind: str, payload: bytes, limits: Limits) -> int:
    rows = json_rows(kind, payload, limits)
    _measured(rows, limits)
    return len(rows)


def _count_set_aside(payload: bytes, _: Limits) -> int:
    """Hold it to its form; it stands for one row, which nobody could read."""
    read_set_aside(payload)
    return 1


def _read_set_aside(payload: bytes, _: Limits) -> pa.Table:
    reason = read_set_aside(payload)[1]
    raise UnreadableTableError(reason)


def _read_csv(payload: bytes, limits: Limits) -> pa.Table:
    _limit(payload.count(b"\n"), limits.rows * 2, "lines")
    _limit(header_columns(payload, limits.columns), limits.columns, "columns")
    try:
        with tempfile.TemporaryDirectory(prefix="pitstop-") as folder:
            path = Path(folder) / "batch.csv"
            path.write_bytes(payload)
            return read_csv(path)[0]
    except UnreadableTableError as error:
        text = str(error).replace(folder + "/", "the ")
        raise UnreadableTableError(text) from error


def _count_csv(payload: bytes, limits: Limits) -> int:
    return int(_checked(_read_csv(payload, limits), limits).num_rows)


def _open_arrow(payload: bytes, limits: Limits) -> Iterable[pa.RecordBatch]:
    """Return the batches of an Arrow stream, each checked so that no offset leads out of its buffers."""
    try:
        reader = pa_ipc.MessageReader.open_stream(payload)
        rows = 0
        for message in reader:
            if is_compressed(message.metadata.to_pybytes()):
                msg = (
                    "the Arrow stream is compressed, so its size cannot be known before it is unpacked; write it "
                    "without compression, or as Parquet"
                )
                raise UnreadableTableError(msg)
        with pa_ipc.open_stream(payload) as stream:
            _limit(len(stream.schema), limits.columns, "columns")
            for batch in stream:
                rows += batch.num_rows
                _limit(rows, limits.rows, "rows")
                _limit(rows * batch.num_columns, limits.cells, "cells")
                batch.validate(full=True)
                yield batch
    except (pa.ArrowException, OSError, ValueError) as error:
        msg = f"the body is not an Arrow IPC stream ({_first_line(error)}); write it with an Arrow stream writer"
        raise UnreadableTableError(msg) from error


def _read_arrow(payload: bytes, limits: Limits) -> pa.Table:
    batches = list(_open_arrow(payload, limits))
    return pa.Table.from_batches(batches) if batches else pa.table({})


def _count_arrow(payload: bytes, limits: Limits) -> int:
    return int(_checked(_read_arrow(payload, limits), limits).num_rows)


def _open_parquet(payload: bytes, limits: Limits) -> pq.ParquetFile:
    """Open a Parquet file after what it says of itself was held against the limits."""
    try:
        file = pq.ParquetFile(pa.BufferReader(payload), memory_map=False)
        facts = file.metadata
        _limit(facts.num_columns, limits.columns, "columns")
        _limit(facts.num_rows, limits.rows, "rows")
        _limit(facts.num_rows * facts.num_columns, limits.cells, "cells")
        sizes = sum(facts.row_group(place).total_byte_size for place in range(facts.num_row_groups))
        _limit(sizes, limits.text_bytes, "bytes once unpacked")
        texts = [field.name for field in file.schema_arrow if _is_text(field.type)]
        # Text stays in dictionaries, whose size is known before it is multiplied by the rows.
        return pq.ParquetFile(pa.BufferReader(payload), memory_map=False, read_dictionary=texts)
    except (pa.ArrowException, OSError, ValueError) as error:
        msg = f"the body is not a Parquet file ({_first_line(error)}); write it again"
        raise UnreadableTableError(msg) from error


def _read_parquet(payload: bytes, limits: Limits) -> pa.Table:
    file = _open_parquet(payload, limits)
    batches, size = [], 0
    try:
        for batch in file.iter_batches(ROWS_AT_A_TIME, use_threads=False):
            batch.validate(full=True)
            size += batch.nbytes
            _limit(size, limits.text_bytes * 2, "bytes once unpacked")
            batches.append(batch)
    except (pa.ArrowException, OSError, ValueError) as error:
        msg = f"the body is a corrupt Parquet file ({_first_line(error)}); write it again"
        raise UnreadableTableError(msg) from error
    return pa.Table.from_batches(batches, file.schema_arrow) if batches else pa.table({})


def _count_parquet(payload: bytes, limits: Limits) -> int:
    return int(_open_parquet(payload, limits).metadata.num_rows)


def _checked(table: pa.Table, limits: Limits) -> pa.Table:
    """Return the table with plain strings, after its shape and the size of its texts were held against the limits."""
    _limit(table.num_columns, limits.columns, "columns")
    _limit(table.num_rows, limits.rows, "rows")
    _limit(table.num_rows * table.num_columns, limits.cells, "cells")
    if len(set(table.column_names)) < table.num_columns:
        double = next(name for name in table.column_names if table.column_names.count(name) > 1)
        msg = f"two columns are called {double!r}; rename one of them"
        raise ColumnValueError(msg)
    plain, cells = table, table.num_rows * table.num_columns
    for field in table.schema:
        kind = field.type
        if pa.types.is_dictionary(kind):
            kind = kind.value_type
        if (kind != field.type and _is_text(kind)) or pa.types.is_string_view(kind):
            _limit(_decoded_bytes(table.column(field.name)), limits.text_bytes, f"bytes in column {field.name!r}")
        if not _is_plain(kind):
            msg = f"column {field.name!r} has the type {kind}; send numbers, booleans, times, text or lists of numbers"
            raise ColumnValueError(msg)
        if _is_list(kind):
            cells += int(pc.sum(pc.list_value_length(table.column(field.name)).cast(pa.int64())).as_py() or 0)
            _limit(cells, limits.cells, "cells")
    return plain_strings(plain)


def _decoded_bytes(column: pa.ChunkedArray) -> int:
    """Return how many bytes a dictionary of texts, or views of them, have once each row has its own."""
    total = 0
    for chunk in column.chunks:
        by_row = isinstance(chunk, pa.DictionaryArray)
        lengths = _lengths(chunk.dictionary).take(chunk.indices) if by_row else _lengths(chunk)
        total += int(pc.sum(lengths).as_py() or 0)
    return total


def _lengths(texts: pa.Array) -> pa.Array:
    """Return how many bytes each text has. Of a view it is the first of its four numbers."""
    if not pa.types.is_string_view(texts.type):
        return pc.binary_length(texts).cast(pa.int64())
    if not len(texts):
        return pa.array([], pa.int64())
    views = np.frombuffer(texts.buffers()[1], np.int32, 4 * (texts.offset + len(texts)))
    known = np.asarray(texts.is_valid().to_numpy(zero_copy_only=False), dtype=np.bool_)
    return pa.array(views.reshape(-1, 4)[texts.offset :, 0].astype(np.int64), mask=~known)


def _is_text(kind: Any) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _is_list(kind: Any) -> bool:
    types = pa.types
    return bool(types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind))


def _is_plain(kind: Any) -> bool:
    types = pa.types
    if _is_list(kind):
        return bool(types.is_integer(kind.value_type) or types.is_floating(kind.value_type))
    if types.is_string_view(kind) or _is_text(kind) or types.is_null(kind) or types.is_boolean(kind):
        return True
    return bool(types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind) or types.is_temporal(kind))


def _first_line(error: BaseException) -> str:
    text = str(error).strip()
    return text.splitlines()[0][:200] if text else type(error).__name__


_COUNTERS: Mapping[str, Callable[[bytes, Limits], int]] = {
    "json": partial(_count_json, "json"),
    "ndjson": partial(_count_json, "ndjson"),
    MESSAGES: partial(_count_json, MESSAGES),
    SET_ASIDE: _count_set_aside,
    "csv": _count_csv,
    "arrow": _count_arrow,
    "parquet": _count_parquet,
}
_READERS: Mapping[str, Callable[[bytes, Limits], pa.Table]] = {
    "csv": _read_csv,
    "arrow": _read_arrow,
    "parquet": _read_parquet,
    SET_ASIDE: _read_set_aside,
}

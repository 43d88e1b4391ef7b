"""Tables read part by part: a source that does not fit in memory is known by its schema and rows, and read in pieces.

A part is a Parquet row group or a batch of an Arrow file; only the columns asked for are decoded. CSV text and objects
in memory are held whole: the types of CSV columns are inferred from all rows.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import accumulate
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.ipc as pa_ipc
import pyarrow.parquet as pq

from pitstop.errors import MissingColumnError, UnreadableTableError
from pitstop.records.addresses import Address, is_address
from pitstop.records.sources import (
    PANDAS_INDEX,
    PARQUET_SUFFIXES,
    corrupt_file,
    missing_column_message,
    open_parquet,
    plain_strings,
    read_table,
    refuse_repeated_names,
    source_notes,
    table_files,
)

# Rows of a part of a table that is in memory already.
SLICE_ROWS = 1 << 20
# Files of a bucket that are opened at the same time.
_REQUESTS = 16
_OPEN = threading.local()


@dataclass(frozen=True)
class Part:
    """The rows `first` to before `first + rows` of a scan: part `index` of its file number `file`."""

    number: int
    first: int
    rows: int
    file: int
    index: int


class _File(Protocol):
    """One file or table: the rows of its parts, and their columns."""

    name: str
    schema: pa.Schema
    rows: Sequence[int]

    def read(
        self, index: int, columns: Sequence[str], rows: int, dictionaries: Sequence[str]
    ) -> Iterator[pa.RecordBatch | pa.Table]:
        """Yield part `index` in pieces of at most `rows` rows."""

    def bounds(self, index: int, column: str) -> pa.ChunkedArray | None:
        """Return the least and the largest value of a column in a part, where the file tells them."""


@dataclass(frozen=True)
class Scan:
    """A table as parts. `schema` has plain strings; `notes` say what was guessed or left out."""

    files: tuple[Any, ...]
    schema: pa.Schema
    parts: tuple[Part, ...]
    notes: tuple[str, ...] = ()

    @property
    def names(self) -> list[str]:
        """Names of the columns, in order."""
        return list(self.schema.names)

    @property
    def rows(self) -> int:
        """Number of rows."""
        return self.parts[-1].first + self.parts[-1].rows if self.parts else 0

    def batches(
        self, part: Part, columns: Sequence[str], *, rows: int = SLICE_ROWS, dictionaries: Sequence[str] = ()
    ) -> Iterator[pa.Table]:
        """Yield the rows of a part, in order, as tables of at most `rows` rows with `columns` in that order.

        Text columns among `dictionaries` may come dictionary-encoded, which is faster where the file has them so. A
        column that this file lacks is null. May be called from several threads. Raises `MissingColumnError`, and
        `UnreadableTableError` for a damaged file.
        """
        types, own = self._fields, self._types(part.file)
        for name in columns:
            if name not in types:
                raise MissingColumnError(missing_column_message(name, self.schema.names))
        file: _File = self.files[part.file]
        here = [name for name in columns if name in own]
        wanted = pa.schema([types[name] for name in columns])
        if not here:
            for start in range(0, part.rows, rows):
                size = min(rows, part.rows - start)
                yield pa.table([pa.nulls(size, item.type) for item in wanted], schema=wanted)
            return
        same = self._coded(part.file, dictionaries)
        coded = [name for name in here if name in same]
        for batch in file.read(part.index, here, rows, tuple(same)):
            table = plain_strings(pa.Table.from_batches([batch]) if isinstance(batch, pa.RecordBatch) else batch)
            yield _promoted(table, wanted, coded)

    @cached_property
    def _fields(self) -> dict[str, pa.Field]:
        # Of thousands of columns, looking each one up in a schema costs more than decoding it.
        return {item.name: item for item in self.schema}

    def _types(self, number: int) -> dict[str, pa.DataType]:
        """Return the types of a file's own columns; those of the last file are kept, as its parts follow each other."""
        kept = self.__dict__.get("_kept")
        if kept is None or kept[0] != number:
            kept = number, {item.name: item.type for item in self.files[number].schema}
            self.__dict__["_kept"] = kept
        found: dict[str, pa.DataType] = kept[1]
        return found

    def _coded(self, number: int, dictionaries: Sequence[str]) -> dict[str, None]:
        """Return the columns of a file that come dictionary-encoded, as a set in order.

        All of them, whichever are asked for: a file open with the same ones is read on. The last answer is kept.
        """
        kept = self.__dict__.get("_coded_kept")
        if kept is None or kept[0] != number or kept[1] is not dictionaries:
            types, own = self._fields, self._types(number)
            same = [name for name in dictionaries if name in own and name in types and own[name] == types[name].type]
            kept = self.__dict__["_coded_kept"] = number, dictionaries, dict.fromkeys(same)
        found: dict[str, None] = kept[2]
        return found

    def bounds(self, part: Part, column: str) -> pa.ChunkedArray | None:
        """Return [least, largest] value of a column in a part from the file's own statistics, or None without them."""
        file: _File = self.files[part.file]
        return file.bounds(part.index, column) if column in file.schema.names else None


def scan_table(source: Any) -> Scan:
    """Return `source` (as in `read_table`) as a scan. Parquet and Arrow files are opened, not read.

    A folder or file of Parquet in a bucket (`s3://`, `gs://`, see `Address`) is read there. Raises
    `UnreadableTableError` as `read_table` does; a file that is damaged further on is told when it is read.
    """
    if not isinstance(source, str | Path):
        table = read_table(source)
        return _scan([_Whole("the table", table)], source_notes(table))
    if isinstance(source, str) and is_address(source):
        return _scan(_remote(Address(source)), (), folder=source.partition("?")[0])
    path = Path(source)
    notes: list[str] = []
    files = []
    for item in table_files(path) if path.is_dir() else [path]:
        opened = _open(item)
        notes += source_notes(opened.table) if isinstance(opened, _Whole) else ()
        files.append(opened)
    return _scan(files, tuple(notes), folder=str(path))


def _scan(files: Sequence[Any], notes: tuple[str, ...], folder: str = "") -> Scan:
    schemas = []
    for file in files:
        refuse_repeated_names(file.schema, file.name)
        schemas.append(plain_strings(file.schema.empty_table()).schema.remove_metadata())
    try:
        schema = schemas[0] if len(schemas) == 1 else pa.unify_schemas(schemas, promote_options="permissive")
    except pa.ArrowException as error:
        msg = f"the {len(files)} files in {folder} do not fit together: {error}; give them the same columns and types"
        raise UnreadableTableError(msg) from error
    index = [name for name in schema.names if PANDAS_INDEX.fullmatch(name)]
    if index:
        schema = pa.schema([item for item in schema if item.name not in index])
        notes = (*notes, "the pandas index was left out; use reset_index() to keep it")
    pieces = [(number, index, rows) for number, file in enumerate(files) for index, rows in enumerate(file.rows)]
    firsts = accumulate((rows for _, _, rows in pieces), initial=0)
    parts = tuple(
        Part(number, first, rows, file, index)
        for number, (first, (file, index, rows)) in enumerate(zip(firsts, pieces, strict=False))
    )
    return Scan(tuple(files), schema, parts, notes)


def _promoted(table: pa.Table, wanted: pa.Schema, coded: Sequence[str]) -> pa.Table:
    """Give a file's columns the types of the whole table, as `read_table` does when it appends files."""
    kept = set(coded)
    if table.schema.names == wanted.names and all(
        mine.name in kept or mine.type == whole.type for mine, whole in zip(table.schema, wanted, strict=True)
    ):
        return table
    lacking = pa.schema([item for item in wanted if item.name not in kept]).empty_table()
    return pa.concat_tables([lacking, table], promote_options="permissive").select(wanted.names)


def _remote(address: Address) -> list[_Parquet]:
    """Open the files of an address, many at a time: each costs a request or two, which is mostly waiting."""
    paths = address.files(PARQUET_SUFFIXES)
    with ThreadPoolExecutor(min(_REQUESTS, len(paths)), thread_name_prefix="open") as pool:
        files = list(pool.map(lambda path: _Parquet(path, address), paths))
    for file in files:
        # One object for all, which is then sent to other processes once.
        if file.schema.equals(files[0].schema, check_metadata=True):
            file.schema = files[0].schema
    return files


def _open(path: Path) -> Any:
    try:
        with path.open("rb") as file:
            magic = file.read(8)
    except OSError:
        magic = b""
    if magic.startswith(b"PAR1"):
        return _Parquet(path)
    if magic.startswith((b"ARROW1", b"\xff\xff\xff\xff")):
        return _Arrow(path, stream=not magic.startswith(b"ARROW1"))
    # Text, an older format, or a file that is not as it should be: the reader of whole tables says what is wrong.
    return _Whole(str(path), read_table(path))


class _Whole:
    """A table in memory, in slices."""

    def __init__(self, name: str, table: pa.Table) -> None:
        self.name, self.table, self.schema = name, table, table.schema.remove_metadata()
        self.rows = [min(SLICE_ROWS, table.num_rows - at) for at in range(0, table.num_rows, SLICE_ROWS)]

    def read(self, index: int, columns: Sequence[str], rows: int, _coded: Sequence[str]) -> Iterator[pa.Table]:
        part = self.table.select(list(columns)).slice(index * SLICE_ROWS, self.rows[index])
        yield from (part.slice(start, rows) for start in range(0, part.num_rows, rows))

    def bounds(self, _index: int, _column: str) -> None:
        return None


class _Parquet:
    """A Parquet file, here or at an address; its parts are its row groups.

    Another process gets it without its footer, and reads that where it opens the file.
    """

    def __init__(self, path: Path | str, address: Address | None = None) -> None:
        self.path, self._address = path, address
        self.name = str(path) if address is None else address.whole(str(path))
        self._metadata: Any = None
        with self._errors(), open_parquet(path) if isinstance(path, Path) else self._file(()) as file:
            self._metadata = file.metadata
            self.schema = file.schema_arrow
        self.rows = [self._metadata.row_group(at).num_rows for at in range(self._metadata.num_row_groups)]
        first = range(self._metadata.num_columns) if self.rows else ()
        self._places = {self._metadata.row_group(0).column(at).path_in_schema: at for at in first}

    def read(self, index: int, columns: Sequence[str], rows: int, coded: Sequence[str]) -> Iterator[pa.RecordBatch]:
        with self._errors():
            # One thread: parts are what is read side by side.
            yield from self._opened(tuple(coded)).iter_batches(
                batch_size=max(1, min(rows, self.rows[index])),
                row_groups=[index],
                columns=list(columns),
                use_threads=False,
            )

    def _file(self, coded: tuple[str, ...]) -> pq.ParquetFile:
        if self._address is None:
            return pq.ParquetFile(self.path, metadata=self._metadata, read_dictionary=list(coded))
        source = self._address.open(str(self.path))
        # All that a read needs is asked for in few requests, side by side.
        return pq.ParquetFile(source, metadata=self._metadata, read_dictionary=list(coded), pre_buffer=True)

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except (pa.ArrowException, OSError) as error:
            if self._address is None or not isinstance(error, OSError):
                raise corrupt_file(self.name, "Parquet", error) from error
            with self._address.errors(f"read {self.name} at"):
                raise

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_metadata": None}

    def _opened(self, coded: tuple[str, ...]) -> pq.ParquetFile:
        """Return the file, open: opening one of thousands of columns costs as much as decoding hundreds of them.

        Each thread keeps the one that it read last; whoever still reads another one holds it.
        """
        kept = getattr(_OPEN, "kept", None)
        if kept is None or kept[0]() is not self or kept[1] != coded:
            # The footer is read once for all.
            file = self._file(coded)
            kept = _OPEN.kept = weakref.ref(self), coded, file
        found: pq.ParquetFile = kept[2]
        return found

    def bounds(self, index: int, column: str) -> pa.ChunkedArray | None:
        place = self._places.get(column)
        if place is None or self._metadata is None:
            return None
        found = self._metadata.row_group(index).column(place).statistics
        if found is None or not found.has_min_max:
            return None
        try:
            return pa.chunked_array([pa.array([found.min, found.max], self.schema.field(column).type)])
        except (pa.ArrowException, TypeError, ValueError):
            return None


class _Arrow:
    """An Arrow IPC file or stream; its parts are its batches."""

    def __init__(self, path: Path, *, stream: bool) -> None:
        self.path, self.name, self._stream = path, str(path), stream
        self._lock = threading.Lock()
        self._cursor: tuple[tuple[str, ...], int, Iterator[pa.RecordBatch]] | None = None
        with self._opened(None) as reader:
            self.schema = reader.schema
        # One column is enough to count the rows; compressed ones are not unpacked.
        first = list(self.schema.names[:1])
        self.rows = [batch.num_rows for batch in self._each(first)]

    def read(self, index: int, columns: Sequence[str], rows: int, _coded: Sequence[str]) -> Iterator[pa.RecordBatch]:
        batch = self._batch(index, columns).select(list(columns))
        yield from (batch.slice(start, rows) for start in range(0, batch.num_rows, rows))

    def bounds(self, _index: int, _column: str) -> None:
        return None

    def _batch(self, index: int, columns: Sequence[str]) -> pa.RecordBatch:
        """Return one batch. A stream is read on from where it stands, and from its beginning for an earlier batch."""
        if not self._stream:
            with self._opened(columns) as reader:
                return self._guarded(lambda: reader.get_batch(index))
        with self._lock:
            wanted = tuple(columns)
            if self._cursor is None or self._cursor[0] != wanted or self._cursor[1] > index:
                self._cursor = (wanted, 0, self._each(columns))
            _, at, batches = self._cursor
            for _ in range(index - at):
                next(batches)
            self._cursor = (wanted, index + 1, batches)
            return next(batches)

    def _each(self, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        with self._opened(columns) as reader:
            if self._stream:
                while (batch := self._guarded(lambda: next(reader, None))) is not None:
                    yield batch
            else:
                for index in range(reader.num_record_batches):
                    yield self._guarded(partial(reader.get_batch, index))

    def _opened(self, columns: Sequence[str] | None) -> Any:
        fields = None if columns is None else sorted(self.schema.get_field_index(name) for name in columns)
        options = pa_ipc.IpcReadOptions(included_fields=fields) if fields else pa_ipc.IpcReadOptions()
        source = pa.memory_map(str(self.path))
        start = pa_ipc.open_stream if self._stream else pa_ipc.open_file
        return self._guarded(lambda: start(source, options=options))

    def _guarded(self, action: Callable[[], Any]) -> Any:
        try:
            return action()
        except (pa.ArrowException, OSError) as error:
            raise corrupt_file(self.path, "Arrow", error) from error

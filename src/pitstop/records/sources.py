"""Tables from outside: Parquet, CSV and Arrow files, folders of them, and objects that speak the Arrow stream protocol.

Every failure is an `UnreadableTableError` that names the file, what is wrong with it and the way out; nothing is
half-read. What was guessed on the way (an encoding, a delimiter) is kept with the table and returned by `source_notes`.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.ipc as pa_ipc
import pyarrow.parquet as pq

from pitstop.errors import MissingColumnError, UnreadableTableError
from pitstop.records.text_tables import read_csv

PARQUET_SUFFIXES = (".parquet", ".pq")
ARROW_SUFFIXES = (".arrow", ".feather", ".ipc")
CSV_SUFFIXES = (".csv", ".tsv", ".txt")
KNOWN_FORMATS = "Parquet (.parquet), CSV (.csv, .tsv, .txt), Arrow IPC or Feather (.arrow, .feather, .ipc)"

DELTA_LOG = "_delta_log"
_NOTES_KEY = b"pitstop.notes"
PANDAS_INDEX = re.compile(r"__index_level_\d+__")
_PARQUET_MAGIC = b"PAR1"
_ARROW_MAGIC = b"ARROW1"


@dataclass(frozen=True)
class _Read:
    table: pa.Table
    notes: tuple[str, ...] = ()


def read_table(source: Any, *, columns: Sequence[str] | None = None) -> pa.Table:
    """Return `source` as an Arrow table with plain string types.

    `source` is a path (file, or folder whose files are read in order of their names and appended) or any object with
    `__arrow_c_stream__` or `__arrow_c_array__`: pandas >= 2.2, Polars, DuckDB relations, PyArrow. With `columns` only
    these are returned, in this order. In CSV text, empty fields and the usual words for "missing" (NA, N/A, null, NaN,
    ...) are null.

    Raises `UnreadableTableError` (missing, empty, corrupt, truncated, unknown format or encoding, two columns of one
    name) and `MissingColumnError` (a name in `columns` is not there).
    """
    read = _read_path(Path(source), columns) if isinstance(source, str | Path) else _read_object(source)
    name = str(source) if isinstance(source, str | Path) else f"the {type(source).__name__} object"
    refuse_repeated_names(read.table, name)
    read = _without_pandas_index(read)
    table = plain_strings(read.table)
    if columns is not None:
        table = select_columns(table, columns)
    metadata = {_NOTES_KEY: json.dumps(read.notes).encode()} if read.notes else None
    return table.replace_schema_metadata(metadata)


def iter_batches(source: Any, *, columns: Sequence[str] | None = None, rows: int = 65_536) -> Iterator[pa.RecordBatch]:
    """Yield the table in batches of at most `rows` rows; one Parquet file is streamed and never wholly in memory.

    Raises as `read_table` does.
    """
    path = Path(source) if isinstance(source, str | Path) else None
    if path is None or not path.is_file() or path.suffix.lower() not in PARQUET_SUFFIXES:
        yield from read_table(source, columns=columns).to_batches(max_chunksize=rows)
        return
    with open_parquet(path) as file:
        refuse_repeated_names(file.schema_arrow, str(path))
        if columns is not None:
            _refuse_missing(file.schema_arrow.names, columns)
        try:
            for batch in file.iter_batches(batch_size=rows, columns=list(columns) if columns is not None else None):
                yield from select_columns(
                    plain_strings(pa.Table.from_batches([batch])), columns or batch.schema.names
                ).to_batches()
        except (pa.ArrowException, OSError) as error:
            raise corrupt_file(path, "Parquet", error) from error


def source_notes(table: pa.Table) -> tuple[str, ...]:
    """Return what `read_table` guessed about the table's source (encoding, delimiter, ...), as sentences."""
    metadata = table.schema.metadata or {}
    return tuple(json.loads(metadata[_NOTES_KEY])) if _NOTES_KEY in metadata else ()


def select_columns(table: pa.Table, columns: Sequence[str]) -> pa.Table:
    """Return these columns in this order. Raises `MissingColumnError` with the nearest name that is there."""
    _refuse_missing(table.column_names, columns)
    return table.select(list(columns))


def missing_column_message(name: str, known: Sequence[str], role: str = "") -> str:
    """Return the message for a column that is not there: what was asked, the nearest name, the known ones."""
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    hint = f"; did you mean {near[0]!r}?" if near else "."
    shown = ", ".join(known[:20]) + (f", ... ({len(known)} in all)" if len(known) > 20 else "")
    return f"the table has no column {name!r}{f' ({role})' if role else ''}{hint} It has: {shown}"


def _refuse_missing(known: Sequence[str], wanted: Sequence[str]) -> None:
    for name in wanted:
        if name not in known:
            raise MissingColumnError(missing_column_message(name, known))


def refuse_repeated_names(table: pa.Table | pa.Schema, name: str) -> None:
    """Raise `UnreadableTableError` where two columns of the source `name` have one name."""
    names = table.column_names if isinstance(table, pa.Table) else table.names
    if len(set(names)) < len(names):
        twice = next(item for item in names if names.count(item) > 1)
        msg = f"{name}: two columns are called {twice!r}; rename one of them"
        raise UnreadableTableError(msg)


def _read_path(path: Path, columns: Sequence[str] | None) -> _Read:
    if path.is_dir():
        return _read_folder(path, columns)
    if not path.exists():
        raise UnreadableTableError(_no_such_file(path))
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            magic = file.read(8)
    except OSError as error:
        msg = f"cannot open {path}: {error.strerror or error}; check that the file may be read"
        raise UnreadableTableError(msg) from error
    if size == 0:
        msg = f"{path} is empty (0 bytes); write the table again or name another file"
        raise UnreadableTableError(msg)
    suffix = path.suffix.lower()
    if magic.startswith(_PARQUET_MAGIC) or suffix in PARQUET_SUFFIXES:
        return _Read(_read_parquet(path, columns))
    if magic.startswith((_ARROW_MAGIC, b"\xff\xff\xff\xff", b"FEA1")) or suffix in ARROW_SUFFIXES:
        return _Read(_read_arrow(path))
    if suffix in CSV_SUFFIXES or path.name.lower().endswith(tuple(end + ".gz" for end in CSV_SUFFIXES)):
        return _Read(*read_csv(path))
    msg = f"{path}: unknown format {suffix or '(no suffix)'!r}; expected {KNOWN_FORMATS}, or a folder of these"
    raise UnreadableTableError(msg)


def _no_such_file(path: Path) -> str:
    folder = path.parent
    names = sorted(item.name for item in folder.iterdir()) if folder.is_dir() else []
    near = difflib.get_close_matches(path.name, names, n=1)
    hint = f"; did you mean {str(folder / near[0])!r}?" if near else "; check the path"
    return f"there is no file {path}{hint}"


def _read_folder(folder: Path, columns: Sequence[str] | None) -> _Read:
    files = table_files(folder)
    reads = [_read_path(file, columns) for file in files]
    try:
        table = pa.concat_tables([plain_strings(read.table) for read in reads], promote_options="permissive")
    except pa.ArrowException as error:
        msg = f"the {len(files)} files in {folder} do not fit together: {error}; give them the same columns and types"
        raise UnreadableTableError(msg) from error
    return _Read(table, tuple(note for read in reads for note in read.notes))


def table_files(folder: Path) -> list[Path]:
    """Return the files that a folder's table consists of, in their order; hidden files and folders are left out.

    Raises `UnreadableTableError` for none, and for a Delta table, of which some files may be no part any more.
    """
    known = PARQUET_SUFFIXES + ARROW_SUFFIXES + CSV_SUFFIXES
    if (folder / DELTA_LOG).is_dir():
        raise UnreadableTableError(delta_message(str(folder)))
    files = sorted(
        item
        for item in folder.rglob("*")
        if item.suffix.lower() in known and not is_hidden(item.relative_to(folder).parts) and item.is_file()
    )
    if not files:
        msg = f"the folder {folder} holds no table; expected files of {KNOWN_FORMATS}"
        raise UnreadableTableError(msg)
    return files


def is_hidden(parts: Sequence[str]) -> bool:
    """Whether a path below a table's folder is none of its files: what tools keep beside them is called so."""
    return any(part.startswith(".") or (part.startswith("_") and "=" not in part) for part in parts)


def delta_message(name: str) -> str:
    """Return the message for a Delta table where files are read."""
    return (
        f"{name} is a Delta table, and its files alone would bring back rows that were deleted or rewritten; read it "
        "with the engine spark, or write it to a folder of its own"
    )


def open_parquet(path: Path) -> pq.ParquetFile:
    """Open a Parquet file. Raises `UnreadableTableError` saying what is wrong with it."""
    try:
        return pq.ParquetFile(path)
    except (pa.ArrowException, OSError) as error:
        with path.open("rb") as file:
            starts = file.read(4) == _PARQUET_MAGIC
            file.seek(-min(4, path.stat().st_size), 2)
            ends = file.read(4) == _PARQUET_MAGIC
        if starts and not ends:
            msg = f"{path} is a truncated Parquet file: its end is missing; copy it again from where it came from"
        elif not starts:
            msg = f"{path} is not a Parquet file: it does not begin with PAR1; rename it if it is another format"
        else:
            raise corrupt_file(path, "Parquet", error) from error
        raise UnreadableTableError(msg) from error


def _read_parquet(path: Path, columns: Sequence[str] | None) -> pa.Table:
    with open_parquet(path) as file:
        refuse_repeated_names(file.schema_arrow, str(path))
        if columns is not None:
            _refuse_missing(file.schema_arrow.names, columns)
        try:
            return file.read(columns=list(columns) if columns is not None else None)
        except (pa.ArrowException, OSError) as error:
            raise corrupt_file(path, "Parquet", error) from error


def _read_arrow(path: Path) -> pa.Table:
    try:
        with pa.memory_map(str(path)) as source:
            if source.read(6) == _ARROW_MAGIC:
                source.seek(0)
                return pa_ipc.open_file(source).read_all()
            source.seek(0)
            return pa_ipc.open_stream(source).read_all()
    except (pa.ArrowException, OSError) as error:
        raise corrupt_file(path, "Arrow", error) from error


def corrupt_file(path: Path | str, kind: str, error: BaseException) -> UnreadableTableError:
    """Return the error of a file that its own format refuses."""
    first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    return UnreadableTableError(f"{path} is a corrupt {kind} file ({first}); write or copy it again")


def _read_object(source: Any) -> _Read:
    try:
        if isinstance(source, pa.Table):
            table = source
        elif hasattr(source, "__arrow_c_stream__"):
            table = pa.RecordBatchReader.from_stream(source).read_all()
        elif hasattr(source, "__arrow_c_array__"):
            table = pa.Table.from_batches([pa.record_batch(source)])
        else:
            msg = (
                f"got {type(source).__name__}; expected a path, or a table with __arrow_c_stream__ "
                "(pandas 2.2 or newer, Polars, DuckDB, PyArrow)"
            )
            raise UnreadableTableError(msg)
    except (pa.ArrowException, TypeError, ValueError) as error:
        msg = f"the {type(source).__name__} object is not usable as a table: {error}; give each column one type"
        raise UnreadableTableError(msg) from error
    return _Read(table, source_notes(table))


def _without_pandas_index(read: _Read) -> _Read:
    """An index that pandas writes and that is not a plain range under these names; it is no column of the user's."""
    index = [name for name in read.table.column_names if PANDAS_INDEX.fullmatch(name)]
    if not index:
        return read
    note = "the pandas index was left out; use reset_index() to keep it"
    return _Read(read.table.drop_columns(index), (*read.notes, note))


def plain_strings(table: pa.Table) -> pa.Table:
    """Return the table with plain strings for views, which Polars exports and few Arrow kernels take."""
    plain = {pa.string_view(): pa.large_string(), pa.binary_view(): pa.large_binary()}
    for position, item in enumerate(table.schema):
        kind = item.type
        if kind in plain:
            table = table.set_column(position, item.name, table.column(position).cast(plain[kind]))
        elif pa.types.is_dictionary(kind) and kind.value_type in plain:
            wanted = pa.dictionary(pa.int32(), plain[kind.value_type])
            table = table.set_column(
                position, item.name, table.column(position).cast(plain[kind.value_type]).cast(wanted)
            )
    return table

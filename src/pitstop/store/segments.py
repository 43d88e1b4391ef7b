"""Segments: immutable Parquet files of the rows of one batch in one window, and a bounded cache of decoded columns."""

from __future__ import annotations

import hashlib
import io
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import quote

import pyarrow as pa
import pyarrow.parquet as pq

from pitstop.errors import StoreError

SegmentKind = Literal["predictions", "labels"]
FOLDER = "segments"
# Below this, Parquet's own dictionaries cost more to build and read than the bytes they save (decision 0003).
_SMALL_ROWS = 2_000


@dataclass(frozen=True)
class SegmentRecord:
    """A committed (or about to be committed) segment.

    `digest` is that of the rows, `file_digest` that of the Parquet file; `bytes` is the file's size. `id` depends on
    model, kind, window and batch only.
    """

    id: str
    kind: SegmentKind
    model: str
    window: int
    batch_id: str
    digest: str
    rows: int
    bytes: int
    file_digest: str
    key: str


def segment_key(model: str, kind: SegmentKind, window: int, file_digest: str) -> str:
    """Return the key of a segment's file: partitioned by model, then by window."""
    # A model may be called anything; a folder may not. Dots are quoted too, so that ".." names a folder.
    folder = quote(model, safe="").replace(".", "%2E")
    if len(folder) > 100:
        folder = f"{folder[:60]}-{hashlib.sha256(model.encode()).hexdigest()[:20]}"
    return f"{FOLDER}/{folder}/{window}-{kind}-{file_digest[:32]}.parquet"


def encode_segment(table: pa.Table) -> bytes:
    """Return `table` as an uncompressed Parquet file, the layout that decodes fastest (decision 0003)."""
    dictionaries: bool | list[str] = True
    if table.num_rows < _SMALL_ROWS:
        dictionaries = [field.name for field in table.schema if pa.types.is_dictionary(field.type)]
    sink = io.BytesIO()
    # Statistics are never asked for: a segment is small, and the catalog knows its window.
    pq.write_table(table, sink, compression="none", use_dictionary=dictionaries, write_statistics=False)
    return sink.getvalue()


class SegmentCache:
    """Reads columns of segments, keeping the most recently used ones, at most `limit` bytes of them.

    Segments never change, so what was read once stays true. A file is checked against its digest before it is
    decoded; `StoreError` says when it does not fit.
    """

    def __init__(self, load: Callable[[str], bytes], limit: int) -> None:
        self._load = load
        self._limit = limit
        self._columns: OrderedDict[tuple[str, str], Any] = OrderedDict()
        # Names of each segment's columns; most segments of a model share one tuple.
        self._schemas: dict[str, tuple[str, ...]] = {}
        self._shared: dict[tuple[str, ...], tuple[str, ...]] = {}
        self.bytes = 0

    def read(self, segment: SegmentRecord, columns: Sequence[str] | None = None) -> pa.Table:
        """Return the segment's rows; only `columns`, in their order, if given. A column it lacks is left out."""
        key = segment.file_digest
        known = self._schemas.get(key)
        if known is not None:
            wanted = [name for name in (columns if columns is not None else known) if name in set(known)]
            cached = {name: self._columns.get((key, name)) for name in wanted}
            if wanted and all(column is not None for column in cached.values()):
                for name in wanted:
                    self._columns.move_to_end((key, name))
                return pa.table(cached)
        table = self._decoded(segment, columns)
        self._keep(key, table)
        return table

    def _decoded(self, segment: SegmentRecord, columns: Sequence[str] | None) -> pa.Table:
        content = self._load(segment.key)
        if hashlib.sha256(content).hexdigest() != segment.file_digest:
            msg = f"{segment.key} was changed or damaged: its digest does not fit; restore it from a backup"
            raise StoreError(msg)
        file = pq.ParquetFile(pa.BufferReader(content))
        names = tuple(file.schema_arrow.names)
        self._schemas[segment.file_digest] = self._shared.setdefault(names, names)
        if columns is None:
            return file.read(use_threads=False).replace_schema_metadata(None)
        wanted = [name for name in columns if name in set(names)]
        # Parquet takes a name as a path prefix and may return more than was asked for.
        return file.read(columns=wanted, use_threads=False).select(wanted).replace_schema_metadata(None)

    def _keep(self, key: str, table: pa.Table) -> None:
        for name in table.column_names:
            old = self._columns.pop((key, name), None)
            self.bytes -= old.nbytes if old is not None else 0
            column = table.column(name)
            self._columns[key, name] = column
            self.bytes += column.nbytes
        while self.bytes > self._limit and self._columns:
            (segment, _), column = self._columns.popitem(last=False)
            self.bytes -= column.nbytes
            # Else the names of every segment that was ever read would be kept.
            self._schemas.pop(segment, None)


def joined(tables: Sequence[pa.Table]) -> pa.Table:
    """Return the rows of all tables in order, one chunk a column, with one dictionary a column.

    A column that some tables lack is null there. No tables give a table with no columns and no rows.
    """
    if not tables:
        return pa.table({})
    return pa.concat_tables(tables, promote_options="default").unify_dictionaries().combine_chunks()

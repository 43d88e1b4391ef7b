"""Counts rows on a Spark cluster: the same kernel on each executor's Arrow batches, and the counts added up.

Needs PySpark 4 (`pip install "pitstop[spark]"`) and Pitstop with the same version on the executors. What is read, and
with which rights, is Spark's own configuration: an address is passed to it as it stands. Executors give back counts
and samples; no other row leaves them.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pitstop import errors
from pitstop.checks.excerpts import VALUES, Excerpt, spread
from pitstop.engines.base import Progress
from pitstop.engines.counting import Counted, Reading, RowCounter, merge, require_columns
from pitstop.engines.passes import wanted_parts
from pitstop.engines.spark_parts import LINES, PartsExcerpt, counted_by_part, line
from pitstop.errors import (
    EmptyTableError,
    EngineError,
    MissingColumnError,
    PitstopError,
    SpecError,
    UnreadableTableError,
)
from pitstop.profile import Layout, Profile
from pitstop.records import row_words
from pitstop.records.addresses import Address, is_address
from pitstop.records.scans import scan_table
from pitstop.records.sources import DELTA_LOG, missing_column_message
from pitstop.records.spec import ModelSpec
from pitstop.statistics.distinct import Distinct, DistinctRows

Batches = Iterator[pa.RecordBatch]

_FILE, _ROW, _PLACE = "__pitstop_file", "__pitstop_row", "__pitstop_place"


@dataclass(frozen=True)
class SparkEngine:
    """Reads Parquet (a file, a folder, any address that Spark knows) and Delta tables.

    `session`: a `SparkSession`; without it the active one, else one by Spark's own configuration. Row-count windows
    need rows in one order, which a cluster does not give: they are a `SpecError`.
    """

    name: str = "spark"
    session: Any = None

    def profiles(
        self,
        source: Any,
        spec: ModelSpec,
        layout: Layout,
        *,
        windows: tuple[int | None, int | None] = (None, None),
        progress: Progress | None = None,
    ) -> Iterator[tuple[int, Profile]]:
        """Yield (window, profile) by window (`Engine.profiles`). `source` may be a Spark DataFrame as well.

        `progress` is called once, at the end; Spark shows its own. Raises `EngineError` where Spark is not there or
        fails.
        """
        if spec.calendar.by_rows:
            msg = "windows of a number of rows need rows in one order, which Spark has not; use the local engine"
            raise SpecError(msg)
        lines = self._counted(source, Reading(spec, layout, windows))
        with _spark_errors(source):
            total = lines.groupBy("window").applyInArrow(_adder(layout), LINES).toArrow()
        _raise_refusals(total)
        found = sorted(zip(total["window"].to_pylist(), total["counts"].to_pylist(), strict=True))
        profiles = [(window, Profile.unpack(layout, data)) for window, data in found]
        if progress is not None:
            rows = sum(profile.rows for _, profile in profiles)
            progress(rows, rows)
        yield from profiles

    def excerpt(self, source: Any) -> Excerpt:
        """Return the table as a comparison needs it. Raises `UnreadableTableError`, `EngineError`."""
        if _by_parts(source):
            return PartsExcerpt(scan_table(source), self._opened(source), partial(_collected, source))
        return _SparkExcerpt(self._frame(source), source)

    def _counted(self, source: Any, reading: Reading) -> Any:
        """Return the lines of counts of every window, several for each, as a DataFrame that waits to be asked."""
        if _by_parts(source):
            scan = scan_table(source)
            require_columns(reading, scan.names)
            parts, _ = wanted_parts(scan, reading)
            return counted_by_part(self._opened(source), scan, parts, reading)
        frame = self._frame(source)
        require_columns(reading, frame.columns)
        names = list(dict.fromkeys([*reading.roles, *reading.features]))
        return _selected(frame, names).mapInArrow(_CountRows(reading, tuple(names)), LINES)

    def _frame(self, source: Any) -> Any:
        if hasattr(source, "mapInArrow"):
            return source
        address = str(source)
        session = self._opened(address)
        with _spark_errors(address):
            reader = session.read
            if _is_delta(session, address):
                return reader.format("delta").load(address)
            # Folders named after values (day=2024-01-01) are no columns, as when the local engine reads them.
            options = {"recursiveFileLookup": "true", "pathGlobFilter": "*.{parquet,pq}", "mergeSchema": "true"}
            return reader.options(**options).parquet(address)

    def _opened(self, source: Any) -> Any:
        """Return the session. Raises `EngineError` where Spark is not there or does not start."""
        if importlib.util.find_spec("pyspark") is None:
            msg = 'the engine "spark" needs PySpark 4: pip install "pitstop[spark]" (and Java 17 or later)'
            raise EngineError(msg)
        from pyspark.sql import SparkSession  # noqa: PLC0415 - an optional dependency

        with _spark_errors(source):
            return self.session or SparkSession.getActiveSession() or SparkSession.builder.getOrCreate()


class _SparkExcerpt(Excerpt):
    """The excerpt of a Parquet or Delta table; its rows are in the order of its files' names."""

    def __init__(self, frame: Any, source: Any) -> None:
        from pyspark.sql import functions  # noqa: PLC0415 - an optional dependency

        self._frame, self._source = frame, source
        with _spark_errors(source):
            self.schema = frame.limit(0).toArrow().schema.remove_metadata()
            path = functions.col("_metadata.file_path").alias(_FILE)
            counted = frame.select(path).groupBy(_FILE).count().toArrow().to_pydict()
        sizes = dict(zip(counted[_FILE], counted["count"], strict=True))
        self._offsets: dict[str, int] = {}
        self.rows = 0
        for file in sorted(sizes, key=lambda name: PurePosixPath(unquote(name))):
            self._offsets[file] = self.rows
            self.rows += sizes[file]

    def samples(self, names: Sequence[str], sizes: Sequence[int]) -> list[pa.Table]:
        """Return samples of several sizes, read in one pass."""
        from pyspark.sql import functions  # noqa: PLC0415 - an optional dependency
        from pyspark.sql.types import LongType, StructField, StructType  # noqa: PLC0415 - as above

        wanted = [spread(self.rows, size) for size in sizes]
        union = np.unique(np.concatenate(wanted))
        selected = _selected(self._frame, names)
        types = StructType([*selected.schema.fields, StructField(_PLACE, LongType())])
        file, row = (
            functions.col(f"_metadata.{name}").alias(alias)
            for name, alias in (("file_path", _FILE), ("row_index", _ROW))
        )
        frame = self._frame.select(*_numbered(names), file, row)
        with _spark_errors(self._source):
            found = frame.mapInArrow(_TakeRows(union, self._offsets), types).toArrow()
        ordered = found.take(pa.array(np.argsort(found[_PLACE].to_numpy(), kind="stable")))
        ordered = ordered.drop_columns([_PLACE]).rename_columns(list(names))
        return [
            ordered if rows.size == union.size else ordered.take(pa.array(np.searchsorted(union, rows)))
            for rows in wanted
        ]

    def distinct(self, names: Sequence[str]) -> Distinct:
        """Return how many rows differ over these columns."""
        with _spark_errors(self._source):
            found = _selected(self._frame, names).mapInArrow(_hash_rows, LINES).toArrow()
        total = Distinct.empty()
        for data in found["counts"].to_pylist():
            total = total.merged(Distinct.unpack(data))
        return total


@dataclass(frozen=True)
class _CountRows:
    """On an executor: batches in, one line of counts for each window of the partition out."""

    reading: Reading
    names: tuple[str, ...]

    def __call__(self, batches: Batches) -> Batches:
        """Count a partition."""
        total: dict[int, Counted] = {}
        try:
            for numbered in _gathered(batches, max(1, VALUES // len(self.names))):
                table = numbered.rename_columns(list(self.names))
                counter = RowCounter(self.reading)
                if counter.begin(table):
                    counter.add(table.select(self.reading.features))
                    merge(total, counter.counted())
        except PitstopError as error:
            yield line(None, None, f"{type(error).__name__}:{error}")
            return
        for window, counted in total.items():
            yield line(window, counted.pack(), None)


def _adder(layout: Layout) -> Callable[[pa.Table], pa.Table]:
    """Return a function, as Spark asks for one: the lines of one window in, one line with its profile out."""

    def add(lines: pa.Table) -> pa.Table:
        refused = lines["error"].drop_null()
        if len(refused):
            return pa.Table.from_batches([line(None, None, refused[0].as_py())])
        found: dict[int, Counted] = {}
        for window, data in zip(lines["window"].to_pylist(), lines["counts"], strict=True):
            merge(found, {window: Counted.unpack(layout, data.as_py())})
        return pa.Table.from_batches([line(window, total.finished().pack(), None) for window, total in found.items()])

    return add


@dataclass(frozen=True)
class _TakeRows:
    """On an executor: rows with their file and place in it in, the wanted ones with their place in the table out."""

    wanted: NDArray[np.int64]
    offsets: dict[str, int]

    def __call__(self, batches: Batches) -> Batches:
        """Take rows of a partition."""
        for batch in batches:
            files = batch.column(_FILE).dictionary_encode()
            first = np.array([self.offsets[name] for name in files.dictionary.to_pylist()], dtype=np.int64)
            places = first[np.asarray(files.indices)] + np.asarray(batch.column(_ROW))
            at = np.minimum(np.searchsorted(self.wanted, places), self.wanted.size - 1)
            kept = pa.array(np.flatnonzero(self.wanted[at] == places))
            rest = batch.drop_columns([_FILE, _ROW]).append_column(_PLACE, pa.array(places))
            yield rest.take(kept)


def _hash_rows(batches: Batches) -> Batches:
    """On an executor: the different rows of a partition."""
    rows = DistinctRows()
    for batch in batches:
        rows.add(row_words.stable_hashes(batch.columns, batch.num_rows))
    yield line(0, rows.total.pack(), None)


def _gathered(batches: Batches, rows: int) -> Iterator[pa.Table]:
    """Yield batches together: Spark gives 10,000 rows at a time, and each call of the kernel costs a little."""
    waiting: list[pa.RecordBatch] = []
    size = 0
    for batch in batches:
        waiting.append(batch)
        size += batch.num_rows
        if size >= rows:
            yield pa.Table.from_batches(waiting).combine_chunks()
            waiting, size = [], 0
    if size:
        yield pa.Table.from_batches(waiting).combine_chunks()


def _selected(frame: Any, names: Sequence[str]) -> Any:
    for name in names:
        if name not in frame.columns:
            raise MissingColumnError(missing_column_message(name, frame.columns))
    # Under plain names: PySpark looks columns up again by name, and would read a.b as part b of a.
    return frame.select(*_numbered(names))


def _numbered(names: Sequence[str]) -> list[Any]:
    from pyspark.sql import functions  # noqa: PLC0415 - an optional dependency

    return [functions.col(_quoted(name)).alias(f"c{at}") for at, name in enumerate(names)]


def _quoted(name: str) -> str:
    doubled = name.replace("`", "``")
    return f"`{doubled}`"


def _by_parts(source: Any) -> bool:
    """Whether PyArrow reads a source on the executors: Parquet in a bucket. A Delta table there is Spark's own."""
    return is_address(source) and not Address(source).has(DELTA_LOG)


def _collected(source: Any, frame: Any) -> pa.Table:
    """Return the lines of a DataFrame, and raise what an executor refused."""
    with _spark_errors(source):
        lines = frame.toArrow()
    _raise_refusals(lines)
    return lines


def _raise_refusals(lines: pa.Table) -> None:
    """Raise on the driver what an executor raised: the first by its text, so that each run tells the same."""
    refused = sorted(lines["error"].drop_null().to_pylist())
    if refused:
        kind, _, message = refused[0].partition(":")
        found: type[PitstopError] = getattr(errors, kind, EngineError)
        raise found(message)


def _is_delta(session: Any, address: str) -> bool:
    """Return whether a Delta table lies at an address, wherever that is; its files alone would tell of deleted rows."""
    if "://" not in address and not address.startswith("file:"):
        return Path(address, DELTA_LOG).is_dir()
    machine = getattr(session, "_jvm", None)
    if machine is None:
        # A client of Spark Connect has no file system to ask; name the table's format to Spark and pass a DataFrame.
        return False
    log = machine.org.apache.hadoop.fs.Path(f"{address.rstrip('/')}/{DELTA_LOG}")
    return bool(log.getFileSystem(session._jsc.hadoopConfiguration()).exists(log))  # noqa: SLF001 - the only way


@contextmanager
def _spark_errors(source: Any) -> Iterator[None]:
    """Tell Spark's errors as ours: a path that is not there, no files, anything else."""
    try:
        yield
    except PitstopError:
        raise
    # PySpark, py4j and the sockets between them raise classes of their own, with no base in common but this one.
    except Exception as error:
        condition = _condition(error)
        first = str(error).strip().splitlines()[0][:300] if str(error).strip() else type(error).__name__
        if condition.startswith("PATH_NOT_FOUND"):
            msg = f"Spark finds no file at {source}; check the address and Spark's access to it"
            raise UnreadableTableError(msg) from error
        if condition.startswith("UNABLE_TO_INFER_SCHEMA"):
            msg = f"{source} holds no Parquet file (.parquet, .pq); the engine spark reads Parquet and Delta tables"
            raise EmptyTableError(msg) from error
        if condition.startswith("DATA_SOURCE_NOT_FOUND"):
            msg = f"{source} is a Delta table, and this Spark lacks Delta's jars; add the package io.delta:delta-spark"
            raise EngineError(msg) from error
        msg = f"Spark failed on {source}: {first}"
        raise EngineError(msg) from error


def _condition(error: Exception) -> str:
    """Return the name that Spark gives to an error's kind; its Python errors know it, else those of its Java ones."""
    for teller in (error, getattr(error, "java_exception", None)):
        for method in ("getCondition", "getErrorClass"):
            # An object of Java claims to have any method, and fails when one is called.
            with suppress(Exception):
                found = getattr(teller, method)()
                if found:
                    return str(found)
    return ""

"""Tables in a bucket on Spark's executors, read by PyArrow part by part: no jar of Hadoop's is needed for them.

The driver lists files and reads their footers; executors get the numbers of row groups, read what is asked of them as
the local engine does, and give back counts or samples.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pitstop.checks.excerpts import ScanExcerpt, distinct_of, rows_of
from pitstop.engines.counting import Counted, Reading, merge
from pitstop.engines.passes import count_part
from pitstop.errors import PitstopError
from pitstop.records.addresses import PLAIN_CONTENT
from pitstop.records.scans import Part, Scan
from pitstop.statistics.distinct import Distinct

Batches = Iterator[pa.RecordBatch]

# What executors give back: the window (or the part's place) and its counts (or rows), or why these rows were refused.
LINES = "window bigint, counts binary, error string"
_LINES_TYPES = pa.schema([("window", pa.int64()), ("counts", pa.binary()), ("error", pa.string())])
# Tasks for each core: a few, so that one slow request does not hold up the rest.
_TASKS = 4
_UNKNOWN_CORES = 16
_KEYS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
_SETTINGS = ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL", "AWS_EC2_METADATA_DISABLED", *PLAIN_CONTENT)


@dataclass(frozen=True)
class Access:
    """The keys to S3 in the driver's environment, for executors that have none of their own.

    They travel inside the task, never in Spark's configuration, and no text of this object shows them. An executor with
    keys, a profile's name or a web identity in its environment keeps to those.
    """

    _values: tuple[tuple[str, str], ...] = field(default=(), repr=False)

    @classmethod
    def of_environment(cls) -> Access:
        """Return what this process has."""
        return cls(tuple((name, os.environ[name]) for name in (*_KEYS, *_SETTINGS) if os.environ.get(name)))

    def use(self) -> None:
        """Put them into the environment of this process, where it has no access of its own."""
        own = any(os.environ.get(name) for name in (_KEYS[0], "AWS_PROFILE", "AWS_WEB_IDENTITY_TOKEN_FILE"))
        for name, value in self._values:
            if not os.environ.get(name) and not (own and name in _KEYS):
                os.environ[name] = value


class PartsExcerpt(ScanExcerpt):
    """The excerpt of a scan whose parts are read by executors."""

    def __init__(self, scan: Scan, session: Any, collected: Callable[[Any], pa.Table]) -> None:
        super().__init__(scan)
        self._session, self._collected = session, collected

    def _rows(self, names: Sequence[str], wanted: NDArray[np.int64]) -> Iterator[list[pa.ChunkedArray]]:
        for found in self._found(partial(_packed_rows, self._scan, tuple(names), wanted)):
            with pa.ipc.open_stream(found) as stream:
                yield stream.read_all().columns

    def _distinct(self, names: Sequence[str]) -> Iterator[Distinct]:
        for found in self._found(partial(_packed_distinct, self._scan, tuple(names))):
            yield Distinct.unpack(found.to_pybytes())

    def _found(self, action: Callable[[Part], bytes]) -> Iterator[pa.Buffer]:
        """Yield what `action` gives for each part, in order."""
        parts = self._scan.parts
        if not parts:
            return
        lines = self._collected(on_parts(self._session, parts, partial(_results, action)))
        found = dict(zip(lines["window"].to_pylist(), lines["counts"], strict=True))
        yield from (found[place].as_buffer() for place in range(len(parts)))


def counted_by_part(session: Any, scan: Scan, parts: Sequence[Part], reading: Reading) -> Any:
    """Return a DataFrame of lines, one for each window of each task, with the packed counts of these parts."""
    return on_parts(session, parts, partial(_counts, scan, reading))


def on_parts(session: Any, parts: Sequence[Part], action: Callable[[Iterator[tuple[int, Part]]], Batches]) -> Any:
    """Return a DataFrame of what `action` yields on executors for (place, part) of each task, parts in order."""
    tasks = max(1, min(len(parts), _TASKS * _cores(session)))
    return session.range(0, len(parts), 1, tasks).mapInArrow(
        _OnExecutor(tuple(parts), action, Access.of_environment()), LINES
    )


@dataclass(frozen=True)
class _OnExecutor:
    """Places of parts in, what was made of these parts out; a refusal is a line of its own."""

    parts: tuple[Part, ...]
    action: Callable[[Iterator[tuple[int, Part]]], Batches]
    access: Access

    def __call__(self, batches: Batches) -> Batches:
        """Read the parts of a task."""
        self.access.use()
        places = (int(place) for batch in batches for place in batch.column(0).to_pylist())
        try:
            yield from self.action((place, self.parts[place]) for place in places)
        except PitstopError as error:
            yield line(None, None, f"{type(error).__name__}:{error}")


def _counts(scan: Scan, reading: Reading, parts: Iterator[tuple[int, Part]]) -> Batches:
    total: dict[int, Counted] = {}
    for _, part in parts:
        merge(total, count_part(scan, part, reading))
    for window, counted in total.items():
        yield line(window, counted.pack(), None)


def _results(action: Callable[[Part], bytes], parts: Iterator[tuple[int, Part]]) -> Batches:
    for place, part in parts:
        yield line(place, action(part), None)


def _packed_rows(scan: Scan, names: Sequence[str], wanted: NDArray[np.int64], part: Part) -> bytes:
    columns = rows_of(scan, names, wanted, part)
    # By number: names are for the driver, which has them.
    table = pa.table(columns, names=[f"c{at}" for at in range(len(names))])
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table)
    return bytes(sink.getvalue())


def _packed_distinct(scan: Scan, names: Sequence[str], part: Part) -> bytes:
    return distinct_of(scan, names, part).pack()


def line(window: int | None, counts: bytes | None, error: str | None) -> pa.RecordBatch:
    """Return one line of `LINES`."""
    return pa.RecordBatch.from_pylist([{"window": window, "counts": counts, "error": error}], schema=_LINES_TYPES)


def _cores(session: Any) -> int:
    # A client of Spark Connect cannot say how large the cluster is.
    with suppress(Exception):
        return max(1, int(session.sparkContext.defaultParallelism))
    return _UNKNOWN_CORES

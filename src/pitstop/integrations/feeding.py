"""Hands over what is new in a source, and remembers how far it came: after the rows are durable, never before.

A crash in between hands the same rows over again. That is harmless where rows have ids: a batch is named by the digest
of its rows, and a row by its id. So what is remembered only saves work, and may be lost.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from pitstop.errors import StoreError, UnreadableTableError
from pitstop.integrations.file_source import FolderSource
from pitstop.integrations.folder_target import replace_file
from pitstop.integrations.sql_source import QuerySource, known, written
from pitstop.store.digest import rows_digest
from pitstop.store.disk import disk_errors

HandOver = Callable[[pa.Table | bytes], int]
"""Makes rows durable at the service (of JSON lines: what they stand for), and returns how many there were."""


@dataclass(frozen=True)
class Fed:
    """What one look brought: rows handed over, files taken, and what could not be read (tried again at the next)."""

    rows: int
    files: int
    problems: tuple[str, ...] = ()


@dataclass
class Memory:
    """How far a source has been handed over, in the file `path`. Of another source it begins anew."""

    path: Path
    source: str
    files: dict[str, list[int]] = field(default_factory=dict)
    watermark: Any = None
    last: str = ""

    @classmethod
    def of(cls, path: Path, source: str) -> Memory:
        """Return what is remembered. Raises `StoreError` where the file is something else."""
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
            if found["source"] == source:
                return cls(path, source, found["files"], known(found["watermark"]), found["last"])
        except FileNotFoundError:
            pass
        except (OSError, ValueError, KeyError, TypeError) as error:
            msg = f"{path} does not say how far a source was handed over ({error}); delete it: nothing is stored twice"
            raise StoreError(msg) from error
        return cls(path, source)

    def keep(self) -> None:
        """Write it down, whole."""
        mark = None if self.watermark is None else written(self.watermark)
        content = {"source": self.source, "files": self.files, "watermark": mark, "last": self.last}
        with disk_errors("remember how far a source came", self.path.parent):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            replace_file(self.path, json.dumps(content).encode())


def feed_folder(source: FolderSource, memory: Memory, hand_over: HandOver, *, settled: float = 5.0) -> Fed:
    """Hand over every file that is new or has changed, by name.

    On a disk a file that was changed less than `settled` seconds ago is left for the next look: somebody may still be
    writing it; so is one that a clock which is a little ahead has dated. One that cannot be read holds up no other.
    """
    rows, files, problems = 0, 0, []
    now = time.time_ns()
    for item in source.listed():
        seen = [item.size, item.changed]
        if memory.files.get(item.name) == seen or (source.local and abs(now - item.changed) < settled * 1e9):
            continue
        try:
            found = source.read(item.name)
            rows += hand_over(found) if isinstance(found, bytes) or found.num_rows else 0
        except UnreadableTableError as error:
            problems.append(str(error))
            continue
        files += 1
        memory.files[item.name] = seen
        memory.keep()
    return Fed(rows, files, tuple(problems))


def feed_query(source: QuerySource, memory: Memory, hand_over: HandOver, *, page: int = 100_000) -> Fed:
    """Hand over every row from the watermark on. Rows at the watermark itself are read again, as more may have come.

    Raises `UnreadableTableError` where one value of the watermark is shared by more than a page.
    """
    rows = 0
    while True:
        table = source.page(memory.watermark, page)
        if not table.num_rows:
            return Fed(rows, 0)
        newest, full = pc.max(table[source.watermark]).as_py(), table.num_rows == page
        if table[source.watermark].null_count:
            msg = f"the query's {source.watermark!r} is null in some rows; leave those out of the query"
            raise UnreadableTableError(msg)
        if full and newest == memory.watermark:
            msg = f"{page:,} rows and more have {source.watermark!r} = {newest}; raise --rows, or take a finer column"
            raise UnreadableTableError(msg)
        name = rows_digest(table)
        if name == memory.last:
            return Fed(rows, 0)
        rows += hand_over(table)
        memory.watermark, memory.last = newest, name
        memory.keep()
        if not full:
            return Fed(rows, 0)

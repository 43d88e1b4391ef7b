"""The client: hands predictions and labels over as files that are wholly there or not at all.

A service that predicts calls `Client(folder).log(rows)`, whoever learns the outcomes calls `.labels(rows)`, and
`pitstop run --source folder/predictions --labels folder/labels` takes them in. Nothing listens, so nothing can be down.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pitstop.errors import ColumnValueError, EmptyTableError, StoreError
from pitstop.records.sources import read_table
from pitstop.store.digest import rows_digest
from pitstop.store.disk import disk_errors
from pitstop.store.files import make_folder, sync_folder

PREDICTIONS = "predictions"
LABELS = "labels"

_COUNT = count()


class Client:
    """Appends batches of rows to a folder. Several processes may do so at the same time.

    `rows` is any table with `__arrow_c_stream__`, or a list of dicts. When a call returns, its batch is on the disk:
    under a temporary name, synced, renamed, and the folder synced. The name is a digest of the content, so handing the
    same batch over again (after a timeout, say) changes nothing. Two different batches that say the same are therefore
    one: give every prediction an id.
    """

    def __init__(self, folder: Path | str) -> None:
        self.folder = Path(folder)

    def log(self, rows: Any) -> Path:
        """Append predictions: the columns that the specification names, without labels. Returns the batch's file.

        Raises `EmptyTableError` for no rows, `UnreadableTableError` or `ColumnValueError` for what is no table, and
        `StoreError` where it cannot be written. The batch is then not there.
        """
        return self._append(PREDICTIONS, rows)

    def labels(self, rows: Any) -> Path:
        """Append labels: the columns of the id, the label and, if the specification names one, the label's time.

        A label may come late, be repeated, or be corrected: the one with the latest label time holds. Returns and
        raises as `log` does.
        """
        return self._append(LABELS, rows)

    def _append(self, kind: str, rows: Any) -> Path:
        table = table_of(rows)
        if not table.num_rows:
            msg = f"got a batch of no {kind} (its columns: {', '.join(table.column_names) or 'none'}); give a row"
            raise EmptyTableError(msg)
        try:
            digest = rows_digest(table)
        except StoreError as error:
            msg = f"a batch of {kind} cannot be kept: {error}; turn the column into numbers, times or text"
            raise ColumnValueError(msg) from error
        folder = self.folder / kind
        target = folder / f"{digest}.parquet"
        part = folder / f".{digest}.{os.getpid()}-{next(_COUNT)}.part"
        with disk_errors(f"write {kind}", folder):
            for changed in make_folder(folder):
                sync_folder(changed)
            if target.exists():
                # Whoever wrote it may have died between the name and the folder's sync.
                sync_folder(folder)
                return target
            try:
                _write(table, part)
                part.replace(target)
            except BaseException:
                part.unlink(missing_ok=True)
                raise
            sync_folder(folder)
        return target


def table_of(rows: Any) -> pa.Table:
    """Return rows as an Arrow table: from a list of dicts (a missing key is null), or as `read_table` does."""
    if isinstance(rows, Sequence) and not isinstance(rows, str | bytes):
        strange = next((place for place, row in enumerate(rows) if not isinstance(row, Mapping)), None)
        if strange is not None:
            msg = f"row {strange + 1} is a {type(rows[strange]).__name__}; expected a dict for each row"
            raise ColumnValueError(msg)
        rows = [{str(name): value for name, value in row.items()} for row in rows]
        names = dict.fromkeys(name for row in rows for name in row)
        content = {name: [row.get(name) for row in rows] for name in names}
        return read_table(pa.table({name: _array(name, values) for name, values in content.items()}))
    return read_table(rows)


def _array(name: str, values: list[Any]) -> pa.Array:
    try:
        return pa.array(values)
    except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
        msg = f"column {name!r} mixes types ({error}); give all its values one type"
        raise ColumnValueError(msg) from error


def _write(table: pa.Table, path: Path) -> None:
    try:
        with path.open("xb") as file:
            pq.write_table(table, file)
            file.flush()
            os.fsync(file.fileno())
    except pa.ArrowException as error:
        msg = f"this batch cannot be written as Parquet: {error}; give each column a plain type"
        raise ColumnValueError(msg) from error

"""Checks of what a trainer gives back. Nothing that it writes is believed before it is checked here."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from pitstop.errors import TrainerLimitError, TrainerOutputError, TrainingError
from pitstop.records.spec import Task

_SHOWN = 200


def parse_answer(line: bytes, action: str) -> dict[str, Any]:
    """Return a trainer's answer. Raises `TrainerOutputError` for what is none, `TrainingError` for a refusal."""
    try:
        answer = json.loads(line)
    except ValueError:
        answer = None
    if not isinstance(answer, dict) or not isinstance(answer.get("ok"), bool):
        shown = line[:_SHOWN].decode("utf-8", "replace")
        msg = (
            f'the trainer answered {shown!r} to "{action}"; expected one line of JSON like {{"ok": true, "rows": 9}}. '
            "Its standard output is for answers only; print messages to standard error"
        )
        raise TrainerOutputError(msg)
    if not answer["ok"]:
        msg = f"the trainer refused to {action}: {str(answer.get('error', 'it gave no reason'))[:2000]}"
        raise TrainingError(msg)
    return answer


def check_rows(answer: dict[str, Any], rows: int, action: str) -> None:
    """Raise `TrainerOutputError` unless the answer counts the rows that were sent."""
    if type(answer.get("rows")) is not int or answer["rows"] != rows:
        msg = f"the trainer says that it used {answer.get('rows')!r} rows to {action}; {rows} were sent"
        raise TrainerOutputError(msg)


def read_regular(path: Path, what: str, most: int) -> bytes:
    """Return the bytes of a regular file made by a trainer; a link is refused, because it could point anywhere.

    So is a file of more than `most` bytes, which may take none of the disk: it is read into memory.
    """
    descriptor = -1
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        status = os.fstat(descriptor)
        if status.st_size > most:
            msg = (
                f"the trainer left {status.st_size:,} bytes as {what}; disk_mib in [trainer] allows {most:,}. Raise "
                "it, or give it less to do"
            )
            raise TrainerLimitError(msg)
        if not stat.S_ISREG(status.st_mode):
            msg = f"the trainer left no regular file as {what} ({path.name!r}); links, folders and pipes are refused"
            raise TrainerOutputError(msg)
        with os.fdopen(descriptor, "rb") as file:
            descriptor = -1
            content = file.read()
    except OSError as error:
        msg = f"the trainer said that it wrote {what} to {path.name!r}, but it cannot be read: {error.strerror}"
        raise TrainerOutputError(msg) from error
    finally:
        if descriptor >= 0:
            os.close(descriptor)
    if not content:
        msg = f"the trainer left an empty file as {what} ({path.name!r})"
        raise TrainerOutputError(msg)
    return content


def check_predictions(content: bytes, task: Task, rows: int) -> pa.Table:
    """Return the predictions in an Arrow IPC file.

    Columns: `score` (binary), `prediction` and `score` (multiclass), `prediction` (regression). Scores are float64
    in [0, 1] without nulls, NaN or infinities, predictions strings or finite float64, one row for each row asked,
    in their order. Raises `TrainerOutputError` saying what is wrong and in which row first.
    """
    try:
        table = pa.ipc.open_file(pa.BufferReader(content)).read_all()
        table.validate(full=True)
    except (pa.ArrowException, OSError, ValueError) as error:
        msg = f"the trainer's predictions are not an Arrow IPC file: {str(error)[:_SHOWN]}"
        raise TrainerOutputError(msg) from error
    if table.num_rows != rows:
        msg = f"the trainer predicted {table.num_rows} rows; {rows} were asked"
        raise TrainerOutputError(msg)
    columns: dict[str, Any] = {}
    if task == "multiclass":
        columns["prediction"] = _texts(table)
    if task == "regression":
        columns["prediction"] = _numbers(table, "prediction", bounded=False)
    else:
        columns["score"] = _numbers(table, "score", bounded=True)
    return pa.table(columns)


def _column(table: pa.Table, name: str) -> Any:
    if table.column_names.count(name) != 1:
        msg = f"the trainer's predictions have the columns {table.column_names[:20]}; expected one called {name!r}"
        raise TrainerOutputError(msg)
    column = table[name]
    if column.null_count:
        first = int(np.flatnonzero(np.asarray(column.is_null()))[0])
        msg = f"the trainer's {name!r} is null in {column.null_count} of {table.num_rows} rows, first in row {first}"
        raise TrainerOutputError(msg)
    return column.combine_chunks()


def _texts(table: pa.Table) -> Any:
    column = _column(table, "prediction")
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
        msg = f"the trainer's 'prediction' is of type {column.type}; expected string (the predicted class)"
        raise TrainerOutputError(msg)
    return column.cast(pa.string())


def _numbers(table: pa.Table, name: str, *, bounded: bool) -> Any:
    column = _column(table, name)
    if not pa.types.is_floating(column.type):
        msg = f"the trainer's {name!r} is of type {column.type}; expected float64"
        raise TrainerOutputError(msg)
    values = np.asarray(column.cast(pa.float64()))
    bad = ~np.isfinite(values)
    if bounded:
        bad |= (values < 0.0) | (values > 1.0)
    if bad.any():
        first = int(np.flatnonzero(bad)[0])
        wanted = "a probability between 0 and 1" if bounded else "a finite number"
        msg = (
            f"the trainer's {name!r} is {values[first]} in row {first} ({int(bad.sum())} such rows); expected {wanted}"
        )
        raise TrainerOutputError(msg)
    return pa.array(values)

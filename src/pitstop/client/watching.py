"""`pitstop.watch(estimator)`: an estimator that predicts as before, and logs what it was asked and what it said."""

from __future__ import annotations

import logging
import os
import secrets
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from pitstop.client.sending import Sender
from pitstop.errors import SpecError
from pitstop.records.columns import classes as class_names
from pitstop.records.sources import read_table
from pitstop.records.spec import ModelSpec, load_spec

_LOG = logging.getLogger("pitstop")


@dataclass(frozen=True)
class _Own:
    """The ids of a call that was made without any: written out only when somebody asks."""

    call: str
    rows: int

    def names(self) -> list[str]:
        return [f"{self.call}-{place}" for place in range(self.rows)]


class Watched:
    """Stands for an estimator: every attribute is the estimator's own, and what it predicts is logged.

    `predict(X, ids=...)` and `predict_proba(X, ids=...)` take the ids by which labels will be joined. Without them they
    are those of the column of ids in `X`; where it has none, each row gets one. `last_ids` returns those of the last
    call (of the thread that asks, where it made one). The columns have the names of the specification. `X` is a table
    with columns, or an array whose columns are the estimator's `feature_names_in_`, else the specification's features
    in their order.
    """

    def __init__(self, estimator: Any, sender: Sender, spec: ModelSpec) -> None:
        self._estimator, self._spec = estimator, spec
        self.sender = sender
        self._token, self._calls = _new_token(), count()
        self._last: list[Any] | _Own = []
        self._of_thread = threading.local()
        self._failed = False

    def __getattr__(self, name: str) -> Any:
        if name == "_estimator":  # a copy that is being made has none yet
            raise AttributeError(name)
        return getattr(self._estimator, name)

    def predict(self, X: Any, *args: Any, ids: Sequence[Any] | None = None, **options: Any) -> Any:  # noqa: N803 - scikit-learn's name
        """Return what the estimator predicts for `X`, and log it."""
        said = self._estimator.predict(X, *args, **options)
        self._log(X, said, None, ids)
        return said

    def predict_proba(self, X: Any, *args: Any, ids: Sequence[Any] | None = None, **options: Any) -> Any:  # noqa: N803 - as above
        """Return the probabilities that the estimator gives to each class for `X`, and log them."""
        said = self._estimator.predict_proba(X, *args, **options)
        self._log(X, None, said, ids)
        return said

    @property
    def last_ids(self) -> list[Any]:
        """The ids of the rows of the last call."""
        found: list[Any] | _Own = getattr(self._of_thread, "last", self._last)
        return found.names() if isinstance(found, _Own) else list(found)

    def _own_ids(self, rows: int) -> _Own:
        """Return ids that no other call has, be it of another thread or of a process that was forked from this one."""
        if self._token[0] != os.getpid():
            self._token = _new_token()
        return _Own(f"{self._token[1]}-{next(self._calls)}", rows)

    def _log(self, rows: Any, said: Any, scores: Any, ids: Sequence[Any] | None) -> None:
        try:
            moment = datetime.now(UTC)
            given = _ids_within(rows, self._spec.columns.id) if ids is None else list(ids)
            names = self._own_ids(len(rows)) if given is None else given
            self._last = self._of_thread.last = names
            # Copies, because the caller may change what it asked about as soon as it has the answer.
            kept = np.array(rows) if isinstance(rows, list) else rows.copy() if hasattr(rows, "copy") else rows
            outcome = None if said is None else np.array(said)
            chances = None if scores is None else np.array(scores)
            self.sender.put("predictions", lambda: self._table(kept, outcome, chances, names, moment))
        except Exception as error:  # noqa: BLE001 - whatever it is, the caller gets its prediction
            if not self._failed:
                _LOG.error("a prediction could not be logged: %s", error)
            self._failed = True

    def _table(self, rows: Any, said: Any, scores: Any, ids: list[Any] | _Own, moment: datetime) -> pa.Table:
        """Return the rows as the specification names their columns; called in the background."""
        columns, spec = self._spec.columns, self._spec
        table = self._features(rows)
        if columns.id is not None:
            table = _with(table, columns.id, _id_column(ids.names() if isinstance(ids, _Own) else ids))
        if columns.time not in table.column_names:
            table = _with(table, columns.time, pa.array([moment] * len(table), pa.timestamp("us", tz="UTC")))
        if scores is not None:
            # As labels are named: 1.0 is "1", True is "true".
            classes = class_names(pa.chunked_array([pa.array(self._estimator.classes_)]), "classes_").to_pylist()
            if spec.model.task == "binary" and columns.score is not None:
                if spec.decision.positive not in classes:
                    known = ", ".join(map(repr, classes))
                    msg = f"[decision] positive is {spec.decision.positive!r}, and the estimator's classes are {known}"
                    raise SpecError(msg)
                chosen = scores[:, classes.index(spec.decision.positive)]
                table = _with(table, columns.score, pa.array(chosen.astype(np.float64)))
                said = np.array(classes)[np.where(chosen >= spec.decision.threshold, *_sides(spec, classes))]
            else:
                best = scores.argmax(axis=1)
                said = np.array(classes)[best]
                if columns.score is not None:
                    table = _with(table, columns.score, pa.array(scores.max(axis=1).astype(np.float64)))
        elif columns.score is not None and spec.model.task != "regression":
            table = _with(table, columns.score, pa.nulls(len(table), pa.float64()))
        if columns.prediction is not None:
            table = _with(table, columns.prediction, pa.array(said))
        return table

    def _features(self, rows: Any) -> pa.Table:
        if isinstance(rows, np.ndarray) or (isinstance(rows, Sequence) and not isinstance(rows, str)):
            array = np.asarray(rows)
            names = [str(name) for name in getattr(self._estimator, "feature_names_in_", self._spec.columns.inputs)]
            return pa.table({name: pa.array(array[:, place]) for place, name in enumerate(names)})
        return read_table(rows)


def watch(
    estimator: Any,
    address: str,
    spec: ModelSpec | Path | str,
    *,
    spool: Path | str | None = None,
    key: str | None = None,
) -> Watched:
    """Return an estimator that predicts as `estimator` does, and logs its predictions to the service at `address`.

    `spec` is the model's specification, or the path of its `pitstop.toml`. Logging happens in the background: it never
    raises into the caller, and never waits for a disk or a network (see `pitstop.client.sending.Sender`, which
    `.sender` is: send labels with `.sender.labels(rows)`). Raises `SpecError` where the specification has no column for
    what is logged, and `IngestError` for an address that cannot be one.
    """
    known = spec if isinstance(spec, ModelSpec) else load_spec(spec)
    if known.columns.prediction is None and known.columns.score is None:
        msg = "[columns] names neither prediction nor score, so nothing that is predicted could be logged; add one"
        raise SpecError(msg)
    return Watched(estimator, Sender(address, known.model.name, spool=spool, key=key), known)


def _with(table: pa.Table, name: str, column: pa.Array) -> pa.Table:
    if name in table.column_names:
        return table.set_column(table.column_names.index(name), name, column)
    return table.append_column(name, column)


def _new_token() -> tuple[int, str]:
    return os.getpid(), secrets.token_hex(6)


def _ids_within(rows: Any, name: str | None) -> list[Any] | None:
    """Return the ids in a table's own column of them; None where it has none."""
    names = getattr(rows, "column_names", getattr(rows, "columns", None))
    if name is None or names is None or name not in list(names):
        return None
    column = rows[name]
    return list(column.to_pylist() if hasattr(column, "to_pylist") else column)


def _id_column(ids: list[Any]) -> pa.Array:
    """Return ids as a column; numbers stay numbers, so that they are named as those of the labels are."""
    if all(isinstance(name, int | float | np.number) for name in ids):
        return pa.array(ids)
    return pa.array([str(name) for name in ids])


def _sides(spec: ModelSpec, classes: list[str]) -> tuple[int, int]:
    positive = classes.index(spec.decision.positive)
    return positive, 1 - positive

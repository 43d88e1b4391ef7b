"""Requests and responses of model servers as rows: V1, Open Inference Protocol 2, Seldon's own, and plain CSV.

V1 is `instances` and `predictions`; version 2 is `inputs` and `outputs` of tensors; Seldon's is `data` with `ndarray`
or `tensor`. Values that come without names are the specification's features, in its order.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

from pitstop.errors import ColumnValueError, UnreadableTableError
from pitstop.records.spec import ModelSpec

Row = dict[str, Any]
_PLAIN = (str, int, float, bool, type(None))
# How far two probabilities may be from adding up to 1, as servers round them.
_ROUNDING = 1e-3
# Whole numbers beyond it are no outputs of a model.
_WHOLE = 1 << 63


def parse_json(content: bytes | str, what: str) -> Any:
    """Return JSON; raise `UnreadableTableError` for anything else."""
    try:
        return json.loads(content)
    except (ValueError, RecursionError) as error:
        msg = f"{what} is not JSON ({error}); V1, Open Inference Protocol 2 and Seldon bodies in JSON are read"
        raise UnreadableTableError(msg) from error


def parse_csv(text: str, spec: ModelSpec) -> list[list[Any]]:
    """Return lines of CSV without a header (one of column names is left out); numbers are numbers, empty is null."""
    try:
        lines = [line for line in csv.reader(io.StringIO(text, newline=""), strict=True) if line]
    except csv.Error as error:
        msg = f"the data is not CSV ({error}); its `encoding` says it is"
        raise UnreadableTableError(msg) from error
    if lines and {cell.strip() for cell in lines[0]} <= _names(spec):
        del lines[0]
    return [[_of_text(cell.strip()) for cell in line] for line in lines]


def request_rows(spec: ModelSpec, body: Any) -> list[Row]:
    """Return what a request asked about, a row each.

    Raises `UnreadableTableError` for a body of no known form, `ColumnValueError` for rows that do not fit the features.
    """
    found = _matrix(body, "instances", "inputs")
    if isinstance(found, _Tensors):
        return _named_inputs(spec, found)
    names, elements = found
    return [_input(spec, element, names, place) for place, element in enumerate(elements)]


def response_rows(spec: ModelSpec, body: Any) -> list[Row]:
    """Return what a response said, a row each: the columns that `[columns]` names as `prediction` and `score`.

    Values under these names, or `prediction` and `score`, go there. Without a name a number with a fraction's type is
    the score and anything else the prediction; where the specification has only one of them, it is that one. Two
    numbers that add up to 1 are the probabilities of a binary task, the positive class second. Raises as
    `request_rows` does.
    """
    _require_outputs(spec)
    found = _matrix(body, "predictions", "outputs")
    if isinstance(found, _Tensors):
        return _named_outputs(spec, found)
    names, elements = found
    return [_output(spec, element, names, place) for place, element in enumerate(elements)]


def truths(body: Any) -> list[Any]:
    """Return the true values in a body of any of these forms, one for each row."""
    if isinstance(body, _PLAIN):
        return [body]
    found = _matrix(body, "predictions", "outputs")
    if isinstance(found, _Tensors):
        values = list(found.tensors.values())
        if len(values) != 1 or found.widths[next(iter(found.tensors))] != 1:
            msg = "the truth has more than one value for a row; send one tensor of one value a row"
            raise ColumnValueError(msg)
        return values[0]
    elements = [_only(element) for element in found[1]]
    for place, element in enumerate(elements):
        if not isinstance(element, _PLAIN):
            msg = f"row {place + 1} of the truth is {_said(element)}; expected one value"
            raise ColumnValueError(msg)
    return elements


class _Tensors:
    """Tensors by name, each flat; `rows` is their common first dimension, `widths` how many values a row has."""

    def __init__(self, tensors: Sequence[Any]) -> None:
        self.tensors: dict[str, list[Any]] = {}
        self.widths: dict[str, int] = {}
        self.kinds: dict[str, str] = {}
        self.rows = -1
        for place, tensor in enumerate(tensors):
            if type(tensor) is not dict or type(tensor.get("name")) is not str:
                msg = f"tensor {place + 1} is {_said(tensor)}; expected an object with name, shape, datatype and data"
                raise UnreadableTableError(msg)
            name = tensor["name"]
            if name in self.tensors:
                msg = f"two tensors are called {name!r}; rename one of them"
                raise ColumnValueError(msg)
            self._add(name, tensor.get("shape"), tensor.get("data"), str(tensor.get("datatype", "")))

    def _add(self, name: str, shape: Any, data: Any, kind: str) -> None:
        values = _flat(data)
        filled = values is not None and _is_shape(shape) and prod(shape) == len(values)
        if values is None or not filled or (shape and shape[0] > len(values)):
            msg = f"tensor {name!r} has no data as JSON that fills its shape; binary tensors are not read"
            raise UnreadableTableError(msg)
        rows = shape[0] if shape else 1
        if self.rows not in (-1, rows):
            msg = f"tensor {name!r} has {rows} rows, and others have {self.rows}; they are rows of one request"
            raise ColumnValueError(msg)
        self.rows = rows
        self.tensors[name], self.kinds[name] = values, kind
        self.widths[name] = len(values) // rows if rows else 0

    def row(self, name: str, place: int) -> list[Any]:
        """Return the values of one row."""
        width = self.widths[name]
        return self.tensors[name][place * width : (place + 1) * width]


def _matrix(body: Any, rows_key: str, tensors_key: str) -> _Tensors | tuple[Sequence[Any], Sequence[Any]]:
    """Return tensors, or the names (empty: none) and the elements of a body."""
    if type(body) is dict and "jsonData" in body:
        body = body["jsonData"]
    if type(body) is dict:
        if type(body.get(rows_key)) is list:
            return (), body[rows_key]
        if type(body.get(tensors_key)) is list:
            return _Tensors(body[tensors_key])
        if type(body.get("data")) is dict:
            return _seldon(body["data"])
        msg = (
            f"the body has the keys {', '.join(map(repr, list(body)[:8])) or '(none)'}; expected {rows_key!r} (V1), "
            f"{tensors_key!r} (Open Inference Protocol 2) or 'data' (Seldon)"
        )
        raise UnreadableTableError(msg)
    if type(body) is list:
        return (), body
    if isinstance(body, (int, float)) and type(body) is not bool:
        return (), [body]
    msg = f"the body is {_said(body)}; expected an object"
    raise UnreadableTableError(msg)


def _seldon(data: Mapping[str, Any]) -> tuple[Sequence[Any], Sequence[Any]]:
    stated = data.get("names")
    names = stated if type(stated) is list and all(type(name) is str for name in stated) else []
    if type(data.get("ndarray")) is list:
        return names, data["ndarray"]
    tensor = data.get("tensor")
    if type(tensor) is dict:
        found = _Tensors([{"name": "", "shape": tensor.get("shape"), "data": tensor.get("values")}])
        return names, [found.row("", place) for place in range(found.rows)]
    msg = "'data' has neither 'ndarray' nor 'tensor'; other kinds of Seldon messages are not rows"
    raise UnreadableTableError(msg)


def _input(spec: ModelSpec, element: Any, names: Sequence[str], place: int) -> Row:
    features, wide = spec.columns.inputs, spec.columns.embeddings
    if type(element) is dict and list(element) == ["features"] and "features" not in features:
        element = element["features"]
    if type(element) is dict:
        return _plain_row({name: value for name, value in element.items() if name in _names(spec)}, place, wide)
    values = element if type(element) is list else [element]
    if set(features) <= set(names) and len(values) == len(names):
        known = zip(names, values, strict=True)
        return _plain_row({name: value for name, value in known if name in _names(spec)}, place, wide)
    if len(values) != len(features):
        msg = (
            f"row {place + 1} has {len(values)} values without names, and the model has {len(features)} features; send "
            "the features in the order of the specification, or objects"
        )
        raise ColumnValueError(msg)
    return _plain_row(dict(zip(features, values, strict=True)), place, wide)


def _named_inputs(spec: ModelSpec, found: _Tensors) -> list[Row]:
    features = spec.columns.inputs
    lists = set(spec.columns.embeddings) & set(found.tensors)
    known = [name for name in found.tensors if name in _names(spec) and (found.widths[name] == 1 or name in lists)]

    def named(n: int) -> Row:
        values = {name: found.row(name, n) for name in known}
        return {name: value if name in lists else value[0] for name, value in values.items()}

    if set(known) & set(features) or (known and len(known) == len(found.tensors)):
        return [_plain_row(named(n), n, tuple(lists)) for n in range(found.rows)]
    wide = [name for name in found.tensors if name not in known]
    if len(wide) != 1:
        msg = f"the inputs are called {', '.join(map(repr, wide[:8]))}; none is a column of the specification"
        raise ColumnValueError(msg)
    return [_input(spec, found.row(wide[0], n), (), n) | named(n) for n in range(found.rows)]


def _output(spec: ModelSpec, element: Any, names: Sequence[str], place: int) -> Row:
    if type(element) is dict:
        return _finished(spec, _under_names(spec, element), place, element)
    row: Row = {}
    if type(element) is list and len(element) == len(names):
        row = _under_names(spec, dict(zip(names, element, strict=True)))
    if not row:
        _put(spec, row, element, place)
    return _finished(spec, row, place, element)


def _named_outputs(spec: ModelSpec, found: _Tensors) -> list[Row]:
    rows = []
    for place in range(found.rows):
        values = {name: found.row(name, place) for name in found.tensors}
        row = _under_names(spec, {name: value[0] for name, value in values.items() if len(value) == 1})
        for name, value in values.items():
            if name not in _roles(spec) or len(value) != 1:
                as_said = [float(v) if _is_number(v) else v for v in value] if _floats(found.kinds[name]) else value
                _put(spec, row, as_said, place)
        rows.append(_finished(spec, row, place, list(values)))
    return rows


def _put(spec: ModelSpec, row: Row, element: Any, place: int) -> None:
    """Put a value without a name where it belongs; what is taken already stays, and a wide vector is passed over."""
    named = spec.columns
    value = _only(element)
    if type(value) is list:
        if len(value) != 2 or not all(_is_number(v) for v in value):
            return
        first, second = value
        if named.score is not None and abs(first + second - 1) <= _ROUNDING and first >= 0 <= second:
            row.setdefault(named.score, float(second))
        elif named.score is not None and named.prediction is not None and type(first) is int and type(second) is float:
            row.setdefault(named.prediction, first)
            row.setdefault(named.score, second)
        return
    if not isinstance(value, _PLAIN):
        msg = f"row {place + 1} of the response is {_said(value)}; expected a number, a class or probabilities"
        raise ColumnValueError(msg)
    only = named.score if named.prediction is None else named.prediction if named.score is None else None
    both = named.score if type(value) is float and spec.model.task == "binary" else named.prediction
    row.setdefault(str(only or both), value)


def _under_names(spec: ModelSpec, values: Mapping[str, Any]) -> Row:
    roles = _roles(spec)
    return {roles[name]: _only(value) for name, value in values.items() if name in roles}


def _roles(spec: ModelSpec) -> dict[str, str]:
    """Return the column of each name under which outputs may come; the specification's own names win."""
    named = spec.columns
    stated = {"prediction": named.prediction, "predicted_label": named.prediction, "score": named.score}
    own = {name: name for name in (named.id, named.time, named.prediction, named.score) if name is not None}
    return {name: column for name, column in stated.items() if column is not None} | own


def _finished(spec: ModelSpec, row: Row, place: int, got: Any) -> Row:
    if not {spec.columns.prediction, spec.columns.score} & set(row):
        wanted = " or ".join(repr(name) for name in (spec.columns.prediction, spec.columns.score) if name is not None)
        msg = f"row {place + 1} of the response ({_said(got)}) has no value for {wanted}; send it under its name"
        raise ColumnValueError(msg)
    return _plain_row(row, place)


def _require_outputs(spec: ModelSpec) -> None:
    if spec.columns.prediction is None and spec.columns.score is None:
        msg = "[columns] names neither a prediction nor a score, so a response says nothing; add one of them"
        raise ColumnValueError(msg)


def _plain_row(row: Row, place: int, lists: Sequence[str] = ()) -> Row:
    for name, value in row.items():
        if name in lists and type(value) is list and all(_is_number(v) for v in value):
            continue
        if not isinstance(value, _PLAIN):
            msg = f"row {place + 1}, {name!r}, is {_said(value)}; expected one value"
            raise ColumnValueError(msg)
    return row


def _names(spec: ModelSpec) -> set[str]:
    named = spec.columns
    roles = (
        named.id,
        named.time,
        named.label,
        named.label_time,
        named.prediction,
        named.score,
        named.subject,
        named.propensity,
    )
    lists = (*named.inputs, *named.segments, *named.protected, *spec.amounts)
    return {name for name in (*roles, *lists) if name is not None}


def _only(element: Any) -> Any:
    """Return the one value of lists of one value."""
    while type(element) is list and len(element) == 1:
        element = element[0]
    return element


def _flat(data: Any) -> list[Any] | None:
    """Return the values of nested lists, None for what is none; without recursion, for who nests a thousand deep."""
    if type(data) is not list:
        return None
    values: list[Any] = data
    while any(type(element) is list for element in values):
        if not all(type(element) is list for element in values):
            return None
        values = [value for element in values for value in element]
    return values


def _is_shape(shape: Any) -> bool:
    return type(shape) is list and all(type(size) is int and 0 <= size < 1 << 31 for size in shape) and len(shape) < 8


def _is_number(value: Any) -> bool:
    return type(value) is float or (type(value) is int and abs(value) < _WHOLE)


def _floats(kind: str) -> bool:
    return kind.upper() in ("FP16", "FP32", "FP64", "BF16")


def _of_text(cell: str) -> Any:
    if not cell or "_" in cell:
        return cell or None
    for kind in (int, float):
        try:
            return kind(cell)
        except ValueError:
            continue
    return cell


def _said(value: Any) -> str:
    what = f"a JSON {type(value).__name__}"
    return f"{what}: {value[:60]!r}" if type(value) is str else what

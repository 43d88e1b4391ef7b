"""What SageMaker writes, as rows: JSON lines of data capture, and of ground truth.

`inferenceId`, which the caller chose, names a request before `eventId`, which SageMaker did; labels join likewise.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pitstop.errors import ColumnValueError, EmptyTableError, RecordError, TooLargeError, UnreadableTableError
from pitstop.records.spec import ModelSpec
from pitstop.service.ingest.batch import LIMITS, Limits
from pitstop.service.ingest.bodies import Row, parse_csv, parse_json, request_rows, response_rows, truths
from pitstop.service.ingest.cloud_events import label_rows_of, paired_rows
from pitstop.service.ingest.moments import read_moment, text_of

SAGEMAKER = "application/x-sagemaker-jsonl"
_MARKS = (b'"captureData"', b'"groundTruthData"')


def is_sagemaker(payload: bytes) -> bool:
    """Return whether the first line looks like one of SageMaker's."""
    first = payload.lstrip()[:1]
    line = payload.lstrip().partition(b"\n")[0]
    return first == b"{" and any(mark in line for mark in _MARKS)


def capture_rows(spec: ModelSpec, payload: bytes, limits: Limits = LIMITS) -> list[Row]:
    """Return predictions of the lines of data capture, with the inference time as their time.

    Raises `RecordError`, with the line, where one cannot be read; no row of the others is returned then.
    """
    rows: list[Row] = []
    for number, line in _lines(payload):
        try:
            rows += _captured(spec, line)
        except RecordError as error:
            msg = f"line {number}: {error}"
            raise type(error)(msg) from error
        _refuse_count(len(rows), limits)
    return _some(rows)


def truth_rows(spec: ModelSpec, payload: bytes, at: int, limits: Limits = LIMITS) -> list[Row]:
    """Return labels of the lines of ground truth; they say no time, so where one is needed it is `at` (microseconds).

    Raises as `capture_rows` does.
    """
    rows: list[Row] = []
    for number, line in _lines(payload):
        try:
            data = _part(line, "groundTruthData")
            rows += label_rows_of(spec, _name(line), truths(_body(spec, data)), text_of(at))
        except RecordError as error:
            msg = f"line {number}: {error}"
            raise type(error)(msg) from error
        _refuse_count(len(rows), limits)
    return _some(rows)


def _captured(spec: ModelSpec, line: Mapping[str, Any]) -> list[Row]:
    parts = _part(line, "captureData")
    asked = request_rows(spec, _body(spec, _part(parts, "endpointInput")))
    answer = _body(spec, _part(parts, "endpointOutput"))
    # Some containers answer for all rows of a request in one line.
    if type(answer) is list and len(answer) == 1 and type(answer[0]) is list and len(answer[0]) == len(asked) > 1:
        answer = answer[0]
    said = response_rows(spec, answer)
    if len(asked) != len(said):
        msg = f"the input has {len(asked)} rows and the output {len(said)}"
        raise ColumnValueError(msg)
    time = read_moment(_part(line, "eventMetadata").get("inferenceTime"), "inferenceTime")
    request = {"request": _name(line), "time": time, "rows": asked}
    return paired_rows(spec, request, {"rows": said})


def _name(line: Mapping[str, Any]) -> str:
    facts = _part(line, "eventMetadata")
    found = facts.get("inferenceId") or facts.get("eventId")
    if type(found) is not str or not found:
        msg = "eventMetadata has neither inferenceId nor eventId; labels are joined by it"
        raise UnreadableTableError(msg)
    return found


def _part(line: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = line.get(name)
    if type(found) is not dict:
        also = " (capture both the input and the output)" if name.startswith("endpoint") else ""
        msg = f"there is no {name!r}{also}; expected a line as SageMaker writes it"
        raise UnreadableTableError(msg)
    return found


def _body(spec: ModelSpec, data: Mapping[str, Any]) -> Any:
    """Return what `data` holds: lists of cells for CSV, else JSON."""
    content, encoding = data.get("data"), str(data.get("encoding", "")).upper()
    media = str(data.get("observedContentType", "")).partition(";")[0].strip().lower()
    if encoding == "BASE64":
        try:
            content = base64.b64decode(str(content), validate=True).decode()
        except (binascii.Error, ValueError) as error:
            msg = f"the data is not base64 of text ({error}); images and other bytes are not rows"
            raise UnreadableTableError(msg) from error
        encoding = "JSON" if "json" in media else "CSV" if "csv" in media or not media else media
    if encoding == "CSV":
        return parse_csv(str(content), spec)
    if encoding == "JSON":
        if type(content) is not str:
            return content
        if "lines" in media:
            # Not splitlines: a text may hold what it takes for the end of a line (U+2028) and JSON does not.
            lines = (line.removesuffix("\r") for line in content.split("\n"))
            return [parse_json(line, "the data") for line in lines if line.strip()]
        return parse_json(content, "the data")
    msg = f"got the encoding {encoding[:60]!r}; known: CSV, JSON, and BASE64 of one of them"
    raise UnreadableTableError(msg)


def _lines(payload: bytes) -> Iterator[tuple[int, Mapping[str, Any]]]:
    for number, text in enumerate(payload.split(b"\n"), start=1):
        if not text.strip():
            continue
        line = parse_json(text, f"line {number}")
        if type(line) is not dict:
            msg = f"line {number} is a JSON {type(line).__name__}; expected an object"
            raise UnreadableTableError(msg)
        yield number, line


def _refuse_count(rows: int, limits: Limits) -> None:
    if rows > limits.rows:
        msg = f"there are more than {limits.rows:,} rows; send the lines in parts"
        raise TooLargeError(msg)


def _some(rows: Sequence[Row]) -> list[Row]:
    if not rows:
        msg = "there is no line; send at least one"
        raise EmptyTableError(msg)
    return list(rows)

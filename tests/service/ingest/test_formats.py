"""The same rows in every format are the same table; what is broken, too large or a bomb is refused before it costs."""

from __future__ import annotations

import io
import json
from typing import Any

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.ipc as pa_ipc
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pitstop.errors import ColumnValueError, EmptyTableError, RecordError, TooLargeError, UnreadableTableError
from pitstop.service.ingest.batch import Limits
from pitstop.service.ingest.formats import FORMATS, count_rows, read_batch

TABLE = pa.table({"id": ["a", "b", "c"], "x": [1.5, None, -2.0], "n": [1, 2, 3], "b": [True, False, None]})
SMALL = Limits(body_bytes=1 << 20, rows=100, columns=10, cells=500, text_bytes=10_000)


def written(table: pa.Table, kind: str, **options: Any) -> bytes:
    sink = io.BytesIO()
    if kind == "json":
        return json.dumps(table.to_pylist()).encode()
    if kind == "ndjson":
        return b"\n".join(json.dumps(row).encode() for row in table.to_pylist()) + b"\n"
    if kind == "csv":
        pa_csv.write_csv(table, sink)
    elif kind == "parquet":
        pq.write_table(table, sink, **options)
    else:
        with pa_ipc.new_stream(sink, table.schema, options=pa_ipc.IpcWriteOptions(**options)) as stream:
            stream.write_table(table)
    return sink.getvalue()


@pytest.mark.parametrize("kind", FORMATS)
def test_every_format_gives_the_same_rows(kind: str) -> None:
    payload = written(TABLE, kind)
    assert count_rows(kind, payload) == 3
    assert read_batch(kind, payload).to_pylist() == TABLE.to_pylist()


def test_a_json_object_is_one_row() -> None:
    assert read_batch("json", b'{"id": "a", "x": 1}').to_pylist() == [{"id": "a", "x": 1}]


@pytest.mark.parametrize(
    ("kind", "payload", "error"),
    [
        ("json", b"{", UnreadableTableError),
        ("json", b"3", UnreadableTableError),
        ("json", b"[1]", UnreadableTableError),
        ("json", b"[]", EmptyTableError),
        ("json", b"[" * 100_000, UnreadableTableError),
        ("json", b'{"x": ' + b"9" * 5_000 + b"}", UnreadableTableError),
        ("ndjson", b'{"a": 1}\nnot', UnreadableTableError),
        ("csv", b"", UnreadableTableError),
        ("csv", b"a,b\n", EmptyTableError),
        ("arrow", b"ARROW", UnreadableTableError),
        ("arrow", b"", UnreadableTableError),
        ("parquet", b"PAR1 and no more", UnreadableTableError),
        ("pickle", b"\x80\x04.", UnreadableTableError),
    ],
)
def test_what_is_not_of_its_format_is_refused(kind: str, payload: bytes, error: type[Exception]) -> None:
    with pytest.raises(error):
        count_rows(kind, payload)


def bomb_of_text() -> pa.Table:
    word = pa.DictionaryArray.from_arrays(pa.array([0] * 90, pa.int32()), pa.array(["x" * 1_000]))
    return pa.table({"id": word})


@pytest.mark.parametrize("kind", FORMATS)
def test_more_than_is_allowed_is_refused(kind: str) -> None:
    many = pa.table({"x": list(range(101))})
    wide = pa.table({f"c{n}": [1] for n in range(11)})
    for table in (many, wide) if kind not in ("json", "ndjson") else (many,):
        with pytest.raises(TooLargeError):
            count_rows(kind, written(table, kind), SMALL)


@pytest.mark.parametrize("kind", ["arrow", "parquet"])
def test_a_few_bytes_that_become_many_are_refused_before_they_do(kind: str) -> None:
    # 1,000 bytes that each of 90 rows points to: small as sent, 90,000 bytes once every row has its own.
    with pytest.raises(TooLargeError, match="bytes in column 'id'"):
        read_batch(kind, written(bomb_of_text(), kind), SMALL)
    zeros = pa.table({"x": pa.array([0.0] * 5_000_000)})
    payload = written(zeros, "parquet", compression="zstd")
    assert len(payload) < 30_000
    with pytest.raises(TooLargeError):
        count_rows("parquet", payload)


def test_a_compressed_arrow_stream_is_refused_unread() -> None:
    table = pa.table({"x": pa.array([0.0] * 10_000)})
    for given_ in (table, pa.table({"c": pa.array(["a" * 99] * 999).dictionary_encode()})):
        payload = written(given_, "arrow", compression="zstd")
        with pytest.raises(UnreadableTableError, match="is compressed"):
            count_rows("arrow", payload)


def test_columns_that_no_row_may_have_are_refused() -> None:
    with pytest.raises(ColumnValueError, match=r"has the type list<"):
        count_rows("arrow", written(pa.table({"x": [["a"]]}), "arrow"))
    double = pa.table([pa.array([1]), pa.array([2])], names=["x", "x"])
    with pytest.raises(ColumnValueError, match="two columns"):
        count_rows("arrow", written(double, "arrow"))


@settings(max_examples=150)
@given(st.integers(0, 10_000), st.integers(1, 255), st.sampled_from(["arrow", "parquet"]))
def test_a_changed_byte_gives_rows_or_an_error_of_ours(place: int, change: int, kind: str) -> None:
    table = pa.table(
        {"id": ["one", "two", None], "x": [1.0, 2.0, 3.0], "c": pa.array(["a", "b", "a"]).dictionary_encode()}
    )
    payload = bytearray(written(table, kind))
    payload[place % len(payload)] ^= change
    try:
        count_rows(kind, bytes(payload), SMALL)
        read_batch(kind, bytes(payload), SMALL).validate(full=True)
    except RecordError:
        pass

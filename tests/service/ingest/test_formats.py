"""The same rows in every format are the same table; what is broken, too large or a bomb is refused before it costs."""

from __future__ import annotations

import io
import json
import struct
from typing import Any

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.ipc as pa_ipc
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pitstop.errors import ColumnValueError, EmptyTableError, RecordError, TooLargeError, UnreadableTableError
from pitstop.service.ingest import formats
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
    for table in (many, wide):
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


def test_views_that_share_one_text_are_as_large_as_what_they_show() -> None:
    long = b"x" * 1_000
    views = b"".join(struct.pack("<i4sii", len(long), long[:4], 0, 0) for _ in range(90))
    shared = pa.Array.from_buffers(pa.string_view(), 90, [None, pa.py_buffer(views), pa.py_buffer(long)])
    for column in (shared, pa.DictionaryArray.from_arrays(pa.array([0] * 90, pa.int32()), shared.slice(0, 1))):
        payload = written(pa.table({"id": column}), "arrow")
        assert len(payload) < 5_000
        with pytest.raises(TooLargeError, match="90,000 bytes in column 'id'"):
            count_rows("arrow", payload, SMALL)
    few = pa.table({"id": pa.array(["a", None, "b" * 99], pa.string_view())})
    assert read_batch("arrow", written(few, "arrow"), SMALL)["id"].to_pylist() == ["a", None, "b" * 99]


@pytest.mark.parametrize("kind", ["json", "ndjson", "messages"])
def test_rows_that_share_no_names_are_as_large_as_their_table(kind: str) -> None:
    """Ten rows of ten names each are a table of a hundred columns; with all bytes allowed it would fill the memory."""
    apart = [{f"{row}-{place}": 1 for place in range(5)} for row in range(5)]
    deep = [{"x": {f"{row}-{place}": 1 for place in range(10)}} for row in range(10)]
    listed = [{"x": [[{f"{place}": 1}] for place in range(40)]}]
    for rows in (apart, deep, listed):
        lines = [json.dumps(row) for row in rows]
        if kind == "messages":
            lines = [json.dumps({"id": f"{place}", "rows": row}) for place, row in enumerate(rows)]
        payload = json.dumps(rows) if kind == "json" else "\n".join(lines)
        for measure in (count_rows, read_batch):
            with pytest.raises(TooLargeError):
                measure(kind, payload.encode(), SMALL)
    # Objects in columns that nobody asks for are no fault.
    assert count_rows("json", json.dumps([{"id": n, "more": {"a": [1, 2]}} for n in range(20)]).encode(), SMALL) == 20


@pytest.mark.parametrize(
    "header",
    [
        ",".join(f"c{n}" for n in range(11)),
        "\r\n\n" + ";".join(f"c{n}" for n in range(11)),
        '"a\n""\nb","x\n"' + "\tc" * 5 + ",c" * 9,
        "\ufeff" + '"a\nb"' + "|c" * 10,
        'a;"b' + ",c" * 200,
    ],
)
def test_a_header_of_too_many_columns_is_refused_before_it_is_read(
    header: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each column costs a reader some kilobytes, whatever it holds."""
    monkeypatch.setattr(formats, "read_csv", lambda _: pytest.fail("it was read"))
    for encoding in ("utf-8", "utf-16"):
        with pytest.raises(TooLargeError, match="columns"):
            count_rows("csv", (header + "\n1\n").encode(encoding), SMALL)


def test_a_header_of_few_columns_with_quoted_delimiters_is_read() -> None:
    payload = b'"a, b, c, d, e, f, g, h, i, j, k, l",5"\n' + b'"x, y",1\n' * 90
    assert count_rows("csv", payload, SMALL) == 90


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

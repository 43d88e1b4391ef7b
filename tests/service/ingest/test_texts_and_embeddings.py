"""Free text and lists of floats come in every format that holds lists, and are stored as their measures."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.ipc as pa_ipc
import pyarrow.parquet as pq
import pytest
from tests.service.ingest.counted import SPEC

from pitstop.records.measures import measured_texts, measured_vectors
from pitstop.records.spec import parse_spec
from pitstop.service.ingest.batch import Batch, Limits
from pitstop.service.ingest.bodies import request_rows
from pitstop.service.ingest.formats import count_rows
from pitstop.service.ingest.inbox import Inbox
from pitstop.store.home import Home

MODEL = parse_spec(
    SPEC.replace('features = ["x", "y", "c"]', 'features = ["x"]\ntexts = ["note"]\nembeddings = ["v"]').replace(
        'categorical = ["c"]', ""
    )
)
NOTES, VECTORS = ["A word, 12", None, ""], [[0.5, -1.5, 2.0], None, [1.0, 0.0, 0.25]]


def rows(first: str) -> list[dict[str, Any]]:
    base = {"at": "2026-01-01T00:00:00", "x": 1.0, "score": 0.25, "said": 0}
    return [
        {**base, "id": f"{first}-{place}", "note": note, "v": vector}
        for place, (note, vector) in enumerate(zip(NOTES, VECTORS, strict=True))
    ]


def written(kind: str) -> bytes:
    if kind == "json":
        return json.dumps(rows(kind)).encode()
    if kind == "ndjson":
        return b"\n".join(json.dumps(row).encode() for row in rows(kind))
    table, sink = pa.Table.from_pylist(rows(kind)), io.BytesIO()
    if kind == "arrow":
        # As embeddings come from a model: single precision, of a fixed size.
        table = table.set_column(table.column_names.index("v"), "v", pa.array(VECTORS, pa.list_(pa.float32(), 3)))
        with pa_ipc.new_stream(sink, table.schema) as stream:
            stream.write_table(table)
    else:
        pq.write_table(table, sink)
    return sink.getvalue()


def test_texts_and_lists_come_in_every_format_and_are_kept_as_measures(tmp_path: Path) -> None:
    kinds = ("json", "ndjson", "arrow", "parquet")
    with Inbox(tmp_path, lambda _: MODEL) as inbox:
        for kind in kinds:
            payload = written(kind)
            assert count_rows(kind, payload) == 3
            inbox.accept_now(Batch("m", "predictions", kind, payload, kind))
        with inbox.drain() as drain:
            drain.run_dry()
        assert inbox.quarantined() == ()
    with Home.open(tmp_path / "records", read_only=True) as home:
        kept = pa.concat_tables(home.read_segment(item) for item in home.segments("predictions", "m"))
    wanted = measured_texts(pa.chunked_array([NOTES]), "note") | measured_vectors(pa.chunked_array([VECTORS]), "v")
    assert not {"note", "v"} & set(kept.column_names)
    for kind in kinds:
        mine = {row["@id"]: row for row in kept.to_pylist() if row["@id"].startswith(f"{kind}-")}
        for name, column in wanted.items():
            assert [mine[f"{kind}-{place}"][name] for place in range(3)] == column.to_pylist(), (kind, name)


def test_a_list_where_none_is_expected_is_set_aside_with_the_reason(tmp_path: Path) -> None:
    wrong = [{**row, "x": [1.0, 2.0]} for row in rows("a")]
    other = [{**row, "v": "0.5 0.5"} for row in rows("b")]
    with Inbox(tmp_path, lambda _: MODEL) as inbox:
        for name, batch in (("wrong", wrong), ("other", other)):
            inbox.accept_now(Batch("m", "predictions", "json", json.dumps(batch).encode(), name))
        with inbox.drain() as drain:
            drain.run_dry()
        reasons = sorted(entry.reason for entry in inbox.quarantined())
    assert len(reasons) == 2
    assert "'v' holds string; expected lists of numbers" in reasons[0]
    assert "'x' holds list<" in reasons[1]


def test_values_of_lists_count_as_cells() -> None:
    limits = Limits(body_bytes=1 << 20, rows=100, columns=10, cells=25, text_bytes=10_000)
    for kind in ("json", "arrow"):
        with pytest.raises(Exception, match="cells; at most 25"):
            count_rows(kind, written(kind), limits)


def test_model_servers_say_them_by_name_as_tensors_and_in_order() -> None:
    expected = [
        {"x": 1.0, "note": "a", "v": [0.5, 1.5]},
        {"x": 2.0, "note": "b", "v": [2.5, 3.5]},
    ]
    named = {"instances": expected}
    in_order = {"instances": [[row["x"], row["note"], row["v"]] for row in expected]}
    tensors = {
        "inputs": [
            {"name": "x", "shape": [2, 1], "datatype": "FP64", "data": [1.0, 2.0]},
            {"name": "note", "shape": [2], "datatype": "BYTES", "data": ["a", "b"]},
            {"name": "v", "shape": [2, 2], "datatype": "FP32", "data": [0.5, 1.5, 2.5, 3.5]},
        ]
    }
    for body in (named, in_order, tensors):
        assert request_rows(MODEL, body) == expected

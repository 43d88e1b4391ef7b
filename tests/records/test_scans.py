"""A scan is the table: the same rows and types as `read_table`, in every format, cut and order of reading."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.ipc as pa_ipc
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pitstop.errors import MissingColumnError, UnreadableTableError
from pitstop.records.scans import Scan, scan_table
from pitstop.records.sources import read_table, source_notes
from pitstop.store.objects import ObjectFiles

FORMATS = ("parquet", "arrow", "compressed", "stream", "csv")


def table_of(rows: int, seed: int = 0) -> pa.Table:
    random = np.random.default_rng(seed)
    return pa.table(
        {
            "x": pa.array(random.random(rows), mask=random.random(rows) < 0.1),
            "n": random.integers(0, 9, rows),
            "kind": [f"k{value}" for value in random.integers(0, 5, rows)],
        }
    )


def write(table: pa.Table, folder: Path, name: str, kind: str, cut: int) -> Path:
    path = folder / f"{name}.{'csv' if kind == 'csv' else 'parquet' if kind == 'parquet' else 'arrow'}"
    if kind == "csv":
        pa_csv.write_csv(table, path)
    elif kind == "parquet":
        pq.write_table(table, path, row_group_size=cut)
    else:
        start: Any = pa_ipc.new_stream if kind == "stream" else pa_ipc.new_file
        options = pa_ipc.IpcWriteOptions(compression="lz4" if kind == "compressed" else None)
        with start(str(path), table.schema, options=options) as writer:
            writer.write_table(table, max_chunksize=cut)
    return path


def rows_of(scan: Scan, columns: list[str], order: list[int] | None = None, rows: int = 7) -> pa.Table:
    found = {}
    for number in order if order is not None else range(len(scan.parts)):
        part = scan.parts[number]
        tables = list(scan.batches(part, columns, rows=rows))
        assert all(table.num_rows <= rows for table in tables)
        assert sum(table.num_rows for table in tables) == part.rows
        found[part.first] = pa.concat_tables(tables)
    return pa.concat_tables([found[first] for first in sorted(found)])


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(FORMATS), st.integers(1, 40), st.integers(1, 15)), min_size=1, max_size=4),
    st.randoms(use_true_random=False),
    st.permutations(["x", "n", "kind"]),
)
def test_a_folder_of_any_formats_is_what_read_table_reads(
    tmp_path_factory: pytest.TempPathFactory, files: list[tuple[str, int, int]], order: Any, columns: list[str]
) -> None:
    folder = tmp_path_factory.mktemp("scan")
    for number, (kind, rows, cut) in enumerate(files):
        write(table_of(rows, number), folder, f"{number}", kind, cut)
    scan, whole = scan_table(folder), read_table(folder)
    assert (scan.rows, scan.names) == (whole.num_rows, whole.column_names)
    numbers = list(range(len(scan.parts)))
    order.shuffle(numbers)
    wanted = columns[: 1 + len(files) % 3]
    assert rows_of(scan, wanted, numbers).equals(whole.select(wanted))


def test_files_with_other_types_or_fewer_columns_are_promoted_as_when_read(tmp_path: Path) -> None:
    pq.write_table(pa.table({"a": pa.array([1, 2], pa.int32()), "b": ["x", "y"]}), tmp_path / "0.parquet")
    pq.write_table(pa.table({"a": [1.5]}), tmp_path / "1.parquet")
    pq.write_table(pa.table({"c": [datetime(2024, 1, 1)]}), tmp_path / "2.parquet")  # noqa: DTZ001 - as files have it
    scan = scan_table(tmp_path)
    assert rows_of(scan, scan.names).equals(read_table(tmp_path))
    assert scan.schema.field("a").type == pa.float64()


def test_dictionaries_are_codes_of_the_same_texts(tmp_path: Path) -> None:
    path = write(table_of(50), tmp_path, "t", "parquet", 20)
    scan = scan_table(path)
    coded = pa.concat_tables(
        [t for part in scan.parts for t in scan.batches(part, ["kind", "x"], dictionaries=["kind"])]
    )
    assert pa.types.is_dictionary(coded.schema.field("kind").type)
    assert coded.cast(pa.schema([("kind", pa.string()), ("x", pa.float64())])).equals(
        read_table(path).select(["kind", "x"])
    )


def test_bounds_come_from_the_row_groups_and_hold_their_rows(tmp_path: Path) -> None:
    scan = scan_table(write(table_of(50), tmp_path, "t", "parquet", 20))
    for part in scan.parts:
        values = pa.concat_tables(scan.batches(part, ["n"])).column("n").to_pylist()
        bounds = scan.bounds(part, "n")
        assert bounds is not None
        assert bounds.to_pylist() == [min(values), max(values)]
        assert scan.bounds(part, "none") is None
    assert scan_table(table_of(5)).bounds(scan_table(table_of(5)).parts[0], "n") is None


def test_a_pandas_index_is_left_out_and_what_was_guessed_is_noted(tmp_path: Path) -> None:
    frame = pd.DataFrame({"a": [1.0, 2.0]}, index=[5, 9])
    frame.to_parquet(tmp_path / "a.parquet")
    scan = scan_table(tmp_path / "a.parquet")
    assert scan.names == ["a"]
    assert scan.notes == source_notes(read_table(tmp_path / "a.parquet"))
    (tmp_path / "b.csv").write_text("a;b\n1,5;2\n", encoding="utf-8")
    assert scan_table(tmp_path / "b.csv").notes == source_notes(read_table(tmp_path / "b.csv"))


@pytest.mark.parametrize("bad", ["missing", "empty", "cut", "text", "twice"])
def test_what_read_table_refuses_is_refused(tmp_path: Path, bad: str) -> None:
    path = tmp_path / "t.parquet"
    if bad != "missing":
        pq.write_table(table_of(50), path)
        content = path.read_bytes()
        path.write_bytes({"empty": b"", "cut": content[:-9], "text": b"a,b\n1,2\n"}.get(bad, content))
    if bad == "twice":
        pq.write_table(pa.table([pa.array([1]), pa.array([2])], names=["a", "a"]), path)
    with pytest.raises(UnreadableTableError) as expected:
        read_table(path)
    with pytest.raises(UnreadableTableError) as found:
        scan_table(path)
    assert str(found.value) == str(expected.value)


@pytest.mark.parametrize("kind", ["parquet", "compressed", "stream"])
def test_a_file_damaged_further_on_is_told_when_that_part_is_read(tmp_path: Path, kind: str) -> None:
    path = write(pa.table({"x": np.random.default_rng(0).integers(0, 900, 4000) / 8}), tmp_path, "t", kind, 1000)
    content = bytearray(path.read_bytes())
    if kind == "stream":
        content = content[: len(content) // 2]
    else:
        middle = len(content) // 2
        content[middle : middle + 4000] = b"\xff" * len(content[middle : middle + 4000])
    path.write_bytes(bytes(content))
    with pytest.raises(UnreadableTableError, match="corrupt"):
        rows_of(scan_table(path), ["x"])


def test_an_unknown_column_is_refused_with_the_nearest_name(tmp_path: Path) -> None:
    scan = scan_table(write(table_of(5), tmp_path, "t", "parquet", 5))
    with pytest.raises(MissingColumnError, match="'kind'"):
        list(scan.batches(scan.parts[0], ["kinds"]))


def test_what_is_kept_beside_the_files_of_a_bucket_is_no_part_of_the_table(bucket: Any, tmp_path: Path) -> None:
    table = table_of(9)
    pq.write_table(table, tmp_path / "t.parquet")
    files = ObjectFiles(tmp_path, bucket.url("kept"))

    def put(*keys: str) -> None:
        files.publish([(files.stage(tmp_path / "t.parquet"), key) for key in keys])

    put("tidy/a.parquet", "tidy/_temporary/0/a.parquet", "tidy/.cache/a.parquet", "tidy/_day=1/a.parquet")
    address, _, options = bucket.url("kept").partition("?")
    assert scan_table(f"{address}/tidy?{options}").rows == 2 * table.num_rows
    put("delta/a.parquet", "delta/_delta_log/1.checkpoint.parquet")
    with pytest.raises(UnreadableTableError, match="is a Delta table"):
        scan_table(f"{address}/delta?{options}")

"""Tables come in every form; what cannot be read says why and what to do."""

from __future__ import annotations

import csv
import gzip
import io
from pathlib import Path

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.feather as pa_feather
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pitstop.errors import MissingColumnError, UnreadableTableError
from pitstop.records.scans import scan_table
from pitstop.records.sources import iter_batches, read_table, source_notes

TABLE = pa.table({"name": ["a", "é", None], "n": [1, 2, 3]})


def csv_bytes(text: str = "name,n\na,1\né,2\n", encoding: str = "utf-8") -> bytes:
    return text.encode(encoding)


def written(folder: Path, data: bytes, name: str = "t.csv") -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


def unreadable(path: Path, *parts: str) -> None:
    with pytest.raises(UnreadableTableError) as caught:
        read_table(path)
    for part in (str(path), *parts):
        assert part in str(caught.value)


def test_every_kind_of_source_gives_the_same_table(tmp_path: Path) -> None:
    pq.write_table(TABLE, tmp_path / "t.parquet")
    pa_feather.write_feather(TABLE, str(tmp_path / "t.arrow"))
    with pa.ipc.new_stream(str(tmp_path / "s.arrow"), TABLE.schema) as stream:
        stream.write_table(TABLE)
    connection = duckdb.connect()
    sources = [
        tmp_path / "t.parquet",
        str(tmp_path / "t.arrow"),
        tmp_path / "s.arrow",
        pd.DataFrame({"name": ["a", "é", None], "n": [1, 2, 3]}),
        pl.from_arrow(TABLE),
        connection.from_arrow(TABLE),
        TABLE,
    ]
    for source in sources:
        assert read_table(source).to_pydict() == TABLE.to_pydict()
    connection.close()


def test_a_pandas_index_that_is_no_column_is_left_out(tmp_path: Path) -> None:
    pd.DataFrame({"n": [1, 2, 3]}).iloc[[2, 0, 1]].to_parquet(tmp_path / "t.parquet")
    assert "__index_level_0__" in pq.read_schema(tmp_path / "t.parquet").names
    table = read_table(tmp_path / "t.parquet")
    assert table.to_pydict() == {"n": [3, 1, 2]}
    assert "reset_index" in source_notes(table)[0]


@pytest.mark.parametrize(("encoding", "note"), [("utf-8-sig", ""), ("utf-16", "UTF-16"), ("latin-1", "Windows-1252")])
def test_csv_of_other_encodings_is_read_and_said(tmp_path: Path, encoding: str, note: str) -> None:
    table = read_table(written(tmp_path, csv_bytes(encoding=encoding)))
    assert table.to_pydict() == {"name": ["a", "é"], "n": [1, 2]}
    assert note in " ".join(source_notes(table))
    assert bool(source_notes(table)) == bool(note)


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_csv_delimiters_are_found(tmp_path: Path, delimiter: str) -> None:
    text = "name,n\n'a',1\nb,2\n".replace(",", delimiter)
    assert read_table(written(tmp_path, text.encode())).column_names == ["name", "n"]


def test_decimal_commas_go_with_semicolons(tmp_path: Path) -> None:
    table = read_table(written(tmp_path, b"a;b\n1,5;x\n2,25;y\n"))
    assert table["a"].to_pylist() == [1.5, 2.25]
    assert "decimal comma" in " ".join(source_notes(table))
    assert read_table(written(tmp_path, b"a;b\r1,5;x\r2,25;y\r"))["a"].to_pylist() == [1.5, 2.25]


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(st.text("ab,;\n\"' \té", min_size=1, max_size=8), st.integers(0, 9)), min_size=1, max_size=8
    ).filter(lambda rows: all(text.strip() for text, _ in rows))
)
def test_quoted_delimiters_and_newlines_survive(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, int]]
) -> None:
    buffer = io.StringIO()
    csv.writer(buffer, quoting=csv.QUOTE_ALL, lineterminator="\n").writerows([("name", "n"), *rows])
    path = written(tmp_path_factory.mktemp("csv"), buffer.getvalue().encode())
    assert read_table(path)["name"].to_pylist() == [text for text, _ in rows]


def test_compressed_csv_and_folders_are_read(tmp_path: Path) -> None:
    written(tmp_path, gzip.compress(csv_bytes()), "a.csv.gz")
    assert read_table(tmp_path / "a.csv.gz").num_rows == 2
    folder = tmp_path / "many"
    folder.mkdir()
    written(folder, csv_bytes(), "b.csv")
    pq.write_table(TABLE, folder / "a.parquet")
    assert read_table(folder)["n"].to_pylist() == [1, 2, 3, 1, 2]
    (tmp_path / "none").mkdir()
    unreadable(tmp_path / "none", "no table", ".parquet")


def test_what_tools_keep_beside_a_tables_files_is_no_part_of_it(tmp_path: Path) -> None:
    pq.write_table(TABLE, tmp_path / "t.parquet")
    for hidden in (".ipynb_checkpoints/t-checkpoint.parquet", "_temporary/0/t.parquet", "_SUCCESS.csv"):
        (tmp_path / hidden).parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(TABLE, tmp_path / hidden)
    (tmp_path / "_day=1").mkdir()
    pq.write_table(TABLE, tmp_path / "_day=1" / "t.parquet")
    assert read_table(tmp_path).num_rows == scan_table(tmp_path).rows == 2 * TABLE.num_rows
    (tmp_path / "_delta_log").mkdir()
    unreadable(tmp_path, "is a Delta table", "engine spark")


def test_missing_and_empty_files_and_unknown_formats(tmp_path: Path) -> None:
    written(tmp_path, csv_bytes(), "bookings.csv")
    unreadable(tmp_path / "booking.csv", "did you mean", "bookings.csv")
    unreadable(written(tmp_path, b"", "e.parquet"), "empty (0 bytes)")
    unreadable(written(tmp_path, b"  \n", "w.csv"), "white space")
    unreadable(written(tmp_path, b"abc", "t.xlsx"), "unknown format '.xlsx'", "Parquet")
    unreadable(written(tmp_path, b"a,b\n1\x00,2\n", "z.csv"), "zero bytes")
    unreadable(written(tmp_path, b"a,b\n1,2\n3\n", "ragged.csv"), "CSV", "try again")
    unreadable(written(tmp_path, b"a,a\n1,2\n", "twice.csv"), "two columns are called 'a'")


def test_truncated_and_corrupt_files_say_so(tmp_path: Path) -> None:
    table = pa.table({"n": list(range(10_000))})
    pq.write_table(table, tmp_path / "t.parquet")
    data = (tmp_path / "t.parquet").read_bytes()
    unreadable(written(tmp_path, data[: len(data) // 2], "cut.parquet"), "truncated", "copy it again")
    unreadable(written(tmp_path, b"hello world", "text.parquet"), "not a Parquet file")
    garbled = data[:8] + b"\xff" * 3000 + data[3008:]
    unreadable(written(tmp_path, garbled, "garbled.parquet"), "corrupt")
    pa_feather.write_feather(table, str(tmp_path / "t.arrow"), compression="uncompressed")
    arrow = (tmp_path / "t.arrow").read_bytes()
    unreadable(written(tmp_path, arrow[: len(arrow) // 2], "cut.arrow"), "corrupt Arrow file")


def test_things_that_are_no_tables_are_refused() -> None:
    with pytest.raises(UnreadableTableError, match=r"got int; expected a path"):
        read_table(3)


def test_columns_are_projected_and_named_when_missing(tmp_path: Path) -> None:
    pq.write_table(TABLE, tmp_path / "t.parquet")
    for source in (tmp_path / "t.parquet", TABLE):
        assert read_table(source, columns=["n"]).column_names == ["n"]
        with pytest.raises(MissingColumnError, match="did you mean 'name'"):
            read_table(source, columns=["nam"])


def test_batches_are_the_table_in_pieces(tmp_path: Path) -> None:
    table = pa.table({"n": list(range(100)), "m": list(range(100))})
    pq.write_table(table, tmp_path / "t.parquet")
    for source in (tmp_path / "t.parquet", table):
        batches = list(iter_batches(source, columns=["m"], rows=30))
        assert max(batch.num_rows for batch in batches) <= 30
        assert pa.Table.from_batches(batches).to_pydict() == {"m": list(range(100))}

"""Segments keep rows exactly; the cache is bounded and never wrong."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pitstop.errors import StoreError
from pitstop.store.home import Home
from pitstop.store.segments import SegmentCache, SegmentRecord, encode_segment, joined, segment_key


class Shelf:
    """Encoded segments by key, and how often each was loaded."""

    def __init__(self) -> None:
        self.content: dict[str, bytes] = {}
        self.loads = 0

    def load(self, key: str) -> bytes:
        self.loads += 1
        return self.content[key]

    def add(self, table: pa.Table, window: int = 0) -> SegmentRecord:
        import hashlib  # noqa: PLC0415 - only this stand-in needs it

        data = encode_segment(table)
        digest = hashlib.sha256(data).hexdigest()
        key = segment_key("m", "labels", window, digest)
        self.content[key] = data
        return SegmentRecord("id", "labels", "m", window, "b", "d", table.num_rows, len(data), digest, key)


@pytest.mark.parametrize("count", [1, 100, 2_500])
def test_rows_come_back_as_they_were(rows: Callable[..., Any], count: int) -> None:
    shelf, table = Shelf(), rows(count)
    read = SegmentCache(shelf.load, 1 << 20).read(shelf.add(table))
    assert read.schema.equals(table.schema)
    assert repr(read.to_pylist()) == repr(table.to_pylist())


def test_columns_are_read_alone_even_where_a_name_looks_like_a_path() -> None:
    shelf = Shelf()
    table = pa.table({"a": [1], "a.b": [2], "@at": [3], "": [4]})
    segment = shelf.add(table)
    cache = SegmentCache(shelf.load, 1 << 20)
    assert cache.read(segment, ["a"]).to_pydict() == {"a": [1]}
    assert cache.read(segment, ["a.b", "", "missing", "@at"]).to_pydict() == {"a.b": [2], "": [4], "@at": [3]}
    assert cache.read(segment).to_pydict() == table.to_pydict()


@settings(deadline=None, max_examples=25)
@given(st.lists(st.tuples(st.integers(0, 3), st.sets(st.sampled_from("abc"))), max_size=20), st.integers(0, 2_000))
def test_the_cache_stays_within_its_limit_and_tells_the_truth(reads: list[tuple[int, set[str]]], limit: int) -> None:
    shelf = Shelf()
    tables = [pa.table({name: [f"{name}{i}"] * 40 for name in "abc"}) for i in range(4)]
    segments = [shelf.add(table, window) for window, table in enumerate(tables)]
    cache = SegmentCache(shelf.load, limit)
    for number, names in reads:
        wanted = sorted(names)
        assert cache.read(segments[number], wanted).to_pydict() == tables[number].select(wanted).to_pydict()
        assert 0 <= cache.bytes <= limit


def test_the_cache_forgets_what_it_no_longer_holds() -> None:
    shelf = Shelf()
    cache = SegmentCache(shelf.load, 1_000)
    for window in range(50):
        cache.read(shelf.add(pa.table({"a": [f"{window}"] * 40, "b": [1.0] * 40}), window))
    assert len(cache._schemas) < 5


def test_what_was_read_is_not_decoded_again(rows: Callable[..., Any]) -> None:
    shelf = Shelf()
    segment = shelf.add(rows(50))
    cache = SegmentCache(shelf.load, 1 << 20)
    first = cache.read(segment)
    assert cache.read(segment).equals(first) or repr(cache.read(segment).to_pylist()) == repr(first.to_pylist())
    cache.read(segment, ["@id"])
    assert shelf.loads == 1


def test_joined_tables_share_one_dictionary_and_fill_missing_columns() -> None:
    one = pa.table({"c": pa.array(["x", "y"]).dictionary_encode()})
    two = pa.table({"c": pa.array(["y", None]).dictionary_encode(), "n": [1.0, 2.0]})
    table = joined([one, two])
    assert table.to_pydict() == {"c": ["x", "y", "y", None], "n": [None, None, 1.0, 2.0]}
    codes = table["c"].chunk(0).indices.to_pylist()
    assert table["c"].num_chunks == 1
    assert codes[1] == codes[2]
    assert joined([]).num_columns == 0


@pytest.mark.parametrize("model", ["hotel", "..", ".", "a/b", "ü" * 200, "CON", "a b", "%2E"])
def test_any_model_name_has_a_folder_of_its_own_inside(tmp_path: Path, rows: Callable[..., Any], model: str) -> None:
    with Home.open(tmp_path / "home") as home:
        with home.transaction() as tx:
            record = tx.add_segment("labels", model, -3, "b", rows(3))
        assert record is not None
        assert record.key.count("/") == 2
        assert (tmp_path / "home" / record.key).resolve().is_relative_to((tmp_path / "home" / "segments").resolve())
        assert home.read_segments("labels", model).num_rows == 3


def test_a_damaged_or_missing_file_is_named(tmp_path: Path, rows: Callable[..., Any]) -> None:
    with Home.open(tmp_path) as home:
        with home.transaction() as tx:
            record = tx.add_segment("labels", "m", 1, "b", rows(30))
        assert record is not None
        path = tmp_path / record.key
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
        with pytest.raises(StoreError, match="digest does not fit"):
            home.read_segments("labels", "m")
        path.unlink()
        with pytest.raises(StoreError, match="missing"):
            home.read_segments("labels", "m")
        assert [fault.kind for fault in home.verify(rows=True).faults] == ["content"]

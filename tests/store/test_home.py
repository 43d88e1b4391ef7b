"""What opening, reading and writing a home promises, one promise a test."""

from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pitstop.errors import StoreBusyError, StoreError
from pitstop.journal.checkpoints import open_checkpoint
from pitstop.store import catalog, migrations
from pitstop.store.catalog import SqliteCatalog
from pitstop.store.compaction import compact
from pitstop.store.home import Home
from pitstop.store.migrations import MIGRATIONS, TABLES, Migration
from pitstop.store.segments import SegmentRecord

import sqlalchemy as sa  # isort: skip


def put_one(home: Home, name: str = "a") -> None:
    with home.transaction() as tx:
        tx.put_artifact({"v": 1}, "alarm", name, 10, [], "m")


def add_one(home: Home, table: Any) -> None:
    with home.transaction() as tx:
        tx.add_segment("labels", "m", 1, "b", table)


def test_a_home_is_made_once_and_kept(home_folder: Path) -> None:
    with Home.open(home_folder) as home:
        put_one(home)
    with Home.open(home_folder, create=False) as home:
        assert [item.id for item in home.artifacts()] == ["a"]
        assert home.artifact("m", "a").content == {"v": 1}
        assert home.models() == ("m",)


def test_a_home_that_is_not_there_is_not_made_unasked(tmp_path: Path) -> None:
    for how in ({"create": False}, {"read_only": True}):
        with pytest.raises(StoreError, match="no Pitstop home in"):
            Home.open(tmp_path / "none", **how)
    assert not (tmp_path / "none").exists()


def test_what_is_not_a_home_is_refused_and_left_alone(tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    (folder / "cat.jpg").write_bytes(b"meow")
    with pytest.raises(StoreError, match=r"holds 'cat\.jpg'"):
        Home.open(folder)
    assert [item.name for item in folder.iterdir()] == ["cat.jpg"]
    with pytest.raises(StoreError, match="is a file"):
        Home.open(folder / "cat.jpg")


@pytest.mark.parametrize("content", [b"not a database" * 100, None])
def test_a_catalog_of_somebody_else_is_refused(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "catalog.sqlite"
    if content is None:
        with sqlite3.connect(path) as connection:
            connection.execute("CREATE TABLE songs (name TEXT)")
        connection.close()
    else:
        path.write_bytes(content)
    with pytest.raises(StoreError, match=r"not a database|not a Pitstop catalog"):
        Home.open(tmp_path)
    # The refusal freed the lock: the next try says the same, not that somebody is working here.
    with pytest.raises(StoreError, match=r"not a database|not a Pitstop catalog"):
        Home.open(tmp_path)


def test_a_home_of_a_newer_version_says_which(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    later = Migration("0099_later", lambda _: None, lambda connection, _: _later(connection))
    monkeypatch.setattr(migrations, "__version__", "9.9.9")
    SqliteCatalog(tmp_path / "catalog.sqlite", migrations=(*MIGRATIONS, later)).close()
    for how in ({}, {"read_only": True}):
        with pytest.raises(StoreError, match=r"Pitstop 9\.9\.9 \(step '0099_later'\)"):
            Home.open(tmp_path, **how)


def _later(connection: sa.Connection) -> None:
    connection.exec_driver_sql("CREATE TABLE later (x INTEGER)")


def test_an_earlier_catalog_is_brought_up_to_date_in_one_transaction(tmp_path: Path) -> None:
    path = tmp_path / "catalog.sqlite"
    SqliteCatalog(path).close()
    good = Migration("0002_good", lambda _: None, lambda connection, _: _later(connection))

    def fail(connection: sa.Connection, _: sa.MetaData) -> None:
        connection.exec_driver_sql("CREATE TABLE half (x INTEGER)")
        connection.exec_driver_sql("CREATE TABLE half (x INTEGER)")

    with pytest.raises(StoreError, match="already exists"):
        SqliteCatalog(path, migrations=(*MIGRATIONS, good, Migration("0003_bad", lambda _: None, fail)))
    assert _tables(path) == {*TABLES.tables, "migrations"}
    with pytest.raises(StoreError, match="earlier version"):
        SqliteCatalog(path, read_only=True, migrations=(*MIGRATIONS, good))
    SqliteCatalog(path, migrations=(*MIGRATIONS, good)).close()
    assert _tables(path) == {*TABLES.tables, "migrations", "later"}


def _tables(path: Path) -> set[str]:
    connection = sqlite3.connect(path)
    names = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    connection.close()
    return names


def test_the_catalog_is_what_the_migrations_declare(tmp_path: Path) -> None:
    SqliteCatalog(tmp_path / "catalog.sqlite").close()
    engine = sa.create_engine(f"sqlite:///{tmp_path / 'catalog.sqlite'}")
    found = sa.inspect(engine)
    for name, table in TABLES.tables.items():
        columns = {column["name"]: column["nullable"] for column in found.get_columns(name)}
        assert columns == {column.name: bool(column.nullable) for column in table.columns}
        assert set(found.get_pk_constraint(name)["constrained_columns"]) == set(table.primary_key.columns.keys())
    engine.dispose()


def test_a_second_writer_is_told_who_is_working(tmp_path: Path) -> None:
    with Home.open(tmp_path) as home:
        with pytest.raises(StoreBusyError, match=f"process {os.getpid()} is working"):
            Home.open(tmp_path)
        code = (
            "import sys; from pitstop.errors import StoreBusyError; from pitstop.store.home import Home\n"
            "try: Home.open(sys.argv[1])\nexcept StoreBusyError as error: print(error)"
        )
        done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True)
        assert f"process {os.getpid()} is working" in done.stdout
        put_one(home)


def test_a_reader_sees_what_is_committed_and_changes_nothing(home_folder: Path) -> None:
    with Home.open(home_folder) as home:
        put_one(home, "first")
        with Home.open(home_folder, read_only=True) as reader:
            with home.transaction() as tx:
                tx.put_artifact({}, "alarm", "second", 1, [], "m")
                assert [item.id for item in reader.artifacts()] == ["first"]
                assert [item.id for item in home.artifacts()] == ["first"]
            assert [item.id for item in reader.artifacts()] == ["first", "second"]
            with pytest.raises(StoreError, match="read-only"), reader.transaction():
                pass
            with pytest.raises(StoreError, match="read-only"):
                reader.checkpoint()
            assert not (home_folder / "keys").exists()
        assert len(home.checkpoints()) == 0


def test_one_transaction_at_a_time(home_folder: Path) -> None:
    with Home.open(home_folder) as home:
        with home.transaction() as tx:
            with pytest.raises(StoreError, match="open in this home already"), home.transaction():
                pass
            tx.put_artifact({}, "alarm", "a", 1, [], "m")
        with pytest.raises(StoreError, match="has ended"):
            tx.put_artifact({}, "alarm", "b", 1, [], "m")
        assert len(home.artifacts()) == 1


def test_an_error_of_the_caller_passes_as_it_is_and_nothing_is_kept(tmp_path: Path, rows: Callable[..., Any]) -> None:
    with Home.open(tmp_path) as home:
        missing = tmp_path / "nowhere" / "x"
        with pytest.raises(FileNotFoundError), home.transaction() as tx:  # noqa: PT012 - the block is what is tested
            tx.add_segment("labels", "m", 1, "b", rows(5))
            tx.put_file(b"model")
            missing.read_bytes()
        assert home.segments("labels", "m") == ()
        assert home.journal() == ()
        assert list(tmp_path.rglob("*.parquet")) == []
        assert list((tmp_path / "tmp").iterdir()) == []
        put_one(home)


def test_an_error_while_committing_leaves_nothing(
    tmp_path: Path, rows: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise KeyboardInterrupt

    with Home.open(tmp_path) as home:
        with monkeypatch.context() as patched:
            patched.setattr("pitstop.store.transaction.append", fail)
            with pytest.raises(KeyboardInterrupt):
                add_one(home, rows(5))
        assert home.segments("labels", "m") == ()
        put_one(home)
        # The next transaction swept the file that had its name already.
        assert list((tmp_path / "segments").rglob("*.parquet")) == []
        home.verify(rows=True).require()


def test_files_are_kept_once_and_checked(tmp_path: Path) -> None:
    model = tmp_path / "model.bin"
    model.write_bytes(os.urandom(3_000_000))
    with Home.open(tmp_path / "home") as home:
        with home.transaction() as tx:
            digest = tx.put_file(model)
            assert tx.put_file(model.read_bytes()) == digest
        with home.transaction() as tx:
            assert tx.put_file(model) == digest
        assert home.read_file(digest) == model.read_bytes()
        path = home.local_file(digest)
        assert path.read_bytes() == model.read_bytes()
        with pytest.raises(StoreError, match="missing"):
            home.read_file("0" * 64)
        path.write_bytes(b"other")
        for read in (home.read_file, home.local_file):
            with pytest.raises(StoreError, match="changed or damaged"):
                read(digest)


def test_a_transaction_syncs_each_file_and_each_folder_once(
    tmp_path: Path, rows: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A replay commits once a day: two segments cost two files, one folder, and SQLite's own sync."""
    real = os.fsync
    calls: list[int] = []

    def counted(descriptor: int) -> None:
        calls.append(descriptor)
        real(descriptor)

    with Home.open(tmp_path) as home:
        for window in range(3):
            calls.clear()
            monkeypatch.setattr(os, "fsync", counted)
            with home.transaction() as tx:
                tx.add_segment("labels", "m", window, "b", rows(5))
                tx.add_segment("predictions", "m", window, "b", rows(5))
            monkeypatch.undo()
    assert len(calls) == 3


def test_closing_signs_the_journal_with_a_key_of_mode_0600(tmp_path: Path) -> None:
    with Home.open(tmp_path) as home:
        put_one(home)
        assert home.verify().unprotected == 1
    key = tmp_path / "keys" / "journal.pem"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    with Home.open(tmp_path) as home:
        assert home.verify().unprotected == 0
        (note,) = home.checkpoints()
        assert home.checkpoint() == note
        put_one(home, "b")
        later = home.checkpoint()
        assert later is not None
        assert later != note
        connection = sqlite3.connect(tmp_path / "catalog.sqlite")
        verifier = connection.execute("SELECT verifier FROM checkpoints").fetchone()[0]
        connection.close()
        assert open_checkpoint(later, verifier).size == 2
        assert open_checkpoint(later, verifier).root == home.journal_head().root
    with Home.open(tmp_path) as home:
        assert len(home.checkpoints()) == 2
        assert home.verify().ok


def test_an_empty_home_has_nothing_to_sign(tmp_path: Path) -> None:
    with Home.open(tmp_path) as home:
        assert home.checkpoint() is None
        assert home.verify().ok
        assert home.load_state("m") is None
        assert home.read_segments("labels", "m").num_rows == 0
    assert not (tmp_path / "keys").exists()
    home.close()


def test_a_damaged_key_is_refused(tmp_path: Path) -> None:
    with Home.open(tmp_path) as home:
        put_one(home)
        home.checkpoint()
        put_one(home, "b")
        (tmp_path / "keys" / "journal.pem").write_text("rust")
        with pytest.raises(StoreError, match="is not a key"):
            home.checkpoint()
        (tmp_path / "keys" / "journal.pem").unlink()
    with Home.open(tmp_path) as home:
        # A new key signs on; what the old one signed still verifies with its own public half.
        assert home.verify().ok
        assert len(home.checkpoints()) == 2


def test_an_artifact_never_changes(home_folder: Path) -> None:
    with Home.open(home_folder) as home:
        for _ in range(2):
            with home.transaction() as tx:
                made = tx.put_artifact({"v": 0.3, "n": [1]}, "alarm", "a", 10, ["b"], "m")
        assert not made
        other: list[tuple[dict[str, Any], str, int, list[str]]] = [
            ({"v": 0.4, "n": [1]}, "alarm", 10, ["b"]),
            ({"v": 0.3, "n": [1]}, "release", 10, ["b"]),
            ({"v": 0.3, "n": [1]}, "alarm", 11, ["b"]),
            ({"v": 0.3, "n": [1]}, "alarm", 10, []),
        ]
        for content, kind, at, causes in other:
            with pytest.raises(StoreError, match="never changes"), home.transaction() as tx:
                tx.put_artifact(content, kind, "a", at, causes, "m")
        with home.transaction() as tx:
            # The last bits of a sum differ between machines; an id does not, and neither is it another artifact.
            assert not tx.put_artifact({"v": 0.1 + 0.2, "n": [1]}, "alarm", "a", 10, ["b"], "m")
            # Another model's artifact of the same id is its own.
            assert tx.put_artifact({"v": 9}, "alarm", "a", 10, ["b"], "other")
        assert len(home.journal()) == 2
        with pytest.raises(StoreError, match="no artifact 'zzz'"):
            home.artifact("m", "zzz")


def test_up_to_leaves_what_was_known_then(home_folder: Path) -> None:
    with Home.open(home_folder) as home:
        with home.transaction() as tx:
            for at in (30, 10, 20):
                tx.put_artifact({}, "alarm", f"a{at}", at, [], "m")
        assert [item.id for item in home.artifacts(up_to=20)] == ["a10"]
        assert [item.id for item in home.artifacts("alarm", "m")] == ["a30", "a10", "a20"]
        assert home.artifacts("release") == ()


def test_signals_keep_missing_numbers_and_the_whole_model(home_folder: Path) -> None:
    with Home.open(home_folder) as home:
        with home.transaction() as tx:
            tx.put_signals("m", 1, [("drift", "lead", 0.5, float("nan"), 1.0), ("auc", None, 0.7, 0.6, 0.8)])
        with home.transaction() as tx:
            tx.put_signals("m", 1, [("auc", None, 0.75, 0.6, 0.8)])
        (first, second) = home.signals("m", 0, 2)
        assert first == (1, ("auc", None, 0.75, 0.6, 0.8))
        assert second[1].column == "lead"
        assert second[1].low != second[1].low  # NaN
        assert [row.name for _, row in home.signals("m", names=["drift"])] == ["drift"]
        assert home.signals("m", 2) == ()


@pytest.mark.parametrize("text", ["'; DROP TABLE artifacts; --", "%", "\x00", "é\u2028", "a" * 5000])
def test_names_are_data(tmp_path: Path, text: str) -> None:
    with Home.open(tmp_path) as home:
        with home.transaction() as tx:
            tx.put_artifact({text: text}, text, text, 1, [text], text)
            tx.save_state(text, 1, {text: 1})
        (item,) = home.artifacts(text, text)
        assert (item.id, item.content, item.caused_by) == (text, {text: text}, (text,))
        loaded = home.load_state(text)
        assert loaded is not None
        assert loaded.values == {text: 1}
        home.verify().require()


def test_batches_of_the_same_rows_share_a_file_which_stays_until_the_last_is_gone(
    tmp_path: Path, rows: Callable[..., Any]
) -> None:
    with Home.open(tmp_path) as home:
        with home.transaction() as tx:
            for batch in ("one", "two", "three"):
                tx.add_segment("labels", "m", 1, batch, rows(5))
        one, two, three = home.segments("labels", "m")
        with home.transaction() as tx:
            tx.drop_segments([one])
            tx.rewrite_segment(two, rows(4))
            tx.drop_segments([])
    with Home.open(tmp_path) as home:
        assert home.read_segments("labels", "m").num_rows == 4 + 5
        with home.transaction() as tx:
            tx.drop_segments([three])
        assert not (tmp_path / three.key).exists()


def test_any_folder_can_be_a_home(tmp_path: Path) -> None:
    folder = tmp_path / "why? 100% #1"
    with Home.open(folder) as home:
        put_one(home)
    assert (folder / "catalog.sqlite").is_file()
    assert [item.name for item in tmp_path.iterdir()] == [folder.name]


def test_a_lost_key_of_subjects_is_missed_and_not_made_anew(tmp_path: Path) -> None:
    """Under another key nobody would be found, and what was erased would come back with the old one."""
    with Home.open(tmp_path) as home:
        with home.transaction() as tx:
            tx.put_sealed({"name": "Ada"}, "note", "n", 1, [], "m", "ada")
        key = (tmp_path / "keys" / "subjects.key").rename(tmp_path / "keys" / "elsewhere")
        for asked in (lambda: home.subject("ada"), lambda: home.unsealed("m", "n")):
            with pytest.raises(StoreError, match="restore it from a backup"):
                asked()
        with pytest.raises(StoreError, match="restore it from a backup"), home.transaction() as tx:
            tx.forget("ada")
        assert not (tmp_path / "keys" / "subjects.key").exists()
        key.rename(tmp_path / "keys" / "subjects.key")
        assert home.unsealed("m", "n") == {"name": "Ada"}


def test_what_was_erased_leaves_the_log_as_soon_as_no_reader_needs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catalog, "BUSY_MILLISECONDS", 100)
    with Home.open(tmp_path) as home:
        with home.transaction() as tx:
            tx.put_sealed({"name": "Ada"}, "note", "n", 1, [], "m", "ada")
        ((wrapped,),) = home.select(sa.text("SELECT wrapped FROM subjects"))  # type: ignore[arg-type]

        def holds() -> list[str]:
            return [path.name for path in tmp_path.iterdir() if path.is_file() and wrapped in path.read_bytes()]

        with Home.open(tmp_path, read_only=True) as reader:
            reading = reader.entries()
            next(reading)
            with home.transaction() as tx:
                tx.forget("ada")
            home.scrub()
            put_one(home, "a")
            assert holds(), "the reader's snapshot still has it"
            list(reading)
            put_one(home, "b")
            assert holds() == []


def test_a_check_of_rows_beside_a_writer_finds_no_fault(tmp_path: Path, rows: Callable[..., Any]) -> None:
    """Whoever stores puts small files together and deletes them: that is no damage."""
    with Home.open(tmp_path) as home:
        with home.transaction() as tx:
            for number in range(16):
                tx.add_segment("labels", "m", 1, f"b{number}", rows(3, seed=number))
        with Home.open(tmp_path, read_only=True) as reader:
            read = reader._cache.read

            def meanwhile(segment: SegmentRecord, columns: Any = None) -> Any:
                compact(home, "m", "labels", 1, 5)
                return read(segment, columns)

            reader._cache.read = meanwhile  # type: ignore[method-assign]
            reader.verify(rows=True).require()
            (tmp_path / home.segments("labels", "m")[0].key).unlink()
            assert "cannot be read" in str(reader.verify(rows=True).faults[0])


def test_orphans_of_a_crash_are_swept_and_nothing_else(tmp_path: Path, rows: Callable[..., Any]) -> None:
    with Home.open(tmp_path) as home, home.transaction() as tx:
        record = tx.add_segment("labels", "m", 1, "b", rows(5))
        digest = tx.put_file(b"model")
    assert record is not None
    orphans = [
        tmp_path / "tmp" / "1-0",
        (tmp_path / record.key).with_name("2-labels-x.parquet"),
        tmp_path / "artifacts/00/11",
    ]
    for orphan in orphans:
        orphan.parent.mkdir(exist_ok=True)
        orphan.write_bytes(b"half")
    with Home.open(tmp_path):
        pass
    assert orphans[1].exists()  # the last holder ended in order, so nobody looked
    (tmp_path / "home.lock").write_text("12345\n")
    with Home.open(tmp_path) as home:
        assert not any(orphan.exists() for orphan in orphans)
        assert home.read_file(digest) == b"model"
        assert home.read_segments("labels", "m").num_rows == 5


def test_what_the_system_refuses_is_named_with_a_way_out(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match=r"cannot make a home in .*Not a directory; check the disk"):
        Home.open(tmp_path / "file" / "home")
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "home.lock").mkdir()
    with pytest.raises(StoreError, match=r"cannot lock .*Is a directory"):
        Home.open(tmp_path / "home")


SWAP = """
    UPDATE journal SET sequence = -1 - sequence WHERE sequence < 2;
    UPDATE journal SET sequence = 2 + sequence WHERE sequence < 0
"""
TAMPERING = {
    "an edited entry": ("UPDATE journal SET digest = '{other}' WHERE sequence = 1", "edited", 1),
    "a deleted entry": ("DELETE FROM journal WHERE sequence = 1", "deleted", 1),
    "a cut-off end": ("DELETE FROM journal WHERE sequence >= 18", "truncated", 18),
    "an added entry": (
        "INSERT INTO journal SELECT 20, kind, at, model, 'x', caused_by, digest, leaf FROM journal WHERE sequence = 2",
        "inserted",
        20,
    ),
    "swapped entries": (
        SWAP,
        "edited",
        0,
    ),
    "changed content": ("""UPDATE artifacts SET content = '{{"v":2}}' WHERE id = 'b'""", "content", 1),
    "removed content": ("DELETE FROM artifacts WHERE id = 'b'", "content", 1),
    "an unrecorded artifact": (
        "INSERT INTO artifacts (model, id, kind, at, caused_by, content) VALUES ('m', 'x', 'alarm', 1, '[]', '{{}}')",
        "content",
        -1,
    ),
    "a rewritten head": ("UPDATE journal_head SET size = 16, peaks = substr(peaks, 1, 32)", "inserted", 16),
    "a changed hash of the tree": ("UPDATE journal_nodes SET hash = leaf FROM journal WHERE sequence = 1", "tree", 0),
    "a removed hash of the tree": ("DELETE FROM journal_nodes", "tree", 0),
    "a removed first checkpoint": ("DELETE FROM checkpoints WHERE size = 3", "deleted", 0),
    "a removed newest checkpoint": ("DELETE FROM checkpoints WHERE size = 20", "truncated", 0),
    "a forged checkpoint": (
        "UPDATE checkpoints SET note = replace(note, char(10) || '3' || char(10), char(10) || '2' || char(10))",
        "signature",
        0,
    ),
}


@pytest.mark.parametrize("what", list(TAMPERING))
def test_tampering_with_the_catalog_is_found_and_named(tmp_path: Path, what: str) -> None:
    with Home.open(tmp_path) as home:
        for name in "abc":
            put_one(home, name)
    with Home.open(tmp_path) as home:
        for name in "defghijklmnopqrst":
            put_one(home, name)
    statement, kind, place = TAMPERING[what]
    connection = sqlite3.connect(tmp_path / "catalog.sqlite")
    connection.executescript(statement.format(other="0" * 64))
    assert connection.total_changes > 0
    connection.close()
    with Home.open(tmp_path, read_only=True) as home:
        found = home.verify()
    assert (kind, place) in {(fault.kind, fault.first) for fault in found.faults}, found.faults

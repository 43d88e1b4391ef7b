"""A home on PostgreSQL and object storage keeps the promises of one in a folder, and says so when a server is away."""

from __future__ import annotations

import contextlib
import errno
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pitstop.errors import StoreBusyError, StoreError
from pitstop.store.copying import contents_of, copy_home, make_home
from pitstop.store.home import Home
from pitstop.store.location import Location, read_location, write_location
from pitstop.store.migrations import MIGRATIONS, TABLES, declared, migrate
from pitstop.store.objects import ObjectFiles
from pitstop.store.postgres import parsed


def fill(home: Home, rows: Callable[..., Any], *, first: int = 0, windows: int = 4) -> None:
    for window in range(first, first + windows):
        with home.transaction() as tx:
            tx.add_segment("predictions", "m", window, "b", rows(20, window))
            tx.add_segment("labels", "m", window, "b", rows(10, window + 100))
            tx.put_profile("m", "predicted", window, bytes([window]) * 50, f"p{window}")
            tx.put_artifact({"v": window, "text": "é\u2028"}, "alarm", f"a{window}", window, [f"a{window - 1}"], "m")
            tx.put_signals("m", window, [("psi", "lead", 0.5, float("nan"), 1.0), ("auc", None, 0.7, 0.6, 0.8)])
            tx.put_file(f"model {window // 2}".encode())
            tx.save_state("m", window, {"window": window})
            tx.put_sealed({"name": "Ada"}, "note", f"n{window}", window, [], "m", "ada@example.org")


def said_by(home: Home) -> dict[str, Any]:
    """Return everything that a home says of what `fill` put into it."""
    return {
        "segments": [(item.window, item.batch_id, item.digest) for item in home.segments("labels", "m")],
        "rows": home.read_segments("predictions", "m").to_pydict(),
        "profiles": home.profiles("m", "predicted"),
        "artifacts": [(item.id, item.content, item.caused_by) for item in home.artifacts() if item.kind != "note"],
        "sealed": home.unsealed("m", "n0"),
        "signals": repr(home.signals("m")),
        "state": home.load_state("m"),
        "journal": home.journal()[:1],
        "models": home.models(),
    }


def test_every_place_says_the_same(home_folder: Path, tmp_path: Path, rows: Callable[..., Any]) -> None:
    with Home.open(tmp_path / "usual") as home:
        fill(home, rows)
        expected = said_by(home)
    with Home.open(home_folder) as home:
        fill(home, rows)
        assert repr(said_by(home)) == repr(expected)
    with Home.open(home_folder) as home:
        assert repr(said_by(home)) == repr(expected)
        home.verify(rows=True).require()
        assert home.verify().unprotected == 0


def test_a_copy_is_the_home_wherever_it_goes_and_goes_on_from_there(
    home_folder: Path, tmp_path: Path, rows: Callable[..., Any]
) -> None:
    """There (a move) and back (a restore): the same root, the same content, and both can be written on."""
    with Home.open(tmp_path / "usual") as home:
        fill(home, rows)
        expected = said_by(home)
        with home.transaction() as tx:
            tx.put_artifact({}, "alarm", "open", 1, [], "m")
            made = copy_home(tmp_path / "usual", home_folder, read_location(home_folder))
        assert made.entries == len(home.journal()) - 1
    copy_home(home_folder, tmp_path / "back")
    for folder in (home_folder, tmp_path / "back"):
        with Home.open(folder) as home:
            assert repr(said_by(home)) == repr(expected)
            fill(home, rows, first=4, windows=1)
            home.verify(rows=True).require()
            assert len(home.segments("labels", "m")) == 5
    with pytest.raises(StoreError, match="home with things in it"):
        copy_home(tmp_path / "usual", home_folder, read_location(home_folder))
    assert contents_of(home_folder).rows == contents_of(tmp_path / "back").rows == 150


def test_a_copy_of_damaged_rows_is_refused_and_can_be_tried_again(tmp_path: Path, rows: Callable[..., Any]) -> None:
    with Home.open(tmp_path / "home") as home:
        fill(home, rows, windows=1)
        (record,) = home.segments("labels", "m")
    path = tmp_path / "home" / record.key
    content = path.read_bytes()
    path.write_bytes(content[:-1] + b"x")
    with pytest.raises(StoreError, match="changed or damaged"):
        copy_home(tmp_path / "home", tmp_path / "copy")
    path.write_bytes(content)
    assert copy_home(tmp_path / "home", tmp_path / "copy").files == 3


def test_a_copy_has_its_keys_before_its_rows_and_can_be_tried_again(
    tmp_path: Path, rows: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    with Home.open(tmp_path / "home") as home:
        fill(home, rows, windows=1)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(shutil, "copy2", full)
        with pytest.raises(StoreError, match="the disk or its quota is full"):
            copy_home(tmp_path / "home", tmp_path / "copy")
    assert copy_home(tmp_path / "home", tmp_path / "copy").files == 3
    with Home.open(tmp_path / "copy") as copy:
        assert copy.unsealed("m", "n0") == {"name": "Ada"}


def test_a_copy_while_files_are_put_together_is_made_from_the_newer_state(
    tmp_path: Path, rows: Callable[..., Any]
) -> None:
    with Home.open(tmp_path / "home") as home:
        fill(home, rows, windows=40)

        def meanwhile(_: str, done: int, total: int) -> None:
            gone = home.segments("labels", "m")
            if done < total and gone:
                with home.transaction() as tx:
                    tx.drop_segments(gone)
                    members = [{"id": item.id, "before": item.digest, "after": ""} for item in gone]
                    tx.put_artifact({"segments": members}, "retention", "later", 99, [], "m")

        copy_home(tmp_path / "home", tmp_path / "copy", progress=meanwhile)
    with Home.open(tmp_path / "copy") as copy:
        copy.verify(rows=True).require()
        assert not copy.segments("labels", "m")
        assert len(copy.segments("predictions", "m")) == 40
        assert copy.artifacts("retention", "m")[-1].id == "later"


def test_a_copy_from_a_bucket_is_fetched_once_and_is_what_the_catalog_names(tmp_path: Path, bucket: Any) -> None:
    files = ObjectFiles(tmp_path, bucket.url("fetched_once"))
    staged = files.stage(b"content")
    files.publish([(staged, "joins/a.hashes")])
    path = files.local("joins/a.hashes", staged.digest)
    made = path.stat().st_mtime_ns
    for again in (files, ObjectFiles(tmp_path, bucket.url("fetched_once"))):
        assert again.local("joins/a.hashes", staged.digest).stat().st_mtime_ns == made
    path.write_bytes(b"changed")
    fresh = ObjectFiles(tmp_path, bucket.url("fetched_once"))
    assert fresh.local("joins/a.hashes", staged.digest).read_bytes() == b"content"
    files.publish([(files.stage(b"damaged"), "joins/a.hashes")])
    path.unlink()
    with pytest.raises(StoreError, match=r"joins/a.hashes in .* was changed or damaged"):
        fresh.local("joins/a.hashes", staged.digest)


@pytest.mark.slow
def test_a_copy_that_is_killed_can_be_made_again(
    tmp_path: Path, rows: Callable[..., Any], postgres: Any, bucket: Any
) -> None:
    place = Location(postgres.url("killed_copy"), bucket.url("killed_copy"))
    with Home.open(tmp_path / "home") as home:
        fill(home, rows, windows=12)
        expected = said_by(home)
    code = (
        "import sys; from pathlib import Path; from pitstop.store.copying import copy_home\n"
        "from pitstop.store.location import Location\n"
        "copy_home(Path(sys.argv[1]), Path(sys.argv[2]), Location(*sys.argv[3:]))"
    )
    argv = [sys.executable, "-c", code, str(tmp_path / "home"), str(tmp_path / "copy"), place.catalog, place.files]
    for wait in (0.9, 1.2, 1.5):
        process = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(wait)
        process.kill()
        process.wait()
    # It ended before it was killed, or leaves nothing that keeps it from being made now.
    with contextlib.suppress(StoreError):
        copy_home(tmp_path / "home", tmp_path / "copy", place)
    with Home.open(tmp_path / "copy") as home:
        assert repr(said_by(home)) == repr(expected)
        home.verify(rows=True).require()


@pytest.mark.parametrize("how", ["fast", "immediate"])
def test_a_database_that_restarts_costs_one_transaction_and_no_more(
    tmp_path: Path, rows: Callable[..., Any], postgres: Any, how: str
) -> None:
    folder = tmp_path / "home"
    make_home(folder, Location(postgres.url(f"restart_{how}")))
    with Home.open(folder) as home:
        fill(home, rows, windows=2)
        with pytest.raises(StoreError, match="database"), home.transaction() as tx:  # noqa: PT012 - the block is tested
            tx.put_artifact({}, "alarm", "lost", 1, [], "m")
            postgres.stop(how)
        with pytest.raises(StoreError, match="cannot be reached or went away"):
            home.artifacts()
        postgres.start()
        assert "lost" not in {item.id for item in home.artifacts()}
        fill(home, rows, first=2, windows=2)
        with pytest.raises(StoreBusyError):
            _other_writer(tmp_path, postgres.url(f"restart_{how}"))
    with Home.open(folder) as home:
        assert len(home.segments("labels", "m")) == 4
        home.verify(rows=True).require()


def _other_writer(tmp_path: Path, url: str) -> None:
    """Open the same schema as from another machine: with a folder, and so a lock file, of its own."""
    write_location(tmp_path / "elsewhere", Location(url))
    Home.open(tmp_path / "elsewhere").close()


def test_one_writer_on_all_machines_and_any_number_of_readers(tmp_path: Path, postgres: Any) -> None:
    url = postgres.url("one_writer")
    make_home(tmp_path / "home", Location(url))
    with Home.open(tmp_path / "home") as home:
        with pytest.raises(StoreBusyError, match=f"process {os.getpid()} is working in postgresql://"):
            _other_writer(tmp_path, url)
        with Home.open(tmp_path / "elsewhere", read_only=True) as reader:
            with home.transaction() as tx:
                tx.put_artifact({}, "alarm", "a", 1, [], "m")
            assert [item.id for item in reader.artifacts()] == ["a"]
            with pytest.raises(StoreError, match="read-only"), reader.transaction():
                pass
    _other_writer(tmp_path, url)


def test_a_store_that_is_away_keeps_nothing_and_work_goes_on_when_it_is_back(
    tmp_path: Path, rows: Callable[..., Any], postgres: Any, bucket: Any
) -> None:
    folder = tmp_path / "home"
    make_home(folder, Location(postgres.url("away"), bucket.url("away")))
    with Home.open(folder) as home:
        fill(home, rows, windows=1)
        bucket.kill()
        with pytest.raises(StoreError, match="check that the store answers"):
            fill(home, rows, first=1, windows=1)
        assert len(home.segments("labels", "m")) == 1
        bucket.start()
        fill(home, rows, first=1, windows=1)
        home.verify(rows=True).require()
        assert list((folder / "tmp").iterdir()) == []


WRITER = """
import sys
from pathlib import Path
import pyarrow as pa
from pitstop.store.home import Home
with Home.open(Path(sys.argv[1])) as home:
    for number in range(int(sys.argv[2]), 10_000):
        with home.transaction() as tx:
            tx.add_segment("labels", "m", number % 7, f"b{number}", pa.table({"v": [number, number + 1]}))
            tx.put_artifact({"v": number}, "alarm", f"a{number}", number, [], "m")
        print(number, flush=True)
"""


@pytest.mark.slow
def test_what_was_acknowledged_survives_kills_of_the_writer_and_of_the_database(
    tmp_path: Path, postgres: Any, bucket: Any
) -> None:
    """Killed with -9 at random moments, one or the other: all that was said is there, nothing twice or left over."""
    folder, chance = tmp_path / "home", random.Random(5)
    make_home(folder, Location(postgres.url("kills"), bucket.url("kills")))
    said = -1
    for turn in range(6):
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(folder), str(said + 1)],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert writer.stdout is not None
        for _ in range(chance.randint(1, 6)):
            said = max(said, int(writer.stdout.readline()))
        time.sleep(chance.random() * 0.05)
        if turn % 2:
            postgres.kill()
            writer.wait(30)
            postgres.start()
        else:
            writer.send_signal(signal.SIGKILL)
        rest, _ = writer.communicate()
        said = max([said, *map(int, rest.split())])
        with Home.open(folder) as home:
            numbers = sorted(int(item.batch_id[1:]) for item in home.segments("labels", "m"))
            assert numbers == list(range(len(numbers)))
            assert said <= numbers[-1] <= said + 1
            assert [int(item.id[1:]) for item in home.artifacts("alarm")] == numbers
            home.verify(rows=True).require()
            said = numbers[-1]
    assert said >= 6


@pytest.mark.parametrize("steps", range(1, len(MIGRATIONS)))
def test_a_catalog_of_every_earlier_schema_is_brought_up_to_date(tmp_path: Path, postgres: Any, steps: int) -> None:
    url = postgres.url(f"earlier_{steps}")
    place, schema = parsed(url)
    engine = sa.create_engine(place, connect_args={"options": f"-c search_path={schema}"})
    with engine.begin() as connection:
        connection.execute(sa.schema.CreateSchema(schema))
        migrate(connection, MIGRATIONS[:steps])
    write_location(tmp_path / "home", Location(url))
    with pytest.raises(StoreError, match="of an earlier version; open it once for writing"):
        Home.open(tmp_path / "home", read_only=True)
    with Home.open(tmp_path / "home") as home, home.transaction() as tx:
        tx.put_artifact({}, "alarm", "a", 1, [], "m")
    with engine.connect() as connection:
        found = sa.inspect(connection)
        for name, table in declared().tables.items():
            assert {item["name"] for item in found.get_columns(name, schema)} == set(table.columns.keys())
    engine.dispose()


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    names=st.lists(
        st.text(st.characters(exclude_characters="\0", codec="utf-8"), min_size=1, max_size=9), max_size=5, unique=True
    )
)
def test_any_name_is_kept_and_sorted_by_its_bytes(names: list[str], any_home: Home) -> None:
    owner = repr(names)
    with any_home.transaction() as tx:
        for name in names:
            tx.put_artifact({name: name}, "alarm", name, 1, [name], owner)
        tx.put_signals(owner, 1, [(name, None, 1.0, 1.0, 1.0) for name in names])
    assert [item.id for item in any_home.artifacts(model=owner)] == names
    assert [row.name for _, row in any_home.signals(owner)] == sorted(names, key=str.encode)


@pytest.fixture
def any_home(home_folder: Path) -> Any:
    with Home.open(home_folder) as home:
        yield home


def test_a_place_that_cannot_be_used_is_refused_with_the_way_out(tmp_path: Path, postgres: Any) -> None:
    cases = {
        Location("mysql://host/db"): "expected postgresql://",
        Location("postgresql://u:secret@host/db"): "PGPASSWORD",
        Location("postgresql://u@host/db?password=secret"): "PGPASSWORD",
        Location("postgresql://u:secret@host:port/db"): "no URL of a database",
        Location(postgres.url("no-such")): "expected small letters",
        Location("postgresql://u@127.0.0.1:1/db"): "cannot be reached",
        Location(postgres.url("x").replace("/postgres?", "/nowhere?")): "does not exist",
        Location(files="s3://key:secret@bucket/prefix"): "credentials in it",
        Location(files="ftp://host/x"): "expected a URL such as s3://",
        Location(files="s3://[host"): "expected one such as s3://",
    }
    for number, (place, words) in enumerate(cases.items()):
        with pytest.raises(StoreError, match=words) as caught:
            make_home(tmp_path / f"home{number}", place)
        assert "secret" not in str(caught.value)
        assert read_location(tmp_path / f"home{number}") == Location()
    (tmp_path / "file").write_text("x")
    with pytest.raises(StoreError, match="is a file; choose a new folder"):
        make_home(tmp_path / "file", Location())
    engine = sa.create_engine(parsed(postgres.url("songs"))[0])
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE SCHEMA songs")
        connection.exec_driver_sql("CREATE TABLE songs.songs (name TEXT)")
    engine.dispose()
    with pytest.raises(StoreError, match="holds 'songs', no Pitstop catalog"):
        make_home(tmp_path / "songs", Location(postgres.url("songs")))
    (tmp_path / "odd").mkdir()
    for content, words in ((b"catalogue = 'x'", "takes catalog and files"), (b"catalog = '\xff'", "is not TOML")):
        (tmp_path / "odd" / "home.toml").write_bytes(content)
        with pytest.raises(StoreError, match=words):
            Home.open(tmp_path / "odd")


def test_the_tables_of_both_databases_are_the_same(postgres: Any, tmp_path: Path) -> None:
    make_home(tmp_path / "home", Location(postgres.url("tables")))
    engine = sa.create_engine(parsed(postgres.url("tables"))[0])
    found = sa.inspect(engine)
    for name, table in TABLES.tables.items():
        columns = {column["name"]: column["nullable"] for column in found.get_columns(name, "tables")}
        assert columns == {column.name: bool(column.nullable) for column in table.columns}
    engine.dispose()


def test_a_place_where_a_home_has_its_files_is_nobody_elses(
    tmp_path: Path, rows: Callable[..., Any], bucket: Any
) -> None:
    """Each home deletes what its own catalog does not name: with two of them in one place the rows of one would go."""
    place = Location(files=bucket.url("taken"))
    make_home(tmp_path / "one", place)
    with Home.open(tmp_path / "one") as home:
        fill(home, rows)
    with pytest.raises(StoreError, match="holds the files of a home already"):
        make_home(tmp_path / "two", place)
    parts = place.files.partition("?")
    again = Location(files="".join((parts[0] + "/", *parts[1:])))
    with pytest.raises(StoreError, match="keeps its own files"):
        copy_home(tmp_path / "one", tmp_path / "two", again)
    assert not (tmp_path / "two").exists()
    with Home.open(tmp_path / "one") as home:
        home.verify(rows=True).require()

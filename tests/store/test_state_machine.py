"""The store against an in-memory one: whatever is done in whatever order, both say the same."""

from __future__ import annotations

import contextlib
import hashlib
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from pitstop.errors import StoreError
from pitstop.store.home import Home
from pitstop.store.location import Location, open_files, read_location, write_location
from pitstop.store.segments import SegmentKind
from pitstop.store.transaction import Transaction

KINDS: tuple[SegmentKind, ...] = ("predictions", "labels")
MODELS = ("hotel", "elec")
# Memory is enough to compare two stores with; durability has its own tests.
SHELF = Path("/dev/shm")  # noqa: S108 - only a place for a fresh folder of its own

models = st.sampled_from(MODELS)
windows = st.integers(-1, 2)
segment = st.tuples(
    st.just("segment"), st.sampled_from(KINDS), models, windows, st.sampled_from("xyz"), st.integers(0, 9)
)
profile = st.tuples(st.just("profile"), models, windows, st.binary(max_size=4))
artifact = st.tuples(
    st.just("artifact"), models, st.sampled_from(("alarm", "release")), st.integers(0, 3), st.integers(0, 1)
)
signal = st.tuples(st.just("signal"), models, windows, st.sampled_from("st"), st.sampled_from((None, "c")), st.floats())
kept = st.tuples(st.just("file"), st.binary(max_size=2))
state = st.tuples(st.just("state"), models, st.integers(0, 5))
operations = st.lists(st.one_of(segment, profile, artifact, signal, kept, state), max_size=6)


class Model:
    """What a store should say, in dictionaries."""

    def __init__(self) -> None:
        self.segments: dict[tuple[str, str, int, str], int] = {}
        self.profiles: dict[tuple[str, int], bytes] = {}
        self.artifacts: dict[tuple[str, str], tuple[str, int, int]] = {}
        self.signals: dict[tuple[str, int, str, str], float] = {}
        self.files: dict[str, bytes] = {}
        self.states: dict[str, int] = {}
        self.journal: list[tuple[str, str]] = []

    def copy(self) -> Model:
        other = Model()
        for name, value in vars(self).items():
            setattr(other, name, value.copy())
        return other


def rows_of(value: int) -> pa.Table:
    return pa.table({"v": [value, value + 1], "c": pa.array([f"c{value}", None]).dictionary_encode()})


def apply(tx: Transaction, model: Model, operation: Any) -> None:
    """Do one thing to both; raises `StoreError` where both must refuse."""
    match operation:
        case ("segment", kind, name, window, batch, value):
            record = tx.add_segment(kind, name, window, batch, rows_of(value))
            assert (record is None) == ((name, kind, window, batch) in model.segments)
            if record is not None:
                model.segments[name, kind, window, batch] = value
                model.journal.append((name, record.id))
        case ("profile", name, window, blob):
            tx.put_profile(name, "rows", window, blob, "p")
            model.profiles[name, window] = blob
        case ("artifact", name, kind, number, value):
            conflict = model.artifacts.get((name, f"a{number}"), (kind, number, value)) != (kind, number, value)
            if conflict:
                with pytest.raises(StoreError, match="an artifact never changes"):
                    tx.put_artifact({"v": value}, kind, f"a{number}", number, ["cause"], name)
                raise StoreError
            fresh = tx.put_artifact({"v": value}, kind, f"a{number}", number, ["cause"], name)
            assert fresh == ((name, f"a{number}") not in model.artifacts)
            if fresh:
                model.artifacts[name, f"a{number}"] = (kind, number, value)
                model.journal.append((name, f"a{number}"))
        case ("signal", name, window, signal_name, column, value):
            tx.put_signals(name, window, [(signal_name, column, value, value, value)])
            model.signals[name, window, signal_name, column or ""] = value
        case ("file", content):
            digest = tx.put_file(content)
            assert digest == hashlib.sha256(content).hexdigest()
            model.files[digest] = content
        case ("state", name, as_of):
            tx.save_state(name, as_of, {"a": np.arange(as_of), "j": {"at": as_of}})
            model.states[name] = as_of


class StoreMachine(RuleBasedStateMachine):
    """Transactions that commit, fail or conflict, between openings."""

    place: Callable[[], Location] = staticmethod(Location)

    @initialize()
    def start(self) -> None:
        self.folder = Path(tempfile.mkdtemp(dir=SHELF if SHELF.is_dir() else None))
        write_location(self.folder / "home", self.place())
        self.home = Home.open(self.folder / "home")
        self.model = Model()

    @rule(todo=operations, fails=st.booleans())
    def transact(self, todo: list[Any], fails: bool) -> None:
        after = self.model.copy()
        with contextlib.suppress(StoreError, ZeroDivisionError):
            with self.home.transaction() as tx:
                for operation in todo:
                    apply(tx, after, operation)
                if fails:
                    raise ZeroDivisionError
            self.model = after

    @rule()
    def reopen(self) -> None:
        self.home.close()
        self.home = Home.open(self.folder / "home", create=False)

    @invariant()
    def reads_agree(self) -> None:
        home, model = self.home, self.model
        for name in MODELS:
            for kind in KINDS:
                # Python sorts stably and keeps insertion order: by window, then as added.
                mine = sorted((key for key in model.segments if key[:2] == (name, kind)), key=lambda key: key[2])
                assert [(item.window, item.batch_id) for item in home.segments(kind, name)] == [key[2:] for key in mine]
                values = [value for key in mine for value in rows_of(model.segments[key])["v"].to_pylist()]
                read = home.read_segments(kind, name, columns=["v", "c"])
                assert (read["v"].to_pylist() if mine else []) == values
                inside = [key for key in mine if 0 <= key[2] < 2]
                assert len(home.segments(kind, name, 0, 2)) == len(inside)
            expected = sorted((window, blob) for (owner, window), blob in model.profiles.items() if owner == name)
            assert [(item.window, item.blob) for item in home.profiles(name, "rows")] == expected
            signals = sorted(
                (window, label, column, value)
                for (owner, window, label, column), value in model.signals.items()
                if owner == name
            )
            found = [(window, row.name, row.column or "", row.value) for window, row in home.signals(name)]
            assert repr(sorted(found)) == repr(signals) or [row[:3] for row in found] == [row[:3] for row in signals]
            for row, wanted in zip(found, signals, strict=True):
                assert row[3] == wanted[3] or (np.isnan(row[3]) and np.isnan(wanted[3]))
            loaded = home.load_state(name)
            assert (loaded.as_of if loaded else None) == model.states.get(name)
            if loaded:
                assert loaded.values["j"] == {"at": loaded.as_of}
                assert loaded.values["a"].tolist() == list(range(loaded.as_of))
        got = {(item.model, item.id): (item.kind, item.at, item.content["v"]) for item in home.artifacts()}
        assert list(got.items()) == list(model.artifacts.items())
        for name in MODELS:
            known = [key for key, value in model.artifacts.items() if key[0] == name and value[1] < 2]
            assert [(name, item.id) for item in home.artifacts(model=name, up_to=2)] == known
        for digest, content in model.files.items():
            assert home.read_file(digest) == content

    @invariant()
    def journal_agrees(self) -> None:
        assert [(entry.model, entry.id) for entry in self.home.journal()] == self.model.journal
        self.home.verify(rows=True).require()

    @invariant()
    def nothing_is_left_over(self) -> None:
        root = self.folder / "home"
        files = open_files(root, read_location(root))
        found = {key for top in ("segments", "artifacts") for key in files.keys(top)}
        named = {item.key for kind in KINDS for name in MODELS for item in self.home.segments(kind, name)}
        named |= {f"artifacts/{digest[:2]}/{digest[2:]}" for digest in self.model.files}
        assert found == named
        assert not (root / "tmp").exists() or not any((root / "tmp").iterdir())

    def teardown(self) -> None:
        if hasattr(self, "home"):
            self.home.close()
            shutil.rmtree(self.folder)


StoreMachine.TestCase.settings = settings(max_examples=8, stateful_step_count=10, deadline=None)
TestStoreMachine = StoreMachine.TestCase


@pytest.mark.slow
def test_the_store_and_the_model_agree_over_long_runs() -> None:
    machine = type("LongStoreMachine", (StoreMachine,), {})
    machine.TestCase.settings = settings(max_examples=25, stateful_step_count=30, deadline=None)  # type: ignore[attr-defined] # made by hypothesis
    machine.TestCase("runTest").runTest()  # type: ignore[attr-defined] # as above


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["PostgreSQL", "PostgreSQL and S3"])
def test_the_store_elsewhere_and_the_model_agree(kind: str, new_place: Callable[[str], Location]) -> None:
    machine = type("ElsewhereMachine", (StoreMachine,), {"place": staticmethod(lambda: new_place(kind))})
    machine.TestCase.settings = settings(max_examples=6, stateful_step_count=10, deadline=None)  # type: ignore[attr-defined] # made by hypothesis
    machine.TestCase("runTest").runTest()  # type: ignore[attr-defined] # as above

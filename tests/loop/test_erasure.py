"""Erasing a person: their rows leave the home and the next training set, the books and the journal go on to agree."""

from __future__ import annotations

import shutil
from contextlib import ExitStack
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pitstop.errors import ErasedError
from pitstop.loop.accounts import accounts_of
from pitstop.loop.erasure import erase, hold, lift
from pitstop.loop.loop import Loop
from pitstop.profile import Layout, Profile, profile_rows
from pitstop.records.spec import parse_spec
from pitstop.replays.replay import run
from pitstop.replays.walk import open_loop
from pitstop.store.home import Home

SPEC = parse_spec("""
[model]
name = "loans"
task = "binary"

[columns]
time = "at"
features = ["income", "region"]
categorical = ["region"]
id = "loan"
subject = "person"
label = "repaid"
label_time = "settled"
score = "score"

[time]
window = "day"
period = "week"

[value]
currency = "EUR"
true_positive = 20.0
false_positive = -5.0

[trainer]
name = "none"

[replay]
start = "2026-01-26"
""")
DAY = 86_400_000_000
FIRST = 1_767_571_200_000_000
PERSONS = 12
END = "2026-02-13"


def rows() -> pa.Table:
    """Return 56 days of 4 rows about 12 persons, labelled after 5 to 14 days."""
    places = range(56 * 4)
    at = [FIRST + place // 4 * DAY + place % 4 * 3_600_000_000 for place in places]
    return pa.table(
        {
            "loan": [f"loan-{place}" for place in places],
            "person": [f"person-{place * 5 % PERSONS}" for place in places],
            "at": pa.array(at, pa.timestamp("us")),
            "income": [float(20 + place * 13 % 40) for place in places],
            "region": [("north", "south", "west")[place * 7 % 3] for place in places],
            "score": [(place * 37 % 101) / 101 for place in places],
            "repaid": [str(place * 53 % 2) for place in places],
            "settled": pa.array(
                [moment + (5 + place % 10) * DAY for place, moment in enumerate(at)], pa.timestamp("us")
            ),
        }
    )


@pytest.fixture(scope="module")
def walked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a home that is made once; each test gets a copy."""
    folder = tmp_path_factory.mktemp("walked") / "home"
    run(folder, spec=SPEC, source=rows(), as_of=END)
    return folder


@pytest.fixture
def home(walked: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(walked, tmp_path / "home"))


def opened(home: Home, stack: ExitStack) -> Loop:
    return open_loop(stack, home, SPEC, Path(), first=0, start=SPEC.calendar.parse_instant("2026-01-26"))


def test_the_rows_are_gone_and_everything_goes_on(home: Path) -> None:
    with Home.open(home) as kept:
        before = accounts_of(kept, "loans")
        found = erase(kept, "person-5", "a request of 13 February", 1)
        assert (found.done, found.models) == (True, ("loans",))
        assert 0 < found.labels < found.rows
        left = kept.read_segments("predictions", "loans")
        assert "person-5" not in left["@subject"].to_pylist()
        gone = set(rows().filter(pc.equal(rows()["person"], "person-5"))["loan"].to_pylist())
        assert not gone & set(left["@id"].to_pylist())
        assert not gone & set(kept.read_segments("labels", "loans")["@id"].to_pylist())
        check = kept.verify(rows=True)
        assert check.ok, check.faults
        assert check.erased > 0
        after = accounts_of(kept, "loans")
        assert sum(after.accounts.values()) == 0
        assert after.accounts["realised"] == before.accounts["realised"]
        assert sum(item.waiting for item in after.periods) == sum(item.waiting for item in before.periods) - (
            found.rows - found.labels
        )
        assert not erase(kept, "person-5", "again", 2).done
    # The source still has the rows; they do not come back, and the loop goes on.
    tick = run(home, spec=SPEC, source=rows(), as_of="2026-03-02")
    assert tick.windows == 17
    with Home.open(home) as kept:
        assert kept.verify(rows=True).ok
        waiting = accounts_of(kept, "loans").accounts["estimated"]
        assert waiting != Decimal(0)
        early = kept.read_segments(
            "predictions", "loans", None, SPEC.calendar.window_at(SPEC.calendar.parse_instant(END))
        )
        assert "person-5" not in early["@subject"].to_pylist()


def test_no_file_of_the_home_names_the_person(home: Path) -> None:
    """Nor a row of theirs, nor the reason that was sealed for them: not in the catalog's free pages either."""
    with Home.open(home) as kept:
        hold(kept, "person-7", {"because": "case 17 of the county court"}, 1)
        lift(kept, "person-7", {"because": "settled out of court"}, 2)
        ids = [item.id for item in kept.artifacts("hold")]
        assert kept.unsealed("", ids[0]) == {"because": "case 17 of the county court"}
        erase(kept, "person-7", "a request", 3)
        for name in ids:
            with pytest.raises(ErasedError, match="was destroyed on request"):
                kept.unsealed("", name)
        assert kept.verify(rows=True).ok
    loans = [f'"{name}"' for name in rows().filter(pc.equal(rows()["person"], "person-7"))["loan"].to_pylist()]
    for path in home.rglob("*"):
        if path.is_file() and path.suffix != ".key":
            content = path.read_bytes()
            for word in ("person-7", "county court", "out of court", *loans):
                assert word.encode() not in content, (path, word)


def test_the_next_training_set_is_without_them(home: Path) -> None:
    with Home.open(home) as kept:
        erase(kept, "person-3", "a request", 1)
    with Home.open(home) as kept, ExitStack() as stack:
        loop = opened(kept, stack)
        # Nor does a warm fit start from a model that knew them.
        saved = kept.load_state("loans")
        assert saved is not None
        assert loop.upkeep.anew_since == saved.as_of
        people = dict(zip(rows()["loan"].to_pylist(), rows()["person"].to_pylist(), strict=True))
        assert len(loop.log) > 0
        assert "person-3" not in {people[name] for name in loop.log.ids}
        training = loop.upkeep._training_rows(SPEC.calendar.parse_instant(END))
        assert "person-3" not in {people[loop.log.ids[place]] for place in training}
        # What the state keeps of each row still belongs to that row.
        served = [str(value) for value in loop.log.served_class.values]
        scores = dict(zip(rows()["loan"].to_pylist(), rows()["score"].to_pylist(), strict=True))
        assert served == ["1" if scores[name] >= 0.5 else "not 1" for name in loop.log.ids]


@settings(max_examples=3, deadline=None)
@given(st.lists(st.integers(0, PERSONS - 1), unique=True, min_size=1, max_size=3))
def test_counts_are_those_of_the_rows_that_are_left(
    walked: Path, tmp_path_factory: pytest.TempPathFactory, people: list[int]
) -> None:
    """Subtracting what was counted gives what counting the remaining rows gives, feature by feature."""
    folder = Path(shutil.copytree(walked, tmp_path_factory.mktemp("home") / "home"))
    with Home.open(folder) as kept:
        for person in people:
            erase(kept, f"person-{person}", "a request", person)
        state = kept.load_state("loans")
        assert state is not None
        layout = Layout.from_document(state.values["layout"])
        profiles = kept.profiles("loans", "predicted")
        assert profiles
        for item in profiles:
            table = kept.read_segments("predictions", "loans", item.window, item.window + 1)
            leaves = [0] * table.num_rows
            counted = profile_rows(layout, table, table["@score"].to_numpy(), table["@prediction"], leaves)
            found = Profile.unpack(layout, item.blob)
            assert found.rows == counted.rows
            assert {name: list(part.vector) for name, part in found.features.items()} == {
                name: list(part.vector) for name, part in counted.features.items()
            }
            assert list(found.scores.vector) == list(counted.scores.vector)


def test_a_hold_outranks_and_both_are_on_record(home: Path) -> None:
    with Home.open(home) as kept:
        record = hold(kept, "person-1", {"because": "tax law"}, 1)
        refused = erase(kept, "person-1", "a request", 2)
        assert not refused.done
        assert record in refused.outcome
        assert "person-1" in kept.read_segments("predictions", "loans")["@subject"].to_pylist()
        (entry,) = kept.artifacts("erasure")
        assert entry.caused_by == (record,)
        assert lift(kept, "person-1", {"because": "over"}, 3) is not None
        assert lift(kept, "person-1", {"because": "over"}, 4) is None
        assert erase(kept, "person-1", "a request", 5).done
        assert [item.kind for item in kept.journal() if item.kind in ("hold", "erasure")] == [
            "hold",
            "erasure",
            "hold",
            "erasure",
            "erasure",
        ]


def test_an_erasure_that_nobody_recorded_is_tampering(home: Path) -> None:
    """Taking rows out by hand is found; only an entry on record explains another digest."""
    with Home.open(home) as kept:
        segment = kept.segments("predictions", "loans")[20]
        table = kept.read_segment(segment)
        with kept.transaction() as store:
            store.rewrite_segment(segment, table.slice(1))
        found = kept.verify(rows=True)
    assert {fault.kind for fault in found.faults} == {"content"}
    assert segment.id in found.faults[0].sentence


def test_a_crash_half_way_erases_nothing(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Home.open(home) as kept:
        before = kept.read_segments("predictions", "loans")
        with monkeypatch.context() as patch:
            patch.setattr("pitstop.loop.erasure._write_off", lambda *_: 1 / 0)
            with pytest.raises(ZeroDivisionError):
                erase(kept, "person-2", "a request", 1)
        assert kept.read_segments("predictions", "loans").equals(before)
        assert kept.verify(rows=True).ok
        assert kept.subject("person-2") is None

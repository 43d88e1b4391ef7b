"""Rolled-up profiles are the sums of their windows, bit for bit, whatever changed and was forgotten in between."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pitstop.errors import StoreError
from pitstop.profile import Profile
from pitstop.records.calendar import Calendar
from pitstop.store.home import Home
from pitstop.store.rollup import FEWEST_KEPT, RollUp, unit_of, units
from pitstop.testing.engine_laws import counted_at_once, example, layout, model

SPEC = model()
BINS = layout(example(rows=60), SPEC)
# Profiles of single rows' worth of different counts.
PIECES = list(counted_at_once(example(seed=1, rows=40, days=20), BINS, SPEC).values())
DAILY, HOURLY = Calendar("day", "month"), Calendar("hour", "month")
# 2024-01-20: the windows of the tests lie around the end of January and of February.
FIRST = 19_742


def rolled(home: Home, calendar: Calendar = DAILY, unit: Any = "month", kind: str = "predicted") -> RollUp[Profile]:
    return RollUp(home, "m", kind, Profile, BINS, calendar, unit)


def put(home: Home, window: int, profile: Profile) -> None:
    with home.transaction() as store:
        store.put_profile("m", "predicted", window, profile.pack(), profile.id)


def expected(windows: dict[int, Profile], calendar: Calendar = DAILY, unit: Any = "month") -> dict[int, Profile]:
    found: dict[int, Profile] = {}
    for window, profile in windows.items():
        number = unit_of(calendar, unit, window)
        found[number] = found[number].merged(profile) if number in found else profile
    return dict(sorted(found.items()))


steps = st.one_of(
    st.tuples(st.just("put"), st.integers(0, 60), st.integers(0, len(PIECES) - 1)),
    st.tuples(st.just("keep"), st.integers(0, 80), st.just(0)),
    st.tuples(st.just("forget"), st.integers(0, 80), st.just(0)),
)


@settings(max_examples=25, deadline=None)
@given(st.lists(steps, min_size=1, max_size=12))
def test_charts_show_the_sum_of_all_windows_whatever_was_kept_and_forgotten(
    tmp_path_factory: pytest.TempPathFactory, done: list[tuple[str, int, int]]
) -> None:
    """A window that is written after it was forgotten adds to its month: what comes late is new."""
    everything: list[tuple[int, Profile]] = []
    present: dict[int, Profile] = {}
    with Home.open(tmp_path_factory.mktemp("home")) as home:
        for what, at, piece in done:
            if what == "put":
                put(home, FIRST + at, PIECES[piece])
                present[FIRST + at] = PIECES[piece]
            elif what == "keep":
                rolled(home).keep(FIRST + at)
            else:
                gone = rolled(home).forget(FIRST + at + FEWEST_KEPT, FEWEST_KEPT)
                left = {window for window, _ in home.profile_ids("m", "predicted")}
                everything += [(window, profile) for window, profile in present.items() if window not in left]
                present = {window: profile for window, profile in present.items() if window in left}
                assert not any(unit_of(DAILY, "month", window) in gone for window in present)
            total = expected(present)
            for window, profile in everything:
                number = unit_of(DAILY, "month", window)
                total[number] = total[number].merged(profile) if number in total else profile
            # Written again while a final sum stood: `keep` has taken it in.
            left = {window for window, _ in home.profile_ids("m", "predicted")}
            everything += [(window, profile) for window, profile in present.items() if window not in left]
            present = {window: profile for window, profile in present.items() if window in left}
            assert dict(rolled(home).charted()) == dict(sorted(total.items()))


def test_one_late_label_adds_up_one_month_again_and_reads_one_months_windows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Home.open(tmp_path / "home") as home:
        windows = {FIRST + at: PIECES[at % len(PIECES)] for at in range(100)}
        for window, profile in windows.items():
            put(home, window, profile)
        months = rolled(home).keep(FIRST + 100)
        assert len(months) == 3
        assert rolled(home).keep(FIRST + 100) == ()
        windows[FIRST + 30] = windows[FIRST + 30].merged(PIECES[0])
        put(home, FIRST + 30, windows[FIRST + 30])
        read: list[str] = []
        original = Home.profiles

        def profiles(self: Home, model_name: str, kind: str, *where: Any) -> Any:
            found = original(self, model_name, kind, *where)
            read.extend([kind] * len(found))
            return found

        monkeypatch.setattr(Home, "profiles", profiles)
        assert rolled(home).keep(FIRST + 100) == (months[1],)
        assert read == ["predicted"] * 29
        read.clear()
        assert dict(rolled(home).charted(FIRST, FIRST + 70)) == {
            number: profile for number, profile in expected(windows).items() if number in months
        }
        assert read == ["predicted/month"] * 3


def test_hours_add_up_to_days_and_months(tmp_path: Path) -> None:
    with Home.open(tmp_path / "home") as home:
        windows = {24 * FIRST + at: PIECES[at % len(PIECES)] for at in range(0, 24 * 15, 7)}
        for window, profile in windows.items():
            put(home, window, profile)
        for unit in units(HOURLY):
            rolled(home, HOURLY, unit).keep(24 * (FIRST + 14))
            assert dict(rolled(home, HOURLY, unit).charted()) == expected(windows, HOURLY, unit)


def test_a_journal_that_was_whole_stays_whole(tmp_path: Path) -> None:
    with Home.open(tmp_path / "home") as home:
        for at in range(100):
            put(home, FIRST + at, PIECES[0])
        assert rolled(home).forget(FIRST + 60 + FEWEST_KEPT, FEWEST_KEPT)
        assert home.verify().ok


def test_what_cannot_be_rolled_up_is_refused(tmp_path: Path) -> None:
    with Home.open(tmp_path / "home") as home:
        with pytest.raises(StoreError, match="known for them: none"):
            rolled(home, Calendar("week", 4))
        with pytest.raises(StoreError, match="known for them: month"):
            rolled(home, DAILY, "day")
        with pytest.raises(StoreError, match=f"at least {FEWEST_KEPT}"):
            rolled(home).forget(FIRST, 30)
    assert units(Calendar(50, 30)) == ("period",)
    assert unit_of(Calendar(50, 30), "period", 61) == 2

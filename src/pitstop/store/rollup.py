"""Roll-up and retention: the profiles of a month's windows as one, so that a chart of years reads few of them.

A rolled profile is the sum of those of its windows, bit for bit. It is kept beside them, under the kind
`predicted/month`, with a digest of what it was added up from: where a window has changed since (a late label, an
erasure) it is added up again, and nothing else is. Windows that are forgotten stay in the sum.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, Literal, Protocol, Self, TypeVar

from pitstop.errors import StoreError
from pitstop.profile import Layout
from pitstop.records.calendar import DAY, Calendar
from pitstop.store.home import Home

Unit = Literal["day", "month", "period"]
# A baseline is fitted on 90 windows, and causes look at cohorts of labels from before.
FEWEST_KEPT = 180
# Before the digest of a sum some of whose windows were forgotten: it cannot be added up again.
_FINAL = "final:"
_MONTHS = Calendar("day", "month")


class Mergeable(Protocol):
    """A `Profile` or an `OutcomeProfile`."""

    @classmethod
    def total(cls, layout: Layout, profiles: Sequence[Self]) -> Self:
        """Return the profile of all rows of the profiles."""

    def pack(self) -> bytes:
        """Return it as bytes."""

    @classmethod
    def unpack(cls, layout: Layout, data: bytes) -> Self:
        """Return what `pack` wrote."""


P = TypeVar("P", bound=Mergeable)


def units(calendar: Calendar) -> tuple[Unit, ...]:
    """Return what windows can be rolled up to, finest first; weeks end within months, so they are not."""
    if calendar.by_rows:
        return ("period",)
    return {"hour": ("day", "month"), "day": ("month",)}.get(str(calendar.window), ())  # type: ignore[return-value]


def unit_of(calendar: Calendar, unit: Unit, window: int) -> int:
    """Return the number of the day or month (since 1970), or of the period, in which a window lies."""
    start = calendar.window_start(window)
    if unit == "period":
        return calendar.period_at(start)
    return start // DAY if unit == "day" else _MONTHS.period_at(start)


@dataclass(frozen=True)
class RollUp(Generic[P]):
    """The profiles of one kind (`predicted`: `Profile`; `labelled`: `OutcomeProfile`) of a model, by `unit`."""

    home: Home
    model: str
    kind: str
    profile: type[P]
    layout: Layout
    calendar: Calendar
    unit: Unit

    def __post_init__(self) -> None:
        """Refuse a unit that these windows do not add up to."""
        known = units(self.calendar)
        if self.unit not in known:
            listed = ", ".join(known) or "none"
            msg = f"windows of a {self.calendar.window} do not add up to a {self.unit}; known for them: {listed}"
            raise StoreError(msg)

    def charted(self, start: int | None = None, stop: int | None = None) -> list[tuple[int, P]]:
        """Return (number of the unit, profile) in order, of the units that hold windows `start` to before `stop`.

        Each unit is whole, whichever of its windows are asked for. Sums that are up to date are read as they are;
        others are added up, and not kept.
        """
        windows, rolled = self._windows(), self._rolled()
        numbers = sorted(
            number
            for number in windows.keys() | rolled.keys()
            if (start is None or number >= unit_of(self.calendar, self.unit, start))
            and (stop is None or number <= unit_of(self.calendar, self.unit, stop - 1))
        )
        return [(number, self._sum(windows.get(number, {}), rolled.get(number), number)) for number in numbers]

    def keep(self, before: int) -> tuple[int, ...]:
        """Add up every unit that ended before window `before` and changed since; return their numbers.

        One transaction. Doing it twice, or after any crash, gives the same.
        """
        windows, rolled = self._windows(), self._rolled()
        open_unit = unit_of(self.calendar, self.unit, before)
        stale = [
            number
            for number, inside in sorted(windows.items())
            if number < open_unit and not _fresh(inside, rolled.get(number))
        ]
        with self.home.transaction() as store:
            for number in stale:
                inside, known = windows[number], rolled.get(number)
                total = self._sum(inside, known, number)
                final = known is not None and known.startswith(_FINAL)
                if final:
                    # What came in after the others were forgotten is in the sum now, and must not be added twice.
                    store.drop_profiles(self.model, self.kind, sorted(inside))
                digest = f"{_FINAL}{_digest(inside)}" if final else _digest(inside)
                store.put_profile(self.model, self._rolled_kind, number, total.pack(), digest)
        return tuple(stale)

    def forget(self, before: int, kept: int) -> tuple[int, ...]:
        """Drop the windows of units that ended `kept` windows before window `before`; return the units' numbers.

        Their sums are brought up to date first, and stay. Raises `StoreError` for fewer than `FEWEST_KEPT`.
        """
        if kept < FEWEST_KEPT:
            msg = f"got {kept} windows to keep; baselines and causes need at least {FEWEST_KEPT}"
            raise StoreError(msg)
        self.keep(before - kept)
        windows, rolled = self._windows(), self._rolled()
        open_unit = unit_of(self.calendar, self.unit, before - kept)
        over = [number for number in sorted(windows) if number < open_unit]
        with self.home.transaction() as store:
            for number in over:
                blob = self.home.profiles(self.model, self._rolled_kind, number, number + 1)[0].blob
                digest = rolled[number]
                marked = digest if digest.startswith(_FINAL) else f"{_FINAL}{digest}"
                store.put_profile(self.model, self._rolled_kind, number, blob, marked)
                store.drop_profiles(self.model, self.kind, sorted(windows[number]))
        return tuple(over)

    @property
    def _rolled_kind(self) -> str:
        return f"{self.kind}/{self.unit}"

    def _windows(self) -> dict[int, dict[int, str]]:
        """Return the ids of the windows' profiles by unit and window; none of the profiles is read."""
        found: defaultdict[int, dict[int, str]] = defaultdict(dict)
        for window, profile_id in self.home.profile_ids(self.model, self.kind):
            found[unit_of(self.calendar, self.unit, window)][window] = profile_id
        return dict(found)

    def _rolled(self) -> dict[int, str]:
        return dict(self.home.profile_ids(self.model, self._rolled_kind))

    def _sum(self, inside: Mapping[int, str], known: str | None, number: int) -> P:
        final = known is not None and known.startswith(_FINAL)
        profiles: list[P] = []
        if known is not None and (final or _fresh(inside, known)):
            profiles += self._read(self._rolled_kind, [number])
        if final or not profiles:
            profiles += self._read(self.kind, sorted(inside))
        return self.profile.total(self.layout, profiles)

    def _read(self, kind: str, windows: Iterable[int]) -> list[P]:
        listed = list(windows)
        if not listed:
            return []
        found = self.home.profiles(self.model, kind, listed[0], listed[-1] + 1)
        return [self.profile.unpack(self.layout, record.blob) for record in found]


def _fresh(inside: Mapping[int, str], known: str | None) -> bool:
    """Whether a sum is that of these windows; of a final one, whether nothing came in since."""
    if known is None:
        return False
    return not inside if known.startswith(_FINAL) else known == _digest(inside)


def _digest(inside: Mapping[int, str]) -> str:
    return hashlib.sha256(json.dumps(sorted(inside.items())).encode()).hexdigest()

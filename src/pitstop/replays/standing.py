"""How a model's releases stand: who serves, what scores beside it, and how far each comparison has come."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from pitstop.errors import ReleaseError
from pitstop.loop.duels import LEAST_WINDOWS, Duel
from pitstop.records.calendar import Calendar
from pitstop.releases import Release, ReleaseTimeline
from pitstop.retraining.comparison import PairedTest
from pitstop.store.home import Home


@dataclass(frozen=True)
class Running:
    """One running comparison of the champion with `version`, in the losses of the same rows.

    `kind`: shadow (it enters when it is better) or rollback (it returns when it is). `gain` is the mean saving in
    currency a row, `low` to `high` its confidence sequence; NaN is None. `needed` is about how many more rows a verdict
    takes, None where no end is in sight.
    """

    version: str
    kind: str
    verdict: str
    rows: int
    gain: float | None
    low: float
    high: float
    needed: int | None
    sentence: str


@dataclass(frozen=True)
class Standing:
    """The champion like "v3", since when and why, what runs beside it, and why a release is held up (or empty)."""

    model: str
    champion: str
    since: str
    reason: str
    tests: tuple[Running, ...]
    held: str


def standing_of(home: Path | str, model: str) -> Standing:
    """Return how the releases of a model in a home stand; the home is only read. Raises `ReleaseError` without one."""
    with Home.open(home, read_only=True) as kept:
        saved, specs = kept.load_state(model), kept.artifacts("spec", model)
        if saved is None or not specs:
            known = ", ".join(kept.models()) or "none"
            msg = f"{home} has no release of {model!r} (models: {known}); run `pitstop run` until its start"
            raise ReleaseError(msg)
        refusals = kept.artifacts("refusal", model)
    state, spec = saved.values["upkeep"], specs[-1].content
    calendar = Calendar(spec["time"]["window"], spec["time"]["period"])
    timeline = ReleaseTimeline(tuple(Release.from_json(item) for item in state["releases"]))
    champion = timeline.champion
    if champion is None:
        msg = f"{model!r} is only watched: nothing is released here; name a trainer and a label in its specification"
        raise ReleaseError(msg)
    duels = [Duel.from_state(item) for item in state["duels"]]
    versions = {release.model: release.version for release in timeline.releases}
    names = {int(number): f"v{versions.get(item['id'], '?')}" for number, item in state["candidates"].items()}
    held = state.get("held")
    return Standing(
        model=model,
        champion=f"v{champion.version}",
        since=calendar.name_instant(champion.at),
        reason=champion.reason,
        tests=tuple(running(duel, names[duel.other], spec["value"]["currency"]) for duel in duels),
        held=refusals[-1].content["sentence"] if held and refusals else "",
    )


def running(duel: Duel, version: str, currency: str) -> Running:
    """Return how the comparison of the champion with `version` stands; amounts are in `currency`."""
    test = duel.test
    low, high = test.interval
    needed = test.rows_needed()
    return Running(
        version=version,
        kind=duel.kind,
        verdict=test.verdict,
        rows=test.rows,
        gain=None if math.isnan(test.mean) else test.mean,
        low=low,
        high=high,
        needed=needed,
        sentence=_sentence(duel, test, version, needed, currency),
    )


def _sentence(duel: Duel, test: PairedTest, version: str, needed: int | None, currency: str) -> str:
    what = f"{version} scores in shadow" if duel.kind == "shadow" else f"{version} would come back if it proved better"
    if not test.rows:
        return f"{what}: no label has come yet."
    gained = f"{test.mean:+.3g} {currency} a row on {test.rows:,} labelled rows"
    if test.verdict != "undecided":
        left = max(LEAST_WINDOWS - duel.windows, 0)
        return f"{what}: {gained}; {test.verdict}, to be acted on after {left} more windows with labels."
    if needed is None:
        return f"{what}: {gained}; undecided, and no end in sight."
    windows = max(math.ceil(needed / (test.rows / max(duel.windows, 1))), LEAST_WINDOWS - duel.windows)
    return f"{what}: {gained}; undecided: about {needed:,} more rows, {windows:,} windows at today's traffic."

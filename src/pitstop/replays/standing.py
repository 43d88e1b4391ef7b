"""How a model's releases stand: who serves, what scores beside it, and how far each comparison has come."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pitstop.errors import ReleaseError
from pitstop.loop.duels import LEAST_WINDOWS, Duel
from pitstop.records.spec import CanarySection, ModelSpec, spec_of
from pitstop.releases import Release, ReleaseTimeline
from pitstop.store.home import Home


@dataclass(frozen=True)
class CanaryProgress:
    """How far a canary is: `windows` with labels of the `least_windows` that it has to last, and so with rows.

    `share` of all rows is its own; `margin` is how much worse a row, in currency, it may be before it is stopped;
    `left` about how many more windows it takes at today's traffic (None: before the first label).
    """

    share: float
    windows: int
    least_windows: int
    rows: int
    least_rows: int
    margin: float
    left: int | None


@dataclass(frozen=True)
class Running:
    """One running comparison of the champion with `version`, in the losses of the same rows.

    `kind`: shadow (it enters when it is better), canary (it serves a share of the rows, and is stopped when it is worse
    on them) or rollback (it returns when it is). `gain` is the mean saving in
    currency a row, `low` to `high` its confidence sequence; NaN is None. `needed` is about how many more rows a verdict
    takes, None where no end is in sight. `segments` says how it compares in each (`SegmentTests.to_json`), None where
    none is compared. `recipe` is how it was fitted. `canary` says how far the canary is, None for the other kinds.
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
    segments: Mapping[str, Any] | None = None
    canary: CanaryProgress | None = None
    recipe: str = ""


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
    state, spec = saved.values["upkeep"], spec_of(specs[-1].content)
    calendar = spec.calendar
    timeline = ReleaseTimeline(tuple(Release.from_json(item) for item in state["releases"]))
    champion = timeline.champion
    if champion is None:
        msg = f"{model!r} is only watched: nothing is released here; name a trainer and a label in its specification"
        raise ReleaseError(msg)
    duels = [Duel.from_state(item) for item in state["duels"]]
    versions = {release.model: release.version for release in timeline.releases}
    names = {int(number): f"v{versions.get(item['id'], '?')}" for number, item in state["candidates"].items()}
    recipes = {int(number): str(item["recipe"]["name"]) for number, item in state["candidates"].items()}
    held = state.get("held")
    return Standing(
        model=model,
        champion=f"v{champion.version}",
        since=calendar.name_instant(champion.at),
        reason=champion.reason,
        tests=tuple(running(duel, names[duel.other], spec, recipes[duel.other]) for duel in duels),
        held=refusals[-1].content["sentence"] if held and refusals else "",
    )


def running(duel: Duel, version: str, spec: ModelSpec, recipe: str = "") -> Running:
    """Return how the comparison of the champion with `version` stands; amounts are in the currency of `spec`."""
    test = duel.test
    low, high = test.interval
    needed = test.rows_needed()
    canary = _progress(duel, spec.canary) if duel.kind == "canary" else None
    return Running(
        version=version,
        kind=duel.kind,
        verdict=test.verdict,
        rows=test.rows,
        gain=None if math.isnan(test.mean) else test.mean,
        low=low,
        high=high,
        needed=needed,
        # Where several are in shadow together, how each was fitted tells them apart.
        sentence=_sentence(
            duel, f"{version} ({recipe})" if duel.among > 1 else version, needed, spec.value.currency, canary
        ),
        segments=duel.segments.to_json() if duel.segments is not None and duel.segments.tests else None,
        canary=canary,
        recipe=recipe,
    )


def _progress(duel: Duel, section: CanarySection) -> CanaryProgress:
    rows, windows = duel.test.rows, duel.windows
    left = None
    if windows:
        rows_left = max(section.least_rows - rows, 0)
        left = max(section.windows - windows, math.ceil(rows_left / (rows / windows)), 0)
    return CanaryProgress(section.share, windows, section.windows, rows, section.least_rows, duel.test.margin, left)


_WHAT = {
    "shadow": "{version} scores in shadow",
    "rollback": "{version} would come back if it proved better",
    "canary": "{version} serves {share:.0%} of the rows",
}


def _sentence(duel: Duel, version: str, needed: int | None, currency: str, canary: CanaryProgress | None) -> str:
    test = duel.test
    what = _WHAT[duel.kind].format(version=version, share=canary.share if canary else 0.0)
    if not test.rows:
        return f"{what}: no label has come yet."
    gained = f"{test.mean:+.3g} {currency} a row on {test.rows:,} labelled rows"
    if canary is not None:
        more = "it becomes the champion next" if not canary.left else f"undecided: about {canary.left:,} more windows"
        return (
            f"{what}: {gained} of its own, where {canary.margin:.3g} worse would stop it; window {canary.windows} of "
            f"{canary.least_windows}, {more}."
        )
    if test.verdict != "undecided":
        left = max(LEAST_WINDOWS - duel.windows, 0)
        if not left and test.verdict == "better" and duel.segments is not None:
            return f"{what}: {gained}; better, and {len(duel.segments.undecided)} segments are undecided yet."
        return f"{what}: {gained}; {test.verdict}, to be acted on after {left} more windows with labels."
    if needed is None:
        return f"{what}: {gained}; undecided, and no end in sight."
    windows = max(math.ceil(needed / (test.rows / max(duel.windows, 1))), LEAST_WINDOWS - duel.windows)
    return f"{what}: {gained}; undecided: about {needed:,} more rows, {windows:,} windows at today's traffic."

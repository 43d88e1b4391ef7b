"""The self-test: replays a model's reference through its own detectors, in shuffled and in real order.

In shuffled order nothing can have changed, so every alarm is false: what the settings promise for windows like these.
In real order the same windows keep what neighbours have in common. Where the two differ, order matters: neighbouring
windows resemble each other, or waves run through them, and the promise of `docs/explanation/alarm-budget.md` is not
one about this model.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from pitstop.baseline.baseline import Baseline
from pitstop.detection.exchangeability import Lag, Rate, Wave, lag_one, rate, wave
from pitstop.detection.streams import Stream
from pitstop.errors import BaselineError
from pitstop.loop.watch import Table, Watch, is_quiet
from pitstop.monitors.base import BUDGET_SHARES, WindowCounts
from pitstop.records.alarms import quiet_spans
from pitstop.records.spec import ModelSpec

FEWEST = 15
"""References of fewer windows cannot be parted into one to learn from and one to watch."""

PARTS = 3
"""One part in three is watched, the others are the reference."""

PAID_UP_TO, UNPAID_UP_TO = 0.55, 0.3
"""Correlation of neighbours' scores that breaks the promise: where it is paid for, and where not (0020, 0047)."""

ALL = "all"
_RARE = 0.01
_WINDOWS_A_PHASE = 2  # from which on the engine models a weekly pattern


Fit = Callable[[Table], Watch]
"""Fits a model's detectors on reference windows."""


@dataclass(frozen=True)
class Family:
    """One family of monitors: its share of the promise, alarms a month realised in both orders, and correlations.

    `lag` is that of its streams' neighbouring scores, weighted as the budget is; `paid` the mean kappa by which the
    engine divides its evidence, 1.0 where it does not.
    """

    name: str
    promise: float
    shuffled: Rate
    real: Rate
    lag: Lag
    paid: float


@dataclass(frozen=True)
class Rehearsal:
    """The self-test of one model. The first family is `ALL`. `warnings` say that the promise is not kept, and why.

    `windows` were replayed, `watched` of them in each run, `left_out` had no row that a model had been asked about.
    """

    model: str
    windows: int
    watched: int
    runs: int
    left_out: int
    families: tuple[Family, ...]
    wave: Wave
    warnings: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def kept(self) -> bool:
        """Whether nothing speaks against the promise."""
        return not self.warnings


def rehearse(
    spec: ModelSpec, baseline: Baseline, windows: tuple[WindowCounts, ...], *, runs: int = 20, seed: int = 0
) -> Rehearsal:
    """Replay the reference `windows`, oldest first, `runs` times in shuffled order and in real order.

    In real order each third is watched once, the other two being the reference, forwards and backwards. Weekdays stay
    with their windows. Trailing windows without a row are left out, and so are those of quiet periods, as by alarms.
    Raises `BaselineError` below `FEWEST` windows or two runs.
    """
    last = max((place for place, window in enumerate(windows) if window.profile.rows), default=-1)
    quiet = quiet_spans(spec.alarms.quiet)
    used = [window for window in windows[: last + 1] if not is_quiet(quiet, spec.calendar, window.window)]
    if len(used) < FEWEST or runs < 2:
        msg = (
            f"got a reference of {len(used)} windows with rows and {runs} runs; the self-test expects at least "
            f"{FEWEST} windows and 2 runs, so wait for the next release, or say --runs 20"
        )
        raise BaselineError(msg)
    table = Table.of(spec, baseline, used)

    def fit(reference: Table) -> Watch:
        return Watch.fit_table(spec, baseline, reference)

    return rehearse_table(spec, fit, table, runs=runs, seed=seed, left_out=len(windows) - last - 1)


def rehearse_table(
    spec: ModelSpec, fit: Fit, table: Table, *, runs: int = 20, seed: int = 0, left_out: int = 0
) -> Rehearsal:
    """Replay counted windows through the detectors that `fit` fits; what `rehearse` does once it has both."""
    rng = np.random.default_rng(seed)
    m = len(table)
    part = m // PARTS
    plain = np.arange(m)
    shuffled = [_alarms(fit, table.taken(rng.permutation(m)), part) for _ in range(runs)]
    turned = [np.roll(plain, part * turn) for turn in range(PARTS)]
    forward = [_alarms(fit, table.taken(order), part) for order in turned]
    backward = [_alarms(fit, table.taken(order[::-1]), part) for order in turned]
    months = part / spec.calendar.windows_per_month
    watch = fit(table)
    streams = watch.streams
    whole = sum(stream.weight for stream in streams)
    families = []
    for name in (ALL, *BUDGET_SHARES):
        own = tuple(stream for stream in streams if name in (ALL, stream.kind))
        if not own:
            continue
        # Both directions see the same windows: their mean counts once.
        both = [(there[name] + back[name]) / 2 for there, back in zip(forward, backward, strict=True)]
        families.append(
            Family(
                name,
                spec.alarms.per_month * sum(stream.weight for stream in own) / whole,
                rate(np.array([run[name] for run in shuffled], dtype=np.float64), months),
                rate(np.array(both, dtype=np.float64), months),
                *_correlation(watch, own),
            )
        )
    varied = watch.panel.healthy.varied > 0
    layout = watch.panel.layout
    weights = layout.share.sum(axis=0) * np.array([stream.weight for stream in layout.streams])[layout.owner]
    found = wave(watch.panel.places[:, varied], weights[varied], seed)
    warnings, notes = _judged(spec, families, found, m)
    if left_out:
        notes.append(f"The last {left_out} windows are left out: no model was asked about their rows out of sample.")
    return Rehearsal(spec.model.name, m, part, runs, left_out, tuple(families), found, tuple(warnings), tuple(notes))


def _alarms(fit: Fit, table: Table, watched: int) -> Counter[str]:
    """Return the number of alarms by family where the last `watched` windows follow the others as their reference."""
    split = len(table) - watched
    watch = fit(table.taken(np.arange(split)))
    found: Counter[str] = Counter()
    for place in range(split, len(table)):
        phase = int(table.phases[place])
        rows = table.rows[place].tolist()
        watch, findings = watch.step_counts(place, phase, table.k[place], table.n[place], rows, table.spreads[place])
        found.update(finding.stream.kind for finding in findings)
        found[ALL] += len(findings)
    return found


def _correlation(watch: Watch, streams: tuple[Stream, ...]) -> tuple[Lag, float]:
    """Return the lag-one correlation of some streams' scores, weighted as the budget is, and the mean kappa paid."""
    layout, scores, kappas, weights = watch.panel.layout, [], [], []
    names = {stream.name for stream in streams}
    for place, stream in enumerate(layout.streams):
        columns = np.arange(layout.starts[place], layout.starts[place + 1])
        columns = columns[watch.panel.healthy.varied[columns] > 0]
        if stream.name in names and len(columns):
            scores.append(watch.panel.places[:, columns])
            kappas.append(float(watch.panel.healthy.spread[columns].mean()))
            weights.append(stream.weight)
    for _, detector in watch.volumes:
        if detector.stream.name in names:
            scores.append(detector.scores[:, np.newaxis])
            kappas.append(1.0)
            weights.append(detector.stream.weight)
    if not scores:
        return Lag(0.0, -1.0), 1.0
    return lag_one(scores, np.array(weights)), float(np.average(kappas, weights=weights))


def _judged(spec: ModelSpec, families: list[Family], found: Wave, m: int) -> tuple[list[str], list[str]]:
    """Return what breaks the promise, and what is worth knowing, each with what to do."""
    whole, parts = families[0], families[1:]
    unit = "window" if spec.calendar.by_rows else str(spec.calendar.window)
    warnings, notes = [], []
    worst = max(parts, key=lambda family: family.real.mean - family.promise).name
    if whole.shuffled.low > whole.promise:
        odd = max(parts, key=lambda family: family.shuffled.mean - family.promise).name
        warnings.append(
            f"Even in shuffled order the reference gives {whole.shuffled.mean:.2g} alarms a month, not "
            f"{whole.promise:.2g}, most of them of {odd}: some {unit}s are unlike all others. Look for those in which "
            "a feed failed or other rules held, and mend or erase their rows, or promise as many ([alarms] per_month)."
        )
    elif whole.real.low > whole.promise:
        warnings.append(
            f"In their real order the same windows give {whole.real.mean:.2g} alarms a month, shuffled "
            f"{whole.shuffled.mean:.2g}: what came before matters, most of all to {worst}. The promise of "
            f"{whole.promise:.2g} is not kept here. Use longer windows ([time] window), or promise "
            f"{whole.real.mean:.2g} with [alarms] per_month, and take an alarm of {worst} for a question."
        )
    for family in parts:
        pays = family.paid > 1 or family.name in ("drift", "score")
        limit = PAID_UP_TO if pays else UNPAID_UP_TO
        like = f"Neighbouring {unit}s resemble each other in {family.name} (correlation {family.lag.value:.2f})"
        if family.lag.low > limit:
            paid = (
                f"what the engine pays for it (kappa {family.paid:.2g}) is not enough" if pays else "it is not paid for"
            )
            warnings.append(f"{like}; {paid}. Use longer windows ([time] window), or expect its alarms in runs.")
        elif family.lag.low > 0:
            paid = (
                f"the engine pays for it with kappa {family.paid:.2g}, in slower alarms"
                if pays
                else "it is not paid for"
            )
            notes.append(f"{like}; {paid}.")
    if found.p_value <= _RARE:
        text = (
            f"A wave of about {found.windows:.3g} {unit}s runs through the reference, which weekly phases do not model"
        )
        (warnings or notes).append(f"{text}: a reference that holds it several times over would absorb it.")
    needed = _WINDOWS_A_PHASE * spec.calendar.phases
    if spec.calendar.phases > 1 and m < needed:
        notes.append(
            f"The reference of {m} {unit}s is too short for a weekly pattern ({needed} {unit}s): "
            "times of the day and of the week are taken for chance."
        )
    return warnings, notes

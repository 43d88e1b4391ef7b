"""Laws that every monitor has to obey, built in or installed.

`monitor_laws()` gives them in order; each takes a monitor and a `Ward`, and raises `AssertionError` where it is broken:

    for law in monitor_laws():
        law(my_monitor, ward("binary"))

A ward is a model of a task under watch: a baseline fitted on healthy windows, and a maker of further windows.
"""

# ruff: noqa: S101 (a law asserts)
from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache, reduce
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pitstop.baseline.baseline import Baseline
from pitstop.detection.budget import Budget
from pitstop.detection.detector import Detector
from pitstop.detection.panel import Panel
from pitstop.detection.spread import Spreads
from pitstop.detection.streams import SPREAD, Finding, ReferenceCounts, Stream
from pitstop.detection.volume import VolumeDetector
from pitstop.loop.reference import fit_reference, row_errors
from pitstop.loop.rowlog import RowLog
from pitstop.monitors.base import BUDGET_SHARES, Monitor, WindowCounts
from pitstop.monitors.groups import FPR, SELECTION, TPR, stream_name
from pitstop.profile import Layout, OutcomeProfile, Profile, profile_outcomes, profile_rows
from pitstop.records.calendar import DAY
from pitstop.records.spec import ColumnsSection, ModelSection, ModelSpec, Task, TrainerSection
from pitstop.statistics.cells import Cells, LeafBins

REFERENCE_WINDOWS = 63
ROWS = 60
# A window is a day; number 4 is a Monday.
FIRST = 4
FEATURES = ("age", "price", "constant", "nothing", "shop", "colour")
PROTECTED = "colour"
_CATEGORIES = ("shop", "colour")
_CLASSES: dict[Task, tuple[str, ...]] = {"binary": ("no", "yes"), "multiclass": ("low", "mid", "high")}


@dataclass(frozen=True)
class Sample:
    """Rows of one window as a model met them: features, scores, decisions and the labels that came at its end."""

    table: pa.Table
    scores: NDArray[np.float64]
    decided: NDArray[Any]
    labels: NDArray[Any]

    def slice(self, start: int, end: int) -> Sample:
        """Return some of the rows."""
        part = slice(start, end)
        return Sample(self.table.slice(start, end - start), self.scores[part], self.decided[part], self.labels[part])


@dataclass(frozen=True)
class Ward:
    """A model under watch: its specification, its baseline and the windows that the baseline was fitted on."""

    spec: ModelSpec
    baseline: Baseline
    reference: tuple[WindowCounts, ...]

    def counted(self, window: int, sample: Sample) -> WindowCounts:
        """Count a window."""
        layout = self.baseline.layout
        leaves = self.baseline.leaves(sample.table, sample.scores, sample.decided)
        errors = row_errors(self.spec, sample.decided, sample.labels)
        kind = pa.float64() if self.spec.model.task == "regression" else pa.string()
        decided, labels = pa.array(sample.decided, type=kind), pa.array(sample.labels, type=kind)
        edges = layout.outcome_bins.error_edges
        wrong = tuple(int((errors >= edge).sum()) for edge in edges) if edges else (int(errors.sum()),)
        return WindowCounts(
            window,
            profile_rows(layout, sample.table, sample.scores, decided, leaves),
            profile_outcomes(layout, sample.scores, decided, labels, leaves, errors),
            ((wrong, len(errors)),),
            Cells.empty(LeafBins()).updated(leaves, errors),
            groups=self._groups(sample),
        )

    def _groups(self, sample: Sample) -> dict[str, tuple[NDArray[np.int64], NDArray[np.int64]]]:
        words = np.array(sample.table[PROTECTED].cast(pa.string()).to_pylist(), dtype=object)
        chosen, positive = sample.decided == "yes", sample.labels == "yes"
        found = {}
        for column, names in self.baseline.groups:
            for rate, rows in ((SELECTION, positive | True), (TPR, positive), (FPR, ~positive)):
                n = np.array([((words == name) & rows).sum() for name in names], dtype=np.int64)
                k = np.array([((words == name) & rows & chosen).sum() for name in names], dtype=np.int64)
                found[stream_name(rate, column)] = (k, n)
        return found


Law = Callable[[Monitor, Ward], None]


def sample(task: Task, random: np.random.Generator, rows: int = ROWS, *, broken: bool = False) -> Sample:
    """Return rows of one window: numbers with nulls, a constant, an all-null column, categories, and a fair model.

    `broken`: numbers jump, categories are new, the model says one thing and is wrong.
    """
    age = random.normal(40.0, 10.0, rows) + 80.0 * broken
    price = random.exponential(20.0, rows)
    shop = random.integers(0, 4, rows)
    signal = (age - 40.0) / 10.0 + (shop == 2) + random.normal(0.0, 0.7, rows)
    words = np.array(["closed down"] * rows) if broken else np.array(["a", "b", "c", "d"])[shop]
    columns = {
        "age": pa.array(age, mask=random.random(rows) < 0.03),
        "price": pa.array(price, mask=np.full(rows, broken)),
        "constant": pa.array(np.full(rows, 7.0)),
        "nothing": pa.array([None] * rows, pa.float64()),
        "shop": pa.array(words).dictionary_encode(),
        "colour": pa.array(np.array(["red", "blue"])[random.integers(0, 2, rows)]).dictionary_encode(),
    }
    table = pa.table({name: columns[name] for name in FEATURES})
    guess = signal + random.normal(0.0, 0.7, rows)
    if task == "regression":
        said = np.full(rows, 9.0) if broken else guess
        return Sample(table, np.full(rows, np.nan), said, signal)
    cuts = [0.3] if task == "binary" else [-0.3, 0.8]
    classes = np.array(_CLASSES[task], dtype=object)
    labels = classes[np.digitize(signal, cuts)]
    decided = classes[np.digitize(guess, cuts)]
    scores = 1 / (1 + np.exp(-3 * (guess - 0.3))) if task == "binary" else 0.4 + 0.5 * random.random(rows)
    if broken:
        decided, scores = np.full(rows, classes[-1], dtype=object), np.full(rows, 0.99)
        labels = np.full(rows, classes[0], dtype=object)
    return Sample(table, scores, decided, labels)


def ward(
    task: Task,
    seed: int = 0,
    *,
    features: Sequence[str] = FEATURES,
    change: Callable[[Sample], Sample] = lambda rows: rows,
) -> Ward:
    """Return a model under watch; `features` orders its columns, `change` makes other rows of those of `sample`."""
    spec = ModelSpec(
        ModelSection("ward", task),
        ColumnsSection(
            time="@at",
            features=tuple(features),
            categorical=tuple(name for name in features if name in _CATEGORIES),
            protected=(PROTECTED,),
            label="@label",
            prediction="@prediction",
            score=None if task == "regression" else "@score",
        ),
        trainer=TrainerSection("none"),
    )
    spec = replace(spec, decision=replace(spec.decision, positive="yes")) if task == "binary" else spec
    random = np.random.default_rng(seed)
    samples = [change(sample(task, random)) for _ in range(REFERENCE_WINDOWS)]
    log = RowLog(spec)
    for place, part in enumerate(samples):
        at = pa.array(np.full(ROWS, (FIRST + place) * DAY))
        ids = pa.array([f"{place}-{row}" for row in range(ROWS)])
        batch = log.append(part.table.append_column("@id", ids).append_column("@at", at), part.scores, part.decided)
        log.fresh_score.values[batch], log.fresh_class.values[batch] = part.scores, part.decided
        log.set_labels(batch, part.labels, np.full(ROWS, (FIRST + place + 1) * DAY - 1))
    labels = np.concatenate([part.labels for part in samples])
    kind = pa.float64() if task == "regression" else pa.string()
    rows = pa.concat_tables([part.table for part in samples]).unify_dictionaries().combine_chunks()
    table = rows.append_column("@label", pa.array(labels, type=kind))
    predictions = np.concatenate([part.decided for part in samples]) if task == "regression" else None
    layout = Layout.fit(spec, table, predictions=predictions)
    end = FIRST + REFERENCE_WINDOWS
    fitted = fit_reference(spec, layout, log, before=end, owner="model", ages=(0,), first_fit=True)
    return Ward(spec, fitted.baseline, fitted.windows)


def streams_can_be_watched(monitor: Monitor, watched: Ward) -> None:
    """Streams have names of their own and share at most the family's budget; asking twice gives the same."""
    streams = monitor.streams(watched.baseline)
    assert streams == monitor.streams(watched.baseline), f"{monitor.name}: asking twice gives other streams"
    names = [stream.name for stream in streams]
    assert len(set(names)) == len(names), f"{monitor.name}: two streams have one name among {names}"
    for kind in {stream.kind for stream in streams}:
        share = sum(stream.weight for stream in streams if stream.kind == kind)
        limit = BUDGET_SHARES.get(kind, 1.0)
        assert share <= limit + 1e-9, f"{monitor.name}: its {kind} streams weigh {share}, more than {limit}"


def counts_are_counts(monitor: Monitor, watched: Ward) -> None:
    """Every window, empty, of one row, constant or broken, gives 0 <= k <= n for each indicator, and finite numbers."""
    task = watched.spec.model.task
    random = np.random.default_rng(5)
    whole = sample(task, random)
    one = whole.slice(3, 4)
    constant = Sample(
        pa.concat_tables([one.table] * 20).combine_chunks(),
        *(np.repeat(values, 20) for values in (one.scores, one.decided, one.labels)),
    )
    shapes = {
        "usual": whole,
        "empty": whole.slice(0, 0),
        "one row": one,
        "constant": constant,
        "broken": sample(task, random, broken=True),
    }
    for name, rows in shapes.items():
        window = watched.counted(FIRST + REFERENCE_WINDOWS, rows)
        for stream in monitor.streams(watched.baseline):
            k, n = monitor.counts(stream, window)
            where = f"{monitor.name}, {stream.name}, {name} window: k {k}, n {n}"
            assert k.shape == n.shape == (len(stream.indicators),), f"{where}; expected one each of {stream.indicators}"
            assert k.dtype == n.dtype == np.int64, where
            if stream.kind != "volume" and stream.family != SPREAD:
                assert ((k >= 0) & (k <= n) & (n <= rows.table.num_rows)).all(), where
        for signal in monitor.signals(watched.baseline, window):
            numbers = [signal.value, *(end for end in (signal.low, signal.high) if end is not None)]
            assert all(math.isfinite(number) for number in numbers), f"{monitor.name}, {name} window: {signal}"
            if signal.low is not None and signal.high is not None:
                assert signal.low - 1e-9 <= signal.value <= signal.high + 1e-9, f"{monitor.name}, {name}: {signal}"


def pieces_are_the_whole(monitor: Monitor, watched: Ward) -> None:
    """Two halves of a window, added up, give the counts of the window: partitions and machines may share it."""
    whole = sample(watched.spec.model.task, np.random.default_rng(6))
    window, middle = FIRST + REFERENCE_WINDOWS, ROWS // 3
    together = watched.counted(window, whole)
    halves = [watched.counted(window, part) for part in (whole.slice(0, middle), whole.slice(middle, ROWS))]
    cohorts = tuple(
        (tuple(one + other for one, other in zip(*wrong, strict=True)), sum(rows))
        for wrong, rows in (zip(*pair, strict=True) for pair in zip(*(half.cohorts for half in halves), strict=True))
    )
    merged = WindowCounts(
        window,
        reduce(Profile.merged, (half.profile for half in halves)),
        reduce(OutcomeProfile.merged, (half.outcomes for half in halves)),
        cohorts,
        together.cells,
        groups={
            name: (one[0] + halves[1].groups[name][0], one[1] + halves[1].groups[name][1])
            for name, one in halves[0].groups.items()
        },
    )
    for stream in monitor.streams(watched.baseline):
        for one, other in zip(monitor.counts(stream, together), monitor.counts(stream, merged), strict=True):
            assert np.array_equal(one, other), f"{monitor.name}, {stream.name}: {one} of all rows, {other} of the parts"
    assert monitor.signals(watched.baseline, merged) == monitor.signals(watched.baseline, together), monitor.name


def column_order_is_irrelevant(monitor: Monitor, watched: Ward) -> None:
    """The same columns in another order give the same streams, counts and signals, in whatever order."""
    task = watched.spec.model.task
    straight, turned = _both_ways(task)
    rows = sample(task, np.random.default_rng(7))
    window = FIRST + REFERENCE_WINDOWS
    one, other = straight.counted(window, rows), turned.counted(window, rows)
    found = []
    for home, counted in ((straight, one), (turned, other)):
        streams = {stream.name: stream for stream in monitor.streams(home.baseline)}
        counts = {name: [part.tolist() for part in monitor.counts(stream, counted)] for name, stream in streams.items()}
        shown = sorted(
            (signal.name, signal.column, round(signal.value, 9)) for signal in monitor.signals(home.baseline, counted)
        )
        indicators = {name: stream.indicators for name, stream in streams.items()}
        found.append((indicators, counts, shown))
    assert found[0] == found[1], f"{monitor.name}: the order of columns matters"


def silent_on_identical_profiles(monitor: Monitor, watched: Ward) -> None:
    """The reference windows over again raise nothing, and no distance is shown between a profile and itself."""
    again = [replace(window, window=window.window + REFERENCE_WINDOWS) for window in watched.reference]
    # At one alarm a month a single stream may well have one in so many windows; at one in twenty months it has none.
    found = _findings(monitor, watched, again, per_month=0.05)
    assert not found, f"{monitor.name} alarms on windows that it was fitted on: {found[0]}"
    same = WindowCounts(FIRST, watched.baseline.profile, watched.baseline.outcomes)
    for signal in monitor.signals(watched.baseline, same):
        if "distance" in signal.name:
            assert abs(signal.value) < 1e-9, f"{monitor.name}: a profile is {signal} away from itself"


def sees_what_breaks(monitor: Monitor, watched: Ward) -> None:
    """Windows in which everything is broken, and half of the rows are gone, are seen by some stream within a month."""
    if not monitor.streams(watched.baseline):
        return
    random = np.random.default_rng(8)
    first = FIRST + REFERENCE_WINDOWS
    bad = [
        watched.counted(first + day, sample(watched.spec.model.task, random, ROWS // 2, broken=True))
        for day in range(28)
    ]
    assert _findings(monitor, watched, bad), f"{monitor.name}: four weeks of broken windows raise nothing"


def monitor_laws() -> tuple[Law, ...]:
    """Return the laws, cheapest first."""
    return (
        streams_can_be_watched,
        counts_are_counts,
        pieces_are_the_whole,
        column_order_is_irrelevant,
        silent_on_identical_profiles,
        sees_what_breaks,
    )


@cache
def _both_ways(task: Task) -> tuple[Ward, Ward]:
    return ward(task), ward(task, features=FEATURES[::-1])


def _findings(
    monitor: Monitor, watched: Ward, windows: Sequence[WindowCounts], per_month: float = 1.0
) -> list[Finding]:
    """Return what the streams of one monitor find, with the whole budget shared among them."""
    calendar = watched.spec.calendar
    streams = monitor.streams(watched.baseline)
    if not streams:
        return []
    weights = {stream.name: stream.weight for stream in streams}
    budget = Budget(per_month, calendar.windows_per_month)
    thresholds, levels = budget.thresholds(weights), budget.fast_levels(weights)
    phases = np.array([calendar.phase(window.window) for window in watched.reference], dtype=np.int64)
    panels, counted, rows = [], [], []
    measured: list[tuple[Stream, NDArray[np.int64]]] = []
    for stream in streams:
        pairs = [monitor.counts(stream, window) for window in watched.reference]
        k, n = (np.array([pair[side] for pair in pairs], dtype=np.int64) for side in (0, 1))
        limits: dict[str, Any] = {
            "threshold": thresholds[stream.name],
            "phases": calendar.phases,
            "fast_level": levels[stream.name],
        }
        if stream.family == SPREAD:
            measured.append((stream, k))
            continue
        if stream.kind == "volume":
            rows.append(VolumeDetector.fit(stream, k[:, 0], phases, **limits))
            continue
        counted.append(stream)
        panels.append(Detector.fit(stream, ReferenceCounts(k, n, phases), alpha_reference=0.05, **limits).panel)
    found: list[Finding] = []
    panel = Panel.joined(panels) if panels else None
    spreads = Spreads.none()
    if measured:
        own = tuple(stream for stream, _ in measured)
        variances = np.concatenate([k for _, k in measured], axis=1)
        spreads = Spreads.fit(own, variances, np.array([levels[stream.name] for stream in own]))
    for window in windows:
        phase = calendar.phase(window.window)
        if panel is not None:
            now = [monitor.counts(stream, window) for stream in counted]
            k, n = (np.concatenate([pair[side] for pair in now]) for side in (0, 1))
            panel, findings = panel.step(window.window, phase, k, n)
            found += findings
        seen = [int(monitor.counts(stream, window)[0][0]) for stream in spreads.streams]
        spreads, findings = spreads.step(window.window, np.array(seen, dtype=np.int64))
        found += findings
        for place, detector in enumerate(rows):
            k, _ = monitor.counts(detector.stream, window)
            rows[place], finding = detector.step(window.window, phase, int(k[0]))
            found += [finding] if finding is not None else []
    return found

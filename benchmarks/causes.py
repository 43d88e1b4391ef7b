"""Causes: a drop split into inputs and relation, against the truth; and faults of a pipeline found and named.

The split: on each set a model's world is changed in its inputs, its relation, or both (`causes_changes`); the shipped
tree and cells split the change of the error. A term passes where it errs by at most 15% of the whole change or two of
its standard errors, and 95% of the terms have to, as of two standard errors 95% do. The faults: 200 windows of real
rows in time order, one fault each (`causes_faults`), given to `pitstop check` with the rows before as reference;
beside them as many windows without a fault, and what a ranking by distance alone says. Settings were chosen on other
sets and other seeds.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from benchmarks.causes_changes import Change, World, changes, world
from benchmarks.causes_faults import KINDS, Case, cases
from benchmarks.causes_tables import CHOSEN_ON, SCORED_ON, Source
from benchmarks.result import Bar, Result
from pitstop.baseline.baseline import cell_codes, surrogate_importance
from pitstop.baseline.margins import fit_margins
from pitstop.baseline.tree import fit_tree
from pitstop.checks import check
from pitstop.diagnosis.attribution import decompose
from pitstop.loop.reference import names_of
from pitstop.profile import Layout, Profile, profile_rows
from pitstop.records.spec import ColumnsSection, DecisionSection, ModelSection, ModelSpec
from pitstop.statistics.bins import CategoryBins, NumericBins
from pitstop.statistics.cells import Cells, LeafBins
from pitstop.statistics.distances import jensen_shannon

SEED = 20261130
# (changes of each kind on each set, faults of each kind, windows without a fault)
FULL, QUICK = (20, 25, 200), (4, 25, 50)
NAMES = {
    "nulls": {"new_nulls", "all_null"},
    "unit": {"unit_change"},
    "rename": {"renamed_category"},
    "stuck": {"stuck_value"},
    "time": {"time_shift"},
}
Rows = list[dict[str, Any]]


def run(quick: bool, data: Path | None) -> Result:
    """Measure both on the scored sets. Raises `MissingDataError` where one of them is not there."""
    each, faults, clean = QUICK if quick else FULL
    rows = [*_splits(_large(SCORED_ON), data, SEED, each), *_faults(SCORED_ON, data, SEED, faults, clean)]
    return Result(tuple(rows), _bars(rows))


def tuning(data: Path, seed: int, each: int, faults: int, clean: int) -> Rows:
    """Return the same measurements on the sets that settings are chosen on."""
    return [*_splits(_large(CHOSEN_ON), data, seed, each), *_faults(CHOSEN_ON, data, seed, faults, clean)]


def _large(sources: Sequence[Source]) -> tuple[Source, ...]:
    """Return the sets with enough rows for a model, a reference and a window of rows that it has not seen."""
    return tuple(source for source in sources if source.name not in ("noaa_weather", "bike_sharing"))


def _splits(sources: Sequence[Source], data: Path | None, seed: int, each: int) -> Rows:
    found: Rows = []
    for source in sources:
        known = world(source, data, seed)
        found += [_split(known, change) for change in changes(known, seed, each)]
    return found


def _split(known: World, change: Change) -> dict[str, Any]:
    """Split one change as the loop does: the tree on half of the reference, its cells and margins on the other half."""
    layout = _layout(known, change.reference)
    before, after = (_codes(layout, known, rows) for rows in (change.reference, change.window))
    half = np.arange(change.reference.size) % 2 == 0
    tree = fit_tree(before[half], change.reference_errors[half])
    leaves, errors = (tree.apply(before[~half]), tree.apply(after)), change.reference_errors[~half]
    reference = Cells.empty(LeafBins()).updated(leaves[0], errors)
    window = Cells.empty(LeafBins()).updated(leaves[1], change.window_errors)
    importance = surrogate_importance(before, _output(known, change.reference), names_of(layout))
    margins = fit_margins(layout, importance, before[~half], leaves[0], errors)
    moved = margins.moved(_profile(layout, known, change.window, leaves[1])) if margins is not None else (0.0, 0.0)
    split = decompose(reference, window, moved)
    if split is None:
        return {"what": "split", "set": known.source.name, "kind": change.kind}
    drop = abs(change.inputs + change.relation)
    terms = {
        "inputs": (split.inputs, change.inputs, split.inputs_se),
        "relation": (split.relation, change.relation, split.relation_se),
    }
    row: dict[str, Any] = {"what": "split", "set": known.source.name, "kind": change.kind, "drop": drop}
    for name, (value, truth, se) in terms.items():
        row |= {f"{name} true": truth, name: value, f"{name} se": se}
        row[f"{name} error / bound"] = abs(value - truth) / max(0.15 * drop, 2 * se)
    return row


def _layout(known: World, rows: NDArray[np.int64]) -> Layout:
    table = known.features.take(pa.array(rows))
    numeric = [name for name in table.column_names if name not in known.categorical]
    labels = known.labels[rows]
    spec = ModelSpec(
        ModelSection("changed", known.source.task),
        ColumnsSection(time="at", features=tuple(table.column_names), categorical=known.categorical, label="y"),
        decision=DecisionSection(positive=known.classes[1] if known.source.task == "binary" else ""),
    )
    if known.source.task == "regression":
        label = pa.array(labels, pa.float64())
        return Layout.fit(spec, table.append_column("@label", label), predictions=known.decided[rows])
    found = Layout.fit(spec, table.append_column("@label", pa.array(labels, pa.string())))
    assert len(found.numeric) == len(numeric)  # noqa: S101 - a column would be left out silently
    return found


def _output(known: World, rows: NDArray[np.int64]) -> NDArray[np.float64]:
    said = known.decided if known.source.task == "regression" else known.scores
    return np.asarray(said[rows], dtype=np.float64)


def _profile(layout: Layout, known: World, rows: NDArray[np.int64], leaves: NDArray[np.int64]) -> Profile:
    regression = known.source.task == "regression"
    decided = pa.array(known.decided[rows], pa.float64() if regression else pa.string())
    table = known.features.take(pa.array(rows))
    return profile_rows(layout, table, None if regression else known.scores[rows], decided, leaves)


def _codes(layout: Layout, known: World, rows: NDArray[np.int64]) -> NDArray[np.int32]:
    return cell_codes(layout, known.features.take(pa.array(rows)), known.scores[rows], known.decided[rows])


def _faults(sources: Sequence[Source], data: Path | None, seed: int, each: int, clean: int) -> Rows:
    found: Rows = []
    for case in cases(sources, data, seed, each, clean):
        start = time.process_time()
        findings = check(case.reference, case.window).findings
        seconds = time.process_time() - start
        named = [item for item in findings if item.upstream]
        row: dict[str, Any] = {"what": "fault" if case.kind else "no fault", "set": case.source.name}
        row |= {"kind": case.kind, "column": " ".join(case.columns), "seconds": seconds}
        row |= {"found": findings[0].column if findings else "", "named": findings[0].kind if findings else ""}
        row["faults told"] = len(named)
        if case.kind:
            wanted = NAMES[case.kind.split()[0]]
            row["first"] = bool(findings) and findings[0].column in case.columns
            row["right kind"] = any(item.kind in wanted and item.column in case.columns for item in findings)
            row["first by distance"] = _farthest(case) in case.columns
        found.append(row)
    return found


def _farthest(case: Case) -> str:
    """Return the column that lies farthest from the reference by the Jensen-Shannon distance, nulls a cell as well."""
    distances: dict[str, float] = {}
    for name in case.window.column_names:
        before, after = case.reference.column(name), case.window.column(name)
        if name == case.source.label or pa.types.is_temporal(before.type):
            continue
        if pa.types.is_string(before.type) or pa.types.is_large_string(before.type):
            bins = CategoryBins.fit(before.cast(pa.string()))
            cells = [
                np.array([bins.cell_of(word) if word else bins.cells for word in side.to_pylist()])
                for side in (before, after)
            ]
            size = bins.cells + 1
        else:
            edges = NumericBins.fit(before.cast(pa.float64())).edges
            values = [side.cast(pa.float64()).to_numpy() for side in (before, after)]
            size = len(edges) + 2
            cells = [np.where(np.isnan(side), size - 1, np.searchsorted(edges, side, side="right")) for side in values]
        counted = [np.bincount(side, minlength=size).astype(np.int64) for side in cells]
        distances[name] = jensen_shannon(counted[0], counted[1])
    return max(distances, key=lambda name: distances[name])


def _bars(rows: Rows) -> tuple[Bar, ...]:
    ratios = {
        term: [row[f"{term} error / bound"] for row in rows if f"{term} error / bound" in row]
        for term in ("inputs", "relation")
    }
    within = {term: _share([value <= 1.0 for value in values]) for term, values in ratios.items()}
    faults = [row for row in rows if row["what"] == "fault"]
    clean = [row["faults told"] > 0 for row in rows if row["what"] == "no fault"]
    return (
        Bar("causes.4a", within["inputs"], 0.95, "at least", "of the inputs' terms within max(15% of the drop, 2 SE)"),
        Bar("causes.4b", within["relation"], 0.95, "at least", "of the relation's terms within the same"),
        Bar("causes.4c", float(len(faults)), 25.0 * len(KINDS), "at least", "faults injected"),
        Bar("causes.4d", _share([row["first"] for row in faults]), 0.95, "at least", "broken columns told first"),
        Bar("causes.4e", _share([row["right kind"] for row in faults]), 0.85, "at least", "kinds named right"),
        Bar("causes.4f", _share(clean), 0.1, "at most", "windows without a fault in which one is told (our own bar)"),
    )


def _share(hits: Sequence[bool]) -> float | None:
    return float(np.mean(hits)) if hits else None

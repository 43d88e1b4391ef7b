"""The usual thresholds, window by window on the replays of `benchmarks alarms`: p < .05, Bonferroni, PSI > .2.

The tests are those of scipy: Kolmogorov-Smirnov for numbers and the score, chi-squared for categories. PSI has ten
reference quantiles, or the categories. NannyML and Evidently get the same rows in environments of their own.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from scipy.stats import chi2_contingency, ks_2samp

from benchmarks.alarms_replay import FIRST, MONTH, Run
from benchmarks.alarms_sets import DAY
from benchmarks.environments import PEERS, PeerError, ask
from pitstop.loop.reference import REFERENCE_WINDOWS

Floats = NDArray[np.float64]
MOST_REFERENCE = 4000
CELLS = 10
PSI_LIMIT = 0.2
LEVEL = 0.05


def usual(run: Run, windows: int, seed: int) -> dict[str, dict[str, float]]:
    """Return alarms and pages a month of each rule on the first `windows` watched windows.

    Alarms: (column, window) pairs that alarm. Pages: windows with at least one.
    """
    reference = np.concatenate(run.rows[:REFERENCE_WINDOWS])
    chosen = np.random.default_rng(seed).permutation(reference)[:MOST_REFERENCE]
    slots = range(REFERENCE_WINDOWS, min(REFERENCE_WINDOWS + windows, len(run.rows)))
    columns = [*run.case.spec.columns.features, *([] if np.isnan(run.case.scores).all() else ["@score"])]
    p_values, indices = [], []
    for name in columns:
        values = _values(run, name)
        judge = _numbers(values[chosen]) if name not in run.case.spec.columns.categorical else _names(values[chosen])
        for slot in slots:
            p_value, index = judge(values[run.rows[slot]])
            p_values.append(p_value)
            indices.append(index)
    months = len(slots) / MONTH
    shape = (len(columns), len(slots))
    tests, distances = np.array(p_values).reshape(shape), np.array(indices).reshape(shape)
    rules = {"p < .05": tests < LEVEL, "Bonferroni": tests < LEVEL / len(columns), "PSI > .2": distances > PSI_LIMIT}
    return {rule: _monthly(int(hit.sum()), int(hit.any(axis=0).sum()), months) for rule, hit in rules.items()}


def _monthly(alarms: int, windows: int, months: float) -> dict[str, float]:
    return {"alarms a month": alarms / months, "pages a month": windows / months}


def _values(run: Run, name: str) -> Any:
    if name == "@score":
        return run.case.scores
    column = run.case.table[name]
    if name in run.case.spec.columns.categorical:
        codes = column.combine_chunks().indices.fill_null(-1)
        return np.asarray(codes.to_numpy(zero_copy_only=False), dtype=np.int64)
    return np.asarray(column.to_numpy(), dtype=np.float64)


Judge = Callable[[Any], tuple[float, float]]


def _numbers(reference: Floats) -> Judge:
    known = np.sort(reference[np.isfinite(reference)])
    edges = np.unique(np.quantile(known, np.arange(1, CELLS) / CELLS)) if len(known) else np.zeros(0)
    shares = _counts(np.searchsorted(edges, known, side="right"), len(edges) + 1)

    def judge(window: Floats) -> tuple[float, float]:
        own = window[np.isfinite(window)]
        if not len(own) or not len(known):
            return 1.0, 0.0
        cells = _counts(np.searchsorted(edges, own, side="right"), len(edges) + 1)
        return float(ks_2samp(known, own, method="asymp").pvalue), _psi(shares, cells)

    return judge


def _names(reference: Any) -> Judge:
    size = int(reference.max(initial=-1)) + 2
    shares = _counts(reference + 1, size)

    def judge(window: Any) -> tuple[float, float]:
        wide = max(size, int(window.max(initial=-1)) + 2)
        before, now = np.pad(shares, (0, wide - size)), _counts(window + 1, wide)
        table = np.stack([before, now])[:, before + now > 0]
        if table.shape[1] < 2 or not now.sum():
            return 1.0, 0.0
        return float(chi2_contingency(table).pvalue), _psi(before, now)

    return judge


def _counts(codes: Any, size: int) -> Floats:
    return np.bincount(codes, minlength=size).astype(np.float64)


def _psi(before: Floats, now: Floats) -> float:
    p, q = (np.maximum(side / max(side.sum(), 1), 1e-4) for side in (before, now))
    return float(((q - p) * np.log(q / p)).sum())


def peers(runs: list[tuple[str, Run]], folder: Path, windows: int) -> dict[str, dict[str, dict[str, float]]]:
    """Return alarms and pages a month of NannyML and of Evidently, by run, at their defaults.

    Pages are windows with an alarm. A peer that fails is left out.
    """
    names = []
    for name, run in runs:
        place = folder / name
        place.mkdir()
        for part, slots in (("reference", range(REFERENCE_WINDOWS)), ("watched", _watched(run, windows))):
            pq.write_table(_dated(run, slots), place / f"{part}.parquet")
        names.append(str(place))
    found = {}
    for peer in ("nannyml", "evidently"):
        try:
            counts = ask(peer, PEERS / f"{peer}_alarms.py", *names, seconds=1800, variables={"OMP_NUM_THREADS": "1"})
        except PeerError as error:
            print(f"{peer} is left out: {error}")
            continue
        found[peer] = {
            name: _monthly(count[0], count[1], len(_watched(run, windows)) / MONTH)
            for name, run in runs
            if (count := counts[str(folder / name)]) is not None
        }
    return found


def _watched(run: Run, windows: int) -> range:
    return range(REFERENCE_WINDOWS, min(REFERENCE_WINDOWS + windows, len(run.rows)))


def _dated(run: Run, slots: range) -> pa.Table:
    """Return the rows of some slots with the slot as their day, what the model says, and the label."""
    rows = np.concatenate([run.rows[slot] for slot in slots])
    days = np.repeat(np.array(slots), [len(run.rows[slot]) for slot in slots])
    table = run.case.table.take(pa.array(rows))
    for place, name in enumerate(table.column_names):
        if pa.types.is_dictionary(table.schema.field(name).type):
            table = table.set_column(place, name, table[name].cast(pa.string()))
    table = table.append_column("@at", pa.array((FIRST + days) * DAY).cast(pa.timestamp("us")))
    table = table.append_column("@wrong", pa.array(run.errors[rows]))
    if not np.isnan(run.case.scores).all():
        table = table.append_column("@score", pa.array(run.case.scores[rows]))
    return table

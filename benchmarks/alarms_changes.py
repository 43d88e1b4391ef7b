"""What `benchmarks alarms` puts into watched windows: worse labels, a contaminated feature, twenty upstream breaks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from benchmarks.alarms_replay import Run, counted, stepped
from pitstop.detection.streams import Finding
from pitstop.loop.reference import REFERENCE_WINDOWS
from pitstop.loop.watch import Watch

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Rows = tuple[pa.Table, Floats, NDArray[Any]]

WITHIN = 30
WORSE = 0.05
CONTAMINATED = 0.10
# A break that leaves nearly all values as they were (0 for all in a column of zeros) is none; another column is drawn.
LEAST_CHANGED = 0.1
# Windows of a clean start before an upstream break, so that it is not the first that the detectors see.
QUIET = 5


def error_found(run: Run, seed: int) -> int | None:
    """Let the error rise by 5 points from the first watched window on; return after how many windows it is alarmed.

    Rows that were right become wrong (for a regression: errors below the 80% edge jump beyond it), so many that 5% of
    all rows do. None where no alarm of the error came within `WITHIN` windows.
    """
    rng = np.random.default_rng([seed, 5])
    edges = run.baseline.layout.outcome_bins.error_edges
    limit, worst = (edges[-1], 2 * float(run.errors.max())) if edges else (1.0, 1.0)
    slots = range(REFERENCE_WINDOWS, min(REFERENCE_WINDOWS + WITHIN, len(run.rows)))
    rows = np.concatenate([run.rows[slot] for slot in slots])
    right = rows[run.errors[rows] < limit]
    errors = run.errors.copy()
    errors[right[rng.random(len(right)) < WORSE * len(rows) / max(len(right), 1)]] = worst
    table = counted(run.case, run.baseline, run.rows, run.phases, errors, slots)
    _, findings = stepped(run.watch, table, REFERENCE_WINDOWS)
    return _first(findings, lambda item: item.stream.kind == "error")


def contamination_found(run: Run, seed: int) -> int | None:
    """Let a tenth of the rows carry one stuck value in one feature; return after how many windows that is alarmed.

    The value is the reference's 99% quantile, or its rarest known category: values that are known, so that only the
    shares change. The feature is drawn among those that have a drift monitor.
    """
    rng = np.random.default_rng([seed, 6])
    watched = sorted(
        stream.column for stream in run.watch.panel.layout.streams if stream.kind == "drift" and stream.column
    )
    column = str(rng.choice(watched))
    value = _unusual(run, column)
    slots = range(REFERENCE_WINDOWS, min(REFERENCE_WINDOWS + WITHIN, len(run.rows)))
    changed = {}
    for slot in slots:
        table, scores, decided = _given(run, slot)
        hit = rng.random(table.num_rows) < CONTAMINATED
        changed[slot] = (_set(table, column, _where(table[column], hit, value)), scores, decided)
    counts = counted(run.case, run.baseline, run.rows, run.phases, run.errors, slots, changed)
    _, findings = stepped(run.watch, counts, REFERENCE_WINDOWS)
    return _first(findings, lambda item: item.stream.column == column)


def _first(findings: list[Finding], right: Callable[[Finding], bool]) -> int | None:
    return next((item.window - REFERENCE_WINDOWS + 1 for item in findings if right(item)), None)


def _reference(run: Run, column: str) -> pa.ChunkedArray:
    return run.case.table[column].take(pa.array(np.concatenate(run.rows[:REFERENCE_WINDOWS])))


def _unusual(run: Run, column: str) -> Any:
    values = _reference(run, column)
    if column not in run.case.spec.columns.categorical:
        return float(np.nanquantile(np.asarray(values.to_numpy(), dtype=np.float64), 0.99))
    bins = dict(run.baseline.layout.categorical)[column]
    return min(bins.values, key=_shares(values).__getitem__)


def _shares(values: pa.ChunkedArray) -> dict[str, int]:
    counts = pc.value_counts(values.cast(pa.string()))
    return {item["values"]: item["counts"] for item in counts.to_pylist() if item["values"] is not None}


def _given(run: Run, slot: int) -> Rows:
    own = run.rows[slot]
    return run.case.table.take(pa.array(own)), run.case.scores[own], run.case.decided[own]


def _set(table: pa.Table, name: str, values: Any) -> pa.Table:
    return table.set_column(table.column_names.index(name), name, values)


def _where(column: pa.ChunkedArray, hit: NDArray[np.bool_], value: Any) -> Any:
    """Return a column with a value (None: null) where hit."""
    text = pa.types.is_dictionary(column.type)
    plain = column.cast(pa.string()) if text else column.combine_chunks()
    new = pc.if_else(pa.array(hit), pa.scalar(value, plain.type), plain)
    new = new.combine_chunks() if isinstance(new, pa.ChunkedArray) else new
    return new.dictionary_encode() if text else new


@dataclass(frozen=True)
class Break:
    """A kind of upstream break: what it needs a column of ("number", "category", "" for whole rows) and what it does.

    `change(run, rows, column, rng)` returns the broken rows of one window.
    """

    name: str
    needs: str
    change: Callable[[Run, Rows, str, np.random.Generator], Rows]


def _column(make: Callable[[Run, Any, str, np.random.Generator], Any]) -> Callable[..., Rows]:
    def change(run: Run, rows: Rows, column: str, rng: np.random.Generator) -> Rows:
        table, scores, decided = rows
        return _set(table, column, make(run, table[column], column, rng)), scores, decided

    return change


def _nulls(share: float) -> Callable[..., Rows]:
    return _column(lambda _run, values, _name, rng: _where(values, rng.random(len(values)) < share, None))


def _times(factor: float) -> Callable[..., Rows]:
    return _column(lambda _run, values, _name, _rng: pc.multiply(values, factor))


def _filled(share: float, value: Callable[[Run, str], Any]) -> Callable[..., Rows]:
    return _column(lambda run, values, name, rng: _where(values, rng.random(len(values)) < share, value(run, name)))


def _common(run: Run, column: str) -> Any:
    shares = _shares(_reference(run, column))
    return max(shares, key=shares.__getitem__)


def _median(run: Run, column: str) -> float:
    return float(np.nanmedian(np.asarray(_reference(run, column).to_numpy(), dtype=np.float64)))


def _renamed(run: Run, values: Any, column: str, _rng: np.random.Generator) -> Any:
    old = _common(run, column)
    return _where(
        values, np.asarray(pc.fill_null(pc.equal(values.cast(pa.string()), old), fill_value=False)), f"{old} (new)"
    )


def _recoded(_run: Run, values: Any, _column: str, _rng: np.random.Generator) -> Any:
    text = values.cast(pa.string()).combine_chunks()
    return pc.binary_join_element_wise("x", text, "-").dictionary_encode()


def _merged(run: Run, values: Any, column: str, _rng: np.random.Generator) -> Any:
    """Report the most common category as the second one; a column of one category stays as it is."""
    shares = _shares(_reference(run, column))
    if len(shares) < 2:
        return values
    first, second = sorted(shares, key=lambda name: -shares[name])[:2]
    return _where(values, np.asarray(pc.fill_null(pc.equal(values.cast(pa.string()), first), fill_value=False)), second)


def _twice(_run: Run, rows: Rows, _column: str, _rng: np.random.Generator) -> Rows:
    table, scores, decided = rows
    # Where windows are a number of rows, a batch that comes twice fills the window with its first half.
    half = np.arange((table.num_rows + 1) // 2)
    both = np.concatenate([half, half])
    return table.take(pa.array(both)), scores[both], decided[both]


def _lost(_run: Run, rows: Rows, _column: str, rng: np.random.Generator) -> Rows:
    table, scores, decided = rows
    kept = np.flatnonzero(rng.random(table.num_rows) < 0.05)
    return table.take(pa.array(kept)), scores[kept], decided[kept]


def _swapped(run: Run, rows: Rows, column: str, rng: np.random.Generator) -> Rows:
    table, scores, decided = rows
    others = [name for name in run.case.spec.numeric if name != column]
    other = str(rng.choice(others)) if others else column
    first, second = table[column], table[other]
    return _set(_set(table, column, second), other, first), scores, decided


def _stuck_score(_run: Run, rows: Rows, _column: str, _rng: np.random.Generator) -> Rows:
    table, scores, decided = rows
    return table, np.full_like(scores, scores[0]), np.full_like(decided, decided[0])


BREAKS = (
    Break("numbers: all null", "number", _nulls(1.0)),
    Break("numbers: half null", "number", _nulls(0.5)),
    Break("numbers: a fifth null", "number", _nulls(0.2)),
    Break("numbers: x 100", "number", _times(100.0)),
    Break("numbers: x 1000", "number", _times(1000.0)),
    Break("numbers: / 1000", "number", _times(0.001)),
    Break("numbers: sign turned", "number", _times(-1.0)),
    Break("numbers: stuck at the median", "number", _filled(1.0, _median)),
    Break("numbers: 0 for all", "number", _filled(1.0, lambda _run, _name: 0.0)),
    Break("numbers: -9999 in a fifth", "number", _filled(0.2, lambda _run, _name: -9999.0)),
    Break("numbers: two columns swapped", "number", _swapped),
    Break("categories: all null", "category", _nulls(1.0)),
    Break("categories: half null", "category", _nulls(0.5)),
    Break("categories: the commonest renamed", "category", _column(_renamed)),
    Break("categories: all recoded", "category", _column(_recoded)),
    Break("categories: stuck at a new one", "category", _filled(1.0, lambda _run, _name: "unknown")),
    Break("categories: two merged", "category", _column(_merged)),
    Break("rows: a batch twice", "", _twice),
    Break("rows: 95% lost", "rows", _lost),
    Break("output: stuck", "", _stuck_score),
)


def breaks_found(run: Run, seed: int) -> dict[str, bool | None]:
    """Return for each kind of break whether it is alarmed in its first window; None where the set cannot have it.

    The window is the same for all kinds; the column is drawn among those whose values the break changes. What the clean
    window would have alarmed does not count.
    """
    rng = np.random.default_rng([seed, 7])
    slot = REFERENCE_WINDOWS + QUIET
    watch, _ = stepped(run.watch, run.table, REFERENCE_WINDOWS, QUIET)
    clean = replace(run.table, **_only(run, QUIET))
    told = {item.stream.name for item in stepped(watch, clean, slot)[1]}
    columns = {"number": run.case.spec.numeric, "category": run.case.spec.columns.categorical}
    found: dict[str, bool | None] = {}
    for kind in BREAKS:
        choice = columns.get(kind.needs, ("",))
        if not choice or (kind.needs == "rows" and run.case.spec.calendar.by_rows):
            found[kind.name] = None
            continue
        found[kind.name] = None
        given = _given(run, slot)
        for column in rng.permutation(np.array(choice)):
            broken = kind.change(run, given, str(column), rng)
            if not column or _changed(given[0][str(column)], broken[0][str(column)]) >= LEAST_CHANGED:
                found[kind.name] = _paged(run, watch, slot, broken, told)
                break
    return found


def _changed(before: pa.ChunkedArray, after: Any) -> float:
    """Return the share of rows whose value is another one."""
    text = pa.types.is_dictionary(before.type)
    first, second = (
        np.array(values.cast(pa.string()).to_pylist() if text else values.to_pylist(), dtype=object)
        for values in (before, after)
    )
    return float(np.mean(first != second)) if len(first) else 0.0


def _only(run: Run, place: int) -> dict[str, Ints]:
    one = run.table.taken(np.array([place], dtype=np.int64))
    return {"k": one.k, "n": one.n, "rows": one.rows, "phases": one.phases, "spreads": one.spreads}


def _paged(run: Run, watch: Watch, slot: int, broken: Rows, told: set[str]) -> bool:
    counts = counted(run.case, run.baseline, run.rows, run.phases, run.errors, [slot], {slot: broken})
    return any(item.stream.name not in told for item in stepped(watch, counts, slot)[1])

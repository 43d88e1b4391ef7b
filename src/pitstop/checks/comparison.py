"""`check`: two tables in, findings out, with no configuration."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from pitstop.checks.breaks import breaks_in, family, swaps, time_shifts
from pitstop.checks.categories import compare_categories, count_categories
from pitstop.checks.excerpts import VALUES, Excerpt, excerpt_of
from pitstop.checks.findings import SEVERITIES, Distribution, Finding, Findings, Kind, Severity
from pitstop.checks.numeric import PSI_BINS, compare_numbers
from pitstop.checks.pairs import FEWEST_ROWS, SMALL, Pair, number
from pitstop.checks.performance import Outputs, compare_performance
from pitstop.checks.structure import compare_columns, compare_filled, compare_rows, compare_type
from pitstop.checks.times import compare_volume
from pitstop.checks.unstructured import are_vectors, compare_texts, compare_vectors, is_free_text
from pitstop.diagnosis.breaks import Break
from pitstop.errors import EmptyTableError
from pitstop.records import roles
from pitstop.records.facts import ColumnFacts, facts_of
from pitstop.records.sources import select_columns
from pitstop.records.spec import ModelSpec
from pitstop.statistics.bins import NumericBins

SAMPLE_ROWS = 200_000
GUESS_ROWS = 50_000
FEWEST_GUESS_ROWS = 1_000
# Of two tables of one population, at most this share gives any finding by chance (all columns and tests together).
ALPHA = 0.01
_TESTS_PER_COLUMN = 6
# A label by name and place, not only because it stands last: otherwise it is a column like any other.
_SURE_LABEL = 70
_PICTURES = 12
_NEW = ("range", "new_values", "unseen_categories")
# Faults that explain the drift of their column.
_WHOLE = ("all_null", "unit_change", "stuck_value", "renamed_category", "time_shift")
# Rows that are looked at where several columns are needed at a time.
_ACROSS_ROWS = 20_000
_ACROSS_COLUMNS = 50


@dataclass(frozen=True)
class _Roles:
    time: str | None = None
    id: str | None = None
    label: str | None = None
    prediction: str | None = None
    score: str | None = None
    positive: str | None = None
    task: str | None = None


def check(reference: Any, current: Any, *, spec: ModelSpec | None = None) -> Findings:
    """Compare two tables (anything that `read_table` takes) and say what changed, worst first.

    Each column gets its most specific finding. A difference is told where it is both more than chance (one error
    probability of 0.01 for everything together, shared by Bonferroni) and large enough to matter. Where both hold
    labels and the model's own output, performance is compared as well. The order of columns and of rows means nothing.
    Above 200,000 rows, values are compared on evenly spaced rows; repeated rows are counted on all, beyond a million
    different ones with a standard error of 0.14% of them. Parquet and Arrow files need not fit in memory: some columns
    are compared at a time.

    With `spec` only its columns are compared, in its roles; else the roles are guessed from names. Rows that hang
    together in time differ by more than chance; comparing two stretches of time shows that, rightly.

    Raises `EmptyTableError` (a side without rows), and what `read_table` raises.
    """
    before, after = excerpt_of(reference), excerpt_of(current)
    _refuse_empty(before, after)
    notes = [*before.notes, *after.notes]
    known, first, second = _Roles(), before.names, after.names
    if spec is None:
        known = _guessed(before)
    else:
        known, first = _as_specified(spec, before)
        second = [name for name in first if name in second]
    if _labels_are_late(first, second, after, known.label):
        notes.append(f"the current table holds no labels ({known.label}), so labels and performance are not compared")
        first, second = ([name for name in names if name != known.label] for names in (first, second))
    alpha = ALPHA / (_TESTS_PER_COLUMN * max(1, len(first)))
    if min(before.rows, after.rows) < FEWEST_ROWS:
        notes.append(f"distributions are compared from {FEWEST_ROWS} rows on; there are {before.rows} and {after.rows}")
    found = compare_columns(first, second)
    both = [name for name in first if name in second]
    roles: dict[str, Pair] = {}
    across = _across(before, after, both, known, alpha)
    certain: dict[str, float] = {}
    for pair in _pairs(before, after, both, alpha):
        breaks = [*across.get(pair.name, ()), *_breaks(pair, known)]
        found += _told(breaks, _compare(pair, known))
        if breaks:
            certain[pair.name] = breaks[0].certainty
        if pair.name in (known.time, known.label, known.prediction, known.score):
            roles[pair.name] = pair
    found += compare_rows(before, after, both, known.id if known.id in second else None, known.time, alpha)
    if known.time is not None and known.time in roles:
        time = roles[known.time]
        if family(time.reference) == family(time.current) == "time":
            found += compare_volume(time, before.rows, after.rows)
    found += _performance(roles, known, alpha)
    ranked = sorted(
        found,
        key=lambda item: (
            not item.upstream,
            SEVERITIES.index(item.severity),
            -certain.get(item.column, 0.0) if item.upstream else 0.0,
            -_rank(item),
            item.column,
        ),
    )
    return Findings(tuple(ranked), before.rows, after.rows, tuple(notes), _pictures(ranked, both, before, after, alpha))


def _refuse_empty(before: Excerpt, after: Excerpt) -> None:
    for side, table in (("reference", before), ("current", after)):
        if table.rows == 0:
            msg = f"the {side} table has no rows; a comparison needs rows on both sides"
            raise EmptyTableError(msg)


def _across(
    before: Excerpt, after: Excerpt, names: Sequence[str], known: _Roles, alpha: float
) -> dict[str, list[Break]]:
    """Return moved hours and swapped columns by column. The label may be late, so it is no witness of the others."""
    used = [name for name in names if name not in (known.label, known.id)][:_ACROSS_COLUMNS]
    first, second = (facts_of(table.sample(used, _ACROSS_ROWS)) for table in (before, after))
    pairs = [Pair(name, first[name], second[name], alpha) for name in used]
    found: dict[str, list[Break]] = {}
    for item in (*time_shifts(pairs), *swaps(pairs)):
        found.setdefault(item.column, []).append(item)
    return found


def _pairs(before: Excerpt, after: Excerpt, names: Sequence[str], alpha: float) -> Iterator[Pair]:
    """Yield the columns of both tables, read some at a time."""
    width = max(1, VALUES // min(SAMPLE_ROWS, max(before.rows, after.rows)))
    for start in range(0, len(names), width):
        block = names[start : start + width]
        first, second = (facts_of(table.sample(block, SAMPLE_ROWS)) for table in (before, after))
        yield from (Pair(name, first[name], second[name], alpha) for name in block)


def _rank(finding: Finding) -> float:
    """Sizes of different kinds have different units; those that are no share count as a whole table's change."""
    return (
        1.0 if finding.kind in ("unit_change", "volume", "time_shift", "performance_drop") else min(1.0, finding.size)
    )


def _guessed(table: Excerpt) -> _Roles:
    # Of a table of thousands of columns fewer rows are looked at: a role shows in its name and its first values.
    rows = min(GUESS_ROWS, max(FEWEST_GUESS_ROWS, VALUES * 4 // len(table.names)))
    sampled = table.sample(table.names, rows)
    facts = facts_of(sampled)
    time = roles.guess_time(facts)
    taken = {time.value} if time else set()
    identity = _guessed_id(table, sampled, facts, taken)
    taken |= {identity} if identity else set()
    outputs = {role: guess.value for role, guess in roles.guess_outputs(facts, taken).items()}
    taken |= set(outputs.values())
    label = roles.guess_label(facts, taken, outputs.get("prediction"), least=_SURE_LABEL)
    task = roles.guess_task(facts[label.value]) if label else None
    binary = label is not None and task is not None and task.value == "binary"
    return _Roles(
        time=time.value if time else None,
        id=identity,
        label=label.value if label else None,
        prediction=outputs.get("prediction"),
        score=outputs.get("score"),
        positive=roles.guess_positive(facts[label.value]).value if label and binary else None,
        task=task.value if task else None,
    )


def _guessed_id(table: Excerpt, sampled: pa.Table, facts: Mapping[str, ColumnFacts], taken: set[str]) -> str | None:
    """Return the column that names each row of the whole table, where one does."""
    refused = set(taken)
    while (guess := roles.guess_id(sampled, facts, refused)) is not None:
        if sampled.num_rows == table.rows or not table.distinct([guess.value]).repeats:
            return guess.value
        refused.add(guess.value)
    return None


def _as_specified(spec: ModelSpec, before: Excerpt) -> tuple[_Roles, list[str]]:
    columns = spec.columns
    single = (columns.time, columns.id, columns.label, columns.prediction, columns.score)
    named = [
        *(name for name in single if name),
        *columns.inputs,
        *columns.segments,
        *columns.protected,
        *spec.amounts,
    ]
    wanted = list(dict.fromkeys(named))
    select_columns(before.schema.empty_table(), wanted)
    known = _Roles(
        time=columns.time,
        id=columns.id,
        label=columns.label,
        prediction=columns.prediction,
        score=columns.score,
        positive=spec.decision.positive,
        task=spec.model.task,
    )
    return known, wanted


def _labels_are_late(first: Sequence[str], second: Sequence[str], after: Excerpt, label: str | None) -> bool:
    """Whether only the reference has labels: they come late, and that is no finding."""
    if label is None or label not in first:
        return False
    return label not in second or facts_of(after.sample([label], SAMPLE_ROWS))[label].kind == "empty"


def _breaks(pair: Pair, known: _Roles) -> list[Break]:
    if pair.name == known.label or compare_type(pair):
        return []
    if pair.name in (known.id, known.time) or _counts_rows(pair.reference):
        return [item for item in breaks_in(pair) if item.kind in ("all_null", "new_nulls")]
    found = breaks_in(pair)
    # What a model says follows its inputs: new numbers there are the drift that they make.
    return [item for item in found if item.kind not in _NEW] if _kind(pair.name, known) == "score_drift" else found


def _compare(pair: Pair, known: _Roles) -> list[Finding]:
    found = compare_type(pair)
    if found:
        return found
    if pair.name != known.label:
        found += compare_filled(pair)
    kind = _kind(pair.name, known)
    what = family(pair.reference)
    if pair.name in (known.id, known.time) or what == "time" or _counts_rows(pair.reference):
        return found
    classes = pair.name == known.label and known.task != "regression"
    if what == "number" and not classes:
        return found + compare_numbers(pair, kind)
    if what == "text" and kind == "drift" and is_free_text(pair.reference):
        return found + compare_texts(pair)
    if are_vectors(pair.reference) and are_vectors(pair.current):
        return found + compare_vectors(pair)
    return found + (compare_categories(pair, kind) if what in ("text", "flag", "number") else [])


def _kind(name: str, known: _Roles) -> Kind:
    if name == known.label:
        return "label_shift"
    return "score_drift" if name in (known.prediction, known.score) else "drift"


def _counts_rows(facts: ColumnFacts) -> bool:
    """Whether a number only counts the rows (an index, a step): it never comes back, so it has no distribution."""
    return (
        facts.kind == "number"
        and facts.whole
        and facts.distinct == len(facts.column)
        and len(facts.column) >= FEWEST_ROWS
    )


def _told(breaks: Sequence[Break], others: Sequence[Finding]) -> list[Finding]:
    """Return what is told of a column: its most certain fault, or else the worst change.

    A fault of the whole column explains the drift that it makes. Lost values, or a category that is small, do not
    explain a large drift beside: that is told as well.
    """
    worst = min(others, key=lambda item: SEVERITIES.index(item.severity), default=None)
    if not breaks:
        return [worst] if worst is not None else []
    first = max(breaks, key=lambda item: (item.share >= 1.0, item.certainty))
    loud: Severity = "critical" if first.share >= 0.2 else "warning"
    told = [Finding(first.column, first.kind, loud, first.size, first.sentence, upstream=True)]
    partial = first.kind not in _WHOLE or (first.kind == "renamed_category" and first.share < SMALL)
    beside = [item for item in others if item.severity == "critical" and item.kind != "vanished_category"]
    return [*told, *beside[:1]] if partial else told


def _performance(pairs: Mapping[str, Pair], known: _Roles, alpha: float) -> list[Finding]:
    if known.label is None or known.task is None or known.label not in pairs:
        return []
    prediction = _steady(pairs, known.prediction, number=known.task == "regression")
    score = _steady(pairs, known.score, number=True)
    label, positive = pairs[known.label], known.positive or ""
    sides = [
        Outputs(
            label.reference, prediction.reference if prediction else None, score.reference if score else None, positive
        ),
        Outputs(label.current, prediction.current if prediction else None, score.current if score else None, positive),
    ]
    if any(family(sides[0].label) != family(side.label) for side in sides):
        return []
    return compare_performance(sides[0], sides[1], known.task, alpha)


def _steady(pairs: Mapping[str, Pair], name: str | None, *, number: bool) -> Pair | None:
    """Return an output of the model, None where it holds another kind of values now: that is told, and has no error.

    `number`: only numbers will do.
    """
    pair = pairs.get(name or "")
    if pair is None or family(pair.reference) != family(pair.current):
        return None
    return pair if not number or family(pair.reference) == "number" else None


def _pictures(
    found: list[Finding], both: Sequence[str], before: Excerpt, after: Excerpt, alpha: float
) -> tuple[Distribution, ...]:
    """Return both distributions of the columns that were found different, worst first."""
    known = set(both)
    named = list(dict.fromkeys(item.column for item in found if item.column in known))
    pictures = [_picture(pair) for pair in _pairs(before, after, named[:_PICTURES], alpha)]
    return tuple(picture for picture in pictures if picture is not None)


def _picture(pair: Pair) -> Distribution | None:
    what = family(pair.reference)
    if what != family(pair.current) or what not in ("number", "text", "flag"):
        return None
    if what == "number":
        reference, current = pair.reference.numbers(), pair.current.numbers()
        both = [side[np.isfinite(side)] for side in (reference, current)]
        edges = np.array(NumericBins.fit(np.concatenate(both), PSI_BINS).edges)
        if len(edges) < 2:
            return None
        counted = [
            np.bincount(np.searchsorted(edges, side, side="right"), minlength=len(edges) + 1)[1:-1] for side in both
        ]
        cells = tuple(f"{number(low)} to {number(high)}" for low, high in itertools.pairwise(edges))
    else:
        counts = count_categories(pair)
        top = np.argsort(-(counts.reference + counts.current), kind="stable")[:PSI_BINS]
        cells = tuple(counts.names[at] for at in top)
        counted = [counts.reference[top], counts.current[top]]
    shares = [tuple(float(share) for share in side / max(1, side.sum())) for side in counted]
    return Distribution(pair.name, cells, shares[0], shares[1])

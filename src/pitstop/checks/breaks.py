"""Faults of a pipeline in two tables: each column given to the recognisers of `pitstop.diagnosis`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pitstop.checks.pairs import Pair
from pitstop.diagnosis.breaks import Break, ranked
from pitstop.diagnosis.categories import Categories, find_renamed, find_stuck_category
from pitstop.diagnosis.hours import FEWEST_HOURS, HOURS, Course, Hours, find_time_shift
from pitstop.diagnosis.missing import find_missing
from pitstop.diagnosis.novel import find_new_numbers, find_new_words
from pitstop.diagnosis.numbers import find_stuck_number, find_unit_change
from pitstop.diagnosis.swapped import Family, find_swapped, numeric_family
from pitstop.records import columns as convert
from pitstop.records.calendar import HOUR
from pitstop.records.facts import ColumnFacts

Ints = NDArray[np.int64]


def family(facts: ColumnFacts) -> str:
    """Return the kind of a column for comparison: number, text, time, flag, other, or nothing where it is all null."""
    kind = facts.column.type
    if facts.kind in ("empty", "time", "flag", "other"):
        return "" if facts.kind == "empty" else facts.kind
    return "text" if convert.is_text(kind) else "number"


def missing(facts: ColumnFacts) -> NDArray[np.bool_]:
    """Return which values are missing; NaN and infinities are."""
    plain = convert.decoded(facts.column)
    if facts.kind == "number" and pa.types.is_floating(plain.type):
        return np.asarray(~np.isfinite(plain.cast(pa.float64()).to_numpy(zero_copy_only=False)), dtype=np.bool_)
    return np.asarray(plain.is_null().to_numpy(zero_copy_only=False))


def sides_of(pair: Pair) -> Categories:
    """Return both sides of a column as codes of its values."""
    words = [convert.texts(side.column, pair.name) for side in (pair.reference, pair.current)]
    coded = pa.concat_arrays([side.cast(pa.string()) for side in words]).dictionary_encode()
    codes = np.asarray(coded.indices.fill_null(-1), dtype=np.int64)
    return Categories(tuple(coded.dictionary.to_pylist()), codes[: pair.rows], codes[pair.rows :])


def breaks_in(pair: Pair, *, classes: bool = False) -> list[Break]:
    """Return the faults of one column but for hours, the most certain first. `classes`: numbers stand for classes."""
    found = [find_missing(pair.name, missing(pair.reference), missing(pair.current), pair.alpha)]
    what = family(pair.reference)
    if what == family(pair.current) and what == "number" and not classes:
        before, after = pair.reference.numbers(), pair.current.numbers()
        found.append(
            find_unit_change(pair.name, before, after, pair.alpha)
            or find_stuck_number(pair.name, before, after, pair.alpha)
            or find_new_numbers(pair.name, before, after)
        )
    elif what == family(pair.current) and what in ("text", "flag", "number"):
        sides = sides_of(pair)
        found.append(
            find_renamed(pair.name, sides, pair.alpha)
            or find_stuck_category(pair.name, sides, pair.alpha)
            or find_new_words(pair.name, sides.names, sides.reference, sides.current)
        )
    return list(ranked(item for item in found if item is not None))


def swaps(pairs: Sequence[Pair]) -> list[Break]:
    """Return the columns of numbers, and those of texts, that changed places in part of the rows."""
    numbers = [pair for pair in pairs if family(pair.reference) == "number" == family(pair.current)]
    texts = [pair for pair in pairs if family(pair.reference) == "text" == family(pair.current)]
    before = {pair.name: pair.reference.numbers() for pair in numbers}
    after = {pair.name: pair.current.numbers() for pair in numbers}

    def in_another_unit(name: str) -> bool:
        return find_unit_change(name, before[name], after[name], alphas[name]) is not None

    alphas = {pair.name: pair.alpha for pair in numbers}
    found = find_swapped(numeric_family(before, after), in_another_unit) if len(numbers) > 1 else []
    if len(texts) > 1:
        words: dict[str, int] = {}
        first = {pair.name: _shared(pair.reference, pair.name, words) for pair in texts}
        second = {pair.name: _shared(pair.current, pair.name, words) for pair in texts}
        found += find_swapped(Family(len(words), first, second))
    return found


def _shared(facts: ColumnFacts, name: str, words: dict[str, int]) -> Ints:
    """Return codes of a text column over one vocabulary for all columns, which grows."""
    coded = convert.texts(facts.column, name).cast(pa.string()).dictionary_encode()
    table = np.array([*(words.setdefault(word, len(words)) for word in coded.dictionary.to_pylist()), -1])
    return np.asarray(table[np.asarray(coded.indices.fill_null(-1))], dtype=np.int64)


def time_shifts(pairs: Sequence[Pair]) -> list[Break]:
    """Return the columns of times and of hours that are moved by a constant; other numbers are their witnesses."""
    hours = [found for pair in pairs if (found := _hours(pair)) is not None]
    taken = {item.column for item in hours}
    courses = [
        Course(pair.reference.numbers(), pair.current.numbers())
        for pair in pairs
        if pair.name not in taken and family(pair.reference) == "number" == family(pair.current)
    ]
    alphas = {pair.name: pair.alpha for pair in pairs}
    shifts = [find_time_shift(item, courses, alphas[item.column]) for item in hours]
    return [item for item in shifts if item is not None]


def _hours(pair: Pair) -> Hours | None:
    kinds = {family(pair.reference), family(pair.current)}
    if kinds == {"time"}:
        first, second = (_hours_of_day(side) for side in (pair.reference, pair.current))
        return Hours(pair.name, first, second) if np.unique(first).size > 1 else None
    whole = kinds == {"number"} and pair.reference.whole and pair.current.whole
    if not whole or not FEWEST_HOURS <= pair.reference.distinct <= HOURS:
        return None
    before, after = (side.numbers() for side in (pair.reference, pair.current))
    known = [side[np.isfinite(side)] for side in (before, after)]
    if any(not side.size or side.min() < 0 or side.max() >= HOURS for side in known):
        return None
    # A count below 24 is no hour: its name says which it is, or that it takes every value.
    named = any(word in pair.name.casefold().replace("_", " ").split() for word in ("hour", "hr", "hh", "h"))
    if not named and pair.reference.distinct < HOURS:
        return None
    return Hours(pair.name, *(np.where(np.isfinite(side), side, -1).astype(np.int64) for side in (before, after)))


def _hours_of_day(facts: ColumnFacts) -> Ints:
    times = facts.instants()
    return np.where(times.valid, times.values // HOUR % HOURS, -1).astype(np.int64)

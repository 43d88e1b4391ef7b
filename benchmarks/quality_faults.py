"""Partitions of real tables in time order with faults of data quality in them, as files that every rival can read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from benchmarks.causes_tables import Source, load

Generator = np.random.Generator
Hits = NDArray[np.bool_]
KINDS = ("nulls", "swaps", "typos", "units", "duplicates", "stale")
# Consecutive partitions that are known to be good: the first are the reference, the later ones tune rivals.
PARTITION, REFERENCE, HELD = 1000, 8, 2


@dataclass(frozen=True)
class Trial:
    """A reference of eight good partitions, two more good ones after it, and the one in question."""

    source: Source
    kind: str
    reference: pa.Table
    held: tuple[pa.Table, ...]
    partition: pa.Table


def trials(sources: Sequence[Source], data: Path | None, seed: int, each: int, clean: int) -> Iterator[Trial]:
    """Yield `each` partitions with a fault of every kind and `clean` without, the sources in turn."""
    tables = {source.name: load(source, data) for source in sources}
    for number, kind in enumerate((*KINDS, "")):
        random = np.random.default_rng([seed, number])
        done = 0
        while done < (each if kind else clean):
            source = sources[done % len(sources)]
            done += 1
            # Not every table has two columns that can change places, or texts to mistype.
            for _ in range(20):
                trial = _trial(tables[source.name], source, kind, random)
                if trial is not None:
                    yield trial
                    break


def _trial(table: pa.Table, source: Source, kind: str, random: Generator) -> Trial | None:
    size = PARTITION * (REFERENCE + HELD + 1)
    first = int(random.integers(0, table.num_rows - size))
    pieces = [table.slice(first + at * PARTITION, PARTITION) for at in range(REFERENCE + HELD + 1)]
    reference = pa.concat_tables(pieces[:REFERENCE])
    partition = _broken(source, kind, pieces[REFERENCE - 1], pieces[-1], random) if kind else pieces[-1]
    if partition is None:
        return None
    return Trial(source, kind, reference, tuple(pieces[REFERENCE:-1]), partition)


def _broken(source: Source, kind: str, last: pa.Table, partition: pa.Table, random: Generator) -> pa.Table | None:
    rows = partition.num_rows
    hit = random.random(rows) < random.uniform(0.05, 0.5)
    features = [name for name in partition.column_names if name not in (source.label, source.time, *source.hours)]
    if kind == "duplicates":
        return pa.concat_tables([partition, partition.take(pa.array(np.flatnonzero(hit)))])
    if kind == "stale":
        # The last known partition comes again, stamped anew where there is a time.
        return last if source.time is None else _with(last, source.time, partition.column(source.time))
    return {"swaps": _swapped, "typos": _with_typos, "units": _in_two_units, "nulls": _with_nulls}[kind](
        partition, features, hit, random
    )


def _with_nulls(partition: pa.Table, features: list[str], hit: Hits, random: Generator) -> pa.Table:
    name = str(random.choice(features))
    column = partition.column(name)
    return _with(partition, name, pc.if_else(pa.array(hit), pa.scalar(None, column.type), column))


def _with_typos(partition: pa.Table, features: list[str], hit: Hits, random: Generator) -> pa.Table | None:
    texts = [name for name in features if _is_text(partition.column(name))]
    if not texts:
        return None
    name = str(random.choice(texts))
    pairs = zip(partition.column(name).to_pylist(), hit.tolist(), strict=True)
    words = [_mistyped(word, random) if word and wrong else word for word, wrong in pairs]
    return _with(partition, name, pa.array(words, partition.column(name).type))


def _in_two_units(partition: pa.Table, features: list[str], hit: Hits, random: Generator) -> pa.Table | None:
    numbers = [name for name in features if _measures(partition.column(name))]
    if not numbers:
        return None
    name = str(random.choice(numbers))
    column = pc.cast(partition.column(name), pa.float64())
    factor = float(random.choice([0.001, 0.01, 100.0, 1000.0]))
    return _with(partition, name, pc.if_else(pa.array(hit), pc.multiply(column, factor), column))


def _swapped(partition: pa.Table, features: list[str], hit: Hits, random: Generator) -> pa.Table | None:
    numbers = [name for name in features if _measures(partition.column(name))]
    texts = [name for name in features if _is_text(partition.column(name))]
    able = [names for names in (numbers, texts) if len(names) > 1]
    if not able:
        return None
    one, other = random.choice(able[int(random.integers(len(able)))], 2, replace=False).tolist()
    kind = pa.float64() if one in numbers else pa.large_string()
    first, second = (pc.cast(partition.column(name), kind) for name in (one, other))
    # Origin and destination hold the same words: no marginal shows that they changed places.
    if one in texts and set(pc.unique(first).to_pylist()) & set(pc.unique(second).to_pylist()) - {None}:
        return None
    wrong = pa.array(hit)
    return _with(_with(partition, one, pc.if_else(wrong, second, first)), other, pc.if_else(wrong, first, second))


def _with(table: pa.Table, name: str, column: pa.ChunkedArray | pa.Array) -> pa.Table:
    return table.set_column(table.column_names.index(name), name, column)


def _is_text(column: pa.ChunkedArray) -> bool:
    return bool(pa.types.is_string(column.type) or pa.types.is_large_string(column.type))


def _measures(column: pa.ChunkedArray) -> bool:
    """Whether a column holds amounts: numbers of more than five values, not mostly zero."""
    if not (pa.types.is_floating(column.type) or pa.types.is_integer(column.type)):
        return False
    values = column.drop_null().to_numpy()
    return len(np.unique(values)) > 5 and float(np.mean(values != 0)) >= 0.2


def _mistyped(word: str, random: Generator) -> str:
    """Return a word with one slip: a letter lost, doubled, changed, or two turned round."""
    at = int(random.integers(len(word)))
    slip = int(random.integers(4))
    if slip == 0 and len(word) > 1:
        return word[:at] + word[at + 1 :]
    if slip == 1:
        return word[: at + 1] + word[at:]
    if slip == 2 and at + 1 < len(word):
        return word[:at] + word[at + 1] + word[at] + word[at + 2 :]
    return word[:at] + chr(ord("a") + int(random.integers(26))) + word[at + 1 :]

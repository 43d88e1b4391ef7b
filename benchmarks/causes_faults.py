"""Faults of a pipeline, put into windows of real tables: what broke, in which column, and the window after it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from benchmarks.causes_tables import Source, load

Generator = np.random.Generator
KINDS = ("nulls 5%", "nulls 20%", "nulls 100%", "unit x100", "unit x1000", "rename", "stuck", "time shift")
# A category that is renamed has at least this share of the window's rows.
RENAMED_SHARE = 0.05


@dataclass(frozen=True)
class Case:
    """A reference, the window after it with one fault (or none: kind ""), and the columns in which the fault is."""

    source: Source
    kind: str
    columns: tuple[str, ...]
    reference: pa.Table
    window: pa.Table


def cases(sources: Sequence[Source], data: Path | None, seed: int, each: int, clean: int) -> Iterator[Case]:
    """Yield `each` cases of every kind and `clean` windows without a fault, over the sources in turn."""
    tables = {source.name: load(source, data) for source in sources}
    for number, kind in enumerate((*KINDS, "")):
        random = np.random.default_rng([seed, number])
        able = [source for source in sources if kind not in ("time shift", "rename") or _able(source, tables, kind)]
        done = 0
        while done < (each if kind else clean):
            source = able[done % len(able)]
            before, after = _stretch(tables[source.name], source, random)
            found = _broken(source, kind, before, after, random) if kind else ((), after)
            if found is None:
                continue
            done += 1
            yield Case(source, kind, found[0], before, found[1])


def _able(source: Source, tables: dict[str, pa.Table], kind: str) -> bool:
    if kind == "time shift":
        return bool(source.hours)
    return any(
        pa.types.is_string(field.type) or pa.types.is_large_string(field.type) for field in tables[source.name].schema
    )


def _stretch(table: pa.Table, source: Source, random: Generator) -> tuple[pa.Table, pa.Table]:
    first = int(random.integers(0, table.num_rows - source.reference - source.window))
    return table.slice(first, source.reference), table.slice(first + source.reference, source.window)


def _broken(
    source: Source, kind: str, before: pa.Table, window: pa.Table, random: Generator
) -> tuple[tuple[str, ...], pa.Table] | None:
    """Return the columns that broke and the window, or None where this stretch has no column that can break so."""
    if kind == "time shift":
        hours = int(random.integers(1, 13)) * (1 if random.random() < 0.5 else -1)
        return source.hours, _moved(window, source.hours, hours)
    features = [name for name in window.column_names if name not in (source.label, source.time, *source.hours)]
    makers = {"nulls": _with_nulls, "unit": _in_another_unit, "rename": _renamed, "stuck": _stuck}
    found = makers[kind.split(maxsplit=1)[0]](kind, features, before, window, random)
    if found is None:
        return None
    name, column = found
    return (name,), window.set_column(window.column_names.index(name), name, column)


Broken = tuple[str, Any] | None


def _with_nulls(kind: str, features: list[str], _: pa.Table, window: pa.Table, random: Generator) -> Broken:
    name = str(random.choice(features))
    share = float(kind.removeprefix("nulls ").removesuffix("%")) / 100
    lost = pa.array(random.random(window.num_rows) < share)
    return name, pc.if_else(lost, pa.scalar(None, window.column(name).type), window.column(name))


def _in_another_unit(kind: str, features: list[str], before: pa.Table, window: pa.Table, random: Generator) -> Broken:
    numbers = [name for name in features if _measures(before.column(name)) and _measures(window.column(name))]
    if not numbers:
        return None
    name = str(random.choice(numbers))
    return name, pc.multiply(pc.cast(window.column(name), pa.float64()), float(kind.removeprefix("unit x")))


def _renamed(_: str, features: list[str], __: pa.Table, window: pa.Table, random: Generator) -> Broken:
    texts = {name: window.column(name) for name in features if _is_text(window.column(name))}
    pairs = [(name, word) for name, column in texts.items() for word in _common(column)]
    if not pairs:
        return None
    name, word = pairs[int(random.integers(len(pairs)))]
    new = pa.scalar(_other_name(word, random), texts[name].type)
    return name, pc.if_else(pc.equal(texts[name], word), new, texts[name])


def _stuck(_: str, features: list[str], before: pa.Table, window: pa.Table, random: Generator) -> Broken:
    # A column of one value cannot be seen to stick.
    varied = [name for name in features if _varies(before.column(name)) and _varies(window.column(name))]
    name = str(random.choice(varied))
    known = window.column(name).drop_null()
    value = known[int(random.integers(len(known)))].as_py()
    return name, pa.array([value] * window.num_rows, known.type)


def _is_text(column: pa.ChunkedArray) -> bool:
    return bool(pa.types.is_string(column.type) or pa.types.is_large_string(column.type))


def _measures(column: pa.ChunkedArray) -> bool:
    """Whether a column holds amounts that a unit can belong to: numbers of more than two values, not mostly zero."""
    if not (pa.types.is_floating(column.type) or pa.types.is_integer(column.type)):
        return False
    values = column.drop_null().to_numpy()
    return len(np.unique(values)) > 5 and float(np.mean(values != 0)) >= 0.2


def _varies(column: pa.ChunkedArray) -> bool:
    counted = pc.value_counts(column.drop_null()).field("counts").to_numpy()
    return bool(len(counted) > 1 and counted.max() / counted.sum() < 0.9)


def _common(column: pa.ChunkedArray) -> list[str]:
    counted = pc.value_counts(column.drop_null())
    rows = counted.field("counts").to_numpy()
    names = counted.field("values").to_pylist()
    return [name for name, count in zip(names, rows, strict=True) if count >= RENAMED_SHARE * len(column)]


def _other_name(word: str, random: Generator) -> str:
    """Return a new name: other case, another separator, a prefix, or a code that is not like it at all."""
    ways = (word.swapcase(), word.replace(" ", "_") + "_v2", f"cat:{word}", f"X{int(random.integers(100, 999))}")
    new = str(ways[int(random.integers(len(ways)))])
    return new if new != word else f"{word}_new"


def _moved(window: pa.Table, columns: Sequence[str], hours: int) -> pa.Table:
    for name in columns:
        at, column = window.column_names.index(name), window.column(name)
        if pa.types.is_timestamp(column.type):
            moved = pa.array(column.to_numpy() + np.timedelta64(hours, "h"), column.type)
        else:
            moved = pa.array((column.to_numpy() + hours) % 24, column.type)
        window = window.set_column(at, name, moved)
    return window

"""Changes of a model's world, put into real rows so that the truth is known: of the inputs, of the relation, of both.

A model is fitted on one part of a table, and rows that it has not seen are drawn at random into a pool. The reference
is drawn evenly from the pool. A change of the inputs draws the window with weights that depend on a feature only, so
the relation stays; a change of the relation gives a share of the rows in a region another label. The truth is what
the pool says: means over all its rows, with the weights and the chances of another label, not over the drawn ones.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

from benchmarks.causes_tables import Source, load

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
KINDS = ("inputs", "relation", "both")
# Rows that the model learns from; rows of the reference and of the window that are compared.
LEARNT, REFERENCE, WINDOW = 6_000, 8_000, 3_000


@dataclass(frozen=True)
class World:
    """Rows that a model has not seen: their features, what it says of them, and its error on each."""

    source: Source
    features: pa.Table
    scores: Floats
    decided: NDArray[Any]
    labels: NDArray[Any]
    classes: tuple[str, ...]
    categorical: tuple[str, ...]


@dataclass(frozen=True)
class Change:
    """A reference and a window of rows of one world; the window's errors; and what truly came from where."""

    world: World
    kind: str
    reference: Ints
    window: Ints
    reference_errors: Floats
    window_errors: Floats
    inputs: float
    relation: float


def world(source: Source, data: Path | None, seed: int) -> World:
    """Fit a model on some rows and return the others, in random order. Raises `MissingDataError`."""
    random = np.random.default_rng(seed)
    table = load(source, data)
    table = table.take(pa.array(random.permutation(table.num_rows)[:60_000]))
    names = [name for name in table.column_names if name not in (source.label, source.time)]
    text = tuple(name for name in names if not _is_number(table.column(name)))
    codes = np.column_stack([_codes(table.column(name), text=name in text) for name in names])
    labels = table.column(source.label).to_numpy(zero_copy_only=False)
    classes: tuple[str, ...] = ()
    if source.task == "regression":
        model = HistGradientBoostingRegressor(max_iter=60, random_state=seed).fit(codes[:LEARNT], labels[:LEARNT])
        decided = np.asarray(model.predict(codes[LEARNT:]), dtype=np.float64)
        scores, target = np.full(decided.size, np.nan), labels[LEARNT:].astype(np.float64)
    else:
        words = labels.astype(str)
        fitted = HistGradientBoostingClassifier(max_iter=60, random_state=seed).fit(codes[:LEARNT], words[:LEARNT])
        chances = fitted.predict_proba(codes[LEARNT:])
        decided = np.asarray(fitted.classes_)[chances.argmax(axis=1)].astype(object)
        scores = chances[:, 1] if source.task == "binary" else chances.max(axis=1)
        target = words[LEARNT:].astype(object)
        classes = tuple(str(name) for name in fitted.classes_)
    features = pa.table(
        {name: table.column(name).slice(LEARNT).cast(pa.string() if name in text else pa.float64()) for name in names}
    )
    return World(source, features, scores, decided, target, classes, text)


def changes(known: World, seed: int, each: int) -> Iterator[Change]:
    """Yield `each` changes of every kind."""
    for number, kind in enumerate(KINDS):
        for attempt in range(each):
            yield _change(known, kind, np.random.default_rng([seed, number, attempt]))


def _change(known: World, kind: str, random: np.random.Generator) -> Change:
    rows = known.features.num_rows
    numbers = [name for name in known.features.column_names if name not in known.categorical]
    ranks = [_ranks(known, name) for name in (*numbers, *known.categorical)]
    errors = _errors(known, known.labels)
    even = np.full(rows, 1 / rows)
    weights, chance = even, np.zeros(rows)
    if kind in ("inputs", "both"):
        # Of a few features the one along which the error changes; a covariate that changes nothing tests nothing.
        chosen = random.choice(len(ranks), size=min(6, len(ranks)), replace=False)
        best = max(chosen, key=lambda at: abs(float(np.cov(ranks[at], errors)[0, 1])))
        slope = np.sign(np.cov(ranks[best], errors)[0, 1]) or 1.0
        weights = np.exp(float(random.uniform(2.0, 4.0)) * slope * ranks[best])
        weights /= weights.sum()
    other = _other_errors(known, random)
    if kind in ("relation", "both"):
        at = int(random.integers(len(ranks)))
        region = ranks[at] >= random.uniform(0.3, 0.6)
        chance = np.where(region, random.uniform(0.3, 0.6), 0.0)
    reference = random.choice(rows, REFERENCE, p=even)
    window = random.choice(rows, WINDOW, p=weights)
    turned = random.random(WINDOW) < chance[window]
    changed = chance * (other - errors)
    return Change(
        known,
        kind,
        reference,
        window,
        errors[reference],
        np.where(turned, other[window], errors[window]),
        float((weights - even) @ errors),
        float(weights @ changed),
    )


def _errors(known: World, labels: NDArray[Any]) -> Floats:
    if known.source.task == "regression":
        return np.asarray(np.abs(known.decided - labels), dtype=np.float64)
    return np.asarray(known.decided != labels, dtype=np.float64)


def _other_errors(known: World, random: np.random.Generator) -> Floats:
    """Return each row's error if its label were another: another class, or half as much again and a little more."""
    if known.source.task == "regression":
        spread = float(np.std(known.labels))
        return np.asarray(np.abs(known.decided - (1.5 * known.labels + 0.2 * spread)), dtype=np.float64)
    classes = np.array(known.classes, dtype=object)
    own = np.array([known.classes.index(str(label)) for label in known.labels])
    step = random.integers(1, len(classes), own.size)
    return np.asarray(known.decided != classes[(own + step) % len(classes)], dtype=np.float64)


def _ranks(known: World, name: str) -> Floats:
    """Return a feature's ranks from 0 to 1; categories by how wrong the model is there; missing: the middle."""
    if name in known.categorical:
        codes = _codes(known.features.column(name), text=True).astype(np.int64)
        errors = _errors(known, known.labels)
        rates = np.bincount(codes + 1, weights=errors) / np.maximum(np.bincount(codes + 1), 1)
        values = rates[codes + 1]
    else:
        values = known.features.column(name).to_numpy(zero_copy_only=False)
    values = np.where(np.isfinite(values), values, np.nanmedian(values))
    below = np.searchsorted(np.sort(values), values, side="left") + np.searchsorted(
        np.sort(values), values, side="right"
    )
    return np.asarray(below / (2 * values.size))


def _is_number(column: pa.ChunkedArray) -> bool:
    return bool(pa.types.is_floating(column.type) or pa.types.is_integer(column.type))


def _codes(column: pa.ChunkedArray, *, text: bool) -> Floats:
    if not text:
        return np.asarray(column.cast(pa.float64()).to_numpy(zero_copy_only=False), dtype=np.float64)
    indices = column.cast(pa.string()).combine_chunks().dictionary_encode()
    indices = indices.combine_chunks() if isinstance(indices, pa.ChunkedArray) else indices
    return np.asarray(indices.indices.fill_null(-1).to_numpy(zero_copy_only=False), dtype=np.float64)

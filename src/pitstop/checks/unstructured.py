"""Columns that have no cells: free text, and embeddings (lists of floats, all of one length)."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pitstop.checks.findings import Finding
from pitstop.checks.pairs import NOTABLE, Pair, by_distance, number
from pitstop.diagnosis.categories import NAME_LIKE
from pitstop.diagnosis.embeddings import embedding_drift
from pitstop.diagnosis.texts import text_drift
from pitstop.records import columns as convert
from pitstop.records.facts import ColumnFacts
from pitstop.records.measures import wordy

Floats = NDArray[np.float64]


def is_free_text(facts: ColumnFacts) -> bool:
    """Whether most texts of a column stand once and have some words each."""
    known = len(facts.column) - facts.nulls
    return facts.kind == "category" and facts.distinct > NAME_LIKE * max(known, 1) and wordy(_texts(facts))


def compare_texts(pair: Pair) -> list[Finding]:
    """Return what changed most about the texts, told like a drift."""
    found = text_drift(_texts(pair.reference), _texts(pair.current), pair.alpha)
    if found is None:
        return []
    sentence = (
        f"{pair.name}: the texts changed, most of all in their {found.measure}: {number(found.before)} on average, now "
        f"{number(found.now)} (Kolmogorov-Smirnov distance {found.distance:.2f})."
    )
    return [Finding(pair.name, "drift", by_distance(found.distance), found.distance, sentence)]


def are_vectors(facts: ColumnFacts) -> bool:
    """Whether a column holds lists of numbers."""
    kind = facts.column.type
    listed = pa.types.is_fixed_size_list(kind) or pa.types.is_list(kind) or pa.types.is_large_list(kind)
    return bool(listed and pa.types.is_floating(kind.value_type))


def compare_vectors(pair: Pair) -> list[Finding]:
    """Return a drift where embeddings are told apart by more than chance and than in the reference itself.

    The size is twice what the area under the curve exceeds a half by, 0 to 1. Lists of other lengths are left out.
    """
    size = _length(pair.reference)
    known = None if size is None else embedding_drift(_matrix(pair.reference, size), _matrix(pair.current, size))
    if known is None or not known.moved:
        return []
    distance = 2 * (known.auc - 0.5)
    if distance < NOTABLE:
        return []
    usual = "" if known.usual is None else f", {known.usual:.2f} within the reference"
    sentence = (
        f"{pair.name}: the vectors are told from the reference's with an area under the curve of {known.auc:.2f} "
        f"({known.low:.2f} to {known.high:.2f}{usual})."
    )
    return [Finding(pair.name, "drift", by_distance(distance), distance, sentence)]


def _texts(facts: ColumnFacts) -> list[str]:
    return list(convert.texts(facts.column, facts.name).drop_null().to_pylist())


def _length(facts: ColumnFacts) -> int | None:
    lengths = pc.list_value_length(facts.column).drop_null()
    if not len(lengths):
        return None
    counted = pc.value_counts(lengths)
    return int(
        counted[int(pc.index(counted.field("counts"), pc.max(counted.field("counts"))).as_py())]["values"].as_py()
    )


def _matrix(facts: ColumnFacts, size: int) -> Floats:
    lengths = pc.list_value_length(facts.column)
    kept = facts.column.filter(pc.fill_null(pc.equal(lengths, size), fill_value=False))
    values = pc.list_flatten(kept).cast(pa.float64()).to_numpy()
    return np.asarray(values, dtype=np.float64).reshape(len(kept), size)

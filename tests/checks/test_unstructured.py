"""Free text and embeddings: what changed is told, and what only varies is not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from numpy.typing import NDArray

from pitstop.checks import check
from pitstop.diagnosis.embeddings import embedding_drift
from pitstop.diagnosis.texts import MEASURES, measured
from pitstop.records.measures import wordy

WORDS = [
    f"{first}{last}" for first in ("ro", "cle", "qui", "sma", "la", "fri") for last in ("om", "an", "et", "ll", "te")
]
OTHERS = [f"{first}{last}" for first in ("zim", "sau", "kle", "spa") for last in ("mer", "ber", "in", "et")]


def texts(random: np.random.Generator, rows: int, words: Any = WORDS, length: float = 12.0) -> list[str]:
    return [" ".join(random.choice(words, max(3, random.poisson(length)))) for _ in range(rows)]


def told(reference: list[Any], current: list[Any], kind: pa.DataType | None = None) -> list[tuple[str, str]]:
    """Return (kind, sentence) of what is found about the column."""
    sides = [
        pa.table({"id": np.arange(len(side)) + at * 10_000, "said": pa.array(side, kind)})
        for at, side in enumerate((reference, current))
    ]
    return [(item.kind, item.sentence) for item in check(*sides) if item.column == "said"]


@pytest.mark.parametrize("seed", range(4))
def test_texts_of_one_kind_are_not_told_apart(seed: int) -> None:
    random = np.random.default_rng(seed)
    assert told(texts(random, 1200), texts(random, 400)) == []


CHANGES: dict[str, tuple[str, Callable[[np.random.Generator], list[str]]]] = {
    "longer": ("length in", lambda random: texts(random, 400, length=20.0)),
    "another language": ("words that the reference lacks", lambda random: texts(random, 400, OTHERS)),
    "capitals": ("share of capitals", lambda random: [text.upper() for text in texts(random, 400)]),
    "codes": ("share of digits", lambda random: [f"{text} 4711 0815 123456789" for text in texts(random, 400)]),
}


@pytest.mark.parametrize("name", CHANGES)
def test_what_changed_about_texts_is_told(name: str) -> None:
    random = np.random.default_rng(9)
    measure, make = CHANGES[name]
    ((kind, sentence),) = told(texts(random, 1200), make(random))
    assert kind == "drift"
    assert measure in sentence


def test_names_and_categories_are_no_free_text() -> None:
    assert not wordy([f"row-{at}" for at in range(500)])
    assert wordy(texts(np.random.default_rng(0), 10))
    assert not wordy([])


def test_measures_are_those_of_the_text() -> None:
    found = measured(["Ab 12 \u00e9", ""], frozenset({"ab"}))
    assert [found[name].tolist() for name in MEASURES] == [
        [7.0, 0.0],
        [3.0, 0.0],
        [2 / 7, 0.0],
        [1 / 7, 0.0],
        [1 / 7, 0.0],
        [2 / 3, 0.0],
        [3 / 7, 0.0],
    ]


def vectors(random: np.random.Generator, rows: int, shift: float = 0.0) -> NDArray[np.float64]:
    found: NDArray[np.float64] = random.normal(size=(rows, 32)) * np.linspace(3.0, 0.1, 32)
    return np.asarray(found + shift * np.eye(32)[20], dtype=np.float64)


@pytest.mark.parametrize("fixed", [True, False])
def test_embeddings_that_moved_are_told_and_others_are_not(fixed: bool) -> None:
    random = np.random.default_rng(3)
    kind = pa.list_(pa.float32(), 32) if fixed else pa.list_(pa.float32())
    reference = [*vectors(random, 1500).tolist(), None]
    assert told(reference, vectors(random, 500).tolist(), kind) == []
    ((found, sentence),) = told(reference, vectors(random, 500, 3.0).tolist(), kind)
    assert found == "drift"
    assert "area under the curve" in sentence


def test_few_vectors_and_vectors_without_spread_say_nothing_wrong() -> None:
    random = np.random.default_rng(4)
    assert embedding_drift(vectors(random, 50), vectors(random, 500)) is None
    same = embedding_drift(np.ones((300, 4)), np.ones((300, 4)))
    assert same is not None
    assert not same.moved
    other = embedding_drift(np.ones((300, 4)), np.full((300, 4), 2.0))
    assert other is not None
    assert other.moved

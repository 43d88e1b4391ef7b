"""Free text, measured without knowing its language: length, characters, and words that the reference lacks."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pitstop.diagnosis.natural import stretches, usual_distance
from pitstop.statistics.significance import kolmogorov_smirnov, kolmogorov_smirnov_p

Floats = NDArray[np.float64]

MOST_TEXTS = 5_000
# A smaller distance of a measure's distributions is not worth telling.
LEAST = 0.1
_BEYOND_USUAL = 1.5
_WORD = re.compile(r"[^\W_]+")
UNKNOWN = "share of words that the reference lacks"
MEASURES = (
    "length in characters",
    "length in words",
    "share of digits",
    "share of capitals",
    "share of characters beyond ASCII",
    UNKNOWN,
    "share of letters",
)


@dataclass(frozen=True)
class TextDrift:
    """The measure that moved most: its Kolmogorov-Smirnov distance (0 to 1) and its means before and now."""

    measure: str
    distance: float
    before: float
    now: float


def text_drift(reference: Sequence[str], current: Sequence[str], alpha: float) -> TextDrift | None:
    """Return what changed most about texts, in order of time on both sides; None where nothing did.

    A measure must move by more than chance (`alpha`, shared by all measures), by a tenth, and by half as much again as
    in any stretch of the reference. The known words are those of every other text of the reference, so that the others
    can say how many words are new on a usual day. At most 5,000 evenly spaced texts of each side are looked at.
    """
    known, new = _spread(reference), _spread(current)
    words = _vocabulary(known[::2])
    before, now = measured(known, words), measured(new, words)
    found: list[TextDrift] = []
    for name in MEASURES:
        usual_side, side = before[name], now[name]
        usual_side = usual_side[1::2] if name == UNKNOWN else usual_side
        if not usual_side.size or not side.size:
            continue
        distance = kolmogorov_smirnov(usual_side, side)
        if distance < LEAST or kolmogorov_smirnov_p(distance, usual_side.size, side.size) >= alpha / len(MEASURES):
            continue
        if distance > _BEYOND_USUAL * usual_distance(usual_side, stretches(usual_side.size, side.size)):
            found.append(TextDrift(name, distance, float(usual_side.mean()), float(side.mean())))
    return max(found, key=lambda item: item.distance, default=None)


def measured(texts: Sequence[str], words: frozenset[str]) -> Mapping[str, Floats]:
    """Return every measure of each text, float64[texts]; shares are of its characters or words, 0 of an empty text."""
    rows = [_measures(text, words) for text in texts]
    columns = np.array(rows, dtype=np.float64).reshape(len(rows), len(MEASURES)).T
    return dict(zip(MEASURES, columns, strict=True))


def _measures(text: str, words: frozenset[str]) -> tuple[float, ...]:
    size, found = max(len(text), 1), _WORD.findall(text.casefold())
    return (
        float(len(text)),
        float(len(found)),
        sum(map(str.isdigit, text)) / size,
        sum(map(str.isupper, text)) / size,
        sum(not letter.isascii() for letter in text) / size,
        sum(word not in words for word in found) / max(len(found), 1),
        sum(map(str.isalpha, text)) / size,
    )


def _vocabulary(texts: Iterable[str]) -> frozenset[str]:
    return frozenset(Counter(word for text in texts for word in _WORD.findall(text.casefold())))


def _spread(texts: Sequence[str]) -> list[str]:
    if len(texts) <= MOST_TEXTS:
        return list(texts)
    return [texts[at] for at in np.linspace(0, len(texts) - 1, MOST_TEXTS).astype(int).tolist()]

"""Values that the reference never held: misspelt words, values of another column or unit in part of the rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pitstop.diagnosis.breaks import Break, BreakKind
from pitstop.diagnosis.natural import stretches
from pitstop.diagnosis.wording import number, percent, shown
from pitstop.statistics.significance import kolmogorov_smirnov

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

# Fewer new rows than this are an odd one out, no fault of a pipeline.
FEWEST_NEW, LEAST_SHARE = 5, 0.005
# The window must hold so many times as many new values as any stretch of the reference had.
TIMES = 2.0
# Numbers of many values count as new from so many times the largest size on, and below as small a part of the least.
FAR = 2.0
# So many values far out, that near to the reference once divided by a power of ten, are in another unit.
FEWEST_ODD = 20
_AS_BEFORE = 0.3
_ORDERS = tuple(10.0**power for power in (-6, -4, -3, -2, 2, 3, 4, 6))
# Where a stretch brings as many new values by itself, new ones mean nothing: of words, and of numbers.
_OPEN, _OPEN_NUMBERS = 0.3, 0.02
# Of the new words so many must be one slip of a key away from a known one.
_MISSPELT = 0.5
_WORDS = 200


def find_new_words(column: str, names: Sequence[str], reference: Ints, current: Ints) -> Break | None:
    """Return a fault where more rows than in any stretch of the reference hold words that the rest of it lacks.

    `names` are the values of either side, the codes -1 where missing. Where most new words are a slip away from known
    ones they are called misspelt.
    """
    share, most, new = _novelty(reference, current, len(names))
    if not _many(share, most, current.size):
        return None
    known = {names[at] for at in np.unique(reference[reference >= 0]).tolist()}
    counted = Counter(current[np.isin(current, new)].tolist())
    often = [names[at] for at, _ in counted.most_common(_WORDS)]
    near = {word: found for word in often if (found := _slipped(word, known)) is not None}
    rows = sum(counted[at] for at, _ in counted.most_common(_WORDS))
    slipped = sum(count for at, count in counted.items() if names[at] in near)
    kind: BreakKind = "misspelt" if slipped >= _MISSPELT * rows else "unseen_categories"
    named = ", ".join(f"{shown(word)} for {shown(near[word])}" if word in near else shown(word) for word in often[:3])
    what = "words that look misspelt" if kind == "misspelt" else "values never seen in the reference"
    sentence = (
        f"{column}: {percent(share)} of the rows hold {what} ({named}{', ...' if len(often) > 3 else ''}); no stretch "
        f"of the reference held more than {percent(most)} new ones."
    )
    certainty = 0.85 if kind == "misspelt" else 0.6
    return Break(column, kind, share, share, certainty, sentence)


def find_new_numbers(column: str, reference: Floats, current: Floats) -> Break | None:
    """Return a fault where more rows than in any stretch hold numbers that the rest of the reference lacks.

    Of a column of few values these are values between or beside them; of others, values outside the known range.
    """
    # Beyond what a float32 holds a value becomes infinite, and is left out like one.
    with np.errstate(over="ignore"):
        before, after = (side.astype(np.float32) for side in (reference, current))
    known = np.unique(before[np.isfinite(before)])
    if not known.size:
        return None
    values, codes = np.unique(np.concatenate([before, after]), return_inverse=True)
    codes = np.where(np.isfinite(values[codes]), codes, -1).astype(np.int64)
    # Beyond the known range a value is a record; only far beyond it is it a fault.
    inside = (values >= known[0]) & (values <= known[-1])
    codes = np.where(inside[np.maximum(codes, 0)], codes, -1)
    share, most, new = _novelty(codes[: before.size], codes[before.size :], values.size)
    odd = values[new]
    if not (_many(share, most, after.size) and most <= _OPEN_NUMBERS):
        share, most, odd = _outside(reference, current)
        if not _many(share, most, after.size):
            return None
        factor = _factor(reference, odd)
        if factor is not None:
            return _in_another_unit(column, share, factor)
        odd = np.unique(odd)
    beyond = bool(((odd < known[0]) | (odd > known[-1])).all())
    some = ", ".join(number(float(value)) for value in odd[:: max(1, odd.size // 3)][:3])
    sentence = (
        f"{column}: {percent(share)} of the rows hold numbers that the reference never held (such as {some}); no "
        f"stretch of it held more than {percent(most)} new ones."
    )
    return Break(column, "range" if beyond else "new_values", share, share, 0.6, sentence)


def _many(share: float, most: float, rows: int) -> bool:
    least = max(LEAST_SHARE, FEWEST_NEW / max(rows, 1))
    return most < _OPEN and share >= max(TIMES * most, most + least)


def _novelty(reference: Ints, current: Ints, size: int) -> tuple[float, float, Ints]:
    """Return the share of new rows now, the largest of any stretch against the rest, and the new codes."""
    known = np.bincount(reference[reference >= 0], minlength=size) > 0
    new = current[(current >= 0) & ~known[np.maximum(current, 0)]]
    cuts = stretches(reference.size, current.size)
    homes = np.zeros(size, dtype=np.int64)
    for cut in cuts:
        homes[np.unique(reference[cut][reference[cut] >= 0])] += 1
    shares = [float(np.mean((reference[cut] >= 0) & (homes[np.maximum(reference[cut], 0)] == 1))) for cut in cuts] or [
        1.0
    ]
    return new.size / max(current.size, 1), max(shares), np.unique(new)


def _outside(reference: Floats, current: Floats) -> tuple[float, float, Floats]:
    """Return the share of rows outside the range now and of any stretch outside that of the rest, and the values.

    The range is of sizes, zeros left out, and a factor of two wider: another unit shows below as well as above, and
    what drifts a little beyond its range is no fault.
    """
    cuts = stretches(reference.size, current.size)
    size = np.abs(np.where(np.isfinite(reference) & (reference != 0), reference, np.nan))
    if not cuts or np.isnan(size).all():
        return 0.0, 1.0, current[:0]
    with np.errstate(invalid="ignore"):
        lows = np.array([np.nanmin(np.append(size[cut], np.inf)) for cut in cuts])
        highs = np.array([np.nanmax(np.append(size[cut], 0.0)) for cut in cuts])
        shares = []
        for at, cut in enumerate(cuts):
            low, high = np.delete(lows, at).min(), np.delete(highs, at).max()
            shares.append(float(np.mean((size[cut] < low / FAR) | (size[cut] > high * FAR))))
        now = np.abs(np.where(np.isfinite(current) & (current != 0), current, np.nan))
        odd = (now < lows.min() / FAR) | (now > highs.max() * FAR)
    return float(np.mean(odd)), max(shares), current[odd]


def _factor(reference: Floats, odd: Floats) -> float | None:
    """Return the order of magnitude by which the odd values differ from the reference's, None where none fits.

    Divided by it they must lie as the reference's values do; a marker or wild values do not.
    """
    if odd.size < FEWEST_ODD:
        return None
    known = reference[np.isfinite(reference) & (reference != 0)]
    with np.errstate(over="ignore"):
        distances = {factor: kolmogorov_smirnov(known, odd / factor) for factor in _ORDERS}
    best = min(distances, key=lambda factor: distances[factor])
    return best if distances[best] <= _AS_BEFORE else None


def _in_another_unit(column: str, share: float, factor: float) -> Break:
    times = factor if factor > 1 else 1 / factor
    how = f"{number(times)} times {'larger' if factor > 1 else 'smaller'}"
    sentence = f"{column}: in {percent(share)} of the rows the values are {how} than before: their unit changed."
    return Break(column, "unit_change", times, share, 0.8, sentence)


def _slipped(word: str, known: set[str]) -> str | None:
    """Return the known word that is one slip away: a letter lost, added, doubled, changed, or two turned round."""
    for at in range(len(word) + 1):
        if word[:at] + word[at + 1 :] in known:
            return word[:at] + word[at + 1 :]
    by_length = [other for other in known if abs(len(other) - len(word)) <= 1 and len(other) > 1]
    for other in by_length:
        if len(other) == len(word):
            apart = [at for at, (one, two) in enumerate(zip(word, other, strict=True)) if one != two]
            turned = len(apart) == 2 and word[apart[0]] == other[apart[1]] and word[apart[1]] == other[apart[0]]
            if len(apart) == 1 or turned:
                return other
        elif len(other) == len(word) + 1 and any(other[:at] + other[at + 1 :] == word for at in range(len(other))):
            return other
    return None

"""Margins: nothing moved on the reference itself, and the truth within its error where the leaves see nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pitstop.baseline.baseline import cell_codes
from pitstop.baseline.margins import FEWEST_ROWS, Margins, fit_margins
from pitstop.profile import Layout, profile_rows
from pitstop.statistics.bins import CategoryBins, NumericBins

ROWS = 3_000
IMPORTANCE = {"a": 0.5, "b": 0.3, "c": 0.2}


def drawn(rows: int, seed: int, tilt: float = 0.0) -> tuple[pa.Table, NDArray[np.float64], NDArray[np.int64]]:
    """Return rows, their scores and their leaves; rows of a high `a` are more frequent, as exp(tilt x a)."""
    random = np.random.default_rng(seed)
    pool = rows * 12
    a, b = random.random(pool), random.normal(size=pool)
    kept = random.choice(pool, rows, p=np.exp(tilt * a) / np.exp(tilt * a).sum(), replace=True)
    a, b = a[kept], b[kept]
    words = np.where(random.random(rows) < a, "x", "y")
    # Two leaves, which know nothing of `a`.
    return pa.table({"a": a, "b": b, "c": words}), random.integers(20, size=rows) / 20 + 0.025, (b > 0).astype(np.int64)


def losses(table: pa.Table, seed: int) -> NDArray[np.float64]:
    """Return losses whose chance is no sum of terms in single features."""
    a, b = (table[name].to_numpy() for name in ("a", "b"))
    chance = 0.1 + 0.5 * a**2 * (b > 0.3)
    wrong = np.random.default_rng(seed + 1_000_000).random(a.size) < chance
    return np.asarray(wrong, dtype=np.float64)


def fitted(seed: int, rows: int = ROWS) -> tuple[Layout, Margins | None, Any]:
    table, scores, leaves = drawn(rows, seed)
    numeric = tuple((name, NumericBins.fit(table[name])) for name in ("a", "b"))
    layout = Layout(numeric, (("c", CategoryBins.fit(table["c"])),), "binary", ("no", "yes"))
    decided = np.full(rows, "no", dtype=object)
    codes = cell_codes(layout, table, scores, decided)
    margins = fit_margins(layout, IMPORTANCE, codes, leaves, losses(table, seed))
    return layout, margins, profile_rows(layout, table, scores, pa.array(decided), leaves)


def test_on_its_own_reference_nothing_has_moved() -> None:
    _, margins, profile = fitted(1)
    assert margins is not None
    assert abs(margins.moved(profile)[0]) < 1e-9
    again = Margins.from_state(margins.to_state())
    assert again.moved(profile) == margins.moved(profile)
    assert margins.columns == ("a", "b", "c")


def test_few_rows_have_no_margins_and_no_rows_have_not_moved() -> None:
    assert fitted(1, FEWEST_ROWS - 1)[1] is None
    layout, margins, _ = fitted(1, FEWEST_ROWS)
    assert margins is not None
    empty = pa.table({"a": pa.array([], pa.float64()), "b": pa.array([], pa.float64()), "c": pa.array([], pa.string())})
    nothing = profile_rows(layout, empty, [], pa.array([], pa.string()), np.zeros(0, dtype=np.int64))
    assert margins.moved(nothing) == (0.0, 0.0)


def test_a_feature_that_tilts_within_leaves_is_found_within_its_error() -> None:
    """The loss is no sum of terms, the ratio of the densities is one: that is enough."""
    table, _, _ = drawn(400_000, 7, tilt=2.0)
    truth = float(losses(table, 7).mean()) - float(losses(drawn(400_000, 8)[0], 8).mean())
    errors = []
    for seed in range(40):
        layout, margins, _ = fitted(10 + seed)
        assert margins is not None
        moved, scores, leaves = drawn(ROWS, 500 + seed, tilt=2.0)
        decided = pa.array(["no"] * ROWS)
        found, se = margins.moved(profile_rows(layout, moved, scores, decided, leaves))
        errors.append(((found - truth) / se, found - truth))
    z, gaps = np.array(errors).T
    assert truth > 0.03
    # A mean error of less than a tenth of what is to be found, and errors of the size that is told.
    assert abs(gaps.mean()) < 0.1 * truth
    assert 0.6 < np.sqrt((z**2).mean()) < 1.4


def test_predictions_on_the_edges_of_cells_and_missing_ones_have_not_moved_on_their_reference() -> None:
    """Predictions that are few whole numbers lie on edges, and a profile counts them in the cell above."""
    random = np.random.default_rng(3)
    a, labels = random.random(ROWS), random.integers(0, 6, ROWS).astype(np.float64)
    prediction = NumericBins.fit(labels)
    layout = Layout((("a", NumericBins.fit(a)),), (), "regression", (), prediction, (1.0,))
    assert set(labels) & set(prediction.edges)
    decided = np.where(random.random(ROWS) < 0.1, np.nan, labels)
    table, leaves = pa.table({"a": a}), (a > 0.5).astype(np.int64)
    scores = np.full(ROWS, np.nan)
    codes = cell_codes(layout, table, scores, decided)
    profile = profile_rows(layout, table, scores, decided, leaves)
    counted = np.bincount(codes[:, -1] + 1, minlength=prediction.cells + 1)
    assert counted.tolist() == [profile.scores.nulls, *profile.scores.histogram.counts]
    margins = fit_margins(layout, IMPORTANCE, codes, leaves, np.nan_to_num(decided) + random.random(ROWS))
    assert margins is not None
    assert abs(margins.moved(profile)[0]) < 1e-9

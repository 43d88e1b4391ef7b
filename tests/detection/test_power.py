"""What power says is so: a change of the stated size is found as often as stated, half of it clearly less often."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pitstop.detection.detector import Detector
from pitstop.detection.panel import Panel
from pitstop.detection.power import Block, Traffic, _cells, _changed, copied, found_share, smallest, smallest_fall
from pitstop.detection.streams import Floats, ReferenceCounts, Stream
from pitstop.detection.volume import VolumeDetector
from pitstop.errors import BaselineError

RATES = np.array([0.1, 0.3, 0.2])
ALONE = (Block(0, 3, "apart", 1),)
COPIES = 60


def fitted(rows: int = 300, m: int = 60, rho: float = 0.01, threshold: float = 100.0) -> tuple[Panel, Traffic]:
    """Return a stream of three categories of four, fitted on `m` windows of `rows` rows, and its traffic."""
    rng = np.random.default_rng(5)
    shares = rng.dirichlet(np.append(RATES, 1 - RATES.sum()) * (1 / rho - 1), m)
    k = rng.multinomial(rows, shares)[:, :3]
    n = np.full(k.shape, rows, dtype=np.int64)
    phases = np.arange(m, dtype=np.int64) % 7
    stream = Stream("drift:kind", "drift", "kind", ("a", "b", "c"), tolerance=0.02)
    panel = Detector.fit(stream, ReferenceCounts(k, n, phases), threshold, 7, 0.01).panel
    return panel, Traffic(n, phases)


def seen(panel: Panel, traffic: Traffic, **settings: Any) -> float:
    asked = {"within": 7, "probability": 0.8, "copies": COPIES} | settings
    change = smallest(panel, ALONE, traffic, **asked).change
    assert change is not None
    return change


def test_a_change_of_the_stated_size_is_found_and_half_of_it_less_often() -> None:
    panel, traffic = fitted()
    change = seen(panel, traffic)
    many = copied(panel, 200)
    whole = found_share(many, ALONE, traffic, change, within=7, seed=77)
    half = found_share(many, ALONE, traffic, change / 2, within=7, seed=77)
    assert whole >= 0.8 - 0.12
    assert half <= whole - 0.3
    # Without a change, a month's threshold is crossed by few.
    assert found_share(many, ALONE, traffic, 0.0, within=7, seed=77) <= 7 / 100 + 0.05


def test_more_rows_see_smaller_changes() -> None:
    assert seen(*fitted(rows=1000, rho=0.001)) < seen(*fitted(rows=100, rho=0.001))


def test_windows_that_differ_more_by_themselves_hide_more() -> None:
    assert seen(*fitted(rho=0.001)) < seen(*fitted(rho=0.05))


def test_more_time_sees_smaller_changes_and_more_certainty_larger_ones() -> None:
    panel, traffic = fitted()
    assert seen(panel, traffic, within=14) < seen(panel, traffic, within=3)
    assert seen(panel, traffic, probability=0.5) <= seen(panel, traffic, probability=0.95)


def test_nothing_within_reach_is_never() -> None:
    """Three rows a window cannot show anything in two windows: no single window pages."""
    panel, traffic = fitted(rows=3, threshold=10_000.0)
    assert smallest(panel, ALONE, traffic, within=2, probability=0.8, copies=COPIES).change is None


def test_copies_go_on_as_the_one_would() -> None:
    panel, traffic = fitted()
    many = copied(panel, 3)
    k = np.array([40, 80, 60], dtype=np.int64)
    one, _ = panel.step(0, 0, k, traffic.n[0])
    three, _ = many.step(0, 0, np.tile(k, 3), np.tile(traffic.n[0], 3))
    # Draws differ and break ties only; the half that draws nothing is the same.
    assert np.array_equal(three.exact_sr, np.tile(one.exact_sr, (1, 1, 3)))


@given(
    st.sampled_from(["apart", "below", "above"]),
    st.lists(st.floats(0, 1), min_size=1, max_size=6),
    st.floats(-1, 1),
    st.data(),
)
@settings(max_examples=60)
def test_a_change_moves_the_focus_by_its_size_and_keeps_a_law(
    shape: Any, raw: list[float], change: float, data: st.DataObject
) -> None:
    rates: Floats = np.array(raw)
    if shape == "apart":
        rates = rates / max(rates.sum(), 1.0)
    else:
        rates = np.sort(rates) if shape == "below" else np.sort(rates)[::-1]
    focus = data.draw(st.integers(0, len(raw) - 1))
    block = Block(0, len(raw), shape, focus)
    before, after = (_changed(_cells(rates, shape), block, size) for size in (0.0, change))
    event = {
        "apart": np.arange(len(before)) == focus,
        "below": np.arange(len(before)) <= focus,
        "above": np.arange(len(before)) > focus,
    }[shape]
    assert after.min() >= 0
    assert after.sum() == pytest.approx(1)
    assert after[event].sum() == pytest.approx(np.clip(before[event].sum() + change, 0, 1), abs=1e-9)


def test_a_volume_that_varies_more_hides_a_larger_fall() -> None:
    def fall(spread: float) -> float:
        rng = np.random.default_rng(2)
        counts = np.exp(6 + spread * rng.standard_normal(90)).astype(np.int64)
        phases = np.arange(90, dtype=np.int64) % 7
        stream = Stream("volume", "volume", None, ("rows",))
        detector = VolumeDetector.fit(stream, counts, phases, 60.0, 7, fast_level=1e-3)
        found = smallest_fall(detector, phases, within=14, probability=0.8, copies=30).change
        return 2.0 if found is None else found

    assert fall(0.05) < fall(0.3)


@pytest.mark.parametrize("question", [{"within": 0}, {"probability": 1.0}, {"probability": 0.0}, {"copies": 0}])
def test_a_question_without_an_answer_is_refused(question: dict[str, Any]) -> None:
    with pytest.raises(BaselineError, match="expected at least 1 window"):
        seen(*fitted(m=20), **question)

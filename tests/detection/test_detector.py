from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pitstop.detection.detector import Detector
from pitstop.detection.panel import RECENT, Panel
from pitstop.detection.streams import Finding, Floats, Ints, ReferenceCounts, Stream
from pitstop.errors import BaselineError

NAMES = ("<=1", "<=2", "<=3")
RATES = np.array([0.2, 0.5, 0.7])


def stream(name: str = "drift:x", indicators: tuple[str, ...] = NAMES, **settings: Any) -> Stream:
    return Stream(name, "drift", "x", indicators, **settings)


def reference(m: int = 60, n: int = 200, seed: int = 0) -> ReferenceCounts:
    rng = np.random.default_rng(seed)
    size = np.full((m, len(RATES)), n, dtype=np.int64)
    return ReferenceCounts(rng.binomial(size, RATES), size, np.arange(m, dtype=np.int64) % 7)


def fitted(threshold: float = 300.0, fast_level: float = 1e-4, **settings: Any) -> Detector:
    return Detector.fit(stream(**settings), reference(), threshold, 7, 0.05, fast_level=fast_level)


def run(detector: Detector, k: Ints, n: int = 200, start: int = 60) -> tuple[Detector, list[Finding]]:
    found = []
    for step, row in enumerate(k):
        window = start + step
        detector, finding = detector.step(window, window % 7, row, np.full(len(row), n, dtype=np.int64))
        if finding is not None:
            found.append(finding)
    return detector, found


def counts(windows: int, rates: Floats, seed: int = 1, n: int = 200) -> Ints:
    return np.random.default_rng(seed).binomial(np.full((windows, len(rates)), n), rates)


def test_a_shift_is_found_dated_and_sized() -> None:
    _, found = run(
        fitted(fast_level=0.0), np.concatenate([counts(20, RATES), counts(15, RATES + np.array([0.0, 0.12, 0.0]))])
    )
    assert found
    first = found[0]
    assert (first.indicator, first.direction, first.fast) == ("<=2", "up", False)
    assert 80 <= first.window <= 86
    assert abs(first.since - 80) <= 1
    assert first.low < 0.12 < first.high
    assert first.low > 0
    assert first.evidence >= 1


def test_a_fall_is_found_where_both_sides_count_and_not_otherwise() -> None:
    k = counts(20, RATES - np.array([0.0, 0.15, 0.0]))
    _, found = run(fitted(fast_level=0.0), k)
    assert found[0].direction == "down"
    assert found[0].high < 0
    _, none = run(fitted(fast_level=0.0, two_sided=False), k)
    assert none == []


def test_a_change_within_the_tolerance_is_silent_and_beyond_it_is_not() -> None:
    k = counts(60, RATES + np.array([0.0, 0.04, 0.0]))
    assert run(fitted(tolerance=0.05), k)[1] == []
    assert run(fitted(tolerance=0.0), k)[1]


def test_after_an_alarm_the_stream_starts_again_and_alarms_again_while_the_change_lasts() -> None:
    detector, found = run(fitted(fast_level=0.0), counts(40, RATES + np.array([0.0, 0.2, 0.0])))
    assert len(found) >= 3
    gaps = np.diff([finding.window for finding in found])
    assert gaps.min() >= 2  # the cap: no single window pages
    assert all(finding.since <= 62 for finding in found)
    fresh, at_alarm = run(fitted(fast_level=0.0), counts(40, RATES + np.array([0.0, 0.2, 0.0]))[: found[0].window - 59])
    assert at_alarm[-1] == found[0]
    assert fresh.evidence == 0
    assert 0 <= detector.evidence < 1


def test_a_replay_is_bit_for_bit_the_same() -> None:
    k = counts(80, RATES + np.array([0.0, 0.05, 0.0]))
    first, second = run(fitted(), k), run(fitted(), k)
    assert first[1] == second[1]
    assert all(
        np.array_equal(a, b) for a, b in zip(first[0].to_state().values(), second[0].to_state().values(), strict=True)
    )


@settings(max_examples=5, deadline=None)
@given(st.integers(0, 40))
def test_a_restored_state_goes_on_exactly(cut: int) -> None:
    k = counts(40, RATES + np.array([0.0, 0.08, 0.0]))
    whole, found = run(fitted(), k)
    half, early = run(fitted(), k[:cut])
    restored = Detector.from_state(half.stream, half.to_state())
    rest, late = run(restored, k[cut:], start=60 + cut)
    assert early + late == found
    assert rest.evidence == whole.evidence
    for name, value in whole.to_state().items():
        assert np.array_equal(value, rest.to_state()[name], equal_nan=value.dtype.kind == "f")


def test_a_panel_is_its_detectors_side_by_side() -> None:
    detectors = [
        Detector.fit(
            stream(f"drift:{i}", autocorrelated=i == 2), reference(40 + i, seed=i), 100.0 + i, 7, 0.05, fast_level=1e-4
        )
        for i in range(4)
    ]
    panel = Panel.joined([detector.panel for detector in detectors])
    rows = [counts(50, RATES + np.array([0.0, 0.03 * i, 0.0]), seed=i) for i in range(4)]
    size = np.full(3, 200, dtype=np.int64)
    seen = 0
    for t in range(50):
        n = [size if (t + i) % 5 else size * 0 for i in range(4)]
        k = [np.minimum(rows[i][t], n[i]) for i in range(4)]
        panel, findings = panel.step(t, t % 7, np.concatenate(k), np.concatenate(n))
        single = []
        for i in range(4):
            detectors[i], finding = detectors[i].step(t, t % 7, k[i], n[i])
            single += [finding] if finding is not None else []
        assert list(findings) == single
        seen += len(single)
        assert panel.evidence == pytest.approx([detector.evidence for detector in detectors], rel=1e-9)
    assert seen >= 3


def test_windows_without_rows_change_nothing_but_the_time() -> None:
    before, _ = run(fitted(), counts(5, RATES))
    after, finding = before.step(65, 65 % 7, np.zeros(3, dtype=np.int64), np.zeros(3, dtype=np.int64))
    assert finding is None
    assert after.evidence == before.evidence
    with pytest.raises(BaselineError, match="window 65"):
        after.step(65, 2, np.zeros(3, dtype=np.int64), np.zeros(3, dtype=np.int64))


@pytest.mark.parametrize("rate", [0.0, 1.0])
def test_a_constant_indicator_never_alarms_on_ties(rate: float) -> None:
    """Ranks of equal counts are drawn; a column that never was null must not page because of a draw."""
    constant = np.full((460, 1), int(200 * rate), dtype=np.int64)
    one = ReferenceCounts(constant[:60], np.full((60, 1), 200, dtype=np.int64), np.zeros(60, dtype=np.int64))
    detector = Detector.fit(stream(indicators=("null",)), one, 2.0, 1, 0.05, fast_level=0.5)
    _, found = run_flat(detector, constant[60:])
    assert found == []


def run_flat(detector: Detector, k: Ints, n: int = 200) -> tuple[Detector, list[Finding]]:
    found = []
    for window, row in enumerate(k):
        detector, finding = detector.step(window, 0, row, np.full(len(row), n, dtype=np.int64))
        found += [finding] if finding is not None else []
    return detector, found


def test_an_empty_reference_never_alarms() -> None:
    empty = ReferenceCounts(
        np.zeros((0, 3), dtype=np.int64), np.zeros((0, 3), dtype=np.int64), np.zeros(0, dtype=np.int64)
    )
    detector = Detector.fit(stream(autocorrelated=True), empty, 2.0, 7, 0.05, fast_level=0.5)
    _, found = run(detector, np.concatenate([counts(30, RATES), counts(30, RATES + 0.25)]))
    assert found == []


@pytest.mark.parametrize("m", [1, 2, 3, 9])
def test_a_short_reference_is_silent_without_a_change_and_finds_a_large_one(m: int) -> None:
    detector = Detector.fit(stream(), reference(m), 100.0, 7, 0.05, fast_level=1e-3)
    detector, found = run(detector, counts(30, RATES))
    assert found == []
    _, found = run(detector, counts(60, RATES + np.array([0.0, 0.4, 0.2])), start=90)
    assert found


def test_memory_stays_bounded() -> None:
    detector, _ = run(fitted(), counts(RECENT + 30, RATES))
    assert detector.panel.recent_windows.shape[0] == RECENT


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_any_counts_give_a_finite_state(data: st.DataObject) -> None:
    """Empty windows, tiny windows, all or nothing: no warning, no NaN, no evidence below 0."""
    m = data.draw(st.integers(0, 12))
    n = np.array(
        data.draw(st.lists(st.lists(st.integers(0, 30), min_size=2, max_size=2), min_size=m + 4, max_size=m + 4))
    )
    k = np.array([[data.draw(st.integers(0, int(size))) for size in row] for row in n])
    two = stream(
        indicators=("a", "b"), autocorrelated=data.draw(st.booleans()), tolerance=data.draw(st.sampled_from([0, 0.1]))
    )
    phases = np.arange(m + 4) % 2
    shape = (m, 2)
    detector = Detector.fit(
        two, ReferenceCounts(k[:m].reshape(shape), n[:m].reshape(shape), phases[:m]), 5.0, 2, 0.05, fast_level=0.01
    )
    for t in range(m, m + 4):
        detector, finding = detector.step(t, int(phases[t]), k[t], n[t])
        assert 0 <= detector.evidence < 1
        if finding is not None:
            assert finding.evidence >= 1
            assert np.isfinite([finding.observed, finding.expected, finding.low, finding.high]).all()


def test_what_does_not_fit_is_refused() -> None:
    detector = fitted()
    three, good = np.full(3, 5, dtype=np.int64), np.full(3, 10, dtype=np.int64)
    with pytest.raises(BaselineError, match="shapes"):
        detector.step(60, 0, three[:2], good[:2])
    with pytest.raises(BaselineError, match="0 <= k <= n"):
        detector.step(60, 0, good, three)
    with pytest.raises(BaselineError, match="phase 7"):
        detector.step(60, 7, three, good)
    with pytest.raises(BaselineError, match="indicators"):
        Detector.fit(stream(indicators=("a",)), reference(), 10.0, 7, 0.05)
    with pytest.raises(BaselineError, match="phases"):
        Detector.fit(stream(), reference(), 10.0, 3, 0.05)
    with pytest.raises(BaselineError, match="threshold"):
        Detector.fit(stream(), reference(), 0.5, 7, 0.05)
    with pytest.raises(BaselineError, match="state"):
        Detector.from_state(stream(indicators=("a",)), detector.to_state())
    with pytest.raises(BaselineError, match="all different"):
        stream(indicators=("a", "a"))
    with pytest.raises(BaselineError, match="tolerance"):
        stream(tolerance=1.0)
    with pytest.raises(BaselineError, match="weight"):
        stream(weight=0.0)
    with pytest.raises(BaselineError, match="expected 0 <= k <= n"):
        ReferenceCounts(np.full((1, 1), 2), np.full((1, 1), 1), np.zeros(1, dtype=np.int64))
    with pytest.raises(BaselineError, match="shapes"):
        ReferenceCounts(np.full((2, 1), 1), np.full((2, 1), 1), np.zeros(1, dtype=np.int64))
    later, _ = detector.step(60, 0, three, good)
    with pytest.raises(BaselineError, match="same window"):
        Panel.joined([detector.panel, later.panel])

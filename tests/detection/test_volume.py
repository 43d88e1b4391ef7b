import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pitstop.detection.streams import Finding, Ints, Stream
from pitstop.detection.volume import VolumeDetector
from pitstop.errors import BaselineError

STREAM = Stream("volume", "volume", None, ("rows",))
WEEK = np.array([1.0, 1.1, 1.2, 1.1, 1.3, 0.5, 0.4])


def counts(windows: int, level: float, seed: int, start: int = 0) -> Ints:
    """Rows of windows with a weekly pattern and days that differ by a tenth."""
    rng = np.random.default_rng(seed)
    usual = level * WEEK[np.arange(start, start + windows) % 7]
    return rng.poisson(usual * rng.lognormal(0, 0.1, windows))


def fitted(threshold: float = 100.0, m: int = 84, seed: int = 0, fast_level: float = 1e-4) -> VolumeDetector:
    return VolumeDetector.fit(STREAM, counts(m, 1000, seed), np.arange(m) % 7, threshold, 7, fast_level=fast_level)


def run(detector: VolumeDetector, rows: Ints, start: int = 84) -> tuple[VolumeDetector, list[Finding]]:
    found = []
    for step, count in enumerate(rows):
        detector, finding = detector.step(start + step, (start + step) % 7, int(count))
        found += [finding] if finding is not None else []
    return detector, found


@pytest.mark.parametrize("factor", [0.6, 1.6])
def test_a_lasting_change_is_found_dated_and_sized(factor: float) -> None:
    _, found = run(fitted(), np.concatenate([counts(28, 1000, 1), counts(14, 1000 * factor, 2)]))
    first = found[0]
    assert 84 + 28 <= first.window <= 84 + 28 + 7
    assert abs(first.since - 112) <= 1
    assert first.direction == ("up" if factor > 1 else "down")
    assert first.low <= first.observed - first.expected <= first.high
    assert first.observed / first.expected == pytest.approx(factor, abs=0.15)
    assert not first.fast


def test_an_outage_pages_at_once_and_only_once() -> None:
    _, found = run(fitted(), np.concatenate([counts(28, 1000, 1), [3, 0, 0]]))
    assert (found[0].window, found[0].fast) == (112, True)
    assert found[0].high < 0
    assert sum(finding.fast for finding in found) <= 2


def test_a_quiet_sunday_is_no_change() -> None:
    assert run(fitted(), counts(60, 1000, 3))[1] == []


def alarms(threshold: float, m: int, streams: int, windows: int) -> float:
    total = 0
    for seed in range(streams):
        rows = counts(m + windows, 1000, 100 + seed)
        detector = VolumeDetector.fit(STREAM, rows[:m], np.arange(m) % 7, threshold, 7, fast_level=1e-4)
        total += len(run(detector, rows[m:], m)[1])
    return total / streams


@pytest.mark.parametrize("m", [14, 84])
def test_the_promise_is_kept(m: int) -> None:
    """T / c = 10 false alarms are promised to each stream; the evidence is far from using them up."""
    assert alarms(20.0, m, 15, 200) <= 10


@pytest.mark.simulation
def test_the_promise_is_kept_over_many_streams() -> None:
    assert alarms(30.0, 84, 200, 600) <= 20


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 30))
def test_a_restored_state_goes_on_exactly(cut: int) -> None:
    rows = np.concatenate([counts(15, 1000, 1), counts(15, 1400, 2)])
    whole, found = run(fitted(), rows)
    half, early = run(fitted(), rows[:cut])
    rest, late = run(VolumeDetector.from_state(STREAM, half.to_state()), rows[cut:], 84 + cut)
    assert early + late == found
    assert rest.evidence == whole.evidence


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 10**9), max_size=15), st.lists(st.integers(0, 10**9), min_size=1, max_size=10))
def test_any_counts_give_finite_findings(reference: list[int], rows: list[int]) -> None:
    past = np.array(reference, dtype=np.int64)
    detector = VolumeDetector.fit(STREAM, past, np.arange(len(past)) % 7, 2.0, 7, fast_level=0.01)
    _, found = run(detector, np.array(rows))
    assert all(np.isfinite([f.observed, f.expected, f.low, f.high, f.evidence]).all() for f in found)
    assert not (found and len(reference) < 5)


def test_what_does_not_fit_is_refused() -> None:
    zero = np.zeros(3, dtype=np.int64)
    with pytest.raises(BaselineError, match="expected"):
        VolumeDetector.fit(STREAM, zero - 1, zero, 2.0, 7)
    with pytest.raises(BaselineError, match="phase"):
        VolumeDetector.fit(STREAM, zero, zero + 7, 2.0, 7)
    with pytest.raises(BaselineError, match="threshold"):
        VolumeDetector.fit(STREAM, zero, zero, 0.0, 7)
    detector, _ = fitted().step(84, 0, 5)
    with pytest.raises(BaselineError, match="window 84"):
        detector.step(84, 0, 5)
    with pytest.raises(BaselineError, match="count -1"):
        detector.step(85, 1, -1)
    with pytest.raises(BaselineError, match="state"):
        VolumeDetector.from_state(STREAM, {})


def dead(days: int) -> VolumeDetector:
    """Return a detector whose reference has some dead days."""
    rows = counts(84, 1000, 0)
    rows[np.arange(days) * 9 + 2] = 4
    return VolumeDetector.fit(STREAM, rows, np.arange(84) % 7, 1e6, 7, fast_level=1e-4)


def test_a_dead_day_of_the_reference_does_not_hide_the_next_and_many_are_how_it_is() -> None:
    for days, pages in ((0, 1), (2, 1), (6, 0)):
        _, found = run(dead(days), np.array([*counts(10, 1000, 1), 30]))
        assert sum(finding.fast for finding in found) == pages

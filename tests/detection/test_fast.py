"""The fast path: upstream breaks page in their first window, busy days do not."""

import numpy as np
import pytest

from pitstop.detection.detector import Detector
from pitstop.detection.fast import never_seen
from pitstop.detection.healthy import without_broken
from pitstop.detection.panel import Panel
from pitstop.detection.streams import Finding, Floats, Ints, ReferenceCounts, Stream

LEVEL = 0.1 / 30 / 25  # a tenth of one alarm a month, shared by 25 streams
M, N = 90, 400


def first_window(kind: str, usual: Floats, broken: Floats, rho: float = 0.01, seed: int = 0) -> Finding | None:
    """Return what the first window of a break gives, after 20 healthy ones that must be silent."""
    rng = np.random.default_rng(seed)
    size = np.full((M + 20, len(usual)), N, dtype=np.int64)
    inside = np.clip(usual, 1e-9, 1 - 1e-9)
    rates = np.where(usual > 0, rng.beta(inside * (1 / rho - 1), (1 - inside) * (1 / rho - 1), size.shape), 0.0)
    k = rng.binomial(size, rates)
    stream = Stream(f"{kind}:x", kind, "x", tuple(f"cell {i}" for i in range(len(usual))), tolerance=0.01)
    counts = ReferenceCounts(k[:M], size[:M], np.zeros(M, dtype=np.int64))
    detector = Detector.fit(stream, counts, 1e100, 1, 0.002, fast_level=LEVEL)
    for window in range(20):
        detector, finding = detector.step(window, 0, k[M + window], size[0])
        assert finding is None
    _, finding = detector.step(20, 0, rng.binomial(size[0], broken), size[0])
    return finding


EDGES = np.linspace(0.05, 0.95, 19)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    ("kind", "usual", "broken", "direction"),
    [
        ("quality", np.array([0.0]), np.array([0.05]), "up"),  # a never-null column turns 5% null
        ("quality", np.array([0.02]), np.array([1.0]), "up"),  # everything null
        ("quality", np.array([0.005]), np.array([0.2]), "up"),  # values never seen before
        ("drift", np.array([0.5, 0.35, 0.15]), np.array([0.55, 0.45, 0.0]), "down"),  # a category vanishes
        ("drift", EDGES, EDGES * 0, "down"),  # x 1000: everything is above the highest edge
        ("drift", EDGES, EDGES * 0 + 1, "up"),  # / 1000, or stuck at a low value
        ("drift", np.array([0.6, 0.4, 0.0]), np.array([0.3, 0.2, 0.5]), "up"),  # the cell of other values fills
    ],
)
def test_an_upstream_break_pages_in_its_first_window(
    kind: str, usual: Floats, broken: Floats, direction: str, seed: int
) -> None:
    finding = first_window(kind, usual, broken, seed=seed)
    assert finding is not None
    assert finding.fast
    assert finding.direction == direction
    assert finding.since == finding.window == 20
    assert finding.evidence >= 1


def test_a_busy_day_is_not_a_break() -> None:
    assert first_window("drift", np.array([0.5, 0.45, 0.05]), np.array([0.3, 0.3, 0.4])) is None


def test_a_break_pages_once_and_a_second_like_it_is_a_rate() -> None:
    size = np.full((M, 1), N, dtype=np.int64)
    stream = Stream("quality:x", "quality", "x", ("null",), tolerance=0.01)
    reference = ReferenceCounts(size * 0, size, np.zeros(M, dtype=np.int64))
    detector = Detector.fit(stream, reference, 1e100, 1, 0.002, fast_level=LEVEL)
    pages: list[int] = []
    for window, nulls in enumerate([0, 60, 60, 61, 0, 0, 60, 0, 200]):
        detector, finding = detector.step(window, 0, np.array([nulls]), size[0])
        pages += [window] if finding is not None and finding.fast else []
    assert pages == [1, 8]


def test_without_a_share_there_is_no_fast_path() -> None:
    size = np.full((M, 1), N, dtype=np.int64)
    reference = ReferenceCounts(size * 0, size, np.zeros(M, dtype=np.int64))
    detector = Detector.fit(Stream("quality:x", "quality", "x", ("null",)), reference, 1e100, 1, 0.002)
    _, finding = detector.step(0, 0, size[0], size[0])
    assert finding is None


def fast_alarms(rates: Floats, level: float, seed: int) -> float:
    """Return the fast alarms of quality streams with one indicator each, per stream: `rates` is [windows, streams]."""
    rng = np.random.default_rng(seed)
    size: Ints = np.full(rates.shape, N, dtype=np.int64)
    k = rng.binomial(size, rates)
    panels = [
        Detector.fit(
            Stream(f"quality:{i}", "quality", None, ("x",)),
            ReferenceCounts(k[:M, [i]], size[:M, [i]], np.zeros(M, dtype=np.int64)),
            1e100,
            1,
            0.05,
            fast_level=level,
        ).panel
        for i in range(rates.shape[1])
    ]
    panel, total = Panel.joined(panels), 0
    for t in range(M, rates.shape[0]):
        panel, findings = panel.step(t, 0, k[t], size[t])
        total += len(findings)
    return float(total / rates.shape[1])


@pytest.mark.parametrize("rho", [0.0001, 0.03])
def test_the_fast_path_keeps_its_share_under_overdispersion(rho: float) -> None:
    rng = np.random.default_rng(6)
    p = 0.05
    rates = rng.beta(p * (1 / rho - 1), (1 - p) * (1 / rho - 1), (M + 150, 50))
    level = 0.002
    assert fast_alarms(rates, level, seed=6) <= 150 * level + 3 * np.sqrt(150 * level / 50)


def test_bursts_of_a_heavier_law_are_bounded_by_records() -> None:
    """A law that is no Beta-Binomial: 3% of windows jump by 30 points. Only the guards stand; see `fast`."""
    rng = np.random.default_rng(7)
    rates = np.where(rng.random((M + 150, 50)) < 0.03, rng.uniform(0.1, 0.4, (M + 150, 50)), 0.02)
    assert fast_alarms(rates, 0.002, seed=7) <= np.log(1 + 150 / M)


@pytest.mark.parametrize("n", [24, 400])
def test_the_exact_test_of_what_was_never_seen_keeps_its_level_over_references(n: int) -> None:
    """Over the draws of reference and window together, whatever the rate is: pages where no event had been seen."""
    rng = np.random.default_rng(8)
    for p in (1e-5, 1e-4, 1e-3, 1e-2):
        before, k = rng.binomial(M * n, p, 200_000), rng.binomial(n, p, 200_000)
        for level in (0.02, 0.002):
            page = (
                (before == 0) & (k > 0) & (never_seen(k, np.full(k.shape, n), np.full(k.shape, float(M * n))) <= level)
            )
            assert page.mean() <= level + 3 * np.sqrt(level / len(k))


def test_a_few_nulls_in_a_small_window_are_enough_where_there_never_was_one() -> None:
    assert never_seen(np.array([2, 3, 0]), np.array([24, 24, 24]), np.array([2160.0, 2160.0, 2160.0])) == pytest.approx(
        [24 * 23 / (2184 * 2183), 24 * 23 * 22 / (2184 * 2183 * 2182), 1.0]
    )


def broken_day(share: float) -> Finding | None:
    """Return what all rows null give after a reference one window of which had nulls in this share of its rows."""
    size = np.full((M, 1), N, dtype=np.int64)
    k = np.zeros((M, 1), dtype=np.int64)
    k[10] = round(share * N)
    stream = Stream("nulls:x", "quality", "x", ("null",), tolerance=0.001, two_sided=False)
    detector = Detector.fit(
        stream, ReferenceCounts(k, size, np.zeros(M, dtype=np.int64)), 1e100, 1, 0.001, fast_level=LEVEL
    )
    return detector.step(100, 0, size[0], size[0])[1]


def test_a_day_that_was_broken_in_the_reference_does_not_hide_the_next() -> None:
    found = broken_day(1.0)
    assert found is not None
    assert found.fast
    assert broken_day(0.8) is None  # a day like that may be how things are


def test_what_is_often_all_broken_is_how_the_data_are() -> None:
    k = np.zeros((M, 1), dtype=np.int64)
    k[::20] = N
    reference = ReferenceCounts(k, np.full((M, 1), N, dtype=np.int64), np.zeros(M, dtype=np.int64))
    quality, drift = (Stream("a:x", kind, "x", ("null",)) for kind in ("quality", "drift"))
    assert without_broken(quality, reference) is reference
    once = ReferenceCounts(np.where(np.arange(M)[:, None] == 20, k, 0), reference.n, reference.phases)
    assert without_broken(drift, once) is once
    assert without_broken(quality, once).n.sum() == (M - 1) * N

"""Columns that break together are one page; what merely comes on one day is not."""

from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pitstop.detection.detector import Detector
from pitstop.detection.panel import Panel
from pitstop.detection.streams import Finding, ReferenceCounts, Stream
from pitstop.detection.together import of_one_cause, together


def finding(name: str, window: int = 100, since: int = 100, kind: str = "quality", **seen: Any) -> Finding:
    column = name.partition(":")[2] or None
    values = {"observed": 1.0, "expected": 0.0, "low": 0.5, "high": 1.0, "evidence": 2.0, "fast": True} | seen
    stream = Stream(name, kind, column, (f"{name} happens",))
    return Finding(stream, window, stream.indicators[0], "up", since, **values)


def names(*findings: Finding) -> list[list[str]]:
    return [[item.stream.name for item in group] for group in together(findings)]


def test_one_family_with_one_onset_is_one_page_and_two_families_are_two() -> None:
    found = names(
        finding("nulls:dew"), finding("drift:fare", kind="drift"), finding("nulls:rain"), finding("nulls:wind")
    )
    assert found == [["nulls:dew", "nulls:rain", "nulls:wind"], ["drift:fare"]]


def test_an_older_change_of_the_same_family_is_another_cause() -> None:
    assert names(finding("drift:a", kind="drift"), finding("drift:b", since=80, kind="drift")) == [
        ["drift:a"],
        ["drift:b"],
    ]


def test_streams_of_one_column_are_one_cause() -> None:
    assert names(finding("nulls:a", since=97), finding("drift:a", kind="drift")) == [["nulls:a", "drift:a"]]


def test_faults_that_must_share_their_rows_are_one_cause_and_those_that_need_not_are_two() -> None:
    def two(count: int) -> list[list[str]]:
        return names(finding("nulls:a", count=count, size=100), finding("range:b", count=90, size=100))

    assert two(80) == [["nulls:a", "range:b"]]  # 70 rows at least have both
    assert two(40) == [["nulls:a", "range:b"]]  # 30 of 40
    assert two(15) == [["nulls:a"], ["range:b"]]  # 5 of 15 for certain: it may be chance


def test_what_is_usual_does_not_make_rows_the_same() -> None:
    found = [finding(name, count=95, size=100, expected=0.9) for name in ("nulls:a", "range:b")]
    assert names(*found) == [["nulls:a"], ["range:b"]]


def test_a_link_joins_groups_that_stood_apart() -> None:
    found = names(finding("nulls:a"), finding("range:b"), finding("range:a"))
    assert found == [["nulls:a", "range:b", "range:a"]]


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["nulls:a", "nulls:b", "range:a", "far:c", "drift:b", "error"]),
            st.integers(0, 2),
            st.integers(0, 2),
        ),
        max_size=8,
        unique=True,
    )
)
def test_groups_are_a_partition_whose_members_hang_together(items: list[tuple[str, int, int]]) -> None:
    found = [finding(name, window, window - back) for name, window, back in items]
    groups = together(found)
    assert sorted(id(item) for group in groups for item in group) == sorted(id(item) for item in found)
    for place, group in enumerate(groups):
        assert len({item.window for item in group}) == 1
        for item in group:
            assert len(group) == 1 or any(of_one_cause(item, other) for other in group if other is not item)
            assert not any(of_one_cause(item, other) for later in groups[place + 1 :] for other in later)


def test_a_join_that_fails_is_seven_alarms_of_the_engine_and_one_page() -> None:
    size = np.full((90, 7), 400, dtype=np.int64)
    reference = ReferenceCounts(size * 0, size, np.zeros(90, dtype=np.int64))
    panel = Panel.joined(
        [
            Detector.fit(
                Stream(f"nulls:{place}", "quality", str(place), ("null",)),
                ReferenceCounts(reference.k[:, [place]], reference.n[:, [place]], reference.phases),
                1e100,
                1,
                0.001,
                fast_level=1e-4,
            ).panel
            for place in range(7)
        ]
    )
    _, found = panel.step(90, 0, size[0] // 3, size[0])
    assert len(found) == 7
    assert {(item.count, item.size) for item in found} == {(133, 400)}
    assert len(together(found)) == 1

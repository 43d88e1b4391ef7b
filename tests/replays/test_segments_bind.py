"""A challenger that is worse for a part of the rows waits, or goes on being tested, as `[limits] segments` asks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from pitstop.errors import SpecError
from pitstop.loop.envelope import ProposedChange, outside
from pitstop.records.spec import LimitsSection, ModelSpec, RulesSection
from pitstop.replays.standing import standing_of

Maker = Callable[..., pa.Table]


def torn(history: Maker) -> pa.Table:
    """The relation turns round on day 20 for all kinds but `d`, where it stays as it was."""
    turned, same = history(rows=60), history(rows=60, turns=())
    stays = pc.equal(turned["kind"], "d")
    assert turned["id"].equals(same["id"])
    columns = {
        name: pc.if_else(stays, same[name], turned[name]) if name in ("label", "known_at") else turned[name]
        for name in turned.column_names
    }
    return pa.table(columns)


def by_segment(spec: ModelSpec, mode: Any) -> ModelSpec:
    columns = replace(spec.columns, segments=("kind",))
    rules = RulesSection(approvers=("Ben",)) if mode == "proven" else RulesSection()
    return replace(spec, columns=columns, rules=rules, limits=LimitsSection(segments=mode, segment_margin=0.05))


def champions(workshop: Any, name: str) -> list[int]:
    return [
        item[3]["version"]
        for item in workshop.artifacts(name)
        if item[1] == "release" and item[3]["stage"] == "champion"
    ]


def test_what_is_asked_of_segments_is_said() -> None:
    change = ProposedChange("all", 80, 80, 0.0, worse=("kind = d",), unproven=("kind = a", "kind = b"))
    worse = ("segments", "it is proven worse where kind = d")
    assert outside(LimitsSection(), change) == (worse,)
    assert outside(LimitsSection(segments="proven"), change) == (worse,)
    assert outside(LimitsSection(segments="recorded"), change) == ()
    open_yet = replace(change, worse=())
    assert outside(LimitsSection(), open_yet) == ()
    (found,) = outside(LimitsSection(segments="proven"), open_yet)
    assert found == ("segments", "it is not proven to be no worse where kind = a or kind = b")
    assert ProposedChange.from_json(change.to_json()) == change
    with pytest.raises(SpecError, match="segment_margin is 2"):
        LimitsSection(segment_margin=2.0)


def test_a_model_that_harms_one_kind_is_released_only_where_nobody_asks(
    workshop: Any, spec: ModelSpec, history: Maker
) -> None:
    table = torn(history)
    for mode in ("recorded", "proven"):
        workshop.run(table, by_segment(spec, mode), f"torn-{mode}")
    proofs = [item[3] for item in workshop.artifacts("torn-recorded") if item[1] == "comparison"]
    better = [item for item in proofs if item["verdict"] == "better"]
    assert better
    told = {item["value"]: item for item in better[0]["segments"]["standings"]}
    assert set(told) == {"a", "b", "c", "d"}
    assert sum(item["rows"] for item in told.values()) == better[0]["rows"]
    assert np.mean([told[kind]["gain"] for kind in "abc"]) > 0 > told["d"]["gain"]
    assert len(champions(workshop, "torn-recorded")) > 1
    # Where each segment has to be proven, the harm to `d` keeps the first model, and the record says why.
    assert champions(workshop, "torn-proven") == [1]
    words = [item[3].get("sentence", item[3].get("reason", "")) for item in workshop.artifacts("torn-proven")]
    assert any("kind = d" in text for text in words)
    # While it runs, the comparison tells its segments.
    shadow = next(item for item in workshop.artifacts("torn-proven") if item[3].get("stage") == "shadow")
    as_of = spec.calendar.name_instant(shadow[2] + 4 * 86_400_000_000)
    workshop.run(table, by_segment(spec, "proven"), "torn-standing", as_of)
    (test,) = [item for item in standing_of(workshop.folder / "torn-standing", "small").tests if item.kind == "shadow"]
    assert test.segments is not None
    assert {item["column"] for item in test.segments["standings"]} == {"kind"}
    assert test.segments["alpha"] == spec.policy.alpha

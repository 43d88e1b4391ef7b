"""An incident of the error says where it rose most, by rows that took no part in the search."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from pitstop.loop.diagnosing import Cause
from pitstop.profile import Layout, Profile
from pitstop.records.spec import ModelSpec


@pytest.mark.parametrize("turned", ["a", "abcd"])
def test_the_kind_whose_relation_turned_is_named_and_no_kind_where_all_did(
    turned: str, workshop: Any, spec: ModelSpec, history: Callable[..., pa.Table]
) -> None:
    before, after = history(days=45, rows=80, turns=()), history(days=45, rows=80, turns=(25,))
    those = pc.is_in(before["kind"], value_set=pa.array(list(turned)))
    columns = {
        name: pc.if_else(those, after[name], before[name]) if name in ("label", "known_at") else before[name]
        for name in before.column_names
    }
    watched = replace(spec, policy=replace(spec.policy, fit_every=100))
    run = workshop.replay(pa.table(columns), watched, f"turned-{turned}")
    kinds = {name: content["kind"] for name, _, _, content in run.of("alarm")}
    told = [content for _, _, _, content in run.of("incident", "incident-growth")]
    with_error = [item for item in told if any(kinds[alarm] == "error" for alarm in item["alarms"])]
    assert with_error
    for item in told:
        if item not in with_error:
            assert item["cause"]["segments"] == []
    cause = with_error[-1]["cause"]
    if len(turned) > 1:
        assert not [item for item in cause["segments"] if "kind" in item["text"]]
        return
    first = cause["segments"][0]
    assert "kind = a" in first["text"]
    assert first["mean"] > 0.3
    assert first["others"] < 0.1
    assert "It rose most where" in cause["sentence"]
    assert "kind = a" in cause["sentence"]
    # As it is kept, it comes back.
    layout = Layout((), (), "binary", ("no", "yes"))
    nothing = Profile.empty(layout)
    again = Cause.from_json(json.loads(json.dumps(cause)), nothing, nothing)
    assert json.loads(json.dumps(again.to_json())) == cause

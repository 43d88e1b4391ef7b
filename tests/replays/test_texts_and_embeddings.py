"""Free text and embeddings in a running loop: what changed is an alarm under the budget, and what did not is none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from pitstop.records.infer import infer_spec
from pitstop.replays.replay import replay
from pitstop.store.home import Home

DAYS, ROWS, TURN = 150, 40, 120
WORDS = [f"{a}{b}" for a in ("ro", "cle", "qui", "sma", "la", "fri") for b in ("om", "an", "et", "ll", "te")]
OTHERS = [f"{a}{b}" for a in ("zim", "sau", "kle", "spa") for b in ("mer", "ber", "in", "et")]


def table(change: str) -> pa.Table:
    """Return rows of 150 days with what a model said of them; after day 120 texts or vectors are others."""
    random = np.random.default_rng(5)
    rows = DAYS * ROWS
    late = np.arange(rows) >= TURN * ROWS
    texts = [
        " ".join(random.choice(OTHERS if change == "texts" and late[row] and random.random() < 0.5 else WORDS, 9))
        + f" {row}"
        for row in range(rows)
    ]
    vectors = random.normal(size=(rows, 24))
    if change == "vectors":
        vectors += np.where(late, 0.6, 0.0)[:, np.newaxis] * random.normal(size=24)
    score = random.random(rows)
    return pa.table(
        {
            "at": np.datetime64("2026-01-01", "us") + (np.arange(rows) * (86_400 // ROWS)).astype("timedelta64[s]"),
            "amount": random.gamma(2.0, 10.0, rows),
            "comment": texts,
            "vector": pa.array(vectors.astype(np.float32).tolist(), pa.list_(pa.float32(), 24)),
            "score": score,
            "y": (random.random(rows) < score).astype(np.int64),
        }
    )


@pytest.mark.parametrize("change", ["", "texts", "vectors"])
def test_what_changed_is_an_alarm_and_names_its_measure(change: str, tmp_path: Path) -> None:
    history = table(change)
    spec = infer_spec(history).spec
    assert (spec.columns.texts, spec.columns.embeddings) == (("comment",), ("vector",))
    replay(history, spec, home=tmp_path / "home", start="2026-04-05")
    with Home.open(tmp_path / "home", read_only=True) as home:
        alarms: list[Any] = [item.content for item in home.artifacts("alarm", spec.model.name)]
        kept = home.segments("predictions", spec.model.name)[0]
        names = home.read_segment(kept).column_names
        causes = [item.content["cause"] for item in home.artifacts("incident", spec.model.name)]
    # Neither a text nor a vector is kept.
    assert "comment: length" in names
    assert not {"comment", "vector"} & set(names)
    # A measure has no unit that could change and no values of its own that could be new.
    assert not [item for cause in causes for item in cause["breaks"]]
    columns = {alarm["column"] for alarm in alarms}
    expected = {"": "nothing", "texts": "comment: out-of-vocabulary share", "vectors": "vector: "}[change]
    if not change:
        assert columns == set()
        return
    assert any(name.startswith(expected) for name in columns)
    assert all(name.startswith(expected.partition(":")[0]) for name in columns)

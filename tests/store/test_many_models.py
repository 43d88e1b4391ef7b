"""What is asked for one model costs nothing for the others in the same home: every query searches an index."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import sqlalchemy as sa

from pitstop.store.home import Home
from pitstop.store.location import CATALOG

QUESTIONS: dict[str, Callable[[Home], Any]] = {
    "profiles": lambda home: home.profiles("m7", "predicted", 1, 3),
    "profile_ids": lambda home: home.profile_ids("m7", "predicted"),
    "signals": lambda home: home.signals("m7", 1, 3, ["psi"]),
    "segments": lambda home: home.segments("predictions", "m7", 1, 3),
    "artifacts": lambda home: home.artifacts(kind="alarm", model="m7", up_to=5),
    "artifact": lambda home: home.artifact("m7", "alarm:1"),
    "state": lambda home: home.load_state("m7"),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with 30 models."""
    path = tmp_path_factory.mktemp("many") / "home"
    rows = pa.table({"@id": ["a"]})
    with Home.open(path) as home, home.transaction() as store:
        for number in range(30):
            name = f"m{number}"
            store.add_segment("predictions", name, 1, "batch", rows)
            store.put_profile(name, "predicted", 1, b"p", "profile:1")
            store.put_signals(name, 1, [("psi", None, 0.1, 0.0, 0.2)])
            store.put_artifact({"window": 1}, "alarm", "alarm:1", 1, (), name)
            store.save_state(name, 1, {"n": 1})
    return path


@pytest.mark.parametrize("question", QUESTIONS)
def test_a_question_about_one_model_searches_an_index(folder: Path, question: str) -> None:
    asked: list[tuple[str, Any]] = []

    def watch(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_rest: Any) -> None:
        asked.append((statement, parameters))

    sa.event.listen(sa.Engine, "before_cursor_execute", watch)
    try:
        with Home.open(folder, read_only=True) as home:
            asked.clear()
            assert QUESTIONS[question](home)
    finally:
        sa.event.remove(sa.Engine, "before_cursor_execute", watch)
    catalog = sqlite3.connect(folder / CATALOG)
    selects = [item for item in asked if item[0].lstrip().upper().startswith("SELECT")]
    assert selects
    for statement, parameters in selects:
        plan = [row[3] for row in catalog.execute(f"EXPLAIN QUERY PLAN {statement}", parameters)]
        looked = [step for step in plan if step.startswith(("SCAN", "SEARCH"))]
        assert looked
        assert all(step.startswith("SEARCH") and "model=?" in step for step in looked), plan
    catalog.close()

"""The workspace and the model of these tests."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.service.ingest.counted import SPEC

from pitstop.records.spec import ModelSpec, parse_spec


@pytest.fixture
def spec() -> ModelSpec:
    return parse_spec(SPEC)


@pytest.fixture
def specs(spec: ModelSpec) -> Callable[[str], ModelSpec | None]:
    return lambda name: spec if name == "m" else None


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    return tmp_path / "workspace"

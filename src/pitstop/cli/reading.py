"""Reads specifications for the commands; what reading takes (numpy) is loaded then, so that `--help` is fast."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pitstop.records.spec import ModelSpec


def load_spec(path: Path) -> ModelSpec:
    """Return the specification in a `pitstop.toml`; see `pitstop.records.spec.load_spec`."""
    from pitstop.records import spec  # noqa: PLC0415 - heavy, and `pitstop --help` must be fast

    return spec.load_spec(path)


def parse_spec(text: str) -> ModelSpec:
    """Return the specification in a text; see `pitstop.records.spec.parse_spec`."""
    from pitstop.records import spec  # noqa: PLC0415 - as above

    return spec.parse_spec(text)

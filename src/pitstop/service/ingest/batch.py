"""What is handed over, and what is said back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from pitstop.records.spec import ModelSpec

Kind = Literal["predictions", "labels", "events"]
Specs = Callable[[str], ModelSpec | None]
"""Gives the specification of a model by name, None where none is registered."""


@dataclass(frozen=True)
class Batch:
    """Rows of one model as they were sent; of kind `events`: half of a prediction, as `cloud_events` writes it.

    `format`: one of `pitstop.service.ingest.formats.FORMATS` or of `topic_messages`. `id`: the sender's name for the
    batch; the same id again is the same batch, whatever it holds. Empty: each time it is sent it is another batch.
    `by`: who sent it.
    """

    model: str
    kind: Kind
    format: str
    payload: bytes = field(repr=False)
    id: str = ""
    by: str = ""


@dataclass(frozen=True)
class Receipt:
    """The batch is durable. `rows`: how many it holds."""

    rows: int


@dataclass(frozen=True)
class Limits:
    """What a batch may hold: bytes as sent, rows, columns, cells (rows x columns), bytes of text once unpacked."""

    body_bytes: int = 32 << 20
    rows: int = 1_000_000
    columns: int = 2_000
    cells: int = 30_000_000
    text_bytes: int = 256 << 20
    id_length: int = 200


LIMITS = Limits()

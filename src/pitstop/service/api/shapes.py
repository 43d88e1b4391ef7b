"""What the API says and takes, as typed records; the OpenAPI document's schemas are made from them.

Money is text with four decimals, as the ledger keeps it. Instants of a model are named as its calendar names them;
instants of the service are ISO 8601 in UTC.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

Word = Annotated[str, Meta(min_length=1, max_length=200)]
Sentence = Annotated[str, Meta(min_length=1, max_length=4_000)]
Instant = Annotated[str, Meta(max_length=64)]


def named(instant: int) -> str:
    """Return an instant of the service (microseconds since 1970) as it is written."""
    return datetime.fromtimestamp(instant / 1e6, UTC).isoformat()


class Model(msgspec.Struct, frozen=True):
    """A model that is served. `until` is what was taken in, null before the first row; so is `champion`."""

    name: str
    task: str
    owner: str
    every_seconds: int
    until: str | None
    champion: str | None
    open_incidents: int


class NewModel(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A model to serve: `spec` is the text of its `pitstop.toml`."""

    spec: Annotated[str, Meta(min_length=1, max_length=200_000)]
    start: Instant = ""
    owner: Annotated[str, Meta(max_length=200)] = ""
    every_seconds: Annotated[int, Meta(ge=60, le=31_536_000)] = 86_400


class Artifact(msgspec.Struct, frozen=True):
    """Something that the loop found, decided or did, with what led there. `content` depends on `kind`."""

    id: str
    kind: str
    at: str
    caused_by: list[str]
    content: dict[str, Any]


class Segment(msgspec.Struct, frozen=True):
    """How a challenger compares where `column` is `value`; `gain` in currency a row, null before the first label."""

    column: str
    value: str
    verdict: str
    rows: int
    gain: float | None
    low: float | None
    high: float | None
    needed: int | None


class Segments(msgspec.Struct, frozen=True):
    """How a challenger compares by segment. `alpha` is shared among all; `margin`, in currency a row, is accepted.

    `left_out` counts segments with too few rows to be compared.
    """

    alpha: float
    margin: float
    left_out: int
    standings: list[Segment]


class Canary(msgspec.Struct, frozen=True):
    """How far a canary is: windows and labelled rows of its share, and how many it needs; `left` more windows about."""

    share: float
    windows: int
    least_windows: int
    rows: int
    least_rows: int
    margin: float
    left: int | None


class Test(msgspec.Struct, frozen=True):
    """A running comparison with the champion; `gain` in currency a row, null before the first label.

    `kind` is shadow, canary or rollback. `segments` is null where none is compared, `canary` for the other kinds.
    """

    version: str
    kind: str
    verdict: str
    rows: int
    gain: float | None
    low: float | None
    high: float | None
    needed: int | None
    sentence: str
    segments: Segments | None
    canary: Canary | None


class Standing(msgspec.Struct, frozen=True):
    """Who serves, what scores beside it, and why a release is held up (empty where none is)."""

    model: str
    champion: str
    since: str
    reason: str
    tests: list[Test]
    held: str


class Signal(msgspec.Struct, frozen=True):
    """A value of a monitor in a window, with its interval."""

    window: str
    name: str
    column: str | None
    value: float | None
    low: float | None
    high: float | None


class JournalEntry(msgspec.Struct, frozen=True):
    """An entry of the journal; `digest` is that of the artifact's content, hexadecimal."""

    sequence: int
    kind: str
    model: str
    id: str
    caused_by: list[str]
    digest: str


class Verified(msgspec.Struct, frozen=True):
    """What a check of the whole journal found."""

    ok: bool
    size: int
    root: str
    signed_size: int
    faults: list[str]


class NewOrder(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a person orders. `version` is what to release or retire, `recipe` which history to retrain on."""

    action: Literal["retrain", "release", "rollback", "retire"]
    reason: Sentence
    version: Annotated[int, Meta(ge=1, le=1_000_000)] | None = None
    recipe: Annotated[str, Meta(max_length=100)] = ""


class Approval(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """That a release may be made; `challenger` is the id of a model, empty for the one that is held up."""

    text: Annotated[str, Meta(max_length=4_000)] = ""
    challenger: Annotated[str, Meta(max_length=200)] = ""


class Override(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """That a release may pass although `item` is open."""

    item: Word
    text: Sentence


class Attestation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """That an item is met, said by a person; `until` is the instant up to which it holds, empty for no end."""

    item: Word
    text: Annotated[str, Meta(max_length=4_000)] = ""
    until: Instant = ""
    automated: bool = False


class Declaration(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A serious incident; `aware_at` is when somebody became aware of it, empty for now."""

    severity: Literal["serious", "death", "widespread"]
    text: Sentence
    aware_at: Instant = ""


class Report(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """That a serious incident was reported; `closes` says that it was put right."""

    text: Sentence
    at: Instant = ""
    closes: bool = False


class Recorded(msgspec.Struct, frozen=True):
    """What was put into the journal."""

    recorded: list[Artifact]


class JobShape(msgspec.Struct, frozen=True):
    """A job: what was asked for, how far it is (`done` of `total`, 0 where unknown), and what came of it."""

    id: str
    kind: str
    model: str
    by: str
    at: str
    state: Literal["queued", "running", "waiting", "done", "failed", "cancelled"]
    tries: int
    note: str
    done: int
    total: int
    cancelled_by: str | None
    ended: str | None
    outcome: dict[str, Any] | None


class Assignment(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who is to look after an incident; empty gives it back."""

    to: Annotated[str, Meta(max_length=200)]
    text: Annotated[str, Meta(max_length=4_000)] = ""


class Said(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What somebody says."""

    text: Sentence


class Closing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What an incident turned out to be."""

    verdict: Literal["real change", "broken data", "known and planned", "false alarm"]
    text: Sentence


class QuarantinedShape(msgspec.Struct, frozen=True):
    """A batch that could not be stored, with the reason; `payload` is what was sent, where it is text."""

    number: int
    model: str
    kind: str
    format: str
    batch_id: str
    at: str
    reason: str
    state: Literal["open", "mended", "discarded"]
    payload: str | None


class Mending(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A batch to store in place of one that could not be; `payload` null hands it over as it was."""

    payload: Annotated[str, Meta(max_length=1_000_000)] | None = None
    format: Literal["json", "ndjson", "csv"] | None = None


class TrainingShape(msgspec.Struct, frozen=True):
    """A training that another system was asked for; `facts` is what it was told, `said` what went wrong last."""

    id: str
    job: str
    state: Literal["asked", "answered", "taken", "failed", "late", "cancelled"]
    at: str
    deadline: str
    sent: str | None
    tries: int
    said: str
    facts: dict[str, Any]


class Output(msgspec.Struct, frozen=True):
    """What a command printed: on its standard output and error stream, and its exit code."""

    text: str
    errors: str
    exit: int


class JournalCopy(msgspec.Struct, frozen=True):
    """Files of a copy of the journal by name; `size` entries are then there, and `more` says whether others follow."""

    files: dict[str, str]
    size: int
    more: bool

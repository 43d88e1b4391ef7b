"""What the catalog knows of batches that came in: how far each spool file is stored, ids seen, and the quarantine."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Self

import sqlalchemy as sa

from pitstop.errors import StoreError
from pitstop.store.home import Home
from pitstop.store.migrations import TABLES
from pitstop.store.transaction import Transaction

_FILES, _BATCHES, _INTAKE = (TABLES.tables[name] for name in ("spool_files", "batches", "intake"))
_QUARANTINE = TABLES.tables["quarantine"]
_ASKED = 500


@dataclass(frozen=True)
class Intake:
    """Where a model's intake stands.

    `rows` and `labels`: kept so far. `repeated`: rows and labels left out because they were known. `expired`: rows left
    out because retention has dropped the windows before `kept_from`. `early`: ids with a label and no prediction yet.
    `head`: the latest window that a prediction lay in. `words`: classes by code, as join records name them. `classes`:
    the labels that rows of a binary task have. `layout`: the bins that rows are counted over, None before there were
    enough. `moments`: whether predictions come with a time of day. `tried`: at how many rows bins were last tried to be
    fitted.
    """

    rows: int = 0
    labels: int = 0
    repeated: int = 0
    early: int = 0
    head: int | None = None
    words: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    layout: Mapping[str, Any] | None = None
    moments: bool = False
    tried: int = 0
    kept_from: int | None = None
    expired: int = 0

    @classmethod
    def of(cls, text: str) -> Self:
        """Return what `text` says."""
        content = json.loads(text)
        return cls(**{**content, "words": tuple(content["words"]), "classes": tuple(content["classes"])})

    @property
    def text(self) -> str:
        """It as JSON."""
        return json.dumps(asdict(self))


@dataclass(frozen=True)
class Quarantined:
    """A batch that could not be stored, with the reason; `state` is `open`, `mended` or `discarded`.

    `payload` is what was sent, as long as it is open; `at` is the instant at which it was accepted.
    """

    number: int
    model: str
    kind: str
    format: str
    batch_id: str
    at: int
    reason: str
    state: str
    payload: bytes = field(repr=False)


def read_intake(store: Transaction, model: str) -> Intake:
    """Return where a model's intake stands; a new one for a model that never had a row."""
    rows = store.select(sa.select(_INTAKE.c.content).where(_INTAKE.c.model == model))
    return Intake.of(rows[0].content) if rows else Intake()


def intakes(home: Home) -> dict[str, Intake]:
    """Return where the intake of every model stands, by name."""
    return {row.model: Intake.of(row.content) for row in home.select(sa.select(_INTAKE).order_by(_INTAKE.c.model))}


def write_intake(store: Transaction, model: str, intake: Intake) -> None:
    """Set where a model's intake stands."""
    store.execute(_INTAKE.delete().where(_INTAKE.c.model == sa.bindparam("key")), [{"key": model}])
    store.execute(_INTAKE.insert(), [{"model": model, "content": intake.text}])


def stored_of(store: Transaction | Home) -> dict[str, int]:
    """Return up to which byte each spool file is stored."""
    return {row.name: row.stored for row in store.select(sa.select(_FILES))}


def set_stored(store: Transaction, name: str, stored: int) -> None:
    """Record that a spool file is stored up to a byte."""
    store.execute(_FILES.delete().where(_FILES.c.name == sa.bindparam("key")), [{"key": name}])
    store.execute(_FILES.insert(), [{"name": name, "stored": stored}])


def forget_files(store: Transaction, names: Iterable[str]) -> None:
    """Forget spool files that are deleted."""
    store.execute(_FILES.delete().where(_FILES.c.name == sa.bindparam("key")), [{"key": name} for name in names])


def batch_digest(model: str, kind: str, batch_id: str) -> bytes:
    """Return under which name a batch's id is kept."""
    return hashlib.blake2b(f"{model}\0{kind}\0{batch_id}".encode(), digest_size=16).digest()


def known_batches(store: Transaction, digests: Sequence[bytes]) -> frozenset[bytes]:
    """Return those of the batches that were stored before."""
    found: set[bytes] = set()
    for place in range(0, len(digests), _ASKED):
        asked = digests[place : place + _ASKED]
        rows = store.select(sa.select(_BATCHES.c.digest).where(_BATCHES.c.digest.in_(asked)))
        found.update(bytes(row.digest) for row in rows)
    return frozenset(found)


def remember_batches(store: Transaction, digests: Iterable[bytes], at: int) -> None:
    """Remember batches as stored; `at` is the instant at which they were accepted."""
    store.execute(_BATCHES.insert(), [{"digest": digest, "at": at} for digest in digests])


def forget_batches(store: Transaction, digests: Iterable[bytes]) -> None:
    """Forget batches that could not be stored after all: sent again under the same id, they are looked at again."""
    store.execute(_BATCHES.delete().where(_BATCHES.c.digest == sa.bindparam("key")), [{"key": key} for key in digests])


def put_quarantine(store: Transaction, items: Sequence[Quarantined]) -> None:
    """Keep batches that could not be stored; their numbers are given by the catalog."""
    store.execute(
        _QUARANTINE.insert(),
        [{name: value for name, value in asdict(item).items() if name != "number"} for item in items],
    )


def open_entries(store: Transaction) -> frozenset[int]:
    """Return the numbers of the entries that wait for a person."""
    rows = store.select(sa.select(_QUARANTINE.c.number).where(_QUARANTINE.c.state == "open"))
    return frozenset(row.number for row in rows)


def settle_quarantine(store: Transaction, number: int, state: str) -> None:
    """Close an open entry as `mended` or `discarded`; its payload goes."""
    change = _QUARANTINE.update().where(_QUARANTINE.c.number == sa.bindparam("key"))
    store.execute(change, [{"key": number, "state": state, "payload": b""}])


def erase_quarantined(store: Transaction, names: Callable[[str, str, bytes], bool]) -> None:
    """Close the open entries of which `names(model, format, payload)` is true; the payload goes."""
    columns = (_QUARANTINE.c.number, _QUARANTINE.c.model, _QUARANTINE.c.format, _QUARANTINE.c.payload)
    for row in store.select(sa.select(*columns).where(_QUARANTINE.c.state == "open")):
        if names(row.model, row.format, bytes(row.payload)):
            settle_quarantine(store, row.number, "discarded")


def quarantined(home: Home, model: str | None = None, *, closed: bool = False) -> tuple[Quarantined, ...]:
    """Return the entries of the quarantine, oldest first, without payloads; only the open ones unless `closed`."""
    columns = [column for column in _QUARANTINE.c if column.name != "payload"]
    query = sa.select(*columns).order_by(_QUARANTINE.c.number)
    if model is not None:
        query = query.where(_QUARANTINE.c.model == model)
    if not closed:
        query = query.where(_QUARANTINE.c.state == "open")
    return tuple(Quarantined(**row._mapping, payload=b"") for row in home.select(query))  # noqa: SLF001 - public name


def quarantined_batch(home: Home | Transaction, number: int) -> Quarantined:
    """Return one entry with its payload; raise `StoreError` where there is none of that number."""
    rows = home.select(sa.select(_QUARANTINE).where(_QUARANTINE.c.number == number))
    if not rows:
        msg = f"the quarantine has no entry {number}; it lists those it has"
        raise StoreError(msg)
    found = Quarantined(**rows[0]._mapping)  # noqa: SLF001 - SQLAlchemy's public name for it
    return replace(found, payload=bytes(found.payload))

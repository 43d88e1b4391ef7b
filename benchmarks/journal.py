"""The journal at a million entries: the cost of an append, a check and a proof, and what tampering shows."""

from __future__ import annotations

import hashlib
import sqlite3
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.result import Bar, Result
from pitstop.journal.checkpoints import open_checkpoint
from pitstop.journal.merkle import verify_consistency
from pitstop.store import log
from pitstop.store.content import content_digest
from pitstop.store.home import Home
from pitstop.store.migrations import TABLES

BATCH = 1_000
PROOFS = 200


def run(quick: bool, data: Path | None) -> Result:  # noqa: ARG001 - the frame's signature; entries are made here
    """Append entries with their contents in a temporary home, then prove, check and tamper."""
    size = 100_000 if quick else 1_000_000
    with tempfile.TemporaryDirectory() as folder:
        with Home.open(folder) as home:
            costs = [_append(home, first) for first in range(0, size, BATCH)]
            home.checkpoint()
            walls, proof = _proofs(home, size)
            consistency = _consistency(home, size)
            wall, processor = time.perf_counter(), time.process_time()
            found = home.verify()
            checked, burnt = time.perf_counter() - wall, time.process_time() - processor
            if not found.ok or found.signed_size != size:
                msg = f"an untouched journal does not verify: {found.faults[:3]}"
                raise AssertionError(msg)
        named = _tampered(Path(folder), size)
    tenth = len(costs) // 10
    # Medians: one checkpoint of the database's own log costs more than all appends between two of them.
    first, last = float(np.median(costs[:tenth])), float(np.median(costs[-tenth:]))
    scale = 1_000_000 / size
    rows: list[dict[str, Any]] = [
        {"what": "append, first tenth", "processor us an entry": 1e6 * first},
        {"what": "append, last tenth", "processor us an entry": 1e6 * last},
        {"what": "inclusion proof, median", "ms": 1e3 * walls, "processor ms": 1e3 * proof},
        {"what": "consistency proof", "ms": 1e3 * consistency},
        {"what": f"check of {size:,} entries", "s": checked, "processor s": burnt},
        {"what": "entries whose edit, deletion or forgery was named", "share": named},
    ]
    return Result(
        tuple(rows),
        (
            Bar("journal.1a", last / first, 1.2, text="cost of an append, last tenth over first tenth"),
            # By the clock, as a person waits; the rows have processor time beside it, for machines that are shared.
            Bar("journal.1b", checked * scale, 20.0, text="seconds to check a million entries"),
            Bar("journal.1c", 1e3 * walls, 10.0, text="milliseconds of an inclusion proof, median"),
            Bar("journal.2", named, 1.0, "at least", text="share of tamperings found and named"),
        ),
    )


def _append(home: Home, first: int) -> float:
    """Append a batch of entries with their contents in one transaction; return processor seconds an entry."""
    notes, contents = [], []
    for number in range(first, first + BATCH):
        content = f'{{"amount":"{number}.0000","kind":"estimate","window":{number}}}'
        name = f"transaction-{hashlib.sha256(str(number).encode()).hexdigest()[:20]}"
        contents.append(
            {"model": "m", "id": name, "kind": "transaction", "at": number, "caused_by": "[]", "content": content}
        )
        notes.append(
            log.Note("transaction", number, "m", name, ("release-0123456789abcdef0123",), content_digest(content))
        )
    with home._catalog.write() as connection:  # noqa: SLF001 - the journal's own cost, without that of the contents
        start = time.process_time()
        log.append(connection, notes)
        spent = time.process_time() - start
        connection.execute(TABLES.tables["artifacts"].insert(), contents)
    return spent / BATCH


def _proofs(home: Home, size: int) -> tuple[float, float]:
    """Return the median seconds of some proofs, made and checked: by the clock, and of the processor."""
    rng = np.random.default_rng(0)
    home.prove(0)
    walls, processors = [], []
    for index in rng.integers(0, size, PROOFS):
        wall, processor = time.perf_counter(), time.process_time()
        entry, proof = home.prove(int(index))
        walls.append(time.perf_counter() - wall)
        processors.append(time.process_time() - processor)
        proof.require(entry.to_bytes(), home.notes()[-1][1])
    return float(np.median(walls)), float(np.median(processors))


def _consistency(home: Home, size: int) -> float:
    """Return seconds of a proof that the journal extends its own first third."""
    with home._catalog.read() as connection:  # noqa: SLF001 - an older root, which only an older checkpoint would hold
        old = log.tiles(connection, size // 3).root
    new = open_checkpoint(*home.notes()[-1])
    start = time.perf_counter()
    proof = home.prove_consistency(type(new)(new.origin, size // 3, old))
    spent = time.perf_counter() - start
    if not verify_consistency(size // 3, size, old, new.root, proof):
        msg = "a consistency proof does not hold"
        raise AssertionError(msg)
    return spent


def _tampered(folder: Path, size: int) -> float:
    """Edit entries in two ways and delete others, all at once, and return which share of them a check names."""
    rng = np.random.default_rng(1)
    edited, deleted, forged = (sorted(part) for part in np.split(rng.choice(size - 2, 30, replace=False), 3))
    connection = sqlite3.connect(folder / "catalog.sqlite")
    for number in edited:
        connection.execute("UPDATE journal SET model = 'n' WHERE sequence = ?", (int(number),))
    for number in deleted:
        connection.execute("DELETE FROM journal WHERE sequence = ?", (int(number),))
    for number in forged:
        connection.execute("UPDATE journal SET digest = ? WHERE sequence = ?", ("0" * 64, int(number)))
    connection.commit()
    connection.close()
    with Home.open(folder, read_only=True) as home:
        found = home.verify()
    named = {
        (fault.kind, number)
        for fault in found.faults
        if fault.kind in ("edited", "deleted")
        for number in range(fault.first, min(fault.last, fault.first + 5) + 1)
    }
    wanted = [("edited", int(n)) for n in (*edited, *forged)] + [("deleted", int(n)) for n in deleted]
    return sum(item in named for item in wanted) / len(wanted)

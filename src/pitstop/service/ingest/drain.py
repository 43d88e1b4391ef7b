"""The drain: moves acknowledged batches from the spool into the store, each exactly once.

A group of batches becomes one transaction: segments, profiles, join records, journal entries, the ids of the batches,
and how far each spool file is stored. Killed before the commit, nothing of it happened; killed after it, the next step
goes on behind it. A batch that cannot be stored goes to the quarantine in the same transaction and holds nobody up.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import pyarrow as pa

from pitstop.errors import StoreError
from pitstop.records.batches import normalise
from pitstop.records.identity import artifact_id
from pitstop.service.ingest import forgetting
from pitstop.service.ingest.batch import Specs
from pitstop.service.ingest.grouping import ORDERS, Group, next_group
from pitstop.service.ingest.label_rows import label_rows
from pitstop.service.ingest.pairing import pair
from pitstop.service.ingest.reading import pieces, refuse_third_class
from pitstop.service.ingest.receiving import Receiving
from pitstop.service.ingest.topic_messages import without_set_aside
from pitstop.store import intake as kept
from pitstop.store.compaction import compact, crowded
from pitstop.store.disk import disk_errors
from pitstop.store.home import Home
from pitstop.store.intake import Quarantined
from pitstop.store.segments import joined
from pitstop.store.spool import SpoolRecord, is_of, remove_file, spool_files, spool_id
from pitstop.store.transaction import Transaction
from pitstop.store.waiting import erase_waiting, retain_waiting

SPOOL, RECORDS, MODELS = "spool", "records", "models"
# How much of a reason is kept, in characters: names that somebody sent may be long.
_REASON = 4_000


@dataclass(frozen=True)
class Step:
    """What one step did: batches stored whole, batches known before, entries quarantined, bytes of the spool."""

    batches: int = 0
    repeated: int = 0
    quarantined: int = 0
    bytes: int = 0


class Drain:
    """Stores what is in the `spool` of the workspace in folder `path`; a context manager.

    One process may do so at a time. `specs` gives specifications by name, `homes` the homes of models that stand
    elsewhere than in the workspace. Opening raises `StoreBusyError` where another
    process stores, and `StoreError`.
    """

    def __init__(
        self, path: Path, specs: Specs, spool: Path | None = None, *, homes: Callable[[], Iterable[Path]] = tuple
    ) -> None:
        self.path = path
        self._homes = homes
        self._spool = spool or path / SPOOL
        self._specs = specs
        self.home = Home.open(path / RECORDS)
        self._stored: dict[str, int] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give the store back."""
        self.home.close()

    def run_dry(self) -> Step:
        """Store everything that is in the spool now; return what was done in all."""
        total = Step()
        while (step := self.step()).bytes:
            total = _sum(total, step)
        return total

    def step(self) -> Step:
        """Store the next group; a step of no bytes means that the spool is empty.

        Raises `StoreError` where the disk does not allow it: nothing has changed then, and the next step tries again.
        """
        if self._stored is None:
            self._stored = kept.stored_of(self.home)
        group = next_group(self._spool, self._stored)
        if not group.ends:
            self._remove(group.over)
            return Step()
        try:
            done = self._committed(group)
        except BaseException:
            self._stored = None
            raise
        if any(record.meta["kind"] == "erasure" for record in group.records):
            self.home.scrub()
        moved = sum(end - self._stored.get(name, 0) for name, end in group.ends.items())
        self._stored.update(group.ends)
        self._remove(group.over)
        return Step(done.batches, done.repeated, done.quarantined, moved)

    def tidy(self) -> bool:
        """Put small segments together in the most crowded window; return whether there was something to do."""
        for model, kind, window in crowded(self.home):
            spec = self._specs(model)
            if spec is not None and compact(self.home, model, kind, window, spec.calendar.window_start(window + 1)):
                return True
        return False

    def _committed(self, group: Group) -> Step:
        try:
            return self._commit(group, group.records)
        except (StoreError, MemoryError):
            raise
        except Exception as error:  # noqa: BLE001 - whatever a batch does to the code that reads it, the others must pass
            if len(group.records) == 1:
                reason = f"storing it failed with {type(error).__name__}: {error}"
                return self._commit(group, (), refused=((group.records[0], reason),))
        # One of them is odd in a way that nobody foresaw: each by itself, and the file's end with the last.
        total = Step()
        for place, record in enumerate(group.records, start=1):
            alone = place == len(group.records)
            ends = group.ends if alone else {record.file: record.end}
            part = Group((record,), ends, group.damaged if alone else (), ())
            total = _sum(total, self._committed(part))
        return total

    def _commit(
        self,
        group: Group,
        records: Sequence[SpoolRecord],
        refused: Sequence[tuple[SpoolRecord, str]] = (),
    ) -> Step:
        with self.home.transaction() as store:
            done = self._store(store, records, refused, group.damaged)
            for name, end in group.ends.items():
                kept.set_stored(store, name, end)
            kept.forget_files(store, self._gone(group))
        return done

    def _gone(self, group: Group) -> list[str]:
        """Return files that were deleted after they had been stored."""
        assert self._stored is not None  # noqa: S101 - step() has read it; for the type checker
        with disk_errors("read the spool", self._spool):
            own = spool_id(self._spool)
        there = {path.name for path in spool_files(self._spool)}
        # Files of another machine's spool are not here, and not gone.
        return [name for name in self._stored if name not in there and name not in group.ends and is_of(name, own)]

    def _remove(self, over: Sequence[Path]) -> None:
        for path in over:
            remove_file(path)

    def _store(
        self,
        store: Transaction,
        records: Sequence[SpoolRecord],
        hopeless: Sequence[tuple[SpoolRecord, str]],
        damaged: Sequence[tuple[str, int, int]],
    ) -> Step:
        fresh, repeated = self._unknown(store, records)
        lost = [_damage(self._spool, *span) for span in damaged]
        refused: list[tuple[SpoolRecord, str]] = [*hopeless]
        by_model: defaultdict[str, dict[str, list[SpoolRecord]]] = defaultdict(
            lambda: {"predictions": [], "labels": [], "events": []}
        )
        settled: dict[int, tuple[str, SpoolRecord]] = {}
        for record in fresh:
            if record.meta["kind"] in ORDERS:
                self._obey(store, record)
                continue
            closes = record.meta.get("mends", record.meta.get("discards"))
            if closes is not None and int(closes) not in kept.open_entries(store):
                # Handed over twice before the first was stored: its rows must not count twice, nor be lost.
                if "mends" in record.meta:
                    refused.append((record, f"entry {closes} of the quarantine, which it mends, was closed before"))
                continue
            if "discards" in record.meta:
                settled[int(record.meta["discards"])] = "discarded", record
                continue
            by_model[record.meta["model"]][record.meta["kind"]].append(record)
        for model, kinds in by_model.items():
            made, odd = self._paired(store, model, kinds["events"])
            refused += odd
            refused += self._take(store, model, [*kinds["predictions"], *made], kinds["labels"])
        bad = {id(record) for record, _ in refused}
        kept.forget_batches(store, [digest for record, _ in refused if (digest := _digest(record)) is not None])
        settled |= {int(r.meta["mends"]): ("mended", r) for r in fresh if "mends" in r.meta and id(r) not in bad}
        for number, (state, record) in settled.items():
            self._settle(store, number, state, record)
        entries = [*(_entry(record, reason) for record, reason in refused), *lost]
        kept.put_quarantine(store, entries)
        for entry in entries:
            content = {"kind": entry.kind, "format": entry.format, "at": entry.at, "batch": entry.batch_id}
            store.put_artifact(content, "quarantine", artifact_id("quarantine", content), entry.at, (), entry.model)
        odd_ones = {(record.file, record.start) for record, _ in refused[len(hopeless) :]}
        return Step(len(fresh) - len(odd_ones), repeated, len(entries))

    def _settle(self, store: Transaction, number: int, state: str, order: SpoolRecord) -> None:
        """Close an entry of the quarantine, on record with who ordered it; a mended batch counts as stored."""
        kept.settle_quarantine(store, number, state)
        if state == "mended":
            entry = kept.quarantined_batch(store, number)
            name = kept.batch_digest(entry.model, entry.kind, entry.batch_id)
            if name not in kept.known_batches(store, [name]):
                kept.remember_batches(store, [name], order.at)
        content = {"entry": number, "state": state, "by": order.meta.get("by", ""), "at": order.at}
        store.put_artifact(content, "quarantine", artifact_id("quarantine", content), order.at, (), order.meta["model"])

    def _obey(self, store: Transaction, record: SpoolRecord) -> None:
        """Carry out an order about rows: `retention` of a model's, or the `erasure` of a person."""
        order, by = json.loads(record.payload), record.meta.get("by", "")
        if record.meta["kind"] == "retention":
            spec = self._specs(record.meta["model"])
            if spec is not None:
                forgetting.retain(store, self.home, spec, order["before"], record.at, by)
            retain_waiting(store, record.meta["model"], order["before"])
            return
        subject, because = order["subject"], order["because"]
        hold = self._hold(subject)
        if hold is not None:
            forgetting.refuse(store, subject, because, hold, record.at, by)
            return
        specs = [spec for name in kept.intakes(self.home) if (spec := self._specs(name)) is not None]
        forgetting.erase(store, self.home, specs, subject, because, record.at, by)
        kept.erase_quarantined(
            store, lambda model, kind, payload: forgetting.names(self._specs(model), subject, kind, payload)
        )
        erase_waiting(store, subject)

    def _hold(self, subject: str) -> str | None:
        """Return the legal hold on a person's data, in any home of this workspace; None where there is none."""
        known = self.home.subject(subject)
        if known is not None and known.hold is not None:
            return known.hold
        return forgetting.hold_in({*(self.path / MODELS).glob("*"), *self._homes()}, subject)

    def _unknown(self, store: Transaction, records: Sequence[SpoolRecord]) -> tuple[list[SpoolRecord], int]:
        """Return the records whose batch was not stored before, and how many others there are."""
        digests = [_digest(record) for record in records]
        known = set(kept.known_batches(store, [digest for digest in digests if digest is not None]))
        fresh, new = [], []
        for record, digest in zip(records, digests, strict=True):
            if digest is not None:
                if digest in known:
                    continue
                known.add(digest)
                new.append((digest, record.at))
            fresh.append(record)
        for digest, at in new:
            kept.remember_batches(store, [digest], at)
        return fresh, len(records) - len(fresh)

    def _paired(
        self, store: Transaction, model: str, halves: Sequence[SpoolRecord]
    ) -> tuple[list[SpoolRecord], list[tuple[SpoolRecord, str]]]:
        """Return the predictions that requests and responses make, and those that are refused, with the reason."""
        if not halves:
            return [], []
        spec = self._specs(model)
        if spec is None:
            return [], [(record, f"no model {model!r} is registered here any more") for record in halves]
        return pair(store, spec, halves)

    def _take(
        self, store: Transaction, model: str, predictions: Sequence[SpoolRecord], labels: Sequence[SpoolRecord]
    ) -> list[tuple[SpoolRecord, str]]:
        """Store a model's batches; return those that cannot be, each with the reason."""
        refused: list[tuple[SpoolRecord, str]] = []
        predictions, labels = (without_set_aside(records, refused) for records in (predictions, labels))
        spec = self._specs(model)
        if spec is None:
            reason = f"no model {model!r} is registered here any more"
            return [*refused, *((record, reason) for record in (*predictions, *labels))]
        receiving = Receiving(store, self.home, spec, self._loop_home)
        ordinal = receiving.intake.rows

        def rows_of(table: pa.Table) -> pa.Table:
            return normalise(spec, table, first_ordinal=ordinal, labelled=False, unique=False).table

        tables = []
        for table in pieces(predictions, rows_of, refused):
            tables.append(table)
            ordinal += table.num_rows
        if tables:
            receiving.take_predictions(joined(tables), _name(predictions))
        classes, coming = set(receiving.intake.classes), list[pa.Table]()

        def labels_of(table: pa.Table) -> pa.Table:
            found = label_rows(spec, table, moments=receiving.intake.moments)
            refuse_third_class(
                spec, classes, found, lambda name: receiving.replaced(name, pa.concat_tables([*coming, found]))
            )
            coming.append(found)
            return found

        tables = list(pieces(labels, labels_of, refused))
        if tables:
            receiving.take_labels(pa.concat_tables(tables).combine_chunks(), _name(labels))
        receiving.finish(tuple(sorted(classes)))
        return refused

    def _loop_home(self, model: str) -> Path | None:
        return self.path / MODELS / model


def _digest(record: SpoolRecord) -> bytes | None:
    """Return under which name a batch's id is kept; None for one without an id."""
    name = record.meta.get("id")
    return kept.batch_digest(record.meta["model"], record.meta["kind"], name) if name else None


def _name(records: Sequence[SpoolRecord]) -> str:
    """Return what a group of batches is called: where it lay in the spool."""
    first, last = records[0], records[-1]
    return f"{first.file.partition('.')[0]}:{first.start}-{last.file.partition('.')[0]}:{last.end}"


def _entry(record: SpoolRecord, reason: str) -> Quarantined:
    meta = record.meta
    name = _kept_text(meta.get("id") or f"{record.file}:{record.start}")
    why = _kept_text(reason[:_REASON])
    return Quarantined(
        0, meta["model"], meta["kind"], meta["format"], name, record.at, why, "open", bytes(record.payload)
    )


def _kept_text(text: str) -> str:
    """Return a text that any catalog keeps: one that refused it would refuse the same group for ever."""
    return text.encode(errors="backslashreplace").decode().replace("\0", "\\x00")


def _damage(folder: Path, name: str, start: int, end: int) -> Quarantined:
    """Return the entry of bytes of a spool file that no record can be read from."""
    try:
        with (folder / name).open("rb") as file:
            file.seek(start)
            content = file.read(end - start)
    except OSError as error:
        msg = f"cannot read {folder / name}: {error.strerror or error}; check the disk"
        raise StoreError(msg) from error
    reason = (
        f"{end - start} bytes of the spool file {name} from byte {start} on are no whole record: most likely a batch "
        "that was being written when the machine stopped, and was never acknowledged"
    )
    return Quarantined(0, "", "spool", "bytes", f"{name}:{start}", 0, reason, "open", content)


def _sum(left: Step, right: Step) -> Step:
    return Step(
        left.batches + right.batches,
        left.repeated + right.repeated,
        left.quarantined + right.quarantined,
        left.bytes + right.bytes,
    )

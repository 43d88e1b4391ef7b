"""The next group of batches to store: from all files of a spool, in the order in which they were accepted.

Several processes may append, each to files of its own. A sender that was told that a batch is durable may send the
next one to another process: whatever was acknowledged before a batch was accepted is stored before it, or with it and
in front of it. That holds for an order too: what it is about is stored by then.
"""

from __future__ import annotations

import heapq
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pitstop.service.ingest.formats import count_cells
from pitstop.service.ingest.reading import JSON
from pitstop.store.spool import SpoolPart, SpoolRecord, accepted_at, read_part, spool_files

# Payloads of one transaction: enough to make its syncs cheap, few enough to unpack in memory.
GROUP_BYTES = 16 << 20
# JSON grows most when it is unpacked.
_JSON_WEIGHT = 4
# A cell is some 8 bytes, and a group may hold four times as many of them as bytes that were sent.
_CELL_WEIGHT = 2
ORDERS = frozenset({"retention", "erasure"})


@dataclass(frozen=True)
class Group:
    """Records to store together, up to which byte each file is stored then, what was damaged in them (name, from, to).

    `over`: the files of which nothing is left then.
    """

    records: tuple[SpoolRecord, ...]
    ends: dict[str, int]
    damaged: tuple[tuple[str, int, int], ...]
    over: tuple[Path, ...]


def next_group(folder: Path, stored: Mapping[str, int]) -> Group:
    """Return what is to be stored next; `stored` says up to which byte each file is. Raises `StoreError`."""
    files = spool_files(folder)
    found, lanes = _merged(files, stored, None)
    writers = sum(not lane.part.over for lane in lanes)
    again = spool_files(folder)
    if found.records and (writers > 1 or again != files):
        # Files are read one after the other, so one that was read early may lack what was acknowledged before a batch
        # that was found in another. By now it is there: all that was accepted up to the last batch found is taken.
        found, _ = _merged(again, stored, max(record.at for record in found.records))
    return found


class _Lane:
    """One file, of which some records are taken."""

    def __init__(self, path: Path, start: int) -> None:
        self.path, self.start, self.taken = path, start, 0
        self.part: SpoolPart = read_part(path, start)

    @property
    def head(self) -> SpoolRecord | None:
        """The next record, None where all were taken."""
        records = self.part.records
        return records[self.taken] if self.taken < len(records) else None

    @property
    def end(self) -> int:
        """Up to which byte the file is stored once what was taken is."""
        return self.part.end if self.head is None else self.head.start


def _heads(files: list[Path], stored: Mapping[str, int]) -> tuple[list[_Lane], list[tuple[int, int, _Lane | None]]]:
    """Return the files that had to be read, and a heap of when the next record of each file was accepted."""
    lanes: list[_Lane] = []
    heads: list[tuple[int, int, _Lane | None]] = []
    for place, path in enumerate(files):
        start = stored.get(path.name, 0)
        at = accepted_at(path, start)
        if at is not None:
            # A backlog has many files: one is read when its first record is the next.
            heads.append((at, place, None))
            continue
        lanes.append(_Lane(path, start))
        if lanes[-1].head is not None:
            heads.append((lanes[-1].head.at, place, lanes[-1]))
    heapq.heapify(heads)
    return lanes, heads


def _merged(files: list[Path], stored: Mapping[str, int], until: int | None) -> tuple[Group, list[_Lane]]:
    """Return the group, and the files that were read; records that were accepted after `until` are left."""
    lanes, waiting = _heads(files, stored)
    records: list[SpoolRecord] = []
    weight, ordered = 0, False
    while waiting and weight < GROUP_BYTES and not ordered:
        at, place, lane = heapq.heappop(waiting)
        if until is not None and at > until:
            break
        if lane is None:
            lane = _Lane(files[place], stored.get(files[place].name, 0))
            lanes.append(lane)
        record = lane.head
        if record is None:
            continue
        if record.at == at:
            if is_alone(record) and (records or any(other.taken for other in lanes)):
                break
            ordered = is_alone(record)
            records.append(record)
            weight += _weight(record)
            lane.taken += 1
        # Its own first record may have been damaged: then the next one takes its turn.
        if lane.head is not None:
            heapq.heappush(waiting, (lane.head.at, place, lane))
    return _group(records, lanes), lanes


def _weight(record: SpoolRecord) -> int:
    """Return how much a record counts in a group: its bytes, or more where few bytes are unpacked to many."""
    form, size = str(record.meta.get("format", "")), len(record.payload)
    return size * _JSON_WEIGHT if form in JSON else max(size, _CELL_WEIGHT * count_cells(form, record.payload))


def _group(records: list[SpoolRecord], lanes: list[_Lane]) -> Group:
    ends = {lane.path.name: lane.end for lane in lanes if lane.end > lane.start}
    damaged = [(lane.path.name, *span) for lane in lanes for span in lane.part.damaged if span[1] <= lane.end]
    over = [lane.path for lane in lanes if lane.head is None and lane.part.over]
    return Group(tuple(records), ends, tuple(damaged), tuple(over))


def is_alone(record: SpoolRecord) -> bool:
    """Return whether a record is a group of its own: an order, or what settles an entry of the quarantine."""
    return record.meta["kind"] in ORDERS or not record.meta.keys().isdisjoint(("mends", "discards"))

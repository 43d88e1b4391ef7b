"""Join records: for each prediction (and each label) a few numbers, found by the 64-bit hash of its id.

They lie in *runs*: two files each, hashes in ascending order and the records in the same order, immutable and mapped
into memory. A new group is a small run of its own; four runs of about one size are merged into one of the next, bucket
by bucket, so a record is rewritten once per size and memory stays bounded. Looking up n ids costs n searches in about a
dozen runs, however many predictions there are; an instant that is known leaves out the runs that do not reach it.
Of several records of one id the newest holds. (O'Neil et al. 1996, "The log-structured merge-tree".)
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from pitstop.errors import StoreError
from pitstop.statistics.repeats import row_hashes
from pitstop.store.migrations import TABLES
from pitstop.store.transaction import Transaction

FOLDER = "joins"
FAN_IN = 4
# Runs below this are of one size; smaller ones would only make more sizes.
SMALLEST = 1 << 14
BUCKET = 1 << 18

_RUNS = TABLES.tables["join_runs"]
_INSERT = _RUNS.insert()
_DROP = _RUNS.delete().where(_RUNS.c.hash_key == sa.bindparam("key"))
_REPLACE = _RUNS.update().where(_RUNS.c.hash_key == sa.bindparam("key"))
Hashes = NDArray[np.uint64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Run:
    """One run; `first_at` and `last_at` bound the instants of its records."""

    model: str
    kind: str
    rows: int
    first_at: int
    last_at: int
    hash_key: str
    hash_digest: str
    value_key: str
    value_digest: str

    @property
    def size(self) -> int:
        """The class of sizes it belongs to."""
        size, rows = 0, self.rows
        while rows > SMALLEST:
            rows //= FAN_IN
            size += 1
        return size


_COLUMNS = [_RUNS.c[name] for name in Run.__dataclass_fields__]


def id_hashes(ids: Any) -> Hashes:
    """Return the hash of each id (an Arrow column of strings), the same in every process."""
    return row_hashes([ids])


class JoinIndex:
    """The runs of one model and kind inside a transaction, the new ones among them; newest last.

    `record`: the NumPy type of a record, with a field `at` (int64, an instant). `path` gives the local file of a
    key and digest.
    """

    def __init__(
        self, store: Transaction, path: Callable[[str, str], Path], model: str, kind: str, record: np.dtype[Any]
    ) -> None:
        self._store = store
        self._path = path
        self._model, self._kind = model, kind
        self._record = record
        query = sa.select(*_COLUMNS).where(_RUNS.c.model == model, _RUNS.c.kind == kind).order_by(_RUNS.c.number)
        self._runs = [Run(**row._mapping) for row in store.select(query)]  # noqa: SLF001 - SQLAlchemy's public name
        self._fresh: list[tuple[Hashes, NDArray[Any]]] = []

    def find(self, hashes: Hashes, low: int | None = None, high: int | None = None) -> tuple[NDArray[np.bool_], Any]:
        """Return which of `hashes` (ascending) have a record, and the newest record of each (zeros where none).

        With `low` and `high` only records in runs that reach this range of instants are found.
        """
        found = np.zeros(hashes.size, dtype=np.bool_)
        records = np.zeros(hashes.size, dtype=self._record)
        for known, values in reversed(self._fresh):
            _search(hashes, known, values, found, records)
        for run in reversed(self._runs):
            if found.all():
                break
            if (low is None or run.last_at >= low) and (high is None or run.first_at <= high):
                _search(hashes, *self._mapped(run), found, records)
        return found, records

    def add(self, hashes: Hashes, records: NDArray[Any]) -> None:
        """Add records by ascending hash, one for each hash."""
        if hashes.size:
            self._fresh.append((hashes, records))

    def parts(self) -> Iterator[tuple[Hashes, NDArray[Any]]]:
        """Iterate over all records, the newest of each hash, in parts of ascending hashes."""
        newer: list[tuple[Any, Any]] = []
        for hashes, values in (*reversed(self._fresh), *(self._mapped(run) for run in reversed(self._runs))):
            hidden = np.zeros(len(hashes), dtype=np.bool_)
            ignored = np.zeros(len(hashes), dtype=self._record)
            for part in newer:
                _search(np.asarray(hashes), *part, hidden, ignored)
            newer.append((hashes, values))
            yield np.asarray(hashes)[~hidden], np.asarray(values)[~hidden]

    def save(self) -> None:
        """Put what was added into the transaction as a run, and merge where there are four of one size."""
        if not self._fresh:
            return
        merged = _merged(self._fresh)
        taken, rows = 0, merged[0].size
        while True:
            older = self._runs[: len(self._runs) - taken]
            size = _size_of(rows)
            # Only neighbours may be taken together, or an older record would hide a newer one.
            alike = next((place for place, run in enumerate(reversed(older)) if run.size > size), len(older))
            if alike < FAN_IN - 1:
                break
            taken += alike
            rows += sum(run.rows for run in older[len(older) - alike :])
        absorbed = self._runs[len(self._runs) - taken :]
        if absorbed:
            self._keep_merged(_by_bucket([*(self._mapped(run) for run in absorbed), merged]))
            for run in absorbed:
                self._forget(run)
        else:
            self._keep(*merged)
        self._fresh = []

    def _forget(self, run: Run) -> None:
        self._store.execute(_DROP, [{"key": run.hash_key}])
        self._store.drop_content(run.hash_key)
        self._store.drop_content(run.value_key)

    def drop_before(self, instant: int) -> int:
        """Drop the runs all of whose records are older than `instant`; return how many records went."""
        gone = [run for run in self._runs if run.last_at < instant]
        for run in gone:
            self._forget(run)
        self._runs = [run for run in self._runs if run not in gone]
        return sum(run.rows for run in gone)

    def remove(self, hashes: Hashes) -> None:
        """Take the records of these hashes (ascending) out of every run that has one."""
        kept = []
        for run in self._runs:
            known, values = self._mapped(run)
            hit = np.isin(known, hashes)
            if not hit.any():
                kept.append(run)
                continue
            if hit.all():
                self._forget(run)
            else:
                kept.append(self._keep(np.asarray(known)[~hit], np.asarray(values)[~hit], instead_of=run))
        self._runs = kept

    def _mapped(self, run: Run) -> tuple[Any, Any]:
        hashes = self._mapped_file(run.hash_key, run.hash_digest, np.dtype(np.uint64), run.rows)
        return hashes, self._mapped_file(run.value_key, run.value_digest, self._record, run.rows)

    def _mapped_file(self, key: str, digest: str, kind: np.dtype[Any], rows: int) -> Any:
        path = self._path(key, digest)
        size = path.stat().st_size
        if size != rows * kind.itemsize:
            msg = f"{key} has {size} bytes, expected {rows * kind.itemsize}: it was damaged; restore it from a backup"
            raise StoreError(msg)
        return np.memmap(path, dtype=kind, mode="r")

    def _keep(self, hashes: Hashes, values: NDArray[Any], instead_of: Run | None = None) -> Run:
        name = f"{FOLDER}/{secrets.token_hex(12)}"
        one = self._store.put_content(f"{name}.hashes", hashes.tobytes())
        two = self._store.put_content(f"{name}.values", values.tobytes())
        bounds = int(values["at"].min()), int(values["at"].max())
        return self._record_run(name, hashes.size, bounds, (one.digest, two.digest), instead_of)

    def _keep_merged(self, parts: Iterator[tuple[Hashes, NDArray[Any]]]) -> None:
        rows, first, last = 0, np.iinfo(np.int64).max, np.iinfo(np.int64).min
        name = f"{FOLDER}/{secrets.token_hex(12)}"
        with NamedTemporaryFile(dir=self._store.staging) as left, NamedTemporaryFile(dir=self._store.staging) as right:
            for hashes, values in parts:
                rows += hashes.size
                first, last = min(first, int(values["at"].min())), max(last, int(values["at"].max()))
                left.write(hashes.tobytes())
                right.write(values.tobytes())
            left.flush()
            right.flush()
            one = self._store.put_content(f"{name}.hashes", Path(left.name))
            two = self._store.put_content(f"{name}.values", Path(right.name))
        self._record_run(name, rows, (first, last), (one.digest, two.digest))

    def _record_run(
        self,
        name: str,
        rows: int,
        bounds: tuple[int, int],
        digests: tuple[str, str],
        instead_of: Run | None = None,
    ) -> Run:
        """Put a run into the catalog as the newest, or in the place of one: what is older must not become newer."""
        keys = f"{name}.hashes", f"{name}.values"
        made = Run(self._model, self._kind, rows, *bounds, keys[0], digests[0], keys[1], digests[1])
        if instead_of is None:
            self._store.execute(_INSERT, [asdict(made)])
        else:
            self._store.execute(_REPLACE, [{"key": instead_of.hash_key, **asdict(made)}])
            self._store.drop_content(instead_of.hash_key)
            self._store.drop_content(instead_of.value_key)
        return made


def _size_of(rows: int) -> int:
    return Run("", "", rows, 0, 0, "", "", "", "").size


def _search(hashes: Hashes, known: Any, values: Any, found: NDArray[np.bool_], records: NDArray[Any]) -> None:
    """Fill in what a run has of the hashes that were not found yet."""
    open_ = np.flatnonzero(~found)
    if not open_.size or not len(known):
        return
    wanted = hashes[open_]
    place = np.searchsorted(known, wanted)
    inside = place < len(known)
    place[~inside] = 0
    hit = inside & (known[place] == wanted)
    records[open_[hit]] = values[place[hit]]
    found[open_[hit]] = True


def _merged(parts: Sequence[tuple[Any, Any]]) -> tuple[Hashes, NDArray[Any]]:
    """Return parts, oldest first, as one: by ascending hash, the newest record of each."""
    hashes = np.concatenate([part[0] for part in parts])
    values = np.concatenate([part[1] for part in parts])
    order = np.argsort(hashes, kind="stable")
    hashes, values = hashes[order], values[order]
    last = np.ones(hashes.size, dtype=np.bool_)
    last[:-1] = hashes[1:] != hashes[:-1]
    return hashes[last], values[last]


def _by_bucket(parts: Sequence[tuple[Any, Any]]) -> Iterator[tuple[Hashes, NDArray[Any]]]:
    """Merge parts, a range of hashes after the other."""
    buckets = max(1, sum(len(part[0]) for part in parts) // BUCKET)
    # Hashes are spread evenly, so equal ranges hold about as many each.
    limits = np.array([(number << 64) // buckets for number in range(1, buckets)], dtype=np.uint64)
    places = [[0, *np.searchsorted(part[0], limits).tolist(), len(part[0])] for part in parts]
    for bucket in range(buckets):
        ranges = [(places[number][bucket], places[number][bucket + 1]) for number in range(len(parts))]
        cut = [(part[0][low:high], part[1][low:high]) for part, (low, high) in zip(parts, ranges, strict=True)]
        hashes, values = _merged(cut)
        if hashes.size:
            yield hashes, values

"""The rows and labels of one model that a workspace received, as a model's loop takes them in."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pitstop.errors import EmptyTableError, StoreError
from pitstop.records.batches import Rows
from pitstop.records.label_tables import labels_in_order
from pitstop.records.spec import ModelSpec
from pitstop.store.home import Home
from pitstop.store.segments import SegmentKind, joined

# Between listing and reading, segments may be put together or erased by whoever stores; then they are listed again.
_TRIES = 5


@dataclass(frozen=True)
class Received:
    """What was received of a model in the home `path`; reads see what was committed before them."""

    path: Path
    model: str

    def rows(self) -> Rows:
        """Return all predictions in order of time, those of one instant as they came; of one id the first.

        Raises `EmptyTableError` where none have come yet.
        """
        table = self._read("predictions")
        if not table.num_rows:
            msg = f"no rows of {self.model} have come yet; send some to /v1/models/{self.model}/predictions"
            raise EmptyTableError(msg)
        order = np.argsort(np.asarray(table["@at"].to_numpy(), dtype=np.int64), kind="stable")
        if bool((order[1:] < order[:-1]).any()):
            table = table.take(pa.array(order)).combine_chunks()
        codes = np.asarray(table["@id"].combine_chunks().dictionary_encode().indices.to_numpy(zero_copy_only=False))
        first = np.zeros(len(codes), dtype=np.bool_)
        first[np.unique(codes, return_index=True)[1]] = True
        return Rows(table if first.all() else table.filter(pa.array(first)).combine_chunks())

    def labels(self, spec: ModelSpec, rows: Rows) -> pa.Table:
        """Return the labels (@id, @label, @label_at) of `rows`, in the order in which they became known.

        Labels whose prediction has not come yet are left out; they are there once it has. So are those of rows that
        were logged with no chance to show one.
        """
        kind = pa.float64() if spec.model.task == "regression" else pa.string()
        table = self._read("labels")
        if not table.num_rows:
            empty = pa.array([], pa.string())
            return pa.table({"@id": empty, "@label": pa.array([], kind), "@label_at": pa.array([], pa.int64())})
        place = pc.index_in(table["@id"].combine_chunks(), value_set=rows.table["@id"].combine_chunks())
        known = place.is_valid()
        if "@propensity" in rows.table.column_names:
            # It contradicts the log, and was taken in before anybody could say so: one would end every tick to come.
            chance = rows.table["@propensity"].combine_chunks().take(place)
            known = pc.fill_null(pc.and_(known, pc.not_equal(chance, 0.0)), False)  # noqa: FBT003
        return labels_in_order(spec, rows, table.filter(known).combine_chunks(), place.filter(known))

    def _read(self, kind: SegmentKind) -> pa.Table:
        if not self.path.is_dir():
            return pa.table({})
        for left in range(_TRIES - 1, -1, -1):
            try:
                with Home.open(self.path, read_only=True) as home:
                    # A label segment's window is the one in which the intake stood: this is the order of coming.
                    found = home.segments(kind, self.model)
                    return joined([home.read_segment(segment) for segment in found])
            except StoreError:
                if not left:
                    raise
        return pa.table({})  # never: the last try returns or raises

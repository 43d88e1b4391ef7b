"""Takes one model's rows and labels into the store, inside a transaction: segments, profiles and join records.

A prediction's id is looked up: seen at the same instant it is the same row sent again, and left out; at another one it
is another row, of which only that it was seen is kept (under a hash of both). A label finds its
prediction by the id's hash and is counted in that prediction's window; one that came before its prediction waits, and
is counted when the prediction comes. A corrected label is taken out of the counts and the new one put in. Which label
holds: the one with the latest label time, of several the one that came last.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pitstop.profile import Layout, OutcomeProfile, Profile
from pitstop.records.calendar import DAY
from pitstop.records.spec import ModelSpec
from pitstop.service.ingest.counting import (
    ENOUGH_ROWS,
    classes_of,
    count_outcomes,
    count_rows,
    fit_layout,
    outputs,
)
from pitstop.statistics.arrays import as_floats, as_strings
from pitstop.store.home import Home
from pitstop.store.intake import Intake, read_intake, write_intake
from pitstop.store.joins import JoinIndex, id_hashes
from pitstop.store.segments import joined
from pitstop.store.transaction import Transaction

Ints = NDArray[np.int64]
PREDICTED, LABELLED = "predicted", "labelled"


def join_types(spec: ModelSpec) -> tuple[np.dtype[Any], np.dtype[Any]]:
    """Return the types of a prediction's and of a label's join record; classes are codes, -1 where there is none."""
    value = "<f8" if spec.model.task == "regression" else "<i4"
    return np.dtype([("at", "<i8"), ("score", "<f8"), ("said", value)]), np.dtype([("at", "<i8"), ("label", value)])


def _at_instants(hashes: NDArray[np.uint64], at: Ints) -> NDArray[np.uint64]:
    """Return a hash of an id's hash and an instant (the last steps of SplitMix64, Steele et al. 2014)."""
    mixed: NDArray[np.uint64] = hashes ^ (at.view(np.uint64) * np.uint64(0x9E3779B97F4A7C15))
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed ^= mixed >> np.uint64(31)
    return mixed


class Receiving:
    """One model's intake within a transaction; `finish` puts what it counted into it."""

    def __init__(
        self, store: Transaction, home: Home, spec: ModelSpec, loop_home: Callable[[str], Path | None]
    ) -> None:
        self.spec = spec
        self.model = spec.model.name
        self._store, self._home, self._loop_home = store, home, loop_home
        self.intake: Intake = read_intake(store, self.model)
        self._numbers = spec.model.task == "regression"
        self._types = join_types(spec)
        self.predictions = JoinIndex(store, home.content_path, self.model, "predictions", self._types[0])
        self.labels = JoinIndex(store, home.content_path, self.model, "labels", self._types[1])
        self._words = {word: code for code, word in enumerate(self.intake.words)}
        self._layout = Layout.from_document(self.intake.layout) if self.intake.layout else None
        self._rows: dict[int, Profile] = {}
        self._outcomes: dict[int, OutcomeProfile] = {}
        self._fresh: list[pa.Table] = []

    def take_predictions(self, table: pa.Table, name: str) -> None:
        """Take normalised rows, in the order in which they came; `name` is what this group of batches is called."""
        calendar, intake = self.spec.calendar, self.intake
        before = table.num_rows
        at = np.asarray(table["@at"].to_numpy(), dtype=np.int64)
        if intake.kept_from is not None and not calendar.by_rows and before:
            late = at < calendar.window_start(intake.kept_from)
            table, at = table.filter(pa.array(~late)).combine_chunks(), at[~late]
            intake = self.intake = replace(intake, expired=intake.expired + int(late.sum()))
            before = table.num_rows
        hashes = id_hashes(table["@id"])
        keep, joins = np.ones(before, dtype=np.bool_), np.zeros(before, dtype=np.bool_)
        if self.spec.columns.id is not None:
            keep, joins = self._unknown(hashes, at)
        if not keep.all():
            table, hashes, at = table.filter(pa.array(keep)).combine_chunks(), hashes[keep], at[keep]
            joins = joins[keep]
        count = table.num_rows
        if calendar.by_rows:
            at = np.arange(intake.rows, intake.rows + count, dtype=np.int64)
            table = table.set_column(table.column_names.index("@at"), "@at", pa.array(at))
        self.intake = replace(intake, repeated=intake.repeated + before - count, rows=intake.rows + count)
        if not count:
            return
        windows = calendar.window_of(at)
        latest = int(windows.max())
        self.intake = replace(
            self.intake,
            head=latest if intake.head is None else max(latest, intake.head),
            moments=intake.moments or bool((at % DAY != 0).any()),
        )
        self._add_segments(table, windows, name)
        if joins.any():
            self._add_joins(table, hashes, at, joins)
        if self._layout is None:
            self._fresh.append(table)
        else:
            self._count(table)

    def take_labels(self, table: pa.Table, name: str) -> None:
        """Take labels as `label_rows` gives them, in the order in which they came."""
        count = table.num_rows
        if self.spec.calendar.by_rows:
            # Where time is the number of rows, a label is known with the last row that came before it.
            known = pa.array(np.full(count, max(self.intake.rows - 1, 0), dtype=np.int64))
            table = table.set_column(table.column_names.index("@label_at"), "@label_at", known)
        # Without a label time the order of coming decides, and is what the records are compared by.
        came = np.arange(self.intake.labels, self.intake.labels + count, dtype=np.int64)
        stated = table["@label_at"].null_count < count
        order = np.asarray(pc.fill_null(table["@label_at"], 0).to_numpy(), dtype=np.int64) if stated else came
        hashes, values = id_hashes(table["@id"]), self._codes(table["@label"])
        by_id = np.lexsort((came, order, hashes))
        first, last = np.ones(count, dtype=np.bool_), np.ones(count, dtype=np.bool_)
        first[1:] = last[:-1] = hashes[by_id][1:] != hashes[by_id][:-1]
        chosen, single = by_id[last], first[last]
        found, old = self.labels.find(hashes[chosen])
        newer = ~found | (order[chosen] > old["at"]) | ((order[chosen] == old["at"]) & (values[chosen] != old["label"]))
        if not stated:
            newer &= ~found | (values[chosen] != old["label"])
        said_before = np.zeros(count, dtype=np.bool_)
        # What was said before is kept where something else was said in between, which is kept too.
        same = single & found & (values[chosen] == old["label"])
        said_before[chosen] = same & ((order[chosen] == old["at"]) | (not stated))
        self._keep_labels(table, ~said_before, name)
        chosen, found, old = chosen[newer], found[newer], old[newer]
        records = np.zeros(chosen.size, dtype=self._types[1])
        records["at"], records["label"] = order[chosen], values[chosen]
        self.labels.add(hashes[chosen], records)
        given = table["@at"]
        span = (None, None)
        if given.null_count == 0:
            limits = pc.min_max(given)
            span = (limits["min"].as_py(), limits["max"].as_py())
        made, predictions = self.predictions.find(hashes[chosen], *span)
        if span != (None, None) and not made.all():
            # A time that was not the prediction's only costs the search that it should have saved.
            rest = np.flatnonzero(~made)
            again, more = self.predictions.find(hashes[chosen][rest])
            made[rest], predictions[rest] = again, more
        self.intake = replace(self.intake, early=self.intake.early + int((~made & ~found).sum()))
        changed = made & (~found | (old["label"] != records["label"]))
        self._count_labels(predictions[changed], records["label"][changed])
        again = changed & found
        self._count_labels(predictions[again], old["label"][again], remove=True)

    def replaced(self, name: str, table: pa.Table) -> bool:
        """Return whether no row has the class `name` any more once the labels of `table` are taken."""
        if pc.any(pc.equal(table["@label"], name)).as_py():
            return False
        hashes = id_hashes(table["@id"])
        # Nulls: no label time is stated, and the last label to come holds.
        latest = np.iinfo(np.int64).max
        at = np.asarray(pc.fill_null(table["@label_at"], latest).to_numpy(), dtype=np.int64)
        by_id = np.lexsort((at, hashes))
        hashes, at = hashes[by_id], at[by_id]
        for held, labels in self.labels.parts():
            has = labels["label"] == self._words.get(name, -1)
            last = np.searchsorted(hashes, held[has], side="right") - 1
            if not bool(((last >= 0) & (hashes[last] == held[has]) & (at[last] >= labels["at"][has])).all()):
                return False
        return True

    def finish(self, classes: tuple[str, ...]) -> None:
        """Put runs, profiles and the intake's state into the transaction; `classes`: all labels seen so far."""
        if self._layout is None and self._fresh:
            self._begin_counting()
        self.predictions.save()
        self.labels.save()
        for kind, profiles in ((PREDICTED, self._rows), (LABELLED, self._outcomes)):
            for window, profile in profiles.items():
                self._store.put_profile(self.model, kind, window, profile.pack(), profile.id)
        write_intake(self._store, self.model, replace(self.intake, words=tuple(self._words), classes=classes))

    def uncount(self, table: pa.Table) -> None:
        """Take kept rows out of the counts of their windows."""
        if self._layout is None:
            return
        for window, counted in count_rows(self._layout, self.spec, table):
            self._rows[window] = self._row_profile(window).removed(counted)

    def forget(self, ids: Any, rows: Sequence[pa.Table] = ()) -> None:
        """Take the join records of these ids (Arrow strings) out, and their labels out of the counts.

        `rows` are theirs, of which it is forgotten too that they were seen.
        """
        hashes = np.unique(id_hashes(ids))
        made, predictions = self.predictions.find(hashes)
        labelled, labels = self.labels.find(hashes)
        both = made & labelled
        self._count_labels(predictions[both], labels["label"][both], remove=True)
        self.intake = replace(self.intake, early=self.intake.early - int((labelled & ~made).sum()))
        seen = [
            _at_instants(id_hashes(table["@id"]), np.asarray(table["@at"].to_numpy(), dtype=np.int64)) for table in rows
        ]
        self.predictions.remove(np.unique(np.concatenate([hashes, *seen])))
        self.labels.remove(hashes)

    # Predictions.

    def _unknown(self, hashes: NDArray[np.uint64], at: Ints) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Return which rows are new, and which of them get a join record: the first of each id."""
        count = hashes.size
        by_id = np.lexsort((np.arange(count), hashes))
        first = np.ones(count, dtype=np.bool_)
        first[1:] = hashes[by_id][1:] != hashes[by_id][:-1]
        chosen = by_id[first]
        found, known = self.predictions.find(hashes[chosen])
        group = np.cumsum(first) - 1
        # The instant at which each id was first predicted on, in the order of `by_id`.
        instant = np.where(found, known["at"], at[chosen])[group]
        same = np.ones(count, dtype=np.bool_) if self.spec.calendar.by_rows else at[by_id] == instant
        again = same & (~first | found[group])
        keep, joins = np.ones(count, dtype=np.bool_), np.zeros(count, dtype=np.bool_)
        keep[by_id] = ~again
        joins[chosen] = ~found
        self._leave_out_seen(hashes, at, by_id[~same], keep)
        return keep, joins

    def _leave_out_seen(self, hashes: NDArray[np.uint64], at: Ints, places: Ints, keep: NDArray[np.bool_]) -> None:
        """Of rows whose id was predicted on at another instant, leave out those that were seen; note the others."""
        if not places.size:
            return
        names, first = np.unique(_at_instants(hashes[places], at[places]), return_index=True)
        seen, _ = self.predictions.find(names)
        keep[places] = False
        fresh = places[first[~seen]]
        keep[fresh] = True
        records = np.zeros(fresh.size, dtype=self._types[0])
        records["at"], records["score"], records["said"] = at[fresh], np.nan, -1
        self.predictions.add(names[~seen], records)

    def _add_segments(self, table: pa.Table, windows: Ints, name: str) -> None:
        order = np.argsort(windows, kind="stable")
        sorted_ = table if bool((order[1:] > order[:-1]).all()) else table.take(pa.array(order)).combine_chunks()
        names, first = np.unique(windows[order], return_index=True)
        limits = [*first.tolist(), len(order)]
        for number, window in enumerate(names.tolist()):
            part = sorted_.slice(limits[number], limits[number + 1] - limits[number])
            latest = int(pc.max(part["@at"]).as_py())
            self._store.add_segment("predictions", self.model, window, name, part, at=latest)

    def _add_joins(self, table: pa.Table, hashes: NDArray[np.uint64], at: Ints, joins: NDArray[np.bool_]) -> None:
        scores, said = outputs(self.spec, table)
        records = np.zeros(hashes.size, dtype=self._types[0])
        records["at"], records["score"], records["said"] = at, scores, self._codes(said)
        chosen = np.flatnonzero(joins)
        chosen = chosen[np.argsort(hashes[chosen], kind="stable")]
        self.predictions.add(hashes[chosen], records[chosen])
        if self.intake.early:
            waiting, labels = self.labels.find(hashes[chosen])
            self.intake = replace(self.intake, early=self.intake.early - int(waiting.sum()))
            self._count_labels(records[chosen][waiting], labels["label"][waiting])

    def _codes(self, values: Any) -> Any:
        """Return classes as codes of words (-1: none); numbers as they are."""
        if self._numbers:
            return as_floats(values)
        encoded = as_strings(values).dictionary_encode()
        known = np.array(
            [self._words.setdefault(word, len(self._words)) for word in encoded.dictionary.to_pylist()] or [-1],
            dtype=np.int32,
        )
        indices = np.asarray(pc.fill_null(encoded.indices, -1).to_numpy(zero_copy_only=False), dtype=np.int64)
        return np.where(indices >= 0, known[np.maximum(indices, 0)], -1).astype(np.int32)

    # Labels.

    def _keep_labels(self, table: pa.Table, keep: NDArray[np.bool_], name: str) -> None:
        """Keep the labels that say something new in a segment of the window in which the intake stands."""
        kept = table.drop_columns(["@at"]) if keep.all() else table.drop_columns(["@at"]).filter(pa.array(keep))
        self.intake = replace(
            self.intake,
            labels=self.intake.labels + table.num_rows,
            repeated=self.intake.repeated + table.num_rows - kept.num_rows,
        )
        if not kept.num_rows:
            return
        window = self.intake.head or 0
        at = self.spec.calendar.window_start(window + 1)
        self._store.add_segment("labels", self.model, window, name, kept.combine_chunks(), at=at)

    def _count_labels(self, predictions: Any, labels: Any, *, remove: bool = False) -> None:
        if self._layout is None or not len(predictions):
            return
        windows = self.spec.calendar.window_of(predictions["at"].astype(np.int64))
        said, truth = predictions["said"], labels
        if not self._numbers:
            words = tuple(self._words)
            said, truth = classes_of(words, said), classes_of(words, labels)
        for window, counted in count_outcomes(self._layout, windows, predictions["score"], said, truth):
            held = self._outcome(window)
            self._outcomes[window] = held.removed(counted) if remove else held.merged(counted)

    def _outcome(self, window: int) -> OutcomeProfile:
        assert self._layout is not None  # noqa: S101 - whoever counts has seen to it; for the type checker
        if window not in self._outcomes:
            kept = self._home.profiles(self.model, LABELLED, window, window + 1)
            empty = OutcomeProfile.empty(self._layout)
            self._outcomes[window] = OutcomeProfile.unpack(self._layout, kept[0].blob) if kept else empty
        return self._outcomes[window]

    # Counts.

    def _count(self, table: pa.Table) -> None:
        assert self._layout is not None  # noqa: S101 - as above
        for window, counted in count_rows(self._layout, self.spec, table):
            self._rows[window] = self._row_profile(window).merged(counted)

    def _row_profile(self, window: int) -> Profile:
        assert self._layout is not None  # noqa: S101 - as above
        if window not in self._rows:
            kept = self._home.profiles(self.model, PREDICTED, window, window + 1)
            self._rows[window] = Profile.unpack(self._layout, kept[0].blob) if kept else Profile.empty(self._layout)
        return self._rows[window]

    def _begin_counting(self) -> None:
        """Fit the bins once there are enough rows, and count everything that came before."""
        rows = self.intake.rows
        if rows < ENOUGH_ROWS or rows < 2 * self.intake.tried:
            return
        self.intake = replace(self.intake, tried=rows)
        committed = [self._home.read_segment(item) for item in self._home.segments("predictions", self.model)]
        table = joined([*committed, *self._fresh])
        self._layout = fit_layout(self.spec, table, self._loop_home(self.model))
        if self._layout is None:
            return
        self.intake = replace(self.intake, layout=self._layout.to_document())
        self._count(table)
        for hashes, labels in self.labels.parts():
            made, predictions = self.predictions.find(hashes)
            self._count_labels(predictions[made], labels["label"][made])

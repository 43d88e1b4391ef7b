"""Erases a person: their rows, everything sealed for them, and from now on every training set; a legal hold wins.

Rows are taken out of the segments that hold them, and the segments' new digests are put on record, so that the journal
goes on verifying. What was counted of the rows is subtracted from the profiles of features. Counts of outcomes and of
leaves stay: they are sums over a window that name nobody. Models that were trained on the rows stay, and are named.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pitstop.compliance.clocks import serious_incidents
from pitstop.loop.bookkeeping import sum_of_squares
from pitstop.loop.kept import keep_transaction
from pitstop.loop.recalling import facts_of
from pitstop.loop.rowlog import NO_ESTIMATE
from pitstop.profile import Layout, Profile, profile_rows
from pitstop.records.identity import artifact_id
from pitstop.records.spec import ModelSpec, spec_of
from pitstop.report.formats import listed, plural
from pitstop.store.home import Home
from pitstop.store.home_journal import HOUSE
from pitstop.store.segments import SegmentRecord
from pitstop.store.transaction import Transaction
from pitstop.value.function import TICKS
from pitstop.value.ledger import Expected, write_off
from pitstop.value.valuation import Valuation

# Arrays of the loop's state with one value for each logged row.
_BY_ROW = ("fresh_score", "fresh_class", "judged", "leaf")


@dataclass(frozen=True)
class Erased:
    """What was done: `outcome` says it in a sentence; `done` is false where a hold forbade it or nothing was found."""

    outcome: str
    done: bool
    rows: int = 0
    labels: int = 0
    sealed: int = 0
    models: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Found:
    """A person's rows in one model: each segment with which rows to keep, and the rows themselves."""

    model: str
    spec: ModelSpec | None
    segments: tuple[tuple[SegmentRecord, NDArray[np.bool_]], ...]
    labels: tuple[tuple[SegmentRecord, NDArray[np.bool_]], ...]
    gone: pa.Table
    labelled: frozenset[str]
    keep: NDArray[np.bool_]

    @property
    def rows(self) -> int:
        return int(self.gone.num_rows)

    @property
    def label_count(self) -> int:
        return sum(int((~mask).sum()) for _, mask in self.labels)


def erase(home: Home, subject: str, because: str, at: int) -> Erased:
    """Erase a person from every model of a home at instant `at`; all of it is committed together, or nothing.

    `subject` is a value of the column that `[columns] subject` names, else of `id`. `because` is kept in the open, so
    it must not name anybody. Under a legal hold nothing is erased, and that is put on record. Not while a loop is
    running: the home has to be opened for writing.
    """
    known = home.subject(subject)
    if known is not None and known.hold is not None:
        sentence = f"nothing was erased: the legal hold {known.hold} outranks it"
        refused = {"subject": known.pseudonym, "because": because, "outcome": sentence, "at": at, "segments": []}
        with home.transaction() as store:
            store.put_artifact(refused, "erasure", artifact_id("erasure", refused), at, (known.hold,), HOUSE)
        return Erased(sentence, done=False)
    found = [item for model in home.models() if (item := _search(home, model, subject)).rows]
    frozen = next((name for item in found if (name := _frozen(home, item)) is not None), None)
    if frozen is not None:
        sentence = f"nothing was erased: the evidence of a serious incident is frozen ({frozen})"
        with home.transaction() as store:
            pseudonym = store.subject(subject).pseudonym
            refused = {"subject": pseudonym, "because": because, "outcome": sentence, "at": at, "segments": []}
            store.put_artifact(refused, "erasure", artifact_id("erasure", refused), at, (frozen,), HOUSE)
        return Erased(sentence, done=False)
    sealed = home.sealed_for(known.pseudonym) if known is not None else 0
    if not found and known is None:
        return Erased("nothing is kept about this subject", done=False)
    with home.transaction() as store:
        pseudonym = store.subject(subject).pseudonym
        for item in found:
            _erase(home, store, item, pseudonym, because)
        if known is not None:
            content = {"subject": pseudonym, "because": because, "sealed": sealed, "at": at, "segments": []}
            store.put_artifact(content, "erasure", artifact_id("erasure", content), at, (), HOUSE)
        store.forget(subject)
    home.scrub()
    models = tuple(item.model for item in found)
    rows, labels = sum(item.rows for item in found), sum(item.label_count for item in found)
    what = (plural(rows, "row"), plural(labels, "label"), plural(sealed, "sealed record"))
    sentence = f"erased: {listed(what)}, of {plural(len(models), 'model')}"
    return Erased(sentence, done=True, rows=rows, labels=labels, sealed=sealed, models=models)


def _search(home: Home, model: str, subject: str) -> _Found:
    specs = home.artifacts("spec", model)
    spec = spec_of(specs[-1].content) if specs else None
    segments, kept, parts = [], [], []
    for segment in home.segments("predictions", model):
        table = home.read_segment(segment)
        # Before its first model is released a specification is not on record; rows say themselves whom they are about.
        column = table["@subject"] if "@subject" in table.column_names else table["@id"]
        hit = np.asarray(pc.fill_null(pc.equal(column, subject), False).to_numpy(), dtype=np.bool_)  # noqa: FBT003 - Arrow's name for it
        kept.append(~hit)
        if hit.any():
            segments.append((segment, ~hit))
            parts.append(table.filter(pa.array(hit)).append_column("@window", pa.array([segment.window] * hit.sum())))
    gone = pa.concat_tables(parts, promote_options="default") if parts else pa.table({"@id": pa.array([], pa.string())})
    labels, labelled = [], set()
    ids = gone["@id"].combine_chunks()
    for segment in home.segments("labels", model) if len(ids) else ():
        column = home.read_segment(segment, ["@id"])["@id"]
        hit = np.asarray(pc.is_in(column, value_set=ids).to_numpy(), dtype=np.bool_)
        if hit.any():
            labels.append((segment, ~hit))
            labelled.update(column.filter(pa.array(hit)).to_pylist())
    keep = np.concatenate(kept) if kept else np.zeros(0, dtype=np.bool_)
    return _Found(model, spec, tuple(segments), tuple(labels), gone, frozenset(labelled), keep)


def _frozen(home: Home, found: _Found) -> str | None:
    """Return the freeze of an open serious incident that protects rows of this person, None where none does."""
    if not home.artifacts("freeze", found.model):
        return None
    windows = {segment.window for segment, _ in found.segments}
    for incident in serious_incidents(facts_of(home, found.model)):
        if incident.closed is None and incident.freeze and windows & set(incident.freeze.content["windows"]):
            return incident.freeze.id
    return None


def _erase(home: Home, store: Transaction, found: _Found, pseudonym: str, because: str) -> None:
    model = found.model
    changed = []
    for segment, keep in (*found.segments, *found.labels):
        table = home.read_segment(segment).filter(pa.array(keep))
        after = store.rewrite_segment(segment, table)
        gone = int((~keep).sum())
        changed.append({"id": segment.id, "before": segment.digest, "after": after.digest, "rows": gone})
    saved = home.load_state(model)
    at = saved.as_of if saved is not None else max((int(when) for when in found.gone["@at"].to_pylist()), default=0)
    trained = [record.id for record in home.artifacts("challenger", model)]
    content = {
        "subject": pseudonym,
        "because": because,
        "segments": changed,
        "rows": found.rows,
        "labels": found.label_count,
        "trained_before": trained if found.labelled else [],
        "stays": "sums by window of outcomes, leaves and money, which name nobody; models trained before",
    }
    identity = artifact_id("erasure", content)
    store.put_artifact(content, "erasure", identity, at, (), model)
    booked = _write_off(home, store, found, at, identity)
    if saved is None:
        return
    values: dict[str, Any] = dict(saved.values)
    for name in _BY_ROW:
        values[name] = values[name][found.keep]
    values["transactions"] += booked
    # A warm fit would carry on what the models before have learnt of the person.
    values["upkeep"] = {**values["upkeep"], "anew_since": saved.as_of}
    store.save_state(model, saved.as_of, values)
    if values["layout"] is not None:
        _subtract(home, store, found, Layout.from_document(values["layout"]))


def _write_off(home: Home, store: Transaction, found: _Found, at: int, cause: str) -> int:
    """Reverse the estimates of rows that will never get a label; return the number of bookings."""
    if found.spec is None or "@estimate" not in found.gone.column_names:
        return 0
    waiting = np.array([name not in found.labelled for name in found.gone["@id"].to_pylist()])
    estimates = np.asarray(found.gone["@estimate"].to_numpy(), dtype=np.int64)
    waiting &= estimates != NO_ESTIMATE
    if not waiting.any():
        return 0
    spread = np.zeros(len(estimates), dtype=np.int64)
    if "@spread" in found.gone.column_names:
        spread = np.asarray(pc.fill_null(found.gone["@spread"], 0).to_numpy(), dtype=np.int64)
    windows = np.asarray(found.gone["@window"].to_numpy(), dtype=np.int64)
    booked = {}
    for window in np.unique(windows[waiting]):
        here = waiting & (windows == window)
        amount = Decimal(int(estimates[here].sum())) / TICKS
        booked[int(window)] = Expected(amount, int(here.sum()), sum_of_squares(spread[here]))
    versions = [Valuation.from_json(item.content) for item in home.artifacts("value-model", found.model)]

    def valued_by(window: int) -> str:
        return next((item.id for item in reversed(versions) if item.since <= window), "")

    kept = keep_transaction(write_off(at, found.spec.value.currency, booked, (cause,), valued_by))
    store.put_artifact(kept.content, kept.kind, kept.id, kept.at, kept.caused_by, found.model)
    return 1


def _subtract(home: Home, store: Transaction, found: _Found, layout: Layout) -> None:
    """Take what was counted of the rows out of the profiles of their windows. Leaves stay (see the module)."""
    windows = np.asarray(found.gone["@window"].to_numpy(), dtype=np.int64)
    for window in np.unique(windows):
        kept = home.profiles(found.model, "predicted", int(window), int(window) + 1)
        if not kept:
            continue
        rows = found.gone.filter(pa.array(windows == window)).combine_chunks()
        leaves = np.zeros(rows.num_rows, dtype=np.int64)
        counted = profile_rows(layout, rows, np.asarray(rows["@score"].to_numpy()), rows["@prediction"], leaves)
        before = Profile.unpack(layout, kept[0].blob)
        nothing = np.zeros_like(counted.leaves)
        after = before.removed(replace(counted, leaves=nothing, duplicates=0))
        store.put_profile(found.model, "predicted", int(window), after.pack(), after.id)


def hold(home: Home, subject: str, facts: Mapping[str, str], at: int) -> str:
    """Keep a person's data from being erased until the hold is lifted; return the id of the record.

    `facts` (why, by whom) are sealed under the person's key: they go when the person is erased.
    """
    with home.transaction() as store:
        known = store.subject(subject)
        identity = artifact_id("hold", {"subject": known.pseudonym, "at": at})
        store.put_sealed(dict(facts), "hold", identity, at, (), HOUSE, subject)
        store.set_hold(subject, identity)
    return identity


def lift(home: Home, subject: str, facts: Mapping[str, str], at: int) -> str | None:
    """Lift a hold; return the id of the record, None where there was no hold."""
    known = home.subject(subject)
    if known is None or known.hold is None:
        return None
    with home.transaction() as store:
        identity = artifact_id("hold", {"subject": known.pseudonym, "lifts": known.hold, "at": at})
        store.put_sealed(dict(facts), "hold", identity, at, (known.hold,), HOUSE, subject)
        store.set_hold(subject, None)
    return identity

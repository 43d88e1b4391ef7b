"""How a loop is kept: one transaction a window, a state where a period ends, and the way back from it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, replace
from decimal import Decimal
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pitstop.baseline.baseline import Baseline
from pitstop.errors import BaselineError, StoreError
from pitstop.incidents import Alarm, Incident
from pitstop.loop.diagnosing import Cause
from pitstop.loop.loop import RECENT, Loop, Taken
from pitstop.loop.reference import Reference, fit_reference
from pitstop.loop.watch import Watch
from pitstop.monitors.base import WindowCounts
from pitstop.monitors.estimated import Estimate
from pitstop.profile import Layout, OutcomeProfile, Profile
from pitstop.records.identity import canonical_json
from pitstop.statistics.cells import Cells, LeafBins
from pitstop.statistics.packing import pack_counts, unpack_counts
from pitstop.store.transaction import Transaction as StoreTransaction
from pitstop.strategy.base import Alternative, Decision
from pitstop.value.ledger import Posting, Transaction
from pitstop.value.valuation import Valuation, Valuations, worth_of

NAN = float("nan")


def keep(store: StoreTransaction, loop: Loop, taken: Taken) -> None:
    """Put everything of one window into a transaction."""
    window, counts = taken.window, taken.counts
    model, at = loop.spec.model.name, loop.calendar.window_start(window + 1)
    rows, labels = taken.tables
    if rows.num_rows:
        store.add_segment("predictions", model, window, f"window-{window}", rows, at=at)
    if labels.num_rows:
        store.add_segment("labels", model, window, f"window-{window}", labels, at=at)
    if counts is not None:
        store.put_profile(model, "predicted", window, counts.profile.pack(), counts.profile.id)
        store.put_profile(model, "labelled", window, counts.outcomes.pack(), counts.outcomes.id)
        if counts.cells is not None:
            packed = pack_counts(counts.cells.vector)
            store.put_profile(model, "cohort", window, packed, hashlib.sha256(packed).hexdigest())
    store.put_signals(
        model,
        window,
        [
            (
                signal.name,
                signal.column or None,
                signal.value,
                NAN if signal.low is None else signal.low,
                NAN if signal.high is None else signal.high,
            )
            for signal in taken.signals
        ],
    )
    for item in taken.kept:
        store.put_artifact(item.content, item.kind, item.id, item.at, item.caused_by, model)


def save(store: StoreTransaction, loop: Loop) -> None:
    """Put the loop's state before window `loop.window` into a transaction."""
    if loop.models is not None:
        for challenger, digest in loop.upkeep.digests.items():
            if digest not in loop.stored:
                loop.stored.add(store.put_file(loop.models.model(challenger).content))
    arrays: dict[str, Any] = {
        "fresh_score": loop.log.fresh_score.values,
        "fresh_class": _plain(loop.log.fresh_class.values),
        "judged": _plain(loop.log.judged.values),
        "leaf": loop.log.leaf.values,
    }
    if loop.watch is not None and loop.baseline is not None:
        arrays.update({f"watch.{name}": array for name, array in loop.watch.to_state().items()})
        arrays.update({f"baseline.{name}": value for name, value in loop.baseline.to_state().items()})
    values = {
        "window": loop.window,
        "chain": loop.chain,
        "start": loop.start,
        "spec": loop.spec.id,
        "layout": loop.layout.to_document() if loop.layout else None,
        "ages": list(loop.ages),
        "transactions": len(loop.books.ledger.transactions),
        "upkeep": loop.upkeep.to_state(),
        "alarms": [asdict(alarm) for alarm in loop.alarms.values()],
        "incidents": [asdict(incident) for incident in loop.incidents],
        "decisions": [asdict(decision) for decision in loop.decisions],
        "estimates": {
            str(period): {name: asdict(item) for name, item in found.items()}
            for period, found in loop.estimates.items()
        },
        "causes": {name: cause.to_json() for name, cause in loop.causes.items()},
        "stints": [[item.window for item in windows] for _, windows in loop.stints],
    }
    for place, (baseline, _) in enumerate(loop.stints):
        if loop.baseline is not None and baseline.id != loop.baseline.id:
            arrays.update({f"stint{place}.{name}": value for name, value in baseline.to_state().items()})
    for name, cause in loop.causes.items():
        arrays[f"before.{name}"] = np.frombuffer(cause.before.pack(), dtype=np.uint8)
        arrays[f"after.{name}"] = np.frombuffer(cause.after.pack(), dtype=np.uint8)
    at = loop.calendar.window_start(loop.window)
    store.save_state(loop.spec.model.name, at, {**arrays, **values})


def _plain(values: NDArray[Any]) -> NDArray[Any]:
    """Return classes as fixed-width text ("" where there is none); numbers as they are."""
    if values.dtype != object:
        return values
    return np.array(["" if value is None else str(value) for value in values], dtype=np.str_)


def _unplain(values: NDArray[Any]) -> NDArray[Any]:
    if values.dtype.kind == "f":
        return values
    classes = values.astype(object)
    classes[values == ""] = None
    return classes


def restore(loop: Loop, *, revalue: bool = False) -> bool:
    """Bring a new loop to its saved state; return False where the home holds none for this model.

    Raises `StoreError` where the home was made with another specification. With `revalue` the sections `[value]` and
    `[costs]` may differ: they then hold from the next window on, and what was booked stays booked.
    """
    saved = loop.home.load_state(loop.spec.model.name)
    if saved is None:
        return False
    state = saved.values
    if state["start"] != loop.start or not (
        state["spec"] == loop.spec.id or (revalue and _worth_only(loop, state["spec"]))
    ):
        msg = (
            f"{loop.home.path} holds {loop.spec.model.name!r} with another specification or start; "
            "use a new --home for the changed one, or the specification that it was made with"
        )
        raise StoreError(msg)
    loop.window, loop.chain = state["window"], state["chain"]
    _restore_valuations(loop, state["spec"])
    _restore_rows(loop)
    loop.log.fresh_score.values[:] = state["fresh_score"]
    loop.log.fresh_class.values[:] = _unplain(state["fresh_class"])
    loop.log.judged.values[:] = _unplain(state["judged"])
    loop.log.leaf.values[:] = state["leaf"]
    _restore_ledger(loop, state["transactions"])
    loop.alarms = {item["id"]: Alarm(**{**item, "caused_by": tuple(item["caused_by"])}) for item in state["alarms"]}
    loop.incidents = tuple(
        Incident(
            **{
                **item,
                "alarms": tuple(item["alarms"]),
                "monitors": tuple(item["monitors"]),
                "caused_by": tuple(item["caused_by"]),
            }
        )
        for item in state["incidents"]
    )
    if state["layout"] is None:
        return True
    loop.layout = Layout.from_document(state["layout"])
    loop.upkeep.restore(state["upkeep"], loop.layout.classes)
    loop.ages = tuple(state["ages"])
    loop.stored = set(loop.upkeep.digests.values())
    loop.baseline = Baseline.from_state(loop.layout, _part(state, "baseline."))
    loop.watch = _watch(loop, loop.baseline, _part(state, "watch."))
    loop.decisions = tuple(_decision(item) for item in state["decisions"])
    loop.estimates = {
        int(period): {name: Estimate(**item) for name, item in found.items()}
        for period, found in state["estimates"].items()
    }
    loop.causes = {
        name: Cause.from_json(
            content,
            Profile.unpack(loop.layout, state[f"before.{name}"].tobytes()),
            Profile.unpack(loop.layout, state[f"after.{name}"].tobytes()),
        )
        for name, content in state["causes"].items()
    }
    _restore_recent(loop)
    _restore_stints(loop, state)
    return True


def _watch(loop: Loop, baseline: Baseline, state: Mapping[str, Any]) -> Watch:
    """Return the detectors as they were; fitted anew on the same reference where an earlier version's were others.

    Their evidence then begins again: what an alarm stood on is in the record, and what lasts is found once more.
    """
    try:
        return Watch.from_state(loop.spec, baseline, state)
    except BaselineError:
        return Watch.fit(loop.spec, baseline, fit_again(loop, baseline).windows)


def fit_again(loop: Loop, baseline: Baseline) -> Reference:
    """Return the reference of a baseline, fitted again on the rows as they are now."""
    assert loop.layout is not None  # noqa: S101 - whoever has a baseline has one; for the type checker
    champion, before = loop.upkeep.timeline.champion, baseline.windows[1] + 1
    return fit_reference(
        loop.spec,
        loop.layout,
        loop.log,
        before=before,
        owner=champion.id if champion else loop.spec.id,
        ages=loop.ages,
        first_fit=before == loop.start,
    )


def _worth_only(loop: Loop, before: str) -> bool:
    """Return whether the specification differs from the one before in what outcomes are worth and upkeep costs only."""
    records = {record.id: record.content for record in loop.home.artifacts("spec", loop.spec.model.name)}
    if before not in records:
        return False
    old, new = dict(records[before]), dict(loop.spec.content)
    for section in ("value", "costs"):
        old.pop(section), new.pop(section)
    return canonical_json(old) == canonical_json(new)


def _restore_valuations(loop: Loop, before: str) -> None:
    """Bring back the value models that were in force, and begin another where the specification says another worth."""
    name, books = loop.spec.model.name, loop.books
    kept = [Valuation.from_json(record.content) for record in loop.home.artifacts("value-model", name)]
    books.recorded, books.spec_before = len(kept), before
    if before == loop.spec.id:
        if kept:
            books.valuations = Valuations(loop.spec, tuple(kept))
        return
    found = next(record for record in loop.home.artifacts("spec", name) if record.id == before)
    old = replace(loop.spec, **worth_of(found.content))
    first = Valuations(old, tuple(kept)) if kept else Valuations.first(old)
    books.valuations = first.changed(loop.spec, loop.window)


def _decision(item: dict[str, Any]) -> Decision:
    options = tuple(Alternative(**option) for option in item["alternatives"])
    between = tuple(item["interval"]) if item.get("interval") else None
    return Decision(**{**item, "alternatives": options, "caused_by": tuple(item["caused_by"]), "interval": between})


def _part(state: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    return {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}


def _restore_rows(loop: Loop) -> None:
    model, end = loop.spec.model.name, loop.window
    regression = loop.spec.model.task == "regression"
    for segment in loop.home.segments("predictions", model, None, end):
        table = loop.home.read_segment(segment)
        scores = np.asarray(table["@score"].to_numpy(), dtype=np.float64)
        classes = table["@prediction"]
        decided = (
            np.asarray(classes.to_numpy(), dtype=np.float64)
            if regression
            else np.array(classes.to_pylist(), dtype=object)
        )
        batch = loop.log.append(table, scores, decided)
        loop.log.estimate.values[batch] = table["@estimate"].to_numpy()
        # Rows that were logged before estimates had a variance are reversed without one, as they were booked.
        if "@spread" in table.column_names:
            loop.log.spread.values[batch] = table["@spread"].to_numpy()
    for segment in loop.home.segments("labels", model, None, end):
        table = loop.home.read_segment(segment)
        loop.log.set_labels(*loop.log.join(table).to_set)
    rows = np.flatnonzero(loop.served(np.arange(len(loop.log))) & (loop.log.label_at < loop.calendar.window_start(end)))
    if len(rows):
        loop.books.recount(rows)


def _restore_ledger(loop: Loop, count: int) -> None:
    """Post the first `count` transactions again: later ones belong to windows that will be walked again."""
    kept = loop.home.artifacts("transaction", loop.spec.model.name)[:count]
    loop.books.ledger = loop.books.ledger.posted(*(transaction_of(record.content) for record in kept))


def transaction_of(content: Mapping[str, Any]) -> Transaction:
    """Return the ledger transaction that was kept; the earliest homes know neither variance nor value model."""
    lines = tuple(
        Posting(
            **{
                **line,
                **{name: Decimal(line[name]) for name in ("amount", "variance", "doubt") if name in line},
                "caused_by": tuple(line["caused_by"]),
            }
        )
        for line in content["postings"]
    )
    return Transaction(content["id"], content["kind"], content["currency"], lines)


def _restore_recent(loop: Loop) -> None:
    model, start = loop.spec.model.name, loop.window - RECENT
    assert loop.layout is not None  # noqa: S101 - restore() has set it; for the type checker
    predicted = {item.window: item.blob for item in loop.home.profiles(model, "predicted", start, loop.window)}
    labelled = {item.window: item.blob for item in loop.home.profiles(model, "labelled", start, loop.window)}
    cells = {item.window: item.blob for item in loop.home.profiles(model, "cohort", start, loop.window)}
    fitted = loop.baseline.windows[1] if loop.baseline else loop.window
    bins = LeafBins()
    loop.recent = [
        WindowCounts(
            window,
            Profile.unpack(loop.layout, blob),
            OutcomeProfile.unpack(loop.layout, labelled[window]),
            cells=Cells(bins, unpack_counts(cells[window], Cells.size_for(bins)))
            if window > fitted and window in cells
            else None,
        )
        for window, blob in predicted.items()
    ]


def _restore_stints(loop: Loop, state: Mapping[str, Any]) -> None:
    """Bring back the windows of a period that has not ended, each with the baseline that it was counted against."""
    if not state["stints"] or loop.layout is None or loop.baseline is None:
        return
    model, layout, first = loop.spec.model.name, loop.layout, state["stints"][0][0]
    kept = [
        {item.window: item.blob for item in loop.home.profiles(model, kind, first, loop.window)}
        for kind in ("predicted", "labelled")
    ]
    loop.stints = tuple(
        (
            Baseline.from_state(layout, older) if (older := _part(state, f"stint{place}.")) else loop.baseline,
            tuple(
                WindowCounts(
                    number, Profile.unpack(layout, kept[0][number]), OutcomeProfile.unpack(layout, kept[1][number])
                )
                for number in windows
            ),
        )
        for place, windows in enumerate(state["stints"])
    )

"""What a home knows of a model, as far as policy packs and evidence ask for it."""

from __future__ import annotations

from pitstop.compliance.facts import Artifact, Facts
from pitstop.errors import JournalError, StoreError, UnknownNameError
from pitstop.journal.merkle import CompactRange
from pitstop.journal.verification import Fault, Verification
from pitstop.records.calendar import Calendar
from pitstop.store.home import Home

KINDS = (
    *("spec", "rules", "challenger", "failure", "baseline", "comparison", "decision", "release", "estimate"),
    *("alarm", "incident", "incident-growth", "refusal", "withdrawal"),
    *("order", "attestation", "disposition", "approval", "override", "fairness-audit", "export"),
    *("assignment", "snooze", "comment"),
    *("serious-incident", "freeze", "incident-report", "incident-closing"),
)
"""Kinds of artifacts that evidence is made of: all but the ledger's, of which there are many."""


def facts_of(home: Home, model: str, as_of: str = "") -> Facts:
    """Return what a home knows of a model at `as_of` (empty: at the end of the last window that was taken in).

    The journal is checked as it is now, whatever `as_of`. Raises `UnknownNameError` for a model that is not there, and
    `StoreError` for one that has not begun.
    """
    if model not in home.models():
        msg = f"no model is called {model!r} in {home.path}; known: {', '.join(home.models()) or 'none yet'}"
        raise UnknownNameError(msg)
    specs = home.artifacts("spec", model)
    if not specs:
        msg = f"{model!r} has no first model yet, so there is nothing to show; run `pitstop run` until its start"
        raise StoreError(msg)
    time = specs[0].content["time"]
    calendar = Calendar(time["window"], time["period"])
    rows = [segment.window for segment in home.segments("predictions", model) if segment.rows]
    profiles = [profile.window for profile in home.profiles(model, "predicted")]
    now = calendar.window_start(max([*rows, *profiles], default=calendar.window_at(specs[0].at)) + 1)
    up_to = None
    if as_of:
        now = up_to = calendar.parse_instant(as_of)
    begun = [window for window in profiles if calendar.window_start(window) < now]
    return Facts(
        model=model,
        calendar=calendar,
        now=now,
        artifacts=recall(home, model, up_to),
        windows=tuple(sorted(set(rows))),
        start=min(begun, default=None),
        check=lambda: checked(home),
        logged=lambda: logged_windows(home, model, calendar),
    )


def recall(home: Home, model: str, up_to: int | None = None) -> tuple[Artifact, ...]:
    """Return the artifacts of a model that evidence is made of, in the order in which they were kept."""
    # By kind: the ledger's transactions are most of what is kept, and nothing here reads them.
    found = [item for kind in KINDS for item in home.artifacts(kind, model, up_to)]
    found.sort(key=lambda item: item.at)
    return tuple(Artifact(item.id, item.kind, item.at, item.caused_by, item.content) for item in found)


def logged_windows(home: Home, model: str, calendar: Calendar) -> tuple[int, ...]:
    """Return the windows of which the journal says that rows were logged, ascending."""
    entries = (entry for entry in home.journal() if entry.model == model and entry.kind == "predictions")
    # The entry speaks for the end of its window.
    return tuple(sorted({calendar.window_at(entry.at - 1) for entry in entries if entry.at is not None}))


def checked(home: Home) -> Verification:
    """Check a home's journal; an entry that cannot even be read as one is a fault like any other."""
    try:
        return home.verify()
    except JournalError as error:
        return Verification(0, CompactRange().root, 0, (Fault("content", 0, 0, str(error)),))

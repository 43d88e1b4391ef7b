"""Goes back to the reference of the model that serves: its windows, counted again from the rows that a home keeps."""

from __future__ import annotations

from dataclasses import dataclass, replace

from pitstop.baseline.baseline import Baseline
from pitstop.errors import BaselineError, StoreError, UnknownNameError
from pitstop.loop.keeping import fit_again, restore
from pitstop.loop.loop import Loop
from pitstop.loop.rowlog import RowLog
from pitstop.monitors.base import WindowCounts
from pitstop.records.spec import ModelSpec, spec_of
from pitstop.store.home import Home


@dataclass(frozen=True)
class Revisited:
    """A model's reference: the baseline that serves, the windows behind it (oldest first), and the rows.

    `same` says that the windows count to the very baseline. It is false where rows have since been erased, or a
    fresher model has been asked about rows whose labels came late; a few counts then differ.
    """

    spec: ModelSpec
    baseline: Baseline
    windows: tuple[WindowCounts, ...]
    log: RowLog
    same: bool


def revisit(home: Home, model: str = "") -> Revisited:
    """Return the reference of a model (empty: the only one of the home). Writes nothing.

    Raises `UnknownNameError` for a model that is not there, `StoreError` for one that has not begun.
    """
    name = only_model(home, model)
    saved, specs = home.load_state(name), home.artifacts("spec", name)
    if saved is None or not specs:
        msg = f"{name!r} has no first model yet, so it has no reference; run `pitstop run` until its start"
        raise StoreError(msg)
    spec = spec_of(specs[-1].content)
    calendar = spec.calendar
    first = min((segment.window for segment in home.segments("predictions", name)), default=saved.values["start"])
    loop = Loop(home, spec, None, first_data=first, start=calendar.window_start(saved.values["start"]))
    restore(loop, revalue=True)
    if loop.baseline is None or loop.layout is None:
        msg = f"{name!r} has no first model yet, so it has no reference; run `pitstop run` until its start"
        raise StoreError(msg)
    baseline, log = loop.baseline, loop.log
    found = fit_again(loop, baseline)
    if not found.windows:
        msg = f"the reference of {name!r} holds no rows any more; there is nothing to replay until the next release"
        raise BaselineError(msg)
    # What the baseline that serves did not watch from its start is not watched by the same one refitted.
    again = replace(found.baseline, breaks=baseline.breaks, groups=baseline.groups)
    return Revisited(spec, again, found.windows, log, found.baseline.id == baseline.id)


def only_model(home: Home, model: str) -> str:
    """Return a model's name, or where none is given that of the only one. Raises `UnknownNameError`."""
    names = home.models()
    if model:
        if model in names:
            return model
        msg = f"no model is called {model!r} in {home.path}; known: {', '.join(names) or 'none yet'}"
        raise UnknownNameError(msg)
    if len(names) != 1:
        msg = f"{home.path} holds {len(names)} models ({', '.join(names) or 'none yet'}); expected one, or its name"
        raise UnknownNameError(msg)
    return names[0]

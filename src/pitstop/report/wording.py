"""Alarms in words: what changed, from how much to how much, and which alarm of an incident tells the most."""

from __future__ import annotations

from collections.abc import Iterable

from pitstop.detection.streams import SPREAD
from pitstop.incidents import Alarm
from pitstop.report import formats

_TELLING = ("error", "quality", "fairness", "score", "drift", "volume")


def most_telling(alarms: Iterable[Alarm]) -> tuple[Alarm, ...]:
    """Return the newest alarm of each monitor: first the error, then breaks, then by kind and size."""
    newest = {alarm.monitor: alarm for alarm in alarms}
    return tuple(sorted(newest.values(), key=_rank))


def subject(alarm: Alarm, unit: str) -> str:
    """Return what is counted, as the beginning of a sentence in small letters. `unit` names a window (`day`)."""
    if alarm.kind == "volume":
        return f"rows per {unit}"
    if alarm.kind == "error":
        # After a comma the indicator says how old the rows are that it looks at, which is for tables.
        name, _, _ = alarm.indicator.partition(", ")
        return "the model's error" if name == "the model's error rate" else name
    if alarm.kind == "quality":
        return _fault(alarm)
    name = alarm.indicator.replace("predicted class is ", "predictions of ", 1)
    column = alarm.column or ""
    tail = name.removeprefix(column)
    for sign, word in ((" < ", " below "), (" is ", " = ")):
        if tail.startswith(sign):
            return f"{column}{word}{tail.removeprefix(sign)}"
    return name.replace("score < ", "scores below ", 1).replace("prediction < ", "predictions below ", 1)


def arrow(alarm: Alarm, unit: str) -> str:
    """Return the change as briefly as it can be said: `the model's error: 13.3% → 34.6%`."""
    before, after = _ends(alarm)
    return f"{subject(alarm, unit)}: {before} → {after}{_of(alarm)}"


def phrase(alarm: Alarm, unit: str) -> str:
    """Return the change as a clause: `the model's error rose from 13.3% to 34.6%`."""
    before, after = _ends(alarm)
    verb = "rose" if alarm.observed >= alarm.expected else "fell"
    rows = alarm.kind not in {"volume", "error", "fairness"} and not _is_spread(alarm)
    whole = " of rows" if rows else _of(alarm)
    return f"{subject(alarm, unit)} {verb} from {before} to {after}{whole}"


def amount(alarm: Alarm) -> str:
    """Return the size of the change with its unit: points of a percentage, or rows."""
    if alarm.kind == "volume":
        return f"{alarm.size:+,.0f} rows"
    return f"{100 * alarm.size:+.1f} points"


def capitalised(text: str) -> str:
    """Return a clause as a sentence begins, unless it begins with a column's own name."""
    first, _, _ = text.partition(" ")
    return text[:1].upper() + text[1:] if first.isalpha() and first in _BEGINNINGS else text


def continued(text: str) -> str:
    """Return a sentence as it goes on after a colon: in small letters, unless it begins with a column's own name."""
    first, _, _ = text.partition(" ")
    return text[:1].lower() + text[1:] if first.lower() in _BEGINNINGS else text


_BEGINNINGS = frozenset({"the", "those", "rows", "missing", "repeated", "unknown", "scores", "predictions"})


def _fault(alarm: Alarm) -> str:
    kind, column = alarm.monitor.partition(":")[0], alarm.column
    faults = {
        "nulls": f"missing {column}",
        "range": f"{column} outside its usual range",
        "far": f"{column} far outside its usual range",
        "stuck": f"{column} at one value",
        SPREAD: f"the spread of {column}",
        "unseen": f"unknown values of {column}",
        "duplicates": "repeated rows",
    }
    return faults.get(kind, alarm.indicator)


def _is_spread(alarm: Alarm) -> bool:
    return alarm.monitor.startswith(f"{SPREAD}:")


def _of(alarm: Alarm) -> str:
    """Return of what a spread is told, where it is one: it has no unit of its own."""
    return " of its usual" if _is_spread(alarm) else ""


def _ends(alarm: Alarm) -> tuple[str, str]:
    if alarm.kind == "volume":
        return formats.count(round(alarm.expected)), formats.count(round(alarm.observed))
    return f"{alarm.expected:.1%}", f"{alarm.observed:.1%}"


def _rank(alarm: Alarm) -> tuple[bool, bool, int, float, str]:
    order = _TELLING.index(alarm.kind) if alarm.kind in _TELLING else len(_TELLING)
    return (alarm.kind != "error", not alarm.fast, order, -abs(alarm.size), alarm.monitor)

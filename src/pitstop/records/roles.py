"""Which column is the time, the label, the id, the model's output: guesses from names, types and contents."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pitstop.errors import ColumnValueError
from pitstop.records import columns as convert
from pitstop.records.facts import ColumnFacts
from pitstop.records.measures import wordy

_INTEGER_TIME = re.compile(r"(^|_)(time|timestamp|ts|step|year|period|day|week|epoch|t|tick|round)$", re.IGNORECASE)
_LABEL_TIME = re.compile(
    r"label(led)?_?(time|at|on|date)|outcome_?(time|at|on|date)|known_?(at|on)|resolved|settled|closed|matured|observed",
    re.IGNORECASE,
)
_ID = re.compile(r"^(id|uuid|guid|key|index)$|(_|\b)(id|uuid|guid|key|no|nr)$|^id_|[a-z]Id$|ID$")
_LABEL = re.compile(r"^(target|label|y|y_true|outcome|ground_?truth|actuals?|truth|response|class)$", re.IGNORECASE)
_LIKELY_LABEL = re.compile(
    r"^(is|has|was|did|will)_"
    r"|(^|_)(cnt|count|late|delayed|churn(ed)?|fraud|converted|cancell?ed|subscribed|employed|defaulted|survived)$"
    r"|(^|_)(bought|clicked|sales|demand|volume|price)$"
    r"|_?(class|type|label|target)$",
    re.IGNORECASE,
)
# What came of something, with how long it was waited for behind it (failed_30d); and what is as often an input.
_EVENT = re.compile(
    r"(^|_)(failed|failure|defaulted|repaid|churned|returned|lapsed|delinquent|survived|recovered)(_|$)",
    re.IGNORECASE,
)
_SORT = re.compile(r"_?type$", re.IGNORECASE)
_PREDICTION = re.compile(
    r"^(model_)?(y_?(pred|hat)|pred|preds|prediction|predictions|predicted(_(class|label|value))?|yhat)$", re.IGNORECASE
)
_SCORE = re.compile(
    r"^(model_)?(y_)?(pred(icted|iction)?_)?(score|prob|proba|probability|confidence|p_hat|likelihood)(_1|_positive)?$",
    re.IGNORECASE,
)
_CALENDAR = re.compile(
    r"^(yr|year|mnth|month|mon|day|dom|dow|weekday|day_?of_?(week|month|year)"
    r"|hour|hr|minute|quarter|qtr|season|week|week_?of_?year)$",
    re.IGNORECASE,
)
# The reason of what was not guessed.
TOLD = "you said so"
# Reasons for a label that say next to nothing by themselves.
LAST, BEST = "it stands last", "no column looks more like an outcome"
_MOST_CLASSES = 20
_TRUE = ("1", "true", "yes", "y", "t", "positive", "pos")


@dataclass(frozen=True)
class Guess:
    """One thing that was inferred: what it is about, the value taken (as text), and why."""

    what: str
    value: str
    why: str


def is_calendar_name(name: str) -> bool:
    """Whether a column is named like a part of a date (month, weekday, hour, ...)."""
    return _CALENDAR.match(name) is not None


def guess_time(facts: Mapping[str, ColumnFacts]) -> Guess | None:
    """Return the column of the prediction time.

    Dates go before whole numbers, and of several dates the one in whose order the rows stand, then the earliest.
    """
    dated = [item for item in facts.values() if item.kind == "time" and item.nulls == 0]
    if dated:
        ranked = sorted(
            dated, key=lambda item: (not _sorted(item), _LABEL_TIME.search(item.name) is not None, _middle(item))
        )
        best = ranked[0]
        reasons = ["it holds dates or times" + (" as text" if convert.is_text(best.column.type) else "")]
        if _sorted(best):
            reasons.append("the rows are in its order")
        if len(dated) > 1:
            reasons.append(f"it was preferred to {', '.join(item.name for item in ranked[1:])}")
        return Guess("time", best.name, "; ".join(reasons))
    for item in facts.values():
        whole = item.kind == "number" and item.whole and item.nulls == 0
        if whole and _INTEGER_TIME.search(item.name) and _sorted(item):
            return Guess("time", item.name, "whole numbers that never fall from row to row, named like a time")
    return None


def guess_id(table: pa.Table, facts: Mapping[str, ColumnFacts], taken: set[str]) -> Guess | None:
    """Return the column that names each row, where one does."""
    for item in facts.values():
        named = _ID.search(item.name) is not None
        if item.name in taken or item.nulls or item.distinct < len(item.column):
            continue
        text = item.kind == "category" and (named or (len(item.column) >= 20 and not _is_prose(item)))
        if not text and not (named and item.kind == "number" and item.whole):
            continue
        if pc.count_distinct(convert.decoded(table.column(item.name))).as_py() == table.num_rows:
            why = "every row has another value" + (", and it is named like an id" if named else "")
            return Guess("id", item.name, why)
    return None


def _is_prose(item: ColumnFacts) -> bool:
    """Whether texts are written to be read: each may be the only one of its kind, and still names nothing."""
    return wordy(convert.texts(item.column.slice(0, 500), item.name).drop_null().to_pylist())


def guess_outputs(facts: Mapping[str, ColumnFacts], taken: set[str]) -> dict[str, Guess]:
    """Return the columns of the model's own output: `prediction` and `score` (numbers between 0 and 1)."""
    found: dict[str, Guess] = {}
    for item in facts.values():
        if item.name in taken:
            continue
        if _SCORE.match(item.name) and item.kind == "number" and "score" not in found:
            values = item.numbers()
            known = values[~np.isnan(values)]
            if known.min() >= 0 and known.max() <= 1:
                why = "named like a probability, and all its values lie between 0 and 1"
                found["score"] = Guess("score", item.name, why)
        elif _PREDICTION.match(item.name) and item.kind in ("number", "category", "flag"):
            found["prediction"] = Guess("prediction", item.name, "named like a model's output")
    return found


def guess_label(
    facts: Mapping[str, ColumnFacts], taken: set[str], prediction: str | None, least: int = 0, time: str | None = None
) -> Guess | None:
    """Return the likeliest label: by name, by agreement with the prediction column, by place (labels stand last).

    None where nothing reaches `least` points: 100 for the name of a label, 80 for agreement, 40 for a name like an
    outcome's, 30 for the last place, 15 for two values. In a history (its `time` is given) more is known: 40 for
    values that are missing in the newest rows only, and of names a `_type`, which is as often an input, has 20.
    """
    usable = [item for item in facts.values() if item.name not in taken and not is_calendar_name(item.name)]
    able = [
        item
        for item in usable
        if not item.constant and (item.kind in ("number", "flag") or (item.kind == "category" and item.distinct <= 50))
    ]
    if not able:
        return None
    points: dict[str, tuple[int, str]] = {}
    for position, item in enumerate(able):
        score, why = _by_name(item.name, history=time is not None)
        if time is not None and _still_comes(item, facts[time]):
            score, why = score + 40, [*why, "it is missing in the newest rows only, as what has yet to come is"]
        if position == len(able) - 1:
            score, why = score + 30, [*why, LAST]
        if item.distinct == 2 and item.kind != "category":
            score, why = score + 15, [*why, "it has two values"]
        if prediction is not None and _agrees(item, facts[prediction]):
            score, why = score + 80, [*why, f"it has the values of {prediction} and mostly agrees with it"]
        points[item.name] = (score, "; ".join(why))
    # Of equals the later column: labels are usually appended.
    best = max(reversed(points), key=lambda name: points[name][0])
    if points[best][0] < (max(least, 40) if prediction is not None else least):
        return None
    return Guess("label", best, points[best][1] or BEST)


def _by_name(name: str, *, history: bool) -> tuple[int, list[str]]:
    """Return the points that a name gives, and why."""
    if _LABEL.match(name):
        return 100, [f"it is called {name}"]
    if history and _SORT.search(name):
        return 20, ["it is named like a class"]
    if _LIKELY_LABEL.search(name) or (history and _EVENT.search(name)):
        return 40, ["it is named like an outcome"]
    return 0, []


def _still_comes(item: ColumnFacts, time: ColumnFacts) -> bool:
    """Whether the older half of the rows have values, and the newest hundredth has none."""
    if not item.nulls or time.kind != "time":
        return False
    order = np.argsort(time.instants().values, kind="stable")
    known = np.asarray(convert.decoded(item.column).is_valid().to_numpy(), dtype=bool)[order]
    newest = known[len(known) - max(1, len(known) // 100) :]
    return bool(np.all(known[: len(known) // 2])) and not bool(np.any(newest))


def guess_label_time(facts: Mapping[str, ColumnFacts], time: str, label: ColumnFacts) -> Guess | None:
    """Return the date column of when the label became known, if one is named so and never lies before the time."""
    at = facts[time].instants() if facts[time].kind == "time" else None
    known = np.asarray(convert.decoded(label.column).is_valid().to_numpy(), dtype=bool)
    for item in facts.values():
        if at is None or item.name == time or item.kind != "time" or not _LABEL_TIME.search(item.name):
            continue
        later = item.instants()
        if bool(np.all(later.valid[known])) and bool(np.all((later.values >= at.values)[known])):
            return Guess("label_time", item.name, f"named like the moment of the outcome, and never before {time}")
    return None


def guess_task(label: ColumnFacts) -> Guess | None:
    """Return the kind of task, None where the label has fewer than two values."""
    if label.distinct < 2:
        return None
    if label.distinct == 2:
        return Guess("task", "binary", f"{label.name} has two values")
    if label.kind == "category":
        return Guess("task", "multiclass", f"{label.name} is text with {label.distinct} values")
    if label.whole and label.distinct <= _MOST_CLASSES and len(label.column) >= 20 * label.distinct:
        return Guess("task", "multiclass", f"{label.name} has only {label.distinct} different whole numbers")
    return Guess("task", "regression", f"{label.name} is a number with {label.distinct} different values")


def guess_positive(label: ColumnFacts) -> Guess:
    """Return the positive class of a label with two values: the affirmative one, else the rarer one."""
    counts = pc.value_counts(convert.texts(label.column, label.name).drop_null()).to_pylist()
    ranked = sorted(counts, key=lambda item: (item["counts"], item["values"]))
    for item in ranked:
        if item["values"].lower() in _TRUE:
            return Guess("positive", item["values"], "it is the affirmative value")
    return Guess("positive", ranked[0]["values"], "it is the rarer value")


def _sorted(facts: ColumnFacts) -> bool:
    values = facts.instants().values
    return bool(np.all(values[1:] >= values[:-1]))


def _middle(facts: ColumnFacts) -> int:
    return int(np.median(facts.instants().values))


def _agrees(label: ColumnFacts, prediction: ColumnFacts) -> bool:
    if label.distinct > 50:
        if label.kind != "number" or prediction.kind != "number":
            return False
        true, predicted = label.numbers(), prediction.numbers()
        both = np.isfinite(true) & np.isfinite(predicted)
        # Squares of numbers beyond 1e154 are infinite, and nothing is below that.
        with np.errstate(over="ignore", invalid="ignore"):
            spread = float(np.var(true[both])) if both.any() else 0.0
            return spread > 0 and float(np.mean((true[both] - predicted[both]) ** 2)) < 0.75 * spread
    try:
        classes = convert.classes(label.column, label.name)
        predicted_classes = convert.classes(prediction.column, prediction.name)
    except ColumnValueError:
        return False
    values = set(classes.unique().drop_null().to_pylist())
    shown = set(predicted_classes.unique().drop_null().to_pylist())
    same = pc.mean(pc.equal(classes, predicted_classes).cast(pa.float64())).as_py() or 0.0
    counts = pc.value_counts(classes.drop_null()).field("counts")
    most = pc.max(counts).as_py() / pc.sum(counts).as_py()
    return shown <= values and len(values) >= 2 and same > max(0.5, 0.8 * most)

"""From a table to a specification: what the user did not say is guessed, and every guess is told with its reason."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pitstop.errors import ColumnValueError, EmptyTableError, SpecError
from pitstop.records import columns as convert
from pitstop.records import roles
from pitstop.records.batches import normalise
from pitstop.records.cadence import WINDOWS_PER_PERIOD, calendar_copies, guess_windows, is_cycle
from pitstop.records.calendar import Calendar
from pitstop.records.facts import ColumnFacts, facts_of, sample
from pitstop.records.leaks import LEAK, STRONG, strength
from pitstop.records.measures import embedding_size, known_words, wordy
from pitstop.records.roles import TOLD, Guess
from pitstop.records.sources import read_table, select_columns
from pitstop.records.spec import (
    ColumnsSection,
    CostsSection,
    DecisionSection,
    ModelSection,
    ModelSpec,
    Task,
    TimeSection,
    TrainerSection,
)

_PROTECTED = re.compile(r"^(sex|gender|race|rac1p|ethnicity|religion|disability|nationality)$", re.IGNORECASE)
_SEGMENT = re.compile(r"segment|channel|region|hotel|product|origin|carrier|store|site|country|tier", re.IGNORECASE)
_MAX_SEGMENTS = 3
# A positive class with less than this share is seldom predicted from a score of 0.5 on.
_RARE = 0.2
# Texts whose words are known from the start.
_FEWEST_TEXTS, _MOST_TEXTS = 200, 5_000


@dataclass(frozen=True)
class Inference:
    """A specification, what was guessed for it and why, and warnings: sentences on columns that deserve a look."""

    spec: ModelSpec
    guesses: tuple[Guess, ...]
    warnings: tuple[str, ...]


def infer_spec(
    table: Any,
    *,
    time: str | None = None,
    label: str | None = None,
    label_time: str | None = None,
    id: str | None = None,  # noqa: A002 - the word of the specification and of `init --id`
    prediction: str | None = None,
    score: str | None = None,
    drop: Sequence[str] = (),
    task: Task | None = None,
    name: str = "model",
) -> Inference:
    """Return a complete specification of the model behind `table` (anything that `read_table` takes).

    What is given is taken as it is; the rest is guessed on at most 50,000 rows. Columns that predict the label almost
    perfectly, or hold dates after the prediction, are left out of the features and named in `warnings`. The
    specification has been tried on the whole table when it is returned.

    Raises `MissingColumnError` (a given column is not there), `EmptyTableError` (fewer than two rows), `SpecError` (no
    time or no feature can be found) and what `normalise` raises where the table itself is wrong.
    """
    whole = read_table(table)
    given = {"time": time, "label": label, "label_time": label_time, "id": id, "prediction": prediction, "score": score}
    select_columns(whole, [item for item in (*given.values(), *drop) if item is not None])
    if whole.num_rows < 2:
        msg = f"the table has {whole.num_rows} rows; a specification is inferred from at least 2, better from thousands"
        raise EmptyTableError(msg)
    kept = whole.select([column for column in whole.column_names if column not in drop])
    facts = facts_of(sample(kept))
    found = _roles(kept, facts, {role: column for role, column in given.items() if column is not None})
    label_facts = facts[found["label"].value] if "label" in found else None
    chosen = _task(label_facts, task)
    warnings: list[str] = []
    if "label" in found and found["label"].why in (roles.LAST, roles.BEST):
        warnings.append(
            f"{found['label'].value} is taken for the label because {found['label'].why}: name it with --label, or "
            'where the table has none, take that line out of the file and write name = "none" under [trainer]'
        )
    wide = _wide(facts, found)
    usual = {column: item for column, item in facts.items() if column not in wide}
    features, categorical = _features(usual, found, chosen.value, warnings, optional=bool(wide))
    window, window_guess = guess_windows(facts[found["time"].value].instants(), kept.num_rows)
    guesses = [*found.values(), chosen, window_guess]
    decision = DecisionSection()
    if chosen.value == "binary" and label_facts is not None and label_facts.distinct:
        positive = roles.guess_positive(label_facts)
        decision = DecisionSection(positive=positive.value)
        guesses.append(positive)
        share = _share(label_facts, positive.value)
        if share < _RARE and "prediction" not in found:
            warnings.append(
                f"{label_facts.name} is {positive.value} in {share:.1%} of the rows: while either error costs a point, "
                "a model acts from a score of 0.5 on, which is seldom reached. Write what outcomes are worth into "
                "[value], and [decision] threshold to match"
            )
    segments, protected = _groups(facts, categorical)
    guesses += wide.values()
    guesses += [Guess("segments", column, "few different values") for column in segments]
    guesses += [Guess("protected", column, "named like a protected attribute") for column in protected]
    release = _release(label_facts, chosen.value, window, kept.num_rows, facts[found["time"].value])
    guesses.append(
        Guess("costs.release", f"{release:g} points", "a tenth of what a period's errors may cost; replace it")
    )
    trainer = TrainerSection()
    if "label" not in found or "prediction" in found or "score" in found:
        trainer = TrainerSection(name="none")
        why = "the table brings the model's own output" if "label" in found else "there is no label to train on"
        guesses.append(Guess("trainer", "none", f"{why}, so the model is monitored only"))
    texts = tuple(column for column, guess in wide.items() if guess.what == "texts")
    named = {role: guess.value for role, guess in found.items()}
    columns = ColumnsSection(
        time=named["time"],
        features=features,
        id=named.get("id"),
        label=named.get("label"),
        label_time=named.get("label_time"),
        prediction=named.get("prediction"),
        score=named.get("score"),
        categorical=categorical,
        segments=segments,
        protected=protected,
        texts=texts,
        embeddings=tuple(column for column, guess in wide.items() if guess.what == "embeddings"),
        known_words=tuple(_known_words(facts[column], facts[named["time"]]) for column in texts),
    )
    spec = ModelSpec(
        model=ModelSection(name=name, task=cast("Task", chosen.value)),
        columns=columns,
        time=window,
        decision=decision,
        costs=CostsSection(release=release),
        trainer=trainer,
    )
    rows = normalise(spec, kept)
    return Inference(spec, tuple(guesses), (*warnings, *rows.notes))


def _roles(table: pa.Table, facts: Mapping[str, ColumnFacts], given: Mapping[str, str]) -> dict[str, Guess]:
    """Return the guess of each role, in the order in which they are told."""
    found = {role: Guess(role, column, TOLD) for role, column in given.items()}
    taken = set(given.values())
    left = {column: item for column, item in facts.items() if column not in taken}
    if "time" not in found:
        guess = roles.guess_time(left)
        if guess is None:
            msg = (
                "no column looks like the time of the prediction (dates, timestamps, ISO text, or a sorted whole "
                "number called "
                f"step, year or time); name it with --time. Columns: {', '.join(table.column_names[:30])}"
            )
            raise SpecError(msg)
        found["time"] = guess
        taken.add(guess.value)
    if "id" not in found and (guess := roles.guess_id(table, facts, taken)):
        found["id"] = guess
        taken.add(guess.value)
    outputs = {role: guess for role, guess in roles.guess_outputs(facts, taken).items() if role not in found}
    found |= outputs
    taken |= {guess.value for guess in outputs.values()}
    if "label" not in found:
        shown = found["prediction"].value if "prediction" in found else None
        if guess := roles.guess_label(facts, taken, shown, time=found["time"].value):
            found["label"] = guess
            taken.add(guess.value)
    if "label" in found and "label_time" not in found:
        guess = roles.guess_label_time(facts, found["time"].value, facts[found["label"].value])
        if guess and guess.value not in taken:
            found["label_time"] = guess
    order = ("time", "id", "label", "label_time", "prediction", "score")
    return {role: found[role] for role in order if role in found}


def _task(label: ColumnFacts | None, given: Task | None) -> Guess:
    if given is not None:
        return Guess("task", given, TOLD)
    if label is None:
        return Guess("task", "binary", "there is no label to tell; set it if the model does something else")
    guess = roles.guess_task(label)
    if guess is None:
        msg = (
            f"label column {label.name!r} has {label.distinct} different values, so the task cannot be told; name "
            "another "
            "column with --label, or say --task"
        )
        raise ColumnValueError(msg)
    return guess


def _wide(facts: Mapping[str, ColumnFacts], found: Mapping[str, Guess]) -> dict[str, Guess]:
    """Return the columns that are free text or embeddings, with the reason."""
    taken = {guess.value for guess in found.values()}
    wide = {}
    for item in facts.values():
        if item.name in taken:
            continue
        if (size := embedding_size(item.column)) is not None:
            wide[item.name] = Guess("embeddings", item.name, f"lists of {size} floats")
        elif _is_nameless(item) and wordy(convert.texts(item.column, item.name).drop_null().to_pylist()):
            wide[item.name] = Guess("texts", item.name, "most texts stand once, with three words or more")
    return wide


def _is_nameless(item: ColumnFacts) -> bool:
    """Whether a column is text of which most values stand once or a few times."""
    return item.kind == "category" and item.distinct > max(50, 0.3 * len(item.column))


def _known_words(text: ColumnFacts, time: ColumnFacts) -> str:
    """Return the known words of the oldest tenth of the texts: those that come later must not be known before."""
    rows = len(text.column)
    order = np.argsort(time.instants().values, kind="stable")[: max(rows // 10, min(rows // 2, _FEWEST_TEXTS))]
    oldest = text.column.take(pa.array(order[:: max(1, len(order) // _MOST_TEXTS)]))
    return known_words(convert.texts(oldest, text.name).drop_null().to_pylist())


def _features(
    facts: Mapping[str, ColumnFacts], found: Mapping[str, Guess], task: str, warnings: list[str], *, optional: bool
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    taken = {guess.value for guess in found.values()}
    time = found["time"].value
    copies = calendar_copies(facts, time)
    label = _label_numbers(facts[found["label"].value], task) if "label" in found else None
    features: list[str] = []
    for item in facts.values():
        if item.name in taken:
            continue
        if item.odd:
            warnings.append(f"{item.name} is taken as a category: {item.odd}")
        left_out = _reason_against(item, facts[time], copies)
        if left_out:
            warnings.append(f"{item.name} is left out of the features: {left_out}")
            continue
        power = strength(item, label, cast("Task", task)) if label is not None else 0.0
        if power >= LEAK:
            warnings.append(
                f"{item.name} is left out of the features: alone it predicts {found['label'].value} almost perfectly "
                f"({_power_words(task, power)}), as a copy or a source of the label does"
            )
            continue
        if power >= STRONG and item.name not in copies:
            warnings.append(
                f"{item.name} alone predicts {found['label'].value} strongly ({_power_words(task, power)}); make sure "
                f"that it is known when the prediction is made, or leave it out with --drop {item.name}"
            )
        features.append(item.name)
    if not features and not optional:
        msg = (
            f"no column is left as a feature; {'; '.join(warnings) or 'the table has only role columns'}. Add feature "
            "columns"
        )
        raise SpecError(msg)
    return tuple(features), tuple(column for column in features if facts[column].kind == "category")


def _reason_against(item: ColumnFacts, time: ColumnFacts, copies: Mapping[str, str]) -> str:
    """Return why a column is no feature, or nothing."""
    rows = len(item.column)
    part = copies.get(item.name)
    ordered = item.kind == "number" and item.whole and item.distinct == rows and rows >= 100
    reason = ""
    if item.kind == "empty":
        reason = "it has no values"
    elif item.kind == "other":
        reason = f"its type is {item.column.type}"
    elif item.constant:
        reason = "it has one value only"
    elif part is not None and not is_cycle(part):
        reason = f"it repeats the {part} of {time.name}, by which a model could only learn dates by heart"
    elif item.kind == "time":
        reason = _reason_against_dates(item, time)
    elif _is_nameless(item):
        reason = f"it is text with {item.distinct} different values in {rows} rows, like a name or an id"
    elif ordered and bool(np.all(np.diff(item.numbers()) > 0)):
        reason = "it counts the rows"
    return reason


def _reason_against_dates(item: ColumnFacts, time: ColumnFacts) -> str:
    if time.kind != "time":
        return "it holds dates"
    later = item.instants()
    after = float(np.mean(later.valid & (later.values > time.instants().values)))
    if not after:
        return "it holds dates"
    return f"it holds dates after {time.name} (in {after:.0%} of the rows), which may not be known then"


def _power_words(task: str, power: float) -> str:
    if task == "binary":
        return f"AUC {(power + 1) / 2:.3f}"
    return f"R² {power:.2f}" if task == "regression" else f"{power:.0%} of the errors gone"


def _label_numbers(label: ColumnFacts, task: str) -> NDArray[np.float64]:
    if task == "regression":
        return label.numbers()
    codes = label.codes().astype(np.float64)
    codes[codes < 0] = np.nan
    return codes


def _share(label: ColumnFacts, value: str) -> float:
    """Return the share of a value among those that are known."""
    known = convert.texts(label.column, label.name).drop_null()
    return float(pc.sum(pc.equal(known, value)).as_py() / len(known))


def _groups(facts: Mapping[str, ColumnFacts], categorical: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    protected = tuple(column for column in categorical if _PROTECTED.match(column) and facts[column].distinct <= 12)
    few = [column for column in categorical if column not in protected and _makes_segments(facts[column])]
    ranked = sorted(few, key=lambda column: (_SEGMENT.search(column) is None, facts[column].distinct))
    chosen = ranked[:_MAX_SEGMENTS]
    return tuple(column for column in categorical if column in chosen), protected


def _makes_segments(facts: ColumnFacts) -> bool:
    """Whether a column has a few named groups, two of which are large enough to be looked at on their own."""
    if not 2 <= facts.distinct <= 12:
        return False
    counts = pc.value_counts(convert.texts(facts.column, facts.name).drop_null()).to_pylist()
    large = [item for item in counts if item["counts"] >= 0.05 * len(facts.column)]
    return len(large) >= 2 and not all(item["values"].isdigit() for item in counts)


def _release(label: ColumnFacts | None, task: str, window: TimeSection, rows: int, time: ColumnFacts) -> float:
    """Return a tenth of the loss of one period's plausible errors, in points, to two digits."""
    if label is None or not label.distinct:
        return 10.0
    if isinstance(window.window, int):
        per_period = float(window.window * WINDOWS_PER_PERIOD)
    else:
        periods = Calendar(window.window, window.period).period_of(time.instants().values)
        per_period = rows / len(np.unique(periods))
    if task == "regression":
        numbers = label.numbers()
        known = numbers[np.isfinite(numbers)]
        error = 0.3 * float(np.mean(np.abs(known - np.median(known))))
    else:
        counts = pc.value_counts(convert.texts(label.column, label.name).drop_null()).field("counts")
        error = 0.5 * (1.0 - pc.max(counts).as_py() / pc.sum(counts).as_py())
    return float(f"{max(1.0, 0.1 * per_period * error):.2g}")

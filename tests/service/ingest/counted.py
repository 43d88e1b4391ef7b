"""A model, rows of it, and a recount of what a store holds, made another way than the store counts."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pyarrow as pa

from pitstop.profile import Layout, OutcomeProfile, Profile, profile_outcomes, profile_rows
from pitstop.records.spec import ModelSpec, parse_spec
from pitstop.service.ingest.counting import outputs
from pitstop.store.home import Home
from pitstop.store.intake import intakes

SPEC = """
[model]
name = "m"
task = "binary"
[columns]
time = "at"
id = "id"
features = ["x", "y", "c"]
categorical = ["c"]
label = "label"
label_time = "known"
prediction = "said"
score = "score"
"""

MODEL = parse_spec(SPEC)


def rows_of(first: int, count: int, *, per_day: int = 100, seed: int = 0) -> list[dict[str, Any]]:
    """Return predictions `first` to before `first + count`; a row of a number is always the same."""
    return [_row_of(number, per_day, seed) for number in range(first, first + count)]


@cache
def _row_of(number: int, per_day: int, seed: int) -> dict[str, Any]:
    random = np.random.default_rng([seed, number])
    score = float(random.random())
    moment = np.datetime64("2026-01-01T00:00:00") + np.timedelta64(86_400 * number // per_day, "s")
    return {
        "id": f"id-{number}",
        "at": str(moment),
        "x": float(random.normal()),
        "y": None if number % 7 == 0 else float(random.normal()),
        "c": f"c{random.integers(5)}",
        "score": score,
        "said": int(score >= 0.5),
    }


def label_of(number: int, *, later: int = 0, flip: bool = False) -> dict[str, Any]:
    """Return the label of prediction `number`; `later` and `flip` make a correction of it."""
    return {
        "id": f"id-{number}",
        "label": (number * 7919 // 13) % 2 ^ int(flip),
        "known": f"2026-03-01T00:00:{later:02d}",
    }


def recount(home: Home, spec: ModelSpec) -> tuple[dict[int, Profile], dict[int, OutcomeProfile]]:
    """Count a model's segments again, row by row and label by label, with dictionaries."""
    intake = intakes(home)[spec.model.name]
    layout = Layout.from_document(intake.layout or {})
    model = spec.model.name
    rows: dict[int, Profile] = {}
    place: dict[str, tuple[int, Any, Any]] = {}
    for segment in home.segments("predictions", model):
        table = home.read_segment(segment)
        scores, said = outputs(spec, table)
        counted = profile_rows(layout, table, scores, said, np.zeros(table.num_rows, np.int64))
        rows[segment.window] = rows[segment.window].merged(counted) if segment.window in rows else counted
        for name, score, word in zip(table["@id"].to_pylist(), scores, said.to_pylist(), strict=True):
            assert name not in place, f"{name} is there twice"
            place[name] = (segment.window, score, word)
    held: dict[str, tuple[int, str]] = {}
    for segment in home.segments("labels", model):
        for name, label, at in zip(
            *(home.read_segment(segment)[c].to_pylist() for c in ("@id", "@label", "@label_at")), strict=True
        ):
            if name not in held or at is None or at >= held[name][0]:
                held[name] = (at, label)
    outcomes: dict[int, OutcomeProfile] = {}
    by_window: dict[int, list[tuple[Any, Any, str]]] = {}
    for name, (_, label) in held.items():
        if name in place:
            window, score, word = place[name]
            by_window.setdefault(window, []).append((score, word, label))
    for window, found in by_window.items():
        scores_, words, labels = (list(column) for column in zip(*found, strict=True))
        counted_ = profile_outcomes(
            layout,
            np.array(scores_),
            pa.array(words, pa.string()),
            pa.array(labels, pa.string()),
            np.zeros(len(found), np.int64),
            np.zeros(len(found)),
        )
        outcomes[window] = OutcomeProfile(
            layout, counted_.labelled, counted_.outcomes, OutcomeProfile.empty(layout).cells
        )
    return rows, outcomes


def check_counts(home: Home, spec: ModelSpec, *, enough: bool = True) -> None:
    """Hold the profiles of a model against a recount from its segments, bit for bit; `enough`: there are any."""
    if not enough:
        assert home.profiles(spec.model.name, "predicted") == ()
        return
    rows, outcomes = recount(home, spec)
    model = spec.model.name
    kept = {item.window: item.blob for item in home.profiles(model, "predicted")}
    assert kept == {window: profile.pack() for window, profile in rows.items()}
    empty = {OutcomeProfile.empty(Layout.from_document(intakes(home)[model].layout or {})).pack()}
    labelled = {item.window: item.blob for item in home.profiles(model, "labelled") if item.blob not in empty}
    assert labelled == {window: profile.pack() for window, profile in outcomes.items()}

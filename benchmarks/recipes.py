"""What the options of recipes do: labels left out that look wrong, and fits that start from the model before.

`noise`: labels of synthetic rows are turned round at random. How many of those that `+clean_P` leaves out were turned,
how many of the turned ones it finds, and what a fit on the rest is worth on clean rows, against a fit on all.
`sets`: streams of the strategy benchmark in time order, LightGBM, a candidate each period. The loss a row of the fresh
candidate, with an option against without, in the same periods after the first 30%: nobody knows which labels are wrong
there. No bar is set: both are options that a user's own backtest chooses.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from benchmarks.result import Result
from benchmarks.strategy_matrices import cache_folder
from benchmarks.strategy_streams import Stream, streams
from pitstop.backtests.candidates import make_candidates
from pitstop.backtests.kept_files import KeptFiles
from pitstop.backtests.past import past_of
from pitstop.backtests.views import views_of
from pitstop.records.batches import normalise
from pitstop.records.spec import TrainerSection
from pitstop.retraining.label_issues import screen
from pitstop.retraining.recipes import options_of
from pitstop.retraining.sandbox import Session
from pitstop.retraining.trainer import TRAINERS, TrainingRequest
from pitstop.strategy.choosing import fresh_losses

NAMES = tuple(f"x{place}" for place in range(5))
ROWS, JUDGED_ON, WINDOW = 3000, 4000, 20
TRAINERS_TRIED = ("gradient_boosting", "linear")
STEEPNESS = (8.0, 2.0)
TURNED = (0.0, 0.05, 0.1, 0.2)
MOST = (5, 20)
SEEDS = (1, 2, 3)

SETS = ("elec2", "noaa_weather", "bank_marketing")
RECIPES = ("all", "all+clean_5", "all+warm", "last_2", "last_2+clean_5", "last_2+warm")
ROWS_A_PERIOD = 400
HISTORY = 0.3


def run(quick: bool, data: Path | None) -> Result:
    """Judge both. Raises `MissingDataError` where a set is not there."""
    rows: list[dict[str, Any]] = []
    for name in TRAINERS_TRIED[: 1 if quick else None]:
        with Session(TRAINERS.get(name).argv(TrainerSection(name=name), Path()), forks=True) as session:
            for steep in STEEPNESS[: 1 if quick else None]:
                for turned in TURNED[2:3] if quick else TURNED:
                    rows += [_noise(session, name, steep, turned, most) for most in MOST]
    known = {stream.name: stream for stream in streams()}
    for name in SETS[: 1 if quick else None]:
        rows += _set(known[name], ("last_2", "last_2+clean_5") if quick else RECIPES, data)
    return Result(tuple(rows))


def _rows(seed: int, count: int, steep: float, turned: float) -> tuple[pa.Table, NDArray[np.bool_], NDArray[np.bool_]]:
    """Return rows, their true classes and which labels are turned; the second and third input act as a product."""
    draw = np.random.default_rng(seed)
    x = draw.normal(size=(count, len(NAMES)))
    true = draw.random(count) < 1.0 / (1.0 + np.exp(-steep * (x[:, 0] + x[:, 1] * x[:, 2])))
    wrong = draw.random(count) < turned
    columns = {name: x[:, place] for place, name in enumerate(NAMES)}
    return pa.table({**columns, "@label": np.where(true ^ wrong, "1", "0").tolist()}), true, wrong


def _noise(session: Session, name: str, steep: float, turned: float, most: int) -> dict[str, Any]:
    request = TrainingRequest("binary", NAMES)
    left: list[float] = []
    right: list[float] = []
    found: list[float] = []
    without: list[float] = []
    with_: list[float] = []
    for seed in SEEDS:
        table, _, wrong = _rows(seed, ROWS, steep, turned)
        judged, true, _ = _rows(100 + seed, JUDGED_ON, steep, 0.0)
        kept, _ = screen(session, request, table, np.arange(ROWS) // WINDOW, most)
        left.append(float((~kept).mean()))
        right.append(float(wrong[~kept].mean()) if not kept.all() else float("nan"))
        found.append(float((~kept)[wrong].mean()) if wrong.any() else float("nan"))
        for values, part in ((without, table), (with_, table.filter(pa.array(kept)))):
            said = np.asarray(session.predict(session.train(request, part), request, judged)["score"]) >= 0.5
            values.append(float((said == true).mean()))
    told = {"part": "noise", "trainer": name, "steepness": steep, "turned": turned, "most": most}
    gain = np.array(with_) - np.array(without)
    return told | {
        "left_out": float(np.mean(left)),
        "of_these_turned": float(np.nanmean(right)) if turned else None,
        "of_turned_found": float(np.nanmean(found)) if turned else None,
        "accuracy_without": float(np.mean(without)),
        "accuracy_with": float(np.mean(with_)),
        "gain": float(gain.mean()),
        "gain_least": float(gain.min()),
        "runs": len(SEEDS),
    }


def _set(stream: Stream, recipes: tuple[str, ...], data: Path | None) -> list[dict[str, Any]]:
    table, spec = stream.load(ROWS_A_PERIOD, data)
    spec = replace(spec, trainer=replace(spec.trainer, name="lightgbm"))
    past = past_of(spec, normalise(spec, table))
    periods = tuple(range(past.periods))
    made = make_candidates(
        past, recipes, periods, KeptFiles(cache_folder()), base=Path(), workers=1, progress=lambda *_: None
    )
    views = {view.name: view.seen for view in views_of(made, periods, 1.0)}
    fresh = {recipe: fresh_losses(views[recipe], past.periods) for recipe in recipes}
    shared = np.isfinite(np.array(list(fresh.values()))).all(axis=0)
    shared[: int(HISTORY * past.periods)] = False
    rows = []
    for recipe in recipes:
        base = options_of(recipe).base
        gaps = (fresh[recipe] - fresh[base])[shared]
        labels = [note["labels"] for note in made.notes[recipe].values() if "labels" in note]
        out = sum(sum(item["left_out"].values()) for item in labels)
        rows.append(
            {
                "part": "sets",
                "set": stream.name,
                "recipe": recipe,
                "periods": int(shared.sum()),
                "fresh_loss": float(fresh[recipe][shared].mean()),
                "against_base": float(gaps.mean()),
                "error": float(gaps.std(ddof=1) / np.sqrt(len(gaps))),
                "left_out": out / sum(item["rows"] for item in labels) if labels else None,
            }
        )
    return rows

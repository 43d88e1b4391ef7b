"""A recipe takes only rows whose label had arrived, and leaves out what it is told to."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pitstop.errors import SpecError, UnknownNameError
from pitstop.records.calendar import DAY, Calendar
from pitstop.records.spec import TrainerSection
from pitstop.retraining.trainer import TRAINERS, Challenger, Model, Recipe, parse_recipe, trainer_of

DAYS = Calendar("day", "month")


@given(
    st.lists(st.tuples(st.integers(0, 400), st.integers(0, 60)), min_size=1),
    st.integers(0, 400),
    st.sampled_from(["all", "last_1", "last_6"]),
)
def test_labels_that_arrive_later_change_nothing(rows: list[tuple[int, int]], day: int, name: str) -> None:
    at = np.array([first for first, _ in rows]) * DAY
    label_at = at + np.array([delay for _, delay in rows]) * DAY
    as_of = day * DAY
    later = np.where(label_at >= as_of, label_at + 99 * DAY, label_at)
    mask = parse_recipe(name).mask(at, label_at, DAYS, as_of)
    assert (mask == parse_recipe(name).mask(at, later, DAYS, as_of)).all()
    assert not mask[label_at >= as_of].any()
    if name == "all":
        assert (mask == (label_at < as_of)).all()


def test_a_window_counts_periods_by_the_arrival_of_labels() -> None:
    at = DAYS.parse_instant("2016-01-15") + np.arange(0, 100) * DAY
    as_of = DAYS.parse_instant("2016-04-01")
    mask = parse_recipe("last_1").mask(at - 20 * DAY, at, DAYS, as_of)
    assert (mask == ((at >= DAYS.parse_instant("2016-03-01")) & (at < as_of))).all()


def test_spans_are_left_out() -> None:
    at = np.arange(10) * DAY
    mask = parse_recipe("all", ((2 * DAY, 4 * DAY), (8 * DAY, 9 * DAY))).mask(at, at, DAYS, 100 * DAY)
    assert np.flatnonzero(~mask).tolist() == [2, 3, 8]


@pytest.mark.parametrize("name", ["last_0", "last_", "first_3", "", "last_1234567"])
def test_unknown_recipes_are_named_errors(name: str) -> None:
    with pytest.raises(UnknownNameError, match="last_K"):
        parse_recipe(name)


def test_a_challenger_is_its_rows_recipe_trainer_and_seed() -> None:
    def made(
        recipe: Recipe, digest: str, *, seed: int = 0, name: str = "linear", model: str | None = None, at: int = 5
    ) -> str:
        section = TrainerSection(name=name, seed=seed)
        trainer = trainer_of(section)
        return Challenger.of(
            at=at, recipe=recipe, rows=9, rows_digest=digest, trainer=trainer, section=section, model_digest=model
        ).id

    everything = parse_recipe("all")
    first = made(everything, "d1")
    assert first == made(everything, "d1", model="bytes differ between machines")
    others = [
        made(everything, "d2"),
        made(parse_recipe("last_2"), "d1"),
        made(parse_recipe("all", ((1, 2),)), "d1"),
        made(everything, "d1", seed=1),
        made(everything, "d1", name="gradient_boosting"),
        made(everything, "d1", at=6),
    ]
    assert len({first, *others}) == 1 + len(others)


def test_a_command_is_found_beside_the_spec_and_ids_hold_no_folder(tmp_path: Path) -> None:
    (tmp_path / "train.R").touch()
    section = TrainerSection(command=("Rscript", "train.R", "--fast"))
    trainer = trainer_of(section)
    assert trainer.name == "command"
    assert trainer.argv(section, tmp_path) == ("Rscript", str(tmp_path / "train.R"), "--fast")
    moved = TrainerSection(command=("/usr/bin/Rscript", str(tmp_path / "train.R"), "--fast"))
    ids = {
        Challenger.of(at=1, recipe=parse_recipe("all"), rows=1, rows_digest="d", trainer=trainer, section=section).id
        for section in (section, moved)
    }
    assert len(ids) == 1


def test_a_command_trainer_without_a_command_is_a_clear_error() -> None:
    with pytest.raises(SpecError, match="command is empty"):
        TRAINERS.get("command").argv(TrainerSection(), Path())


def test_a_model_knows_its_own_digest() -> None:
    assert Model(b"abc").digest == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"

"""Labels that look wrong are found by models that had no part in them, and at most a stated share is left out."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from pitstop.errors import RecipeError
from pitstop.records.spec import Task, TrainerSection
from pitstop.retraining import label_issues
from pitstop.retraining.label_issues import LEAST_ROWS, MOST_CHANCE, Screened, folds_of, screen
from pitstop.retraining.recipes import FOLDS
from pitstop.retraining.sandbox import Session
from pitstop.retraining.trainer import TRAINERS, TrainingRequest

pytest.importorskip("cleanlab", reason="cleanlab is not installed: pip install 'pitstop[labels]'")

NAMES = ("a", "b", "c")
ROWS = 1500


def request_of(task: Task = "binary") -> TrainingRequest:
    return TrainingRequest(task, NAMES)


def rows_of(
    seed: int, *, noise: float = 0.0, sharp: float = 8.0, shift: float = 0.0, rows: int = ROWS
) -> tuple[pa.Table, NDArray[np.bool_], NDArray[np.int64]]:
    """Return rows of two classes, which labels were turned round, and the window of each row."""
    draw = np.random.default_rng(seed)
    x = draw.normal(size=(rows, len(NAMES)))
    true = draw.random(rows) < 1 / (1 + np.exp(-sharp * (x[:, 0] + x[:, 1] - shift)))
    turned = draw.random(rows) < noise
    table = pa.table(
        {name: x[:, place] for place, name in enumerate(NAMES)} | {"@label": np.where(true ^ turned, "1", "0").tolist()}
    )
    return table, turned, np.arange(rows) // 20


@pytest.fixture(scope="module")
def linear() -> Iterator[Session]:
    with Session(TRAINERS.get("linear").argv(TrainerSection(name="linear"), Path()), forks=True) as session:
        yield session


def out_of(session: Session, table: pa.Table, windows: NDArray[Any], most: int) -> tuple[NDArray[np.bool_], Screened]:
    kept, told = screen(session, request_of(), table, windows, most)
    labels = np.array(table["@label"].to_pylist())
    assert told.left_out == {name: int((~kept & (labels == name)).sum()) for name in told.left_out}
    assert told.total == int((~kept).sum())
    assert told.rows == table.num_rows
    for name, count in told.left_out.items():
        assert count <= most * (labels == name).sum() / 100
    return ~kept, told


def test_labels_that_were_turned_round_are_found(linear: Session) -> None:
    table, turned, windows = rows_of(1, noise=0.1)
    out, told = out_of(linear, table, windows, 20)
    assert turned[out].mean() > 0.9
    assert out[turned].mean() > 0.4
    # A wrong label near the border of the classes is hidden by rows that are right to be on either side.
    clear = np.abs(np.asarray(table["a"]) + np.asarray(table["b"])) > 1.0
    assert out[turned & clear].mean() > 0.8
    # Of a smaller share only those that look worst: nearly all of them are wrong.
    fewer, again = out_of(linear, table, windows, 2)
    assert (fewer <= out).all()
    assert turned[fewer].mean() > 0.9
    assert again.found == told.found > again.total


def test_a_clean_set_loses_little(linear: Session) -> None:
    table, _, windows = rows_of(2)
    out, _ = out_of(linear, table, windows, 20)
    assert out.mean() < 0.04
    # Where every row is a toss of a coin, what is lost is what was stated, and never more.
    table, _, windows = rows_of(3, sharp=0.5)
    out, told = out_of(linear, table, windows, 5)
    assert out.mean() <= 0.05
    assert Screened.from_json(told.to_json()) == told


def test_a_rare_class_is_not_emptied(linear: Session) -> None:
    table, _, windows = rows_of(4, sharp=1.0, shift=3.0)
    rare = np.array(table["@label"].to_pylist()) == "1"
    assert LEAST_ROWS < rare.sum() < 0.2 * len(rare)
    out, _ = out_of(linear, table, windows, 10)
    assert out[rare].mean() <= 0.1


def test_the_same_rows_lose_the_same_labels(linear: Session) -> None:
    table, _, windows = rows_of(5, noise=0.1, rows=600)
    one, two = (screen(linear, request_of(), table, windows, 10) for _ in range(2))
    assert (one[0] == two[0]).all()
    assert one[1] == two[1]


def test_several_classes(linear: Session) -> None:
    draw = np.random.default_rng(6)
    x = draw.normal(size=(ROWS, len(NAMES)))
    true = np.argmax(4 * x + draw.gumbel(size=x.shape), axis=1)
    turned = draw.random(ROWS) < 0.08
    given_ = np.where(turned, (true + draw.integers(1, 3, ROWS)) % 3, true)
    names = np.array(["red", "green", "blue"])
    table = pa.table({name: x[:, place] for place, name in enumerate(NAMES)} | {"@label": names[given_].tolist()})
    kept, told = screen(linear, request_of("multiclass"), table, np.arange(ROWS) // 20, 10)
    assert turned[~kept].mean() > 0.5
    assert (~kept)[turned].mean() > 0.5
    assert set(told.left_out) <= set(names)


def test_too_few_rows_are_left_alone(linear: Session) -> None:
    table, _, windows = rows_of(7, rows=40)
    kept, told = screen(linear, request_of(), table, windows, 10)
    assert kept.all()
    assert told.total == 0
    assert "fewer than two classes" in told.why


def test_without_the_package_it_says_how_to_get_it(linear: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(label_issues, "find_spec", lambda _name: None)
    with pytest.raises(RecipeError, match=r"pip install 'pitstop\[labels\]'"):
        screen(linear, request_of(), *rows_of(8, rows=100)[::2], 5)


class Spy(Session):
    """A session that remembers which rows each model was fitted on, and which it was asked about."""

    def __init__(self, inner: Session) -> None:
        self.inner = inner
        self.seen: list[tuple[set[float], set[float]]] = []

    def train(self, request: TrainingRequest, rows: pa.Table, start: Any = None) -> Any:
        self.seen.append((set(rows["a"].to_pylist()), set()))
        return self.inner.train(request, rows, start)

    def predict(self, model: Any, request: TrainingRequest, rows: pa.Table) -> pa.Table:
        self.seen[-1][1].update(rows["a"].to_pylist())
        return self.inner.predict(model, request, rows)


def test_no_model_judges_a_row_that_it_was_fitted_on(linear: Session) -> None:
    table, _, windows = rows_of(9, rows=300)
    spy = Spy(linear)
    screen(spy, request_of(), table, windows, 5)
    assert len(spy.seen) == FOLDS
    assert all(not fitted & asked for fitted, asked in spy.seen)
    assert set.union(*(asked for _, asked in spy.seen)) == set(table["a"].to_pylist())


@given(st.lists(st.integers(0, 40), min_size=1, max_size=200))
@settings(deadline=None)
def test_rows_of_a_window_share_a_fold_where_windows_suffice(windows: list[int]) -> None:
    numbers = np.array(windows)
    fold = folds_of(numbers)
    assert fold.min() >= 0
    assert fold.max() < FOLDS
    distinct = len(set(windows))
    if distinct >= 2 * FOLDS:
        assert all(len(set(fold[numbers == window])) == 1 for window in set(windows))
        counts = np.bincount([fold[windows.index(window)] for window in set(windows)], minlength=FOLDS)
        assert counts.max() - counts.min() <= 1


def test_a_label_with_a_fair_chance_stays() -> None:
    chances = np.array([[0.9, 0.1]] * 50 + [[0.1, 0.9]] * 50 + [[0.7, 0.3], [0.95, 0.05]])
    given_ = np.array([0] * 50 + [1] * 50 + [1, 1])
    wrong, chance = label_issues.label_issues(given_, chances)
    assert wrong.tolist() == [False] * 101 + [True]
    assert chance[-1] <= MOST_CHANCE < chance[-2]


@pytest.fixture
def often() -> Iterator[None]:
    """Have threads take turns as often as they can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def test_several_threads_do_not_mix_what_they_look_at(often: None) -> None:
    """The package works on variables of its module: two threads at once would judge each other's rows."""
    del often
    draw = np.random.default_rng(0)
    sets = []
    for rows in (3000, 4000, 5000, 6000):
        chance = draw.random(rows)
        sets.append(((draw.random(rows) < chance).astype(np.int64), np.column_stack([1.0 - chance, chance])))
    alone = [label_issues.label_issues(*item)[0] for item in sets]
    with ThreadPoolExecutor(4) as pool:
        for _ in range(10):
            together = list(pool.map(lambda item: label_issues.label_issues(*item)[0], sets))
            assert all((one == two).all() for one, two in zip(alone, together, strict=True))

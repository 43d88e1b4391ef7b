"""Files of scikit-learn's models without code: what is trusted is named, and nothing hostile is run."""

from __future__ import annotations

import functools
import io
import json
import os
import pickle
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import FunctionTransformer

from pitstop.errors import SpecError, TrainerRefusedError, TrainingError
from pitstop.integrations.folder_target import FolderTarget
from pitstop.records.spec import ModelSpec, Task, TrainerSection, parse_spec
from pitstop.replays.publishing import Publication
from pitstop.retraining import safe_files, trainer
from pitstop.retraining.sandbox import Session
from pitstop.retraining.trainer import TRAINERS, Model, trainer_of
from pitstop.serving import Served
from pitstop.testing.trainer_laws import example

skops = pytest.importorskip("skops.io", reason="skops is not installed: pip install 'pitstop[skops]'")

ABOUT = {"format": 1, "task": "binary", "classes": ["0", "1"], "positive": "1"}


def safe(name: str = "linear", trusted: tuple[str, ...] = ()) -> TrainerSection:
    return TrainerSection(name=name, format="skops", trusted=trusted)


@contextmanager
def opened(section: TrainerSection) -> Iterator[Session]:
    chosen = trainer_of(section)
    with Session(chosen.argv(section, Path()), forks=chosen.forks) as session:
        yield session


@pytest.fixture(scope="module")
def boosting() -> tuple[str, ...]:
    """Return the types to trust for gradient boosting, as its refusal says to write them."""
    request, rows = example("binary")
    with opened(safe("gradient_boosting")) as session, pytest.raises(TrainingError) as raised:
        session.train(request, rows)
    named = str(raised.value).partition("write trusted = ")[2]
    return tuple(json.loads(named[: named.index("]") + 1]))


@pytest.mark.parametrize(
    ("name", "task"),
    [
        ("linear", "multiclass"),
        pytest.param("linear", "regression", marks=pytest.mark.slow),
        pytest.param("gradient_boosting", "binary", marks=pytest.mark.slow),
    ],
)
def test_it_says_what_the_pickle_says_and_is_the_same_bytes_again(
    name: str, task: Task, boosting: tuple[str, ...]
) -> None:
    section = safe(name, boosting if name == "gradient_boosting" else ())
    request, rows = example(task)
    with opened(replace(section, format="native", trusted=())) as session:
        there = session.predict(session.train(request, rows), request, rows)
    with opened(section) as session:
        model = session.train(request, rows)
        again = session.train(request, rows)
    with opened(section) as session:
        assert session.predict(model, request, rows).equals(there)
        if section.name == "linear" and task != "regression":
            session.train(request, rows, model)
    assert model.content == again.content
    with zipfile.ZipFile(io.BytesIO(model.content)) as archive:
        assert archive.namelist() == ["pitstop.json", "model.skops"]
        inner = archive.read("model.skops")
    # skops opens its part without Pitstop, and no pickle is in it.
    assert hasattr(skops.loads(inner, trusted=list(section.trusted)), "predict")
    with zipfile.ZipFile(io.BytesIO(inner)) as archive:
        assert {name.rpartition(".")[2] for name in archive.namelist()} <= {"npy", "bin", "json"}


def test_a_fit_that_holds_types_which_nobody_trusts_is_refused_and_names_them(boosting: tuple[str, ...]) -> None:
    # That what it says to write is enough is seen above; that all of it is needed, here.
    assert any(name.endswith("TreePredictor") for name in boosting)
    request, rows = example("binary")
    with opened(safe("gradient_boosting", boosting[1:])) as session, pytest.raises(TrainingError) as raised:
        session.train(request, rows)
    assert f"does not name: {boosting[0]}." in str(raised.value)


class Touching:
    """Writes a file when it is unpickled."""

    def __init__(self, place: Path) -> None:
        self.place = place

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.place),)


def hostile_estimators(place: Path) -> list[Any]:
    """Return estimators with calls in them: as a function, a partial one, and a method of one of their parts."""
    calls: list[Any] = [os.mkdir, functools.partial(os.mkdir, str(place)), Touching(place).__reduce__]
    return [FunctionTransformer(call) for call in calls]


@pytest.mark.parametrize("which", range(3))
def test_a_hostile_skops_file_is_refused_and_not_run(which: int, boosting: tuple[str, ...], tmp_path: Path) -> None:
    place = tmp_path / "made"
    content = skops.dumps(hostile_estimators(place)[which])
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as archive:
        archive.writestr("pitstop.json", json.dumps(ABOUT))
        archive.writestr("model.skops", content)
    with pytest.raises(TrainerRefusedError, match=r"is not opened: it holds types .* does not name"):
        safe_files.from_bytes(written.getvalue(), boosting)
    if which == 1:
        # In the trainer's own process it is the same.
        request, rows = example("binary")
        with opened(safe()) as session, pytest.raises(TrainingError, match="does not name"):
            session.predict(Model(written.getvalue()), request, rows)
    assert not place.exists()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"PK\x03\x04 cut off",
        pickle.dumps({"a": 1}),
        pickle.dumps(Touching(Path("/tmp/never-made"))),  # noqa: S108 - it must not be made
    ],
    ids=["empty", "broken", "pickle", "hostile pickle"],
)
def test_a_file_that_is_none_of_its_kind_is_refused_and_not_run(content: bytes) -> None:
    with pytest.raises(TrainerRefusedError, match=r"is no archive of pitstop\.json and model\.skops"):
        safe_files.from_bytes(content, ())
    if b"mkdir" in content:
        request, rows = example("binary")
        with opened(safe()) as session, pytest.raises(TrainingError, match="is no archive"):
            session.predict(Model(content), request, rows)
    assert not Path("/tmp/never-made").exists()  # noqa: S108 - as above


def test_a_hostile_pickle_would_have_been_run(tmp_path: Path) -> None:
    """The files above do harm where they are opened as what they are: else the tests would say nothing."""
    pickle.loads(pickle.dumps(Touching(tmp_path / "one")))  # noqa: S301 - to see that it does
    assert (tmp_path / "one").exists()
    hostile = skops.dumps(hostile_estimators(tmp_path / "two")[1])
    skops.loads(hostile, trusted=skops.get_untrusted_types(data=hostile)).func()
    assert (tmp_path / "two").exists()


def test_numbers_in_memory_do_not_reach_the_file() -> None:
    draw = np.random.default_rng(0)
    x = draw.normal(size=(60, 3))
    fitted = [LogisticRegression().fit(x, x[:, 0] > 0) for _ in range(2)]
    one, two = (safe_files.to_bytes(ABOUT, item, ()) for item in fitted)
    assert one == two
    about, estimator = safe_files.from_bytes(one, ())
    assert about == ABOUT
    assert (estimator.predict_proba(x) == fitted[0].predict_proba(x)).all()


def test_the_handle_serves_such_a_file(tmp_path: Path) -> None:
    text = '[model]\nname = "m"\ntask = "binary"\n[columns]\ntime = "t"\nlabel = "y"\n'
    text += 'features = ["number", "constant", "nothing", "group"]\ncategorical = ["group"]\n'
    text += '[trainer]\nname = "linear"\nformat = "skops"\n[serving]\nfolder = "serving"\n'
    spec: ModelSpec = parse_spec(text)
    request, rows = example("binary")
    with opened(spec.trainer) as session:
        model = session.train(request, rows)
        said = session.predict(model, request, rows)
    found = Publication("m", 1, "release-1", model.digest, "2024-01-01", model.content)
    FolderTarget().publish(found, spec.serving, tmp_path)
    with Served(spec, tmp_path) as served:
        assert served.predict(rows.drop_columns(["@label"])).equals(said)


def test_a_trainer_whose_files_hold_no_code_or_are_its_own_affair_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("lightgbm", reason="lightgbm is not installed: pip install 'pitstop[lightgbm]'")
    with pytest.raises(SpecError, match="never hold code"):
        TRAINERS.get("lightgbm").argv(safe("lightgbm"), Path())
    section = replace(safe(), command=("python3", "train.py"))
    with pytest.raises(SpecError, match="files of a command are its own affair"):
        trainer_of(section).argv(section, Path())
    monkeypatch.setattr(trainer, "find_spec", lambda name: None if name == "skops" else name)
    with pytest.raises(SpecError, match=r"pip install 'pitstop\[skops\]'"):
        TRAINERS.get("linear").argv(safe(), Path())

"""What a trainer is, what it is asked, and the challenger that comes out of it.

A trainer is a program, in any language, that speaks the protocol of `docs/how-to/own-trainer.md`; `sandbox.Session`
runs it. What is registered here only says how that program is started. Nothing in this module runs anything.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import distributions
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol, get_args, runtime_checkable

from pitstop.errors import SpecError
from pitstop.records.identity import artifact_id
from pitstop.records.spec import ModelSpec, Task, TrainerSection
from pitstop.registry import Registry
from pitstop.retraining.recipes import Recipe, parse_recipe
from pitstop.version import __version__

__all__ = [
    "TRAINERS",
    "BuiltinTrainer",
    "Challenger",
    "Model",
    "Recipe",
    "Start",
    "Trainer",
    "TrainingRequest",
    "WarmStarting",
    "parse_recipe",
    "trainer_of",
]

# The package's parent folder is passed, because the sandbox's environment holds no PYTHONPATH. It goes to the end
# of the search path: it must not shadow anything, least of all when it is the installation's own folder.
_START = (
    "import sys; sys.path.append(sys.argv.pop(1)); from pitstop.retraining.{program} import main; main(sys.argv[1:])"
)

# The word of a command that asks for the earlier model, and the file in the trainer's folder that it becomes. The file
# is there while a fit that starts from a model runs, and at no other time.
START_WORD = "{start}"
START_FILE = "start.model"


class Trainer(Protocol):
    """A program that trains and predicts."""

    @property
    def name(self) -> str:
        """The name in `[trainer] name`."""

    @property
    def version(self) -> str:
        """Part of a challenger's id: another version may make another model of the same rows."""

    @property
    def forks(self) -> bool:
        """Whether the program itself gives every training run a fresh process, so that it need not be started again."""

    def argv(self, section: TrainerSection, base: Path) -> tuple[str, ...]:
        """Return the command that starts the program; relative files are taken from `base`, the spec's folder."""


@runtime_checkable
class WarmStarting(Protocol):
    """A trainer that can say whether a fit may start from an earlier model; one that has no such method cannot."""

    def why_no_start(self, section: TrainerSection, task: Task) -> str:
        """Return why no fit of a task can start from an earlier model, "" where it can."""


@dataclass(frozen=True)
class BuiltinTrainer:
    """A trainer of the package: `python -m pitstop.retraining.PROGRAM NAME`.

    `module` is the library that fits, and `packages` are those that bring it; where it is not there in any case, it
    comes with the extra of the trainer's name. `no_start` says why a fit cannot start from an earlier model, by task.
    """

    name: str
    program: str = "estimators"
    module: str = "sklearn"
    packages: tuple[str, ...] = ("scikit-learn",)
    version: str = __version__
    forks: bool = True
    no_start: Mapping[Task, str] = field(default_factory=dict)

    def argv(self, section: TrainerSection, base: Path) -> tuple[str, ...]:
        """Return the interpreter that runs now, with the built-in program, and what its files may hold.

        Raises `SpecError` where the library is not installed, or the trainer has no such files.
        """
        del base
        if find_spec(self.module) is None:
            msg = (
                f"the trainer {self.name!r} needs {self.packages[0]}, which is not installed: "
                f"pip install 'pitstop[{self.name}]'"
            )
            raise SpecError(msg)
        words = ("--safe", *section.trusted) if self._safe(section) else ()
        package_parent = str(Path(__file__).resolve().parents[2])
        return (sys.executable, "-P", "-c", _START.format(program=self.program), package_parent, self.name, *words)

    def _safe(self, section: TrainerSection) -> bool:
        """Return whether files without code are asked for, of a trainer whose files would hold some."""
        if section.format == "native":
            return False
        if self.module != "sklearn":
            msg = f"[trainer] format is {section.format!r}, and files of {self.name} never hold code; leave it out"
            raise SpecError(msg)
        if find_spec("skops") is None:
            msg = "[trainer] format is \"skops\", which is not installed: pip install 'pitstop[skops]'"
            raise SpecError(msg)
        return True

    def why_no_start(self, section: TrainerSection, task: Task) -> str:
        """Return what is said of a task; the section does not change it."""
        del section
        return self.no_start.get(task, "")

    def library_version(self) -> str:
        """Return the version of the library, "" where there is none: a model is opened by the one that wrote it."""
        found = [distribution.version for name in self.packages for distribution in distributions(name=name)]
        return found[0] if found else ""


@dataclass(frozen=True)
class CommandTrainer:
    """The user's own program, from `[trainer] command`."""

    name: str = "command"
    version: str = "1"
    forks: bool = False

    def argv(self, section: TrainerSection, base: Path) -> tuple[str, ...]:
        """Return the command with the names of existing files made absolute. Raises `SpecError` where it is empty."""
        if not section.command:
            msg = (
                '[trainer] name is "command" but command is empty; write for instance command = ["python3", "train.py"]'
            )
            raise SpecError(msg)
        if section.format != "native":
            msg = f"[trainer] format is {section.format!r}, and the files of a command are its own affair; leave it out"
            raise SpecError(msg)
        # Not resolved: a virtual environment's interpreter is a link, and is one by the name that it was called by.
        folder = base.absolute()
        words = (START_FILE if part == START_WORD else part for part in section.command)
        # `os.path` says no to what is too long for a name, such as a program given with `-c`; `Path` raises.
        return tuple(str(folder / part) if os.path.isfile(folder / part) else part for part in words)  # noqa: PTH113

    def why_no_start(self, section: TrainerSection, task: Task) -> str:
        """Return what is missing where the command does not ask for the earlier model's path."""
        del task
        if START_WORD in section.command:
            return ""
        return f"a command that can is given the word {START_WORD}, for the path of the earlier model's file"


_BINS = "scikit-learn's histogram boosting bins each fit's rows anew, and its earlier trees mean other bins"
_CLOSED_FORM = "ridge regression is solved in one step, so there is nothing to start"

TRAINERS: Registry[Trainer] = Registry(
    "trainer",
    "pitstop.trainers",
    (
        BuiltinTrainer("gradient_boosting", no_start=dict.fromkeys(get_args(Task), _BINS)),
        BuiltinTrainer("linear", no_start={"regression": _CLOSED_FORM}),
        BuiltinTrainer("xgboost", "boosters", "xgboost", ("xgboost", "xgboost-cpu")),
        BuiltinTrainer("lightgbm", "boosters", "lightgbm", ("lightgbm",)),
        CommandTrainer(),
    ),
)


def trainer_of(section: TrainerSection) -> Trainer:
    """Return the trainer that a spec means: `command` wherever a command is given, else the one that is named."""
    return TRAINERS.get("command" if section.command else section.name)


@dataclass(frozen=True)
class TrainingRequest:
    """What is the same for every training and scoring run of a model."""

    task: Task
    features: tuple[str, ...]
    categorical: tuple[str, ...] = ()
    positive: str = "1"
    seed: int = 0
    label: str = "@label"
    weight: str = "@weight"

    @classmethod
    def of(cls, spec: ModelSpec) -> TrainingRequest:
        """Return the request of a specification."""
        columns = spec.columns
        return cls(spec.model.task, columns.features, columns.categorical, spec.decision.positive, spec.trainer.seed)


@dataclass(frozen=True)
class Model:
    """A trained model: the bytes of its one file. Pitstop never looks inside; only the trainer's own process does."""

    content: bytes = field(repr=False)
    rows: int = 0
    digest: str = field(init=False)

    def __post_init__(self) -> None:
        """Compute the digest (SHA-256, hex), so that it cannot be wrong."""
        object.__setattr__(self, "digest", hashlib.sha256(self.content).hexdigest())


@dataclass(frozen=True)
class Start:
    """What a warm fit starts from: the id of a challenger, the digest of its model, how many starts led to it.

    The digest is an observation, as all digests of model files are; what is part of an id is the challenger's.
    """

    challenger: str
    digest: str
    number: int


@dataclass(frozen=True)
class Challenger:
    """A model trained by a recipe at an instant.

    The id digests what was knowable before the fit: instant, recipe, digest of the training rows, trainer with its
    version, seed and command (without folders, which belong to the host). The digest of the model file is an
    observation and not in the id: bytes differ between machines.
    """

    id: str
    at: int
    recipe: Recipe
    rows: int
    rows_digest: str
    trainer: str
    trainer_version: str
    seed: int
    caused_by: tuple[str, ...] = ()
    model_digest: str | None = None
    start: Start | None = None

    @classmethod
    def of(
        cls,
        *,
        at: int,
        recipe: Recipe,
        rows: int,
        rows_digest: str,
        trainer: Trainer,
        section: TrainerSection,
        caused_by: Sequence[str] = (),
        model_digest: str | None = None,
        start: Start | None = None,
    ) -> Challenger:
        """Return the challenger of a recipe; `rows_digest` digests the content of the training rows."""
        content = {
            "at": at,
            "recipe": recipe.to_json(),
            "rows_digest": rows_digest,
            "trainer": [trainer.name, trainer.version, *(Path(part).name for part in section.command)],
            "seed": section.seed,
            **({"start": start.challenger} if start else {}),
        }
        identity = artifact_id("challenger", content)
        return cls(
            identity,
            at,
            recipe,
            rows,
            rows_digest,
            trainer.name,
            trainer.version,
            section.seed,
            tuple(caused_by),
            model_digest,
            start,
        )

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Challenger:
        """Return the challenger that `to_json` described."""
        recipe = content["recipe"]
        spans = tuple((int(first), int(end)) for first, end in recipe["exclude"])
        fields = {**content, "recipe": Recipe(recipe["name"], recipe["window"], spans)}
        fields.pop("paid_rows", None)
        if "start" in content:
            fields["start"] = Start(**content["start"])
        return cls(**{**fields, "caused_by": tuple(content["caused_by"])})

    def to_json(self) -> dict[str, Any]:
        """Return what an artifact records, without the observation of its own file.

        `paid_rows` is there where the fit took more than one pass over its rows, `start` where it started from a model.
        """
        passes = self.recipe.options.passes
        return {
            "id": self.id,
            "at": self.at,
            "recipe": self.recipe.to_json(),
            "rows": self.rows,
            "rows_digest": self.rows_digest,
            "trainer": self.trainer,
            "trainer_version": self.trainer_version,
            "seed": self.seed,
            "caused_by": list(self.caused_by),
            **({"paid_rows": self.rows * passes} if passes > 1 else {}),
            **({"start": asdict(self.start)} if self.start else {}),
        }

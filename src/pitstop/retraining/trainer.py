"""What a trainer is, what it is asked, and the challenger that comes out of it.

A trainer is a program, in any language, that speaks the protocol of `docs/how-to/own-trainer.md`; `sandbox.Session`
runs it. What is registered here only says how that program is started. Nothing in this module runs anything.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import distributions
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

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
    "Trainer",
    "TrainingRequest",
    "parse_recipe",
    "trainer_of",
]

# The package's parent folder is passed, because the sandbox's environment holds no PYTHONPATH. It goes to the end
# of the search path: it must not shadow anything, least of all when it is the installation's own folder.
_START = (
    "import sys; sys.path.append(sys.argv.pop(1)); from pitstop.retraining.{program} import main; main(sys.argv[1:])"
)


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


@dataclass(frozen=True)
class BuiltinTrainer:
    """A trainer of the package: `python -m pitstop.retraining.PROGRAM NAME`.

    `module` is the library that fits, and `packages` are those that bring it; where it is not there in any case, it
    comes with the extra of the trainer's name.
    """

    name: str
    program: str = "estimators"
    module: str = "sklearn"
    packages: tuple[str, ...] = ("scikit-learn",)
    version: str = __version__
    forks: bool = True

    def argv(self, section: TrainerSection, base: Path) -> tuple[str, ...]:
        """Return the interpreter that runs now, with the built-in program. Neither argument changes it.

        Raises `SpecError` where the library is not installed.
        """
        del section, base
        if find_spec(self.module) is None:
            msg = (
                f"the trainer {self.name!r} needs {self.packages[0]}, which is not installed: "
                f"pip install 'pitstop[{self.name}]'"
            )
            raise SpecError(msg)
        package_parent = str(Path(__file__).resolve().parents[2])
        return (sys.executable, "-P", "-c", _START.format(program=self.program), package_parent, self.name)

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
        # Not resolved: a virtual environment's interpreter is a link, and is one by the name that it was called by.
        folder = base.absolute()
        return tuple(str(folder / part) if (folder / part).is_file() else part for part in section.command)


TRAINERS: Registry[Trainer] = Registry(
    "trainer",
    "pitstop.trainers",
    (
        BuiltinTrainer("gradient_boosting"),
        BuiltinTrainer("linear"),
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
    ) -> Challenger:
        """Return the challenger of a recipe; `rows_digest` digests the content of the training rows."""
        content = {
            "at": at,
            "recipe": recipe.to_json(),
            "rows_digest": rows_digest,
            "trainer": [trainer.name, trainer.version, *(Path(part).name for part in section.command)],
            "seed": section.seed,
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
        )

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Challenger:
        """Return the challenger that `to_json` described."""
        recipe = content["recipe"]
        spans = tuple((int(first), int(end)) for first, end in recipe["exclude"])
        fields = {**content, "recipe": Recipe(recipe["name"], recipe["window"], spans)}
        return cls(**{**fields, "caused_by": tuple(content["caused_by"])})

    def to_json(self) -> dict[str, Any]:
        """Return what an artifact records, without the observation."""
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
        }

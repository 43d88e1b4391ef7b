"""Takes over what an MLflow registry says of a model into a specification: its columns, their kinds, and its alias."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from pitstop.errors import MissingColumnError, SpecError
from pitstop.integrations.mlflow_registry import aliased, signature_of
from pitstop.records.infer import Inference
from pitstop.records.roles import Guess


def imported(inference: Inference, table: Collection[str], *, address: str, name: str, alias: str) -> Inference:
    """Return an inference whose features are the inputs of the version that `alias` names, in its order.

    `table` are the names of all columns. The signature is what the model was trained with, so it is believed over what
    a table's values look like. The model is watched, and its alias followed, unless a trainer is named afterwards.
    Raises `SpecError` where the alias names nothing or an input has another role, `MissingColumnError` for an input
    that the table lacks, `ReleaseTargetError` where the registry does not answer.
    """
    version = aliased(address, name, alias)
    if version is None:
        msg = f"the alias {alias!r} of {name!r} names no version at {address}; set it, or say another --mlflow-alias"
        raise SpecError(msg)
    inputs = signature_of(address, version).inputs
    missing = [column for column, _ in inputs if column not in table]
    if missing:
        msg = (
            f"version {version.version} of {name!r} takes {missing[0]!r} ({len(missing)} such columns), which the "
            "table does not have; give the table of what the model was asked"
        )
        raise MissingColumnError(msg)
    spec = inference.spec
    wide = (*spec.columns.texts, *spec.columns.embeddings)
    features = tuple(column for column, _ in inputs if column not in wide)
    columns = replace(
        spec.columns,
        features=features,
        categorical=tuple(column for column, category in inputs if category and column not in wide),
        segments=tuple(item for item in spec.columns.segments if item in features),
    )
    serving = replace(spec.serving, mlflow=address, mlflow_alias=alias, mlflow_follow=True)
    watched = replace(spec.trainer, name="none")
    made = replace(spec, model=replace(spec.model, name=name), columns=columns, serving=serving, trainer=watched)
    why = f"version {version.version} in MLflow, which the alias {alias!r} names"
    left = sorted(set(spec.columns.inputs) - {column for column, _ in inputs})
    guesses = [item for item in inference.guesses if item.what not in {"trainer", "segments"}]
    guesses += [
        Guess("features", f"{len(features)} columns", f"the signature of {why}"),
        Guess("trainer", "none", "the model is trained and released in MLflow, and watched here"),
    ]
    warnings = [f"{', '.join(left[:10])}: in the table, and no input of the model"] if left else []
    return replace(inference, spec=made, guesses=tuple(guesses), warnings=(*inference.warnings, *warnings))

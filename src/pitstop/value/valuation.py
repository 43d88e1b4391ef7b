"""Value models in force: what outcomes are worth, and what upkeep costs, from which window on.

Changing one never rewrites history. A prediction is valued by the model in force in its own window, before and after
its label comes; each posting names that model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from pitstop.errors import SpecError
from pitstop.records.identity import artifact_id
from pitstop.records.spec import CostsSection, ModelSpec, Outcome, ValueSection

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Valuation:
    """Value model `number` (1, 2, ...) of a model: in force for predictions of window `since` and later."""

    number: int
    since: int
    value: ValueSection
    costs: CostsSection

    @property
    def id(self) -> str:
        """Digest of everything."""
        return artifact_id("value-model", self.to_json())

    def to_json(self) -> dict[str, Any]:
        """Return the value model as plain JSON types."""
        return asdict(self)

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Self:
        """Return the value model that `to_json` described."""
        return cls(content["number"], content["since"], **worth_of(content))


def worth_of(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return the sections `value` and `costs` of a specification's (or a value model's) plain content."""
    worth: dict[str, Any] = {
        name: Outcome(**item) if isinstance(item, dict) else item for name, item in content["value"].items()
    }
    return {"value": ValueSection(**worth), "costs": CostsSection(**content["costs"])}


@dataclass(frozen=True)
class Valuations:
    """The value models of one model, oldest first; the first is in force from the beginning."""

    spec: ModelSpec
    versions: tuple[Valuation, ...]

    @classmethod
    def first(cls, spec: ModelSpec) -> Self:
        """Return the value model of a specification, as the first."""
        return cls(spec, (Valuation(1, 0, spec.value, spec.costs),))

    @property
    def now(self) -> Valuation:
        """The newest."""
        return self.versions[-1]

    def changed(self, spec: ModelSpec, window: int) -> Valuations:
        """Return the value models with that of `spec` in force from `window` on; the same ones if it says the same.

        Raises `SpecError` where the currency changes, or where amounts are not the columns that were logged so far.
        """
        now = self.now
        if (spec.value, spec.costs) == (now.value, now.costs):
            return replace(self, spec=spec)
        if spec.value.currency != now.value.currency:
            msg = (
                f"[value] currency was {now.value.currency!r} and is now {spec.value.currency!r}; books are kept in "
                "one currency: keep it, and look at them in another with `pitstop value --currency`"
            )
            raise SpecError(msg)
        logged, wanted = {*self.spec.numeric, *self.spec.amounts}, {*spec.numeric, *spec.amounts}
        stray = sorted(logged ^ wanted)
        if stray:
            msg = (
                f"[value] multiplies other columns than before ({stray[0]!r}), and earlier rows were logged without; "
                "use numeric features, or the amounts that were there from the beginning"
            )
            raise SpecError(msg)
        return Valuations(spec, (*self.versions, Valuation(now.number + 1, window, spec.value, spec.costs)))

    def at(self, window: int) -> Valuation:
        """Return the value model in force in a window."""
        return next((item for item in reversed(self.versions) if item.since <= window), self.versions[0])

    def spec_at(self, window: int) -> ModelSpec:
        """Return the specification with the value model in force in a window."""
        return self._as_of(self.at(window))

    def parts(self, windows: Ints) -> Sequence[tuple[ModelSpec, NDArray[np.bool_]]]:
        """Return (specification, which rows) of rows predicted in `windows`, for each value model that they need."""
        starts = np.array([item.since for item in self.versions], dtype=np.int64)
        which = np.maximum(np.searchsorted(starts, windows, side="right") - 1, 0)
        return [(self._as_of(self.versions[number]), which == number) for number in np.unique(which)]

    def _as_of(self, version: Valuation) -> ModelSpec:
        return replace(self.spec, value=version.value, costs=version.costs)

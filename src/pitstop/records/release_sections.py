"""The sections of a specification that say how a model is released: where to, by whose leave, how far by itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pitstop.errors import SpecError


@dataclass(frozen=True)
class ServingSection:
    """`[serving]`: where `pitstop run` publishes the champion. A replay publishes nothing.

    `folder` gets the model's file and a `champion.json`; `command` is an argv list that reads these facts from its
    standard input; `webhook` is a URL that they are posted to, signed with the secret in the environment variable
    `webhook_secret`; `mlflow` is the address of a tracking server whose registered model gets a version and
    `mlflow_alias` (`mlflow_follow` takes releases made there over); `kserve` is a file for an InferenceService, whose
    model lies under `kserve_storage`; `targets` names installed ones. Paths are relative to this file. No part of the
    specification's id: where a model serves changes nothing of what is found out.
    """

    folder: str = ""
    command: tuple[str, ...] = ()
    webhook: str = ""
    webhook_secret: str = "PITSTOP_WEBHOOK_SECRET"  # noqa: S105 - the name of a variable
    mlflow: str = ""
    mlflow_alias: str = "champion"
    mlflow_follow: bool = False
    kserve: str = ""
    kserve_storage: str = ""
    kserve_format: str = "pitstop"
    kserve_canary: int = 100
    targets: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse addresses that are none, and a share that is none."""
        for name in ("webhook", "mlflow"):
            address = getattr(self, name)
            if address and not address.startswith(("http://", "https://")):
                msg = f"[serving] {name} is {address!r}; expected an address that begins with http:// or https://"
                raise SpecError(msg)
        if self.kserve and not self.kserve_storage:
            msg = (
                "[serving] kserve names a file and kserve_storage no place that a cluster finds the models in; name it"
            )
            raise SpecError(msg)
        if not 1 <= self.kserve_canary <= 100:
            msg = f"[serving] kserve_canary is {self.kserve_canary}; expected a percentage of the traffic from 1 to 100"
            raise SpecError(msg)


@dataclass(frozen=True)
class RulesSection:
    """`[rules]`: which policy packs bind this model, and who may say what about it.

    `packs` are built-in names or paths of `.toml` files beside this one. An open item that gates holds up every release
    that would replace a model. `authors` made the model and approve nothing of it; `approvers` may approve a release;
    `risk_officers` may override an open item with a reason. Empty: no pack binds. No part of the specification's id, so
    that rules can change while a model lives: each change is an entry in the journal.
    """

    packs: tuple[str, ...] = ()
    authors: tuple[str, ...] = ()
    approvers: tuple[str, ...] = ()
    risk_officers: tuple[str, ...] = ()


@dataclass(frozen=True)
class LimitsSection:
    """`[limits]`: what may happen by itself, and what needs a person. No part of the specification's id, as `[rules]`.

    A release is inside the agreed envelope of change where `automatic` is true, its recipe is among `recipes` (empty:
    any), it decides at most a share `most_changed` of the last period's labelled rows otherwise than the champion (a
    regression: predicts further apart than the mean absolute error), and it has at least a share `least_rows` of the
    champion's training rows. `segments` says what is asked of each segment and protected group with rows enough:
    that it is not proven worse (`not_worse`), that it is proven no worse (`proven`), or nothing (`recorded`); worse is
    by more than a share `segment_margin` of what a row has lost lately.
    Outside, it waits until somebody who holds the role `approval` approves it. For
    `cool_down` periods after a release the policy releases nothing. `budget_per_month`, in currency, bounds what
    releases and fits cost in any month (30 days; 30 windows of rows); -1 is no bound.
    """

    automatic: bool = True
    recipes: tuple[str, ...] = ()
    most_changed: float = 1.0
    least_rows: float = 0.0
    segments: Literal["recorded", "not_worse", "proven"] = "not_worse"
    segment_margin: float = 0.1
    approval: Literal["approver", "risk_officer"] = "approver"
    cool_down: int = 0
    budget_per_month: float = -1.0

    def __post_init__(self) -> None:
        """Refuse what is no share and no number of periods."""
        if not (0.0 <= self.most_changed <= 1.0 and self.least_rows >= 0.0 and self.cool_down >= 0):
            msg = (
                f"[limits] has most_changed {self.most_changed}, least_rows {self.least_rows} and cool_down "
                f"{self.cool_down}; expected a share from 0 to 1, a share and a number of periods from 0"
            )
            raise SpecError(msg)
        if not 0.0 <= self.segment_margin <= 1.0:
            msg = f"[limits] segment_margin is {self.segment_margin}; expected a share of the mean loss from 0 to 1"
            raise SpecError(msg)

    @property
    def envelope(self) -> tuple[bool, tuple[str, ...], float, float, str]:
        """What a release is held against before it is made."""
        return self.automatic, self.recipes, self.most_changed, self.least_rows, self.segments


@dataclass(frozen=True)
class CanarySection:
    """`[canary]`: how a challenger that is proven and admitted begins to serve. With a `share` of 0 it serves all rows.

    Else it first serves this share of the rows (at most 0.5), chosen by a digest of their ids. It becomes the champion
    after `windows` windows with labels of at least `least_rows` rows that it served; it is stopped as soon as it is
    proven to lose more on them than the champion would have, by more than a share `margin` of what a row has lost
    lately, or gives no answer that can be used.
    """

    share: float = 0.0
    windows: int = 7
    least_rows: int = 100
    margin: float = 0.1

    def __post_init__(self) -> None:
        """Refuse what is no share and no length."""
        if not (0.0 <= self.share <= 0.5 and 0.0 <= self.margin <= 1.0 and self.windows >= 1 and self.least_rows >= 1):
            msg = (
                f"[canary] has share {self.share}, windows {self.windows}, least_rows {self.least_rows} and margin "
                f"{self.margin}; expected a share of rows from 0 to 0.5, whole numbers from 1, and a share from 0 to 1"
            )
            raise SpecError(msg)

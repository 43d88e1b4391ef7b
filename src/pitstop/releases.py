"""Which model served when: an append-only timeline of releases, and the way back to the last good one.

Releases of one model go shadow -> canary -> champion -> retired or rolled back. Every change appends an entry;
nothing that was recorded changes, so what served at a past instant is answered the same for ever.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from pitstop.errors import ReleaseError
from pitstop.records.identity import artifact_id

Stage = Literal["shadow", "canary", "champion", "retired", "rolled_back"]


@dataclass(frozen=True)
class Release:
    """From the instant `at` (included), version `version` is in `stage`. `model` is the id of its challenger.

    `trained_on_rows` is the number of its training rows, `caused_by` the ids of what led here, `reason` one plain
    sentence. `share` is the share of the rows that a canary serves, None in any other stage.
    """

    id: str
    at: int
    version: int
    model: str
    trained_on_rows: int
    stage: Stage
    caused_by: tuple[str, ...]
    reason: str
    share: float | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the release as plain JSON types; `share` only where there is one."""
        return {
            "id": self.id,
            "at": self.at,
            "version": self.version,
            "model": self.model,
            "trained_on_rows": self.trained_on_rows,
            "stage": self.stage,
            "caused_by": list(self.caused_by),
            "reason": self.reason,
            **({} if self.share is None else {"share": self.share}),
        }

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> Release:
        """Return the release that `to_json` wrote."""
        return cls(**{**content, "caused_by": tuple(content["caused_by"])})


@dataclass(frozen=True)
class ReleaseTimeline:
    """All releases of one model, in the order in which they were recorded; instants never go back."""

    releases: tuple[Release, ...] = ()

    def __post_init__(self) -> None:
        """Refuse a history that goes back in time."""
        for before, after in zip(self.releases, self.releases[1:], strict=False):
            if after.at < before.at:
                msg = (
                    f"{after.id} is at {after.at}, before {before.id} at {before.at}; a timeline only grows at its end"
                )
                raise ReleaseError(msg)

    def champion_at(self, instant: int) -> Release | None:
        """Return the champion entry that serves rows predicted at `instant`; None before the first."""
        served = [release for release in self.releases if release.stage == "champion" and release.at <= instant]
        return served[-1] if served else None

    @property
    def champion(self) -> Release | None:
        """The champion after all that is recorded."""
        served = [release for release in self.releases if release.stage == "champion"]
        return served[-1] if served else None

    @property
    def versions(self) -> dict[int, Release]:
        """The newest entry of each version."""
        return {release.version: release for release in self.releases}

    @property
    def rollback_target(self) -> Release | None:
        """The version that was champion last before this one and was never rolled back; None where there is none."""
        champion = self.champion
        bad = {release.version for release in self.releases if release.stage == "rolled_back"}
        for release in reversed(self.releases):
            if (
                release.stage == "champion"
                and champion
                and release.version != champion.version
                and release.version not in bad
            ):
                return release
        return None

    def shadow(
        self, at: int, model: str, trained_on_rows: int, caused_by: Sequence[str] = (), reason: str = ""
    ) -> ReleaseTimeline:
        """Return the timeline with a new version that scores beside the champion and serves nothing."""
        draft = Release("", at, self._next_version, model, trained_on_rows, "shadow", (), "")
        return _moved(self, draft, at, "shadow", caused_by=caused_by, reason=reason)

    @property
    def canary(self) -> Release | None:
        """The version that serves a share of the rows now; None where the champion serves them all."""
        found = [release for release in self.versions.values() if release.stage == "canary"]
        return found[-1] if found else None

    @property
    def canaries(self) -> tuple[tuple[Release, int | None], ...]:
        """Every canary with the instant up to which it served its share (excluded); None for one that still does."""
        found = []
        for place, release in enumerate(self.releases):
            if release.stage == "canary":
                later = (item.at for item in self.releases[place + 1 :] if item.version == release.version)
                found.append((release, next(later, None)))
        return tuple(found)

    def to_canary(
        self, at: int, version: int, share: float, caused_by: Sequence[str] = (), reason: str = ""
    ) -> ReleaseTimeline:
        """Return the timeline with a shadow serving a share of the rows.

        Raises `ReleaseError` for any other version, and where another canary serves.
        """
        known, other = self._waiting(version), self.canary
        if other is not None:
            msg = f"version {other.version} is in canary; release or retire it before another one serves a share"
            raise ReleaseError(msg)
        if not 0.0 < share < 1.0:
            msg = f"got a share of {share}; expected one between 0 and 1"
            raise ReleaseError(msg)
        return _moved(self, known, at, "canary", caused_by=caused_by, reason=reason, share=share)

    def retire(self, at: int, version: int, caused_by: Sequence[str] = (), reason: str = "") -> ReleaseTimeline:
        """Return the timeline with a shadow or canary given up. Raises `ReleaseError` for any other version."""
        known = self._waiting(version)
        return _moved(self, known, at, "retired", caused_by=caused_by, reason=reason)

    def promote(
        self, at: int, model: str, trained_on_rows: int, caused_by: Sequence[str] = (), reason: str = ""
    ) -> ReleaseTimeline:
        """Return the timeline with `model` as the champion from `at` on; the champion before it is retired.

        A shadow or canary of this model keeps its version number, otherwise it gets the next one. Raises
        `ReleaseError` where the model is champion already, or where time would go back.
        """
        champion = self.champion
        if champion and champion.model == model:
            msg = f"{model} is the champion already (version {champion.version}); promote another model"
            raise ReleaseError(msg)
        waiting = [
            known.version
            for known in self.versions.values()
            if known.model == model and known.stage in ("shadow", "canary")
        ]
        version = waiting[-1] if waiting else self._next_version
        timeline = self
        if champion:
            why = f"version {version} was promoted"
            timeline = _moved(self, champion, at, "retired", caused_by=caused_by, reason=why)
        draft = Release("", at, version, model, trained_on_rows, "champion", (), "")
        return _moved(timeline, draft, at, "champion", caused_by=caused_by, reason=reason)

    def roll_back(self, at: int, caused_by: Sequence[str] = (), reason: str = "") -> ReleaseTimeline:
        """Return the timeline with the champion rolled back and the last good version as champion again from `at` on.

        Raises `ReleaseError` where there is no good version to go to (see `rollback_target`).
        """
        champion, target = self.champion, self.rollback_target
        if champion is None or target is None:
            what = (
                "there is no champion" if champion is None else f"no earlier version than {champion.version} was good"
            )
            msg = f"cannot roll back: {what}; train and promote another model"
            raise ReleaseError(msg)
        timeline = _moved(self, champion, at, "rolled_back", caused_by=caused_by, reason=reason)
        causes = [*caused_by, target.id]
        return _moved(timeline, target, at, "champion", caused_by=causes, reason=reason)

    @property
    def _next_version(self) -> int:
        return max((release.version for release in self.releases), default=0) + 1

    def _waiting(self, version: int) -> Release:
        known = self.versions.get(version)
        if known is None or known.stage not in ("shadow", "canary"):
            got = "unknown" if known is None else known.stage
            msg = f"version {version} is {got}; expected a version in shadow or canary"
            raise ReleaseError(msg)
        return known


def _moved(
    timeline: ReleaseTimeline,
    known: Release,
    at: int,
    stage: Stage,
    *,
    caused_by: Sequence[str],
    reason: str,
    share: float | None = None,
) -> ReleaseTimeline:
    """Return the timeline with the version of `known` in another stage."""
    release = replace(known, id="", at=at, stage=stage, caused_by=tuple(caused_by), reason=reason, share=share)
    after = timeline.releases[-1].id if timeline.releases else None
    identity = artifact_id("release", {**release.to_json(), "after": after})
    return ReleaseTimeline((*timeline.releases, replace(release, id=identity)))

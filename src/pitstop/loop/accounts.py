"""What a home's books say of one model: read from what was kept, without running anything."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from statistics import median
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pitstop.errors import StoreError, UnknownNameError
from pitstop.incidents import QUIET_WINDOWS
from pitstop.loop.keeping import transaction_of
from pitstop.records.calendar import DAY
from pitstop.records.spec import ModelSpec, spec_of
from pitstop.releases import Release
from pitstop.store.home import ArtifactRecord, Home
from pitstop.value.cohorts import Cohort, Foretold, cohorts, foretold
from pitstop.value.exposure import DAYS_TO_FIX, Exposure, exposure, worth_by_window
from pitstop.value.ledger import COSTS, ZERO, Account, Balance, Ledger
from pitstop.value.returns import Gain, Return, gain_of, return_of, staleness
from pitstop.value.threshold import Advice, advise

# Labelled rows that threshold advice looks at: the newest windows in which labels came.
ADVICE_WINDOWS = 180


@dataclass(frozen=True)
class Accounts:
    """A model's books at the instant `as_of`.

    `upkeep` is what all releases together earned over never having replaced the first model; `stale` what the model
    that served earned less than the freshest candidate in each closed period; `advice` is None for other tasks than
    binary, and where no row with a score is labelled.
    """

    model: str
    spec: ModelSpec
    as_of: int
    ledger: Ledger
    periods: tuple[Balance, ...]
    accounts: Mapping[Account, Decimal]
    deviation: Decimal
    releases: tuple[tuple[Release, Return], ...]
    upkeep: Gain
    stale: tuple[Decimal, ...]
    exposed: tuple[Exposure, ...]
    cohorts: tuple[Cohort, ...]
    foretold: Foretold
    advice: Advice | None
    valuations: tuple[Mapping[str, Any], ...]

    @property
    def paid(self) -> Decimal:
        """Everything that was paid."""
        return -sum((self.accounts[cost] for cost in COSTS), ZERO)

    @property
    def upkeep_cost(self) -> Decimal:
        """What was paid for fits and releases."""
        return -(self.accounts["release"] + self.accounts["fit"])

    @property
    def net(self) -> Decimal:
        """Value known and estimated, minus everything that was paid."""
        return self.accounts["realised"] + self.accounts["estimated"] - self.paid

    @property
    def ratio(self) -> float | None:
        """Return on upkeep: (gain over never retraining - fits and releases) / fits and releases; None without cost."""
        return float((self.upkeep.total - self.upkeep_cost) / self.upkeep_cost) if self.upkeep_cost else None


def accounts_of(home: Home, model: str, as_of: int | None = None, *, days_to_fix: float | None = None) -> Accounts:
    """Return the books of a model, with what was booked strictly before `as_of` (default: everything).

    `days_to_fix` is how long an open incident is expected to stay (default: the median of closed ones, else 14).
    Raises `UnknownNameError` for a model that the home does not know, and `StoreError` before its first model.
    """
    if model not in home.models():
        msg = f"no model is called {model!r} in {home.path}; known: {', '.join(home.models()) or 'none yet'}"
        raise UnknownNameError(msg)
    kept: dict[str, list[ArtifactRecord]] = {}
    for record in home.artifacts(None, model, as_of):
        kept.setdefault(record.kind, []).append(record)
    if "spec" not in kept:
        msg = f"{model!r} has no first model yet, so nothing is booked; run `pitstop run` until its start"
        raise StoreError(msg)
    spec = spec_of(kept["spec"][-1].content)
    calendar = spec.calendar
    segments = home.segments("predictions", model)
    last = calendar.window_start(max((item.window for item in segments if item.rows), default=0) + 1)
    now = min(last, as_of) if as_of is not None else last
    ledger = Ledger(spec.value.currency).posted(*(transaction_of(item.content) for item in kept.get("transaction", [])))
    appraisals = [item.content for item in kept.get("appraisal", [])]
    return Accounts(
        model=model,
        spec=spec,
        as_of=now,
        ledger=ledger,
        periods=ledger.balances(calendar),
        accounts=ledger.accounts(),
        deviation=ledger.deviation(),
        releases=_releases(spec, kept, ledger, now),
        upkeep=gain_of(block for item in appraisals for block in item["over_first"]),
        stale=staleness(appraisals),
        exposed=_exposed(spec, kept, ledger, now, days_to_fix),
        cohorts=cohorts(ledger.transactions, calendar, now),
        foretold=foretold(ledger.transactions, now),
        advice=_advice(home, model, spec, now),
        valuations=tuple(item.content for item in kept.get("value-model", [])),
    )


def _releases(
    spec: ModelSpec, kept: Mapping[str, list[ArtifactRecord]], ledger: Ledger, now: int
) -> tuple[tuple[Release, Return], ...]:
    """Return what each release but the first earned over the model that it replaced, and what it cost."""
    calendar = spec.calendar
    timeline = [Release.from_json(dict(item.content)) for item in kept.get("release", [])]
    champions = [item for item in timeline if item.stage == "champion"]
    appraisals = [item.content for item in kept.get("appraisal", [])]
    paid: dict[str, Decimal] = {}
    waiting: dict[int, int] = {}
    for line in ledger.postings:
        if line.account in ("release", "fit"):
            paid[line.caused_by[0]] = paid.get(line.caused_by[0], ZERO) - line.amount
        elif line.account == "estimated":
            waiting[line.window] = waiting.get(line.window, 0) + line.rows
    found = []
    for place, release in enumerate(champions[1:], start=1):
        end = champions[place + 1].at if place + 1 < len(champions) else now
        first, stop = calendar.window_at(release.at), calendar.window_at(end)
        # The fit belongs to the version's first release; going back to a version is free.
        fresh = all(earlier.model != release.model for earlier in champions[:place])
        cost = paid.get(release.id, ZERO) + (paid.get(release.model, ZERO) if fresh else ZERO)
        rows = sum(count for window, count in waiting.items() if first <= window < stop)
        served = (release.at, end)
        earned = return_of(release.id, appraisals, cost=cost, waiting=rows, served=served, calendar=calendar)
        found.append((release, earned))
    return tuple(found)


def _exposed(
    spec: ModelSpec, kept: Mapping[str, list[ArtifactRecord]], ledger: Ledger, now: int, days: float | None
) -> tuple[Exposure, ...]:
    """Return the value exposed by each incident that stands open and costs something."""
    calendar = spec.calendar
    window = calendar.window_at(now)
    newest: dict[str, Mapping[str, Any]] = {}
    for record in (*kept.get("incident", []), *kept.get("incident-growth", [])):
        newest[record.content["id"]] = record.content
    open_now = {name: item for name, item in newest.items() if window - item["last"] <= QUIET_WINDOWS}
    length = 1.0 if calendar.by_rows else (calendar.window_start(1) - calendar.window_start(0)) / DAY
    lasted = [(item["last"] - item["opened"] + 1) * length for name, item in newest.items() if name not in open_now]
    expected = days if days is not None else median(lasted) if lasted else DAYS_TO_FIX
    worth = worth_by_window(ledger.transactions)
    found = [
        exposure(name, item["since"], worth, days=expected, windows_a_day=1 / length) for name, item in open_now.items()
    ]
    return tuple(item for item in found if item is not None and item.a_day > 0)


def _advice(home: Home, model: str, spec: ModelSpec, now: int) -> Advice | None:
    """Return threshold advice from the rows whose labels came in the newest windows."""
    if spec.model.task != "binary":
        return None
    calendar = spec.calendar
    end = calendar.window_at(now)
    labels = home.read_segments("labels", model, end - ADVICE_WINDOWS, end, ["@id", "@label"])
    if not labels.num_rows:
        return None
    # Of several labels of one row the newest holds.
    ids = labels["@id"].to_numpy(zero_copy_only=False)[::-1]
    _, newest = np.unique(ids.astype(str), return_index=True)
    labels = labels.take(pa.array(len(ids) - 1 - newest))
    columns = ["@id", "@at", "@score", "@prediction", *spec.amounts]
    rows = home.read_segments("predictions", model, None, end, columns)
    rows = rows.filter(pc.and_(rows["@score"].is_valid(), rows["@prediction"].is_valid()))
    rows = rows.filter(pc.is_in(rows["@id"], value_set=labels["@id"].combine_chunks()))
    if not rows.num_rows:
        return None
    place = pc.index_in(rows["@id"], value_set=labels["@id"].combine_chunks())
    known = labels["@label"].take(place.combine_chunks())
    amounts = {name: np.asarray(rows[name].to_numpy(), dtype=np.float64) for name in spec.amounts}
    windows = calendar.window_of(np.asarray(rows["@at"].to_numpy(), dtype=np.int64))
    return advise(spec, rows["@score"].to_numpy(), known, amounts, windows)

"""Labels as an answer: where whether a stop pays hangs on chance, more labels may be worth more than they cost.

The gain of a stop is known with an error. With m labels more beside the n it rests on, the part √(m/(n+m)) of that
error would be resolved before the next decision, and that is worth what a better decision earns on average: the
expected value of sample information, s·(φ(z) - z·(1 - Φ(z))) for a normal gain, s the resolved error and z the distance
of gain and price in units of s (Raiffa and Schlaifer, "Applied Statistical Decision Theory", 1961).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from pitstop.records.identity import artifact_id
from pitstop.strategy.base import Decision, in_words

# Both ends of an interval of 90% of a normal distribution, in standard errors.
_WIDTH = 1.645
# Without any comparison nothing says how many are enough; as many as `pitstop label-plan` takes by itself.
FIRST_LABELS = 200
# Fewer are not worth anybody's while; sizes are tried from here on, each half as large again.
_LEAST = 20
_STEP = 1.5
# Of sizes that are worth nearly the same the smallest is asked for.
_NEARLY = 0.95


@dataclass(frozen=True)
class Labels:
    """What is known of labels: `seen` that the gain rests on, `overdue` rows whose label ought to be there and is not.

    `price` is that of one label in currency; `periods` is the number of periods since the served model's release.
    """

    seen: int
    overdue: int
    price: float
    periods: int


@dataclass(frozen=True)
class Wanted:
    """How many labels to ask for, what they are worth to the decision and what they cost, in currency."""

    count: int
    worth: float
    cost: float


def value_of_labels(gain: float, error: float, price: float, seen: int, more: int) -> float:
    """Return what `more` labels are worth to the decision, in currency, at least 0.

    `gain` of a stop with standard error `error`, which rests on `seen` labels; `price` of the stop.
    """
    resolved = error * math.sqrt(more / (seen + more)) if more else 0.0
    if resolved <= 0.0:
        return 0.0
    z = abs(gain - price) / resolved
    density = math.exp(-z * z / 2) / math.sqrt(2 * math.pi)
    return max(0.0, resolved * (density - z * 0.5 * math.erfc(z / math.sqrt(2))))


def wanted(decision: Decision, labels: Labels) -> Wanted | None:
    """Return the labels to ask for, None where the decision stands without, or where they would not pay.

    A decision to retrain stands: what is released is proven on labels in any case. Labels that are only late come by
    themselves, so only overdue ones are asked for.
    """
    if decision.action != "keep" or labels.overdue < _LEAST:
        return None
    if not labels.seen:
        count = min(FIRST_LABELS, labels.overdue)
        return Wanted(count, 0.0, count * labels.price) if labels.periods >= 2 else None
    if decision.interval is None or not decision.interval[0] < decision.cost < decision.interval[1]:
        return None
    error = (decision.interval[1] - decision.interval[0]) / 2 / _WIDTH
    sizes = [_LEAST]
    while sizes[-1] < labels.overdue:
        sizes.append(min(labels.overdue, math.ceil(sizes[-1] * _STEP)))
    found = [
        Wanted(
            count,
            value_of_labels(decision.expected_gain, error, decision.cost, labels.seen, count),
            count * labels.price,
        )
        for count in sizes
    ]
    most = max(item.worth - item.cost for item in found)
    return next((item for item in found if item.worth - item.cost >= _NEARLY * most), None) if most > 0.0 else None


def asking(decision: Decision, labels: Labels) -> Decision:
    """Return the decision as it is, or to ask for labels where they are too few to decide and would pay."""
    ask = wanted(decision, labels)
    if ask is None:
        return decision
    if not labels.seen:
        why = f"in {labels.periods} periods no label has come by which the model could be judged"
    else:
        assert decision.interval is not None  # noqa: S101 - wanted() has looked; for the type checker
        low, high = decision.interval
        why = (
            f"with the {labels.seen:,} labels known a stop gains {in_words(low)} to {in_words(high)} (90%) and costs "
            f"{in_words(decision.cost)}, so they do not decide; {ask.count:,} more would make the decision better by "
            f"about {in_words(ask.worth)} and cost {in_words(ask.cost)}"
        )
    reason = (
        f"Ask for labels: {why}. {labels.overdue:,} rows have none though it is time; `pitstop label-plan --n "
        f"{ask.count}` chooses which. Until then the model is kept. {decision.reason}"
    )
    name = artifact_id("decision", {"asked": decision.id, "labels": ask.count})
    return replace(decision, id=name, action="ask_for_labels", reason=reason)

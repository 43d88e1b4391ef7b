"""Numbers as people read them. An unknown number is an en dash, never `nan` and never an empty cell."""

from __future__ import annotations

from collections.abc import Iterable

from pitstop.report.story import Number, known

MISSING = "–"  # noqa: RUF001 (an en dash is the mark for a missing number, by intent)

_POLICY_NAMES = {"never": "never", "pitstop": "pitstop", "oracle": "optimum", "champion": "model"}
_POLICY_PHRASES = {
    "never": "never retrain",
    "pitstop": "Pitstop",
    "oracle": "hindsight optimum",
    "champion": "the model",
}
_EXACT_BELOW = 1e15  # from there on a float no longer holds every unit, and digits would pretend that it does


def money(value: Number | None) -> str:
    """Return a sum without its currency: whole units from 100 on, else two decimals where there are any."""
    amount = known(value)
    if amount is None:
        return MISSING
    if abs(amount) >= _EXACT_BELOW:
        return f"{amount:.3g}"
    if abs(amount) >= 100 or amount == int(amount):
        return f"{round(amount):,}"
    return f"{amount:,.2f}"


def metric(value: Number | None) -> str:
    """Return a performance: three decimals up to 2 (AUC, accuracy, log loss), then four significant digits."""
    number = known(value)
    if number is None:
        return MISSING
    if abs(number) <= 2:
        return f"{number:.3f}"
    if abs(number) >= 10_000:
        return compact(number)
    return f"{number:.{max(0, 3 - len(str(int(abs(number)))) + 1)}f}"


def percent(share: Number | None) -> str:
    """Return a share (0..1) in percent: one decimal below 10 %, else none."""
    value = known(share)
    if value is None:
        return MISSING
    return f"{value:.1%}" if abs(value) < 0.0995 else f"{value:.0%}"


def count(value: int) -> str:
    """Return a whole number with thousands separated."""
    return f"{value:,}" if abs(value) < _EXACT_BELOW else f"{value:.3g}"


def size(value: Number | None) -> str:
    """Return a number of any unit and size in three significant digits."""
    number = known(value)
    if number is None:
        return MISSING
    return compact(number) if abs(number) >= 10_000 else f"{number:.3g}"


def compact(value: float) -> str:
    """Return a number in at most about six characters: `1.25k`, `-3M`, `4.1e+18`."""
    value = float(f"{value:.3g}")  # first rounded, so that 999,999 becomes 1M and not 1,000k
    for limit, unit in ((1e15, ""), (1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= limit:
            return f"{value / (limit if unit else 1):.3g}{unit}"
    return f"{value:.3g}"


def policy_name(policy: str, period_unit: str) -> str:
    """Return the short name of a policy for a column head. The key `monthly` means every period, whatever that is."""
    if policy == "monthly":
        return "monthly" if period_unit == "month" else f"each {period_unit}"
    return _POLICY_NAMES.get(policy, policy)


def policy_phrase(policy: str, period_unit: str) -> str:
    """Return the name of a policy for a sentence."""
    return f"retrain every {period_unit}" if policy == "monthly" else _POLICY_PHRASES.get(policy, policy)


def plural(number: int, noun: str) -> str:
    """Return the number with its noun: `1 retrain`, `4 retrains`."""
    return f"{count(number)} {noun}" if number == 1 else f"{count(number)} {noun}s"


def listed(parts: Iterable[str]) -> str:
    """Return the parts as English text: `a`, `a and b`, `a, b and c`."""
    items = list(parts)
    return ", ".join(items[:-1]) + " and " + items[-1] if len(items) > 1 else "".join(items)

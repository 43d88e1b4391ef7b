"""Several challengers at once: how they share the probability of an error."""

from __future__ import annotations

from pitstop.errors import StatisticError


def share_of(alpha: float, among: int) -> float:
    """Return the error probability of each of `among` challengers that are compared with one champion at once.

    It is alpha / among (Bonferroni). The wealth that bets on challenger k is a nonnegative supermartingale with
    expectation at most 1 while k is not better, so it ever reaches among / alpha with probability at most alpha / among
    (Ville 1939); the union of `among` such events has probability at most alpha. That holds however the wealths hang
    together (they are bets on the same rows), however often they are looked at, whichever of the challengers are no
    better, and where some are given up on the way, as `among` is fixed before the first row. Raises `StatisticError`
    for fewer than one.
    """
    if among < 1:
        msg = f"got {among} challengers; expected one or more"
        raise StatisticError(msg)
    return alpha / among

"""Money at the edge of the arrays: exact decimals with four places, made from and turned into integer ticks."""

from __future__ import annotations

import math
from decimal import ROUND_HALF_EVEN, Decimal

from pitstop.errors import ColumnValueError
from pitstop.value.function import TICKS

_TICK = Decimal(1) / TICKS
# Decimals are kept to 28 digits, four of them behind the point.
_LARGEST = 1e23


def money(ticks: int) -> Decimal:
    """Return ticks of 1/10,000 as an exact amount of currency.

    >>> money(12_345)
    Decimal('1.2345')
    """
    return (Decimal(int(ticks)) / TICKS).quantize(_TICK)


def amount_of(value: float) -> Decimal:
    """Return a number of currency units as an amount, rounded half to even to the tick.

    Raises `ColumnValueError` where the number is not finite or too large to be exact.

    >>> amount_of(1500.0)
    Decimal('1500.0000')
    """
    if not math.isfinite(value) or abs(value) > _LARGEST:
        msg = f"got {value!r} as an amount of money; expected a finite number of at most {_LARGEST:g}"
        raise ColumnValueError(msg)
    return Decimal(repr(float(value))).quantize(_TICK, rounding=ROUND_HALF_EVEN)

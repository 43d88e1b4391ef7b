"""Numbers, shares and values as the sentences of findings and causes write them."""

from __future__ import annotations


def percent(share: float) -> str:
    """Return a share as per cent, with as many digits as it needs to be seen."""
    if share and share < 0.001:
        return "below 0.1%"
    return f"{share:.1%}" if share < 0.1 else f"{share:.0%}"


def number(value: float) -> str:
    """Return a number with four significant digits."""
    text = f"{value:.4g}"
    return f"{value:,.0f}" if "e" in text and abs(value) < 1e12 and abs(value) >= 1 else text


def shown(value: str) -> str:
    """Return a category in quotes, shortened."""
    return repr(value if len(value) <= 40 else value[:37] + "...")

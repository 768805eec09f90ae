"""Weight, price, count and date from application identifiers, exact: integers in, integers out.

Not here: finding the identifiers (`elements.py`), and prices and weights in a shop's own codes (`variable.py`).
"""

from calendar import monthrange
from datetime import date

from gateway.errors import Rejected

# Milligrams in one unit, as a fraction. The pound of 1959 is exact; a hundredth of it is no whole number of milligrams.
MG_PER_UNIT = {"kg": (1_000_000, 1), "lb": (45_359_237, 100), "oz": (28_349_523_125, 1_000_000)}
NET_WEIGHTS = {"310": "kg", "320": "lb", "357": "oz"}  # GS1 General Specifications, 3.6.2 and 3.6.3; the fourth digit
AMOUNT, AMOUNT_WITH_CURRENCY = "392", "393"  # 3.6.7 and 3.6.8; is the number of decimals


def mg(value: int, unit: str, decimals: int) -> int:
    """Return a weight in milligrams; exact for kg of up to 6 decimals, else to the nearest, half up."""
    numerator, denominator = MG_PER_UNIT[unit]
    scale: int = 10**decimals
    denominator *= scale
    return (2 * value * numerator + denominator) // (2 * denominator)


def weight_mg(found: dict[str, str]) -> int | None:
    """Return the net weight, from kilograms when several units stand. None = none, or zero: to be weighed."""
    for head, unit in NET_WEIGHTS.items():
        for ai, value in found.items():
            if ai.startswith(head):
                return mg(int(value), unit, int(ai[3])) or None
    return None


def price_minor(found: dict[str, str], minor_digits: int, currency: str | None) -> int | None:
    """Return the price of the piece in hand. `minor_digits` and `currency` (ISO 4217 number) are the shop's.

    Raises Rejected for another currency, and for a price that is finer than the shop's smallest coin.
    """
    for ai, value in found.items():
        if ai.startswith(AMOUNT):
            return _minor(value, int(ai[3]), minor_digits)
        if ai.startswith(AMOUNT_WITH_CURRENCY):
            if value[:3] != currency:
                raise Rejected(f"({ai}) is a price in currency {value[:3]}, not the shop's")
            return _minor(value[3:], int(ai[3]), minor_digits)
    return None


def count(found: dict[str, str]) -> int | None:
    """Return the number of pieces (30). None = none, or zero."""
    return int(found.get("30") or 0) or None


def expires(found: dict[str, str]) -> date | None:
    """Return the day after which it must not be sold: (17), or the day of (7003). None = none, or all zeros.

    Day 00 is the last of the month. The year is 20YY: GS1's sliding window (7.12) needs to know today, and differs
    only for years that no goods have.
    """
    for ai in ("17", "7003"):
        if ai in found and found[ai].strip("0"):
            return _date(ai, found[ai])
    return None


def _minor(value: str, decimals: int, minor_digits: int) -> int | None:
    whole, finer = divmod(int(value) * 10**minor_digits, 10**decimals)
    if finer:
        raise Rejected(f"price has {decimals} decimals, the currency has {minor_digits}")
    return whole or None


def _date(ai: str, value: str) -> date:
    year, month, day = 2000 + int(value[:2]), int(value[2:4]), int(value[4:6])
    try:
        return date(year, month, day or monthrange(year, month)[1])
    except ValueError:
        raise Rejected(f"({ai}) is {value[:6]}: there is no such day") from None

"""Money as people write it in a price list, exactly: text -> integer of the minor unit. Never a float. Pure."""

from decimal import Decimal, InvalidOperation

from gateway.errors import Refused
from gateway.prices.face_money import style_for

MAX_MINOR = 10**12


def minor(text: str, currency: str) -> int:
    """Return `12.90` CNY as 1290. Raises Refused for what is not an exact amount of that currency."""
    digits = style_for(currency).minor_digits
    cleaned = text.strip()
    if not cleaned.isascii() or not cleaned.replace(".", "", 1).isdigit():
        raise Refused(f'"{text}" is not an amount; write 12.90, without thousands separators')
    try:
        scaled = Decimal(cleaned).scaleb(digits)
    except InvalidOperation:
        raise Refused(f'"{text}" is not an amount') from None
    if scaled != scaled.to_integral_value():
        raise Refused(f'"{text}" has more than {digits} decimals, {currency} has no smaller coin')
    return minor_from(int(scaled), text)


def minor_from(value: int, text: str) -> int:
    """Return an amount that is in minor units already, if it is one."""
    if not 0 <= value <= MAX_MINOR:
        raise Refused(f'"{text}" is no price')
    return value


def written(price_minor: int | None, currency: str | None) -> str:
    """Return 1290 CNY as `12.90`."""
    if price_minor is None:
        return "none"
    digits = style_for(currency or "").minor_digits
    return str(Decimal(price_minor).scaleb(-digits)) if digits else str(price_minor)

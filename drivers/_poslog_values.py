"""Text of a POSLog element -> values: decimals, money, masses, dates, product numbers, kinds of tender. Pure.

Not for which element holds what (`_poslog_layout.py`, `_poslog_lines.py`, `_poslog_read.py`). BadFrame says what is
wrong.
"""

import re
from datetime import UTC, date, datetime, tzinfo
from decimal import ROUND_HALF_UP, Decimal

from drivers._poslog_types import TenderKind
from gateway.errors import BadFrame

MAX_TENDER_NAME = 40

# mg of one unit of measure, by its code of UN/ECE Recommendation 20 and by the names that tills write instead
MG = {
    **dict.fromkeys(("kgm", "kg", "kilogram", "kilograms", "公斤", "千克"), Decimal(1_000_000)),
    **dict.fromkeys(("grm", "g", "gr", "gram", "grams", "克"), Decimal(1_000)),
    **dict.fromkeys(("mgm", "mg"), Decimal(1)),
    **dict.fromkeys(("jin", "斤"), Decimal(500_000)),
    **dict.fromkeys(("两", "liang"), Decimal(50_000)),
    **dict.fromkeys(("lbr", "lb", "lbs", "pound"), Decimal("453592.37")),
    **dict.fromkeys(("onz", "oz", "ounce"), Decimal("28349.523125")),
}

# TenderType is an open list, tills put their own codes into it; the first part that is found in its letters decides.
_TENDERS: tuple[tuple[str, TenderKind], ...] = (
    ("rounding", "rounding"),
    ("giftcard", "gift_card"),
    ("storedvalue", "gift_card"),
    ("giftcert", "voucher"),
    ("storecredit", "voucher"),
    ("voucher", "voucher"),
    ("coupon", "coupon"),
    ("account", "account"),
    ("check", "check"),
    ("cheque", "check"),
    ("cash", "cash"),
    ("现金", "cash"),
    ("银行卡", "credit_debit"),
    ("银联", "credit_debit"),
    ("支付宝", "wallet"),
    ("微信", "wallet"),
    ("alipay", "wallet"),
    ("wechat", "wallet"),
    ("wallet", "wallet"),
    ("credit", "credit_debit"),
    ("debit", "credit_debit"),
    ("card", "credit_debit"),
)

_decimal = re.compile(r"[+-]?(?:[0-9]{1,15}(?:\.[0-9]{0,12})?|\.[0-9]{1,12})").fullmatch
_day = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})(?:T[0-9:.]*)?(?:Z|[+-][0-9:]{4,6})?").fullmatch
_gtin = re.compile(r"[0-9]{8}|[0-9]{12,14}").fullmatch
_card = re.compile(r"[3-6][0-9]{12,18}|[28][0-9]{15}").fullmatch
_digits = re.compile(r"(?:[0-9][ -]?){12,}[0-9]")


def decimal(text: str, name: str) -> Decimal:
    """Parse an XSD decimal of at most 15 whole digits; `name` is for the reason."""
    if _decimal(text) is None:
        raise BadFrame(f"{name} is no number: {shown(text)!r}")
    return Decimal(text)


def whole(value: Decimal, scale: Decimal) -> tuple[int, bool]:
    """Return `value * scale` as an integer (half away from zero), and whether that was exact."""
    exact = value * scale
    rounded = exact.to_integral_value(ROUND_HALF_UP)
    return int(rounded), rounded == exact


def day(text: str) -> date:
    """Parse an XSD date; a time or a zone behind it does not change the business day."""
    found = _day(text)
    try:
        return date.fromisoformat(found[1] if found else "")
    except ValueError:
        raise BadFrame(f"no business day: {shown(text)!r}") from None


def instant(text: str, zone: tzinfo) -> datetime:
    """Parse an XSD dateTime; without an offset it is the shop's local time. UTC."""
    try:
        at = datetime.fromisoformat(text)
        return (at if at.tzinfo else at.replace(tzinfo=zone)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise BadFrame(f"no time: {shown(text)!r}") from None


def sequence(text: str) -> int | str:
    """Return a number without its leading zeros, else the text: tills count, others give codes."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 18 else text


def gtin(text: str, *, typed: bool) -> str | None:
    """Return 14 digits where the text is a GTIN. An untyped number of 8 digits could be anything, so it is none."""
    if _gtin(text) is None or len(text.lstrip("0")) < 8 or (len(text) == 8 and not typed):
        return None
    padded = text.zfill(14)
    weighted = 3 * sum(map(int, padded[0:13:2])) + sum(map(int, padded[1:13:2]))
    return padded if (10 - weighted % 10) % 10 == int(padded[13]) else None


def is_in_store(gtin_14: str) -> bool:
    """Tell whether a GTIN is a number of the shop's own (prefix 2, or 02 and 04): its weight or price may be in it."""
    return gtin_14.startswith(("02", "002", "004"))


def is_card(text: str) -> bool:
    """Tell whether a text looks like a payment card's number: length, first digit and Luhn sum, and no GTIN."""
    digits = text.replace(" ", "").replace("-", "")
    if _card(digits) is None or gtin(digits, typed=True) is not None:
        return False
    doubled = (int(digit) * (1 + place % 2) for place, digit in enumerate(reversed(digits)))
    return sum(number - 9 if number > 9 else number for number in doubled) % 10 == 0


def shown(text: str) -> str:
    """Return a text fit for a reason: short, and without any long number."""
    return _digits.sub("#", text)[:40]


def tender_kind(name: str) -> TenderKind:
    """Return what kind of money a TenderType is."""
    letters = re.sub(r"[\W\d_]", "", name.lower())
    return next((kind for part, kind in _TENDERS if part in letters), "other")


def tender_name(name: str) -> str:
    """Return the till's own name of a tender, as far as it holds no long number."""
    return shown(name)[:MAX_TENDER_NAME]


def is_true(text: str | None) -> bool:
    """Read an XSD boolean, in the spellings that tills use."""
    return text is not None and text.strip().lower() in {"true", "1"}

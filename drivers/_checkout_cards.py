"""Finds card numbers in what tills say, so that none is kept, answered or logged (PCI DSS begins with the first one).

A card number is 13 to 19 digits, in one piece or in the groups that are printed on cards, with an issuer's prefix and a
right Luhn digit (ISO/IEC 7812-1). One in ten long numbers passes Luhn by chance: product codes with their own right
check digit are let through where a product code belongs, and a UUID where an id does. Pure.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

MASK = "****"
_ISSUER = re.compile(r"[3-6]|222[1-9]|22[3-9]\d|2[3-6]\d\d|27[01]\d|2720")
_GAP = "[ \u00a0\u2010-\u2015-]"  # blank, no-break blank, the dashes
# As printed: Visa, Mastercard, JCB 4-4-4-4; 19 digits 4-4-4-4-3 or 6-13; American Express 4-6-5; Diners 4-6-4.
_GROUPS = ((4, 4, 4, 4), (4, 4, 4, 4, 3), (4, 6, 5), (4, 6, 4), (6, 13), (4, 4, 4, 1), (4, 3, 3, 3), (4, 4, 5))
_SHAPES = (
    re.compile(r"(?<!\d)\d{13,19}(?!\d)"),
    *(re.compile(rf"(?<!\d)(?=({_GAP.join(rf'[0-9]{{{n}}}' for n in shape)})(?!\d))") for shape in _GROUPS),
)
# No card number is where these find nothing; they find much else, and are fast. The first is for plain ASCII JSON.
_SUSPECT = re.compile(rb"[2-6](?<![0-9].)[0-9]{3}(?:([0-9]{9,15})(?![0-9])|[0-9]{0,2}[ -][0-9]{3,13})", re.DOTALL)
_LONG = re.compile(rf"\d(?<!\d.)\d{{3}}(?:\d{{9,15}}(?!\d)|\d{{0,2}}{_GAP}\d{{3,13}})", re.DOTALL)
_SHORTEST = 13
_ZERO = ord("0")
_DOUBLED = bytes.maketrans(b"0123456789", b"0246813579")
_CODE_MEMBERS = ("scan", "gtin")
_CODE_LENGTHS = (8, 12, 13, 14, 18)  # GTIN-8, UPC-A, EAN-13, GTIN-14, and the scale codes of China
_AIM = re.compile(r"\][A-Za-z][0-9A-Za-z]")
# RFC 9562, 4, also behind a few letters ("b-"). Groups of hexadecimal digits look like a printed card now and then, and
# an id that was refused for it could never be sent.
_UUID = re.compile(r"(?:[A-Za-z]{1,8}[-_.:])?[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
_GTIN_IN = re.compile(r"(?:^\(01\)|^01|/01/)(\d{14})")


def looks_like_card(text: str) -> bool:
    """Tell whether a card number stands anywhere in the text."""
    if len(text) < _SHORTEST or _LONG.search(text) is None:
        return False
    return any(_is_card(found) for _, _, found in _candidates(text))


def mask(text: str) -> str:
    """Return the text with every card number blanked out."""
    for start, end, found in sorted(_candidates(text), reverse=True):
        if _is_card(found):
            text = text[:start] + MASK + text[end:]
    return text


def is_suspect(body: bytes) -> bool:
    """Tell whether a JSON body could hold a card number; a quick look that only errs on the safe side."""
    if not body.isascii() or b"\\" in body:
        return True
    return any(found[1] is None or _luhn_is_right(found[0]) for found in _SUSPECT.finditer(body))


def card_member(value: Any, name: str = "") -> str | None:  # noqa: ANN401 (what JSON gives)
    """Return where in a JSON value a card number is ("data.note"), None when nowhere. Names of members count too."""
    if isinstance(value, Mapping):
        return _in_members(value.items(), name)
    if isinstance(value, list | tuple):
        return _in_members(((str(at), one) for at, one in enumerate(value)), name)
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    text = str(value)
    if not looks_like_card(text):
        return None
    is_code = name.rpartition(".")[2] in _CODE_MEMBERS and is_product_code(text)
    return None if is_code else name


def id_holds_card(text: str) -> bool:
    """Tell whether an id holds a card number. One that has the shape of a UUID does not."""
    return _UUID.fullmatch(text) is None and looks_like_card(text)


def is_product_code(text: str) -> bool:
    """Tell whether the text is a GTIN or a scale code with its right check digit, or GS1 data that begins with one."""
    text = _AIM.sub("", text, count=1) if text.startswith("]") else text
    if text.isdecimal() and len(text) in _CODE_LENGTHS:
        return _gs1_check_is_right(text)
    found = _GTIN_IN.search(text)
    return found is not None and _gs1_check_is_right(found[1])


def _in_members(members: Any, name: str) -> str | None:  # noqa: ANN401 (pairs of whatever JSON gives)
    for key, one in members:
        if looks_like_card(key):
            return f"a name in {name or 'the event'}"
        found = card_member(one, f"{name}.{key}" if name else key)
        if found is not None:
            return found
    return None


def _candidates(text: str) -> Iterator[tuple[int, int, str]]:
    for shape in _SHAPES:
        for found in shape.finditer(text):
            start, end = found.span(found.re.groups)
            yield start, end, text[start:end]


def _is_card(found: str) -> bool:
    digits = "".join(str(int(char)) for char in found if char.isdecimal())
    return _ISSUER.match(digits) is not None and _luhn_is_right(digits.encode())


def _luhn_is_right(digits: bytes) -> bool:
    """ISO/IEC 7812-1, annex B: each second digit from the right counts double, and above 9 as the sum of its digits."""
    odd, even = digits[-1::-2], digits[-2::-2].translate(_DOUBLED)
    return (sum(odd) + sum(even) - _ZERO * len(digits)) % 10 == 0


def _gs1_check_is_right(digits: str) -> bool:
    """GS1 General Specifications 7.9: weights 3 and 1 from the right, the check digit itself has 1."""
    return (sum(map(int, digits[-1::-2])) + 3 * sum(map(int, digits[-2::-2]))) % 10 == 0

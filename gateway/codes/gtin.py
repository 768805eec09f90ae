"""Check digits of GTINs and of prices and weights, and UPC-E made long. Pure arithmetic over strings of ASCII digits.

Not here: what a code means (`decode.py`) and which digits are a price (`templates.py`).
"""

from gateway.errors import Rejected

# GS1 General Specifications, 7.9.2: what each digit 0 to 9 counts as, under the name of its weighting factor.
TWO_MINUS = "0246891357"
THREE = "0369258147"
FIVE_PLUS = "0516273849"
FIVE_MINUS = "0594837261"


def check_digit(body: str) -> int:
    """Return the digit that all others demand (GS1 General Specifications, 7.9.1: weights 3 and 1 from the right)."""
    digits = body.encode()
    threes, ones = digits[::-2], digits[-2::-2]
    return -(3 * sum(threes) + sum(ones) - 48 * (3 * len(threes) + len(ones))) % 10


def left_check_digit(body: str) -> int:
    """Return the digit by weights 1 and 3 from the left: EAN-13's rule, carried over to 18 digits as it stands."""
    digits = body.encode()
    ones, threes = digits[::2], digits[1::2]
    return -(3 * sum(threes) + sum(ones) - 48 * (3 * len(threes) + len(ones))) % 10


def verifier_digit(value: str) -> int:
    """Return the verifier of a price or weight of 4 or 5 digits (GS1 General Specifications, 7.9.3 and 7.9.4)."""
    if len(value) == 4:
        return 3 * _weighted(value, (TWO_MINUS, TWO_MINUS, THREE, FIVE_MINUS)) % 10
    rest = -_weighted(value, (FIVE_PLUS, TWO_MINUS, FIVE_MINUS, FIVE_PLUS, TWO_MINUS)) % 10
    return FIVE_MINUS.index(str(rest))


def gtin_14(digits: str) -> str:
    """Return a GTIN of 8, 12, 13 or 14 digits as 14. Raises Rejected when its check digit is wrong."""
    gtin = digits.zfill(14)
    right = check_digit(gtin[:13])
    if int(gtin[13]) != right:
        raise Rejected(f"check digit is {gtin[13]}, should be {right}")
    return gtin


def upc_a(upc_e: str) -> str:
    """Return the 12 digits that 6, 7 or 8 of UPC-E stand for (GS1 General Specifications, 5.2.2.4.2).

    6 digits are number system 0 without a check digit, 7 have the number system, 8 both; a missing check digit was
    verified by the scanner, which reads it from the bars. Raises Rejected for a number system other than 0 and 1.
    """
    digits = "0" + upc_e if len(upc_e) == 6 else upc_e
    if digits[0] not in "01":
        raise Rejected(f"UPC-E begins with 0 or 1, not with {digits[0]}")
    body = _long(digits)
    return body + (digits[7:] or str(check_digit(body)))


def _long(digits: str) -> str:
    match digits[6]:
        case "0" | "1" | "2":
            return f"{digits[:3]}{digits[6]}0000{digits[3:6]}"
        case "3":
            return f"{digits[:4]}00000{digits[4:6]}"
        case "4":
            return f"{digits[:5]}00000{digits[5]}"
        case last:
            return f"{digits[:6]}0000{last}"


def _weighted(value: str, factors: tuple[str, ...]) -> int:
    return sum(int(factor[int(digit)]) for digit, factor in zip(value, factors, strict=True))

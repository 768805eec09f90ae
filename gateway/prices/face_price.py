"""The price: a big whole part, small raised minor digits, the currency sign before or after. Complete or refused.

`lay_price` finds the largest size at which every part fits its box and returns the parts with their places; it depends
on the digits' number, not on which digits they are, so that 1.11 and 8.88 stand equally large.
"""

from functools import lru_cache
from typing import NamedTuple

from gateway.errors import Refused
from gateway.prices.face_content import Style
from gateway.prices.face_glyphs import Glyph, picture
from gateway.prices.face_money import split_money, write_money

PRICE_MIN_PX = 12  # below this a price is not legible at arm's length
_SMALL = 0.52  # minor digits and sign, as part of the whole part's size
_SIGN = 0.55


class Placed(NamedTuple):
    """Ink and where its upper left corner goes, from the box's upper left corner."""

    glyph: Glyph
    x: int
    y: int


@lru_cache(maxsize=1024)
def lay_price(minor: int, style: Style, width: int, height: int, largest_px: int, align: str) -> tuple[Placed, ...]:
    """Return the parts of a price inside a box. Raises Refused when it cannot stand there whole and legible."""
    whole, part = split_money(minor, style)
    size_px = _size(_zeros(whole), _zeros(part), style, width, height, largest_px)
    for smaller_px in range(size_px, PRICE_MIN_PX - 1, -1):
        placed, used, tall = _parts(whole, part, style, smaller_px)
        if used <= width and tall <= height:
            shift = {"left": 0, "right": width - used}.get(align, (width - used) // 2)
            return tuple(Placed(ink, x + shift, y + height - tall) for ink, x, y in placed)
    raise Refused(f"the price {write_money(minor, style)} does not fit its box of {width} x {height} pixels")


def _zeros(digits: str) -> str:
    return "".join("0" if char.isdecimal() else char for char in digits)


@lru_cache(maxsize=1024)
def _size(whole: str, part: str, style: Style, width: int, height: int, largest_px: int) -> int:
    """Return the size at which a price of so many digits fits, by measuring one of zeros."""
    for size_px in range(largest_px, PRICE_MIN_PX, -1):
        _, used, tall = _parts(whole, part, style, size_px)
        if used <= width and tall <= height:
            return size_px
    return PRICE_MIN_PX


def _parts(whole: str, part: str, style: Style, size_px: int) -> tuple[list[Placed], int, int]:
    """Return the parts from a common upper left corner, the width and the height that they take."""
    language = style.language
    small_px, sign_px = max(9, round(size_px * _SMALL)), max(9, round(size_px * _SIGN))
    gap = max(1, size_px // 16)
    digits = picture(whole, "bold", size_px, language)
    cap = -picture("0", "bold", size_px, language).top
    row: list[tuple[Glyph, int, int]] = []  # ink, left edge of the ink, top from the baseline
    pen = 0
    sign = picture(style.symbol, "bold", sign_px, language)
    if not style.symbol_after:
        row.append((sign, pen, sign.top))
        pen += sign.width + gap + 1
    row.append((digits, pen, digits.top))
    pen += digits.width
    cents_from = pen
    if part:
        point = picture(style.decimal, "bold", size_px, language)
        row.append((point, pen + gap, point.top))
        pen += gap + point.width + gap
        cents_from = pen
        cents = picture(part, "bold", small_px, language)
        row.append((cents, pen, -cap))
        pen += cents.width
    if style.symbol_after:
        pen = _sign_after(row, sign, cents_from if part else None, pen, cap, gap)
    top = min(y for _, _, y in row)
    bottom = max(y + ink.height for ink, _, y in row)
    return [Placed(ink, x, y - top) for ink, x, y in row], pen, bottom - top


def _sign_after(
    row: list[tuple[Glyph, int, int]], sign: Glyph, cents_from: int | None, pen: int, cap: int, gap: int
) -> int:
    """Put the sign under the raised minor digits where it has room, else after everything; return the new width."""
    if cents_from is not None:
        cents = row[-1][0]
        room = cap - cents.height - gap
        if sign.height <= room and sign.width <= cents.width:
            row.append((sign, cents_from, -sign.height))
            return pen
    row.append((sign, pen + 2 * gap, sign.top))
    return pen + 2 * gap + sign.width

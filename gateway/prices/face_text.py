"""Text that fits: cleaning, line breaks, shrinking, ellipsis. Says what is drawn at which size, draws nothing.

Names and promotions may be shortened with an ellipsis. Prices never come here to be shortened (`face_price.py`).
Not drawable without a text shaping engine, and therefore refused with the reason: right-to-left scripts and marks that
combine with other characters after NFC (Thai vowels, Indic signs). Accents of European languages are NFC letters.
"""

import unicodedata
from functools import lru_cache
from typing import NamedTuple

from gateway.errors import Refused
from gateway.prices.face_fonts import describe
from gateway.prices.face_glyphs import Glyphs, glyphs

ELLIPSIS = "…"
_RIGHT_TO_LEFT = {"R", "AL", "AN"}
_NEVER_FIRST = set("、。，．：；？！）】』」》〉”’%,.:;!?)]}…ー々")  # noqa: RUF001 - the wide ones are meant
_NEVER_LAST = set("（【『「《〈“‘([{¥$€£")  # noqa: RUF001
_MAX_CHARS = 400  # more can never be seen on a label; bounds the work


class Lines(NamedTuple):
    """Text broken into lines at one size."""

    lines: tuple[str, ...]
    size_px: int


class _Drawable(dict[int, str]):
    """What `str.translate` puts in a character's place; filled as characters are met."""

    def __missing__(self, code: int) -> str:
        self[code] = seen = _visible(chr(code))
        return seen


def _visible(char: str) -> str:
    if char.isspace():
        return " "
    category = unicodedata.category(char)
    if category in ("Cc", "Cf") or "\ufe00" <= char <= "\ufe0f":  # controls, zero widths, variation selectors
        return ""
    if unicodedata.bidirectional(char) in _RIGHT_TO_LEFT:
        raise Refused(f"right-to-left text cannot be drawn on a label yet: {describe(char)}")
    if category.startswith("M"):
        raise Refused(f"combining marks cannot be drawn on a label yet: {describe(char)}")
    return char


_DRAWABLE = _Drawable()  # at most one entry for each character of Unicode


def clean(text: str) -> str:
    """Return drawable text: NFC, one space between words, invisible characters gone. Raises Refused (see above)."""
    return " ".join(unicodedata.normalize("NFC", text)[:_MAX_CHARS].translate(_DRAWABLE).split())


@lru_cache(maxsize=8192)
def fit(text: str, role: str, sizes: tuple[int, int], box: tuple[int, int, int], language: str) -> Lines:
    """Return cleaned text in the largest of `sizes` (largest, smallest) at which it fits `box` (width, height, lines).

    At the smallest size what is left over is cut with an ellipsis.
    """
    box_width, box_height, most_lines = box
    pieces = _pieces(text)
    for size_px in range(_start(text, role, sizes, box, language), sizes[1] - 1, -1):
        of = glyphs(role, size_px, language)
        lines = wrap(pieces, of, box_width)
        if len(lines) <= min(most_lines, lines_in(box_height, size_px)):
            return Lines(tuple(lines), size_px)
    room = max(1, min(most_lines, lines_in(box_height, sizes[1])))
    of = glyphs(role, sizes[1], language)
    lines = wrap(pieces, of, box_width)
    rest = "".join(pieces)[len("".join(lines[: room - 1])) :] if room > 1 else text
    return Lines((*(line.rstrip() for line in lines[: room - 1]), _shorten(rest.strip(), of, box_width)), sizes[1])


def _start(text: str, role: str, sizes: tuple[int, int], box: tuple[int, int, int], language: str) -> int:
    """Return a size that is surely not too small to begin with: larger ones have too little room in all lines."""
    box_width, box_height, most_lines = box
    smallest = glyphs(role, sizes[1], language).width(text) / sizes[1]  # pixels of width for each pixel of size
    for size_px in range(sizes[0], sizes[1], -1):
        room = min(most_lines, lines_in(box_height, size_px))
        if smallest * size_px * _HINTING <= room * box_width:
            return size_px
    return sizes[1]


_HINTING = 0.85  # how much narrower a larger size may run, for its size, than the smallest


def line_height(size_px: int) -> int:
    """Return the distance of two baselines, in pixels."""
    return round(size_px * 1.18)


def lines_in(height: int, size_px: int) -> int:
    """Return how many lines of this size a box holds; the last one needs no gap below."""
    return max(0, (height - size_px) // line_height(size_px) + 1)


def wrap(pieces: list[str], of: Glyphs, box_width: int) -> list[str]:
    """Put pieces on lines no wider than the box; one that is too long for a line is broken anywhere."""
    lines: list[str] = [""]
    used = 0
    for piece in pieces:
        needs = of.width(piece)
        if used + needs > box_width and used + of.width(piece.rstrip()) > box_width:
            if lines[-1]:
                lines.append("")
                used = 0
            *full, piece = _break(piece, of, box_width)  # noqa: PLW2901 - the rest of it
            if full:
                lines[-1:] = [*full, ""]
            needs = of.width(piece)
        lines[-1] += piece
        used += needs
    return [line.rstrip() for line in lines]


def _break(piece: str, of: Glyphs, box_width: int) -> list[str]:
    """Cut a word into parts of at most a line's width; one character at least, however narrow the line."""
    parts, room = [""], box_width
    for char in piece:
        step = of[char].advance
        if step > room and parts[-1] and char != " ":
            parts.append("")
            room = box_width
        parts[-1] += char
        room -= step
    return parts


def _pieces(text: str) -> list[str]:
    """Cut text where a line may end: after a space, and around wide (Chinese, Japanese) characters."""
    pieces: list[str] = []
    for char in text:
        glued = pieces and (char == " " or char in _NEVER_FIRST or pieces[-1][-1] in _NEVER_LAST)
        if glued or (pieces and not _is_wide(char) and not _is_wide(pieces[-1][-1]) and pieces[-1][-1] != " "):
            pieces[-1] += char
        else:
            pieces.append(char)
    return pieces


def _is_wide(char: str) -> bool:
    return unicodedata.east_asian_width(char) in "WF" and not "\uac00" <= char <= "\ud7a3"  # Korean has spaces


def _shorten(text: str, of: Glyphs, box_width: int) -> str:
    if of.width(text) <= box_width:
        return text
    room = box_width - of.width(ELLIPSIS)
    kept = ""
    for char in text:
        room -= of[char].advance
        if room < 0:
            break
        kept += char
    return kept.rstrip() + ELLIPSIS

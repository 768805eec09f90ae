"""Text that fits: cleaning, line breaks, shrinking, ellipsis. Says what is drawn at which size, draws nothing.

Names and promotions may be shortened with an ellipsis. Prices never come here to be shortened (`face_price.py`).
Not drawable without a text shaping engine, and therefore refused with the reason: right-to-left scripts and marks that
combine with other characters after NFC (Thai vowels, Indic signs). Accents of European languages are NFC letters.
"""

import unicodedata
from functools import lru_cache
from typing import NamedTuple

from gateway.errors import Refused
from gateway.prices.face_fonts import advance, describe

ELLIPSIS = "…"
_RIGHT_TO_LEFT = {"R", "AL", "AN"}
_NEVER_FIRST = set("、。，．：；？！）】』」》〉”’%,.:;!?)]}…ー々")  # noqa: RUF001 - the wide ones are meant
_MAX_CHARS = 400  # more can never be seen on a label; bounds the work


class Lines(NamedTuple):
    """Text broken into lines at one size."""

    lines: tuple[str, ...]
    size_px: int


@lru_cache(maxsize=4096)
def clean(text: str) -> str:
    """Return drawable text: NFC, one space between words, invisible characters gone. Raises Refused (see above)."""
    seen = unicodedata.normalize("NFC", text)[:_MAX_CHARS]
    return " ".join("".join(_visible(char) for char in seen).split())


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


def width(text: str, role: str, size_px: int, language: str) -> float:
    """Return how wide one line is, in pixels (without kerning: at most a pixel or two too wide)."""
    return sum(advance(char, role, size_px, language) for char in text)


@lru_cache(maxsize=8192)
def fit(text: str, role: str, sizes: tuple[int, int], box: tuple[int, int, int], language: str) -> Lines:
    """Return cleaned text in the largest of `sizes` (largest, smallest) at which it fits `box` (width, height, lines).

    At the smallest size what is left over is cut with an ellipsis.
    """
    box_width, box_height, most_lines = box
    for size_px in range(sizes[0], sizes[1] - 1, -1):
        room = min(most_lines, lines_in(box_height, size_px))
        if room < 1:
            continue
        lines = wrap(text, role, size_px, box_width, language)
        if len(lines) <= room and all(width(line, role, size_px, language) <= box_width for line in lines):
            return Lines(tuple(lines), size_px)
    size_px = sizes[1]
    room = max(1, min(most_lines, lines_in(box_height, size_px)))
    lines = wrap(text, role, size_px, box_width, language)
    rest = " ".join(lines[room - 1 :]) if len(lines) > room else lines[-1]
    last = _shorten(rest, role, size_px, box_width, language)
    return Lines((*lines[: room - 1], last), size_px)


def line_height(size_px: int) -> int:
    """Return the distance of two baselines, in pixels."""
    return round(size_px * 1.18)


def lines_in(height: int, size_px: int) -> int:
    """Return how many lines of this size a box holds; the last one needs no gap below."""
    return max(0, (height - size_px) // line_height(size_px) + 1)


def wrap(text: str, role: str, size_px: int, box_width: int, language: str) -> list[str]:
    """Break text into lines no wider than the box; a word that is too long for a line is broken anywhere."""
    lines: list[str] = [""]
    used = 0.0
    for piece in _pieces(text):
        needs = width(piece, role, size_px, language)
        if lines[-1] and used + width(piece.rstrip(), role, size_px, language) > box_width:
            lines.append("")
            used = 0.0
        if needs > box_width and len(piece) > 1:
            for char in piece:
                step = advance(char, role, size_px, language)
                if lines[-1] and used + step > box_width:
                    lines.append("")
                    used = 0.0
                lines[-1] += char
                used += step
            continue
        lines[-1] += piece
        used += needs
    return [line.rstrip() for line in lines]


def _pieces(text: str) -> list[str]:
    """Cut text where a line may end: after a space, and around wide (Chinese, Japanese) characters."""
    pieces: list[str] = []
    for char in text:
        glued = pieces and (char == " " or char in _NEVER_FIRST)
        if glued or (pieces and not _is_wide(char) and not _is_wide(pieces[-1][-1]) and pieces[-1][-1] != " "):
            pieces[-1] += char
        else:
            pieces.append(char)
    return pieces


def _is_wide(char: str) -> bool:
    return unicodedata.east_asian_width(char) in "WF" and not "\uac00" <= char <= "\ud7a3"  # Korean has spaces


def _shorten(text: str, role: str, size_px: int, box_width: int, language: str) -> str:
    if width(text, role, size_px, language) <= box_width:
        return text
    room = box_width - advance(ELLIPSIS, role, size_px, language)
    kept = ""
    for char in text:
        room -= advance(char, role, size_px, language)
        if room < 0:
            break
        kept += char
    return kept.rstrip() + ELLIPSIS

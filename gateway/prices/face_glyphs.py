"""Characters as exact one-bit pictures, each drawn once per font and size, and lines of them put on a face.

Kerning is left out: at label sizes it is a pixel, and without it a cold name costs no more than a warm one.
Not here: which font (`face_fonts.py`), line breaks and fitting (`face_text.py`).
"""

from functools import lru_cache
from typing import Any, NamedTuple

from PIL import Image, ImageDraw

from gateway.prices.face_fonts import font_of, has_one_weight, load

_KEPT = 2048  # glyphs in memory of one size: more than the names of a shop use, and a bound for hostile ones
_EMBOLDEN_FROM_PX = 18  # smaller, the strokes of a Chinese character would run together


class Glyph(NamedTuple):
    """Ink of one character: its edges from the pen on the baseline; `advance` moves the pen.

    `ink` is the store of a mode "1" image: Pillow's public `paste` takes five times as long to check its arguments.
    """

    ink: Any
    left: int
    top: int
    right: int
    bottom: int
    advance: int

    @property
    def width(self) -> int:
        """Return the ink's width in pixels."""
        return self.right - self.left

    @property
    def height(self) -> int:
        """Return the ink's height in pixels."""
        return self.bottom - self.top


class Glyphs(dict[str, Glyph]):
    """All characters of one role (`bold`, `regular`) and size, drawn when first asked for."""

    def __init__(self, role: str, size_px: int, language: str) -> None:
        super().__init__()
        self._font = (role, size_px, language)

    def __missing__(self, char: str) -> Glyph:
        if len(self) >= _KEPT:
            self.clear()
        self[char] = glyph = _draw(char, *self._font)
        return glyph

    def width(self, text: str) -> int:
        """Return how far a line moves the pen, in pixels."""
        return sum([self[char].advance for char in text])


@lru_cache(maxsize=256)
def glyphs(role: str, size_px: int, language: str) -> Glyphs:
    """Return the characters of a role and size."""
    return Glyphs(role, size_px, language)


def _draw(char: str, role: str, size_px: int, language: str) -> Glyph:
    path = font_of(char, role, language)
    font = load(path, size_px, language)
    left, top, right, bottom = (int(edge) for edge in font.getbbox(char, mode="1", anchor="ls"))
    image = Image.new("1", (max(right - left, 1) + 1, max(bottom - top, 1)))
    pencil = ImageDraw.Draw(image)
    pencil.text((-left, -top), char, fill=1, font=font, anchor="ls")
    if role == "bold" and size_px >= _EMBOLDEN_FROM_PX and has_one_weight(path):
        pencil.text((1 - left, -top), char, fill=1, font=font, anchor="ls")
    return _cut(image, left, top, round(font.getlength(char, mode="1")))


def _cut(image: Image.Image, left: int, top: int, advance: int) -> Glyph:
    ink = image.getbbox() or (0, 0, 1, 1)
    return Glyph(image.crop(ink).im, left + ink[0], top + ink[1], left + ink[2], top + ink[3], advance)


def put_line(on: Image.Image, text: str, pen: int, baseline: int, color: int, of: Glyphs) -> None:
    """Draw one line of text from the pen's start."""
    paste = on.im.paste
    for char in text:
        ink, left, top, right, bottom, advance = of[char]
        paste(color, (pen + left, baseline + top, pen + right, baseline + bottom), ink)
        pen += advance


def put(on: Image.Image, glyph: Glyph, x: int, y: int, color: int) -> None:
    """Draw one picture with its upper left corner at x, y."""
    on.im.paste(color, (x, y, x + glyph.width, y + glyph.height), glyph.ink)


@lru_cache(maxsize=1024)
def picture(text: str, role: str, size_px: int, language: str) -> Glyph:
    """Return a short text as one picture, cut to its ink: for prices."""
    of = glyphs(role, size_px, language)
    drawn = [of[char] for char in text]
    top = min(glyph.top for glyph in drawn)
    bottom = max(glyph.bottom for glyph in drawn)
    width = of.width(text)
    image = Image.new("1", (width + 2 * size_px, bottom - top))
    put_line(image, text, size_px, -top, 255, of)
    return _cut(image, -size_px, top, width)

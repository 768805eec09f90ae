"""Fonts: which are installed, which of them can draw a character, and text as exact one-bit masks.

A run of text may need several fonts; each character takes the first font of its stack that has it. Whether a font has
a character is asked of the font itself: it must draw something else than for a code point that no font has.
Not here: line breaks and fitting (`face_text.py`). No file is written, nothing is downloaded.
"""

import unicodedata
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from PIL import Image, ImageDraw, ImageFont

from gateway.errors import Refused

# Debian's places: fonts-dejavu-core, fonts-noto-cjk, fonts-wqy-microhei, fonts-droid-fallback.
_FONTS = Path("/usr/share/fonts")
_DROID = "truetype/droid/DroidSansFallbackFull.ttf"
_WQY = "truetype/wqy/wqy-microhei.ttc"
_STACKS = {
    "regular": ("truetype/dejavu/DejaVuSans.ttf", "opentype/noto/NotoSansCJK-Regular.ttc", _WQY, _DROID),
    "bold": (
        "truetype/dejavu/DejaVuSans-Bold.ttf",
        "opentype/noto/NotoSansCJK-Bold.ttc",
        "truetype/dejavu/DejaVuSans.ttf",
        _WQY,
        _DROID,
    ),
}
_EMBOLDEN_FROM_PX = 18  # these fonts have one weight only; smaller, their strokes would run together
_NOTO_FACES = {"ja": 0, "ko": 1, "zh-hant": 3, "zh-tw": 3, "zh-hk": 4, "zh": 2}  # order of faces in the .ttc
_NO_CHARACTER = "\U0010fffe"  # a noncharacter: what a font draws for it is its "missing" box
_PROBE_PX = 32


class Mask(NamedTuple):
    """Text as ink: `image` (mode "1") belongs at `left`, `top` from the pen's start on the baseline."""

    image: Image.Image
    left: int
    top: int
    advance: int

    @property
    def right(self) -> int:
        """First column right of the ink, from the pen's start."""
        return self.left + self.image.width

    @property
    def bottom(self) -> int:
        """First row below the ink, from the baseline."""
        return self.top + self.image.height


@lru_cache(maxsize=8)
def stack(role: str, language: str) -> tuple[str, ...]:
    """Return the installed font files of a role, best first; "" (Pillow's own Latin font) when there is none."""
    del language  # the file is the same, only the face inside it differs
    found = tuple(str(_FONTS / name) for name in _STACKS[role] if (_FONTS / name).is_file())
    return found or ("",)


@lru_cache(maxsize=512)
def _font(path: str, size_px: int, language: str) -> ImageFont.FreeTypeFont:
    if not path:
        builtin = ImageFont.load_default(size_px)
        assert isinstance(builtin, ImageFont.FreeTypeFont)  # Pillow is built with FreeType in every wheel
        return builtin
    face = _noto_face(language) if "NotoSansCJK" in path else 0
    return ImageFont.truetype(path, size_px, index=face, layout_engine=ImageFont.Layout.BASIC)


def _noto_face(language: str) -> int:
    tag = language.lower()
    return next((face for start, face in _NOTO_FACES.items() if tag.startswith(start)), 2)


@lru_cache(maxsize=8192)
def _font_of(char: str, role: str, language: str) -> str:
    for path in stack(role, language):
        if char == " " or _has(path, char, language):
            return path
    raise Refused(f"no installed font can draw {describe(char)}; {_advice(char)}")


def _has(path: str, char: str, language: str) -> bool:
    font = _font(path, _PROBE_PX, language)
    return _picture(font, char) != _missing(path, language)


@lru_cache(maxsize=16)
def _missing(path: str, language: str) -> tuple[object, ...]:
    return _picture(_font(path, _PROBE_PX, language), _NO_CHARACTER)


def _picture(font: ImageFont.FreeTypeFont, char: str) -> tuple[object, ...]:
    mask, offset = font.getmask2(char, mode="1")
    return bytes(mask), mask.size, offset


def describe(char: str) -> str:
    """Return a character so that a person can find it: `U+1F34E 🍎 (RED APPLE)`."""
    return f"U+{ord(char):04X} {char} ({unicodedata.name(char, 'no name')})"


def _advice(char: str) -> str:
    if unicodedata.category(char) == "So" and ord(char) > 0xFFFF:
        return "take this pictogram out of the text"
    if unicodedata.east_asian_width(char) in "WF":
        return "install fonts-noto-cjk (or the small fonts-droid-fallback)"
    return "install fonts-dejavu-core, or take the character out of the text"


@lru_cache(maxsize=8192)
def advance(char: str, role: str, size_px: int, language: str) -> float:
    """Return how far one character moves the pen, in pixels. Kerning can only make a run a little narrower."""
    return _font(_font_of(char, role, language), size_px, language).getlength(char, mode="1")


@lru_cache(maxsize=8192)
def mask(text: str, role: str, size_px: int, language: str) -> Mask:
    """Return one line of text as ink, without anti-aliasing. Raises Refused for a character that no font has."""
    runs = _runs(text, role, language)
    pens, pen = [], 0
    for path, run in runs:
        pens.append(pen)
        pen += round(_font(path, size_px, language).getlength(run, mode="1"))
    boxes = [_font(path, size_px, language).getbbox(run, mode="1", anchor="ls") for path, run in runs] or [(0, 0, 0, 0)]
    left = int(min(at + box[0] for at, box in zip(pens or [0], boxes, strict=True)))
    right = int(max(at + box[2] for at, box in zip(pens or [0], boxes, strict=True)))
    top, bottom = int(min(box[1] for box in boxes)), int(max(box[3] for box in boxes))
    image = Image.new("1", (max(right - left, 1) + 1, max(bottom - top, 1)))
    pencil = ImageDraw.Draw(image)
    for at, (path, run) in zip(pens, runs, strict=True):
        font = _font(path, size_px, language)
        pencil.text((at - left, -top), run, fill=1, font=font, anchor="ls")
        if role == "bold" and size_px >= _EMBOLDEN_FROM_PX and path.endswith((_DROID, _WQY)):
            pencil.text((at - left + 1, -top), run, fill=1, font=font, anchor="ls")
    ink = image.getbbox() or (0, 0, 1, 1)
    return Mask(image.crop(ink), left + ink[0], top + ink[1], pen)


def _runs(text: str, role: str, language: str) -> list[tuple[str, str]]:
    """Cut a line where the font changes; a space stays with what stands before it."""
    runs: list[tuple[str, str]] = []
    for char in text:
        path = runs[-1][0] if char == " " and runs else _font_of(char, role, language)
        if runs and runs[-1][0] == path:
            runs[-1] = (path, runs[-1][1] + char)
        else:
            runs.append((path, char))
    return runs

"""Fonts: which are installed, and which of them draws a character.

A line of text may need several fonts; each character takes the first font of its stack that has it. Whether a font has
a character is asked of the font itself: it must draw something else than for a code point that no font has.
Not here: pictures of characters (`face_glyphs.py`). No file is written, nothing is downloaded.
"""

import unicodedata
from functools import lru_cache
from pathlib import Path

from PIL import ImageFont

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
_NOTO_FACES = {"ja": 0, "ko": 1, "zh-hant": 3, "zh-tw": 3, "zh-hk": 4, "zh": 2}  # order of faces in the .ttc
_NO_CHARACTER = "\U0010fffe"  # a noncharacter: what a font draws for it is its "missing" box
_PROBE_PX = 32


@lru_cache(maxsize=8)
def stack(role: str) -> tuple[str, ...]:
    """Return the installed font files of a role, best first; "" (Pillow's own Latin font) when there is none."""
    found = tuple(str(_FONTS / name) for name in _STACKS[role] if (_FONTS / name).is_file())
    return found or ("",)


@lru_cache(maxsize=512)
def load(path: str, size_px: int, language: str) -> ImageFont.FreeTypeFont:
    """Return a font file at a size; the language chooses among the faces of a Chinese-Japanese-Korean file."""
    if not path:
        builtin = ImageFont.load_default(size_px)
        assert isinstance(builtin, ImageFont.FreeTypeFont)  # Pillow is built with FreeType in every wheel
        return builtin
    face = _noto_face(language) if "NotoSansCJK" in path else 0
    return ImageFont.truetype(path, size_px, index=face, layout_engine=ImageFont.Layout.BASIC)


def _noto_face(language: str) -> int:
    tag = language.lower()
    return next((face for start, face in _NOTO_FACES.items() if tag.startswith(start)), 2)


def has_one_weight(path: str) -> bool:
    """Return whether the family of this file has no bold."""
    return path.endswith((_DROID, _WQY))


@lru_cache(maxsize=8192)
def font_of(char: str, role: str, language: str) -> str:
    """Return the file that draws a character. Raises Refused with the character and what to install."""
    for path in stack(role):
        if char == " " or _has(path, char, language):
            return path
    raise Refused(f"no installed font can draw {describe(char)}; {_advice(char)}")


def _has(path: str, char: str, language: str) -> bool:
    font = load(path, _PROBE_PX, language)
    return _picture(font, char) != _missing(path, language)


@lru_cache(maxsize=16)
def _missing(path: str, language: str) -> tuple[object, ...]:
    return _picture(load(path, _PROBE_PX, language), _NO_CHARACTER)


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

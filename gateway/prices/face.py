"""Faces: what a label shows, as pixels. `draw(content, panel, style)`, then `stamp(pixels, panel, revision)`.

Pure: the same arguments give the same bytes. One byte a pixel, an index into the panel's palette, no anti-aliasing, so
that a JPEG of it comes back exact (notes in `as_image`). A face that cannot hold its price whole, whose symbols do not
read back, or whose text no font can draw is `Refused` with the reason.

Symbols are proven alone and pasted untouched (`face_codes.py` says why that is enough); beside it the whole face is
read back for the first face of each kind (template, panel) and for one content in 512 after that, chosen by its key,
as a guard against a template that lets something run into a symbol.

Not here: when a face is drawn and where it goes (`labels.py`), what stands where (`config/templates`,
`face_templates.py`), filling a box (`face_paint.py`), text (`face_text.py`), price (`face_price.py`), symbols
(`face_codes.py`), money (`face_money.py`).
"""

import re
from collections.abc import Iterable
from functools import lru_cache

from PIL import Image

from gateway.errors import Refused
from gateway.prices.face_codes import read_codes, was_read
from gateway.prices.face_content import RGB, Content, Panel, Style
from gateway.prices.face_money import style_for
from gateway.prices.face_paint import blank, paint
from gateway.prices.face_templates import MARK_HEIGHT, MARK_WIDTH, layout_for

__all__ = ["Content", "Job", "Panel", "Style", "as_image", "draw", "draw_many", "stamp", "style_for"]

Job = tuple[Content, Panel, Style]

_CELL_PX = 2  # of the revision mark: survives JPEG, and a person with a lens
_CELLS_A_ROW = MARK_WIDTH // _CELL_PX
REVISIONS = 2 ** (_CELLS_A_ROW * MARK_HEIGHT // _CELL_PX)  # 65 536: then marks repeat
_READ_BACK_EVERY = 512
_GTIN = re.compile("[0-9]{14}")
_PROVEN_KINDS: set[tuple[str, Panel]] = set()  # a template on a panel whose whole face was read back once


def draw(content: Content, panel: Panel, style: Style) -> bytes:
    """Return the face as `width * height` palette indices, without revision mark. Raises Refused with the reason."""
    _check(content, style)
    name = _template(content)
    layout = layout_for(name, panel.width, panel.height)
    canvas = blank(panel, style)
    symbols = [text for element in layout.elements if (text := paint(canvas, element, content))]
    pixels = canvas.image.tobytes()
    kind = (name, panel)
    if kind not in _PROVEN_KINDS or int(content.key, 16) % _READ_BACK_EVERY == 0:
        _read_back(pixels, panel, symbols)
        _PROVEN_KINDS.add(kind)
    return pixels


def stamp(pixels: bytes, panel: Panel, revision: int) -> bytes:
    """Return the face with its revision mark: 16 cells of 2 x 2 pixels in the lower right corner, `revision` in binary.

    Different for any two revisions less than 65 536 apart, so that no access point takes a push for the one before.
    """
    ink, paper = panel.index("black"), panel.index("white")
    marked = bytearray(pixels)
    for row, cells in enumerate(_mark(revision % REVISIONS, ink, paper)):
        start = (panel.height - MARK_HEIGHT + row + 1) * panel.width - MARK_WIDTH
        marked[start : start + MARK_WIDTH] = cells
    return bytes(marked)


@lru_cache(maxsize=1024)
def _mark(value: int, ink: int, paper: int) -> tuple[bytes, ...]:
    rows = []
    for row in range(MARK_HEIGHT // _CELL_PX):
        bits = (value >> (_CELLS_A_ROW * row + cell) & 1 for cell in range(_CELLS_A_ROW))
        rows += [b"".join(bytes([ink if bit else paper]) * _CELL_PX for bit in bits)] * _CELL_PX
    return tuple(rows)


def as_image(pixels: bytes, panel: Panel) -> Image.Image:
    """Return the face as a palette image. Saved as JPEG 4:4:4, quality 80, the nearest palette colours are exact."""
    image = Image.frombytes("P", (panel.width, panel.height), pixels)
    image.putpalette([level for name in panel.colors for level in _rgb(name)])
    return image


def draw_many(jobs: Iterable[Job]) -> list[bytes | Refused]:
    """Draw a list of faces, each on its own: what cannot be drawn comes back as its reason. For a worker pool."""
    return [_draw_or_say(*job) for job in jobs]


def _draw_or_say(content: Content, panel: Panel, style: Style) -> bytes | Refused:
    try:
        return draw(content, panel, style)
    except Refused as refusal:
        return refusal.with_traceback(None)


def _rgb(name: str) -> tuple[int, int, int]:
    if name not in RGB:
        raise Refused(f"no such palette colour: {name!r}")
    return RGB[name]


def _check(content: Content, style: Style) -> None:
    if content.gtin is not None and not _GTIN.fullmatch(content.gtin):
        raise Refused(f"{content.gtin!r} is not a GTIN of 14 digits")
    if content.price_minor is None:
        return
    if content.gtin is None:
        raise Refused("a face with a price needs a product (GTIN)")
    if content.currency != style.currency:
        raise Refused(f"the price is in {content.currency}, the faces of this shop are in {style.currency}")


def _template(content: Content) -> str:
    """Return the template's name: without a price always `spare`; a promotion makes `promo` of `standard`."""
    if content.price_minor is None:
        return "spare"
    if content.template in (None, "standard"):
        return "promo" if content.promo or content.was_minor is not None else "standard"
    return str(content.template)


def _read_back(pixels: bytes, panel: Panel, symbols: list[str]) -> None:
    found = read_codes(as_image(pixels, panel).convert("L"))
    missing = [text for text in symbols if not was_read(text, found)]
    if missing:
        raise Refused(f"symbols do not read back from the face: {', '.join(missing)}")

"""Fill the boxes of a layout: one painter for each kind of element, on a canvas of palette indices.

Not here: which boxes there are (`face_templates.py`) and whether the face is good (`face.py`).
"""

from dataclasses import dataclass
from functools import lru_cache

from PIL import Image

from gateway.errors import Refused
from gateway.prices.face_codes import Symbol, label_bars, link_qr, product_bars, shown_digits
from gateway.prices.face_content import Content, Panel, Style
from gateway.prices.face_glyphs import glyphs, put, put_line
from gateway.prices.face_money import words, write_money
from gateway.prices.face_price import lay_price
from gateway.prices.face_templates import Element
from gateway.prices.face_text import ELLIPSIS, clean, fit, line_height

_WHOLE = {"unit_price", "was", "gtin", "label"}  # never cut with an ellipsis: half a price is a wrong price


@dataclass(frozen=True)
class Canvas:
    """A face in the making. `image` has mode "L", each pixel a palette index."""

    image: Image.Image
    panel: Panel
    style: Style


def blank(panel: Panel, style: Style) -> Canvas:
    """Return a white face."""
    return Canvas(Image.new("L", (panel.width, panel.height), panel.index("white")), panel, style)


@lru_cache(maxsize=1024)
def _colors(panel: Panel, ink: str, paper: str) -> tuple[int, int]:
    """Return ink and paper as this panel has them; the ink is never one that cannot be read on the paper.

    Paper: accent = red, else yellow, else black; highlight = yellow, else white. Ink: accent = red, else black.
    """
    if paper == "accent":
        behind = panel.index("red", "yellow", "black")
        return panel.index("black" if panel.colors[behind] == "yellow" else "white"), behind
    behind = panel.index("yellow", "white") if paper == "highlight" else panel.index("white")
    return panel.index("red", "black") if ink == "accent" else panel.index("black"), behind


def paint(canvas: Canvas, element: Element, content: Content) -> str | None:
    """Draw one element; return the text of the symbol that it is, if it is one."""
    match element.field:
        case "price":
            _paint_price(canvas, element, content)
        case "barcode" if content.gtin:
            return _paint_symbol(canvas, element, product_bars(content.gtin, *element.box[2:]))
        case "qr" if content.gtin:
            return _paint_symbol(canvas, element, link_qr(canvas.style.link_base, content.gtin, *element.box[2:]))
        case "label_code" if content.label:
            return _paint_symbol(canvas, element, label_bars(content.label, *element.box[2:]))
        case "rule":
            _fill(canvas, element, _colors(canvas.panel, element.ink, "")[0])
        case _:
            if text := _text(element.field, content, canvas.style):
                _paint_text(canvas, element, text)
    return None


def _text(field: str, content: Content, style: Style) -> str:
    """Return what a text field says; empty when there is nothing to say."""
    match field:
        case "promo":
            return clean(content.promo or "") or words(style.language).offer
        case "unit_price":
            return clean(_unit_price(content.unit_price_minor, content.unit, style))
        case "was":
            return "" if content.was_minor is None else write_money(content.was_minor, style)
        case "gtin":
            return shown_digits(content.gtin or "")
        case "details":
            return clean(" · ".join(part for part in (content.net_content, content.sku) if part))
    return words(style.language).spare if field == "spare" else clean(getattr(content, field) or "")


def _unit_price(minor: int | None, unit: str | None, style: Style) -> str:
    """Write the unit price; without a unit the word stands in front, so that it can't be taken for the price."""
    if minor is None:
        return ""
    money = write_money(minor, style)
    return f"{money}/{unit}" if unit else f"{words(style.language).unit_price} {money}"


def _fill(canvas: Canvas, element: Element, color: int) -> None:
    left, top, width, height = element.box
    canvas.image.paste(color, (left, top, left + width, top + height))


def _paint_symbol(canvas: Canvas, element: Element, symbol: Symbol) -> str:
    """Paste a proven symbol, quiet zone and all, in black on white; return its text."""
    left, top, width, height = element.box
    spare_x, spare_y = width - symbol.width, height - symbol.height
    x = left + {"left": 0, "right": spare_x}.get(element.align, spare_x // 2)
    y = top + {"top": 0, "bottom": spare_y}.get(element.valign, spare_y // 2)
    canvas.image.paste(symbol.image(*_colors(canvas.panel, "black", "")), (x, y))
    return symbol.text


def inset(element: Element) -> int:
    """Return how far a price stays from the edge of its coloured paper, in pixels."""
    return max(4, element.box[3] // 14) if element.paper else 0


def _paint_price(canvas: Canvas, element: Element, content: Content) -> None:
    if content.price_minor is None:
        raise Refused("this template shows a price, and the content has none")
    left, top, width, height = element.box
    ink, paper = _colors(canvas.panel, element.ink, element.paper)
    if element.paper:
        _fill(canvas, element, paper)
    pad = inset(element)
    room = (width - 2 * pad, height - 2 * pad)
    parts = lay_price(content.price_minor, canvas.style, *room, element.sizes[0], element.align)
    spare = room[1] - max(part.y + part.glyph.height for part in parts)
    top_gap = min(part.y for part in parts)
    lift = {"top": top_gap, "bottom": -spare}.get(element.valign, (top_gap - spare) // 2)
    for part in parts:
        put(canvas.image, part.glyph, left + pad + part.x, top + pad + part.y - lift, ink)


def _paint_text(canvas: Canvas, element: Element, text: str) -> None:
    left, top, width, height = element.box
    ink, paper = _colors(canvas.panel, element.ink, element.paper)
    if element.paper:
        _fill(canvas, element, paper)
        edge = min(6, height // 4)
        left, width = left + edge, width - 2 * edge
    language = canvas.style.language
    lines, size_px = fit(text, element.font, element.sizes, (width, height, element.lines), language)
    if element.field in _WHOLE and lines[-1].endswith(ELLIPSIS):
        raise Refused(f"{element.field} {text!r} does not fit its box of {width} x {height} pixels")
    of = glyphs(element.font, size_px, language)
    block = line_height(size_px) * (len(lines) - 1) + size_px
    baseline = top + round(size_px * 0.86)
    baseline += {"top": 0, "bottom": height - block}.get(element.valign, (height - block) // 2)
    for line in lines:
        used = of.width(line)
        pen = left + {"left": 0, "right": width - used}.get(element.align, (width - used) // 2)
        put_line(canvas.image, line, pen, baseline, ink, of)
        if element.strike:
            middle = baseline - round(size_px * 0.36)
            canvas.image.paste(ink, (pen, middle, pen + used, middle + max(1, size_px // 10)))
        baseline += line_height(size_px)

"""Fill the boxes of a layout: one painter for each kind of element, on a canvas of palette indices.

Not here: which boxes there are (`face_templates.py`) and whether the face is good (`face.py`).
"""

from dataclasses import dataclass
from functools import cached_property

from PIL import Image

from gateway.errors import Refused
from gateway.prices.face_codes import label_bars, link_qr, product_bars
from gateway.prices.face_content import Content, Panel, Style
from gateway.prices.face_fonts import mask
from gateway.prices.face_money import words, write_money
from gateway.prices.face_price import lay_price
from gateway.prices.face_templates import Element
from gateway.prices.face_text import clean, fit, line_height


@dataclass(frozen=True)
class Canvas:
    """A blank face and the colours that this panel really has."""

    panel: Panel
    style: Style

    @cached_property
    def image(self) -> Image.Image:
        """The pixels: mode "L", each a palette index."""
        return Image.new("L", (self.panel.width, self.panel.height), self.white)

    @cached_property
    def white(self) -> int:
        """Index of white."""
        return self.panel.index("white")

    @cached_property
    def black(self) -> int:
        """Index of black."""
        return self.panel.index("black")

    def paper(self, element: Element) -> int:
        """Return the colour behind an element: accent = red, else yellow, else black; highlight = yellow or none."""
        if element.paper == "accent":
            return self.panel.index("red", "yellow", "black")
        return self.panel.index("yellow", "white") if element.paper == "highlight" else self.white

    def ink(self, element: Element) -> int:
        """Return the colour of an element's text, never one that cannot be read on what lies behind it."""
        dark_paper = element.paper == "accent" and self.paper(element) != self.panel.index("yellow", "white")
        if dark_paper:
            return self.white
        return self.panel.index("red", "black") if element.ink == "accent" else self.black


def paint(canvas: Canvas, element: Element, content: Content) -> str | None:
    """Draw one element; return the text of the symbol that it is, if it is one."""
    match element.field:
        case "price":
            _paint_price(canvas, element, content)
        case "barcode" if content.gtin:
            _paint_symbol(canvas, element, product_bars(content.gtin, *element.box[2:]))
            return content.gtin[6:] if content.gtin.startswith("000000") else content.gtin[content.gtin[0] == "0" :]
        case "qr" if content.gtin:
            base = canvas.style.link_base
            _paint_symbol(canvas, element, link_qr(base, content.gtin, *element.box[2:]))
            return f"{base}/01/{content.gtin}"
        case "label_code" if content.label:
            _paint_symbol(canvas, element, label_bars(content.label, *element.box[2:]))
            return content.label
        case "rule":
            _fill(canvas, element, canvas.ink(element))
        case _:
            if text := _text(element.field, content, canvas.style):
                _paint_text(canvas, element, text)
    return None


def _text(field: str, content: Content, style: Style) -> str:
    """Return what a text field says; empty when there is nothing to say."""
    match field:
        case "promo":
            text = content.promo or words(style.language).offer
        case "unit_price":
            text = _unit_price(content.unit_price_minor, content.unit, style)
        case "was":
            text = "" if content.was_minor is None else write_money(content.was_minor, style)
        case "gtin":
            text = (content.gtin or "").lstrip("0")
        case "details":
            text = " · ".join(part for part in (content.net_content, content.sku) if part)
        case "spare":
            text = words(style.language).spare
        case _:
            text = getattr(content, field) or ""
    return clean(text)


def _unit_price(minor: int | None, unit: str | None, style: Style) -> str:
    """Write the unit price; without a unit the word stands in front, so that it can't be taken for the price."""
    if minor is None:
        return ""
    money = write_money(minor, style)
    return f"{money}/{unit}" if unit else f"{words(style.language).unit_price} {money}"


def _fill(canvas: Canvas, element: Element, color: int) -> None:
    left, top, width, height = element.box
    canvas.image.paste(color, (left, top, left + width, top + height))


def _paint_symbol(canvas: Canvas, element: Element, symbol: Image.Image) -> None:
    """Paste a proven symbol, quiet zone and all, in black on white whatever the box looks like."""
    left, top, width, height = element.box
    spare_x, spare_y = width - symbol.width, height - symbol.height
    x = left + {"left": 0, "right": spare_x}.get(element.align, spare_x // 2)
    y = top + {"top": 0, "bottom": spare_y}.get(element.valign, spare_y // 2)
    canvas.image.paste(canvas.white, (x, y, x + symbol.width, y + symbol.height))
    canvas.image.paste(canvas.black, (x, y), symbol)


def _paint_price(canvas: Canvas, element: Element, content: Content) -> None:
    if content.price_minor is None:
        raise Refused("this template shows a price, and the content has none")
    left, top, width, height = element.box
    if element.paper:
        _fill(canvas, element, canvas.paper(element))
    pad = 4 if element.paper else 0
    room = (width - 2 * pad, height - 2 * pad)
    parts = lay_price(content.price_minor, canvas.style, *room, element.sizes[0], element.align)
    spare = room[1] - max(part.y + part.mask.image.height for part in parts)
    top_gap = min(part.y for part in parts)
    lift = {"top": top_gap, "bottom": -spare}.get(element.valign, (top_gap - spare) // 2)
    for part in parts:
        at = (left + pad + part.x, top + pad + part.y - lift)
        canvas.image.paste(canvas.ink(element), at, part.mask.image)


def _paint_text(canvas: Canvas, element: Element, text: str) -> None:
    left, top, width, height = element.box
    if element.paper:
        _fill(canvas, element, canvas.paper(element))
        inset = min(6, height // 4)
        left, width = left + inset, width - 2 * inset
    language = canvas.style.language
    lines, size_px = fit(text, element.font, element.sizes, (width, height, element.lines), language)
    ink = canvas.ink(element)
    block = line_height(size_px) * (len(lines) - 1) + size_px
    y = top + {"top": 0, "bottom": height - block}.get(element.valign, (height - block) // 2)
    for line in lines:
        drawn = mask(line, element.font, size_px, language)
        spare = width - drawn.image.width
        x = left + {"left": 0, "right": spare}.get(element.align, spare // 2)
        canvas.image.paste(ink, (x, y + round(size_px * 0.86) + drawn.top), drawn.image)
        if element.strike:
            middle = y + round(size_px * 0.86) - round(size_px * 0.36)
            canvas.image.paste(ink, (x - 1, middle, x + drawn.image.width + 1, middle + max(1, size_px // 10)))
        y += line_height(size_px)

"""Faces that the tests of this folder share: sizes, palettes, contents of all kinds."""

from dataclasses import replace

from gateway.prices.face import Content, Panel, style_for
from gateway.prices.face_templates import Element, layout_for

COLORS = {
    "BW": ("white", "black"),
    "BWR": ("white", "black", "red"),
    "BWY": ("white", "black", "yellow"),
    "BWRY": ("white", "black", "red", "yellow"),
}
DRAWN_FOR = [(152, 152), (212, 104), (296, 128), (122, 250), (400, 300), (800, 480)]
SCALED = [(200, 200), (250, 122), (296, 152), (384, 168), (360, 184), (640, 384), (648, 480), (960, 768)]
CNY = style_for("CNY", ["zh-Hans", "en"])
BWR = Panel(296, 128, COLORS["BWR"])
JUICE = Content("06901234567892", "苹果汁 1L", 1290, "CNY", 2580, "kg", net_content="1 L", sku="A-17")
OFFER = replace(JUICE, promo="双11 限时特惠", was_minor=1590, price_minor=990)
SPARE = Content(None, "", None, None, label="0000021B2C3D4E5F")


def with_check_digit(digits: str) -> str:
    return digits + str(-sum(int(d) * (3, 1)[place % 2] for place, d in enumerate(reversed(digits))) % 10)


def element(template: str, size: tuple[int, int], field: str) -> Element:
    return next(one for one in layout_for(template, *size).elements if one.field == field)


def corners(box: tuple[int, int, int, int]) -> tuple[int, int, int, int]:
    left, top, width, height = box
    return left, top, left + width, top + height

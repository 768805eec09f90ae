"""A picture of real faces for people to look at: `python -m gateway.prices.face_sheet docs/faces.png`.

For the README and for whoever changes a template. Nothing of the running gateway uses it.
"""

import sys
from pathlib import Path

from PIL import Image

from gateway.prices.face import Content, Job, Panel, as_image, draw, stamp, style_for

_GAP = 16  # between labels
_BEZEL = 5
_SHELF, _CASE = (203, 210, 217), (250, 250, 250)
_CNY, _EUR, _USD, _JPY = style_for("CNY", ["zh"]), style_for("EUR", ["de"]), style_for("USD"), style_for("JPY", ["ja"])
_BW, _BWR, _BWY, _BWRY = (
    ("white", "black"),
    ("white", "black", "red"),
    ("white", "black", "yellow"),
    ("white", "black", "red", "yellow"),
)

# Columns of labels: the sizes that shops use most, one currency and script each.
COLUMNS: list[list[Job]] = [
    [
        (
            Content("04006381333931", "Kaffee Crema, ganze Bohne, 1 kg", 1149, "EUR", 1149, "kg",
                    was_minor=1599, promo="Aktion der Woche", net_content="1 kg", sku="40811"),
            Panel(400, 300, _BWRY),
            _EUR,
        ),
    ],
    [
        (
            Content("06901234567892", "有机苹果汁 鲜榨 1L", 1290, "CNY", 1290, "L", net_content="1 L", sku="A-17"),
            Panel(296, 128, _BW),
            _CNY,
        ),
        (
            Content("00012345678905", "Organic Fair Trade Coffee Beans", 899, "USD", 1198, "lb",
                    was_minor=1099, promo="This week only", net_content="12 oz"),
            Panel(296, 128, _BWR),
            _USD,
        ),
    ],
    [
        (
            Content("06901234567892", "农夫山泉饮用天然水 12瓶", 2990, "CNY", 166, "L",
                    was_minor=3990, promo="双11 限时特惠"),
            Panel(152, 152, _BWR),
            _CNY,
        ),
        (
            Content("04901234567894", "おいしい牛乳 1000ml", 258, "JPY", 26, "100ml",
                    was_minor=298, promo="本日のおすすめ"),
            Panel(212, 104, _BWY),
            _JPY,
        ),
    ],
    [(Content(None, "", None, None, label="0000021B2C3D4E5F"), Panel(122, 250, _BW), _USD)],
]  # fmt: skip


def contact_sheet(columns: list[list[Job]]) -> Image.Image:
    """Return the faces of each column below one another, in the frame of a label, without scaling."""
    widths = [max(panel.width for _, panel, _ in column) + 2 * _BEZEL for column in columns]
    heights = [sum(panel.height + 2 * _BEZEL + _GAP for _, panel, _ in column) for column in columns]
    sheet = Image.new("RGB", (sum(widths) + _GAP * (len(columns) + 1), max(heights) + _GAP), _SHELF)
    x = _GAP
    for column, width in zip(columns, widths, strict=True):
        y = _GAP
        for content, panel, style in column:
            face = as_image(stamp(draw(content, panel, style), panel, 4711), panel).convert("RGB")
            left = x + (width - panel.width - 2 * _BEZEL) // 2
            sheet.paste(_CASE, (left, y, left + panel.width + 2 * _BEZEL, y + panel.height + 2 * _BEZEL))
            sheet.paste(face, (left + _BEZEL, y + _BEZEL))
            y += panel.height + 2 * _BEZEL + _GAP
        x += width + _GAP
    return sheet


if __name__ == "__main__":
    target = Path(sys.argv[1])
    contact_sheet(COLUMNS).quantize(16).save(target, optimize=True)

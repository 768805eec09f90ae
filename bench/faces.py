"""How many faces a second one core draws: cold (product never seen), warm (new price of a known product), naive.

Naive = the obvious program: Pillow text calls, QR and bar code made anew for each face. Same faces, same run, so the
ratio says more than the figures. Process time: what other programs take meanwhile is not counted.
"""

import platform
import random
import time
from collections.abc import Callable

import PIL
import segno
from PIL import Image, ImageDraw

from gateway.prices.face import Content, Panel, Style, draw, style_for
from gateway.prices.face_bars import ean_13
from gateway.prices.face_fonts import load, stack
from gateway.prices.face_money import write_money

FACES = 1000
ROUNDS = 5
PANELS = [
    Panel(152, 152, ("white", "black")),
    Panel(212, 104, ("white", "black", "red")),
    Panel(296, 128, ("white", "black", "red")),
    Panel(296, 128, ("white", "black", "red", "yellow")),
    Panel(400, 300, ("white", "black", "red")),
    Panel(800, 480, ("white", "black", "red", "yellow")),
]
WORDS = [
    "苹果汁",
    "有机",
    "纯牛奶",
    "家庭装",
    "巧克力",
    "饼干",
    "Organic",
    "Coffee",
    "Beans",
    "Milk",
    "Cookies",
    "500g",
]


def main() -> None:
    chance = random.Random(296128)
    style = style_for("CNY", ["zh-Hans", "en"])
    print(
        f"faces a second, one core, {FACES} products, best of {ROUNDS} (cold: once); "
        f"Python {platform.python_version()}, Pillow {PIL.__version__}, {platform.machine()}"
    )
    print(
        f"{'panel':>14} {'cold':>8} {'warm':>8} {'warm, offer':>12} {'naive':>8} {'warm/naive':>11} {'cold/naive':>11}"
    )
    for panel in PANELS:
        _measure(panel, style, chance)


def _measure(panel: Panel, style: Style, chance: random.Random) -> None:
    def ours(content: Content) -> bytes:
        return draw(content, panel, style)

    products = [_product(chance) for _ in range(FACES)]
    offers = [_offer(one) for one in products]
    cold = _rate(ours, products)
    warm = max(_rate(ours, _prices(products, chance)) for _ in range(ROUNDS))
    _rate(ours, offers)
    offer = max(_rate(ours, _prices(offers, chance)) for _ in range(ROUNDS))
    naive = max(_rate(lambda one: _naive(one, panel, style), products[: FACES // 5]) for _ in range(2))
    name = f"{panel.width}x{panel.height} {'BWRY'[: len(panel.colors)]}"
    print(f"{name:>14} {cold:8.0f} {warm:8.0f} {offer:12.0f} {naive:8.0f} {warm / naive:11.1f} {cold / naive:11.1f}")


def _rate(work: Callable[[Content], object], contents: list[Content]) -> float:
    start = time.process_time()
    for content in contents:
        work(content)
    return len(contents) / (time.process_time() - start)


def _product(chance: random.Random) -> Content:
    digits = f"069{chance.randrange(10**10):010d}"
    check = -sum(int(digit) * (3 if place % 2 == 0 else 1) for place, digit in enumerate(reversed(digits))) % 10
    name = f"{' '.join(chance.sample(WORDS, 4))} {chance.randrange(1000)}"
    price = chance.randrange(100, 20_000)
    return Content(
        f"{digits}{check}", name, price, "CNY", price * 2, "kg", net_content="1 L", sku=f"A-{chance.randrange(10**5)}"
    )


def _offer(content: Content) -> Content:
    return Content(**{**_said(content), "promo": "限时特惠 第二件半价", "was_minor": 25_000})


def _prices(contents: list[Content], chance: random.Random) -> list[Content]:
    """Return the same products with other prices: what a price wave changes."""
    return [
        Content(
            **{**_said(one), "price_minor": (price := chance.randrange(100, 20_000)), "unit_price_minor": 2 * price}
        )
        for one in contents
    ]


def _said(content: Content) -> dict[str, object]:
    return {key: value for key, value in vars(content).items() if key != "key"}


def _naive(content: Content, panel: Panel, style: Style) -> bytes:
    image = Image.new("L", (panel.width, panel.height), 0)
    pencil = ImageDraw.Draw(image)
    pencil.fontmode = "1"
    path = stack("regular")[-1]
    assert content.gtin is not None
    assert content.price_minor is not None
    assert content.unit_price_minor is not None
    pencil.text((6, 4), content.name, 1, load(path, 18, "zh"))
    pencil.text((6, 48), write_money(content.price_minor, style), 1, load(path, 48, "zh"))
    pencil.text((6, 106), f"{write_money(content.unit_price_minor, style)}/{content.unit}", 1, load(path, 14, "zh"))
    symbol = segno.make_qr(f"{style.link_base}/01/{content.gtin}", error="L")
    for y, row in enumerate(symbol.matrix):
        for x, dark in enumerate(row):
            if dark:
                pencil.rectangle((panel.width - 66 + 2 * x, 2 + 2 * y, panel.width - 65 + 2 * x, 3 + 2 * y), 1)
    for x, dark in enumerate(ean_13(content.gtin[1:])):
        if dark == "1":
            pencil.line((panel.width - 113 + x, 74, panel.width - 113 + x, 104), 1)
    return image.tobytes()


if __name__ == "__main__":
    main()

"""Faces as pixels: what must hold for every product, panel and price."""

import multiprocessing
import random
from concurrent.futures import ProcessPoolExecutor
from dataclasses import fields, replace
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some
from PIL import Image, ImageChops

from gateway.errors import Refused
from gateway.prices import face, face_paint
from gateway.prices.face import Content, Panel, as_image, draw, draw_many, stamp, style_for
from gateway.prices.face_codes import read_codes
from gateway.prices.face_glyphs import Glyph, put
from gateway.prices.face_price import lay_price
from gateway.prices.face_sheet import COLUMNS, contact_sheet
from gateway.prices.face_templates import MARK_HEIGHT, MARK_WIDTH, layout_for
from tests.prices.face_samples import (
    BWR,
    CNY,
    COLORS,
    DRAWN_FOR,
    JUICE,
    OFFER,
    SCALED,
    SPARE,
    corners,
    element,
    with_check_digit,
)


@pytest.mark.parametrize(("size", "colors"), [*product(DRAWN_FOR, COLORS), *product(SCALED, ["BWR"])])
@pytest.mark.parametrize("content", [JUICE, OFFER, SPARE], ids=["standard", "promo", "spare"])
def test_every_face_is_complete_and_its_symbols_read_back(size: tuple[int, int], colors: str, content: Content) -> None:
    panel = Panel(*size, COLORS[colors])
    pixels = draw(content, panel, CNY)
    assert len(pixels) == panel.width * panel.height
    assert max(pixels) < len(panel.colors)
    texts = read_codes(as_image(stamp(pixels, panel, 0xFFFF), panel).convert("L"))
    assert (content.label or "6901234567892") in texts
    if any(one.field == "qr" for one in layout_for(face._template(content), *size).elements):
        assert "https://id.gs1.org/01/06901234567892" in texts


def test_random_products_read_back_from_the_whole_face() -> None:
    chance = random.Random(13)
    for _ in range(60):
        gtin = with_check_digit(f"0{chance.randrange(10**12):012d}")
        panel = Panel(*chance.choice(DRAWN_FOR), COLORS["BWR"])
        content = replace(chance.choice([JUICE, OFFER]), gtin=gtin, price_minor=chance.randrange(10**6))
        texts = read_codes(as_image(draw(content, panel, CNY), panel).convert("L"))
        assert any(text.zfill(14) == gtin for text in texts), (gtin, panel, texts)


@pytest.mark.parametrize(("colors", "accent"), list({"BW": 1, "BWR": 2, "BWY": 2, "BWRY": 2}.items()))
def test_the_accent_is_red_then_yellow_then_black(colors: str, accent: int) -> None:
    panel = Panel(296, 128, COLORS[colors])
    image = Image.frombytes("L", (296, 128), draw(OFFER, panel, CNY))
    counts = image.crop(corners(element("promo", (296, 128), "promo").box)).histogram()
    assert counts.index(max(counts)) == accent


def test_a_palette_in_another_order_gives_the_same_picture() -> None:
    turned = Panel(296, 128, ("black", "red", "white"))
    ours, theirs = as_image(draw(OFFER, BWR, CNY), BWR), as_image(draw(OFFER, turned, CNY), turned)
    assert ours.convert("RGB").tobytes() == theirs.convert("RGB").tobytes()


def test_a_panel_without_black_is_refused() -> None:
    with pytest.raises(Refused, match="no black, only white, red"):
        draw(JUICE, Panel(296, 128, ("white", "red")), CNY)


@pytest.mark.parametrize("size", DRAWN_FOR + SCALED)
@pytest.mark.parametrize("price", [0, 1999, 99_999_999])
def test_the_whole_price_stands_in_its_box_and_nothing_else_does(size: tuple[int, int], price: int) -> None:
    for content, currency in product((JUICE, OFFER), ("CNY", "EUR", "JPY")):
        style = style_for(currency, ["de" if currency == "EUR" else "ja"])
        panel = Panel(*size, COLORS["BW"])
        priced = replace(content, price_minor=price, currency=currency, name="A")
        image = Image.frombytes("L", size, draw(priced, panel, style))
        one = element(face._template(content), size, "price")
        _, _, width, height = one.box
        pad = face_paint.inset(one)
        parts = lay_price(price, style, width - 2 * pad, height - 2 * pad, one.sizes[0], one.align)
        for part in parts:
            assert part.x >= 0
            assert part.y >= 0
            assert part.x + part.glyph.width <= width - 2 * pad
            assert part.y + part.glyph.height <= height - 2 * pad
        ink = sum(_ink(part.glyph) for part in parts)
        assert sum(image.crop(corners(one.box)).tobytes()) == ink > 0


def _ink(glyph: Glyph) -> int:
    alone = Image.new("L", (glyph.width, glyph.height))
    put(alone, glyph, 0, 0, 1)
    return sum(alone.tobytes())


def test_a_price_that_cannot_stand_whole_is_refused_with_price_and_box() -> None:
    with pytest.raises(Refused, match=r"the price ¥10,000,000,000\.00 does not fit its box of 112 x 42"):
        draw(replace(JUICE, price_minor=10**12), Panel(122, 250, COLORS["BW"]), CNY)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (
            {"unit_price_minor": 10**11, "unit": "kg net weight"},
            "unit_price '¥1,000,000,000.00/kg net weight' does not",
        ),
        ({"was_minor": 10**12, "promo": "x"}, "was '¥10,000,000,000.00' does not fit its box of 56 x 14"),
    ],
)
def test_unit_price_and_old_price_are_never_cut_either(change: dict[str, object], reason: str) -> None:
    with pytest.raises(Refused, match=reason):
        draw(replace(JUICE, **change), Panel(152, 152, COLORS["BW"]), CNY)  # type: ignore[arg-type]


def test_twelve_digits_are_shown_whole_where_there_is_room() -> None:
    wide = Panel(400, 300, COLORS["BW"])
    one = draw(replace(JUICE, price_minor=10**12), wide, CNY)
    other = draw(replace(JUICE, price_minor=10**12 - 1), wide, CNY)
    assert one != other


@settings(max_examples=150, deadline=None)
@given(some.lists(some.integers(0, 10**8), min_size=2, max_size=2, unique=True), some.sampled_from(DRAWN_FOR))
def test_two_prices_never_look_alike(prices: list[int], size: tuple[int, int]) -> None:
    panel = Panel(*size, COLORS["BWR"])
    one, other = (draw(replace(JUICE, price_minor=price), panel, CNY) for price in prices)
    assert one != other


def test_prices_that_differ_in_one_digit_differ_in_every_size() -> None:
    for size in DRAWN_FOR:
        panel = Panel(*size, COLORS["BW"])
        faces = {draw(replace(JUICE, price_minor=price), panel, CNY) for price in range(1000, 1100)}
        assert len(faces) == 100


def test_what_is_drawn_follows_the_content_alone() -> None:
    assert draw(OFFER, BWR, CNY) == draw(replace(OFFER), BWR, CNY)
    assert draw(JUICE, BWR, CNY) != draw(replace(JUICE, unit_price_minor=2581), BWR, CNY)
    assert draw(OFFER, BWR, CNY) != draw(replace(OFFER, was_minor=1591), BWR, CNY)


def test_an_offer_turns_standard_into_promo_and_other_names_are_asked_for() -> None:
    assert draw(replace(JUICE, template="standard"), BWR, CNY) == draw(JUICE, BWR, CNY)
    assert draw(replace(OFFER, template="promo"), BWR, CNY) == draw(OFFER, BWR, CNY)
    with pytest.raises(Refused, match=r"no face template 'xmas'; known are promo, spare, standard"):
        draw(replace(JUICE, template="xmas"), BWR, CNY)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"currency": "EUR"}, "the price is in EUR, the faces of this shop are in CNY"),
        ({"gtin": None}, "needs a product"),
        ({"price_minor": -1}, "below zero"),
        ({"name": "Pomme \U0001f34e"}, r"U\+1F34E .*RED APPLE.*take this pictogram out"),
        ({"name": "تفاح"}, "right-to-left"),
        ({"name": "ผู้"}, "combining marks"),
        ({"gtin": "6901234567892"}, "'6901234567892' is not a GTIN of 14 digits"),
        ({"gtin": "٠٦٩٠١٢٣٤٥٦٧٨٩٢"}, "not a GTIN"),
        ({"template": "../x"}, "no face template"),
    ],
)
def test_what_cannot_be_drawn_is_refused_with_the_reason(change: dict[str, object], reason: str) -> None:
    with pytest.raises(Refused, match=reason):
        draw(replace(JUICE, **change), BWR, CNY)  # type: ignore[arg-type]


def test_a_symbol_that_something_covers_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = face_paint._paint_symbol

    def spoilt(canvas: face_paint.Canvas, one: object, symbol: object) -> str:
        text = whole(canvas, one, symbol)  # type: ignore[arg-type]
        canvas.image.paste(0, (181, 60, 294, 128))
        return text

    monkeypatch.setattr(face_paint, "_paint_symbol", spoilt)
    monkeypatch.setattr(face, "_PROVEN_KINDS", set())
    with pytest.raises(Refused, match="do not read back from the face: 6901234567892"):
        draw(JUICE, BWR, CNY)


@given(some.integers(0, 2**40), some.sampled_from(DRAWN_FOR))
@settings(max_examples=60, deadline=None)
def test_a_stamp_changes_its_corner_alone(revision: int, size: tuple[int, int]) -> None:
    panel = Panel(*size, COLORS["BWRY"])
    plain = draw(OFFER, panel, CNY)
    marked = stamp(plain, panel, revision)
    changed = ImageChops.difference(Image.frombytes("L", size, plain), Image.frombytes("L", size, marked)).getbbox()
    if changed is not None:
        assert changed[0] >= panel.width - MARK_WIDTH
        assert changed[1] >= panel.height - MARK_HEIGHT


def test_no_two_of_65536_stamps_are_alike_and_neighbours_never() -> None:
    panel = Panel(MARK_WIDTH, MARK_HEIGHT, COLORS["BW"])
    paper = bytes(MARK_WIDTH * MARK_HEIGHT)
    assert len({stamp(paper, panel, revision) for revision in range(65_536)}) == 65_536
    assert stamp(paper, panel, 65_536 + 7) == stamp(paper, panel, 7)


def test_many_faces_come_back_in_order_each_with_its_own_reason() -> None:
    jobs = [(JUICE, BWR, CNY), (replace(JUICE, name="ש"), BWR, CNY), (SPARE, BWR, CNY)]
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        first, second, third = pool.submit(draw_many, jobs).result(timeout=60)
    assert first == draw(JUICE, BWR, CNY)
    assert isinstance(second, Refused)
    assert "right-to-left" in str(second)
    assert third == draw(SPARE, BWR, CNY)


def test_the_key_is_stable_and_covers_every_field() -> None:
    assert JUICE.key == "d37c935090d99823"  # kept on disk: may not change between versions or processes
    changed = [replace(JUICE, **{one.name: "x"}) for one in fields(JUICE)]
    assert len({one.key for one in [JUICE, *changed]}) == len(fields(JUICE)) + 1


def test_the_picture_for_the_readme_shows_readable_labels() -> None:
    sheet = contact_sheet(COLUMNS)
    texts = read_codes(sheet.convert("L"))
    assert {content.label or (content.gtin or "")[1:] for column in COLUMNS for content, _, _ in column} <= {
        text.zfill(13) if len(text) == 12 else text for text in texts
    }

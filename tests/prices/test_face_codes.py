"""Symbols: every kind reads back, quiet zones are wide enough, what does not fit or read is refused."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some
from PIL import Image

from gateway.errors import Refused
from gateway.prices import face_bars, face_codes
from gateway.prices.face_codes import Symbol, label_bars, link_qr, product_bars, qr, read_codes, shown_digits
from tests.prices.face_samples import with_check_digit


def read(symbol: Symbol) -> list[str]:
    return read_codes(symbol.image(ink=0, paper=255))


@settings(max_examples=100, deadline=None)
@given(some.integers(0, 10**13 - 1), some.sampled_from([1, 2, 3]), some.integers(8, 90))
def test_every_gtin_reads_back(number: int, module_px: int, height: int) -> None:
    gtin = with_check_digit(f"{number:013d}")
    texts = read(product_bars(gtin, 160 * module_px, height))
    assert any(text.removeprefix("01" if len(text) == 16 else "").zfill(14) == gtin for text in texts), texts


@pytest.mark.parametrize(
    ("gtin", "modules", "quiet"),
    [("06901234567892", 113, (11, 7)), ("00012345678905", 113, (9, 9)), ("00000012345670", 81, (7, 7))],
    ids=["EAN-13", "UPC-A", "EAN-8"],
)
def test_quiet_zones_are_those_of_the_specification(gtin: str, modules: int, quiet: tuple[int, int]) -> None:
    symbol = product_bars(gtin, 2 * modules + 1, 20)
    assert symbol.width == 2 * modules
    ink = symbol.image(ink=255, paper=0).getbbox()
    assert ink == (2 * quiet[0], 0, 2 * (modules - quiet[1]), 20)


def test_a_qr_code_keeps_four_modules_of_quiet_zone() -> None:
    symbol = link_qr("https://id.gs1.org", "09506000134352", 66, 70)
    assert (symbol.width, symbol.height) == (66, 66)
    assert symbol.image(ink=255, paper=0).getbbox() == (8, 8, 58, 58)


def test_links_of_any_product_read_back() -> None:
    chance = random.Random(25)
    for base in ("https://id.gs1.org", "https://r.example.com/shop"):
        for _ in range(25):
            gtin = with_check_digit(f"{chance.randrange(10**13):013d}")
            assert read(link_qr(base, gtin, 90, 90)) == [f"{base}/01/{gtin}"]


@settings(max_examples=60, deadline=None)
@given(some.integers(0, 16**16 - 1))
def test_every_label_id_reads_back_as_bars_and_as_qr(number: int) -> None:
    label = f"{number:016X}"
    assert read(label_bars(label, 280, 40)) == [label]
    assert read(label_bars(label, 88, 88)) == [label]


@given(some.text(alphabet=[chr(code) for code in range(33, 127)], min_size=1, max_size=12))
@settings(max_examples=60, deadline=None)
def test_code_128_draws_all_printable_characters(text: str) -> None:
    modules = face_bars.code_128(text)
    symbol = face_codes._bars("code128", text, modules, 2 * len(modules), 30)
    assert text in read(symbol)


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda: product_bars("06901234567892", 112, 30), "needs 113 x 8 pixels or more, its box has 112 x 30"),
        (lambda: product_bars("06901234567892", 113, 7), "its box has 113 x 7"),
        (lambda: product_bars("16901234567899", 153, 30), "needs 154 x 8"),
        (lambda: link_qr("https://id.gs1.org", "06901234567892", 65, 65), "needs 66 pixels"),
    ],
)
def test_what_has_no_room_is_refused(make: object, reason: str) -> None:
    with pytest.raises(Refused, match=reason):
        make()  # type: ignore[operator]


def test_a_wrong_check_digit_does_not_pass_the_read_back() -> None:
    with pytest.raises(Refused, match="6901234567890 does not read back"):
        product_bars("06901234567890", 113, 30)


def test_damaged_bars_do_not_pass_the_read_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(face_codes, "ean_13", lambda digits: face_bars.ean_13(digits).replace("01010", "00000"))
    with pytest.raises(Refused, match="6901234567885 does not read back"):
        product_bars("06901234567885", 113, 30)


def test_a_qr_code_that_cannot_be_read_tries_the_other_masks(monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[bytes] = []

    def picky(kind: str, symbol: Symbol) -> None:
        tried.append(symbol.modules)
        if len(tried) < 3:
            raise Refused(kind)

    monkeypatch.setattr(face_codes, "_prove", picky)
    assert qr("mask test", 100, 100).modules == tried[-1]
    assert len(set(tried)) == 3


@pytest.mark.parametrize(
    ("gtin", "digits"),
    [
        ("06901234567892", "6901234567892"),
        ("00012345678905", "012345678905"),
        ("00000001234565", "01234565"),
        ("16901234567899", "16901234567899"),
        ("", ""),
    ],
)
def test_digits_are_shown_as_they_were_given(gtin: str, digits: str) -> None:
    assert shown_digits(gtin) == digits


def test_ink_and_paper_take_the_palette_of_the_panel() -> None:
    symbol = product_bars("06901234567892", 113, 10)
    image = symbol.image(ink=0, paper=2)
    assert isinstance(image, Image.Image)
    assert set(image.tobytes()) == {0, 2}
    assert image.getpixel((0, 0)) == 2

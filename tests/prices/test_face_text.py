"""Text on faces: cleaned, broken, shrunk, cut with an ellipsis, and refused where no font can draw it."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some
from PIL import Image

from gateway.errors import Refused
from gateway.prices import face_fonts, face_glyphs, face_price, face_text
from gateway.prices.face import Content, draw, style_for
from gateway.prices.face_glyphs import glyphs
from gateway.prices.face_text import ELLIPSIS, clean, fit, lines_in
from tests.prices.face_samples import BWR, CNY, JUICE, corners, element

BOX = (214, 44, 2)
DRAWABLE = some.text(
    some.characters(codec="latin-1", exclude_categories=["Cc", "Cf"]) | some.sampled_from("苹果汁牛奶、。")
)


@pytest.fixture
def no_fonts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """A machine without any font package."""
    caches = (face_fonts.stack, face_fonts.font_of, face_glyphs.glyphs, face_glyphs.picture, face_text.fit)
    monkeypatch.setattr(face_fonts, "_FONTS", tmp_path)
    for cache in (*caches, face_price.lay_price, face_price._size):
        cache.cache_clear()
    yield
    for cache in (*caches, face_price.lay_price, face_price._size):
        cache.cache_clear()


@settings(max_examples=150, deadline=None)
@given(DRAWABLE, some.sampled_from(["bold", "regular"]), some.integers(30, 300), some.integers(12, 90))
def test_lines_never_leave_their_box(text: str, role: str, width: int, height: int) -> None:
    lines, size_px = fit(clean(text), role, (26, 12), (width, height, 3), "zh")
    assert 12 <= size_px <= 26
    assert 1 <= len(lines) <= max(1, min(3, lines_in(height, size_px)))
    assert all(glyphs(role, size_px, "zh").width(line) <= width for line in lines)


@settings(max_examples=150, deadline=None)
@given(DRAWABLE)
def test_nothing_is_lost_without_an_ellipsis(text: str) -> None:
    wanted = clean(text)
    shown = "".join(fit(wanted, "bold", (26, 13), BOX, "zh").lines)
    if ELLIPSIS not in shown:
        assert shown.replace(" ", "") == wanted.replace(" ", "")
    elif ELLIPSIS not in wanted:
        assert shown.endswith(ELLIPSIS)
        assert wanted.replace(" ", "").startswith(shown[:-1].replace(" ", ""))


def test_short_text_is_large_long_text_small_and_300_characters_end_in_an_ellipsis() -> None:
    assert fit("A", "bold", (26, 13), BOX, "en").size_px == 26
    assert 13 < fit("Organic Fair Trade Coffee Beans", "bold", (26, 13), BOX, "en").size_px < 26
    lines, size_px = fit("Haselnuss " * 30, "bold", (26, 13), BOX, "de")
    assert (size_px, len(lines)) == (13, 2)
    assert lines[1].endswith(ELLIPSIS)


def test_a_word_stays_whole_when_a_line_can_hold_it() -> None:
    lines = fit("Kaffee entkoffeiniert gemahlen", "bold", (16, 12), BOX, "de").lines
    assert " ".join(lines) == "Kaffee entkoffeiniert gemahlen"


def test_a_line_does_not_begin_with_a_closing_mark_nor_end_with_an_opening_one() -> None:
    for width in range(50, 220):
        lines = fit("农夫山泉，饮用天然水（塑料瓶）。", "bold", (16, 16), (width, 200, 9), "zh").lines  # noqa: RUF001
        assert not any(line[0] in "，）。" or line[-1] == "（" for line in lines), (width, lines)  # noqa: RUF001


def test_line_breaks_tabs_and_invisible_characters_become_plain_spaces_or_nothing() -> None:
    assert clean("Apple\r\n juice\t\x00 1\u00a0L\u200b\ufeff\x07 ") == "Apple juice 1 L"
    assert clean("e\u0301") == "é"
    assert clean("❤\ufe0f") == "❤"
    assert draw(replace(JUICE, name="a\nb"), BWR, CNY) == draw(replace(JUICE, name="a b"), BWR, CNY)


def test_an_empty_name_leaves_its_box_white() -> None:
    image = Image.frombytes("L", (296, 128), draw(replace(JUICE, name=" \n"), BWR, CNY))
    assert image.crop(corners(element("standard", (296, 128), "name").box)).getbbox() is None


@settings(max_examples=60, deadline=None)
@given(some.text(max_size=40))
def test_any_text_is_drawn_or_refused_never_anything_else(name: str) -> None:
    try:
        draw(replace(JUICE, name=name, promo=name[:5] or None, unit=name[:3], sku=name[-4:]), BWR, CNY)
    except Refused as refusal:
        assert "U+" in str(refusal)  # noqa: PT017 - either way is right, but the reason must name the character


def test_a_character_that_no_font_has_is_named(no_fonts: None) -> None:
    del no_fonts
    with pytest.raises(Refused, match=r"U\+82F9 苹 .*install fonts-noto-cjk \(or the small fonts-droid-fallback\)"):
        draw(JUICE, BWR, CNY)


def test_without_font_packages_latin_faces_are_still_drawn(no_fonts: None) -> None:
    del no_fonts
    style = style_for("USD", ["en"])
    content = Content("00012345678905", "Organic Coffee", 1299, "USD", 2598, "lb")
    faces = {draw(replace(content, price_minor=price), BWR, style) for price in range(1200, 1300)}
    assert len(faces) == 100


def test_glyphs_have_no_grey_and_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(face_glyphs, "_KEPT", 50)
    of = face_glyphs.Glyphs("regular", 12, "en")
    for code in range(0x4E00, 0x4E00 + 200):
        assert of[chr(code)].ink.mode == "1"
        assert len(of) <= 50


def test_chinese_latin_and_digits_share_one_line_in_one_name() -> None:
    of = glyphs("bold", 20, "zh-Hans")
    paths = {face_fonts.font_of(char, "bold", "zh-Hans") for char in "苹A1"}
    assert len(paths) == 2
    assert of.width("苹果 A1") == sum(of[char].advance for char in "苹果 A1")

"""Money as people write it, by currency and language."""

import pytest

from gateway.errors import Refused
from gateway.prices.face_money import split_money, style_for, words, write_money


@pytest.mark.parametrize(
    ("currency", "language", "minor", "text"),
    [
        ("CNY", "zh-Hans", 1290, "¥12.90"),
        ("CNY", "zh-Hans", 0, "¥0.00"),
        ("CNY", "zh-Hans", 123_456, "¥1234.56"),
        ("CNY", "zh-Hans", 1_234_567, "¥12,345.67"),
        ("EUR", "de", 1290, "12,90 €"),
        ("EUR", "de-AT", 1_234_567, "12.345,67 €"),
        ("EUR", "fr", 1_234_567, "12 345,67 €"),
        ("EUR", "nl", 5, "€0,05"),
        ("EUR", "en", 1290, "€12.90"),
        ("USD", "en", 99, "$0.99"),
        ("GBP", "en_GB", 250, "£2.50"),
        ("JPY", "ja", 258, "¥258"),
        ("KRW", "ko", 12_900, "₩12,900"),
        ("SEK", "sv", 1290, "12,90 kr"),
        ("PLN", "pl", 1290, "12,90 zł"),
    ],
)
def test_money_is_written_as_people_do(currency: str, language: str, minor: int, text: str) -> None:
    assert text == write_money(minor, style_for(currency, [language]))


def test_three_minor_digits_and_an_unknown_sign() -> None:
    assert write_money(1250, style_for("KWD", ["en"])) == "1.250 KWD"


def test_big_and_small_part() -> None:
    assert split_money(1290, style_for("CNY", ["zh"])) == ("12", "90")
    assert split_money(258, style_for("JPY", ["ja"])) == ("258", "")
    with pytest.raises(Refused, match="below zero"):
        split_money(-1, style_for("CNY", ["zh"]))


def test_a_link_base_loses_its_last_slash_and_has_a_default() -> None:
    assert style_for("CNY", ["zh"], "https://x.example/").link_base == "https://x.example"
    assert style_for("CNY", ()).link_base == "https://id.gs1.org"


def test_words_follow_the_first_part_of_the_language_and_fall_back_to_english() -> None:
    assert words("zh-Hant").offer == "特价"
    assert words("xx") == words("en")

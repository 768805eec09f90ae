"""CSV files of head office: exact money, every bad line by number."""

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import ConfigError, Refused
from gateway.hq.money import minor, written
from gateway.hq.tables import gtin14, read_bindings, read_planogram, read_prices, read_products


def put(folder: Path, text: str, encoding: str = "utf-8") -> Path:
    path = folder / "file.csv"
    path.write_bytes(text.encode(encoding))
    return path


def test_a_price_list_in_any_column_order(tmp_path: Path) -> None:
    path = put(tmp_path, "currency,was,price,gtin,promo\nCNY,15.90,12.90,6901234567892,双11\n\ncny,,0.5,96385074,\n")
    table = read_prices(path, "utf-8-sig")
    assert table.bad == []
    first, second = table.items
    assert (first.gtin, first.price_minor, first.was_minor, first.promo) == ("06901234567892", 1290, 1590, "双11")
    assert (second.gtin, second.price_minor, second.currency, second.promo) == ("00000096385074", 50, "CNY", None)


def test_every_bad_line_is_named(tmp_path: Path) -> None:
    text = (
        "gtin;price;currency\n"
        "6901234567892;12.90;CNY\n"
        "6901234567893;12.90;CNY\n"  # 3: check digit
        "6901234567892;12.905;CNY\n"  # 4: no such coin
        "6901234567892;-1;CNY\n"  # 5
        "6901234567892;;CNY\n"  # 6
        "6901234567892;1,5;CNY\n"  # 7: a comma in a semicolon file
        "6901234567892;1;CNY;surplus\n"  # 8
        "6.90123E+12;1;CNY\n"  # 9: what a spreadsheet makes of it
        "6901234567892;1;yuan\n"  # 10
        "6901234567892;1\n"  # 11: currency missing
    )
    table = read_prices(put(tmp_path, text), "utf-8-sig")
    assert len(table.items) == 1
    assert [number for number, _ in table.bad] == [3, 4, 5, 6, 7, 8, 9, 10, 11]
    assert "check digit is 3, should be 2" in table.bad[0][1]
    assert "more than 2 decimals" in table.bad[1][1]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "is empty"),
        ("gtin,price\n1,2\n", "column currency is missing"),
        ("gtin,currency\n1,CNY\n", "price or price_minor is missing"),
        ("gtin,price,currency,colour\n", "no such column colour"),
        ("gtin,price,currency,gtin\n", "twice"),
        ('gtin,price,currency\n"1,2,3\n', "not valid CSV"),
    ],
)
def test_a_file_that_makes_no_sense(tmp_path: Path, text: str, why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        read_prices(put(tmp_path, text), "utf-8-sig")


def test_a_file_of_chinese_excel(tmp_path: Path) -> None:
    path = put(tmp_path, "gtin,name:zh-Hans,net_content\n6901234567892,苹果汁,1 L\n", "gb18030")
    with pytest.raises(ConfigError, match="try --encoding gb18030"):
        read_products(path, "utf-8-sig")
    assert read_products(path, "gb18030").items[0].name == {"zh-Hans": "苹果汁"}


def test_bindings_and_planogram(tmp_path: Path) -> None:
    bound = read_bindings(
        put(tmp_path, "label,gtin,facing\n21b2c3d4e5f,6901234567892,A1\n0000021B2C3D4E60,,\n"), "utf-8"
    )
    assert [(item.label, item.gtin) for item in bound.items] == [
        ("0000021B2C3D4E5F", "06901234567892"),
        ("0000021B2C3D4E60", None),
    ]
    places = read_planogram(put(tmp_path, "facing,gtin,position,quantity\nA1,6901234567892,3,12\nA2,,x,\n"), "utf-8")
    assert (places.items[0].position, places.items[0].quantity) == (3, 12)
    assert places.bad == [(3, 'position "x" is not a whole number')]


@given(st.integers(0, 10**12), st.sampled_from(["CNY", "JPY", "KWD"]))
def test_money_written_and_read_back_is_the_same(value: int, currency: str) -> None:
    assert minor(written(value, currency), currency) == value


@given(st.text(max_size=20))
def test_any_text_is_an_amount_or_refused(text: str) -> None:
    with suppress(Refused):
        assert 0 <= minor(text, "EUR") <= 10**12


@given(st.text(max_size=16) | st.from_regex(r"[0-9]{8,14}", fullmatch=True))
def test_any_text_is_a_gtin_or_refused(text: str) -> None:
    with suppress(Refused):
        assert len(gtin14(text)) == 14


@given(data=st.binary(max_size=300))
def test_any_bytes_are_a_table_or_refused(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "any.csv"
    path.write_bytes(b"gtin,price,currency\n" + data)
    with suppress(ConfigError):
        table = read_prices(path, "utf-8-sig")
        assert all(number >= 2 and why for number, why in table.bad)

"""Real codes of each kind, calculated by hand from the GS1 General Specifications, and text that is none."""

from datetime import date

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gateway.codes import CodeTable, CodeTemplate, Decoded
from gateway.codes.gtin import check_digit, left_check_digit, upc_a, verifier_digit
from gateway.errors import Rejected

GS = "\x1d"
TABLE = CodeTable(
    [
        CodeTemplate(prefix="21", layout="PPIIIIIVVVVVC", field="price"),
        CodeTemplate(prefix="22", layout="PPIIIIKVVVVVC", field="price"),
        CodeTemplate(prefix="23", layout="PPIIIIIVVVVVC", field="weight"),
        CodeTemplate(prefix="2", layout="PIIIIIKVVVVC", field="price"),
        CodeTemplate(prefix="26", layout="PPIIIIIAAAAAWWWWWC"),
        CodeTemplate(prefix="27", layout="PPIIIIIWWWWWAAAAAC", check="left", item_gtin="6901234IIIIIC"),
    ],
    currency="156",
)


def checked(body: str) -> str:
    return body + str(check_digit(body))


@pytest.mark.parametrize(
    ("body", "digit"),
    [
        ("629104150021", 3),  # 7.9.1: EAN-13
        ("9638507", 4),
        ("04210000526", 4),
        ("37610425002123456", 9),  # SSCC of 18 digits, the same rule
        ("1540014128876", 3),
    ],
)
def test_check_digit(body: str, digit: int) -> None:
    assert check_digit(body) == digit


def test_the_rule_from_the_left_is_the_same_for_13_digits_and_another_for_18() -> None:
    assert left_check_digit("629104150021") == check_digit("629104150021") == 3
    assert left_check_digit("27001230050001234") == 4  # 1 x (2+0+1+3+0+0+0+2+4) + 3 x (7+0+2+0+5+0+1+3) = 66, to 70: 4
    assert check_digit("27001230050001234") == 6  # 3 x 12 + 1 x 18 = 54, to 60


@pytest.mark.parametrize(("value", "digit"), [("2875", 9), ("14685", 6), ("0000", 0), ("00000", 0)])
def test_verifier_digit(value: str, digit: int) -> None:
    """2875: 4+5+1+3 = 13, x 3 = 39, so 9. 14685: 5+8+7+4+0 = 24, 6 to the next ten, which 5-minus gives for 6."""
    assert verifier_digit(value) == digit


@pytest.mark.parametrize(
    ("short", "long"),
    [
        ("04252614", "042100005264"),
        ("425261", "042100005264"),
        ("0425261", "042100005264"),
        ("01234531", "012300000451"),
        ("01234543", "012340000053"),
        ("01234558", "012345000058"),
    ],
)
def test_upc_e_is_made_long(short: str, long: str) -> None:
    assert upc_a(short) == long == checked(long[:-1])


GTINS = {
    "6291041500213": "06291041500213",
    "06291041500213": "06291041500213",
    "614141000036": "00614141000036",
    "96385074": "00000096385074",
    "15400141288763": "15400141288763",
    "04252614": "00042100005264",  # EAN-8 would want a 1 at its end: it is UPC-E
    "]E06291041500213": "06291041500213",
    "]E004252614": "00042100005264",
    "]E496385074": "00000096385074",
    "]I115400141288763": "15400141288763",
    "]E3977123456700312": "09771234567003",
    "]C06291041500213": "06291041500213",
    "2501234500000": "02501234500000",  # a restricted number that no template reads is an in-store GTIN
}


@pytest.mark.parametrize(("scan", "gtin"), GTINS.items())
def test_plain_numbers(scan: str, gtin: str) -> None:
    assert TABLE.decode(scan) == Decoded(gtin, scan, "gtin")


@pytest.mark.parametrize(
    ("scan", "symbology", "gtin"),
    [
        ("6291041500213", "EAN-13", "06291041500213"),
        ("6291041500213", "]E0", "06291041500213"),
        ("6291041500213", "a name of a vendor's own", "06291041500213"),
        ("425261", "UPC_E", "00042100005264"),
        ("96385074", "ean8", "00000096385074"),
        ("15400141288763", "ITF-14", "15400141288763"),
        ("0115400141288763", "GS1-128", "15400141288763"),
    ],
)
def test_the_till_may_name_the_barcode(scan: str, symbology: str, gtin: str) -> None:
    assert TABLE.decode(scan, symbology).gtin == gtin


def test_eight_digits_that_are_both_are_not_guessed() -> None:
    both = next(
        f"0{n:07}" for n in range(1, 10**4) if checked(f"0{n:07}"[:7])[7] == checked(upc_a(f"0{n:07}")[:11])[11]
    )
    both = checked(both[:7])
    assert TABLE.decode(both, "EAN-8").gtin == both.zfill(14)
    assert TABLE.decode(both, "UPC-E").gtin == upc_a(both).zfill(14)
    with pytest.raises(Rejected, match="EAN-8 or UPC-E"):
        TABLE.decode(both)


VARIABLE = [
    (checked("210012301234"), "02100123000005", 1234, None),
    ("0" + checked("210012301234"), "02100123000005", 1234, None),
    ("]E0" + checked("210012301234"), "02100123000005", 1234, None),
    (checked("220123" + "6" + "14685"), checked("0220123000000"), 14685, None),
    (checked("230012300755"), checked("0230012300000"), None, 755_000),
    (checked("212345" + "9" + "2875"), checked("0021234500000"), 2875, None),
    ("0" + checked("212345" + "9" + "2875"), checked("0021234500000"), 2875, None),
    (checked("26001230123400500"), checked("0260012300000"), 1234, 500_000),
    ("]I0" + checked("26001230123400500"), checked("0260012300000"), 1234, 500_000),
    ("270012300500012344", checked("0690123400123"), 1234, 500_000),
]


@pytest.mark.parametrize(("scan", "gtin", "price_minor", "weight_mg"), VARIABLE)
def test_own_codes(scan: str, gtin: str, price_minor: int | None, weight_mg: int | None) -> None:
    assert TABLE.decode(scan) == Decoded(gtin, scan, "variable", weight_mg, price_minor)


def test_a_value_of_zero_is_no_price_and_the_products_own_number_stays_itself() -> None:
    decoded = TABLE.decode("02100123000005")
    assert (decoded.gtin, decoded.price_minor) == ("02100123000005", None)


ELEMENTS = f"010629104150021317261231310300050010AB/7{GS}21X-1"
GS1 = [
    "]d2" + ELEMENTS,
    "]C1" + ELEMENTS,
    "]Q3" + ELEMENTS,
    "]e0" + ELEMENTS,
    GS + ELEMENTS,
    ELEMENTS,
    ELEMENTS + GS,
    "(01)06291041500213(17)261231(3103)000500(10)AB/7(21)X-1",
    "(01) 06291041500213 (17) 261231 (3103) 000500 (10) AB/7 (21) X-1",
    "[01]06291041500213[17]261231[3103]000500[10]AB/7[21]X-1",
]
LINKS = [
    "https://id.gs1.org/01/06291041500213/10/AB%2F7/21/X-1?17=261231&3103=000500",
    "http://shop.example/some/way/01/6291041500213/21/X-1/10/AB%2F7/?3103=000500&x=1&linkType=all&17=261231#top",
    "HTTPS://EXAMPLE.COM/01/06291041500213/10/AB%2F7/21/X-1?17=261231&3103=000500",
    "]Q3https://example.com/01/06291041500213/10/AB%2F7/21/X-1?17=261231&3103=000500",
    "]Q1https://example.com/01/06291041500213/10/AB%2F7/21/X-1?17=261231&3103=000500",
]


@pytest.mark.parametrize("scan", [*GS1, *LINKS])
def test_elements_and_links_say_the_same(scan: str) -> None:
    assert TABLE.decode(scan) == Decoded(
        "06291041500213",
        scan,
        "digital_link" if "://" in scan.lower() else "gs1",
        weight_mg=500_000,
        serial="X-1",
        batch="AB/7",
        expires=date(2026, 12, 31),
    )


@pytest.mark.parametrize(
    ("elements", "field", "value"),
    [
        ("(3100)000012", "weight_mg", 12_000_000),
        ("(3105)123456", "weight_mg", 1_234_560),
        ("(3103)000000", "weight_mg", None),
        ("(3202)000001", "weight_mg", 4536),  # a hundredth of a pound is 4 535.9237 mg
        ("(3203)001000(3103)000454", "weight_mg", 454_000),  # kilograms go first, wherever they stand
        ("(3570)000001", "weight_mg", 28_350),
        ("(3922)1299", "price_minor", 1299),
        ("(3920)13", "price_minor", 1300),
        ("(3923)12990", "price_minor", 1299),
        ("(3922)999999999999999", "price_minor", 999_999_999_999_999),
        ("(3932)1561299", "price_minor", 1299),
        ("(30)12", "count", 12),
        ("(30)00", "count", None),
        ("(17)260200", "expires", date(2026, 2, 28)),
        ("(17)280200", "expires", date(2028, 2, 29)),
        ("(7003)2612312359", "expires", date(2026, 12, 31)),
        ("(15)261231", "expires", None),  # best before may be sold
        ("(17)000000", "expires", None),  # printed by labellers that were not told a date
    ],
)
def test_values_of_application_identifiers(elements: str, field: str, value: object) -> None:
    assert getattr(TABLE.decode("(01)96291041500216" + elements), field) == value


def test_the_currency_decides_what_a_decimal_is_worth() -> None:
    yen = CodeTable([CodeTemplate(prefix="21", layout="PPIIIIIVVVVVC", field="price")], minor_digits=0)
    assert yen.decode("(01)96291041500216(3920)258").price_minor == 258
    assert yen.decode(checked("210012301234")).price_minor == 1234
    dinar = CodeTable(
        [CodeTemplate(prefix="21", layout="PPIIIIIVVVVVC", field="price", price_decimals=1)], minor_digits=3
    )
    assert dinar.decode(checked("210012301234")).price_minor == 123_400


def test_an_own_code_inside_an_element_string_keeps_its_price() -> None:
    decoded = TABLE.decode("]e0010" + checked("210012301234") + "10AB")
    assert (decoded.gtin, decoded.price_minor, decoded.batch, decoded.kind) == ("02100123000005", 1234, "AB", "gs1")


REFUSED = {
    "": "nothing was read",
    "6291041500217": "check digit is 7, should be 3",
    "]E06291041500217": "check digit is 7, should be 3",
    "(01)06291041500217": "check digit is 7, should be 3",
    "https://example.com/01/06291041500217": "check digit is 7, should be 3",
    "04252613": "check digit is 3, should be",
    "123456": "6 digits; a GTIN has 8, 12, 13 or 14",
    "62910415002130": "check digit is 0, should be",
    "290012301234005001": r"18 digits, and no \[\[code\]\] of that length begins with 29",
    "260012301234005002": "check digit is 2, should be 1",
    "]E0123456": "EAN-13 or UPC has 8, 12, 13, 14 digits; 6 characters",
    "]E06291041SO0213": "13 characters were read",
    "]E4425261": "EAN-8 has 8 digits",
    "]E024252614": "UPC-E begins with 0 or 1, not with 2",
    checked("220123" + "5" + "14685"): "verifier digit of the value is 5, should be 6",
    "hello": "neither a GTIN",
    "]": "neither a GTIN",
    "]Q3": "neither a GTIN",
    "]Q3x": "no application identifier at the start",
    "]C110AB": r"\(01\) is missing",
    "]C1010629104150021399": r"\(99\) does not have the form N2\+X..90",
    "]C10106291041500213ZZ": r"no application identifier after \(01\)",
    "]C1010629104150021": r"\(01\) does not have the form N2\+N14",
    f"]C1010629104150021310A{GS}0196291041500216": r"\(01\) stands twice",
    "(01)06291041500213(17)261331": r"\(17\)",
    "(01)06291041500213(17)260230": "there is no such day",
    "(01)06291041500213(17)260031": "there is no such day",
    "(01)06291041500213(18)260230": r"\(18\) is no application identifier",
    "(1)0106291041500213": "brackets",
    "(0106)291041500213": r"\(0106\) is no application identifier",
    "(01)06291041500213()": "brackets",
    "(01)06291041500213(": "brackets",
    "(01)06291041500213(3923)1299": "price has 3 decimals, the currency has 2",
    "(01)06291041500213(3932)9781299": "currency 978",
    "https://example.com/": "lacks /01/",
    "https://example.com/01": "lacks /01/",
    "https:///01/06291041500213": "lacks /01/",
    "https://example.com/01/06291041500213/summer": "after its GTIN",
    "https://example.com/01/06291041500213/17/261231": "after its GTIN",
    "https://example.com/01/%D9%A0%D9%A629104150021%D9%A3": r"\(01\) does not have the form",
    "https://example.com/01/06291041500213?3103=5": r"\(3103\) does not have the form",
    "https://example.com/01/06291041500213?01=96291041500216": "stands twice",
    "https://example.com/01/06291041500213?" + "&".join(f"a{n}=1" for n in range(65)): "web address",
    "http://[/01/06291041500213": "web address",
    "\u0666291041500213": r"character 1 is U\+0666",
    "6291041500213\r": r"character 14 is U\+000D",
    "62910415002\x0013": r"character 12 is U\+0000",
    "1" * 2049: "2049 characters; a code has at most 2048",
}


@pytest.mark.parametrize(("scan", "reason"), REFUSED.items())
def test_what_cannot_be_read_says_why(scan: str, reason: str) -> None:
    with pytest.raises(Rejected, match=reason) as refused:
        TABLE.decode(scan)
    assert len(str(refused.value)) < 160


def test_elements_are_bounded() -> None:
    weights = "".join(f"(3{kind}{n})000001" for kind in ("10", "11", "12", "13", "14", "15") for n in range(6))
    with pytest.raises(Rejected, match="more than 32 elements"):
        TABLE.decode("(01)06291041500213" + weights)


def test_a_reason_does_not_repeat_the_scan() -> None:
    card = "5555555555554444"
    for scan in (card, f"]C1{card}", f"({card})", f"https://example.com/{card}", f"x{card}"):
        with pytest.raises(Rejected) as refused:
            TABLE.decode(scan)
        assert "5555" not in str(refused.value)


MARKS = ["]C1", "]Q3", "]E0", "]E3", "]d2", "(", ")", "[", "\x1d", "\u0660", "\x00", "A"]
NUMBERS = [
    "01",
    "10",
    "17",
    "21",
    "22",
    "26",
    "30",
    "3103",
    "3922",
    "3932",
    "06291041500213",
    "000500",
    "261231",
    "156",
]
ADDRESS = ["https://", "http://", "a.example", "/01/", "/10/", "?17=", "&", "%", "%00", "%D9%A0"]
PIECES = st.sampled_from([*MARKS, *NUMBERS, *ADDRESS])
NAMES = st.sampled_from([None, "EAN-13", "UPC-E", "EAN-8", "ITF-14", "GS1-128", "]E3", "]", "QR", "\x00", ""])


@settings(max_examples=200)
@given(
    st.one_of(st.text(max_size=60), st.lists(PIECES, max_size=14).map("".join), st.from_regex(r"\A[0-9]{6,18}\Z")),
    NAMES,
)
@example("https://a.example/01/06291041500213?\u0661\u0660=A", None)
@example("(30)(01)06291041500213", None)
@example("]C1010629104150021330", None)
def test_any_text_is_read_or_rejected(scan: str, symbology: str | None) -> None:
    try:
        decoded = TABLE.decode(scan, symbology)
    except Rejected:
        return
    assert decoded.scan == scan
    assert decoded.gtin.isascii()
    assert decoded.gtin == checked(decoded.gtin[:13])


@settings(max_examples=200)
@given(st.from_regex(r"\A2[013-9][0-9]{10}\Z"))
def test_the_products_number_leads_to_itself(body: str) -> None:
    gtin = TABLE.decode(checked(body)).gtin
    assert TABLE.decode(gtin).gtin == gtin

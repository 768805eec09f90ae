"""Held to biip, whose rules were written by somebody else: regions' price and weight codes, element strings, links."""

import pytest
from biip import ParseConfig, ParseError
from biip.gs1_application_identifiers import GS1ApplicationIdentifier
from biip.gs1_digital_link_uris import GS1DigitalLinkURI
from biip.gs1_messages import GS1Message
from biip.gtin import Gtin
from biip.rcn import Rcn
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from gateway.codes import CodeTable, CodeTemplate
from gateway.codes.elements import read_bracketed, read_elements, read_link
from gateway.codes.gtin import check_digit, verifier_digit
from gateway.errors import Rejected

GS = "\x1d"
LOOSE = ParseConfig(gs1_element_strings_verify_date=False)  # dates are judged where they are used


def priced(prefix: str, layout: str, decimals: int) -> CodeTemplate:
    return CodeTemplate(prefix=prefix, layout=layout, field="price", price_decimals=decimals)


def weighed(prefix: str, layout: str, decimals: int) -> CodeTemplate:
    return CodeTemplate(prefix=prefix, layout=layout, field="weight", weight_decimals=decimals)


def counted(prefix: str) -> CodeTemplate:
    return CodeTemplate(prefix=prefix, layout="PPIIIIKVVVVVC", field="count")


NORDIC = "PPIIIIIIVVVVC"
GERMAN = "PPIIIIKVVVVVC"
DANISH = "PPIIIIVVVVVVC"
NORDIC_WEIGHTS = [weighed(str(23 + n), NORDIC, 3 - n) for n in range(3)]
NORDIC_PRICES = [priced(str(20 + n), NORDIC, 2 - n) for n in range(3)]
REGIONS = {
    "no": NORDIC_PRICES + NORDIC_WEIGHTS,
    "se": NORDIC_PRICES + NORDIC_WEIGHTS,
    "fi": NORDIC_WEIGHTS,
    "ee": NORDIC_WEIGHTS,
    "lv": NORDIC_WEIGHTS,
    "lt": NORDIC_WEIGHTS,
    "de": [
        *(priced(prefix, GERMAN, 2) for prefix in ("22", "23")),
        *(counted(prefix) for prefix in ("25", "26")),
        *(weighed(prefix, GERMAN, 3) for prefix in ("28", "29")),
    ],
    "gb": [priced("20", "PPIIIIIKVVVVC", 2)],
    "dk": [priced(str(n), DANISH, 2) for n in range(21, 25)]
    + [weighed("26", DANISH, 3), weighed("27", "PPIIIIIVVVVVC", 3), weighed("28", DANISH, 3)],
}


@pytest.mark.parametrize("region", REGIONS)
@settings(max_examples=150)
@given(body=st.from_regex(r"\A2[0-9]{11}\Z"), right=st.booleans())
def test_a_regions_codes_read_as_biip_reads_them(region: str, body: str, *, right: bool) -> None:
    templates = REGIONS[region]
    template = next((one for one in templates if body.startswith(one.prefix)), None)
    if template is not None and right and (place := template.layout.find("K")) > 0:
        body = body[:place] + str(verifier_digit(body[place + 1 :])) + body[place + 1 :]
    code = body + str(check_digit(body))
    table = CodeTable(templates)
    try:
        theirs = Gtin.parse(code, config=ParseConfig(rcn_region=region))
    except ParseError:
        with pytest.raises(Rejected, match="verifier digit"):
            table.decode(code)
        return
    ours = table.decode(code)
    assert isinstance(theirs, Rcn)
    assert ours.gtin == theirs.without_variable_measure().as_gtin_14()
    assert (ours.price_minor or 0) == (theirs.price or 0) * 100
    assert (ours.weight_mg or 0) == (theirs.weight or 0) * 1_000_000
    assert (ours.count or 0) == (theirs.count or 0)


FIXED = [
    "0106291041500213",
    "17261231",
    "3103000500",
    "3202001000",
    "2012",
    "11260101",
    "7003",
    "4100000000000000",
]
OPEN = ["10", "21", "22", "240", "3922", "3932156", "37", "30", "91", "235", "400", "8200", "99"]
TEXT = st.text("ABCabc0123456789-/%!?", max_size=22)
ELEMENT = st.one_of(
    st.sampled_from(FIXED),
    st.builds(lambda head, text, end: head + text + end, st.sampled_from(OPEN), TEXT, st.sampled_from([GS, GS, ""])),
    st.from_regex(r"\A(31|32|33|39|70|41)[0-9]{2,10}\Z"),
)


def as_dict(elements: object) -> dict[str, str]:
    found: dict[str, str] = {}
    for element in elements:
        assume(found.setdefault(element.ai.ai, element.value) == element.value)
    return found


@settings(max_examples=200)
@given(st.lists(ELEMENT, min_size=1, max_size=8).map("".join))
def test_element_strings(text: str) -> None:
    try:
        theirs = as_dict(GS1Message.parse(text, config=LOOSE).element_strings)
    except ParseError:
        with pytest.raises(Rejected):
            read_elements(text)
    else:
        assert read_elements(text.lstrip(GS)) == theirs


VALUES = {
    "10": "A/b%1",
    "21": "9-x",
    "22": "2A",
    "17": "261231",
    "3103": "000500",
    "3922": "1299",
    "30": "7",
    "240": "n?&=",
}


@settings(max_examples=100)
@given(st.lists(st.sampled_from(sorted(VALUES)), unique=True))
def test_one_product_in_three_notations(identifiers: list[str]) -> None:
    found = {"01": "06291041500213"} | {ai: VALUES[ai] for ai in identifiers}
    brackets = "".join(f"({ai}){value}" for ai, value in found.items())
    message = GS1Message.parse_hri(brackets)
    assert read_bracketed(brackets) == found
    assert read_elements(message.value) == found
    assert read_link(message.as_gs1_digital_link_uri().as_uri(domain="a.example", prefix="x")) == found


@settings(max_examples=150)
@given(st.lists(st.sampled_from(["/", "01", "10", "21", "17", "06291041500213", "A", "%2F", "?", "&", "=", "261231"])))
def test_a_link_that_biip_reads_says_the_same_here(parts: list[str]) -> None:
    link = "https://a.example/01/06291041500213" + "".join(parts)
    try:
        theirs = as_dict(GS1DigitalLinkURI.parse(link, config=LOOSE).element_strings)
    except ParseError:
        return  # ours also takes qualifiers in any order, and a "/" at the end
    assert read_link(link) == theirs


def test_every_pattern_has_the_form_that_is_relied_on() -> None:
    """The `$` is cut off to read on behind a value; an identifier is found from its first four characters."""
    known = {ai.ai: ai for ai in _every_identifier()}
    assert len(known) > 500
    assert all(one.pattern.startswith(f"^{ai}") and one.pattern.endswith("$") for ai, one in known.items())
    assert all(2 <= len(ai) <= 4 for ai in known)


def _every_identifier() -> list[GS1ApplicationIdentifier]:
    found = []
    for number in range(10_000):
        try:
            found.append(GS1ApplicationIdentifier.extract(f"{number:04}"))
        except ParseError:
            continue
    return found

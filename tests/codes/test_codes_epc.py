"""EPC decoding: the standard's own examples, an oracle by other hands (epcpy), and text that is no EPC at all."""

import string
import sys
from typing import Any
from urllib.parse import unquote

import pytest
from epcpy.utils.common import ConvertException
from epcpy.utils.parsers import hex_to_tag_encodable
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gateway.codes.elements import read_link
from gateway.codes.epc import CHARACTERS, decode, encode_sgtin96, raw_uri
from gateway.codes.gtin import check_digit
from gateway.errors import Rejected

# TDS Annex E.3: hex, scheme, GTIN, serial, URN without its head, key, Digital Link without its domain
EXAMPLES = """
3074257BF7194E4000001A85|sgtin|80614141123458|6789|sgtin:0614141.812345.6789|80614141123458|01/80614141123458/21/6789
3674257BF6B7A659B2C2BF1000000000000000000000000000|sgtin|70614141123451|32a/b|sgtin:0614141.712345.32a%2Fb|70614141123451|01/70614141123451/21/32a%2Fb
3174257BF4499602D2000000|sscc|||sscc:0614141.1234567890|106141412345678908|00/106141412345678908
3274257BF460720000000190|sgln||400|sgln:0614141.12345.400|0614141123452|414/0614141123452/254/400
3974257BF46072CD9615F8800000000000000000000000000000|sgln||32a/b|sgln:0614141.12345.32a%2Fb|0614141123452|414/0614141123452/254/32a%2Fb
3374257BF40C0E400000162E|grai||5678|grai:0614141.12345.5678|06141411234525678|8003/006141411234525678
3774257BF40C0E59B2C2BF100000000000000000000000|grai||32a/b|grai:0614141.12345.32a%2Fb|061414112345232a/b|8003/0061414112345232a%2Fb
3474257BF40000000000162E|giai||5678|giai:0614141.5678|06141415678|8004/06141415678
3874257BF59B2C2BF1000000000000000000000000000000000|giai||32a/b|giai:0614141.32a%2Fb|061414132a/b|8004/061414132a%2Fb
""".strip().splitlines()


@pytest.mark.parametrize("row", EXAMPLES)
def test_the_standards_examples(row: str) -> None:
    epc, scheme, gtin, serial, urn, key, link = row.split("|")
    epc += "0" * (len(epc) % 2)  # 202 bits end within a byte
    said = decode(epc)
    assert said is not None
    assert said == (
        scheme,
        gtin or None,
        serial or None,
        f"urn:epc:id:{urn}",
        key,
        f"https://id.gs1.org/{link}",
    )
    assert decode(epc.lower()) == said
    assert decode(epc + "0000") == said  # readers fill up
    assert decode(epc + "0100") is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "30",
        "3074257BF7194E4000001A8",  # odd
        "3074257BF7194E4000001A",  # 88 bits
        "3074257BF7194E40_0001A85",
        " 074257BF7194E4000001A85",
        "3074257BF7194E4000001A8 ",
        "+074257BF7194E4000001A85",
        "3074257BF7194E4000001A8G",
        "3074257BF7194E4000001A8٣",  # a digit of Arabic, which int() takes
        "303C257BF7194E4000001A85",  # partition 7
        "30000000000000000000000G",
        "3003FFFFFFFFC00000000001",  # company prefix above 12 digits
        "3014257BF7194E4000001A85" * 6,  # longer than a tag's memory
        "3174257BF4499602D2000001",  # bits that an SSCC reserves
        "3674257BF60000000000000000000000000000000000000000",  # a serial of no character
        "3674257BF6B7A60032C2BF1000000000000000000000000000",  # zeros before another character
        "380000000000060C183060C183060C183060C183060C18200000",  # a GIAI of 31 characters
        "3814257BF60C183060C183060C183060C183060C183060C18240",  # one bit behind the last of all characters
        "E28011700000020F1234ABCD",  # a tag's own number, nothing of GS1
        "3574257BF7194E4000001A85",  # GID: not decoded
        "000000000000000000000000",
    ],
)
def test_what_is_no_epc_of_ours(text: str) -> None:
    assert decode(text) is None


@pytest.mark.parametrize(
    ("header", "scheme"),
    [
        ("F7", "sgtin+"),
        ("F9", "sscc+"),
        ("FB", "dsgtin+"),
        ("F0", "cpi+"),
        ("F2", "sgln+"),
        ("FA", "giai+"),
        ("E6", "cpi++"),
        ("EF", "sscc++"),
        ("FC", "dsgtin++"),
        ("FD", "sgtin++"),
    ],
)
def test_a_scheme_of_tds_2_is_named_and_kept_as_hex(header: str, scheme: str) -> None:
    epc = f"{header}180614141123458004d2"
    said = decode(epc.lower())
    assert said == (scheme, None, None, raw_uri(epc.upper()), epc.upper(), None)
    assert decode(epc[:-1]) is None


def test_the_raw_urn_holds_the_bits() -> None:
    assert raw_uri("e28011700000020f1234abcd") == "urn:epc:raw:96.xE28011700000020F1234ABCD"


@given(st.one_of(st.text(max_size=130), st.text(string.hexdigits, max_size=130)))
@example("3" * 100_000)
def test_no_text_makes_an_exception(text: str) -> None:
    decode(text)


PREFIXES = {12: 40, 11: 37, 10: 34, 9: 30, 8: 27, 7: 24, 6: 20}
# header: bits; digits and bits of company prefix and reference; bits of the serial, and whether it is text
CODINGS = {
    0x30: (96, 13, 44, 38, False),
    0x31: (96, 17, 58, 24, False),
    0x32: (96, 12, 41, 41, False),
    0x33: (96, 12, 44, 38, False),
    0x34: (96, 0, 82, 0, False),
    0x36: (198, 13, 44, 140, True),
    0x37: (170, 12, 44, 112, True),
    0x38: (202, 0, 188, 0, True),
    0x39: (195, 12, 41, 140, True),
}
LETTERS = sorted(CHARACTERS)
HARD = set(':"%&/<>?')  # the oracle splits URNs at colons, and its grammar takes one hex digit behind %


def packed(draw: st.DrawFn, bits: int, *, text: bool) -> int:
    if not text:
        return draw(st.integers(0, (1 << bits) - 1))
    value, left = 0, bits
    letters = draw(st.sampled_from([LETTERS, sorted(CHARACTERS - HARD)]))
    for letter in draw(st.text(letters, max_size=bits // 7)):
        left -= 7
        value |= ord(letter) << left
    return value


@st.composite
def epcs(draw: st.DrawFn) -> str:
    """Return an EPC that is right, or nearly: numbers may be out of range, one bit may be wrong."""
    header = draw(st.sampled_from(sorted(CODINGS)))
    bits, both_digits, both_bits, serial_bits, text = CODINGS[header]
    digits = draw(st.integers(6, 12))
    loose = draw(st.integers(0, 9)) == 0
    company_bits = PREFIXES[digits]
    company = draw(st.integers(0, (1 << company_bits if loose else 10**digits) - 1))
    more_bits = both_bits - company_bits
    if both_digits == 0:
        tail = packed(draw, more_bits, text=text)
    else:
        reference = draw(
            st.integers(0, (1 << more_bits if loose else min(1 << more_bits, 10 ** (both_digits - digits))) - 1)
        )
        serial = 0 if header == 0x31 else packed(draw, serial_bits, text=text)
        tail = reference << serial_bits | serial
    body = company << (bits - 14 - company_bits) | tail
    value = header << (bits - 8) | draw(st.integers(0, 7)) << (bits - 11) | (12 - digits) << (bits - 14) | body
    if loose:
        value ^= 1 << draw(st.integers(0, bits - 9))
    padding = -bits % 16
    return f"{value << padding:0{(bits + padding) // 4}X}"


@settings(deadline=None)
@given(epcs())
def test_an_oracle_by_other_hands_agrees(epc: str) -> None:
    said, other = decode(epc), oracle(epc)
    if said is None:
        assert other is None or written_by(other, epc) != epc, other.epc_uri  # it reads what nobody may write
        return
    if set(said.serial or "") & HARD:
        return
    assert other is not None
    assert (said.scheme, said.uri, said.key) == (other.epc_uri.split(":")[3], other.epc_uri, other.gs1_key())
    assert written_by(other, epc) == epc


def oracle(epc: str) -> Any:
    try:
        return hex_to_tag_encodable(epc)
    except (ConvertException, ValueError):
        return None


def written_by(other: Any, epc: str) -> str:
    """Return what the oracle writes for its own reading of an EPC, with the filter value that stands there."""
    scheme = other.BinaryHeader(f"{int(epc[:2], 16):08b}").name
    filters = getattr(sys.modules[type(other).__module__], f"{type(other).__name__}FilterValue")
    filter_value = filters(str(int(epc[2], 16) >> 1))
    return str(other.hex(binary_coding_scheme=other.BinaryCodingScheme[scheme], filter_value=filter_value))


@settings(deadline=None)
@given(epcs())
def test_a_digital_link_says_what_the_epc_says(epc: str) -> None:
    said = decode(epc)
    if said is None or said.scheme != "sgtin" or said.digital_link is None or said.serial is None:
        return
    assert read_link(said.digital_link) == {"01": said.gtin, "21": said.serial}
    assert unquote(said.uri.split(".", 2)[2]) == said.serial


@given(st.integers(0, 10**13 - 1), st.integers(6, 12), st.integers(0, (1 << 38) - 1), st.integers(0, 7))
def test_what_is_encoded_is_decoded(number: int, prefix: int, serial: int, filter_value: int) -> None:
    gtin = f"{number:013d}{check_digit(f'{number:013d}')}"
    epc = encode_sgtin96(gtin, prefix, serial, filter_value)
    said = decode(epc)
    assert said is not None
    assert (said.gtin, said.serial, len(epc)) == (gtin, str(serial), 24)
    assert written_by(oracle(epc), epc) == epc


@pytest.mark.parametrize(
    ("gtin", "prefix", "serial", "filter_value"),
    [
        ("80614141123457", 7, 1, 1),
        ("8061414112345", 7, 1, 1),
        ("8061414112345٨", 7, 1, 1),
        ("80614141123458", 5, 1, 1),
        ("80614141123458", 13, 1, 1),
        ("80614141123458", 7, 1 << 38, 1),
        ("80614141123458", 7, -1, 1),
        ("80614141123458", 7, 1, 8),
    ],
)
def test_what_96_bits_cannot_say_is_refused(gtin: str, prefix: int, serial: int, filter_value: int) -> None:
    with pytest.raises(Rejected):
        encode_sgtin96(gtin, prefix, serial, filter_value)

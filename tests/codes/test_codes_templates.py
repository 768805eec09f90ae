"""Templates: a built code reads back, whatever the layout; mistakes and conflicts are refused with a right value."""

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from gateway.codes import CodeTable, CodeTemplate
from gateway.codes.gtin import check_digit, left_check_digit, verifier_digit
from gateway.errors import ConfigError, Rejected

MG = {"kg": 1_000_000, "lb": 453_592.37, "oz": 28_349.523125}


@st.composite
def templates(draw: st.DrawFn) -> CodeTemplate:
    length = draw(st.sampled_from([12, 13, 18]))
    prefix = draw(st.sampled_from(["2", "4"] if length == 12 else ["2", "02", "04", "20", "215", "29"]))
    value, verified = draw(st.integers(1, 5)), False
    letters = ["V" * value]
    field = draw(st.sampled_from(["price", "weight", "count"]))
    if value >= 4 and draw(st.booleans()):
        letters[0], verified = draw(st.sampled_from(["K" + letters[0], letters[0] + "K"])), True
    free = length - len(prefix) - value - verified - 1
    other = draw(st.sampled_from(["", "A", "W", "X"]))
    if length == 18 and other and (field, other) not in {("price", "A"), ("weight", "W")}:
        size = draw(st.integers(1, 5))
        letters.append(other * size)
        free -= size
    letters.insert(draw(st.integers(0, len(letters))), "I" * free)
    stated = draw(st.booleans()) or len(prefix) + free > 12
    assume(not stated or free <= 13)
    size = next(size for size in (8, 12, 13, 14) if size > free)
    return CodeTemplate(
        prefix=prefix,
        layout="P" * len(prefix) + "".join(letters) + "C",
        field=field,
        price_decimals=draw(st.sampled_from([None, 0, 1, 2])),
        weight_decimals=draw(st.integers(0, 6)),
        weight_unit=draw(st.sampled_from(["kg", "lb", "oz"])),
        check=draw(st.sampled_from(["gs1", "left", "none"])) if length == 18 else "gs1",
        item_gtin="I" * free + "9" * (size - 1 - free) + "C" if stated else None,
    )


def build(template: CodeTemplate, digits: dict[str, str]) -> str:
    """Write a code as a scale does, letter by letter."""
    digits = digits | {"P": template.prefix}
    if "K" in template.layout:
        digits["K"] = str(verifier_digit(digits["V"]))
    taken = {letter: iter(text) for letter, text in digits.items()}
    body = "".join(next(taken[letter]) for letter in template.layout[:-1])
    rule = {"gs1": check_digit, "left": left_check_digit, "none": lambda _: 7}[template.check]
    return body + str(rule(body))


@settings(max_examples=200)
@given(templates(), st.data())
def test_a_built_code_reads_back(template: CodeTemplate, data: st.DataObject) -> None:
    counts = {letter: template.layout.count(letter) for letter in "IVAWX" if letter in template.layout}
    digits = {letter: data.draw(st.from_regex(rf"\A[0-9]{{{n}}}\Z"), letter) for letter, n in counts.items()}
    decoded = CodeTable([template]).decode(build(template, digits))

    price = int(digits["V"] if template.field == "price" else digits.get("A", "0"))
    weight = int(digits["V"] if template.field == "weight" else digits.get("W", "0"))
    decimals = 2 if template.price_decimals is None else template.price_decimals
    assert decoded.kind == "variable"
    assert decoded.price_minor == (price * 10 ** (2 - decimals) or None)
    assert (decoded.weight_mg or 0) == pytest.approx(
        weight * MG[template.weight_unit] / 10**template.weight_decimals, abs=0.5
    )
    assert decoded.count == (int(digits["V"]) or None if template.field == "count" else None)
    assert digits["I"] in decoded.gtin
    assert check_digit(decoded.gtin[:13]) == int(decoded.gtin[13])


@settings(max_examples=100)
@given(templates(), st.data())
def test_the_value_does_not_change_the_product(template: CodeTemplate, data: st.DataObject) -> None:
    counts = {letter: template.layout.count(letter) for letter in "IVAWX" if letter in template.layout}
    item = data.draw(st.from_regex(rf"\A[0-9]{{{counts.pop('I')}}}\Z"))
    table = CodeTable([template])
    zero = build(template, {letter: "0" * n for letter, n in counts.items()} | {"I": item})
    full = build(template, {letter: "3" * n for letter, n in counts.items()} | {"I": item})
    assert table.decode(zero).gtin == table.decode(full).gtin
    if template.item_gtin is None and len(template.layout) != 18:
        assert table.decode(zero).gtin == zero.zfill(14)


@settings(max_examples=100)
@given(templates(), st.data())
def test_one_wrong_digit_is_noticed(template: CodeTemplate, data: st.DataObject) -> None:
    assume(template.check != "none")
    code = build(template, {letter: "1" * template.layout.count(letter) for letter in "IVAWX"})
    place = data.draw(st.integers(len(template.prefix), len(code) - 1))
    wrong = code[:place] + str((int(code[place]) + data.draw(st.integers(1, 9))) % 10) + code[place + 1 :]
    with pytest.raises(Rejected, match=r"check digit is \d, should be \d"):
        CodeTable([template]).decode(wrong)


GOOD = {"prefix": "21", "layout": "PPIIIIIVVVVVC", "field": "price"}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"layout": "PPIIIIIVVVVVVC"}, "layout has 14 letters"),
        ({"layout": "PPIIIVIIVVVVC"}, "equal letters together"),
        ({"layout": "PIIIIIIVVVVVC"}, 'begin with a P for each digit of prefix = "21", that is "PP'),
        ({"layout": "IIPPIIIVVVVVC"}, "begin with a P"),
        ({"layout": "PPIIIIIVVVVVX"}, "end with one C"),
        ({"layout": "PPIIIIIVVVVCX"}, "end with one C"),
        ({"layout": "PPXXXXXVVVVVC"}, "needs the item number"),
        ({"layout": "PPIIIIIIIIIIC", "field": None}, r"needs no \[\[code\]\]"),
        ({"field": None}, 'set field = "price"'),
        ({"layout": "PPIIIIIAAAAAC"}, "set field"),
        ({"layout": "PPIIIIAAAAVVC"}, "letter of its own"),
        ({"layout": "PPIIIIWWWWVVC", "field": "weight"}, "letter of its own"),
        ({"layout": "PPIIIIIIKVVVC"}, "4 or 5 V"),
        ({"layout": "PPIIIIIKKVVVC"}, "4 or 5 V"),
        ({"check": "left"}, "18 digits only"),
        ({"layout": "PPIIIIIIIIIIIVVVVC"}, "item_gtin is needed"),
        ({"item_gtin": "690IIIIIC"}, "item_gtin has 9 characters"),
        ({"item_gtin": "69012345IIIIC"}, "item_gtin has 4 I; layout has 5"),
        ({"item_gtin": "69I2345IIIIIC"}, "item_gtin"),
        ({"prefix": "2x"}, "prefix"),
        ({"prefix": "\u0662\u0661"}, "prefix"),
        ({"price_decimals": 5}, "price_decimals"),
        ({"decimals": 2}, "decimals"),
    ],
)
def test_a_mistake_in_a_template_is_named(change: dict[str, object], reason: str) -> None:
    CodeTemplate.model_validate(GOOD)
    with pytest.raises(ValidationError, match=reason):
        CodeTemplate.model_validate(GOOD | change)


def test_every_field_is_described() -> None:
    assert all(field.description and field.examples for field in CodeTemplate.model_fields.values())


def template(prefix: str, **more: object) -> CodeTemplate:
    layout = "P" * len(prefix) + "I" * (7 - len(prefix)) + "VVVVVC"
    return CodeTemplate.model_validate({"prefix": prefix, "layout": layout, "field": "price"} | more)


UPC_A = CodeTemplate(prefix="2", layout="PIIIIIVVVVVC", field="price")
LONG = CodeTemplate(prefix="2", layout="PIIIIIIAAAAAWWWWWC")


@pytest.mark.parametrize(("one", "other"), [(template("20"), template("2")), (template("21"), template("215")),
    (template("02"), UPC_A), (template("22"), template("22", field="weight")), (LONG, LONG)])  # fmt: skip
def test_two_templates_that_read_one_code_are_refused(one: CodeTemplate, other: CodeTemplate) -> None:
    for first, second in ((one, other), (other, one)):
        with pytest.raises(ConfigError) as refused:
            CodeTable([template("29"), first, second])
        lines = str(refused.value).splitlines()
        start = (
            f'[[code]] 3 (prefix "{second.prefix}") prefix: [[code]] 2 (prefix "{first.prefix}") reads the same codes; '
        )
        assert any(line.startswith(start) for line in lines)


def test_the_right_value_is_right() -> None:
    with pytest.raises(ConfigError, match='a free one is prefix = "22"'):
        CodeTable([template("20"), template("21"), template("20", field="weight")])
    CodeTable([template("20"), template("21"), template("22", field="weight")])
    with pytest.raises(ConfigError, match="no prefix of 1 digits is free, so remove one of the tables"):
        CodeTable([template("2"), template("2", field="weight")])


def test_the_right_value_for_a_upc_a_is_one_of_its_own() -> None:
    one, other = (CodeTemplate(prefix="20", layout="PPIIIIVVVVVC", field=field) for field in ("price", "weight"))
    with pytest.raises(ConfigError, match='a free one is prefix = "21"'):
        CodeTable([one, other])


def test_an_ean_8_is_no_own_code_whatever_its_zeros_look_like() -> None:
    table = CodeTable([template("00", allow_any_prefix=True)])
    assert table.decode("96385074", "EAN-8").kind == table.decode("96385074").kind == "gtin"
    assert table.decode("0012345123450").kind == "variable"


def test_many_templates_stand_beside_each_other() -> None:
    own = [*(template(str(prefix)) for prefix in range(20, 30)), template("04"), UPC_A, LONG]
    table = CodeTable(own)
    for one in own:
        code = build(one, {letter: "1" * one.layout.count(letter) for letter in "IVAWX"})
        assert table.decode(code) == CodeTable([one]).decode(code)
        assert table.decode(code).price_minor == 11111


@pytest.mark.parametrize("prefix", ["0", "01", "03", "1", "3", "690", "978", "99"])
def test_a_prefix_of_makers_needs_a_word(prefix: str) -> None:
    with pytest.raises(ConfigError, match=rf'1 \(prefix "{prefix}"\) prefix: makers.*allow_any_prefix = true'):
        CodeTable([template(prefix)])
    CodeTable([template(prefix, allow_any_prefix=True)])


@pytest.mark.parametrize("prefix", ["2", "02", "04", "20", "29", "299"])
def test_a_restricted_prefix_needs_none(prefix: str) -> None:
    CodeTable([template(prefix)])


def test_18_digits_may_begin_with_anything_once_the_product_has_a_number() -> None:
    shape = {"prefix": "0", "layout": "PIIIIIIWWWWWAAAAAC"}
    with pytest.raises(ConfigError, match="makers"):
        CodeTable([CodeTemplate.model_validate(shape)])
    table = CodeTable([CodeTemplate.model_validate(shape | {"item_gtin": "02IIIIII0000C"})])
    body = "0123456" + "00750" + "01234"
    decoded = table.decode(body + str(check_digit(body)))
    assert (decoded.gtin[1:13], decoded.weight_mg, decoded.price_minor) == ("021234560000", 750_000, 1234)


def test_more_decimals_than_the_currency_has_are_refused() -> None:
    with pytest.raises(
        ConfigError, match=r'1 \(prefix "21"\) price_decimals = 2: .* right value is price_decimals = 0'
    ):
        CodeTable([template("21", price_decimals=2)], minor_digits=0)

"""POSLog of both layouts: each feature as a table, and captures. What breaks or harms: `test_poslog_hostile.py`."""

from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from drivers import _poslog_values as values
from gateway.errors import BadFrame
from tests.drivers.poslog_pages import (
    DAY,
    DOCUMENTS,
    LAYOUTS,
    ZONE,
    as_text,
    document,
    goods,
    item,
    parser,
    read,
    receipt,
    tender,
    total,
    transaction,
    whole,
)

both = pytest.mark.parametrize("layout", LAYOUTS)


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.stem)
def test_captures(path: Path) -> None:
    assert as_text(whole(path.read_bytes(), currency=None)) == path.with_suffix(".json").read_text("utf-8")


def test_each_capture_holds_what_it_is_for() -> None:
    said = {path.stem: whole(path.read_bytes(), currency=None) for path in DOCUMENTS}
    kinds = {name: [one["kind"] for one in one_said["transactions"]] for name, one_said in said.items()}
    assert kinds["sales_2"] == ["sale", "other"]
    assert kinds["sales_6"] == ["sale"]
    assert kinds["returns_and_voids_2"] == kinds["returns_and_voids_6"] == ["return", "sale", "void", "other"]
    assert said["chinese_gb18030"] == said["wide_utf16"]
    problems = [problem for one in said.values() for read in one["transactions"] for problem in read["problems"]]
    assert problems == []
    assert "4111111111111111" not in as_text(said)


# The key, the times, the currency


@both
def test_key_and_times(layout: str) -> None:
    one = receipt(layout, item(1, goods("1.00")), number="000451")
    assert one.key == ("0421", "3", DAY, 451)
    assert one.end == datetime(2026, 11, 22, 9, tzinfo=UTC)  # ten o'clock in the shop's zone
    assert (one.kind, one.why, one.currency) == ("sale", "", "EUR")


@pytest.mark.parametrize(
    ("element", "reason"),
    [
        ("RetailStoreID", "no store"),
        ("WorkstationID", "no workstation"),
        ("SequenceNumber", "no sequence number"),
        ("BusinessDayDate", None),
    ],
)
def test_a_missing_key_refuses(element: str, reason: str | None) -> None:
    text = document("2", transaction("2", item(1, goods("1.00")))).decode()
    start = text.index(f"<{element}>")
    text = text[:start] + text[text.index(f"</{element}>") + len(element) + 3 :]
    one = parser()
    found = one.feed(text.encode()) + one.close()
    if reason is None:  # the calendar day stands in: one till never writes a business day
        assert [(read.business_day, read.problems) for read in found] == [
            (DAY, ("no BusinessDayDate: the calendar day is taken for it",))
        ]
    else:
        assert found == []
        assert reason in one.refused[0].reason


@pytest.mark.parametrize(
    ("text", "sequence"), [("000117", 117), ("A-77", "A-77"), ("9" * 18, 10**18 - 1), ("9" * 19, "9" * 19), ("٣", "٣")]
)
def test_sequence_numbers(text: str, sequence: int | str) -> None:
    assert receipt("2", item(1, goods("1.00")), number=text).sequence == sequence


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("2026-11-22T15:21:49.3991907+01:00", datetime(2026, 11, 22, 14, 21, 49, 399190, UTC)),
        ("2026-11-22T15:21:49Z", datetime(2026, 11, 22, 15, 21, 49, tzinfo=UTC)),
        ("2026-07-01T12:00:00", datetime(2026, 7, 1, 10, tzinfo=UTC)),
    ],
)
def test_instants(text: str, at: datetime) -> None:
    assert values.instant(text, ZONE) == at


@pytest.mark.parametrize("text", ["", "yesterday", "2026-13-01T00:00:00", "0001-01-01T00:00:00+10:00"])
def test_a_wrong_time_is_named_and_left_out(text: str) -> None:
    with pytest.raises(BadFrame, match="no time"):
        values.instant(text, ZONE)
    one = receipt("2", item(1, goods("1.00")), more=f"<BeginDateTime>{text}</BeginDateTime>")
    assert one.begin is None
    assert one.end is not None
    assert [problem for problem in one.problems if "BeginDateTime" in problem]


@pytest.mark.parametrize("text", ["2026-11-22", "2026-11-22Z", "2026-11-22T00:00:00", "2026-11-22+08:00"])
def test_business_days(text: str) -> None:
    assert values.day(text) == date(2026, 11, 22)


@both
def test_another_currency_is_named(layout: str) -> None:
    one = receipt(layout, item(1, goods("1.00")), more="<CurrencyCode>USD</CurrencyCode>")
    assert (one.currency, one.problems) == ("USD", ("the transaction is in USD, the shop in EUR",))


@both
def test_a_tender_of_another_currency_counts_nothing(layout: str) -> None:
    foreign = (
        '<LineItem><SequenceNumber>2</SequenceNumber><Tender><Amount Currency="USD">5.00</Amount></Tender></LineItem>'
    )
    one = receipt(layout, item(1, goods("4.00")), foreign)
    assert [tender.amount_minor for tender in one.tenders] == [0]
    assert one.problems == ("Amount is in USD, not in EUR",)


# Money


@pytest.mark.parametrize(
    ("text", "digits", "minor", "exact"),
    [
        ("12.30", 2, 1230, True),
        ("1.290", 2, 129, True),
        ("-0.07", 2, -7, True),
        ("+5", 2, 500, True),
        (".5", 2, 50, True),
        ("1.295", 2, 130, False),
        ("556", 0, 556, True),
        ("1.5", 0, 2, False),
        ("1.2345", 3, 1235, False),
        ("999999999999999", 2, 99999999999999900, True),
    ],
)
def test_money_is_exact(text: str, digits: int, minor: int, *, exact: bool) -> None:
    (one,) = read(document("2", transaction("2", item(1, goods(text)))), minor_digits=digits)
    assert one.lines[0].amount_minor == minor
    assert (one.problems == ()) is exact


@pytest.mark.parametrize("text", ["12,30", "1e3", "NaN", "Infinity", "1_000", "٣", "--1", "1 000", "9" * 16, "0x1"])
def test_what_is_no_number_refuses_the_transaction(text: str) -> None:
    good = transaction("6", item(1, goods("1.00")), number="8")
    one = parser()
    found = one.feed(document("6", transaction("6", item(1, goods(text))), good)) + one.close()
    assert [read.sequence for read in found] == [8]
    assert one.error is None
    (refusal,) = one.refused
    assert (refusal.index, refusal.line) == (1, 1)
    assert refusal.reason.startswith("0421/3/")
    assert "ExtendedAmount is no number" in refusal.reason


# Lines


@both
@pytest.mark.parametrize(
    ("quantity", "thousandths", "weight_mg"),
    [
        ("<Quantity>2</Quantity>", 2000, None),
        ('<Quantity UnitOfMeasureCode="EA" Units="1">2</Quantity>', 2000, None),
        ('<Quantity UnitOfMeasureCode="UN" Units="">1</Quantity>', 1000, None),
        ('<Quantity UnitOfMeasureCode="KGM" Units="0.456">1</Quantity>', 1000, 456_000),
        ('<Quantity UnitOfMeasureCode="KGM" Units="1">0.456</Quantity>', 456, 456_000),
        ('<Quantity UnitOfMeasureCode="Kg" Units="0.127">0.127</Quantity>', 127, 127_000),
        ('<Quantity UnitOfMeasureCode="GRM" UnitCount="250">2</Quantity>', 2000, 500_000),
        ('<Quantity UnitOfMeasureCode="LBR">1.5</Quantity>', 1500, 680_389),
        ('<Quantity UnitOfMeasureCode="斤">2.5</Quantity>', 2500, 1_250_000),
        ('<Quantity UnitOfMeasureCode="Kg">0.5</Quantity><Quantity UnitOfMeasureCode="EA">3</Quantity>', 3000, 500_000),
        ("", 1000, None),
    ],
)
def test_quantities(layout: str, quantity: str, thousandths: int, weight_mg: int | None) -> None:
    one = receipt(layout, item(1, goods("1.00", quantity)))
    assert (one.lines[0].quantity_thousandths, one.lines[0].weight_mg) == (thousandths, weight_mg)
    assert one.problems == ()


def test_a_quantity_that_is_too_fine_is_named() -> None:
    one = receipt("2", item(1, goods("1.00", "<Quantity>0.4567</Quantity>")))
    assert one.lines[0].quantity_thousandths == 457
    assert one.problems == ("line 1: quantity 0.4567 is finer than thousandths",)


@both
@pytest.mark.parametrize(
    ("body", "gtin", "name", "raw"),
    [
        ("<ItemID>4012345678901</ItemID>", "04012345678901", "4012345678901", "4012345678901"),
        ("<ItemID>4012345678902</ItemID>", None, "4012345678902", "4012345678902"),  # a wrong check digit
        ('<ItemID Type="X:EAN">48</ItemID>', None, "48", "48"),
        ('<ItemID Type="EAN">96385074</ItemID>', "00000096385074", "96385074", "96385074"),
        ("<ItemID>96385074</ItemID>", None, "96385074", "96385074"),  # eight digits that nobody calls a GTIN
        ('<ItemID Name="Canned OCEAN fish">96385074</ItemID>', None, "96385074", "96385074"),
        ("<ItemID>00000000067591</ItemID>", None, "00000000067591", "00000000067591"),  # a PLU with zeros before it
        (
            '<ItemID>32</ItemID><POSIdentity POSIDType="EAN"><POSItemID>4012345678901</POSItemID></POSIdentity>',
            "04012345678901",
            "32",
            "4012345678901",
        ),
        (
            '<ItemID>1607701</ItemID><SerialNumber Type="GTIN">04012345678918</SerialNumber>',
            "04012345678918",
            "1607701",
            "04012345678918",
        ),
        (  # an in-store number and the maker's own: the maker's
            "<ItemID>2022854437939</ItemID><POSIdentity><POSItemID>4012345678901</POSItemID></POSIdentity>",
            "04012345678901",
            "2022854437939",
            "4012345678901",
        ),
        ("", None, None, None),
    ],
)
def test_identities(layout: str, body: str, gtin: str | None, name: str | None, raw: str | None) -> None:
    line = receipt(layout, item(1, f"{body}<ExtendedAmount>1.00</ExtendedAmount>")).lines[0]
    assert (line.gtin, line.item, line.raw) == (gtin, name, raw)


@both
def test_returns_by_either_form(layout: str) -> None:
    by_element = receipt(
        layout, item(1, goods("1.99"), kind="Return"), tender(2, "1.99", code="Refund"), total("-1.99")
    )
    by_sign = receipt(
        layout, item(1, goods("1.99", "<Quantity>-1.0000</Quantity>")), tender(2, "-1.99"), total("-1.99")
    )
    for one in (by_element, by_sign):
        line = one.lines[0]
        assert (one.kind, line.returned, line.quantity_thousandths, line.amount_minor) == ("return", True, -1000, -199)
        assert [tender.amount_minor for tender in one.tenders] == [-199]
        assert one.problems == ()


@both
def test_an_exchange_is_a_sale(layout: str) -> None:
    one = receipt(layout, item(1, goods("2.00")), item(2, goods("0.50"), kind="Return"), total("1.50"))
    assert (one.kind, [line.amount_minor for line in one.lines], one.problems) == ("sale", [200, -50], ())


@both
@pytest.mark.parametrize(
    "void",
    [
        item(3, goods("-4.40", "<Quantity>-1</Quantity>"), flags='VoidFlag="true"'),  # a twin with the opposite sign
        item(3, goods("4.40", more="<ItemLink>1</ItemLink>"), flags='VoidFlag="true"'),  # a link to the line
        item(3, goods("9.99", name="C"), flags='CancelFlag="true"'),  # the line itself
        item(3, goods("9.99", name="C"), flags='DeleteFlag="1"'),
    ],
)
def test_line_voids(layout: str, void: str) -> None:
    lines = item(1, goods("4.40")), item(2, goods("4.40", name="B"))
    gone = "4.40" in void
    one = receipt(layout, *lines, void, total("4.40" if gone else "8.80"))
    assert [line.voided for line in one.lines] == [gone, False, True]
    assert (one.kind, one.problems) == ("sale", ())


@both
@pytest.mark.parametrize(
    ("options", "kind", "why"),
    [
        ({"flags": 'TrainingModeFlag="True"'}, "other", "training"),
        ({"flags": 'SuspendedFlag="true"'}, "other", "suspended"),
        ({"flags": 'CancelFlag="1"'}, "other", "cancelled"),
        ({"flags": 'VoidedFlag="true"'}, "void", "voided"),
        ({"flags": 'TypeCode="VoidTransaction"'}, "void", "voidtransaction"),
        ({"retail_flags": 'TransactionStatus="Voided"'}, "void", "voided"),
        ({"retail_flags": 'TransactionStatus="PostVoided"'}, "void", "postvoided"),
        ({"retail_flags": 'TransactionStatus="Suspended"'}, "other", "suspended"),
        ({"retail_flags": 'TransactionStatus="Canceled"'}, "other", "canceled"),
        ({"retail_flags": 'TransactionStatus="Finished"'}, "sale", ""),
        ({"flags": 'TrainingModeFlag="true" VoidedFlag="true"'}, "other", "training"),
    ],
)
def test_kinds(layout: str, options: dict[str, str], kind: str, why: str) -> None:
    one = receipt(layout, item(1, goods("1.00")), total("5.00") if kind != "sale" else "", **options)
    assert (one.kind, one.why, one.problems) == (kind, why, ())


@both
def test_an_unknown_status_is_named(layout: str) -> None:
    one = receipt(layout, item(1, goods("1.00")), retail_flags='TransactionStatus="Reopened"')
    assert one.problems == ("TransactionStatus 'reopened' is not known",)


@both
def test_a_post_void_names_what_it_takes_back(layout: str) -> None:
    shop = (
        "<RetailStoreID>0421</RetailStoreID>" if layout == "2" else "<BusinessUnit><UnitID>0421</UnitID></BusinessUnit>"
    )
    day = "2026-11-22" if layout == "2" else "<Date>2026-11-22</Date>"
    link = (
        f'<TransactionLink ReasonCode="PostVoid">{shop}<WorkstationID>3</WorkstationID>'
        f"<BusinessDayDate>{day}</BusinessDayDate><SequenceNumber>6</SequenceNumber></TransactionLink>"
    )
    for one in (receipt(layout, link, item(1, goods("1.00"))), receipt(layout, item(1, goods("1.00")), more=link)):
        assert (one.kind, one.why) == ("void", "post-void")
        assert one.link is not None
        assert (one.link.store, one.link.workstation, one.link.business_day, one.link.sequence) == ("0421", "3", DAY, 6)


@both
def test_a_link_for_another_reason_voids_nothing(layout: str) -> None:
    link = '<TransactionLink ReasonCode="Resume"><SequenceNumber>6</SequenceNumber></TransactionLink>'
    one = receipt(layout, link, item(1, goods("1.00")))
    assert (one.kind, one.link and one.link.reason) == ("sale", "Resume")


def test_no_receipt_and_an_empty_one_are_no_sales() -> None:
    text = document("2", transaction("2", "")).decode()
    (empty,) = read(text.encode())
    (control,) = read(text.replace("RetailTransaction", "ControlTransaction").encode())
    (voided,) = read(document("2", transaction("2", item(1, goods("1.00"), flags='VoidFlag="true"'))))
    kinds = [(one.kind, one.why) for one in (empty, control, voided)]
    assert kinds == [("other", "no items"), ("other", "no retail transaction"), ("void", "every line voided")]


# Discounts

REGULAR = "<RegularSalesUnitPrice>5.00</RegularSalesUnitPrice>"
OFF = '<RetailPriceModifier><Amount Action="Subtract">0.50</Amount></RetailPriceModifier>'


@both
@pytest.mark.parametrize(
    ("amount", "more", "paid", "off"),
    [
        ("5.00", REGULAR + OFF, 450, 50),  # the amount is before the discount
        ("4.50", REGULAR + OFF, 450, 50),  # the amount is after it
        ("5.00", REGULAR + "<ExtendedDiscountAmount>0.50</ExtendedDiscountAmount>", 450, 50),
        ("4.50", REGULAR + "<DiscountAmount>0.50</DiscountAmount>", 450, 50),
        ("5.50", REGULAR + OFF.replace("Subtract", "Add"), 550, -50),
        ("5.00", REGULAR + OFF + OFF + "<ExtendedDiscountAmount>1.00</ExtendedDiscountAmount>", 400, 100),
        ("5.00", OFF, 450, 50),  # only the total tells
        ("4.50", OFF, 450, 50),
    ],
)
def test_line_discounts(layout: str, amount: str, more: str, paid: int, off: int) -> None:
    one = receipt(layout, item(1, goods(amount, more=more)), total(f"{paid / 100:.2f}"))
    assert (one.lines[0].amount_minor, one.lines[0].discount_minor, one.problems) == (paid, off, ())


@both
@pytest.mark.parametrize("element", ["Discount", "RetailPriceModifier"])
def test_transaction_discounts(layout: str, element: str) -> None:
    off = f"<LineItem><SequenceNumber>2</SequenceNumber><{element}><Amount>1.00</Amount></{element}></LineItem>"
    taken = receipt(layout, item(1, goods("5.00")), off, total("4.00"))
    assert (taken.discount_minor, taken.lines[0].amount_minor, taken.problems) == (100, 500, ())
    spread = receipt(layout, item(1, goods("5.00", more=REGULAR + OFF)), off, total("4.50"))
    assert (spread.discount_minor, spread.lines[0].amount_minor, spread.problems) == (0, 450, ())


@both
def test_a_discount_of_a_return_is_given_back_less(layout: str) -> None:
    one = receipt(layout, item(1, goods("5.00", more=REGULAR + OFF), kind="Return"), total("-4.50"))
    assert (one.lines[0].amount_minor, one.problems) == (-450, ())


@both
def test_an_amount_that_is_left_out_is_worked_out(layout: str) -> None:
    body = f"<ItemID>A</ItemID>{REGULAR}<Quantity>3</Quantity>"
    assert receipt(layout, item(1, body)).lines[0].amount_minor == 1500
    cheaper = "<ActualSalesUnitPrice>4.50</ActualSalesUnitPrice>"
    assert receipt(layout, item(1, body + cheaper)).lines[0].amount_minor == 1350
    one = parser()
    assert one.feed(document(layout, transaction(layout, item(1, "<ItemID>A</ItemID>")))) == []
    assert "line 1 has neither an amount nor a price" in one.refused[0].reason


# Sums and tenders


@both
@pytest.mark.parametrize(
    ("totals", "fits"),
    [
        (total("12.30"), True),
        (total("13.53") + total("1.23", "TransactionTaxAmount"), True),  # tax comes on top
        (total("14.00") + total("12.30", "TransactionNetAmount"), True),
        (total("12.40") + total("0.10", "RoundingAmount"), True),
        (total("12.40"), False),
        (total("12.40", "SomethingElse"), True),  # nothing to compare with
    ],
)
def test_sums(layout: str, totals: str, *, fits: bool) -> None:
    one = receipt(layout, item(1, goods("12.30")), totals)
    assert one.problems == (() if fits else ("lines sum to 12.30, document says 12.40",))


@both
@pytest.mark.parametrize(
    ("tenders", "amounts"),
    [
        (tender(2, "6.00", "Voucher") + tender(3, "4.00"), [600, 400]),
        (tender(2, "20.00", more="<TenderChange><Amount>10.00</Amount></TenderChange>"), [2000, -1000]),
        (tender(2, "10.00", more="<TenderChange><Amount>10.00</Amount></TenderChange>"), [2000, -1000]),  # what stayed
        (
            tender(2, "20.00") + tender(3, "0", more="<TenderChange><Amount>10.00</Amount></TenderChange>"),
            [2000, -1000],
        ),
        (
            tender(2, "20.00") + tender(3, "-10.00", more="<TenderChange><Amount>-10</Amount></TenderChange>"),
            [2000, -1000],
        ),
        (
            tender(2, "20.00")
            + "<LineItem><TenderChange><TenderChange><Amount>10.00</Amount></TenderChange></TenderChange></LineItem>",
            [2000, -1000],
        ),
        (tender(2, "30.00", "CreditDebit", "<Cashback>20.00</Cashback>"), [3000, -2000]),
        (tender(2, "30.00", "CreditDebit", "<Cashback>20.00</Cashback>") + tender(3, "-20.00"), [3000, -2000]),
        (tender(2, "10.00") + tender(3, "5.00").replace("<LineItem>", '<LineItem VoidFlag="true">'), [1000, 500]),
        (tender(2, "10.02", more="<Rounding>0.02</Rounding>"), [1002]),
        (tender(2, "10.02") + tender(3, "0.02", "X:Rounding"), [1002, 2]),
    ],
)
def test_tenders(layout: str, tenders: str, amounts: list[int]) -> None:
    one = receipt(layout, item(1, goods("10.00")), tenders, total("10.00"))
    assert [tender.amount_minor for tender in one.tenders] == amounts
    assert one.problems == ()


def test_tenders_that_do_not_pay_the_total_are_named() -> None:
    one = receipt("2", item(1, goods("10.00")), tender(2, "9.00"), total("10.00"))
    assert one.problems == ("tenders sum to 9.00, document says 10.00",)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("Cash", "cash"),
        ("x:TTID1000CASH", "cash"),
        ("CreditDebit", "credit_debit"),
        ("x:TTID3030CCARD", "credit_debit"),
        ("DKT:CreditCard", "credit_debit"),
        ("StoreCredit", "voucher"),
        ("GiftCertificate", "voucher"),
        ("GiftCard", "gift_card"),
        ("ManufacturerCoupon", "coupon"),
        ("Check", "check"),
        ("HouseAccount", "account"),
        ("支付宝", "wallet"),
        ("cDIN", "other"),
        ("", "other"),
    ],
)
def test_kinds_of_tender(name: str, kind: str) -> None:
    assert values.tender_kind(name) == kind
    assert receipt("6", item(1, goods("1.00")), tender(2, "1.00", name)).tenders[0].kind == kind


# Card numbers and people

CARDS = ["4111111111111111", "5500 0000 0000 0004", "3400-0000-0000-009", "6011000990139424", "2223003122003222"]


@both
@pytest.mark.parametrize("card", CARDS)
def test_a_card_number_is_nowhere(layout: str, card: str) -> None:
    assert values.is_card(card)
    places = (
        item(1, goods("1.00", name=card))
        + item(2, goods("1.00", more=f"<POSIdentity><POSItemID>{card}</POSItemID></POSIdentity>"))
        + item(3, goods("1.00")).replace("</Sale>", f"</Sale><ScanData>{card}</ScanData>")
        + tender(4, "3.00", card, f"<CreditDebit><PrimaryAccountNumber>{card}</PrimaryAccountNumber></CreditDebit>")
        + f"<Customer><Name>Ann Other</Name><Card>{card}</Card></Customer>"
        + f'<TransactionLink ReasonCode="{card}"/>'
        + total("3.00", card)
    )
    one = receipt(layout, places, retail_flags=f'TransactionStatus="{card}"')
    said = str(one)
    assert card not in said
    assert card[-4:] not in said
    assert "Ann" not in said
    assert "line 1: a number that looks like a card's was left out" in one.problems


@pytest.mark.parametrize("number", ["4012345678901", "4111111111111112", "260001201700045612", "123456789012", "x"])
def test_other_numbers_are_no_cards(number: str) -> None:
    assert not values.is_card(number)


def test_a_card_number_in_the_place_of_an_amount_is_not_repeated() -> None:
    one = parser()
    one.feed(document("2", transaction("2", item(1, goods("4111111111111111")))))
    assert "ExtendedAmount is no number: '#'" in one.refused[0].reason


# Namespaces and what is not understood


@pytest.mark.parametrize(
    ("start", "prefix"),
    [
        ("<POSLog>", ""),
        ('<POSLog xmlns="urn:any">', ""),
        ('<a:POSLog xmlns:a="http://www.nrf-arts.org/IXRetail/namespace/">', "a:"),
        ('<p1:POSLog xmlns:p1="urn:any" xmlns="urn:other">', "p1:"),
    ],
)
def test_any_prefix(start: str, prefix: str) -> None:
    body = (
        transaction("2", item(1, goods("1.00")))
        .replace("</", "\0")
        .replace("<", f"<{prefix}")
        .replace("\0", f"</{prefix}")
    )
    (one,) = read(f"{start}{body}</{prefix}POSLog>".encode())
    assert (one.key, one.lines[0].amount_minor, one.unknown) == (("0421", "3", DAY, 7), 100, ())


@both
def test_what_is_not_understood_is_counted(layout: str) -> None:
    foreign = '<v:Sale xmlns:v="urn:v"><v:ExtendedAmount>9.99</v:ExtendedAmount></v:Sale>'
    odd = "<Novelty><Sale><ExtendedAmount>9.99</ExtendedAmount></Sale></Novelty>"
    one = receipt(
        layout, item(1, goods("1.00", more=foreign * 2)), odd, f'<LineItem xmlns:v="urn:v" v:odd="1">{odd}</LineItem>'
    )
    assert one.unknown == (("@{urn:v}odd", 1), ("Novelty", 2), ("{urn:v}Sale", 2))
    assert [line.amount_minor for line in one.lines] == [100]


def test_elements_beside_the_transactions_are_counted() -> None:
    one = parser()
    one.feed(b"<POSLog><RetailStoreID>5</RetailStoreID><v:x xmlns:v='urn:v'><Transaction/></v:x></POSLog>")
    assert (one.close(), dict(one.unknown)) == ([], {"RetailStoreID": 1, "{urn:v}x": 1})


def test_names_that_are_not_understood_are_bounded() -> None:
    one = receipt("2", *(f"<n{number}/>" for number in range(300)))
    assert len(one.unknown) == 101
    assert dict(one.unknown)["(others)"] == 200

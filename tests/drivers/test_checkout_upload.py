"""Sales documents sent over HTTP: read as they come, kept once, and what is wrong with one is said."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from drivers import _checkout_web
from gateway.errors import StoreError
from gateway.messages import Outcome, PosTransaction
from tests.drivers.checkout_shop import TILL, Shop, open_shop, until

XML = {"Content-Type": "application/xml"}
HEAD = b'<?xml version="1.0" encoding="UTF-8"?>\n<POSLog xmlns="http://www.nrf-arts.org/IXRetail/namespace/">\n'
TAIL = b"</POSLog>\n"

LINE = """<LineItem><SequenceNumber>{}</SequenceNumber><Sale><POSIdentity><POSItemID>6901234567892</POSItemID>
 </POSIdentity><Quantity>1</Quantity><ExtendedAmount>0.00</ExtendedAmount></Sale></LineItem>"""


def transaction(number: int, lines: int = 1) -> bytes:
    more = "".join(LINE.format(line) for line in range(3, lines + 2))
    return f"""
 <Transaction><RetailStoreID>0421</RetailStoreID><WorkstationID>3</WorkstationID><SequenceNumber>{number}</SequenceNumber>
 <BusinessDayDate>2026-11-22</BusinessDayDate><EndDateTime>2026-11-22T10:00:00</EndDateTime><CurrencyCode>CNY</CurrencyCode>
 <RetailTransaction><LineItem><SequenceNumber>1</SequenceNumber><Sale><POSIdentity><POSItemID>6901234567892</POSItemID>
 </POSIdentity><Quantity>2</Quantity><RegularSalesUnitPrice>12.90</RegularSalesUnitPrice>
 <ExtendedAmount>25.80</ExtendedAmount></Sale></LineItem>
 <LineItem><SequenceNumber>2</SequenceNumber><Tender TenderType="Cash"><Amount>25.80</Amount></Tender></LineItem>
 {more}</RetailTransaction></Transaction>""".encode()


@pytest.fixture
async def shop(tmp_path: Path) -> AsyncIterator[Shop]:
    async with open_shop(tmp_path) as shop:
        yield shop


async def test_a_document_is_kept_once(shop: Shop) -> None:
    body = HEAD + b"".join(map(transaction, range(1, 1301))) + TAIL
    first = await shop.ask("POST", "/v1/poslog", body, headers=XML)
    assert first.status == 200, first.body
    assert first.json == {"accepted": 1300, "duplicates": 0, "conflicts": 0, "rejected": 0, "refused": []}
    again = await shop.ask("POST", "/v1/poslog", body, headers=XML)
    assert (again.json["accepted"], again.json["duplicates"]) == (0, 1300)
    sale = shop.tills.sales[0]
    assert (sale.workstation, sale.sequence, sale.lines[0].gtin, sale.lines[0].amount_minor) == (
        "3",
        "1",
        "06901234567892",
        2580,
    )
    told = shop.facts[0]
    assert (told.document, told.transactions, told.lines, told.refused) == (f"sent by {TILL}", 1300, 1300, 0)


@pytest.mark.parametrize(("lines", "sizes"), [(1, [50, 50, 50, 10]), (20, [25, 25, 10]), (600, [1, 1, 1])])
async def test_a_commit_is_small_so_that_tills_are_answered_in_between(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, lines: int, sizes: list[int]
) -> None:
    keep, commits = shop.tills.import_sales, list[int]()

    async def count(sales: Sequence[PosTransaction]) -> list[Outcome]:
        commits.append(len(sales))
        return await keep(sales)

    monkeypatch.setattr(shop.tills, "import_sales", count)
    body = HEAD + b"".join(transaction(number, lines) for number in range(sum(sizes))) + TAIL
    assert (await shop.ask("POST", "/v1/poslog", body, headers=XML)).json["accepted"] == sum(sizes)
    assert commits == sizes
    assert {len(sale.lines) for sale in shop.tills.sales} == {lines}


async def test_what_was_whole_before_a_document_breaks_is_kept_and_said(shop: Shop) -> None:
    body = HEAD + transaction(1) + b"<Transaction><Retail"
    answer = await shop.ask("POST", "/v1/poslog", body, headers=XML)
    assert (answer.status, answer.json["type"], answer.json["document"]["accepted"]) == (
        422,
        "urn:aisled:problem:bad-document",
        1,
    )
    assert len(shop.tills.sales) == 1
    assert shop.facts[0].first_refusal


async def test_a_bad_transaction_is_named_and_the_others_are_kept(shop: Shop) -> None:
    bad = transaction(2).replace(b"<BusinessDayDate>2026-11-22", b"<BusinessDayDate>yesterday")
    answer = await shop.ask("POST", "/v1/poslog", HEAD + transaction(1) + bad + transaction(3) + TAIL, headers=XML)
    assert (answer.status, answer.json["accepted"], answer.json["rejected"]) == (200, 2, 1)
    assert answer.json["refused"][0].startswith("transaction 2, line ")


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"", XML, 422),
        (b"{}", XML, 422),
        (b"<a><b></a>", XML, 422),
        (b'<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><POSLog>&e;</POSLog>', XML, 422),
        (HEAD + TAIL, {"Content-Type": "application/json"}, 415),
        (HEAD + TAIL, XML | {"Content-Encoding": "gzip"}, 415),
        (HEAD + TAIL, {"Content-Type": "text/xml; charset=utf-8"}, 200),
    ],
)
async def test_other_bodies(shop: Shop, body, headers, status) -> None:
    answer = await shop.ask("POST", "/v1/poslog", body, headers=headers)
    assert answer.status == status, answer.body
    assert b"root:" not in answer.body


async def test_a_document_that_is_too_large_is_refused_before_it_comes(shop: Shop) -> None:
    head = f"POST /v1/poslog HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {shop.tokens[TILL]}\r\n"
    answer = await shop.raw((head + f"Content-Type: text/xml\r\nContent-Length: {65 << 20}\r\n\r\n<").encode())
    assert answer.startswith(b"HTTP/1.1 413")


async def test_one_that_does_not_say_its_size_is_cut_at_the_limit(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    from drivers import _checkout_routes

    monkeypatch.setattr(_checkout_routes, "POSLOG_MAX", 100_000)

    async def endless():
        yield HEAD
        for number in range(1000):
            yield transaction(number)

    headers = shop.auth() | XML
    async with shop.session.post(f"{shop.url}/v1/poslog", data=endless(), headers=headers) as answer:
        assert answer.status == 413


async def test_a_document_that_drips_is_given_up(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    from drivers import _checkout_poslog

    monkeypatch.setattr(_checkout_poslog, "BODY_S", 0.1)
    assert _checkout_web.BODY_S > 1
    head = f"POST /v1/poslog HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {shop.tokens[TILL]}\r\n"
    answer = await shop.raw((head + "Content-Type: text/xml\r\nContent-Length: 100\r\n\r\n<POSLog>").encode())
    assert answer.startswith(b"HTTP/1.1 408")


async def test_one_document_at_a_time(shop: Shop) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", shop.driver.port)
    body = HEAD + transaction(1) + TAIL
    head = f"POST /v1/poslog HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {shop.tokens[TILL]}\r\nConnection: close\r\n"
    writer.write((head + f"Content-Type: text/xml\r\nContent-Length: {len(body)}\r\n\r\n").encode() + body[:50])
    await until(lambda: shop.driver._gate.seats)
    for _ in range(100):
        answer = await shop.ask("POST", "/v1/poslog", body, headers=XML)
        if answer.status != 200:  # else it came before the other
            break
    assert (answer.status, answer.json["type"], answer.headers["Retry-After"]) == (503, "urn:aisled:problem:busy", "5")
    writer.write(body[50:])
    assert b" 200 " in await reader.readline()
    writer.close()


async def test_when_the_store_refuses_it_can_be_sent_again(shop: Shop) -> None:
    shop.tills.trouble = StoreError("the disk is full")
    body = HEAD + transaction(1) + TAIL
    assert (await shop.ask("POST", "/v1/poslog", body, headers=XML)).status == 503
    shop.tills.trouble = None
    assert (await shop.ask("POST", "/v1/poslog", body, headers=XML)).json["accepted"] == 1

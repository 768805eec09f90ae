"""POSLog documents of an invented shop, in both layouts, for tests: the same receipt written as 2.x and as 6."""

import json
from collections.abc import Iterator
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from drivers._poslog import PoslogParser
from drivers._poslog_types import PoslogLimits, PosTransaction

ZONE = ZoneInfo("Europe/Berlin")
DAY = date(2026, 11, 22)
LAYOUTS = ("2", "6")
DOCUMENTS = sorted((Path(__file__).parent / "captures" / "poslog").glob("*.xml"))


def item(number: int, body: str, *, kind: str = "Sale", flags: str = "") -> str:
    return f"<LineItem {flags}><SequenceNumber>{number}</SequenceNumber><{kind}>{body}</{kind}></LineItem>"


def goods(amount: str, quantity: str = "<Quantity>1</Quantity>", *, name: str = "A", more: str = "") -> str:
    return f"<ItemID>{name}</ItemID><ExtendedAmount>{amount}</ExtendedAmount>{quantity}{more}"


def tender(number: int, amount: str, kind: str = "Cash", more: str = "", code: str = "Sale") -> str:
    body = f"<Amount>{amount}</Amount>{more}"
    return (
        f"<LineItem><SequenceNumber>{number}</SequenceNumber>"
        f'<Tender TenderType="{kind}" TypeCode="{code}">{body}</Tender></LineItem>'
    )


def total(amount: str, kind: str = "TransactionGrandAmount") -> str:
    return f'<Total TotalType="{kind}">{amount}</Total>'


def transaction(
    layout: str, retail: str, *, number: str = "7", flags: str = "", retail_flags: str = "", more: str = ""
) -> str:
    """Return one transaction; 6 names the shop otherwise and puts its times behind the receipt."""
    times = "<BusinessDayDate>2026-11-22</BusinessDayDate><EndDateTime>2026-11-22T10:00:00</EndDateTime>"
    body = f"<RetailTransaction {retail_flags}>{retail}</RetailTransaction>"
    if layout == "2":
        return (
            f"<Transaction {flags}><RetailStoreID>0421</RetailStoreID><WorkstationID>3</WorkstationID>"
            f"<SequenceNumber>{number}</SequenceNumber>{times}{more}{body}</Transaction>"
        )
    return (
        f"<Transaction {flags}><BusinessUnit><UnitID>0421</UnitID></BusinessUnit><WorkstationID>3</WorkstationID>"
        f"<SequenceNumber>{number}</SequenceNumber><TransactionID>0421-3-{number}</TransactionID>{more}{body}{times}"
        "</Transaction>"
    )


def document(layout: str, *transactions: str) -> bytes:
    version = 'Version="2.2"' if layout == "2" else 'MajorVersion="6" MinorVersion="0"'
    body = "".join(transactions)
    return f'<POSLog {version} xmlns="http://www.nrf-arts.org/IXRetail/namespace/">{body}</POSLog>'.encode()


def parser(*, minor_digits: int = 2, currency: str | None = "EUR", limits: PoslogLimits | None = None) -> PoslogParser:
    return PoslogParser(ZONE, minor_digits=minor_digits, currency=currency, limits=limits)


def read(data: bytes, **options) -> list[PosTransaction]:
    """Read a document that must be without fault."""
    one = parser(**options)
    found = one.feed(data) + one.close()
    assert (one.error, one.refused) == (None, [])
    return found


def receipt(layout: str, *parts: str, **options) -> PosTransaction:
    """Read one transaction of these lines and totals."""
    (found,) = read(document(layout, transaction(layout, "".join(parts), **options)))
    return found


def long_document(size: int, picture: int = 0) -> Iterator[bytes]:
    """Give a document of about `size` bytes, a transaction of twenty lines (and a picture of the receipt) at a time."""
    lines = "".join(
        item(
            number,
            "<POSIdentity POSIDType='EAN'><POSItemID>4012345678901</POSItemID></POSIdentity><Description>Biscuits"
            "</Description><RegularSalesUnitPrice>1.99</RegularSalesUnitPrice>" + goods("1.99", name="17-004"),
        )
        for number in range(1, 21)
    )
    image = f"<ReceiptImage>{'<ReceiptLine>' + 'x' * 1_000 + '</ReceiptLine>'}</ReceiptImage>" * (picture // 1_000)
    body = lines + tender(21, "39.80") + total("39.80")
    yield b'<?xml version="1.0" encoding="UTF-8"?><POSLog>'
    given = number = 0
    while given < size:
        number += 1
        one = transaction("2", body, number=str(number), more=image).encode()
        yield one
        given += len(one)
    yield b"</POSLog>"


def whole(data: bytes, pieces: list[int] | None = None, **options: Any) -> dict[str, Any]:
    """Return all that a parser says of a document, fed in pieces of these sizes and then the rest."""
    one = parser(**options)
    found: list[PosTransaction] = []
    for size in pieces or []:
        found += one.feed(data[:size])
        data = data[size:]
    found += one.feed(data) + one.close()
    return {
        "transactions": [asdict(transaction) for transaction in found],
        "refused": [asdict(refusal) for refusal in one.refused],
        "unknown": dict(one.unknown),
        "error": None if one.error is None else str(one.error),
    }


def as_text(said: dict[str, Any]) -> str:
    return json.dumps(said, default=str, ensure_ascii=False, indent=1) + "\n"

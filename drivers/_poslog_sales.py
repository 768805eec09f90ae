"""A POSLog's transaction -> the message that the gateway keeps. Pure.

What is lost on the way is said in `problems`: a message has no place for the till's own totals and names of tenders.
Not here: reading the document (`_poslog.py`), where it comes from (`checkout_poslog.py`, `_checkout_poslog.py`).
"""

from datetime import datetime

from drivers._poslog_types import PosLine, PosLink, PosTender, PosTransaction
from gateway import messages as m

TENDERS: dict[str, m.Tender] = {
    "cash": "cash",
    "credit_debit": "card",
    "wallet": "mobile",
    "voucher": "voucher",
    "gift_card": "voucher",
    "coupon": "voucher",
}


def as_message(transaction: PosTransaction, source: str, now: datetime, currency: str) -> m.PosTransaction:
    """Return the message; `now` dates a transaction that has no time of its own, `currency` is the shop's."""
    return m.PosTransaction(
        at=transaction.end or transaction.begin or now,
        source=source,
        store=transaction.store,
        workstation=transaction.workstation,
        business_day=transaction.business_day,
        sequence=str(transaction.sequence),
        kind=transaction.kind,
        voids=None if transaction.kind != "void" else _key(transaction, transaction.link),
        currency=transaction.currency or currency,
        lines=tuple(map(_line, transaction.lines)),
        tenders=tuple(_tender(tender) for tender in transaction.tenders if not tender.voided),
        problems=transaction.problems,
    )


def _line(line: PosLine) -> m.PosLine:
    unit = line.unit_price_minor
    return m.PosLine(
        line=line.number,
        kind="return" if line.returned else "sale",
        gtin=line.gtin,
        item=line.item or line.raw,
        quantity_thousandths=line.quantity_thousandths,
        weight_mg=line.weight_mg,
        unit_price_minor=line.amount_minor if unit is None else unit,
        amount_minor=line.amount_minor,
        discount_minor=line.discount_minor,
        voided=line.voided,
    )


def _tender(tender: PosTender) -> m.TenderSum:
    return m.TenderSum(tender=TENDERS.get(tender.kind, "other"), amount_minor=tender.amount_minor)


def _key(transaction: PosTransaction, link: PosLink | None) -> str | None:
    """Return the natural key of what is voided; what the link leaves out is as in the transaction itself."""
    if link is None or link.sequence is None:
        return None
    store, workstation = link.store or transaction.store, link.workstation or transaction.workstation
    day = link.business_day or transaction.business_day
    return f"{store}/{workstation}/{day.isoformat()}/{link.sequence}"

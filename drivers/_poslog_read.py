"""The tree of one POSLog transaction -> `PosTransaction`. Pure; BadFrame says why one cannot be taken.

A missing key or a number that is none refuses the transaction; what only does not fit (sums, decimals, a currency) is
named in `problems`. Not for the document around it: `_poslog.py`; not for its lines: `_poslog_lines.py`.
"""

import re
from collections import Counter
from datetime import date, datetime

from drivers import _poslog_lines as lines
from drivers import _poslog_tenders as payments
from drivers import _poslog_values as values
from drivers._poslog_lines import Draft
from drivers._poslog_page import Page
from drivers._poslog_types import Kind, PosLine, PosLink, PosTender, PosTransaction
from drivers._poslog_xml import Node, Raw
from gateway.errors import BadFrame

MAX_KEY = 80
# TransactionStatus of a receipt that stands; anything else that is neither void nor unfinished is named as a problem
_STANDS = {"", "finished", "tendered", "totaled", "totalled", "delivered", "completed", "complete", "returned"}
_UNFINISHED = ("suspend", "cancel", "fail", "inprocess", "abort")
_BEGINS = ("BeginDateTime", "ReceiptDateTime", "POSLogDateTime")
_NOT_MONEY = re.compile(r"quantity|count|item|points|percent", re.IGNORECASE).search


def read(raw: Raw, page: Page) -> PosTransaction:
    """Return one transaction; `page` is fresh, its currency the shop's."""
    root = raw.root
    if raw.damage:
        raise BadFrame(raw.damage)
    key = _key(root, page)
    retail = root.first("RetailTransaction")
    page.currency = _currency(root, retail, page)
    drafts = lines.drafts(retail, page) if retail else []
    discount = lines.discount(retail, page) if retail else 0
    totals = _totals(retail, page, raw.unknown) if retail else []
    link = _link(root, retail)
    kind, why = _kind(root, retail, link, drafts, page)
    expected = _expected(totals, kind)
    tenders = payments.tenders(retail, page, next(iter(expected), None)) if retail else []
    settled, discount = _settle(drafts, discount, expected)
    if retail and expected and kind in {"sale", "return"}:
        _check_lines(settled, discount, expected, page)
        _check_tenders(tenders, expected[0], payments.rounding(retail, page), page)
    begin, end = _times(root, page)
    return PosTransaction(
        *key,
        kind=kind,
        why=why,
        begin=begin,
        end=end,
        currency=page.currency,
        lines=tuple(settled),
        discount_minor=discount,
        tenders=tuple(tenders),
        totals=tuple(totals),
        link=link,
        unknown=tuple(sorted(raw.unknown.items())),
        problems=tuple(page.problems),
    )


def key_text(root: Node) -> str:
    """Return as much of the key as is there, to find a refused transaction again."""
    parts = (_store(root), root.value("WorkstationID"), _day_text(root), _sequence_text(root))
    return "/".join(values.shown(part) or "?" for part in parts)


def _key(root: Node, page: Page) -> tuple[str, str, date, int | str]:
    store, workstation, number = _store(root), root.value("WorkstationID"), _sequence_text(root)
    for name, text in (("store", store), ("workstation", workstation), ("sequence number", number)):
        if not text or len(text) > MAX_KEY:
            raise BadFrame(f"no {name}" if not text else f"{name} of more than {MAX_KEY} characters")
    day = _day_text(root)
    if not day:
        day = (root.value("BeginDateTime") or root.value("EndDateTime"))[:10]
        page.problem("no BusinessDayDate: the calendar day is taken for it")
    return store, workstation, values.day(day), values.sequence(number)


def _store(node: Node) -> str:
    if found := node.value("RetailStoreID"):
        return found
    units = [unit for business in node.all("BusinessUnit") for unit in business.all("UnitID")]
    shops = [unit for unit in units if unit.attributes.get("TypeCode") == "RetailStore"]
    return (shops or units)[0].text if units else ""


def _day_text(node: Node) -> str:
    return node.value("BusinessDayDate", "Date") or node.value("BusinessDayDate")


def _sequence_text(node: Node) -> str:
    return node.value("SequenceNumber") or node.value("TransactionID")


def _times(root: Node, page: Page) -> tuple[datetime | None, datetime | None]:
    """Return the first beginning and the last end (a till may give one for each phase)."""
    begins = next((found for name in _BEGINS if (found := _instants(root, page, name))), [])
    ends = _instants(root, page, "EndDateTime")
    if not begins and not ends:
        page.problem("no time")
    return min(begins, default=None), max(ends, default=None)


def _instants(root: Node, page: Page, name: str) -> list[datetime]:
    found = []
    for node in root.all(name):
        try:
            found.append(values.instant(node.text, page.zone))
        except BadFrame as error:
            page.problem(f"{node.name}: {error}")
    return found


def _currency(root: Node, retail: Node | None, page: Page) -> str | None:
    code = root.value("CurrencyCode") or (retail.value("CurrencyCode") if retail else "")
    code = code or next((node.attributes.get("CurrencyCode", "") for node in (retail or root).all("Total")), "")
    if not code:
        return page.currency
    if page.currency and code != page.currency:
        page.problem(f"the transaction is in {values.shown(code)}, the shop in {page.currency}")
    return code if len(code) == 3 and code.isascii() and code.isupper() else page.currency


def _totals(retail: Node, page: Page, unknown: Counter[str]) -> list[tuple[str, int]]:
    """Return the totals that are money; a number of pieces or an amount in words is none."""
    found = []
    for node in retail.all("Total"):
        name = values.shown(node.attributes.get("TotalType", "TransactionGrossAmount"))
        if _NOT_MONEY(name):
            continue
        try:
            amount = page.minor(node)
        except BadFrame:
            unknown[f"Total {name}"] += 1
            continue
        if amount is not None:
            found.append((name, amount))
    return found


def _expected(totals: list[tuple[str, int]], kind: Kind) -> list[int]:
    """Return what the lines may sum to, the grand total first: with tax or without, before rounding or after."""
    named: dict[str, int] = {}
    for name, amount in totals:
        named.setdefault(name.removeprefix("X:").removeprefix("x:"), amount)
    grand = named.get("TransactionGrandAmount")
    if grand is None:
        return []
    found = [grand, grand - named.get("TransactionTaxAmount", 0), named.get("TransactionNetAmount", grand)]
    found += [grand - named.get("RoundingAmount", 0), grand + named.get("RoundingAmount", 0)]
    return [-abs(amount) for amount in found] if kind == "return" else found


def _settle(drafts: list[Draft], discount: int, expected: list[int]) -> tuple[list[PosLine], int]:
    """Choose the reading of the discounts that gives the document's total, else the plain one: all are off already."""
    readings = [
        ([draft.settled(unclear_is_gross=gross) for draft in drafts], off)
        for gross in (False, True)
        for off in dict.fromkeys((discount, 0))  # 0: it is spread over the lines
    ]
    sums = [_sum(settled, off) for settled, off in readings]
    return next((readings[sums.index(amount)] for amount in expected if amount in sums), readings[0])


def _sum(settled: list[PosLine], discount: int) -> int:
    return sum(line.amount_minor for line in settled if not line.voided) - discount


def _check_lines(settled: list[PosLine], discount: int, expected: list[int], page: Page) -> None:
    found = _sum(settled, discount)
    if found not in expected:
        page.problem(f"lines sum to {page.money(found)}, document says {page.money(expected[0])}")


def _check_tenders(tenders: list[PosTender], expected: int, rounding: int, page: Page) -> None:
    paid = payments.paid(tenders)
    rounding += sum(abs(tender.amount_minor) for tender in tenders if tender.kind == "rounding")
    if tenders and abs(paid - expected) > rounding:
        page.problem(f"tenders sum to {page.money(paid)}, document says {page.money(expected)}")


def _link(root: Node, retail: Node | None) -> PosLink | None:
    node = root.first("TransactionLink") or (retail.first("TransactionLink") if retail else None)
    if node is None:
        return None
    try:
        day = values.day(_day_text(node))
    except BadFrame:
        day = None
    number = _sequence_text(node)[:MAX_KEY]
    return PosLink(
        reason=values.shown(node.attributes.get("ReasonCode", node.attributes.get("TypeCode", ""))),
        store=_store(node)[:MAX_KEY] or None,
        workstation=node.value("WorkstationID")[:MAX_KEY] or None,
        business_day=day,
        sequence=values.sequence(number) if number else None,
    )


def _kind(root: Node, retail: Node | None, link: PosLink | None, drafts: list[Draft], page: Page) -> tuple[Kind, str]:
    """Return the kind, and why where it is no plain sale or return."""
    for flag, why in (("TrainingModeFlag", "training"), ("SuspendedFlag", "suspended"), ("CancelFlag", "cancelled")):
        if values.is_true(root.attributes.get(flag)):
            return "other", why
    if retail is None:
        return "other", "no retail transaction"
    status = retail.attributes.get("TransactionStatus", "").lower()
    if any(part in status for part in _UNFINISHED):
        return "other", values.shown(status)
    if why := _voided(root, status, link, drafts):
        return "void", why
    if status not in _STANDS:
        page.problem(f"TransactionStatus {values.shown(status)!r} is not known")
    standing = [draft.line for draft in drafts if not draft.line.voided]
    if not standing:
        return "other", "no items"
    return ("return", "") if all(line.returned for line in standing) else ("sale", "")


def _voided(root: Node, status: str, link: PosLink | None, drafts: list[Draft]) -> str:
    status = status or root.attributes.get("TypeCode", "").lower()
    if "void" in status or any(values.is_true(root.attributes.get(flag)) for flag in ("VoidedFlag", "VoidFlag")):
        return values.shown(status) if "void" in status else "voided"
    if link and "void" in link.reason.lower():
        return "post-void"
    return "every line voided" if drafts and all(draft.line.voided for draft in drafts) else ""

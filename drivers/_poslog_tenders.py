"""Line items of a POSLog transaction -> its payments. Pure.

Only names and amounts of money are looked at: numbers of cards and accounts are never read. Not for item lines:
`_poslog_lines.py`.
"""

from collections.abc import Iterator
from dataclasses import replace

from drivers import _poslog_values as values
from drivers._poslog_page import Page, is_void
from drivers._poslog_types import PosTender
from drivers._poslog_xml import Node
from gateway.errors import BadFrame


def tenders(retail: Node, page: Page, total: int | None) -> list[PosTender]:
    """Return the payments, money given out as negative ones. Nothing of a card but its amount is looked at.

    Some tills write what was handed over, others what stayed after the change: the one that gives the total is taken.
    """
    handed, stayed = (
        [replace(one, voided=is_void(line)) for line in retail.all("LineItem") for one in read(line, page)]
        for read in (_handed, _stayed)
    )
    return stayed if total is not None and paid(handed) != total == paid(stayed) else handed


def paid(found: list[PosTender]) -> int:
    """Return what the tenders sum to, without rounding and without what was voided."""
    return sum(tender.amount_minor for tender in found if not tender.voided and tender.kind != "rounding")


def rounding(retail: Node, page: Page) -> int:
    """Return how much tenders may differ from the total because cash was rounded."""
    nodes = [
        node for line in retail.all("LineItem") for tender in line.all("Tender") for node in tender.all("Rounding")
    ]
    return sum(abs(page.minor(node) or 0) for node in nodes)


def _handed(line: Node, page: Page) -> Iterator[PosTender]:
    """Give the tenders of a line whose amounts are what was handed over: change and cashback go off."""
    for tender in line.all("Tender"):
        name, amount, change = _tender(tender, page)
        if amount or not change:
            yield _money(name, amount)
        if change:
            yield _money(name, -change)
        if back := page.minor(tender.first("Cashback")):
            yield _money("Cashback", -abs(back))
    yield from _change_lines(line, page)


def _stayed(line: Node, page: Page) -> Iterator[PosTender]:
    """Give the tenders of a line whose amounts are what stayed: the change is put on what was handed over."""
    for tender in line.all("Tender"):
        name, amount, change = _tender(tender, page)
        if amount > 0 and change:
            yield _money(name, amount + change)
            yield _money(name, -change)
        else:
            yield _money(name, amount)
    yield from _change_lines(line, page)


def _tender(tender: Node, page: Page) -> tuple[str, int, int]:
    """Return name, signed amount, and the change as a positive number."""
    node, change = tender.first("Amount"), abs(page.minor(tender.first("TenderChange", "Amount")) or 0)
    amount = page.minor(node)
    if amount is None and not change:
        raise BadFrame("a tender without an amount")
    if node is not None and page.foreign(node):
        amount = 0  # its worth in our currency is not said; page.minor named it
    refund = tender.attributes.get("TypeCode") in {"Refund", "Return"}
    return tender.attributes.get("TenderType", ""), -abs(amount or 0) if refund else amount or 0, change


def _change_lines(line: Node, page: Page) -> Iterator[PosTender]:
    """Give the change that stands in a line of its own; its inner element may name the kind of money."""
    for outer in line.all("TenderChange"):
        for change in outer.all("TenderChange") or [outer]:
            if amount := page.minor(change.first("Amount")):
                yield _money(change.attributes.get("TenderType", "Cash"), -abs(amount))


def _money(name: str, amount: int) -> PosTender:
    return PosTender(values.tender_kind(name), values.tender_name(name), amount)

"""Line items of a POSLog transaction -> item lines and discounts. Pure.

Tills disagree on ExtendedAmount: some take the line's discounts off it, some do not. The regular price tells which;
where it does not, the transaction's total decides. Not for payments (`_poslog_tenders.py`) and not for the transaction
itself (`_poslog_read.py`).
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from decimal import Decimal

from drivers import _poslog_values as values
from drivers._poslog_page import Page, is_void
from drivers._poslog_types import PosLine
from drivers._poslog_xml import Node
from gateway.errors import BadFrame

THOUSAND = Decimal(1000)


@dataclass(frozen=True, slots=True)
class Draft:
    """An item line whose discount may still have to be taken off; `gross` None = the line alone does not tell."""

    line: PosLine
    gross: bool | None
    links: int | None  # the line that this one voids

    def settled(self, *, unclear_is_gross: bool) -> PosLine:
        """Return the line as the customer pays it."""
        if not (unclear_is_gross if self.gross is None else self.gross):
            return self.line
        sign = -1 if self.line.returned else 1
        return replace(self.line, amount_minor=self.line.amount_minor - sign * self.line.discount_minor)


def drafts(retail: Node, page: Page) -> list[Draft]:
    """Return the item lines; a line that voids another voids both. BadFrame when one cannot be read."""
    found: list[Draft] = []
    for place, line in enumerate(retail.all("LineItem"), 1):
        item = line.first("Sale") or line.first("Return")
        if item is not None:
            found.append(_draft(line, item, _number(line, place, page), page))
    for at in _taken_back(found):
        found[at] = replace(found[at], line=replace(found[at].line, voided=True))
    return found


def _taken_back(found: list[Draft]) -> list[int]:
    """Return the places of lines that a later one voids: by its ItemLink, else the last of its item with its amount."""
    places: list[int] = []
    by_number: dict[int, int] = {}
    standing: dict[tuple[str | None, int], list[int]] = {}
    for place, draft in enumerate(found):
        line = draft.line
        if not line.voided:
            by_number[line.number] = place
            standing.setdefault((line.item, line.amount_minor), []).append(place)
        elif draft.links is not None:
            places += [by_number[draft.links]] if draft.links in by_number else []
        elif line.amount_minor < 0 and (twins := standing.get((line.item, -line.amount_minor))):
            places.append(twins.pop())
    return places


def discount(retail: Node, page: Page) -> int:
    """Return what is taken off the whole transaction; tills that spread it over the lines name it here as well."""
    found = 0
    for line in retail.all("LineItem"):
        if not is_void(line):
            found += sum(_off(node, page) for name in line.all("Discount") for node in name.all("Amount"))
            found += _modifiers(line, page)
    return found


def _draft(line: Node, item: Node, number: int, page: Page) -> Draft:
    count, unit, weight_mg, factors = _quantity(item, number, page)
    returned = item.name == "Return" or count < 0
    voided = is_void(line)
    off = _line_discount(item, abs(factors[0]), page)
    regular = page.minor(item.first("RegularSalesUnitPrice") or item.first("RegularSaleUnitPrice"))
    actual = page.minor(item.first("ActualSalesUnitPrice"))
    amount = page.minor(item.first("ExtendedAmount"))
    lists = {_each(regular, abs(factor)) for factor in factors} if regular is not None else set[int]()
    gross = None if amount is None else _is_gross(abs(amount), off, lists)
    if amount is None:
        amount, gross = _computed(number, actual, lists, off, factors[0], voided=voided)
    gtin, name, raw = _identity(line, item, number, page)
    found = PosLine(
        number=number,
        gtin=gtin,
        item=name,
        raw=raw,
        quantity_thousandths=-abs(count) if returned else count,
        unit=unit,
        weight_mg=weight_mg,
        unit_price_minor=regular if actual is None else actual,
        amount_minor=-abs(amount) if returned else amount,
        discount_minor=off,
        voided=voided,
        returned=returned,
    )
    return Draft(found, gross, _link(line, item))


def _line_discount(item: Node, count: Decimal, page: Page) -> int:
    """Return the discounts of one line: its modifiers, else the sum that the till gives, else that of one piece."""
    stated = _modifiers(item, page) or abs(page.minor(item.first("ExtendedDiscountAmount")) or 0)
    return stated or _each(page.minor(item.first("DiscountAmount")), count)


def _computed(
    number: int, actual: int | None, lists: set[int], off: int, factor: Decimal, *, voided: bool
) -> tuple[int, bool]:
    """Return an amount that the document leaves out, from the price, and whether discounts are still in it."""
    if actual is not None:
        return _each(actual, abs(factor)), False
    if lists:
        return max(lists), bool(off)
    if voided:
        return 0, False
    raise BadFrame(f"line {number} has neither an amount nor a price")


def _is_gross(amount: int, off: int, lists: set[int]) -> bool | None:
    if not off:
        return False
    gross = min((abs(amount - full) for full in lists), default=None)
    net = min((abs(amount - (full - off)) for full in lists), default=None)
    if gross is None or net is None or min(gross, net) > 1 or gross == net:
        return None
    return gross < net


def _each(price: int | None, factor: Decimal) -> int:
    return values.whole(Decimal(price or 0), factor)[0]


def _quantity(item: Node, number: int, page: Page) -> tuple[int, str | None, int | None, list[Decimal]]:
    """Return thousandths, unit, weight, and by what the price may be multiplied (pieces, or units of mass)."""
    count, unit, weight_mg, factors = 1000, None, None, [Decimal(1)]
    nodes = [node for node in item.all("Quantity") if node.text]
    for node in sorted(nodes, key=_scale_of, reverse=True):  # masses first: a count beside a mass is the quantity
        amount = values.decimal(node.text, "Quantity")
        unit = values.shown(node.attributes.get("UnitOfMeasureCode", "")) or None
        count, exact = values.whole(amount, THOUSAND)
        if not exact:
            page.problem(f"line {number}: quantity {node.text} is finer than thousandths")
        scale = _scale_of(node)
        measured = _measured(amount, node) if scale else amount
        factors = [measured, *(factors if weight_mg is not None else [])]
        if scale:
            weight_mg, exact = values.whole(abs(measured), scale)
            if not exact and scale == scale.to_integral_value():  # a pound is no whole number of mg
                page.problem(f"line {number}: weight {measured} {unit} is finer than mg")
    return count, unit, weight_mg, factors


def _scale_of(node: Node) -> Decimal:
    return values.MG.get(node.attributes.get("UnitOfMeasureCode", "").strip().lower(), Decimal(0))


def _measured(amount: Decimal, node: Node) -> Decimal:
    """Return how many units of mass: tills give them as text, as `Units`, as both alike, or pieces times `Units`."""
    text = node.attributes.get("Units", node.attributes.get("UnitCount", "")).strip()
    units = values.decimal(text, "Units") if text else Decimal(1)
    return amount if abs(units) == abs(amount) else amount * abs(units)


def _identity(line: Node, item: Node, number: int, page: Page) -> tuple[str | None, str | None, str | None]:
    """Return GTIN, the till's own item number, and what was scanned. Numbers that look like a card's are not kept."""
    named = list(_named(line, item))
    kept = [(text, typed) for text, typed in named if not values.is_card(text)]
    if len(kept) < len(named):
        page.problem(f"line {number}: a number that looks like a card's was left out")
    gtins = [(gtin, text) for text, typed in kept if (gtin := values.gtin(text, typed=typed))]
    gtins.sort(key=lambda found: values.is_in_store(found[0]))
    items = [node.text for node in (*item.all("ItemID"), *_pos_items(item)) if node.text in {text for text, _ in kept}]
    scanned = line.value("ScanData")
    raw = scanned if scanned in {text for text, _ in kept} else gtins[0][1] if gtins else None
    name = items[0] if items else None
    return gtins[0][0] if gtins else None, name, raw or name


def _named(line: Node, item: Node) -> Iterator[tuple[str, bool]]:
    """Give every number of the item, the surest first, and whether the document calls it a GTIN."""
    ids = [(node, node.attributes.get("Type", node.attributes.get("Name", ""))) for node in item.all("ItemID")]
    for identity in item.all("POSIdentity"):
        ids += [(node, identity.attributes.get("POSIDType", "")) for node in identity.all("POSItemID")]
    ids += [(node, kind) for node in item.all("SerialNumber") if (kind := node.attributes.get("Type", "")) == "GTIN"]
    yield from ((node.text, True) for node, kind in ids if node.text and _is_gtin_type(kind))
    if scanned := line.value("ScanData"):
        yield scanned, False
    yield from ((node.text, False) for node, kind in ids if node.text and not _is_gtin_type(kind))


def _is_gtin_type(kind: str) -> bool:
    return kind.upper().removeprefix("X:").startswith(("GTIN", "EAN", "UPC"))


def _pos_items(item: Node) -> Iterator[Node]:
    return (node for identity in item.all("POSIdentity") for node in identity.all("POSItemID"))


def _modifiers(node: Node, page: Page) -> int:
    return sum(_off(amount, page) for one in node.all("RetailPriceModifier") for amount in one.all("Amount"))


def _off(amount: Node, page: Page) -> int:
    """Return a discount as a positive number, what is put on as a negative one."""
    found = abs(page.minor(amount) or 0)
    return -found if amount.attributes.get("Action") == "Add" else found


def _number(line: Node, place: int, page: Page) -> int:
    number = values.sequence(line.value("SequenceNumber"))
    if isinstance(number, int):
        return number
    page.problem(f"line item {place} has no number of its own")
    return place


def _link(line: Node, item: Node) -> int | None:
    number = values.sequence(line.value("ItemLink") or item.value("ItemLink"))
    return number if isinstance(number, int) else None

"""What counts may know of items: those that should be in a zone, and where one is. A view of the rule of items."""

from collections.abc import Iterator
from typing import Protocol

from gateway.count_notes import ExpectedItem
from gateway.rules.count_result import Known
from gateway.rules.items_book import Item
from gateway.rules.tag_state import Tag

IN_STOCK = ("present", "absent")  # an absent one may be hidden: a count tells


class KnowsItems(Protocol):
    """The rule of items, as counts see it."""

    def items(self) -> Iterator[Item]:
        """Yield all items."""

    def tag(self, epc: str) -> Tag | None:
        """Return all that is known of a tag."""


class CountView:
    """Answers counts."""

    def __init__(self, items: KnowsItems) -> None:
        self._items = items

    def expected(self, zones: frozenset[str]) -> Iterator[ExpectedItem]:
        """Yield the items that should be in these zones."""
        for item in self._items.items():
            if item.zone in zones and item.state in IN_STOCK:
                yield ExpectedItem(item.epc, item.gtin, item.zone)

    def known(self, epc: str) -> Known | None:
        """Return what is known of a tag, None when it was never heard of."""
        tag = self._items.tag(epc)
        return None if tag is None else Known(tag.zone or "", tag.state in IN_STOCK, tag.inbound)

"""The safe switch: no till may charge more than any label of the product shows. Pure; nothing else decides.

Two conservative sets, written durably *before* the act that could make them true:

- `may_show(label)`: every price that its glass shows or could still come to show;
- `may_charge(till)`: every price that the till charges or could still come to charge.

Two guards, each by the other side's set: push a face of price x only if `x >= max(may_charge of all tills)`; let a till
charge y only if `y <= min(may_show of all labels of that product)`. A falling price therefore reaches the tills first,
a rising one the labels first, whatever is delayed, lost, repeated, killed or superseded. `tests/prices/switch_model.py`
explores the rule exhaustively and holds these functions to it. See also `glass.py` (how `may_show` is kept).
"""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CachingTill:
    """A till that sells from a cache: `cache` price (None: lease over), `sent` and not settled, and `may_charge`."""

    cache: int | None
    sent: int | None
    may_charge: frozenset[int]


def lowest_shown(may_show: Iterable[Iterable[int]]) -> int | None:
    """Return the lowest price that any label may show, None when no label may show any."""
    return min((price for prices in may_show for price in prices), default=None)


def highest_charged(charge: int | None, tills: Iterable[CachingTill] = ()) -> int | None:
    """Return the highest price that any till may charge, None when none charges any."""
    prices = [price for till in tills for price in till.may_charge]
    return max(prices if charge is None else [charge, *prices], default=None)


def charge_for(wanted: int, lowest: int | None) -> int:
    """Return what a till may charge now: the wanted price, or a lower one that a label may still show."""
    return wanted if lowest is None else min(wanted, lowest)


def till_message(charge: int, till: CachingTill) -> int | None:
    """Return the price to send to a caching till, None when there is nothing to send or an answer is awaited."""
    return charge if till.sent is None and charge != till.cache else None


def may_push(price: int | None, highest: int | None) -> bool:
    """Tell whether a face of this price may go to a label. A face without a price is always harmless."""
    return price is None or highest is None or price >= highest

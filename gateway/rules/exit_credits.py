"""Pieces that were sold without saying which: so many of a product may leave, for a time.

A till that reads tags says which pieces it sold, and these need no credit. Any other sells a number of a product; the
next that leave are taken to be those. Not here: what a sale does to an item (`exit_gate.py`).
"""

from collections.abc import Mapping
from datetime import datetime

from gateway.messages import GATEWAY, SaleLine
from gateway.tag_notes import Credit, CreditKept


class Credits:
    """By product, oldest first."""

    def __init__(self, kept: Mapping[str, tuple[Credit, ...]]) -> None:
        self._of = dict(kept)

    def add(self, gtin: str, pieces: int, until_us: int, at: datetime) -> CreditKept:
        """Let pieces of a product leave until an instant."""
        return self._keep(gtin, (*self._of.get(gtin, ()), (pieces, until_us)), at)

    def take_back(self, gtin: str, pieces: int, at: datetime) -> list[CreditKept]:
        """Let fewer leave: pieces came back. The newest sale is the first to lose them."""
        before, left = self._of.get(gtin, ()), pieces
        after: list[Credit] = []
        for count, until_us in reversed(before):
            taken = min(left, count)
            left -= taken
            if count > taken:
                after.insert(0, (count - taken, until_us))
        return [self._keep(gtin, tuple(after), at)] if before else []

    def use(self, gtin: str | None, at_us: int, at: datetime) -> CreditKept | None:
        """Let one piece leave at an instant, if one was sold."""
        credits_ = list(self._of.get(gtin or "", ()))
        for number, (count, until_us) in enumerate(credits_):
            if until_us >= at_us and gtin is not None:
                credits_[number : number + 1] = [(count - 1, until_us)] if count > 1 else []
                return self._keep(gtin, tuple(credits_), at)
        return None

    def expire(self, now_us: int, at: datetime) -> list[CreditKept]:
        """Forget what was not used in time."""
        old = [gtin for gtin, credits_ in self._of.items() if any(until_us < now_us for _, until_us in credits_)]
        return [self._keep(gtin, tuple(one for one in self._of[gtin] if one[1] >= now_us), at) for gtin in old]

    def _keep(self, gtin: str, credits_: tuple[Credit, ...], at: datetime) -> CreditKept:
        self._of[gtin] = credits_
        if not credits_:
            del self._of[gtin]
        return CreditKept(at=at, source=GATEWAY, gtin=gtin, credits=credits_)


def pieces_of(line: SaleLine) -> int:
    """Return how many pieces a line is about, always positive; what is weighed, or half a piece, counts as one."""
    return 1 if line.weight_mg is not None else max(1, -(-abs(line.quantity_thousandths) // 1000))

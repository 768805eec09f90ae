"""Is it the scale and not the customers? The same bias over several different products in a row says so.

One product alone never does: its learnt weight may be wrong. Not here: what a basket's error is (`bagging.py`).
"""

from collections import OrderedDict
from dataclasses import dataclass, field
from statistics import median

PRODUCTS = 8  # different ones, by their newest error: two or three baskets
RAISE_PART = 0.4  # of the tolerance, median, all on one side
CLEAR_PART = 0.2
CLEAR_SIDES = 3  # of the eight on the other side: no bias left, whatever its size
FOREIGN_PART = 4.0  # an error so large is another item, and no bias
MAX_TERMINALS = 256


@dataclass(slots=True)
class _Terminal:
    """The newest errors of a terminal by product, in parts of their tolerance, and the side of its fault (0 = none)."""

    parts: OrderedDict[str, float] = field(default_factory=OrderedDict)
    side: int = 0


class ScaleFault:
    """Watches the bagging scales of all terminals; forgets the one longest silent when there are too many."""

    def __init__(self) -> None:
        self._terminals: OrderedDict[str, _Terminal] = OrderedDict()

    def feed(self, terminal: str, gtin: str, error_mg: int, tolerance_mg: int) -> str | None:
        """Take the error of one delta that holds one product; return the fault that stands now, None = none.

        Also errors out of tolerance belong here: a bad scale makes them.
        """
        one = self._touch(terminal)
        part = error_mg / max(tolerance_mg, 1)
        if abs(part) <= FOREIGN_PART:
            one.parts[gtin] = part
            one.parts.move_to_end(gtin)
            if len(one.parts) > PRODUCTS:
                one.parts.popitem(last=False)
            one.side = _side(list(one.parts.values()), one.side)
        return _text(one)

    def _touch(self, terminal: str) -> _Terminal:
        one = self._terminals.setdefault(terminal, _Terminal())
        self._terminals.move_to_end(terminal)
        if len(self._terminals) > MAX_TERMINALS:
            self._terminals.popitem(last=False)
        return one


def _side(parts: list[float], before: int) -> int:
    """Return on which side the scale errs: +1, -1, or 0. What raises a fault is stricter than what keeps it."""
    if len(parts) < PRODUCTS:
        return before
    middle = median(parts)
    side = 1 if middle > 0 else -1
    others = sum(part * side <= 0 for part in parts)
    if others == 0 and abs(middle) >= RAISE_PART:
        return side
    keeps = side == before and others < CLEAR_SIDES and abs(middle) >= CLEAR_PART
    return before if keeps else 0


def _text(one: _Terminal) -> str | None:
    if not one.side:
        return None
    word = "more" if one.side > 0 else "less"
    share = abs(round(100 * median(one.parts.values())))
    return f"weighs {word} than expected for {PRODUCTS} different products in a row, by {share} % of the tolerance"

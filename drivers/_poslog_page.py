"""What the parts of reading one POSLog transaction share: its money, its zone, and what was found wrong. Pure.

Not for what an element means: `_poslog_read.py`, `_poslog_lines.py`, `_poslog_tenders.py`.
"""

from dataclasses import dataclass, field
from datetime import tzinfo
from decimal import Decimal

from drivers import _poslog_values as values
from drivers._poslog_xml import Node

MAX_PROBLEMS = 50


@dataclass(slots=True)
class Page:
    """What is known while one transaction is read: how to read money, and what was found wrong so far."""

    minor_digits: int
    zone: tzinfo
    currency: str | None
    problems: list[str] = field(default_factory=list)

    def problem(self, text: str) -> None:
        """Name what does not fit; at most `MAX_PROBLEMS`, each once."""
        if len(self.problems) < MAX_PROBLEMS and text not in self.problems:
            self.problems.append(text)

    def minor(self, node: Node | None) -> int | None:
        """Return money of an element, None when it is not there or empty. `Action` turns the sign."""
        if node is None or not node.text:
            return None
        amount, exact = values.whole(values.decimal(node.text, node.name), Decimal(10) ** self.minor_digits)
        if not exact:
            self.problem(f"{node.name} {node.text} has more decimals than the currency")
        if amount and self.foreign(node):
            self.problem(f"{node.name} is in {values.shown(node.attributes['Currency'])}, not in {self.currency}")
        return -abs(amount) if node.attributes.get("Action") == "Subtract" else amount

    def foreign(self, node: Node) -> bool:
        """Tell whether an amount names another currency than the transaction's."""
        return self.currency is not None and node.attributes.get("Currency", self.currency) != self.currency

    def money(self, amount: int) -> str:
        """Return minor units as a person writes them."""
        return f"{Decimal(amount).scaleb(-self.minor_digits):f}"


def is_void(line: Node) -> bool:
    """Tell whether a line item was taken back, by any of the three flags that tills use."""
    return any(values.is_true(line.attributes.get(name)) for name in ("VoidFlag", "CancelFlag", "DeleteFlag"))

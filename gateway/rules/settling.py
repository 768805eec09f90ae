"""What follows when a basket ends, or is paid: its sale, what looks odd, what its items weigh. Pure.

It joins `sale_facts.py`, `loss.py` and `bag_check.py`. Not here: when a basket ends (`basket.py`), which
baskets live (`open_baskets.py`).
"""

from gateway.messages import Message
from gateway.rules import loss
from gateway.rules.bag_check import BagCheck
from gateway.rules.basket import Settled
from gateway.rules.loss import LossPolicy
from gateway.rules.open_baskets import Living
from gateway.rules.sale_facts import review, sale


class Settling:
    """For all baskets."""

    def __init__(self, policy: LossPolicy, bag: BagCheck) -> None:
        self._policy, self._bag = policy, bag

    def settled(self, one: Living, settled: Settled) -> list[Message]:
        """Return what follows when a basket was settled."""
        place = one.place
        lines, basket = sale(place, one.basket, settled)
        return [*lines, basket, *self._judged(one, settled)]

    def after_payment(self, one: Living) -> list[Message]:
        """Look once at what came after the payment of a basket that has ended."""
        if one.judged_after or one.basket.settled_seq is None:
            return []
        one.judged_after = True
        return self._review(one, loss.after_payment(one.basket, one.watch, self._policy), "after")

    def ended(self, one: Living, settled: Settled | None) -> list[Message]:
        """Return what follows when nobody said how a basket ended. `settled` is null when it was settled before."""
        return self.after_payment(one) if settled is None else self.settled(one, settled)

    def _judged(self, one: Living, settled: Settled) -> list[Message]:
        """Look at a basket that was settled; of one that is right, learn what its items weigh."""
        signs = [] if settled.problem is None else [loss.sums_differ(settled.problem, self._policy)]
        learnt: list[Message] = []
        if settled.outcome == "paid" and not one.judged:
            one.judged, at, deltas = True, one.last.at, one.watch.deltas
            weighed = self._bag.weigh(one.basket, deltas, closing=True)
            signs += loss.judge(one.basket, one.watch, weighed, self._policy)
            if weighed is not None:
                learnt += self._bag.learn(one.basket, weighed, deltas, at)
                learnt += self._bag.watch_scale(one.last.terminal, one.basket, weighed, at)
        return [*self._review(one, signs), *learnt]

    def _review(self, one: Living, signs: list[loss.Sign], what: str = "review") -> list[Message]:
        suggestion = loss.suggest(signs, self._policy)
        return [] if suggestion is None else [review(one.place, suggestion, what)]

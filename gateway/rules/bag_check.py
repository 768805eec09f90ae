"""Where baskets meet the bagging area: what `bagging.py`, `weights.py` and `scale_fault.py` make of a basket's lines.

The only file of the sales rules that knows those three. It asks for a verdict, teaches the weights from baskets that
were right, and says when a scale itself seems wrong. Not here: what is suspicious (`loss.py`).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from gateway.messages import (
    GATEWAY,
    AlarmCleared,
    AlarmRaised,
    BaggingVerdict,
    ExpectedWeight,
    Message,
    ProductsUpdate,
)
from gateway.rules import bagging
from gateway.rules.bagging import LIGHT_MG, Awaited, Delta, Explained, Verdict
from gateway.rules.bagging_choices import MAX_QUANTITY, Scale, Unplaced, tolerance_mg
from gateway.rules.basket import Basket, Line, Stage
from gateway.rules.scale_fault import ScaleFault
from gateway.rules.weights import MAX_PRODUCTS, Expected, KeptWeight, LearntWeights, weighed
from gateway.sale_notes import WeightKept

MOST_LINES = 100  # a larger basket is not compared: it would hold up the others
MOST_MULTIPLE = 6  # units of one line that may have been put down beyond what was scanned
CLEAR_PART = 4  # a tolerance above a quarter of a unit would take almost any weight for some units


class BagDelta(NamedTuple):
    """The bagging area became heavier or lighter. `paid`: after the payment. `seq` is of the event that said so."""

    seq: int
    at: datetime
    mg: int
    before_items: bool
    paid: bool


@dataclass(frozen=True)
class Weighed:
    """A verdict, and what it leaves over. `missing`: line -> mg; `lines`, `voided`: what a line's unit weighs."""

    verdict: Verdict
    scale: Scale
    unexplained: Sequence[BagDelta]
    missing: Mapping[int, int]
    lines: Sequence[Unplaced]
    voided: Sequence[Unplaced]

    def multiple(self, mg: int, lines: Sequence[Unplaced]) -> tuple[int, int, int] | None:
        """Return the line that a weight is some units of: (line, units, quantity scanned); the nearest one."""
        found = [
            (abs(mg - units * one.expected.mean_mg), int(one.line), units, one.quantity)
            for one in lines
            if one.expected is not None
            for units in range(1, MOST_MULTIPLE + 1)
            if self._fits(mg, one.expected, units)
        ]
        return min(found)[1:] if found else None

    def _fits(self, mg: int, expected: Expected, units: int) -> bool:
        slack_mg = tolerance_mg(expected, self.scale.division_mg, self.scale.sd_mg, units)
        return abs(mg - units * expected.mean_mg) <= slack_mg <= expected.mean_mg / CLEAR_PART


class BagCheck:
    """Weights, scales, verdicts."""

    def __init__(self, scale: Scale, weights: Mapping[str, tuple[int, ...]], catalogue: Mapping[str, int]) -> None:
        self.scale = scale
        self._weights = LearntWeights({gtin: KeptWeight(gtin, samples) for gtin, samples in weights.items()})
        self._catalogue = set(catalogue)
        for gtin, weight_mg in catalogue.items():
            self._weights.seed(gtin, weight_mg)
        self._expected: dict[str, Expected | None] = {}
        self._fault = ScaleFault()
        self._faulty: set[str] = set()

    def seed(self, update: ProductsUpdate) -> None:
        """Take the catalogue's weights."""
        named = {product.gtin: product.weight_mg for product in update.products}
        gone = self._catalogue - set(named) if update.full else set[str]()
        for gtin, weight_mg in [*named.items(), *((gtin, None) for gtin in gone)]:
            self._weights.seed(gtin, weight_mg)
            self._expected.pop(gtin, None)
        self._catalogue = (self._catalogue - gone) | {gtin for gtin, weight_mg in named.items() if weight_mg}

    def expect(self, gtin: str) -> ExpectedWeight | None:
        """Return what one unit of a product weighs, None when nobody knows."""
        one = self._known(gtin)
        return None if one is None else _told(one)

    def weigh(self, basket: Basket, deltas: Sequence[BagDelta], *, closing: bool) -> Weighed | None:
        """Compare bag and lines; None when the bagging area said nothing, or the basket is too large."""
        live = {number: line for number, line in basket.lines.items() if line.live}
        if not deltas or len(basket.lines) > MOST_LINES:
            return None
        lines = [self._unplaced(number, line) for number, line in live.items()]
        voided = [self._unplaced(number, line) for number, line in basket.lines.items() if not line.live]
        told = {str(one.seq): one for one in deltas}
        verdict = bagging.verify(
            lines, [Delta(str(one.seq), one.mg, one.before_items) for one in deltas], self.scale, closing=closing
        )
        return Weighed(
            verdict,
            self.scale,
            [told[name] for name in verdict.unexplained],
            {int(one.line): mg for one in verdict.next_expected if (mg := _missing_mg(one))},
            lines,
            voided,
        )

    def learn(self, basket: Basket, weighed: Weighed, deltas: Sequence[BagDelta], at: datetime) -> list[Message]:
        """Learn from a paid basket that is right: of each single unit that nothing else could be.

        A product of which nobody knows the weight makes the verdict `unknown`; its unit is learnt if all else is right.
        """
        verdict = weighed.verdict
        if verdict.unexplained or weighed.missing or verdict.result not in {"match", "unknown"}:
            return []
        told = {str(one.seq): one.mg for one in deltas}
        return [
            note
            for one in verdict.explained
            if (line := _single(basket, one)) is not None
            for note in self._learn(line.item.gtin or "", told[one.delta], at)
        ]

    def watch_scale(self, terminal: str, basket: Basket, weighed: Weighed, at: datetime) -> list[Message]:
        """Feed the errors of a paid basket to the watch over its scale; return an alarm, or its end."""
        text, heard = None, False
        for one in weighed.verdict.explained:
            line = _only(basket, one)
            if line is not None and one.how == "items":
                text = self._fault.feed(terminal, line.item.gtin or "", one.error_mg, one.tolerance_mg)
                heard = True
        if not heard or (text is not None) == (terminal in self._faulty):
            return []
        alarm = f"bagging scale {terminal}"
        if text is None:
            self._faulty.discard(terminal)
            return [AlarmCleared(at=at, source=GATEWAY, alarm=alarm)]
        self._faulty.add(terminal)
        step = "zero the bagging scale with nothing on it; have it checked if the alarm comes back"
        return [AlarmRaised(at=at, source=GATEWAY, alarm=alarm, text=f"{terminal}: it {text}", next_step=step)]

    def answer(self, basket: Basket, deltas: Sequence[BagDelta]) -> BaggingVerdict:
        """Answer a till that asks how its basket and its bag agree now."""
        weighed = self.weigh(basket, deltas, closing=basket.stage in {Stage.PAYING, Stage.PAID})
        if weighed is None:
            return unknown("the bagging area has said nothing" if not deltas else "the basket is too large to compare")
        verdict = weighed.verdict
        return BaggingVerdict(
            verdict=verdict.result,
            z=verdict.z,
            tolerance_mg=verdict.tolerance_mg,
            missing_lines=tuple(sorted({int(one.line) for one in verdict.next_expected})),
            unexplained_mg=sum(one.mg for one in weighed.unexplained),
            expected=tuple(self._expectations(basket, weighed)),
            reason=_reason(weighed),
        )

    def _expectations(self, basket: Basket, weighed: Weighed) -> Iterator[tuple[int, ExpectedWeight]]:
        for number in sorted({int(one.line) for one in weighed.verdict.next_expected}):
            one = self._expect(basket.lines[number])
            if one is not None:
                yield number, _told(one)

    def _unplaced(self, number: int, line: Line) -> Unplaced:
        quantity = min(line.quantity, MAX_QUANTITY)
        return Unplaced(str(number), line.item.gtin or "", quantity, self._expect(line))

    def _expect(self, line: Line) -> Expected | None:
        gtin, weight_mg = line.item.gtin, line.item.weight_mg
        if weight_mg is not None:
            return weighed(weight_mg, self.scale.sd_mg) if weight_mg > 0 else None
        return None if gtin is None else self._known(gtin)

    def _known(self, gtin: str) -> Expected | None:
        if gtin not in self._expected:
            if len(self._expected) >= MAX_PRODUCTS:
                self._expected.clear()
            self._expected[gtin] = self._weights.expect(gtin)
        return self._expected[gtin]

    def _learn(self, gtin: str, weight_mg: int, at: datetime) -> Iterator[WeightKept]:
        kept = self._weights.learn(gtin, weight_mg)
        self._expected.pop(gtin, None)
        if kept is not None:
            yield WeightKept(at=at, source=GATEWAY, gtin=gtin, samples_mg=kept.samples_mg)


def _missing_mg(one: Awaited) -> int:
    """Return what is missed of a line; 0 when nobody knows, or when it is too light to be missed."""
    return one.quantity * one.mean_mg if one.mean_mg is not None and one.mean_mg >= LIGHT_MG else 0


def _told(one: Expected) -> ExpectedWeight:
    return ExpectedWeight(mean_mg=one.mean_mg, sd_mg=one.sd_mg, samples=one.n)


def unknown(reason: str) -> BaggingVerdict:
    """Return the answer when nothing can be compared."""
    return BaggingVerdict(
        verdict="unknown", z=None, tolerance_mg=0, missing_lines=(), unexplained_mg=0, expected=(), reason=reason
    )


def _only(basket: Basket, one: Explained) -> Line | None:
    """Return the line of a delta that holds units of one line alone, of a product that is not weighed at the till."""
    if len(one.items) != 1:
        return None
    line = basket.lines[int(one.items[0][0])]
    return line if line.item.gtin is not None and line.item.weight_mg is None else None


def _single(basket: Basket, one: Explained) -> Line | None:
    """Return the line of a delta from which its weight may be learnt."""
    alone = one.how in {"items", "unknown"} and one.certain and len(one.items) == 1 and one.items[0][1] == 1
    return _only(basket, one) if alone else None


def _reason(weighed: Weighed) -> str:
    match weighed.verdict.result:
        case "match":
            return "lines and weight agree"
        case "unknown":
            return "the weight of a product is not known yet"
        case "over":
            return f"{len(weighed.unexplained)} changes of weight fit no line"
    return "less weight than the lines tell"

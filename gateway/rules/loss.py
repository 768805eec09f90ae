"""What does not fit at a basket, each sign with its weight of evidence, and whether somebody should look.

A sign is a log-likelihood ratio in thousandths (natural logarithm): how much more likely what was seen is when a line
is missing than when all is right. They are added; the sum suggests a look or a recount, by the shop's policy. A sign
names what was seen, with its figures, never a person nor what they meant. The weights of single signs come from
published practice and are a policy, not a measurement. Not here: how bag and lines are matched (`bag_check.py`).
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal, NamedTuple

from gateway.messages import BagWeight, ItemAdded, ItemVoided, Region, TillEvent, Wire
from gateway.rules.bag_check import BagDelta, Weighed
from gateway.rules.basket import Basket

MOST_SEEN = 200  # changes of weight, and items seen, of one basket; more are no shopping
MISSING_MOST = 3  # lines not seen in the bag that add up

LOOK, RECOUNT = 2_000, 4_000
NEAR = timedelta(seconds=10)  # a scan and the weight that belongs to it
WEIGHTS = {
    "unscanned_item": 3_000,
    "ticket_switch": 3_000,
    "quantity_short": 3_000,
    "item_without_line": 3_000,
    "void_after_bagging": 1_500,
    "after_payment": 1_500,
    "not_in_bag": 500,
    "bag_matches": -1_000,
    "sums_differ": 4_000,
}

Sign = tuple[str, int, str]


@dataclass(frozen=True)
class LossPolicy:
    """What a shop may set. `regions`: places where an item that is seen should be a line of the basket."""

    look: int = LOOK
    recount: int = RECOUNT
    near: timedelta = NEAR
    regions: frozenset[str] = frozenset({"bagging"})
    weights: Mapping[str, int] = field(default_factory=lambda: WEIGHTS)


class Suggestion(NamedTuple):
    """What is suggested to the staff."""

    score: int
    signals: tuple[Sign, ...]
    advice: Literal["look", "recount"]


class Watch:
    """What was seen at one basket: changes of weight, scans and voids with their times, items in watched places."""

    def __init__(self, bag_mg: int) -> None:
        self._level_mg = bag_mg
        self.deltas: list[BagDelta] = []
        self.scans: dict[int, datetime] = {}
        self.voids: dict[int, datetime] = {}
        self.seen: Counter[tuple[str, str]] = Counter()  # (place, item)

    def hear(self, event: TillEvent, body: Wire | None, *, paid: bool, noise_mg: int) -> None:
        """Take an event in. `paid`: the basket was paid before."""
        if isinstance(body, ItemAdded):
            self.scans[body.line] = event.at
            self.voids.pop(body.line, None)
        elif isinstance(body, BagWeight):
            self._weigh(event, body, noise_mg, paid=paid)
        elif isinstance(body, ItemVoided):
            self.voids[body.line] = event.at
        elif isinstance(body, Region) and len(self.seen) < MOST_SEEN:
            self.seen[body.roi, body.item] += 1 if event.kind == "roi.entered" else -1

    def _weigh(self, event: TillEvent, body: BagWeight, noise_mg: int, *, paid: bool) -> None:
        """Note a change that is more than noise; smaller ones add up until they are."""
        change_mg = body.weight_mg - self._level_mg
        if not body.stable or abs(change_mg) <= noise_mg:
            return
        self._level_mg = body.weight_mg
        if len(self.deltas) < MOST_SEEN:
            self.deltas.append(BagDelta(event.seq, event.at, change_mg, before_items=not self.scans, paid=paid))


def judge(basket: Basket, watch: Watch, weighed: Weighed | None, policy: LossPolicy) -> list[Sign]:
    """Return every sign of a basket at its payment. `weighed` is null when there is nothing to compare."""
    found = [*_weight(watch, weighed, policy), *_seen(basket, watch, policy)]
    if found and weighed is not None and weighed.verdict.result == "match":
        found.append(_sign(policy, "bag_matches", "all of the weight is explained by the lines"))
    return found


def after_payment(basket: Basket, watch: Watch, policy: LossPolicy) -> list[Sign]:
    """Return what came after the payment and was not paid: weight, and lines."""
    found = []
    for delta in watch.deltas:
        if delta.paid and delta.mg > 0 and not _near(delta.at, watch.scans.values(), policy):
            text = f"{_grams(delta.mg)} more at {_clock(delta.at)}, after the payment"
            found.append(_sign(policy, "after_payment", text))
    for number, line in basket.lines.items() if basket.unsold else ():
        if line.live and line.now() != line.sold:
            found.append(_sign(policy, "after_payment", f"line {number} came after the payment and was not paid"))
    return found


def sums_differ(problem: str, policy: LossPolicy) -> Sign:
    """Return the sign that the till's own sums do not agree."""
    return _sign(policy, "sums_differ", problem)


def suggest(signs: Sequence[Sign], policy: LossPolicy) -> Suggestion | None:
    """Add the signs up; None = nothing is suggested."""
    score = sum(weight for _, weight, _ in signs)
    if not signs or score < policy.look:
        return None
    return Suggestion(score, tuple(signs), "recount" if score >= policy.recount else "look")


def _weight(watch: Watch, weighed: Weighed | None, policy: LossPolicy) -> Iterator[Sign]:
    """Read what the bag and the lines leave over. Each left-over weight gives the one sign that explains it best."""
    if weighed is None or weighed.verdict.result in {"match", "unknown"}:
        return
    missing = dict(weighed.missing)
    for delta in weighed.unexplained:
        if delta.mg <= 0 or delta.paid:
            continue
        sign = (
            _switched(delta, missing, watch, policy)
            or _more_of_a_line(delta, weighed, policy)
            or _voided(delta, weighed, watch, policy)
        )
        yield sign or _unscanned(delta, watch, policy)
    for number, expected_mg in list(missing.items())[:MISSING_MOST]:
        text = f"line {number} of about {_grams(expected_mg)} was not seen in the bagging area"
        yield _sign(policy, "not_in_bag", text)


def _switched(delta: BagDelta, missing: dict[int, int], watch: Watch, policy: LossPolicy) -> Sign | None:
    """Find a line whose weight never came, and another one just after its scan; take it off `missing`."""
    for number, expected_mg in missing.items():
        scan = watch.scans.get(number)
        if scan is not None and timedelta() <= delta.at - scan <= policy.near:
            del missing[number]
            text = f"line {number} should weigh about {_grams(expected_mg)}; {_grams(delta.mg)} came after its scan"
            return _sign(policy, "ticket_switch", text)
    return None


def _more_of_a_line(delta: BagDelta, weighed: Weighed, policy: LossPolicy) -> Sign | None:
    found = weighed.multiple(delta.mg, weighed.lines)
    if found is None:
        return None
    number, units, quantity = found
    text = f"{_grams(delta.mg)} more, like {units} of line {number}, which was scanned with quantity {quantity}"
    return _sign(policy, "quantity_short", text)


def _voided(delta: BagDelta, weighed: Weighed, watch: Watch, policy: LossPolicy) -> Sign | None:
    found = weighed.multiple(delta.mg, weighed.voided)
    if found is None or found[0] not in watch.voids:
        return None
    text = f"line {found[0]} was taken off at {_clock(watch.voids[found[0]])}; its {_grams(delta.mg)} stayed in the bag"
    return _sign(policy, "void_after_bagging", text)


def _unscanned(delta: BagDelta, watch: Watch, policy: LossPolicy) -> Sign:
    """Say that nothing else explains it. With a scan near by it may belong to that, and says half as much."""
    near = _near(delta.at, watch.scans.values(), policy)
    text = f"{_grams(delta.mg)} more at {_clock(delta.at)}, " + ("which no line explains" if near else "without a scan")
    name, weight, evidence = _sign(policy, "unscanned_item", text)
    return name, weight // 2 if near else weight, evidence


def _seen(basket: Basket, watch: Watch, policy: LossPolicy) -> Iterator[Sign]:
    """Yield items seen in a watched place that are no line. Only GTINs: other names cannot be compared."""
    if not watch.seen:
        return
    scanned: Counter[str] = Counter()
    for line in basket.all_lines():
        if line.live and line.item.gtin is not None:
            scanned[line.item.gtin] += line.quantity
    for (place, item), count in sorted(watch.seen.items()):
        if place in policy.regions and count > scanned[item] and len(item) == 14 and item.isdigit():
            text = f"{item} was seen {count} times in {place}, and scanned {scanned[item]} times"
            yield _sign(policy, "item_without_line", text)


def _sign(policy: LossPolicy, name: str, evidence: str) -> Sign:
    return name, policy.weights[name], evidence


def _near(at: datetime, scans: Iterable[datetime], policy: LossPolicy) -> bool:
    return any(abs(at - scan) <= policy.near for scan in scans)


def _grams(mg: int) -> str:
    return f"{round(mg / 1000)} g"


def _clock(at: datetime) -> str:
    return f"{at:%H:%M:%S %Z}"

"""What could explain one change of weight in the bagging area: a unit, several of a line, up to three lines together.

Not here: which explanation each delta gets when they compete for the same units (`bagging_search.py`), and what the
till is told (`bagging.py`).
"""

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, product
from typing import Literal, NamedTuple

from gateway.errors import ConfigError, Refused
from gateway.rules.weights import Expected

How = Literal["items", "own_bag", "removed", "cancelled", "noise", "unknown"]

TRUSTED = 20  # weights learnt before the tolerance narrows
WIDER_PART = 0.08  # of the weight, until then
FLOOR_MG = 5000  # with two divisions: what handling, a receipt or a finger's rest may do
SIGMAS = 3.0
MAX_QUANTITY = 999
TOGETHER = 3  # units of different lines put down within one settling time
MAX_COUNTED = 24  # units of one line put down at once; more only if it is all of them
MANY = 16  # packages to combine; above it only pairs, so that the table stays small

OWN_BAG_MG = (5000, 60_000)  # a customer's own empty bag

# Costs add up over the deltas, the cheapest explanation wins. A perfect fit costs 0, one at its tolerance 1.
COST_EXTRA_LINE = 1.0  # two lines by chance fit more often than one
COST_OTHER_PACKAGE = 0.2
COST_NOISE = 1.2
COST_OWN_BAG = 1.5  # an item that fits is meant first, a bag before two items together
COST_LEFT = 3.0  # a unit that is nowhere although all is in the bag: rather it came together with another
COST_UNKNOWN = 10.0  # a product of unknown weight explains anything, so it comes last
COST_UNEXPLAINED = 100.0


@dataclass(frozen=True, slots=True)
class Scale:
    """A bagging scale: its division, and the sd of one change of weight (two plateaus), in mg."""

    division_mg: int = 1000
    sd_mg: int = 700

    def __post_init__(self) -> None:
        if self.division_mg < 1 or self.sd_mg < 1:
            raise ConfigError(f"scale: division {self.division_mg} mg and sd {self.sd_mg} mg must be at least 1")

    @property
    def floor_mg(self) -> int:
        """Return the least tolerance of any change."""
        return 2 * self.division_mg + FLOOR_MG

    @property
    def noise_mg(self) -> int:
        """Return the largest change that may be nothing at all."""
        return round(2 * self.division_mg + SIGMAS * self.sd_mg)


@dataclass(frozen=True, slots=True)
class Unplaced:
    """A scanned line whose `quantity` units are not known to be in the bag. `expected` is of one unit."""

    line: str
    gtin: str
    quantity: int
    expected: Expected | None

    def __post_init__(self) -> None:
        if not 1 <= self.quantity <= MAX_QUANTITY:
            raise Refused(f"line {self.line}: quantity {self.quantity}, allowed is 1 to {MAX_QUANTITY}")


class Choice(NamedTuple):
    """One explanation: `takes` units of lines (index, units), which weigh `mean_mg` with `sd_mg` together."""

    cost: float
    how: How
    takes: tuple[tuple[int, int], ...]
    mean_mg: int
    sd_mg: float
    tolerance_mg: int


class _Form(NamedTuple):
    """One unit of a line in one package. `wider_mg` is what the tolerance gets on top while little is known."""

    line: int
    mean_mg: int
    variance: int
    wider_mg: float
    cost: float


class _Group(NamedTuple):
    """Units put down together. A tuple, because some hundreds are made for each call."""

    mean_mg: int
    tolerance_mg: int
    sd_mg: float
    cost: float
    takes: tuple[tuple[int, int], ...]


def tolerance_mg(expected: Expected, scale_division_mg: int, scale_sd_mg: int, quantity: int = 1) -> int:
    """Return how far `quantity` units, weighed at once, may be off: max(2 d + 5 g, 3 sd), more if little is known."""
    return _weigh(((_form(0, expected, 0.0), quantity),), Scale(scale_division_mg, scale_sd_mg)).tolerance_mg


def _form(line: int, expected: Expected, cost: float) -> _Form:
    wider_mg = 0.0 if expected.n >= TRUSTED else expected.mean_mg * WIDER_PART
    return _Form(line, expected.mean_mg, expected.sd_mg**2, wider_mg, cost)


def _weigh(parts: Iterable[tuple[_Form, int]], scale: Scale) -> _Group:
    """Return what units weigh together: their scatter adds by squares, what is not yet known adds up."""
    mean, variance, wider, cost = 0, scale.sd_mg**2, 0.0, -COST_EXTRA_LINE
    takes: tuple[tuple[int, int], ...] = ()
    for (line, unit_mean, unit_variance, unit_wider, unit_cost), units in parts:
        mean += units * unit_mean
        variance += units * unit_variance
        wider += units * unit_wider
        cost += unit_cost + COST_EXTRA_LINE
        takes += ((line, units),)
    sd = math.sqrt(variance)
    return _Group(mean, round(max(scale.floor_mg, SIGMAS * sd) + wider), sd, cost, takes)


def _groups(lines: Sequence[Unplaced], scale: Scale, together: int) -> Iterator[_Group]:
    """Yield all that may come down at once: units of one line, or up to `together` units of several lines."""
    forms = [
        _form(index, expected, COST_OTHER_PACKAGE if number else 0.0)
        for index, line in enumerate(lines)
        if line.expected is not None
        for number, expected in enumerate((line.expected, *line.expected.others))
    ]
    quantities = [line.quantity for line in lines]
    for form in forms:
        quantity = quantities[form.line]
        yield from (_weigh([(form, units)], scale) for units in {*range(1, min(quantity, MAX_COUNTED) + 1), quantity})
    most = min(together, TOGETHER if len(forms) <= MANY else 2)
    several = [form for form in forms if quantities[form.line] > 1]
    for parts in _mixtures(forms, several, most):
        if len({form.line for form, _ in parts}) == len(parts):
            yield _weigh(parts, scale)


def _mixtures(forms: Sequence[_Form], several: Sequence[_Form], most: int) -> Iterator[Sequence[tuple[_Form, int]]]:
    """Yield two or three units, at most `most`, of different forms; two units only of forms that have `several`."""
    if most >= 2:
        yield from (((one, 1), (other, 1)) for one, other in combinations(forms, 2))
    if most >= 3:
        yield from (((one, 2), (other, 1)) for one, other in product(several, forms))
        yield from (((one, 1), (two, 1), (three, 1)) for one, two, three in combinations(forms, 3))


class Explanations:
    """Everything that could explain one delta, from the lines given. `together` = how many lines at most."""

    def __init__(self, lines: Sequence[Unplaced], scale: Scale, together: int = TOGETHER) -> None:
        self._scale, self._bag = scale, len(lines)
        self._unknown = [index for index, line in enumerate(lines) if line.expected is None]
        self._groups = sorted(_groups(lines, scale, together))
        self._means = [group.mean_mg for group in self._groups]
        self._reach = max((group.tolerance_mg for group in self._groups), default=0)

    def of(self, weight_mg: int, *, own_bag: bool) -> list[Choice]:
        """Return the choices for a gain of weight, the cheapest first. `own_bag`: it may be one too."""
        found = [*self._fitting(weight_mg), *self._without_weight(weight_mg, own_bag=own_bag)]
        return sorted(found, key=lambda choice: (choice.cost, choice.takes))

    def nearest(self, weight_mg: int) -> Choice:
        """Return what comes nearest to a weight that nothing fits; nothing at all when no line is left."""
        if not self._groups:
            return Choice(COST_UNEXPLAINED, "items", (), 0, self._scale.sd_mg, self._scale.floor_mg)
        group = min(self._groups, key=lambda group: (abs(weight_mg - group.mean_mg), group))
        return Choice(COST_UNEXPLAINED, "items", group.takes, group.mean_mg, group.sd_mg, group.tolerance_mg)

    def _fitting(self, weight_mg: int) -> Iterator[Choice]:
        low = bisect_left(self._means, weight_mg - self._reach)
        high = bisect_right(self._means, weight_mg + self._reach)
        for mean, tolerance, sd, cost, takes in self._groups[low:high]:
            misfit = (weight_mg - mean) / tolerance
            if -1 <= misfit <= 1:
                yield Choice(cost + misfit**2, "items", takes, mean, sd, tolerance)

    def _without_weight(self, weight_mg: int, *, own_bag: bool) -> Iterator[Choice]:
        sd, floor = self._scale.sd_mg, self._scale.floor_mg
        if weight_mg <= self._scale.noise_mg:
            yield Choice(COST_NOISE, "noise", (), 0, sd, floor)
        if own_bag and OWN_BAG_MG[0] <= weight_mg <= OWN_BAG_MG[1]:
            yield Choice(COST_OWN_BAG, "own_bag", ((self._bag, 1),), weight_mg, sd, floor)
        for index in self._unknown:
            yield Choice(COST_UNKNOWN, "unknown", ((index, 1),), weight_mg, sd, floor)

"""Which explanation each delta gets, when several compete for the same units: a small assignment problem, exact.

Branch and bound over the deltas, within a budget of steps, so that the answer comes in time whatever the basket. It
knows costs and stock only; what the choices mean is `bagging_choices.py`.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from gateway.rules.bagging_choices import COST_UNEXPLAINED, COST_UNKNOWN, Choice

BUDGET = 300  # steps; some 3 ms. Honest baskets take some dozens
SLACK = 0.5  # of the cost: a better fit by less tells nothing

_FIELD = 12  # bits of a line's units in one packed integer, the highest of them a guard that a borrow clears


@dataclass(frozen=True, slots=True)
class Assignment:
    """A choice for each delta, None = unexplained. `proven`: none exists that is cheaper by more than `SLACK`."""

    picked: tuple[Choice | None, ...]
    proven: bool


def assign(choices: Sequence[Sequence[Choice]], stock: Sequence[int], left_cost: float = 0.0) -> Assignment:
    """Return the cheapest explanation of all deltas together; `choices` of each are sorted by cost.

    `left_cost` is that of each unit of the stock that nothing takes.
    """
    search = _Search(choices, stock, left_cost)
    search.step(0, search.stock, sum(stock), 0.0)
    picked: list[Choice | None] = [None] * len(choices)
    for slot, choice in zip(search.order, search.best_path, strict=True):
        picked[slot] = choice
    return Assignment(tuple(picked), search.steps < BUDGET)


def assign_greedily(choices: Sequence[Sequence[Choice]], stock: Sequence[int]) -> Assignment:
    """Give each delta, in the order given, the cheapest choice that is left: for baskets too large to search."""
    left, picked = list(stock), list[Choice | None]()
    for some in choices:
        choice = next((one for one in some if all(left[line] >= units for line, units in one.takes)), None)
        picked.append(choice)
        for line, units in () if choice is None else choice.takes:
            left[line] -= units
    return Assignment(tuple(picked), proven=False)


class _Search:
    """Hardest delta first; a branch ends when it cannot become cheaper than the best one known."""

    def __init__(self, choices: Sequence[Sequence[Choice]], stock: Sequence[int], left_cost: float) -> None:
        self.order = sorted(range(len(choices)), key=lambda slot: len(choices[slot]))
        self.stock = sum(units << (_FIELD * line) for line, units in enumerate(stock))
        self.best, self.best_path, self.steps = math.inf, list[Choice | None](), 0
        self._guard = sum(1 << (_FIELD * line + _FIELD - 1) for line in range(len(stock)))
        self._branches = [[_branch(choice) for choice in choices[slot]] for slot in self.order]
        self._least = _from_here([branch[0][0] if branch else COST_UNEXPLAINED for branch in self._branches])
        self._needy = _from_here([bool(branch) and all(units for _, units, *_ in branch) for branch in self._branches])
        self._left_cost, self._path = left_cost, list[Choice | None]()
        self._seen: dict[tuple[int, int], float] = {}

    def step(self, at: int, stock: int, units: int, cost: float) -> None:
        """Decide delta `at` with the stock that is left; `units` is its sum."""
        self.steps += 1
        if self.steps > BUDGET or self._hopeless(at, stock, units, cost):
            return
        if at == len(self._branches):
            if cost + units * self._left_cost < self.best:
                self.best, self.best_path = cost + units * self._left_cost, self._path.copy()
            return
        for more, taken, need, choice in self._branches[at]:
            if cost + more + self._least[at + 1] + SLACK >= self.best:
                break
            if ((stock | self._guard) - need) & self._guard == self._guard:
                self._go(at, stock - need, units - taken, cost + more, choice)
        self._go(at, stock, units, cost + COST_UNEXPLAINED, None)

    def _go(self, at: int, stock: int, units: int, cost: float, choice: Choice | None) -> None:
        self._path.append(choice)
        self.step(at + 1, stock, units, cost)
        self._path.pop()

    def _hopeless(self, at: int, stock: int, units: int, cost: float) -> bool:
        """Tell whether nothing better can follow: fewer units than deltas leave some unexplained."""
        short = max(0, self._needy[at] - units)
        bound = cost + self._least[at] + short * (COST_UNEXPLAINED - COST_UNKNOWN)
        if bound + SLACK >= self.best or self._seen.get((at, stock), math.inf) <= cost:
            return True
        self._seen[at, stock] = cost
        return False


def _branch(choice: Choice) -> tuple[float, int, int, Choice]:
    """Return cost, units taken, the same packed by line, and the choice itself."""
    units = sum(units for _, units in choice.takes)
    return choice.cost, units, sum(units << (_FIELD * line) for line, units in choice.takes), choice


def _from_here(values: Sequence[float]) -> list[float]:
    """Return for each place the sum of the values from it on."""
    sums = [0.0]
    for value in reversed(values):
        sums.append(sums[-1] + value)
    return sums[::-1]

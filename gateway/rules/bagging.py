"""Does the bag weigh what was scanned? Matches the set of unplaced lines to the set of unexplained changes of weight.

Order does not matter: a customer may scan three items and put them down in any order, together, or one by one. The
answer never names a culprit and never blocks: what to do with `over` is the till's and the shop's decision.
Not here: weights of products (`weights.py`), plateaus of the scale (a delta is a change between two of them), a scale
that is wrong itself (`scale_fault.py`). Next: `bagging_choices.py`, then `bagging_search.py`.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from gateway.rules.bagging_choices import COST_LEFT, TOGETHER, Choice, Explanations, How, Scale, Unplaced, tolerance_mg
from gateway.rules.bagging_search import assign, assign_greedily

Result = Literal["match", "under", "over", "unknown"]
Method = Literal["exact", "bounded", "greedy"]

MAX_LINES = 12  # searched exactly; above it greedily, and the verdict says so
MAX_DELTAS = 14
LIGHT_MG = 20_000  # a lighter item may never have moved the scale: not missed at the end


@dataclass(frozen=True, slots=True)
class Delta:
    """One change of weight between two plateaus. `before_items`: nothing had been scanned yet."""

    id: str
    weight_mg: int
    before_items: bool = False


@dataclass(frozen=True, slots=True)
class Explained:
    """What one delta is taken for. `items` are (line, units).

    `certain`: nothing else could explain it, so that a single unit may be learnt from it.
    """

    delta: str
    how: How
    items: tuple[tuple[str, int], ...]
    error_mg: int
    tolerance_mg: int
    z: float
    certain: bool


@dataclass(frozen=True, slots=True)
class Awaited:
    """Units that are still to come into the bag; `mean_mg` is of one unit."""

    line: str
    gtin: str
    quantity: int
    mean_mg: int | None


@dataclass(frozen=True, slots=True)
class Verdict:
    """`match`: all of the bag is explained. `over`, `under`: it is heavier, lighter than what was scanned.

    `unknown`: it fits only by a product whose weight nobody knows. Error, tolerance and z are of the delta that fits
    worst; z is against the sd alone, so it may be large within the tolerance. `method`: `bounded` = the search was cut
    short, `greedy` = too large to search; a `match` holds all the same, another verdict may then be too strict.
    """

    result: Result
    method: Method
    error_mg: int
    tolerance_mg: int
    z: float
    explained: tuple[Explained, ...]
    unexplained: tuple[str, ...]
    next_expected: tuple[Awaited, ...]


def verify(
    unplaced: Sequence[Unplaced],
    deltas: Sequence[Delta],
    scale: Scale,
    *,
    placed: Sequence[Unplaced] = (),
    own_bag: bool = True,
    closing: bool = False,
) -> Verdict:
    """Explain the deltas by the unplaced lines, losses of weight by `placed` ones. Bounded; the order changes nothing.

    `own_bag`: the customer's own bag has not been seen yet. `closing`: all is said to be in the bag, so that what is
    missing counts. Ids of lines and deltas are unique within a call.
    """
    ups = sorted((one for one in deltas if one.weight_mg >= 0), key=lambda one: (-one.weight_mg, one.id))
    downs = sorted((one for one in deltas if one.weight_mg < 0), key=lambda one: (one.weight_mg, one.id))
    bag = _Bag(_by_line(unplaced), _by_line(placed), ups, scale, own_bag=own_bag, closing=closing)
    for delta in downs:
        bag.take_out(delta)
    return bag.verdict()


@dataclass(frozen=True, slots=True)
class _Misfit:
    error_mg: int
    tolerance_mg: int
    z: float


class _Bag:
    """The bag of one call: what came in is explained together, then what was taken out, one by one."""

    def __init__(
        self,
        lines: list[Unplaced],
        placed: list[Unplaced],
        ups: list[Delta],
        scale: Scale,
        *,
        own_bag: bool,
        closing: bool,
    ) -> None:
        self._lines, self._placed, self._ups, self._scale = lines, placed, ups, scale
        self._closing = closing
        self._method, picked, self._certain = _explain(lines, ups, scale, own_bag=own_bag, closing=closing)
        self._inside = dict(enumerate(picked))  # what each delta of `ups` is, as long as it is in the bag
        self._settled: list[Explained] = []
        self._returned: list[Unplaced] = []
        self._strange: list[Delta] = []

    def take_out(self, delta: Delta) -> None:
        """Explain a loss of weight: what should not be there went first, then a placed line, then what just came."""
        strangers = [at for at, choice in self._inside.items() if choice is None]
        if not (self._cancel(delta, strangers) or self._remove(delta) or self._cancel(delta, self._inside)):
            self._strange.append(delta)

    def verdict(self) -> Verdict:
        """Sum up: what is unexplained counts before what is missing, that before what is unknown."""
        left = self._left()
        awaited = [*left, *self._returned]
        explained = self._explained()
        result, worst = self._judge(left, explained, awaited if self._closing else [])
        strangers = [self._ups[at].id for at, choice in self._inside.items() if choice is None]
        return Verdict(
            result,
            self._method,
            worst.error_mg,
            worst.tolerance_mg,
            round(worst.z, 2),
            tuple(sorted(explained, key=lambda one: one.delta)),
            tuple(sorted([*strangers, *(delta.id for delta in self._strange)])),
            tuple(_awaited(line) for line in awaited),
        )

    def _judge(
        self, left: list[Unplaced], explained: list[Explained], missing: list[Unplaced]
    ) -> tuple[Result, _Misfit]:
        strange = self._misfits(left)
        if strange:
            worst = max(strange, key=lambda one: (one.error_mg > 0, abs(one.error_mg)))
            return ("over" if worst.error_mg > 0 else "under"), worst
        gaps = [gap for line in missing for gap in _gap(line, self._scale)]
        if gaps:
            return "under", min(gaps, key=lambda one: one.error_mg)
        fits = [_Misfit(one.error_mg, one.tolerance_mg, one.z) for one in explained]
        worst = max(
            fits,
            key=lambda one: (abs(one.error_mg) / one.tolerance_mg, one.error_mg),
            default=_Misfit(0, self._scale.floor_mg, 0.0),
        )
        doubtful = any(one.how == "unknown" for one in explained) or any(line.expected is None for line in missing)
        return ("unknown" if doubtful else "match"), worst

    def _cancel(self, delta: Delta, candidates: Iterable[int]) -> bool:
        """Let a gain of the same weight go again. Its units, if it had any, are to come once more."""
        errors = [(abs(self._ups[at].weight_mg + delta.weight_mg), at) for at in candidates]
        error, at = min(errors, default=(self._scale.floor_mg + 1, 0))
        if error > self._scale.floor_mg:
            return False
        del self._inside[at]
        nothing = Choice(0, "cancelled", (), -delta.weight_mg, self._scale.sd_mg, self._scale.floor_mg)
        self._settled.append(_explained(self._ups[at], nothing, (), certain=False))
        self._settled.append(Explained(delta.id, "cancelled", (), 0, self._scale.floor_mg, 0.0, certain=False))
        return True

    def _remove(self, delta: Delta) -> bool:
        """Take placed units out; they are to come once more."""
        found = Explanations(self._placed, self._scale, _together(self._placed)).of(-delta.weight_mg, own_bag=False)
        if not found:
            return False
        choice = found[0]._replace(how="removed") if found[0].how == "items" else found[0]
        self._settled.append(_explained(delta, choice, self._placed, certain=len(found) == 1))
        self._returned += [replace(self._placed[at], quantity=units) for at, units in choice.takes]
        self._placed = _without(self._placed, [choice])
        return True

    def _explained(self) -> list[Explained]:
        inside = [
            _explained(self._ups[at], choice, self._lines, certain=self._certain[at])
            for at, choice in self._inside.items()
            if choice is not None
        ]
        return [*self._settled, *inside]

    def _left(self) -> list[Unplaced]:
        return _without(self._lines, [choice for choice in self._inside.values() if choice is not None])

    def _misfits(self, left: list[Unplaced]) -> list[_Misfit]:
        """Return how far each unexplained delta is from the nearest that could have been meant."""
        explanations, scale = Explanations(left, self._scale, _together(left)), self._scale
        gains = [self._ups[at].weight_mg for at, choice in self._inside.items() if choice is None]
        losses = [_Misfit(one.weight_mg, scale.floor_mg, one.weight_mg / scale.sd_mg) for one in self._strange]
        return [*losses, *(_misfit(weight_mg, explanations.nearest(weight_mg)) for weight_mg in gains)]


def _is_plain(picked: Iterable[Choice | None]) -> bool:
    return all(choice is not None and choice.how != "unknown" for choice in picked)


def _by_line(lines: Iterable[Unplaced]) -> list[Unplaced]:
    return sorted(lines, key=lambda one: one.line)


def _explain(
    lines: Sequence[Unplaced], ups: Sequence[Delta], scale: Scale, *, own_bag: bool, closing: bool
) -> tuple[Method, Sequence[Choice | None], list[bool]]:
    """Return how it was searched, what each gain is taken for (None = unexplained), and whether that is certain.

    Most items come one by one: only what that cannot explain is worth the table of all that may come together.
    """
    stock = [*(line.quantity for line in lines), int(own_bag)]
    small = len(lines) <= MAX_LINES and len(ups) <= MAX_DELTAS
    method: Method = "greedy"
    for together in (1, TOGETHER) if small else (1,):
        explanations = Explanations(lines, scale, together)
        choices = [explanations.of(up.weight_mg, own_bag=own_bag and up.before_items) for up in ups]
        if small and together == 1 and not all(choices):
            continue
        found = assign(choices, stock, COST_LEFT if closing else 0.0) if small else assign_greedily(choices, stock)
        method = "greedy" if not small else "exact" if found.proven else "bounded"
        if _is_plain(found.picked) and not (closing and _without(lines, [one for one in found.picked if one])):
            break
    return method, found.picked, [len(some) == 1 for some in choices]


def _together(lines: Sequence[Unplaced]) -> int:
    return TOGETHER if len(lines) <= MAX_LINES else 1


def _misfit(weight_mg: int, choice: Choice) -> _Misfit:
    error_mg = weight_mg - choice.mean_mg
    return _Misfit(error_mg, choice.tolerance_mg, error_mg / choice.sd_mg)


def _explained(delta: Delta, choice: Choice, lines: Sequence[Unplaced], *, certain: bool) -> Explained:
    fit = _misfit(abs(delta.weight_mg), choice)
    items = tuple((lines[at].line, units) for at, units in choice.takes if at < len(lines))
    return Explained(delta.id, choice.how, items, fit.error_mg, fit.tolerance_mg, round(fit.z, 2), certain)


def _without(lines: Sequence[Unplaced], choices: Iterable[Choice]) -> list[Unplaced]:
    """Return the lines with the units that are left of them."""
    left = {at: line.quantity for at, line in enumerate(lines)}
    for at, units in (take for choice in choices for take in choice.takes if take[0] in left):
        left[at] -= units
    return [replace(lines[at], quantity=units) for at, units in left.items() if units]


def _gap(line: Unplaced, scale: Scale) -> list[_Misfit]:
    """Return what is missing in the bag when these units never came: nothing when they are too light to be missed."""
    one, units = line.expected, line.quantity
    if one is None or one.mean_mg < LIGHT_MG:
        return []
    sd = math.hypot(scale.sd_mg, math.sqrt(units) * one.sd_mg)
    error_mg = -units * one.mean_mg
    return [_Misfit(error_mg, tolerance_mg(one, scale.division_mg, scale.sd_mg, units), error_mg / sd)]


def _awaited(line: Unplaced) -> Awaited:
    return Awaited(line.line, line.gtin, line.quantity, None if line.expected is None else line.expected.mean_mg)

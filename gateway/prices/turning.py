"""Products are turned to the price in force, a bounded number for each message, and old lines are swept away. Pure.

What is to be turned is the schedule's (`schedule.turns`): a wave whose instant has come or gone, master data that
changed, everything after a start. Tills' messages are let in between two ticks, their look-ups between two products.
"""

from datetime import datetime

from gateway import messages as m
from gateway.prices import convergence
from gateway.prices.schedule import Turn
from gateway.prices.shop import Shop
from gateway.prices.work import Step, Steps, pages

TURNED_PER_MESSAGE = 150  # products: what else comes waits so long, some 10 ms and a commit
SWEPT_PER_MESSAGE = 2000  # most need no more than a look
LATE_EVERY_S = 10.0  # how often late labels are looked for while there is work


class Turning:
    """Handles time and the work that it leaves."""

    def __init__(self, shop: Shop) -> None:
        self._shop = shop
        self._looked_at: datetime | None = None

    def tick(self, tick: m.Tick) -> Steps:
        """Let time go on."""
        schedule, at = self._shop.schedule, tick.at
        if tick.trusted:
            schedule.advance(at)
        yield from self.work(at)
        if not schedule.turns or self._looked_at is None or abs((at - self._looked_at).total_seconds()) > LATE_EVERY_S:
            self._looked_at = at
            yield from convergence.late(schedule, self._shop.shelf, self._shop.policy.converge_alarm_s, at)

    def work(self, at: datetime) -> Steps:
        """Turn products that may have another price now, a bounded number of them; sweep when there are none."""
        turns, budget = self._shop.schedule.turns, TURNED_PER_MESSAGE
        if not turns:
            yield from self._sweep(at)
        while turns and budget:
            turn = turns[0]
            while turn.gtins and budget:
                yield self._turn(turn.gtins.popleft(), turn, at)
                budget -= 1
            if not turn.gtins:
                turns.popleft()
                yield self._ended(turn, at)

    def _turn(self, gtin: str, turn: Turn, at: datetime) -> list[m.Message]:
        shop = self._shop
        out: list[m.Message] = []
        found = shop.schedule.in_force(gtin)
        wanted = None if found is None else (found[0].price_minor, found[1])
        wave = None if wanted is None else wanted[1]
        if turn.progress is not None and wave != turn.progress.wave:
            turn.overtaken += 1
        if wanted != shop.wanted.get(gtin):
            turn.products += 1
            out.append(shop.want(gtin, wanted, at))
        for label in shop.shelf.labels_of(gtin):
            out += shop.look_at(label, wave, at)
        return [*out, *shop.recharge(gtin, at)]

    def _ended(self, turn: Turn, at: datetime) -> Step:
        schedule = self._shop.schedule
        out: list[m.Message] = []
        if not schedule.loaded:  # the first turn looks at everything after a start
            schedule.loaded = True
            for progress in schedule.waves.open_ones():
                out += convergence.converged(progress, schedule, at)
        if turn.progress is not None:
            out += convergence.announce(turn, turn.progress, schedule, at)
        return out

    def _sweep(self, at: datetime) -> Steps:
        """Drop lines that can never matter again; not of a product that waits to be turned: its line is still used."""
        shop = self._shop
        for page in pages(shop.schedule.take_unswept(SWEPT_PER_MESSAGE)):
            yield shop.schedule.forget([gtin for gtin in page if self._is_turned(gtin)], at)

    def _is_turned(self, gtin: str) -> bool:
        found, wanted = self._shop.schedule.in_force(gtin), self._shop.wanted.get(gtin)
        return (None if found is None else found[1]) == (None if wanted is None else wanted[1])

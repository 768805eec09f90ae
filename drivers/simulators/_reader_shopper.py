"""People in the simulated shop who carry items of their own accord: to the fitting room, to the till, out of the door.

Runs on the timeline; all chance is seeded. Not here: what carrying means (`_reader_world.py`).
"""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from drivers.simulators._reader_layout import Zone
from drivers.simulators._reader_tag import Tag
from drivers.simulators._reader_world import World

MOST_CARRIED = 3
LOOK_S = 2.0  # who waits looks up so often


@dataclass(frozen=True)
class Habits:
    """What shoppers do. `thieves`: share that walks out unpaid; `tries`, `buys`: shares of the honest ones.

    `pays_itself`: an item at the till counts as sold; without, the shopper waits there for `sell`, and in the end puts
    the item back.
    """

    per_hour: float = 0.0
    thieves: float = 0.02
    tries: float = 0.4
    buys: float = 0.5
    browse_s: float = 60.0
    pay_s: float = 20.0
    patience_s: float = 180.0
    pays_itself: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse what cannot be, with the reason."""
        shares_ok = all(0 <= share <= 1 for share in (self.thieves, self.tries, self.buys))
        if not shares_ok or not 0 <= self.per_hour <= 100_000:
            raise ValueError("shoppers: a share is within 0..1, and there are at most 100000 an hour")


class Shoppers:
    """All who come into one shop. `speed` shortens what they wait; how they walk stays."""

    def __init__(self, world: World, habits: Habits, speed: float) -> None:
        self._world, self._habits, self._speed = world, habits, speed
        self._rng = Random(f"shoppers {habits.seed}")  # noqa: S311 (repeatable, not secret)
        self._timeline = world.timeline
        layout = world.layout
        self._floors = [zone for zone in layout.of_kind("floor") if zone.name != "by-door"]
        self._fitting = layout.of_kind("fitting")
        self._till = layout.of_kind("till")
        self._taken: set[int] = set()  # numbers of the items in somebody's hands
        self.came = self.stole = 0

    def begin(self) -> None:
        """Let the first one come."""
        if self._habits.per_hour and self._floors:
            self._after(3600 / self._habits.per_hour, self._come)

    def _after(self, mean_s: float, act: Callable[..., None], *args: object) -> None:
        self._timeline.after(self._rng.expovariate(1 / mean_s) / self._speed, act, *args)

    def _come(self) -> None:
        self._after(3600 / self._habits.per_hour, self._come)
        self.came += 1
        shelf = self._rng.choice(self._floors)
        count = min(self._rng.randint(1, MOST_CARRIED), len(shelf.tags))
        seen = self._world.any_of([shelf], count)
        items = [tag for tag in seen if tag.sold_s is None and tag.number not in self._taken]
        self._taken.update(tag.number for tag in items)
        self._after(self._habits.browse_s, self._decide, items, shelf)

    def _decide(self, items: list[Tag], shelf: Zone) -> None:
        if self._rng.random() < self._habits.thieves:
            self.stole += 1
            self._leave(items)
        elif self._fitting and self._rng.random() < self._habits.tries:
            self._carry(items, self._fitting[0])
            self._after(self._habits.browse_s, self._choose, items, shelf)
        else:
            self._choose(items, shelf)

    def _choose(self, items: list[Tag], shelf: Zone) -> None:
        if self._rng.random() >= self._habits.buys:
            self._put_back(items, self._rng.choice([shelf, *self._floors]))  # not always where it belongs
            return
        if self._till:
            self._carry(items, self._till[0])
        self._after(self._habits.pay_s, self._pay, items, shelf)

    def _pay(self, items: list[Tag], shelf: Zone) -> None:
        if self._habits.pays_itself:
            for tag in items:
                if tag.zone is not None:  # a hook may have carried it away
                    self._world.sell(tag)
            self._leave(items)
        else:
            self._wait(items, shelf, self._timeline.now_s + self._habits.patience_s / self._speed)

    def _wait(self, items: list[Tag], shelf: Zone, until_s: float) -> None:
        """Stand at the till until everything is sold, or patience ends."""
        if self._timeline.now_s >= until_s or all(tag.sold_s is not None for tag in items):
            self._end(items, shelf)
        else:
            self._timeline.after(LOOK_S / self._speed, self._wait, items, shelf, until_s)

    def _end(self, items: list[Tag], shelf: Zone) -> None:
        """Leave with what was sold meanwhile, put the rest back."""
        self._leave([tag for tag in items if tag.sold_s is not None])
        self._put_back([tag for tag in items if tag.sold_s is None], shelf)

    def _carry(self, items: list[Tag], zone: Zone) -> None:
        for tag in items:
            self._world.move(tag, zone)

    def _put_back(self, items: list[Tag], zone: Zone) -> None:
        self._carry(items, zone)
        self._taken.difference_update(tag.number for tag in items)

    def _leave(self, items: list[Tag]) -> None:
        self._taken.difference_update(tag.number for tag in items)
        for tag in items:
            if tag.zone is not None:
                self._world.walk(tag)

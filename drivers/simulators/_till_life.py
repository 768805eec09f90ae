"""One till from switching on to switching off: its parts, their tasks, and how it comes back after it died.

What is on its disk survives (event log, price cache); the open basket, the lease and what was on the wire do not.
"""

import asyncio
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from random import Random
from typing import Any, get_args

from drivers.simulators._till_clock import TillClock
from drivers.simulators._till_lane import Lane
from drivers.simulators._till_link import Link, Mishaps, RoughLink
from drivers.simulators._till_log import EventLog
from drivers.simulators._till_machine import TillMachine
from drivers.simulators._till_prices import Feeder, Mode, Prices
from drivers.simulators._till_sender import Sender
from drivers.simulators._till_shopper import Article, Shopper
from drivers.simulators._till_truth import Ledger


@dataclass(frozen=True)
class TillConfig:
    """How the tills of a shop are. `mode`: how they use a cache; `speed` shortens the waits of people, not of tills.

    `baskets`: how many shoppers are drawn for each till (0 = without end), one every `every_s` or so.
    """

    articles: tuple[Article, ...] = ()
    mode: Mode = "fallback"
    seed: int = 0
    speed: float = 1.0
    baskets: int = 0
    every_s: float = 60.0

    def __post_init__(self) -> None:
        """Refuse what cannot be simulated, with the field's name."""
        if not self.speed > 0:
            raise ValueError(f"speed: {self.speed} is not above 0")
        if self.baskets < 0:
            raise ValueError(f"baskets: {self.baskets} is below 0")
        if not self.every_s > 0:
            raise ValueError(f"every_s: {self.every_s} is not above 0")
        if self.mode not in get_args(Mode):
            raise ValueError(f"mode: {self.mode!r} is none of {', '.join(get_args(Mode))}")


class Till:
    """One till. `shoppers` come one after the other, and may be endless. Needs no running loop before `run`."""

    def __init__(
        self,
        terminal: str,
        link: Link,
        clock: TillClock,
        shoppers: Iterable[Shopper],
        ledger: Ledger,
        config: TillConfig,
    ) -> None:
        def rng(use: str) -> Random:
            return Random(f"{use} {terminal} {config.seed}")  # noqa: S311 (repeatable, not secret)

        self.terminal, self.clock = terminal, clock
        self.mishaps = Mishaps()
        self.log = EventLog()
        rough = RoughLink(link, self.mishaps)
        self.machine = TillMachine(terminal, clock, rng("events"), self.log, ledger)
        articles = {article.gtin: article for article in config.articles}
        self.prices = Prices(config.mode, rough, clock, self.mishaps, articles)
        self.feeder = Feeder(terminal, self.prices, rough, clock, rng("feed"))
        self._sender = Sender(terminal, self.log, rough, self.mishaps, clock, rng("sending"), self.die)
        self._lane = Lane(self.machine, self.prices, rough, ledger, config.speed)
        self._coming: Shopper | None = None
        self._shoppers: Iterator[Shopper] = iter(shoppers)
        self._speed = config.speed
        self._death: asyncio.Future[float] | None = None

    async def run(self) -> None:
        """Serve all shoppers and deliver every event, over any number of deaths. Raises Unwelcome."""
        await self._sender.resume()
        while (down_s := await self._live()) is not None:
            await asyncio.sleep(down_s / self._speed)
            self._come_back()

    def die(self, down_s: float) -> None:
        """Cut the power now, for so many seconds."""
        if self._death is not None and not self._death.done():
            self._death.set_result(down_s)

    def _come_back(self) -> None:
        self.prices.cache.lose_lease()
        if self.machine.basket is not None:
            self.machine.abandon("restarted")

    async def _live(self) -> float | None:
        """Run until all is done (None), or until the power goes: then return for how long."""
        self._death = asyncio.get_running_loop().create_future()
        work = asyncio.create_task(self._work(), name=f"till {self.terminal}")
        try:
            parts: set[asyncio.Future[Any]] = {work, self._death}
            await asyncio.wait(parts, return_when=asyncio.FIRST_COMPLETED)
            if work.done():
                await work
                return None
            return self._death.result()
        finally:
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)

    async def _work(self) -> None:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._sender.run(), name=f"till {self.terminal}: sends")]
            if self.prices.mode != "ask":
                tasks.append(group.create_task(self.feeder.run(), name=f"till {self.terminal}: reads the feed"))
                tasks.append(group.create_task(self.feeder.listen(), name=f"till {self.terminal}: listens"))
            self.machine.status("idle")
            while (shopper := self._coming or next(self._shoppers, None)) is not None:
                self._coming = shopper  # whoever is still on the way comes also when the till is off meanwhile
                await self._lane.wait(shopper.before_s)
                self._coming = None
                await self._lane.serve(shopper)
            await self._sender.drained()
            for task in tasks:
                task.cancel()

"""Self-checkouts that use the gateway's interface, simulated: shoppers, events, a price cache, mishaps, a ground truth.

A till is a *client*: it is told where the gateway is and its token, and speaks only what a till vendor would write.
`TillFleet` runs on the event loop's own time, so 72 hours offline take seconds in a test. Not for production.
By hand: `aisled simulate till --gateway https://gateway --token-file tokens.txt --truth-port 8081`.
Where to look next: `_till_machine.py` (baskets and events), `_till_prices.py` (look-ups, cache and lease),
`_till_sender.py` (delivery), `_till_shopper.py` (scripts), `_till_faults.py` (mishaps), `_till_truth.py` (the oracle).
"""

import asyncio
from collections.abc import Iterable, Iterator, Mapping, Sequence
from random import Random
from typing import Any

from drivers.simulators._till_clock import TillClock, Utc, utc_now
from drivers.simulators._till_faults import Faults
from drivers.simulators._till_life import Till, TillConfig
from drivers.simulators._till_link import Link
from drivers.simulators._till_script import play
from drivers.simulators._till_sender import Unwelcome
from drivers.simulators._till_shopper import Article, Shopper, random_shopper
from drivers.simulators._till_truth import Charged, Ledger, as_json

__all__ = ["Article", "Charged", "Shopper", "TillConfig", "TillFleet", "Unwelcome"]


class TillFleet:
    """The tills of one shop and those who stand in front of them.

    `links`: terminal -> its way to the gateway. `shoppers`: terminal -> those who come, in order; without, they are
    drawn from the seed and never end. `modes`: how a till uses its cache. Needs a running loop only in `run`.
    """

    def __init__(
        self,
        links: Mapping[str, Link],
        config: TillConfig,
        shoppers: Mapping[str, Iterable[Shopper]] | None = None,
        utc: Utc = utc_now,
    ) -> None:
        self.config = config
        self.ledger = Ledger()
        self.tills: dict[str, Till] = {}
        for terminal, link in links.items():
            queue = self._drawn(terminal) if shoppers is None else shoppers.get(terminal, ())
            clock = TillClock(_loop_time, utc)
            self.tills[terminal] = Till(terminal, link, clock, queue, self.ledger, config)
        self.faults = Faults(self.tills, config.speed)

    async def run(self, script: Sequence[Mapping[str, Any]] = ()) -> None:
        """Serve every shopper and deliver every event; shoppers may never end. Raises Unwelcome, in a group."""
        async with asyncio.TaskGroup() as group:
            tills = [group.create_task(till.run(), name=f"till {till.terminal}") for till in self.tills.values()]
            mishaps = group.create_task(play(self.faults, script, self.config.speed), name="mishaps of the tills")
            await asyncio.wait(tills)
            mishaps.cancel()

    def truth(self) -> dict[str, Any]:
        """Return what was really charged, and every event ever made, as JSON."""
        return as_json(self.ledger, {terminal: till.log for terminal, till in self.tills.items()})

    def _drawn(self, terminal: str) -> Iterator[Shopper]:
        rng = Random(f"shoppers {terminal} {self.config.seed}")  # noqa: S311 (repeatable, not secret)
        while True:
            yield random_shopper(rng, self.config.articles)


def _loop_time() -> float:
    return asyncio.get_running_loop().time()

"""The demo's readers: three simulated ones over 2 000 tags, and what people do there: buy, carry about, steal.

Each piece that a till sells is carried out by the door; now and then somebody takes one that no till sells.
Not here: the readers (`drivers/simulators/reader.py`), what is to be thought of it (`items.py`).
"""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from random import Random

import aiohttp

from gateway.demo.items import Items
from gateway.demo.stage import Stage, start
from gateway.errors import LinkDown
from gateway.prices.waves import check_digit

TAGS = 2000
TURN_S = 0.5
STEAL_EVERY = 10  # turns
CARRY_EVERY = 4
CARRIED = 3  # items in one go
KNOWN_S = 8.0  # a thief takes what has been known for so long
FLOORS = ("floor-1", "floor-2", "fitting")


def unsold_gtins() -> list[str]:
    """Return products that no till of the demo sells: whoever leaves with one has not paid."""
    bodies = [f"069{n:010d}" for n in range(9_999_999_990, 10_000_000_000)]
    return [f"{body}{check_digit(body + '0')}" for body in bodies]


class Readers:
    """The readers on one stage: `open` before the gateway, then `live` until cancelled."""

    def __init__(self, on: Stage, items: Items) -> None:
        self._on, self._items = on, items
        self._random = Random(5)  # noqa: S311 - a play, no secret
        self._unsold = frozenset(unsold_gtins())
        self._turn = 0

    async def open(self, gtins: Sequence[str]) -> None:
        """Start the readers over items of these products, and of some that nobody sells."""
        file = self._on.folder / "gtins.txt"
        file.write_text("\n".join([*gtins, *self._unsold]), "utf-8")
        words = ["simulate", "reader", "--port", str(self._on.readers_port), "--readers", "3", "--tags", str(TAGS)]
        words += ["--truth-port", str(self._on.items_port), "--gtins", str(file), "--seed", "1"]
        self._on.children["readers"] = await start(self._on.stack, self._on.folder, "readers", words)
        await self._on.until_up({"readers": self._url("truth")})

    async def live(self) -> None:
        """Let people buy, carry items about, and steal, until cancelled."""
        while True:
            await self.look()
            while self._items.to_sell:
                gtin, pieces = self._items.to_sell.popleft()
                self._items.sold |= await self._tell("sell", gtin=gtin, items=pieces, leave=True)
            self._turn += 1
            if self._turn % CARRY_EVERY == 0:
                one, other = self._random.sample(FLOORS, 2)
                await self._tell("move", **{"from": one, "to": other, "items": CARRIED})
            if self._turn % STEAL_EVERY == 0 and (victim := self._victim()) is not None:
                self._items.stolen |= await self._tell("walk", epc=victim)
            await asyncio.sleep(TURN_S)

    async def look(self) -> None:
        """Read the ground truth."""
        try:
            async with self._on.http.get(self._url("truth")) as answer:
                self._items.truth = (await answer.json())["tags"]
        except aiohttp.ClientError as error:
            raise LinkDown(f"readers: {error}; {self._on.children['readers'].last_words()}") from error

    def _victim(self) -> str | None:
        """Return an item on the floor that was never for sale and has been known for a while."""
        now = datetime.now(UTC)
        found = [
            epc
            for epc, tag in self._items.truth.items()
            if tag["gtin"] in self._unsold and tag["zone"] in FLOORS and self._items.zones.get(epc) in FLOORS
            if (now - self._items.known_at[epc]).total_seconds() > KNOWN_S
        ]
        return self._random.choice(found) if found else None

    async def _tell(self, hook: str, **body: object) -> set[str]:
        """Let something happen; return the items. What cannot be (sold out, say) does not happen."""
        try:
            async with self._on.http.post(self._url(hook), json=body) as answer:
                return set((await answer.json())["epcs"]) if answer.ok else set()
        except aiohttp.ClientError as error:
            raise LinkDown(f"readers: {error}; {self._on.children['readers'].last_words()}") from error

    def _url(self, what: str) -> str:
        return f"http://127.0.0.1:{self._on.items_port}/{what}"

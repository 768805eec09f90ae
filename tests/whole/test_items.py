"""Items in a shop of processes: simulated readers, `aisled run`, a real broker. Alarms, cut lines, counts, kill -9."""

import asyncio
import contextlib
import json
import random
import socket
import sqlite3
import sys
import urllib.error
import urllib.request
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from typing import Any

from tests.mosquitto import free_port
from tests.whole.shop import Shop

ZONES = {
    "goods-in": ("goods_in", 1, 1),
    "backroom": ("backroom", 1, 2),
    "floor-1": ("floor", 2, 1),
    "floor-2": ("floor", 2, 2),
    "fitting": ("fitting", 2, 3),
    "till": ("till", 2, 4),
}
TAGS = 150


class Readers:
    """Three simulated readers over one shop of tags, and the tables of the configuration that fit them."""

    def __init__(self, shop: Shop) -> None:
        self.shop, self.port, self.truth_port = shop, free_ports(3), free_port()
        words = ["--port", str(self.port), "--readers", "3", "--truth-port", str(self.truth_port)]
        words += ["--tags", str(TAGS), "--seed", "7"]
        shop._child([sys.executable, "-m", "gateway.cli", "simulate", "reader", *words], "readers")
        for number in (1, 2, 3):
            shop.devices += f'[[device]]\nid = "r{number}"\ndriver = "rfid_llrp"\nhost = "127.0.0.1"\n'
            shop.devices += f"port = {self.port + number - 1}\ninsecure = true\n"
        for zone, (kind, reader, antenna) in ZONES.items():
            shop.devices += f'[[zone]]\nid = "{zone}"\nkind = "{kind}"\nantennas = ["r{reader}:{antenna}"]\n'
        shop.devices += '[[zone]]\nid = "door"\nkind = "exit"\nantennas = ["r3:1"]\noutside = ["r3:2"]\n'

    def truth(self) -> dict[str, Any]:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.truth_port}/truth", timeout=10) as answer:
            found: dict[str, Any] = json.load(answer)
        return found

    def is_up(self) -> bool:
        try:
            return bool(self.truth())
        except urllib.error.URLError:
            return False

    def tell(self, hook: str, **body: Any) -> None:
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.truth_port}/{hook}",
            json.dumps(body).encode(),
            {"Content-Type": "application/json"},
        )
        urllib.request.urlopen(request, timeout=10).close()

    def counted(self) -> set[str]:
        """Return the items that stand in the zones of a count, by the ground truth."""
        return {epc for epc, tag in self.truth()["tags"].items() if tag["zone"] in ZONES and tag["zone"] != "goods-in"}

    async def left_at(self, epc: str) -> datetime:
        await self.shop.until(lambda: self.truth()["tags"][epc]["left"], f"{epc} outside")
        return datetime.fromisoformat(self.truth()["tags"][epc]["left"])


def free_ports(count: int) -> int:
    """Return the first of so many ports in a row that nobody uses now, below those that `free_port` gives."""
    while True:
        first = random.SystemRandom().randrange(10_000, 19_900)
        with contextlib.suppress(OSError), contextlib.ExitStack() as probes:
            for number in range(count):
                probes.enter_context(socket.create_server(("127.0.0.1", first + number)))
            return first


async def open_shop(shop: Shop) -> Readers:
    readers = Readers(shop)
    await shop.broker()
    shop.configure("[rfid]\nsettle_s = 5")
    shop.start()
    await shop.sees("gateway.started")
    await shop.until(readers.is_up, "simulated readers")
    known = readers.counted()
    await shop.until(lambda: {e["data"]["epc"] for e in shop.of("tag.arrived")} >= known, "every item arrives", 90)
    return readers


def rows(shop: Shop, query: str) -> list[tuple[Any, ...]]:
    with sqlite3.connect(f"file:{shop.folder}/data/aisled.db?mode=ro", uri=True) as db:
        return db.execute(query).fetchall()


async def test_an_unsold_item_that_leaves_is_an_alarm_within_two_seconds_also_with_the_line_cut(tmp_path):
    async with AsyncExitStack() as stack:
        shop = Shop(tmp_path, stack)
        readers = await open_shop(shop)
        on_floor = sorted(epc for epc, tag in readers.truth()["tags"].items() if tag["zone"] == "floor-1")
        thief, second = on_floor[0], on_floor[1]
        readers.tell("walk", epc=thief)
        left = await readers.left_at(thief)
        alarm = await shop.sees("exit.alarm", epc=thief)
        assert alarm["data"]["zone"] == "door"
        assert {read[0] for read in alarm["data"]["evidence"]} == {"r3:1", "r3:2"}
        in_time(alarm, left)
        shop.mosquitto.stop()
        readers.tell("walk", epc=second)
        left = await readers.left_at(second)
        await shop.until(lambda: rows(shop, f"SELECT 1 FROM tag WHERE epc = '{second}' AND state = 'left'"), "decided")
        await shop.mosquitto.start()
        late = await shop.sees("exit.alarm", epc=second)
        in_time(late, left)
        code, _ = shop.stop()
        assert code == 0, shop.log()


async def test_kills_in_the_middle_of_a_count_lose_nothing_that_was_told(tmp_path):
    dice = random.Random(5)
    async with AsyncExitStack() as stack:
        shop = Shop(tmp_path, stack)
        await open_shop(shop)
        order(shop, "count_start", session="c1")
        expected = (await shop.sees("count.started", session="c1"))["data"]["expected"]
        for _ in range(6):
            told = len(shop.of("count.progress"))
            await asyncio.sleep(dice.uniform(0, 0.3))  # anywhere between two commits
            if dice.random() < 0.7:
                await shop.until(lambda told=told: len(shop.of("count.progress")) > told, "progress")
            shop.kill()
            shop.start()
        await shop.until(lambda: shop.of("count.progress")[-1]["data"]["seen"] >= expected * 0.9, "most are heard", 120)
        order(shop, "count_stop", session="c1")
        end = (await shop.sees("count.finished", session="c1"))["data"]
        told_most = max(event["data"]["found"] for event in shop.of("count.progress"))
        assert end["expected"] == expected
        assert end["ended"] in ("command", "complete")
        assert end["found"] >= told_most
        assert end["found"] + end["missing"] == expected
        assert len(shop.of("count.finished")) == len(shop.of("count.started")) == 1
        found = rows(shop, "SELECT count(*) FROM count_item WHERE verdict = 'found'")
        assert found == [(end["found"],)]
        assert shop.gaps("business") == []


def in_time(alarm: dict[str, Any], crossed: datetime) -> None:
    """Hold an alarm to its promise by the clocks of the messages: 2 s after the last read, not long after the sill."""
    decided, last_read = (datetime.fromisoformat(text) for text in (alarm["time"], alarm["data"]["left_at"]))
    assert (decided - last_read).total_seconds() < 2
    assert (decided - crossed).total_seconds() < 6  # the door's antennas hear an item for some metres more


def order(shop: Shop, name: str, **args: Any) -> None:
    body = {"id": f"{name}-1", "issued_at": datetime.now(UTC).isoformat(), "issuer": "hq/test", "args": args}
    shop.order(f"commands/{name}", body)

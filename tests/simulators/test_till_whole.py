"""Simulated tills against the whole gateway, as processes: what shoppers paid is what head office is told."""

import asyncio
from collections import Counter
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from drivers import _terminal_tokens
from drivers.simulators._till_serve import Where, tills_at
from drivers.simulators._till_truth import Charged
from drivers.simulators.till import TillConfig
from tests.mosquitto import free_port
from tests.whole.shop import Shop, gtin

PRODUCTS = 6
TERMINALS = ("sco-1", "sco-2")
DEVICE = '[[device]]\nid = "tills"\ndriver = "checkout_http"\nhost = "127.0.0.1"\nport = {}\nplaintext = true\n'


@pytest.fixture
async def shop(tmp_path: Path):
    async with AsyncExitStack() as stack:
        shop = Shop(tmp_path, stack)
        await shop.broker()
        yield shop


async def open_with_tills(shop: Shop) -> Where:
    """Start the gateway with prices for all products and no labels."""
    port, data = free_port(), shop.folder / "data"
    shop.configure(DEVICE.format(port))
    data.mkdir(exist_ok=True)
    now = datetime.now(UTC)
    tokens = {name: _terminal_tokens.add(data / "terminals.json", name, now) for name in TERMINALS}
    shop.start()
    await shop.sees("gateway.started")
    shop.products(PRODUCTS)
    shop.wave("w1", {gtin(n): 1000 + n for n in range(PRODUCTS)})
    await shop.until(lambda: len(shop.of("price.charged")) == PRODUCTS, "prices")
    return Where(f"http://127.0.0.1:{port}", tokens)


def paid(line: Charged) -> tuple[Any, ...]:
    return line.terminal, line.basket, line.line, line.gtin, line.unit_price_minor, line.amount_minor


def told(event: dict[str, Any]) -> tuple[Any, ...]:
    data = event["data"]
    names = ("terminal", "basket", "line", "gtin", "unit_price_minor", "amount_minor")
    return tuple(data[name] for name in names)


def took(shop: Shop) -> dict[str, int]:
    """What was paid at each till, change given back, by what head office heard of its baskets."""
    found: dict[str, int] = {}
    for event in shop.of("sale.basket", outcome="paid"):
        data = event["data"]
        found[data["terminal"]] = found.get(data["terminal"], 0) + sum(one["amount_minor"] for one in data["tenders"])
    return found


@pytest.mark.long
async def test_head_office_hears_of_every_line_that_was_paid_and_of_no_other(shop) -> None:
    where = await open_with_tills(shop)
    config = TillConfig(mode="cache", seed=7, speed=100, baskets=12)
    script = [
        {"at_s": 60.0, "fault": "repeat", "count": 2},
        {"at_s": 100.0, "fault": "die", "down_s": 20.0, "terminal": "sco-1"},
        {"at_s": 150.0, "fault": "shuffle"},
        {"at_s": 200.0, "fault": "die_at_send", "down_s": 20.0, "terminal": "sco-2"},
        {"at_s": 250.0, "fault": "offline", "seconds": 60.0},
    ]
    async with tills_at(where, config) as fleet, asyncio.TaskGroup() as group:
        group.create_task(fleet.run(script))
        for number in range(2, 6):
            await asyncio.sleep(1.0)
            shop.wave(f"w{number}", {gtin(n): 1000 + (-1) ** number * 10 * number + n for n in range(PRODUCTS)})
    lines = fleet.ledger.lines
    assert lines
    await shop.until(lambda: took(shop) == fleet.ledger.sums(), "sums")
    assert Counter(map(told, shop.of("sale.line"))) == Counter(map(paid, lines))
    assert {event["data"]["basket"] for event in shop.of("sale.basket", outcome="paid")} == {
        one.basket for one in lines
    }
    assert fleet.ledger.beyond_lease() == []
    assert [till.log.refused for till in fleet.tills.values()] == [{}, {}]
    assert [till.log.passed_over for till in fleet.tills.values()] == [[], []]
    assert shop.of("price.mismatch", direction="over") == []

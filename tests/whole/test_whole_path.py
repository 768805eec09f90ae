"""The whole path in real processes: prices from head office to the glass, proven, and back; also through kill -9."""

import json
import random
import subprocess
import sys
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.whole.shop import ROOT, Shop, gtin

pytestmark = pytest.mark.long

LABELS = 6
SPEED = 40


@pytest.fixture
async def shop(tmp_path: Path):
    async with AsyncExitStack() as stack:
        shop = Shop(tmp_path, stack)
        await shop.broker()
        yield shop


async def open_with_labels(shop: Shop) -> list[str]:
    shop.access_point(LABELS, SPEED)
    shop.configure()
    shop.start()
    await shop.sees("gateway.started")
    labels = sorted(shop.truth())
    shop.products(LABELS)
    shop.bind(labels)
    return labels


def prices(value: int) -> dict[str, int]:
    return {gtin(n): value + n for n in range(LABELS)}


async def test_prices_reach_the_glass_and_the_proof_reaches_head_office(shop):
    labels = await open_with_labels(shop)
    bad = {gtin(99): 100, "06901234567890": 100}
    for number, value in enumerate((1000, 1500, 700), 1):
        shop.wave(f"w{number}", {**prices(value), **bad})
        await shop.sees("price.wave.converged", wave=f"w{number}")
        for place, label in enumerate(labels):
            shown = shop.of("label.shown", wave=f"w{number}", label=label)[-1]["data"]
            assert shown["digest"] == shop.truth()[label]
            assert (shown["gtin"], shown["price_minor"], shown["proof"]) == (gtin(place), value + place, "pixels")
            charged = shop.of("price.charged", gtin=gtin(place))[-1]["data"]
            assert charged["price_minor"] == value + place
    reasons = {e["data"]["reason"] for e in shop.of("price.line.refused", wave="w1")}
    assert any("unknown product" in reason for reason in reasons)
    assert any("check digit" in reason for reason in reasons)
    rise = [e for e in shop.events if e["data"].get("wave") == "w2" and e["data"].get("gtin") == gtin(0)]
    assert [e["type"] for e in rise] == [
        f"aisled.{kind}.v1" for kind in ("label.sent", "label.stored", "label.shown", "price.charged")
    ]
    fall = [e for e in shop.events if e["data"].get("wave") == "w3" and e["data"].get("gtin") == gtin(0)]
    assert [e["type"] for e in fall] == [
        f"aisled.{kind}.v1" for kind in ("price.charged", "label.sent", "label.stored", "label.shown")
    ]
    code, seconds = shop.stop()
    assert code == 0
    assert seconds < 5
    await shop.sees("gateway.stopped")
    assert shop.gaps("business") == []
    assert shop.repeats == 0
    proof = prove(shop, gtin(0))
    assert proof["fair"] is True
    (label,) = proof["labels"]
    assert label["label"] == labels[0]
    assert label["proven"][-1]["digest"] == shop.truth()[labels[0]]
    assert proof["charged"][-1]["price_minor"] == label["proven"][-1]["price_minor"] == 700


def prove(shop: Shop, product: str) -> dict[str, object]:
    words = ["prove", "--config", str(shop.folder / "aisled.toml"), "--gtin", product]
    words += ["--at", datetime.now(UTC).isoformat(), "--json"]
    said = subprocess.run([sys.executable, "-m", "gateway.cli", *words], cwd=ROOT, capture_output=True, check=True)
    return json.loads(said.stdout)


async def test_kill_9_anywhere_loses_nothing_and_converges(shop):
    labels = await open_with_labels(shop)
    dice = random.Random(7)
    for number in range(1, 9):
        shop.wave(f"w{number}", prices(dice.randrange(500, 2000)))
        kind = dice.choice(("price.wave.accepted", "price.wave.effective", "label.sent", "label.stored", "label.shown"))
        await shop.sees(kind, wave=f"w{number}")
        shop.kill()
        shop.start()
    await shop.sees("price.wave.converged", wave="w8")
    truth = shop.truth()
    for place, label in enumerate(labels):
        shown = shop.of("label.shown", wave="w8", label=label)[-1]["data"]
        assert shown["digest"] == truth[label]
        charged = shop.of("price.charged", gtin=gtin(place))[-1]["data"]
        assert charged["price_minor"] == shown["price_minor"]
    for number in range(1, 9):
        assert len(shop.of("price.wave.accepted", wave=f"w{number}")) == 1
    assert shop.stop()[0] == 0
    await shop.sees("gateway.stopped")
    assert shop.gaps("business") == []
    assert shop.gaps("telemetry") == []


async def test_bad_orders_are_refused_with_a_reason_and_stop_nothing(shop):
    await open_with_labels(shop)
    for body in (b"{", b"\xff\xfe", b"[]", b'{"id": "broken"}', b"x" * 200_000):
        shop.order("prices", body)
    shop.wave("soon-over", prices(100), expires_at="2020-01-01T00:00:00Z")
    shop.order("products", b"{}")
    shop.order("commands/fly", {"id": "c1", "issued_at": datetime.now(UTC).isoformat(), "issuer": "hq", "args": {}})
    await shop.sees("command.refused", command="c1")
    assert "known" in shop.of("command.refused", command="c1")[0]["data"]["reason"]
    assert len(shop.of("price.wave.refused")) >= 5
    assert all(e["data"]["reason"] for e in shop.of("price.wave.refused"))
    shop.wave("good", prices(900))
    await shop.sees("price.wave.converged", wave="good")
    assert shop.stop()[0] == 0

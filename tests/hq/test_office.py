"""`aisled hq` as a person runs it, against a real Mosquitto; the gateway's side is played with real MQTT."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from drivers._mqtt import Incoming, MqttLink, MqttOptions
from gateway.cli import main
from tests.mosquitto import Mosquitto

PRICES = "gtin,price,currency\n6901234567892,12.90,CNY\n96385074,0.50,CNY\n"


@pytest.fixture
async def broker(tmp_path: Path) -> AsyncIterator[Mosquitto]:
    mosquitto = Mosquitto(tmp_path / "mosquitto")
    await mosquitto.start()
    yield mosquitto
    mosquitto.stop()


class Shop:
    """The gateway's side of the contract, as far as these tests need it."""

    def __init__(self, link: MqttLink) -> None:
        self.link = link
        self.sequence = 0
        self.arrived: list[Incoming] = []

    async def order(self) -> tuple[str, dict[str, Any]]:
        async with asyncio.timeout(10):
            while not self.arrived:
                self.arrived += await self.link.receive()
        message = self.arrived.pop(0)
        self.link.ack(message)
        return message.topic, json.loads(message.payload)

    async def tell(self, *facts: tuple[str, dict[str, Any]], stream: str = "business", skip: int = 0) -> None:
        self.sequence += skip
        batch = []
        for kind, data in facts:
            self.sequence += 1
            batch.append(
                {
                    "specversion": "1.0",
                    "id": f"gw1-{stream[0]}-{self.sequence}",
                    "source": "/stores/0421/gateways/gw1/devices/ap-1",
                    "type": f"aisled.{kind}.v1",
                    "time": "2026-11-23T00:00:41.120Z",
                    "sequence": str(self.sequence),
                    "timequality": "synced",
                    "data": data,
                }
            )
        async with asyncio.timeout(10):
            await self.link.publish(f"aisled/v1/0421/gw1/up/{stream}", json.dumps(batch).encode())


@pytest.fixture
async def shop(broker: Mosquitto) -> AsyncIterator[Shop]:
    options = MqttOptions(broker.url, "gw1", subscriptions=("aisled/v1/0421/down/#",))
    async with MqttLink(options) as link:
        yield Shop(link)


async def aisled(broker: Mosquitto, *words: str) -> int:
    """Run the command in a thread of its own: it brings its own event loop."""
    return await asyncio.to_thread(main, ["hq", "--url", broker.url, "--store", "0421", "--json", *words])


def accepted(wave: str) -> tuple[str, dict[str, Any]]:
    data = {"wave": wave, "kind": "change", "sequence": 1, "issuer": "hq", "effective_at": "2026-11-22T00:00:00Z"}
    return "price.wave.accepted", data | {"effective_local": "08:00", "lines": 2, "refused": 0, "labels": 1}


async def test_push_then_watch_until_converged(
    broker: Mosquitto, shop: Shop, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "prices.csv").write_text(PRICES)
    words = ["--timezone", "Asia/Shanghai", "--at", "2026-11-23 08:00", "--id", "w1"]
    assert await aisled(broker, "push", str(tmp_path / "prices.csv"), *words) == 0
    topic, wave = await shop.order()
    assert topic == "aisled/v1/0421/down/prices"
    assert (wave["effective_at"], wave["part"], wave["parts"]) == ("2026-11-23T00:00:00Z", 1, 1)
    assert wave["lines"] == [
        {"gtin": "06901234567892", "price_minor": 1290, "currency": "CNY"},
        {"gtin": "00000096385074", "price_minor": 50, "currency": "CNY"},
    ]
    # All is over before anybody watches: the session that push opened has kept it.
    await shop.tell(accepted("w1"), ("label.shown", {"wave": "w1", "label": "A", "revision": 1}))
    await shop.tell(("price.wave.converged", {"wave": "w1", "labels": 1, "duration_s": 2.0}))
    assert await aisled(broker, "watch", "w1", "--timeout", "10") == 0
    last = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert last == {"wave": "w1", "stage": "converged", "shown": 1, "labels": 1, "stragglers": {}}


async def test_watch_ends_with_1_on_exceptions_and_on_silence(
    broker: Mosquitto, shop: Shop, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "prices.csv").write_text(PRICES)
    assert await aisled(broker, "push", str(tmp_path / "prices.csv"), "--id", "w2") == 0
    one = {"label": "B", "gtin": "0", "facing": None, "reason": "ap_silent"}
    await shop.tell(
        accepted("w2"), ("price.wave.exceptions", {"wave": "w2", "shown": 0, "labels": 1, "exceptions": [one]})
    )
    assert await aisled(broker, "watch", "w2", "--timeout", "10") == 1
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["stragglers"] == {"B": "ap_silent"}
    assert await aisled(broker, "watch", "never-sent", "--timeout", "0.2") == 1


async def test_a_file_with_a_bad_line_sends_nothing_unless_told_so(
    broker: Mosquitto, shop: Shop, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "prices.csv"
    path.write_text(PRICES + "6901234567893,1,CNY\n")
    assert await aisled(broker, "push", str(path), "--id", "refused") == 1
    assert "line 4: gtin" in capsys.readouterr().err
    assert await aisled(broker, "push", str(path), "--id", "taken", "--skip-bad") == 0
    assert (await shop.order())[1]["id"] == "taken"  # and nothing before it


async def test_a_big_file_goes_in_parts(broker: Mosquitto, shop: Shop, tmp_path: Path) -> None:
    path = tmp_path / "prices.csv"
    path.write_text("gtin,price,currency\n" + "6901234567892,1,CNY\n" * 2500)
    assert await aisled(broker, "push", str(path), "--id", "big") == 0
    bodies = [body for _, body in [await shop.order() for _ in range(5)]]
    assert [(body["part"], body["parts"], len(body["lines"])) for body in bodies] == [
        (part, 5, 500) for part in range(1, 6)
    ]
    assert len({json.dumps({**body, "part": 0, "lines": 0}) for body in bodies}) == 1  # the head is the same


async def test_cancel_products_bindings_planogram(broker: Mosquitto, shop: Shop, tmp_path: Path) -> None:
    assert await aisled(broker, "cancel", "w1") == 0
    topic, body = await shop.order()
    assert (topic.rpartition("/")[2], body["kind"], body["supersedes"], body["lines"]) == ("prices", "cancel", "w1", [])
    files = {
        "products": ("gtin,name:en\n6901234567892,Apple juice\n", "products"),
        "bindings": ("label,gtin\n0000021B2C3D4E5F,\n", "bindings"),
        "planogram": ("facing,gtin\nA1,6901234567892\n", "facings"),
    }
    for word, (text, member) in files.items():
        (tmp_path / "file.csv").write_text(text)
        assert await aisled(broker, word, str(tmp_path / "file.csv"), "--full") == 0
        topic, body = await shop.order()
        assert (topic, body["full"], len(body[member])) == (f"aisled/v1/0421/down/{word}", True, 1)
    assert body["facings"] == [{"facing": "A1", "gtin": "06901234567892"}]


async def test_a_command_waits_for_its_answer(
    broker: Mosquitto, shop: Shop, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = asyncio.create_task(aisled(broker, "command", "blink", "label=0000021B2C3D4E5F", "seconds=20"))
    topic, body = await shop.order()
    assert (topic, body["args"]) == ("aisled/v1/0421/down/commands/blink", {"label": "0000021B2C3D4E5F", "seconds": 20})
    await shop.tell(("command.done", {"command": "another", "name": "blink", "result": {}}))
    await shop.tell(("command.refused", {"command": body["id"], "name": "blink", "reason": "an image is on its way"}))
    assert await asked == 1
    assert json.loads(capsys.readouterr().out)["reason"] == "an image is on its way"


async def test_verify_goes_on_after_a_restart_and_finds_the_gap(
    broker: Mosquitto, shop: Shop, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    state = str(tmp_path / "state.json")
    words = ["verify", "--state", state, "--seconds", "0.5"]
    assert await aisled(broker, *words) == 1  # silence proves nothing; but the session is open from now on
    await shop.tell(("alarm.cleared", {"alarm": "x"}))
    await shop.tell(("alarm.cleared", {"alarm": "x"}))
    assert await aisled(broker, *words) == 0
    await shop.tell(("alarm.cleared", {"alarm": "x"}), skip=2)
    assert await aisled(broker, *words) == 1
    report = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert report["complete"] is False
    assert (report["streams"][0]["gaps"], report["streams"][0]["events"]) == ([[3, 4]], 3)
    dropped = {"about": "business", "count": 2, "first_sequence": 3, "last_sequence": 4, "reason": "a test"}
    await shop.tell(("buffer.dropped", dropped))
    assert await aisled(broker, *words) == 0


async def test_follow_prints_what_comes(broker: Mosquitto, shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    following = asyncio.create_task(asyncio.to_thread(main, _follow_words(broker)))
    data = {
        "label": "0000021B2C3D4E5F",
        "gtin": "06901234567892",
        "price_minor": 1290,
        "currency": "CNY",
        "digest": "9f",
    }
    printed = ""
    while not following.done() and "label.shown" not in printed:
        await shop.tell(("alarm.cleared", {"alarm": "x"}), ("label.shown", data))
        await asyncio.sleep(0.05)
        printed += capsys.readouterr().out
    assert printed.splitlines()[0] == (
        "00:00:41 gw1/ap-1 label.shown label=0000021B2C3D4E5F gtin=06901234567892 price=12.90 CNY"
    )
    assert await following == 0


def _follow_words(broker: Mosquitto) -> list[str]:
    return ["hq", "--url", broker.url, "--store", "0421", "follow", "--type", "label.shown", "--seconds", "2"]


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        (["--url", "mqtt://127.0.0.1:1", "--store", "0421", "cancel", "w"], 1, "127.0.0.1:1: "),
        (["--url", "http://127.0.0.1", "--store", "0421", "cancel", "w"], 2, "must look like mqtts://"),
        (["--url", "mqtt://127.0.0.1:1", "--store", "0421", "push", "/does/not/exist.csv"], 1, "/does/not/exist.csv"),
        (["--url", "mqtt://127.0.0.1:1", "--store", "0421", "command", "blink", "oops"], 2, "write KEY=VALUE"),
    ],
)
def test_a_mistake_is_one_line(words: list[str], code: int, text: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["hq", *words]) == code
    error = capsys.readouterr().err
    assert text in error
    assert error.count("\n") == 1

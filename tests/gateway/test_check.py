"""`aisled check` against a real broker and a simulated access point in a process of its own."""

import asyncio
import socket
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from drivers._mqtt import MqttLink, MqttOptions
from gateway.cli import main
from tests.mosquitto import Mosquitto, free_port, until

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture
async def shop(tmp_path: Path) -> AsyncIterator[tuple[Path, Mosquitto]]:
    """Yield a configuration whose broker and first access point answer; the second one does not."""
    broker = Mosquitto(tmp_path / "mosquitto")
    await broker.start()
    port = free_port()
    text = (ROOT / "config" / "demo.toml").read_text()
    for fixed, real in (("18830", broker.port), ("18831", port), ("18832", free_port())):
        text = text.replace(f"127.0.0.1:{fixed}", f"127.0.0.1:{real}")
    config = tmp_path / "aisled.toml"
    (tmp_path / "data").mkdir()
    config.write_text(text.replace("aisled-demo", str(tmp_path / "data")))
    command = [sys.executable, "-m", "gateway.cli", "simulate", "access-point", "--port", str(port), "--tags", "3"]
    access_point = await asyncio.create_subprocess_exec(*command, cwd=ROOT)
    await until(lambda: _answers(port), 20)
    yield config, broker
    access_point.terminate()
    await access_point.wait()
    broker.stop()


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


async def test_it_names_what_answers_and_what_does_not(
    shop: tuple[Path, Mosquitto], capsys: pytest.CaptureFixture[str]
) -> None:
    config, broker = shop
    async with MqttLink(MqttOptions(broker.url, "aisled-demo-gw1")) as running:  # the gateway is at work meanwhile
        assert await asyncio.to_thread(main, ["check", "--config", str(config)]) == 1
        async with asyncio.timeout(10):
            await running.publish("any", b"still signed in")
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["ok", "ok", "ok", "ok", "FAILED", "ok", "FAILED", "FAILED", "FAILED"]
    assert "the broker lets us in" in lines[2]
    assert '"ap-1"' in lines[3]
    assert "3 tags" in lines[3]
    assert '"ap-2"' in lines[4]
    assert '"tills"' in lines[5]


async def test_a_broker_that_is_gone(shop: tuple[Path, Mosquitto], capsys: pytest.CaptureFixture[str]) -> None:
    config, broker = shop
    broker.stop()
    assert await asyncio.to_thread(main, ["check", "--config", str(config)]) == 1
    assert f"FAILED   [hq] {broker.url}: " in capsys.readouterr().out


async def test_offline_it_tries_nothing(shop: tuple[Path, Mosquitto], capsys: pytest.CaptureFixture[str]) -> None:
    config, _ = shop
    assert await asyncio.to_thread(main, ["check", "--config", str(config), "--offline"]) == 0
    assert "[hq]" not in capsys.readouterr().out

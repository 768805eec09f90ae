"""A broker for each test of the uplink, and a proxy before it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.mosquitto import Mosquitto
from tests.tcp_proxy import TcpProxy


@pytest.fixture
async def broker(tmp_path: Path) -> AsyncIterator[Mosquitto]:
    broker = Mosquitto(tmp_path / "broker")
    await broker.start()
    yield broker
    broker.stop()


@pytest.fixture
async def proxy(broker: Mosquitto) -> AsyncIterator[TcpProxy]:
    proxy = TcpProxy(broker.port)
    await proxy.start()
    yield proxy
    await proxy.stop()

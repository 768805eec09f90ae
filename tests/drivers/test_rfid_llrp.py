"""The driver against llrpkit's emulator on loopback: set-up, reads, events, writes, refusals."""

from collections.abc import AsyncIterator

import pytest

from tests.drivers.llrp_shop import Compat, Gateway, config, running, tags, until


@pytest.fixture
async def reader() -> AsyncIterator[Compat]:
    async with Compat(tags=tags(20), reads_per_sec=2000) as emulator:
        yield emulator


@pytest.fixture
async def gateway() -> Gateway:
    return Gateway()


async def test_every_tag_is_read_with_power_phase_and_time(reader: Compat, gateway: Gateway) -> None:
    async with running(gateway, config(reader.port)) as (_, task):
        await until(lambda: len({read.epc for read in gateway.reads}) == 20, task=task)
    read = gateway.reads[0]
    assert read.epc.startswith("30")
    assert read.rssi_cdbm is not None
    assert read.rssi_cdbm % 100  # in hundredths, so Impinj's own
    assert read.phase is not None
    assert abs(read.at_us - gateway.messages[0].at.timestamp() * 1e6) < 5e6
    assert gateway.heard[0].antennas == (1, 2, 3, 4)
    assert gateway.states[-1][:2] == ("online", "reading")

"""Faults of the way to head office, on a real Mosquitto: nothing missing, order kept, no duplicate without a fault.

Each fault runs in a tenth of its time (`QUICK`: time-outs and back-off shortened alike); `soak` runs the full times.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from gateway.uplink.mqtt import Timing
from tests.mosquitto import Mosquitto, until
from tests.tcp_proxy import TcpProxy
from tests.uplink.uplink_kit import QUICK, HeadOffice, Rig, all_there, gateway


@dataclass(frozen=True)
class Pace:
    timing: Timing
    outage_s: float
    silence_s: float
    slow_s: float
    name: str

    def __str__(self) -> str:
        return self.name


SHORT = Pace(QUICK, outage_s=1.5, silence_s=1.5, slow_s=0.4, name="short")
FULL = Pace(Timing(), outage_s=60, silence_s=30, slow_s=6, name="full")
paces = pytest.mark.parametrize("pace", [SHORT, pytest.param(FULL, marks=pytest.mark.soak)], ids=str)


async def load(rig: Rig, seconds: float) -> None:
    """Some events of both streams every 50 ms, for so long."""
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    while loop.time() < end:
        await rig.emit(7)
        await rig.emit(3, kept=True)
        await asyncio.sleep(0.05)


def nothing_lost(office: HeadOffice, rig: Rig) -> None:
    assert office.missing("telemetry", rig.emitted["telemetry"]) == 0
    assert office.missing("business", rig.emitted["business"]) == 0
    assert office.in_order("telemetry")
    assert office.in_order("business")
    assert office.first_seen("business") == list(range(1, rig.emitted["business"] + 1))


async def test_without_a_fault_each_event_comes_once_in_order(tmp_path: Path, broker: Mosquitto):
    office = HeadOffice()
    async with office.at(broker.url), gateway(tmp_path / "gw", broker.url) as rig:
        await rig.emit(3000)
        await rig.emit(700, kept=True)
        await all_there(office, rig)
        nothing_lost(office, rig)
    assert office.duplicates("telemetry") == office.duplicates("business") == 0
    assert office.batches < 400  # batches, not single events
    assert [body["status"] for body in office.status] == ["online", "offline"]
    assert office.status[-1]["why"] == "stopped"


@paces
async def test_refused_connections(tmp_path: Path, broker: Mosquitto, proxy: TcpProxy, pace: Pace):
    office = HeadOffice()
    async with office.at(broker.url), gateway(tmp_path / "gw", proxy.url, timing=pace.timing) as rig:
        await load(rig, 0.3)
        await proxy.refuse()
        await load(rig, pace.outage_s)
        await proxy.start()
        await all_there(office, rig)
        nothing_lost(office, rig)
    assert ("offline", "hq_unreachable") in [said[:2] for said in rig.reports.said]


@paces
async def test_a_black_hole_and_then_a_reset(tmp_path: Path, broker: Mosquitto, proxy: TcpProxy, pace: Pace):
    office = HeadOffice()
    async with office.at(broker.url), gateway(tmp_path / "gw", proxy.url, timing=pace.timing, keep_alive_s=20) as rig:
        await load(rig, 0.3)
        proxy.black_hole()
        await load(rig, pace.silence_s)
        proxy.reset()
        proxy.heal()
        await all_there(office, rig, 30)
        nothing_lost(office, rig)
    assert any("acknowledged nothing" in evidence for _, _, evidence in rig.reports.said)


@paces
async def test_slow_acknowledgements_are_waited_for(tmp_path: Path, broker: Mosquitto, proxy: TcpProxy, pace: Pace):
    office = HeadOffice()
    async with office.at(broker.url), gateway(tmp_path / "gw", proxy.url, timing=pace.timing) as rig:
        await until(lambda: rig.reports.online() == 1)
        proxy.delay_s = pace.slow_s
        await load(rig, 2 * pace.slow_s)
        await all_there(office, rig, 10 * pace.slow_s + 10)
        nothing_lost(office, rig)
    assert office.duplicates("telemetry") == office.duplicates("business") == 0
    assert proxy.connections == 1


async def test_a_link_slower_than_patience_still_delivers(tmp_path: Path, broker: Mosquitto, proxy: TcpProxy):
    """Resending at the old pace would never end: patience grows while not one PUBACK came."""
    office = HeadOffice()
    timing = Timing(patience_s=0.2, connect_timeout_s=2, worked_s=0.3, scale=0.05)
    async with office.at(broker.url), gateway(tmp_path / "gw", proxy.url, timing=timing) as rig:
        await until(lambda: rig.reports.online() == 1)
        proxy.delay_s = 0.5
        await rig.emit(500)
        await all_there(office, rig)
        nothing_lost(office, rig)


@pytest.mark.parametrize("end", [Mosquitto.stop, Mosquitto.kill], ids=["stopped", "killed"])
async def test_a_restarted_broker_with_nothing_kept(
    tmp_path: Path, broker: Mosquitto, end: Callable[[Mosquitto], None]
):
    """The broker comes back empty: the session is new, subscriptions are made again, events of both lives add up."""
    office = HeadOffice()
    async with gateway(tmp_path / "gw", broker.url) as rig:
        async with office.at(broker.url):
            await rig.emit(300)
            await all_there(office, rig)
        end(broker)
        await rig.emit(300)
        second = Mosquitto(tmp_path / "second", port=broker.port)
        await second.start()
        try:
            # Head office may be later than the gateway: the broker cannot keep what nobody has subscribed to.
            async with office.at(second.url):
                await rig.emit(300)
                await until(lambda: office.first_seen("telemetry")[-1:] == [900])
                await until(lambda: sum(rig.store.waiting().values()) == 0)
        finally:
            second.stop()
    assert office.in_order("telemetry")
    assert rig.reports.online() >= 2


async def test_the_second_broker_takes_over_and_the_first_is_preferred_again(tmp_path: Path, broker: Mosquitto):
    first, second = TcpProxy(broker.port), TcpProxy(broker.port)
    await second.start()
    office = HeadOffice()
    async with office.at(broker.url), gateway(tmp_path / "gw", first.url, fallback_url=second.url) as rig:
        await rig.emit(100)
        await all_there(office, rig)
        assert f"127.0.0.1:{second.port}, " in rig.reports.said[-1][2]
        await first.start()
        second.reset()
        await until(lambda: f"127.0.0.1:{first.port}, " in rig.reports.said[-1][2])
    await first.stop()
    await second.stop()


@pytest.mark.parametrize("turns", range(8))
async def test_a_stop_at_the_moment_the_link_breaks_is_a_stop(tmp_path: Path, broker: Mosquitto, turns: int):
    """A TaskGroup whose task failed forgets that it was cancelled as well."""
    proxy = TcpProxy(broker.port)
    await proxy.start()
    async with asyncio.timeout(10), gateway(tmp_path / "gw", proxy.url) as rig:
        await until(lambda: rig.reports.online() == 1)
        proxy.reset()
        for _ in range(turns):
            await asyncio.sleep(0)
    await proxy.stop()


async def test_events_of_an_earlier_run_come_first(tmp_path: Path, broker: Mosquitto):
    office = HeadOffice()
    async with gateway(tmp_path / "gw", "mqtt://127.0.0.1:1") as rig:
        await rig.emit(250)
    async with office.at(broker.url), gateway(tmp_path / "gw", broker.url) as again:
        await again.emit(250)
        await until(lambda: office.missing("telemetry", 500) == 0)
    assert office.arrived["telemetry"] == list(range(1, 501))


async def test_after_a_reset_in_the_middle_of_connecting_mqtt_5_is_spoken_again(
    tmp_path: Path, proxy: TcpProxy, monkeypatch: pytest.MonkeyPatch
):
    """A connection that breaks before CONNACK looks like an old broker; taken for one, answers to orders were lost."""
    monkeypatch.setattr("drivers._mqtt.HANG_UP_S", 0.2)
    proxy.black_hole()
    timing = Timing(connect_timeout_s=5, scale=0.1)
    async with gateway(tmp_path / "gw", proxy.url, timing=timing) as rig:
        await until(lambda: proxy.connections == 1)
        await asyncio.sleep(0.3)
        proxy.reset()
        proxy.heal()
        await until(lambda: rig.reports.online() == 1)
    assert "MQTT 5, " in rig.reports.said[-1][2]


async def test_a_broker_that_hangs_up_on_a_large_event_gets_all_others(tmp_path: Path):
    """Mosquitto does not announce `message_size_limit`: it closes the connection, on every try."""
    broker = Mosquitto(tmp_path / "broker", "allow_anonymous true\nmessage_size_limit 17000")
    await broker.start()
    office = HeadOffice()
    timing = Timing(suspect_s=0.3, worked_s=10, scale=0.1)
    try:
        async with office.at(broker.url), gateway(tmp_path / "gw", broker.url, timing=timing) as rig:
            await rig.emit(5)
            await rig.emit(1, size=20_000)
            await rig.emit(50)
            await until(lambda: office.first_seen("telemetry")[-1:] == [56])
    finally:
        broker.stop()
    assert office.first_seen("telemetry") == [*range(1, 6), *range(7, 57)]
    assert "aisled.buffer.dropped.v1" in {body["type"] for body in office.bodies}

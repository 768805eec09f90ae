import asyncio
import contextlib
import json
import logging
import random
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from pydantic import ValidationError

from drivers._mqtt import MqttLink, MqttOptions
from drivers.sensor_mqtt import Config, Driver
from gateway.driver import Emit, Services
from gateway.errors import ConfigError, LinkDown
from gateway.messages import Fact, Reading, SensorEvent
from tests.jumping_time import FakeClock
from tests.mosquitto import Mosquitto, until

OPEN = "allow_anonymous true\nmax_queued_messages 0\nmax_inflight_messages 1000\npersistence false"
ROOT = Path(__file__).parents[2]


@pytest.fixture
async def broker(tmp_path: Path) -> AsyncIterator[Mosquitto]:
    mosquitto = Mosquitto(tmp_path / "broker", OPEN)
    await mosquitto.start()
    yield mosquitto
    mosquitto.kill()


class Gateway:
    """What a driver talks to: an emit that can be held, and its reports."""

    def __init__(self) -> None:
        self.events: list[SensorEvent] = []
        self.waiting: list[SensorEvent] = []
        self.reports: list[tuple[str, str, str]] = []
        self.disk_works = asyncio.Event()
        self.disk_works.set()

    async def emit(self, *messages: Reading | Fact) -> None:
        events = [message for message in messages if isinstance(message, SensorEvent)]
        self.waiting += events
        await self.disk_works.wait()
        self.events += events

    def report(self, state: str, reason: str, evidence: str, next_step: str) -> None:
        assert evidence
        assert next_step
        self.reports.append((state, reason, evidence))

    def bodies(self) -> list[str]:
        return [event.body for event in self.events]


def config(address: str, **fields: object) -> Config:
    known = {"id": "sensors", "driver": "sensor_mqtt", "url": address, "topic": "sensors/+/events"}
    return Config.model_validate(known | fields)


@contextlib.asynccontextmanager
async def served(gateway: Gateway, settings: Config, emit: Emit | None = None) -> AsyncIterator[Driver]:
    driver = Driver(settings, Services(clock=FakeClock(), report=gateway.report))
    task = asyncio.create_task(driver.run(emit or gateway.emit))
    before = len(gateway.reports)
    await until(lambda: len(gateway.reports) > before or task.done())
    try:
        yield driver
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError, LinkDown):
            await task


async def publish(
    broker: Mosquitto, *payloads: bytes, topic: str = "sensors/door/events", retain: bool = False
) -> None:
    async with MqttLink(MqttOptions(url=broker.url, client_id="a-sensor")) as link:
        for begin in range(0, len(payloads), 500):
            some = payloads[begin : begin + 500]
            await asyncio.gather(*(link.publish(topic, payload, retain=retain) for payload in some))


async def test_events_come_unchanged_and_in_order(broker: Mosquitto) -> None:
    gateway = Gateway()
    async with served(gateway, config(broker.url, id_pointer="/id")):
        await publish(broker, b'{"id": 1,  "t":21.50 }', b'[ {"id":2,"\xe8\xb4\xa7":"x"} , {"id":"c"}]')
        await until(lambda: len(gateway.events) == 3)
    assert gateway.bodies() == ['{"id": 1,  "t":21.50 }', '{"id":2,"货":"x"}', '{"id":"c"}']
    assert [event.id for event in gateway.events] == ["sensors-1", "sensors-2", "sensors-c"]


async def test_what_was_sent_while_we_were_away_comes_after(broker: Mosquitto) -> None:
    gateway, settings = Gateway(), config(broker.url)
    async with served(gateway, settings):
        pass
    await publish(broker, *(b'{"n": %d}' % number for number in range(500)))
    async with served(gateway, settings):
        await until(lambda: len(gateway.events) == 500)
    assert gateway.bodies() == [f'{{"n": {number}}}' for number in range(500)]


async def test_a_backlog_larger_than_what_is_held_comes_through(broker: Mosquitto) -> None:
    gateway, settings = Gateway(), config(broker.url)
    async with served(gateway, settings):
        pass
    for _ in range(9):
        await publish(broker, *(b"{}" for _ in range(500)))
    async with served(gateway, settings):
        await until(lambda: len(gateway.events) == 4500)


async def test_without_a_commit_there_is_no_puback(broker: Mosquitto) -> None:
    """The broker gives the message again to the next connection, because nothing acknowledged it."""
    gateway, settings = Gateway(), config(broker.url)
    gateway.disk_works.clear()

    async def never_kept(*messages: Reading | Fact) -> None:
        gateway.waiting += [message for message in messages if isinstance(message, SensorEvent)]
        raise LinkDown("as if killed before the commit")

    async with served(gateway, settings, never_kept):
        await publish(broker, b'{"n": 1}')
        await until(lambda: len(gateway.waiting) == 1)
    gateway.disk_works.set()
    async with served(gateway, settings):
        await until(lambda: len(gateway.events) == 1)
    async with served(gateway, settings):
        await publish(broker, b'{"n": 2}')
        await until(lambda: len(gateway.events) == 2)
    assert gateway.bodies() == ['{"n": 1}', '{"n": 2}']


async def test_a_stop_finishes_the_write_in_hand(broker: Mosquitto) -> None:
    gateway, settings = Gateway(), config(broker.url)
    gateway.disk_works.clear()
    async with served(gateway, settings):
        await publish(broker, b'{"n": 1}')
        await until(lambda: len(gateway.waiting) == 1)
        asyncio.get_running_loop().call_later(0.05, gateway.disk_works.set)
    assert gateway.bodies() == ['{"n": 1}']
    async with served(gateway, settings):
        await publish(broker, b'{"n": 2}')
        await until(lambda: len(gateway.events) >= 2)
    assert gateway.bodies() == ['{"n": 1}', '{"n": 2}']


async def test_bad_messages_stop_nothing_and_are_said_once(broker: Mosquitto, caplog: pytest.LogCaptureFixture) -> None:
    gateway = Gateway()
    bad = [b"", b"\xff", b"not json", b'{"id": null}', b"[" * 100_000, b"x" * 2_000_000, b'[{"id": 5}, 6]']
    async with served(gateway, config(broker.url, id_pointer="/id")) as driver:
        with caplog.at_level(logging.WARNING):
            await publish(broker, *bad, b'{"id": 7}')
            await until(lambda: len(gateway.events) == 2)
        driver._report()
        await publish(broker, b'{"id": 8}')
        await until(lambda: len(gateway.events) == 3)
    assert gateway.bodies() == ['{"id": 5}', '{"id": 7}', '{"id": 8}']
    state, reason, evidence = gateway.reports[-1]
    assert (state, reason) == ("degraded", "bad_events")
    for told in ("1 too_large", "1 not_utf8", "2 not_json", "1 bad_id", "1 too_deep", "1 not_object"):
        assert told in evidence
    assert {getattr(record, "once", "") for record in caplog.records} >= {"not_json", "too_large", "bad_id"}


async def test_state_is_unknown_until_an_event_came(broker: Mosquitto) -> None:
    gateway = Gateway()
    async with served(gateway, config(broker.url, silent_after_s=0.001)) as driver:
        assert gateway.reports[-1][:2] == ("unknown", "no_events")
        await publish(broker, b"{}")
        await until(lambda: len(gateway.events) == 1)
        await asyncio.sleep(0.002)
        driver._report()
        assert gateway.reports[-1][:2] == ("unknown", "silent")
    async with served(gateway, config(broker.url)) as driver:
        await publish(broker, b"{}")
        await until(lambda: len(gateway.events) == 2)
        driver._report()
        assert gateway.reports[-1][:2] == ("online", "events")


async def test_what_the_broker_retained_is_taken_once(broker: Mosquitto) -> None:
    gateway, settings = Gateway(), config(broker.url)
    await publish(broker, b'{"n": 1}', retain=True)
    async with served(gateway, settings):
        await until(lambda: len(gateway.events) == 1)
    async with served(gateway, settings):
        await publish(broker, b'{"n": 2}')
        await until(lambda: len(gateway.events) == 2)
    assert gateway.bodies() == ['{"n": 1}', '{"n": 2}']


async def test_a_broker_that_ends_is_told_and_left_to_the_supervisor(broker: Mosquitto) -> None:
    gateway = Gateway()
    driver = Driver(config(broker.url), Services(clock=FakeClock(), report=gateway.report))
    task = asyncio.create_task(driver.run(gateway.emit))
    await until(lambda: bool(gateway.reports))
    broker.kill()
    with pytest.raises(LinkDown):
        async with asyncio.timeout(10):
            await task
    assert gateway.reports[-1][:2] == ("offline", "broker_unreachable")
    with pytest.raises(LinkDown):
        await driver.check()


async def test_password_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "users").write_text("aisled:geheim\n")
    process = await asyncio.create_subprocess_exec("mosquitto_passwd", "-U", tmp_path / "users")
    assert await process.wait() == 0
    broker = Mosquitto(tmp_path / "broker", f"password_file {tmp_path / 'users'}")
    await broker.start()
    (tmp_path / "password").write_text("geheim\n")
    (tmp_path / "wrong").write_text("hm")
    gateway = Gateway()

    def driver(name: str) -> Driver:
        settings = config(broker.url, username="aisled", password_file=str(tmp_path / name))
        return Driver(settings, Services(clock=FakeClock(), report=gateway.report))

    try:
        assert "lets us in" in await driver("password").check()
        with pytest.raises(ConfigError, match="not authorised"):
            await driver("wrong").run(gateway.emit)
        with pytest.raises(ConfigError, match="password_file"):
            await driver("missing").run(gateway.emit)
    finally:
        broker.kill()


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"url": "mqtt://10.0.0.5"}, "allow_plaintext"),
        ({"url": "http://127.0.0.1"}, "must look like"),
        ({"url": "mqtt://a:b@127.0.0.1"}, "password"),
        ({"topic": "a/b#"}, "whole level"),
        ({"topic": "#/a"}, "whole level"),
        ({"topic": "a+/b"}, "whole level"),
        ({"topic": ""}, "at least 1"),
        ({"id_pointer": "id"}, "JSON pointer"),
        ({"stream": "other"}, "telemetry"),
        ({"typo": 1}, "Extra inputs"),
    ],
)
def test_a_wrong_configuration_is_refused_with_the_reason(fields: dict[str, object], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        config("mqtt://127.0.0.1", **fields)


@pytest.mark.parametrize("url", ["mqtt://localhost", "mqtt://[::1]:1884", "mqtts://10.0.0.5", "mqtt://127.8.9.1"])
def test_good_addresses(url: str) -> None:
    assert config(url).url == url
    assert config("mqtt://10.0.0.5", allow_plaintext=True, topic="+/#").allow_plaintext


def ask(database: Path, query: str) -> list[tuple[bytes | int]]:
    if not database.exists():
        return []
    with contextlib.closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        try:
            return connection.execute(query).fetchall()
        except sqlite3.OperationalError:  # not yet made
            return []


def kept(database: Path) -> int:
    return sum(int(count) for (count,) in ask(database, "SELECT count(*) FROM outbox_telemetry"))


def kept_ids(database: Path) -> list[str]:
    return [
        json.loads(event)["id"] for (event,) in ask(database, "SELECT event FROM outbox_telemetry ORDER BY sequence")
    ]


@pytest.fixture
def small_gateway() -> Iterator[list[subprocess.Popen[bytes]]]:
    processes: list[subprocess.Popen[bytes]] = []
    yield processes
    for process in processes:
        process.kill()
        process.wait(10)


async def test_kill_9_loses_nothing_acknowledged(
    broker: Mosquitto, small_gateway: list[subprocess.Popen[bytes]], tmp_path: Path
) -> None:
    kills, wave = 6, 2000
    database = tmp_path / "aisled.db"

    def start() -> subprocess.Popen[bytes]:
        arguments = [sys.executable, str(Path(__file__).with_name("sensor_gateway.py")), str(tmp_path), broker.url]
        small_gateway.append(process := subprocess.Popen(arguments, cwd=ROOT, env={"PYTHONPATH": str(ROOT)}))
        return process

    process = start()
    await until(lambda: "as aisled-sensors" in broker.log, 20)
    caught_at_work = 0
    for kill in range(kills):
        numbers = range(kill * wave, (kill + 1) * wave)
        sensor = asyncio.create_task(publish(broker, *(b'{"id": %d}' % number for number in numbers)))
        enough = numbers[0] + random.Random(kill).randrange(wave // 2)
        await until(lambda: kept(database) > enough, 30)  # noqa: B023 - awaited before the next turn
        process.kill()
        process.wait(10)
        caught_at_work += kept(database) < numbers[-1]
        await sensor
        process = start()
    total = kills * wave
    await until(lambda: kept(database) >= total and len(set(kept_ids(database))) == total, 30)
    assert list(dict.fromkeys(kept_ids(database))) == [f"sensors-{number}" for number in range(total)]
    assert caught_at_work >= 1  # on a busy machine a wave may be kept before the kill

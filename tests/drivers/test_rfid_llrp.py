"""The driver against llrpkit's emulator on loopback: set-up, reads, events, refusals, back-pressure."""

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Any

import pytest
from llrpkit.emulator.core import LLRPEmulator
from llrpkit.protocol import enums, messages, params

from drivers import _llrp_outbox, _llrp_reader
from drivers._llrp_specs import LOOK_ID, ROSPEC_ID
from drivers.rfid_llrp import Driver
from gateway.driver import Checkable, TagWriter
from gateway.errors import ConfigError, LinkDown
from gateway.messages import TagReads
from gateway.supervisor import verdict
from tests.drivers.llrp_shop import Compat, Gateway, config, running, tags, until


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_llrp_reader, "HEARD_S", 0.05)


@pytest.fixture
async def reader() -> AsyncIterator[Compat]:
    async with Compat(tags=tags(20), reads_per_sec=2000) as emulator:
        yield emulator


@pytest.fixture
async def gateway() -> Gateway:
    return Gateway()


async def ended(task: "asyncio.Task[None]") -> BaseException:
    """Return what the supervisor would make of the end of a run."""
    async with asyncio.timeout(10):
        await asyncio.wait({task})
    error = task.exception()
    assert error is not None
    found = verdict(error)
    assert found is not None
    return found


async def test_every_tag_is_read_with_power_phase_and_time(reader: Compat, gateway: Gateway) -> None:
    async with running(gateway, config(reader.port)) as (_, task):
        await until(lambda: len({read.epc for read in gateway.reads}) == 20, task=task)
        await until(lambda: gateway.heard and gateway.states)
    read = gateway.reads[0]
    assert read.epc.startswith("30")
    assert any((read.rssi_cdbm or 0) % 100 for read in gateway.reads)  # in hundredths, so Impinj's own
    assert read.phase is not None
    assert abs(read.at_us - gateway.of(TagReads)[0].at.timestamp() * 1e6) < 5e6
    assert gateway.heard[0].antennas == (1, 2, 3, 4)
    assert gateway.states[-1][:2] == ("online", "reading")
    assert "Impinj model 700" in gateway.states[-1][2]


async def test_reads_of_a_message_are_oldest_first(reader: Compat, gateway: Gateway) -> None:
    async with running(gateway, config(reader.port)) as (_, task):
        await until(lambda: len(gateway.reads) > 200, task=task)
    for message in gateway.of(TagReads):
        assert list(message.reads) == sorted(message.reads, key=lambda read: read.at_us)


async def test_the_stock_emulator_that_knows_no_release_works_too(gateway: Gateway) -> None:
    async with (
        LLRPEmulator(tags=tags(5), reads_per_sec=500) as stock,
        running(gateway, config(stock.port)) as (_, task),
    ):
        await until(lambda: len({read.epc for read in gateway.reads}) == 5, task=task)


async def test_what_an_earlier_run_left_is_deleted_and_what_others_left_is_told(
    reader: Compat, gateway: Gateway
) -> None:
    reader.leftovers = [ROSPEC_ID, LOOK_ID, 77]
    async with running(gateway, config(reader.port)) as (_, task):
        await until(lambda: gateway.reads and gateway.states, task=task)
        assert set(reader._rospecs) == {ROSPEC_ID, 77}
        assert gateway.states[-1][1] == "foreign_rospec"
        assert "77" in gateway.states[-1][2]
    deleted = {one.ro_spec_id for one in reader.asked if isinstance(one, messages.DELETE_ROSPEC)}
    assert deleted == {ROSPEC_ID, LOOK_ID}


async def test_a_second_client_is_told_that_the_reader_is_held(reader: Compat, gateway: Gateway) -> None:
    first = Gateway()
    async with running(first, config(reader.port)) as (_, task):
        await until(lambda: first.reads, task=task)
        async with running(gateway, config(reader.port)) as (second, late):
            error = await ended(late)
            assert isinstance(error, LinkDown)
            assert "held by another client" in str(error)
            assert gateway.states[-1][:2] == ("offline", "reader_held")
            with pytest.raises(LinkDown, match="held by another client"):
                await second.check()
        before = len(first.reads)
        await until(lambda: len(first.reads) > before)


async def test_another_client_that_tries_is_told(reader: Compat, gateway: Gateway) -> None:
    tried = enums.ConnectionAttemptStatusType.Another_Connection_Attempted
    async with running(gateway, config(reader.port)) as (_, task):
        await until(lambda: gateway.reads, task=task)
        await reader.tell(connection_attempt_event=params.ConnectionAttemptEvent(status=tried))
        await until(lambda: gateway.states[-1][1] == "other_client")


async def test_antennas_come_and_go(reader: Compat, gateway: Gateway) -> None:
    reader.tags = tags(5, antennas=(1,))
    async with running(gateway, config(reader.port, antennas=[1, 2])) as (_, task):
        await until(lambda: gateway.heard, task=task)
        assert gateway.heard[-1].antennas == (1, 2)
        await reader.set_antenna_connected(2, connected=False)
        await until(lambda: gateway.states[-1][1] == "antenna_lost" and gateway.heard[-1].antennas == (1,))
        assert "port 2" in gateway.states[-1][2]
        await reader.set_antenna_connected(2, connected=True)
        await until(lambda: gateway.states[-1][0] == "online" and gateway.heard[-1].antennas == (1, 2))


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ({"reader_exception_event": params.ReaderExceptionEvent(message="too hot")}, "reader_exception"),
        ({"report_buffer_overflow_error_event": params.ReportBufferOverflowErrorEvent()}, "reads_lost"),
        (
            {
                "report_buffer_level_warning_event": params.ReportBufferLevelWarningEvent(
                    report_buffer_percentage_full=9
                )
            },
            "buffer_filling",
        ),
    ],
)
async def test_what_the_reader_complains_of(
    reader: Compat, gateway: Gateway, data: dict[str, Any], reason: str
) -> None:
    async with running(gateway, config(reader.port)) as (_, task):
        await until(lambda: gateway.states, task=task)
        await reader.tell(**data)
        await until(lambda: gateway.states[-1][:2] == ("degraded", reason))


async def test_an_input_is_told_and_starts_reading(reader: Compat, gateway: Gateway) -> None:
    async with running(gateway, config(reader.port, gpi_start=2)) as (_, task):
        await until(lambda: gateway.states, task=task)
        assert gateway.states[-1][1] == "armed"
        assert (gateway.reads, gateway.heard) == ([], [])
        await reader.set_gpi(2, high=True)
        await until(lambda: gateway.reads and gateway.heard)
        await reader.set_gpi(2, high=False)
        await until(lambda: len(gateway.inputs) == 2 and gateway.states[-1][1] == "armed")
    assert [(one.port, one.high) for one in gateway.inputs] == [(2, True), (2, False)]


async def test_a_garbage_report_is_counted_and_skipped(
    reader: Compat, gateway: Gateway, caplog: pytest.LogCaptureFixture
) -> None:
    garbage = bytes.fromhex("043d0000000f0000000100f00005ff")
    async with running(gateway, config(reader.port)) as (_, task):
        await until(lambda: gateway.reads, task=task)
        with caplog.at_level(logging.WARNING):
            reader.streams[0].write(garbage * 3)
            await until(lambda: gateway.states[-1][1] == "bad_reports")
        assert "3 messages" in gateway.states[-1][2]
        before = len(gateway.reads)
        await until(lambda: len(gateway.reads) > before + 50)
        assert not task.done()
    assert "skipped" in caplog.text


async def test_a_reader_that_stops_by_itself_is_set_up_again(reader: Compat, gateway: Gateway) -> None:
    async with running(gateway, config(reader.port)) as (_, task):
        await until(lambda: gateway.reads, task=task)
        end = enums.ROSpecEventType.End_Of_ROSpec
        await reader.tell(ro_spec_event=params.ROSpecEvent(event_type=end, ro_spec_id=ROSPEC_ID))
        assert "stopped reading" in str(await ended(task))


async def test_a_reader_that_says_good_bye(reader: Compat, gateway: Gateway) -> None:
    async with running(gateway, config(reader.port)) as (_, task):
        await until(lambda: gateway.reads, task=task)
        await reader.tell(connection_close_event=params.ConnectionCloseEvent())
        assert "closes the connection" in str(await ended(task))


async def test_a_mode_that_the_reader_has_not_parks_the_driver(reader: Compat, gateway: Gateway) -> None:
    async with running(gateway, config(reader.port, mode=9)) as (_, task):
        error = await ended(task)
    assert isinstance(error, ConfigError)
    assert "1003" in str(error)


async def test_a_reader_that_refuses_extensions_reads_without(gateway: Gateway) -> None:
    class Plain(Compat):
        def _add_rospec(self, rospec: Any) -> Any:
            if rospec.ro_report_spec.custom:
                return self._status_error(enums.StatusCode.P_UnexpectedParameter, "custom")
            return super()._add_rospec(rospec)

        async def _handle_message(self, msg: Any) -> None:
            if isinstance(msg, messages.SET_READER_CONFIG) and msg.reader_event_notification_spec is not None:
                status = self._status_error(enums.StatusCode.M_UnsupportedParameter, "events")
                answer = messages.SET_READER_CONFIG_RESPONSE(llrp_status=status)
                await self._send(answer, message_id=msg.message_id)
                return
            await super()._handle_message(msg)

    async with Plain(tags=tags(5), reads_per_sec=500) as plain, running(gateway, config(plain.port)) as (_, task):
        await until(lambda: gateway.reads, task=task)
        assert plain._keepalive_task is not None
    assert gateway.reads[0].phase is None


async def test_when_the_core_takes_nothing_the_socket_is_not_read(
    reader: Compat, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_llrp_outbox, "READS_MAX", 100)
    async with running(gateway, config(reader.port)) as (driver, task):
        await until(lambda: gateway.reads, task=task)
        outbox = driver._reader._outbox  # type: ignore[union-attr]
        gateway.free.clear()
        await until(lambda: outbox._count >= 100)
        held, seen = outbox._count, len(gateway.reads)
        for _ in range(20):
            await reader.send_keepalive()
        acknowledged = reader.keepalive_acks
        for _ in range(100):  # turns of the loop: whatever would be read, is
            await asyncio.sleep(0)
        assert (outbox._count, reader.keepalive_acks) == (held, acknowledged)
        gateway.free.set()
        await until(lambda: len(gateway.reads) > seen + held and reader.keepalive_acks >= acknowledged + 20)


async def test_check_says_what_the_reader_can_do_and_leaves_it_alone(reader: Compat, gateway: Gateway) -> None:
    driver = Driver(config(reader.port), gateway.services)
    assert isinstance(driver, Checkable)
    assert isinstance(driver, TagWriter)
    said = await driver.check()
    assert said.startswith(
        "Impinj model 700, firmware llrpkit-emu 0.1, 4 antennas, 10 to 30 dBm, country 840, US FCC 15"
    )
    assert "1002 (Miller 4, 274 kbit/s)" in said
    changing = (messages.SET_READER_CONFIG, messages.ADD_ROSPEC, messages.DELETE_ROSPEC, messages.START_ROSPEC)
    assert not any(isinstance(one, changing) for one in reader.asked)
    with pytest.raises(ConfigError, match="lists 0"):
        await Driver(config(reader.port, mode=9), gateway.services).check()


async def test_stopped_the_reader_is_free_at_once(reader: Compat, gateway: Gateway) -> None:
    async with running(gateway, config(reader.port)) as (_, task):
        await until(lambda: gateway.reads, task=task)
    await until(lambda: reader._writer is None)
    assert isinstance(reader.asked[-1], messages.CLOSE_CONNECTION)

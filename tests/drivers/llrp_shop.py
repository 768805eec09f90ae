"""A reader for the tests of `rfid_llrp`: llrpkit's emulator, mended where it is none, and a gateway that takes all."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from typing import Any

from llrpkit.emulator.core import EmulatedTag, LLRPEmulator
from llrpkit.protocol import decode_message, enums, messages, params

from drivers._llrp_plan import STANDARD, Capabilities, Plan
from drivers._llrp_specs import add_rospec
from drivers.rfid_llrp import Config, Driver
from gateway.driver import Services
from gateway.messages import ReaderHeard, ReaderInput, Reading, TagRead, TagReads

PATIENCE_S = 10.0
ANY_READER = Capabilities(25882, 700, "", 4, 4, True, {}, (), 1, 0, 0)
LEFT = Plan(Config(id="left", driver="rfid_llrp", host="x", insecure=True), ANY_READER, STANDARD, (1,), {}, ())


class Clock:
    def now(self) -> datetime:
        return datetime.now(UTC)


class Compat(LLRPEmulator):
    """The emulator with what it lacks: ENABLE_EVENTS_AND_REPORTS has no answer; id 0 is all ROSpecs; a ROSpec may start
    at once; an active one may be disabled. `lock_result` is what a lock says (the emulator models none)."""

    lock_result = enums.C1G2LockResultType.Success

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.asked: list[Any] = []
        self.streams: list[asyncio.StreamWriter] = []
        self.leftovers: list[int] = []

    async def _handle_client(self, reader: Any, writer: Any) -> None:
        self.streams.append(writer)
        await super()._handle_client(reader, writer)

    async def _send_connection_event(self, writer: Any, status: int) -> None:
        for number in self.leftovers:
            spec = decode_message(add_rospec(LEFT)).ro_spec  # type: ignore[attr-defined]
            spec.ro_spec_id = number
            self._add_rospec(spec)
        await super()._send_connection_event(writer, status)

    async def _handle_message(self, msg: Any) -> None:
        self.asked.append(msg)
        if isinstance(msg, messages.ENABLE_EVENTS_AND_REPORTS):
            return
        if isinstance(msg, messages.DISABLE_ROSPEC) and self._rospecs.get(msg.ro_spec_id, (None, ""))[1] == "Active":
            self._set_rospec_state(msg.ro_spec_id, "Active", "Enabled")
            self._sync_reporting()
        if isinstance(msg, messages.DELETE_ROSPEC) and msg.ro_spec_id == 0:
            self._rospecs.clear()
            self._sync_reporting()
            answer = messages.DELETE_ROSPEC_RESPONSE(llrp_status=self._status_ok())
            await self._send(answer, message_id=msg.message_id)
            return
        await super()._handle_message(msg)
        if isinstance(msg, messages.ENABLE_ROSPEC) and self._starts_at_once(msg.ro_spec_id):
            self._set_rospec_state(msg.ro_spec_id, "Enabled", "Active")
            self._sync_reporting()

    def _starts_at_once(self, rospec: int) -> bool:
        if rospec not in self._rospecs:
            return False
        trigger = self._rospecs[rospec][0].ro_boundary_spec.ro_spec_start_trigger
        return trigger.ro_spec_start_trigger_type == enums.ROSpecStartTriggerType.Immediate

    def _run_access_op(self, op: Any, tag: Any) -> Any:
        if not isinstance(op, params.C1G2Lock):
            return super()._run_access_op(op, tag)
        wrong = op.access_password != self._access_password_of(tag.epc)
        self.locks = getattr(self, "locks", 0) + 1
        result = enums.C1G2LockResultType.Nonspecific_Tag_Error if wrong else self.lock_result
        return params.C1G2LockOpSpecResult(result=result, op_spec_id=op.op_spec_id)

    async def tell(self, **data: Any) -> None:
        """Send an event of any kind, stamped now."""
        at = params.UTCTimestamp(microseconds=self._now_us())
        body = params.ReaderEventNotificationData(timestamp=at, **data)
        await self._send(messages.READER_EVENT_NOTIFICATION(reader_event_notification_data=body))


class Gateway:
    """What a driver emits and reports. `hold` set = the core takes nothing."""

    def __init__(self) -> None:
        self.messages: list[Reading] = []
        self.states: list[tuple[str, str, str, str]] = []
        self.free = asyncio.Event()
        self.free.set()
        self.services = Services(clock=Clock(), report=lambda *state: self.states.append(state))

    async def emit(self, *messages: Any) -> None:
        await self.free.wait()
        self.messages += messages

    def of(self, kind: type[Any]) -> list[Any]:
        return [message for message in self.messages if isinstance(message, kind)]

    @property
    def reads(self) -> list[TagRead]:
        return [read for message in self.of(TagReads) for read in message.reads]

    @property
    def heard(self) -> list[ReaderHeard]:
        return self.of(ReaderHeard)

    @property
    def inputs(self) -> list[ReaderInput]:
        return self.of(ReaderInput)


def config(port: int, **fields: Any) -> Config:
    return Config.model_validate(
        {"id": "door", "driver": "rfid_llrp", "host": "127.0.0.1", "port": port, "insecure": True} | fields
    )


@asynccontextmanager
async def running(gateway: Gateway, table: Config) -> AsyncIterator[tuple[Driver, asyncio.Task[None]]]:
    driver = Driver(table, gateway.services)
    task = asyncio.create_task(driver.run(gateway.emit))
    try:
        yield driver, task
    finally:
        task.cancel()
        await asyncio.wait({task})
        if not task.cancelled():
            with suppress(BaseException):
                task.result()


async def until(condition: Any, limit_s: float = PATIENCE_S, task: asyncio.Task[None] | None = None) -> None:
    async with asyncio.timeout(limit_s):
        while not condition():
            if task is not None and task.done():
                task.result()
            await asyncio.sleep(0.01)


def tags(count: int, antennas: tuple[int, ...] = (1, 2, 3, 4)) -> list[EmulatedTag]:
    return [EmulatedTag(epc=bytes([0x30]) + number.to_bytes(11, "big"), antennas=antennas) for number in range(count)]

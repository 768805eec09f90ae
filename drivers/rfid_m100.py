"""RFID modules that speak `BB .. 7E` (M100, QM100, YRM100, R200), on a serial port or over TCP.

Source: MagicRF M100 & QM100 firmware manual as published by M5Stack; frames of real modules that users published.
Grade: `captured` (such frames are replayed; the conversation only against our own peer, no hardware yet). The module
tells no time and no capabilities: reads are stamped on arrival; region and power are set only when the configuration
names them, and read back. Not here: frames (`_m100_frames.py`), the conversation (`_m100_talk.py`), batches and health
(`_serial_reads.py`).
"""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Literal

from pydantic import Field

from drivers._m100_frames import FAILED, Frame, Tag, tag_of
from drivers._m100_pen import pen_of
from drivers._m100_talk import Module
from drivers._serial_config import SerialReaderConfig
from drivers._serial_link import OpenLine, open_line
from drivers._serial_orders import Orders
from drivers._serial_reads import Ears
from drivers._serial_writes import carry_out, check_passwords
from gateway.driver import Emit, Services, TagOrder
from gateway.errors import BadFrame, ConfigError, LinkDown, Rejected

REGIONS = {"china_900": 0x01, "us": 0x02, "eu": 0x03, "china_800": 0x04, "korea": 0x06}  # manual 2.15
RESTART_S = 30.0  # 65 535 polls at 2 ms each, quicker than any tag, would be over in 131 s
SILENT_S = 1.0  # a poll without a tag is told as such, some 20 times a second
ANTENNA = 1


class Config(SerialReaderConfig):
    """One module."""

    baudrate: int = Field(default=115_200, ge=1200, le=921_600, description="speed of the serial line")
    region: Literal["china_900", "us", "eu", "china_800", "korea"] | None = Field(
        default=None, description="radio region to set; not set = as the module is", examples=["china_900"]
    )
    power_dbm: float | None = Field(
        default=None, ge=0, le=30, description="transmit power to set; not set = as the module is", examples=[20]
    )
    session: int | None = Field(
        default=None, ge=0, le=3, description="Gen2 session: in 2 and 3 a tag rests after it was read", examples=[0]
    )
    q: int | None = Field(
        default=None, ge=0, le=15, description="Gen2 Q: about 2^Q tags are in the field at once", examples=[4]
    )


class Driver:
    """Reads with one module. `opens` replaces the port in tests."""

    def __init__(self, config: Config, services: Services, opens: OpenLine | None = None) -> None:
        self._config, self._services = config, services
        self._orders = Orders()
        self._opens: OpenLine = opens or (lambda: open_line(config.port, config.baudrate))

    async def run(self, emit: Emit) -> None:
        """Read tags until cancelled. Raises LinkDown: unplugged, mute. ConfigError: the module keeps other settings."""
        try:
            async with self._opens() as line:
                module = Module(line)
                about = await self._prepare(module)
                with self._orders.taken():
                    await self._read(module, Ears(self._config.id, self._services, emit, module.cutter, about))
        except LinkDown as error:
            step = "check the module's power and cable, and port and baudrate; it is tried again by itself"
            self._services.report("offline", "reader_unreachable", str(error), step)
            raise

    async def write_tag(self, order: TagOrder) -> None:
        """Encode, lock or kill the one tag in the field, and check it. Raises Rejected."""
        if not self._config.allow_writes:
            raise Rejected(f"{self._config.id}: writing is off (allow_writes)")
        await self._orders.submit(order)

    async def check(self) -> str:
        """Ask the module what it is, and poll once; changes nothing but ends a polling that runs."""
        check_passwords(self._config)
        async with self._opens() as line:
            module = Module(line)
            await module.stop()
            about = await module.about()
            tags = {tag.epc for tag in _tags(await module.poll())}
            return f"{line.where}: {about}; {len(tags) or 'no'} tag(s) answered one poll"

    async def _prepare(self, module: Module) -> str:
        """Bring the module into the state that is wanted; return what it says of itself."""
        await module.stop()
        about, config = await module.about(), self._config
        if config.region is not None:
            code = REGIONS[config.region]
            self._must_be(module, "region", code, await module.set_region(code))
        if config.power_dbm is not None:
            cdbm = round(config.power_dbm * 100)
            self._must_be(module, "power_dbm", cdbm / 100, await module.set_power(cdbm) / 100)
        if config.session is not None or config.q is not None:
            await module.set_query(config.session, config.q)
        return about

    def _must_be(self, module: Module, field: str, wanted: float, kept: float) -> None:
        """Refuse to go on: a radio that sends otherwise than it was told may break the law."""
        if wanted != kept:
            raise ConfigError(f"{module.where}: {field} {wanted:g} was not taken, the module keeps {kept:g}")

    async def _read(self, module: Module, ears: Ears) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await module.start()
            restart_s = loop.time() + RESTART_S
            while loop.time() < restart_s and ears.silent_s < SILENT_S and not self._orders:
                self._hear(await module.listen(ears.patience_s(SILENT_S)), ears)
                await ears.tell()
            await module.stop()
            await self._orders.work(lambda order: self._write(module, order))
            if ears.silent_s >= SILENT_S:
                self._hear(await module.poll(), ears)  # proof that it reads, for firmware that keeps quiet without tags
                await ears.tell()

    async def _write(self, module: Module, order: TagOrder) -> None:
        async with pen_of(module) as pen:
            await carry_out(pen, order, self._config)

    def _hear(self, told: Sequence[Frame], ears: Ears) -> None:
        if not told:
            return
        tags = list(_tags(told))
        for _ in range(sum(frame.command != FAILED for frame in told) - len(tags)):
            ears.ghost()
        reads = [(tag.epc, tag.antenna, 100 * tag.rssi_dbm) for tag in tags]
        ears.heard(reads, {ANTENNA, *(tag.antenna for tag in tags)})


def _tags(told: Sequence[Frame]) -> Iterator[Tag]:
    for frame in told:
        if frame.command != FAILED:
            with suppress(BadFrame):
                yield tag_of(frame.parameters)

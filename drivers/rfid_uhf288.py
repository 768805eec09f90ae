"""RFID readers of the UHFReader288 family (also 18 and 86: Chafon, WYUAN, SID UR), on a serial port or over TCP.

Source: SID UR series and UHFReader18 manuals, notes on WYUAN readers in omnitag (MIT). Grade: `captured` (answers of
real readers, published in chafon-rfid's tests under MIT, are replayed; the conversation only against our own peer, no
hardware yet). Answer mode: antenna by antenna, one inventory each. A reader in real time mode pushes tags by itself: it
is listened to, and left in that mode. Its figure for a tag's power is raw: without `rssi_offset_db` no power is told.
Not here: frames (`_uhf288_frames.py`), the conversation (`_uhf288_talk.py`), batches and health (`_serial_reads.py`).
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

from pydantic import Field

from drivers._serial_config import SerialReaderConfig
from drivers._serial_link import OpenLine, open_line
from drivers._serial_orders import Orders
from drivers._serial_reads import Ears, Trouble
from drivers._serial_writes import carry_out, check_passwords
from drivers._uhf288_frames import (
    ANTENNA_ERROR,
    BROADCAST,
    HEARTBEAT,
    NO_TAG,
    OK,
    STATISTICS,
    UHFREADER18,
    WITH_TAGS,
    Block,
    Frame,
    Info,
    antennas_of,
    blocks_of,
    pushed_of,
    status_text,
)
from drivers._uhf288_pen import ReaderPen
from drivers._uhf288_talk import Reader, Round
from gateway.driver import Emit, Services, TagOrder
from gateway.errors import BadFrame, ConfigError, LinkDown, Rejected

# Band and highest channel (SID UR manual 8.4.2): all channels of a band are used.
REGIONS = {
    "china_900": (0b0001, 19),
    "us": (0b0010, 49),
    "korea": (0b0011, 31),
    "eu": (0b0100, 14),
    "china_800": (8, 19),
}
MISSED = 4  # inventories in a row without an end: 4 s at the default scan time
PUSH_SILENT_S = 65.0  # a heartbeat comes every 30 s or a multiple (8.4.25); two missed
PUSH_WAIT_S = 1.0
READ = WITH_TAGS | {OK, NO_TAG, STATISTICS}  # statuses of an inventory that took place
RESTING_SESSIONS = (2, 3)  # a tag that was read rests until the other target is asked for


class Config(SerialReaderConfig):
    """One reader."""

    baudrate: int = Field(default=57_600, ge=9600, le=921_600, description="speed of the serial line")
    address: int = Field(
        default=BROADCAST, ge=0, le=255, description="address of the reader on its line; 255 = the only one there"
    )
    ports: int = Field(
        default=4, ge=1, le=16, description="antenna ports that the reader has; above 8 it counts otherwise"
    )
    antennas: tuple[int, ...] = Field(
        default=(),
        max_length=16,
        description="antennas to read with, in turn; none = as the reader is set",
        examples=[[1, 2]],
    )
    region: Literal["china_900", "us", "eu", "china_800", "korea"] | None = Field(
        default=None, description="radio region to set; not set = as the reader is", examples=["china_900"]
    )
    power_dbm: int | None = Field(
        default=None, ge=0, le=30, description="transmit power to set; not set = as the reader is", examples=[26]
    )
    session: int = Field(default=0, ge=0, le=3, description="Gen2 session: in 2 and 3 a tag rests after it was read")
    q: int = Field(default=4, ge=0, le=15, description="Gen2 Q: about 2^Q tags are in the field at once")
    scan_time_s: float = Field(default=0.5, ge=0.3, le=10, description="how long one antenna reads before the next")
    rssi_offset_db: float | None = Field(
        default=None,
        ge=-250,
        le=50,
        description="added to the reader's raw figure to give a tag's power in dBm; not set = no power is told",
        examples=[-130],
    )


class Driver:
    """Reads with one reader. `opens` replaces the port in tests."""

    def __init__(self, config: Config, services: Services, opens: OpenLine | None = None) -> None:
        self._config, self._services = config, services
        self._orders = Orders()
        self._opens: OpenLine = opens or (lambda: open_line(config.port, config.baudrate))
        self._info = Info("?", 0, 0, 0, 0, 0, None)

    async def run(self, emit: Emit) -> None:
        """Read tags until cancelled. Raises LinkDown: unplugged, mute. ConfigError: the reader keeps other settings."""
        try:
            async with self._opens() as line:
                reader = Reader(line, self._config.address)
                self._info = await self._prepare(reader)
                about = f"type {self._info.kind:02X} version {self._info.version}, {self._info.power_dbm} dBm"
                with self._orders.taken():
                    await self._read(reader, Ears(self._config.id, self._services, emit, reader.cutter, about))
        except LinkDown as error:
            step = "check the reader's power and cable, and port, baudrate and address; it is tried again by itself"
            self._services.report("offline", "reader_unreachable", str(error), step)
            raise

    async def write_tag(self, order: TagOrder) -> None:
        """Encode, lock or kill the one tag in the field, and check it. Raises Rejected."""
        if not self._config.allow_writes:
            raise Rejected(f"{self._config.id}: writing is off (allow_writes)")
        await self._orders.submit(order)

    async def check(self) -> str:
        """Ask the reader what it is; changes nothing."""
        check_passwords(self._config)
        async with self._opens() as line:
            info = await Reader(line, self._config.address).info()
        return f"{self._config.port}: type {info.kind:02X}, version {info.version}, {info.power_dbm} dBm"

    async def _prepare(self, reader: Reader) -> Info:
        """Bring the reader into the state that is wanted; return what it says of itself then."""
        info, config = await reader.info(), self._config
        wanted_power = info.power_dbm if config.power_dbm is None else config.power_dbm
        wanted_band = (info.max_frequency, info.min_frequency) if config.region is None else band(config.region)
        if (info.max_frequency, info.min_frequency) != wanted_band:
            await reader.set_region(*wanted_band)
        if info.power_dbm != wanted_power:
            await reader.set_power(wanted_power)
        info = await reader.info()
        if (info.max_frequency, info.min_frequency) != wanted_band:
            raise ConfigError(f"{reader.where}: region {config.region} was not taken by the reader")
        if info.power_dbm != wanted_power:
            text = f"power_dbm {wanted_power} was not taken, the reader keeps {info.power_dbm}"
            raise ConfigError(f"{reader.where}: {text}")
        return info

    @property
    def _plain(self) -> bool:
        return self._info.kind == UHFREADER18

    @property
    def _antennas(self) -> Sequence[int]:
        known = antennas_of(self._info.antennas, self._config.ports) if self._info.antennas else ()
        return self._config.antennas or known or (1,)

    async def _read(self, reader: Reader, ears: Ears) -> None:
        targets = dict.fromkeys(self._antennas, 0)
        missed = 0
        while missed < MISSED:
            if reader.pushes:
                await self._follow_pushes(reader, ears)
                missed = 0
            refusals = {}
            for antenna in self._antennas:
                answer = await self._round(reader, antenna, targets[antenna])
                missed = 0 if answer.whole else missed + 1
                if refusal := _refusal(answer):
                    refusals[antenna] = refusal
                elif not self._hear(answer, antenna, ears) and self._config.session in RESTING_SESSIONS:
                    targets[antenna] ^= 1
                await ears.tell()
            ears.trouble = _trouble(refusals)
            await self._orders.work(lambda order: self._write(reader, order))
        await reader.info()  # mute altogether?
        raise LinkDown(f"{reader.where}: it answers, but takes no inventory; in real time mode switch its heartbeat on")

    async def _round(self, reader: Reader, antenna: int, target: int) -> Round:
        config = self._config
        if self._plain:
            return await reader.plain_inventory(self._info.scan_time or 10)
        return await reader.inventory(config.q, config.session, target, antenna, round(config.scan_time_s * 10))

    async def _write(self, reader: Reader, order: TagOrder) -> None:
        if reader.pushes:
            raise Rejected("the reader is in real time mode: it takes no orders about tags")
        info, ports = self._info, self._config.ports
        pen = ReaderPen(reader, self._antennas, ports, plain=self._plain, scan_time=info.scan_time or 10)
        await carry_out(pen, order, self._config)

    def _hear(self, answer: Round, antenna: int, ears: Ears) -> int:
        """Take in one inventory; return how many tags it told."""
        blocks = list[Block]()
        for frame in answer.frames:
            if frame.status in WITH_TAGS:
                try:
                    blocks += blocks_of(frame.data, plain=self._plain)
                except BadFrame:
                    ears.ghost()
        if blocks or answer.whole:
            ears.heard(self._reads(blocks, antenna), {antenna})
        return len(blocks)

    async def _follow_pushes(self, reader: Reader, ears: Ears) -> None:
        """Listen to a reader in real time mode for as long as it says anything."""
        while ears.silent_s < PUSH_SILENT_S and not self._orders:
            for frame in await reader.listen(ears.patience_s(PUSH_WAIT_S)):
                if frame.status == HEARTBEAT:
                    ears.heard((), self._antennas)
                elif frame.status == OK:
                    self._hear_push(frame, ears)
            await ears.tell()

    def _hear_push(self, frame: Frame, ears: Ears) -> None:
        try:
            block = pushed_of(frame.data, plain=self._plain)
        except BadFrame:
            ears.ghost()
        else:
            ears.heard(self._reads((block,), self._antennas[0]), self._antennas)

    def _reads(self, blocks: Iterable[Block], antenna: int) -> list[tuple[str, int, int | None]]:
        offset = self._config.rssi_offset_db
        return [
            (
                block.epc,
                heard_by,
                None if offset is None or block.power is None else round(100 * (block.power + offset)),
            )
            for block in blocks
            for heard_by in antennas_of(block.antennas, self._config.ports) or (antenna,)
        ]


def band(region: str) -> tuple[int, int]:
    """Return the bytes MaxFre and MinFre (8.4.2): two bits of the band each, and the highest and lowest channel."""
    code, highest = REGIONS[region]
    return (code >> 2) << 6 | highest, (code & 3) << 6


def _refusal(answer: Round) -> Frame | None:
    """Return the frame in which the reader says that it did not read."""
    return next((frame for frame in answer.frames if frame.status not in READ), None)


def _trouble(refusals: Mapping[int, Frame]) -> Trouble | None:
    if not refusals:
        return None
    evidence = "; ".join(f"antenna {antenna}: {status_text(frame)}" for antenna, frame in refusals.items())
    if all(frame.status == ANTENNA_ERROR for frame in refusals.values()):
        return Trouble("antenna_down", evidence, "check the antenna and its cable, or take it out of antennas")
    return Trouble("inventory_refused", evidence, "compare antennas, ports, q and session with the reader's manual")

"""A reader of the UHFReader288 family as its manuals describe it. Its bytes are made here, not by a driver.

`kind` 9 is a UHFReader18. `pushing`: real time mode, it answers no inventory and talks by itself. `torn`: antennas with
nothing connected. `stuck`: it takes no setting. `mute`: answers nothing. `tids`: FastID, the TID follows the EPC.
An inventory takes its scan time: the answer comes when its ticks are over, and a question before that is lost.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from tests.drivers.gen2_chip import Chip, RefusedError
from tests.drivers.serial_pipes import TICK_S

PER_FRAME = 3  # tags told in one frame
INFO_BYTES = (0x00, 0x16)
TID = bytes.fromhex("E28011702000000000000001")


def crc16(data: bytes) -> bytes:
    """As the manual's C source has it (8.1): bit by bit, unlike the driver."""
    value = 0xFFFF
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = value >> 1 ^ 0x8408 if value & 1 else value >> 1
    return value.to_bytes(2, "little")


def answer(command: int, status: int, data: bytes = b"") -> bytes:
    body = bytes((len(data) + 5, 0, command, status)) + data
    return body + crc16(body)


@dataclass
class Peer:
    chips: list[Chip] = field(default_factory=list)
    kind: int = 0x0C
    ports: int = 4
    mask: int = 0x01
    power: int = 30
    band: bytes = bytes((0x4E, 0x00))
    pushing: bool = False
    beats: bool = True
    stuck: bool = False
    mute: bool = False
    tids: bool = False
    status: int | None = None  # what each inventory is answered with
    torn: set[int] = field(default_factory=set)
    asked: list[tuple[int, bytes]] = field(default_factory=list)
    _buffer: bytearray = field(default_factory=bytearray)
    _waiting: int = 0
    _ticks: int = 0
    _later: bytes = b""
    _busy_ticks: int = 0
    quiet: set[tuple[bytes, int]] = field(default_factory=set)  # tags that rest in sessions 2 and 3, by target

    def feed(self, data: bytes) -> bytes:
        self._buffer += data
        out = b""
        while self._buffer:
            length = self._buffer[0] + 1
            whole = bytes(self._buffer[:length])
            if length > 4 and len(whole) < length:
                return out
            good = length > 4 and crc16(whole[:-2]) == whole[-2:]
            del self._buffer[: length if good else 1]
            if good and not self.mute and not self._busy_ticks:
                self.asked.append((whole[2], whole[3:-2]))
                out += self._obey(whole[2], whole[3:-2])
        return out

    def tick(self) -> bytes:
        if len(self._buffer) == self._waiting:
            self._buffer.clear()  # bytes more than 15 ms apart are no frame
        self._waiting = len(self._buffer)
        self._ticks += 1
        if self.mute:
            return b""
        if self._busy_ticks:
            self._busy_ticks -= 1
            said, self._later = (self._later, b"") if not self._busy_ticks else (b"", self._later)
            return said
        return self._push() if self.pushing else b""

    def _push(self) -> bytes:
        chips = self._alive()
        if chips:
            return b"".join(answer(0xEE, 0, self._code(chip.antenna) + self._block(chip)) for chip in chips)
        if self.beats and self._ticks % round(30 / TICK_S) == 0:
            return answer(0xEE, 0x28, self._ticks.to_bytes(4) + bytes(8) + bytes(4))
        return b""

    def _alive(self) -> list[Chip]:
        return [chip for chip in self.chips if not chip.killed]

    def _code(self, antenna: int) -> bytes:
        return bytes((antenna - 1 if self.ports > 8 else 1 << antenna - 1,))

    def _block(self, chip: Chip) -> bytes:
        if self.kind == 9:
            return bytes((len(chip.epc),)) + chip.epc
        told = chip.epc + TID if self.tids else chip.epc
        return bytes((len(told) | (0x80 if self.tids else 0),)) + told + bytes((chip.rssi % 256,))

    def _obey(self, command: int, given: bytes) -> bytes:
        if command == 0x01:
            if not self.pushing:
                self._inventory(given)
            return b""
        handlers: dict[int, Callable[[bytes], bytes]] = {
            0x21: self._tell,
            0x22: self._set_band,
            0x2F: self._set_power,
            0x02: self._read,
            0x03: self._write,
            0x05: self._kill,
            0x06: self._lock,
        }
        if command not in handlers:
            return answer(0, 0xFE)
        try:
            return answer(command, 0, handlers[command](given))
        except RefusedError as error:
            return answer(command, 0x05) if error.code is None else answer(command, 0xFC, bytes((error.code,)))
        except LookupError:
            return answer(command, 0xFB)

    def _inventory(self, given: bytes) -> None:
        """Prepare the answer: it comes when the scan time is over."""
        antenna, scan_time = (1, 5) if self.kind == 9 else (given[3] - 0x7F, given[4])
        self._busy_ticks = max(1, round(scan_time / 10 / TICK_S))
        if self.status is not None or antenna in self.torn:
            self._later = answer(0x01, 0xF8 if self.status is None else self.status)
            return
        told = [chip for chip in self._alive() if chip.antenna == antenna and self._is_awake(chip, given)]
        head = b"" if self.kind == 9 else self._code(antenna)
        self._later = b""
        while told:
            part, told = told[:PER_FRAME], told[PER_FRAME:]
            self._later += answer(0x01, 0x03, head + bytes((len(part),)) + b"".join(map(self._block, part)))
        self._later += answer(0x01, 0x01, head + b"\0")

    def _is_awake(self, chip: Chip, given: bytes) -> bool:
        """In sessions 2 and 3 a tag answers one target only, and the other one after it was read."""
        if self.kind == 9 or given[1] < 2:
            return True
        awake = (chip.epc, given[2]) not in self.quiet
        if awake:
            self.quiet.add((chip.epc, given[2]))
            self.quiet.discard((chip.epc, 1 - given[2]))
        return awake

    def _tell(self, _: bytes) -> bytes:
        told = bytes((*INFO_BYTES, self.kind, 0x03, *self.band, self.power, 0x0A))
        return told if self.kind == 9 else told + bytes((self.mask, 0, 0, 0))

    def _set_band(self, given: bytes) -> bytes:
        self.band = self.band if self.stuck else given
        return b""

    def _set_power(self, given: bytes) -> bytes:
        self.power = self.power if self.stuck else given[0]
        return b""

    def _read(self, given: bytes) -> bytes:
        chip, (bank, word, count, *password) = self._named(given)
        return chip.read(bank, word, count, bytes(password))

    def _write(self, given: bytes) -> bytes:
        count = 2 * given[0]
        chip, rest = self._named(given[1:])
        chip.write(rest[0], rest[1], rest[2 : 2 + count], rest[2 + count :])
        return b""

    def _kill(self, given: bytes) -> bytes:
        chip, password = self._named(given)
        chip.die(password)
        return b""

    def _lock(self, given: bytes) -> bytes:
        chip, rest = self._named(given)
        assert rest[1] == 2
        if rest[0] == 2:  # the tag model has one lock for EPC and passwords
            chip.lock(rest[2:])
        return b""

    def _named(self, given: bytes) -> tuple[Chip, bytes]:
        end = 1 + 2 * given[0]
        found = [chip for chip in self._alive() if chip.epc == given[1:end]]
        if not found:
            raise LookupError(given[1:end])
        return found[0], given[end:]

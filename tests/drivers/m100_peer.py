"""An M100 module as its manual describes it, with tags in front of it. Its bytes are made here, not by a driver.

`mute`: answers nothing; `deaf_radio`: answers, but polls bring nothing at all; `quiet`: firmware that does not tell an
empty poll while it polls on; `most_cdbm`: it clips the power to this.
"""

from binascii import crc_hqx
from dataclasses import dataclass, field

from tests.drivers.gen2_chip import Chip, RefusedError

LOCK_EPC_AND_PASSWORDS = bytes.fromhex("0A82A0")
INFO = (b"M100 26dBm V1.0", b"V2.3.5", b"MagicRF")
OK = b"\0"


def frame(kind: int, command: int, parameters: bytes = b"") -> bytes:
    body = bytes((kind, command)) + len(parameters).to_bytes(2) + parameters
    return b"\xbb" + body + bytes((sum(body) % 256,)) + b"\x7e"


def notice(chip: Chip, command: int = 0x22) -> bytes:
    told = chip.pc + chip.epc
    crc = crc_hqx(told, 0xFFFF) ^ 0xFFFF
    return frame(2, command, (chip.rssi % 256).to_bytes(1) + told + crc.to_bytes(2))


def failed(code: int, more: bytes = b"") -> bytes:
    return frame(1, 0xFF, bytes((code,)) + more)


NO_TAG = failed(0x15)


@dataclass
class Peer:
    chips: list[Chip] = field(default_factory=list)
    region: int = 1
    cdbm: int = 2000
    most_cdbm: int = 2600
    query: int = 0x1020
    mute: bool = False
    deaf_radio: bool = False
    quiet: bool = False
    polls_left: int = 0
    mask: bytes = b""
    asked: list[int] = field(default_factory=list)
    _buffer: bytearray = field(default_factory=bytearray)
    _waiting: int = 0

    def feed(self, data: bytes) -> bytes:
        """Take bytes; what is no good frame is dropped, as a module does it."""
        self._buffer += data
        out = b""
        while (begin := self._buffer.find(0xBB)) >= 0:
            del self._buffer[:begin]
            length = int.from_bytes(self._buffer[3:5])
            whole = bytes(self._buffer[: 7 + length])
            if len(self._buffer) < 5 or (length <= 80 and len(whole) < 7 + length):
                return out
            good = length <= 80 and whole == frame(0, whole[2], whole[5:-2])
            del self._buffer[: len(whole) if good else 1]
            if good and not self.mute:
                self.asked.append(whole[2])
                out += self._obey(whole[2], whole[5:-2])
        self._buffer.clear()
        return out

    def tick(self) -> bytes:
        if len(self._buffer) == self._waiting:
            self._buffer.clear()  # the rest of that frame will not come
        self._waiting = len(self._buffer)
        if not self.polls_left or self.mute or self.deaf_radio:
            return b""
        self.polls_left -= 1
        return self._round(0x27) or (b"" if self.quiet else NO_TAG)

    def _round(self, command: int) -> bytes:
        return b"".join(notice(chip, command) for chip in self.chips if not chip.killed)

    def _obey(self, command: int, given: bytes) -> bytes:
        if command in (0x39, 0x49, 0x82, 0x65):
            return self._access(command, given[:4], given[4:])
        if command == 0x22:
            return b"" if self.deaf_radio else self._round(command) or NO_TAG
        if command == 0x27:
            self.polls_left = int.from_bytes(given[1:])
            return b""
        answer = self._tell(command, given) or self._set(command, given)
        return frame(1, command, answer) if answer else failed(0x17)

    def _tell(self, command: int, given: bytes) -> bytes | None:
        match command:
            case 0x03:
                return given + INFO[given[0]]
            case 0x08:
                return bytes((self.region,))
            case 0x0D:
                return self.query.to_bytes(2)
            case 0xB7:
                return self.cdbm.to_bytes(2)
        return None

    def _set(self, command: int, given: bytes) -> bytes | None:
        match command:
            case 0x07:
                self.region = given[0]
            case 0x0E:
                self.query = int.from_bytes(given)
            case 0x0C:
                self.mask = given[7:]
            case 0x28:
                self.polls_left = 0
            case 0xB6:
                self.cdbm = min(int.from_bytes(given), self.most_cdbm)
            case 0x12:
                pass
            case _:
                return None
        return OK

    def _access(self, command: int, password: bytes, given: bytes) -> bytes:
        missing, refused = {0x39: (0x09, 0xA0), 0x49: (0x10, 0xB0), 0x82: (0x13, 0xC0), 0x65: (0x12, 0xD0)}[command]
        chip = next((chip for chip in self.chips if chip.epc.startswith(self.mask) and not chip.killed), None)
        if chip is None:
            return failed(missing)
        named = bytes((len(chip.epc) + 2,)) + chip.pc + chip.epc
        try:
            return frame(1, command, named + self._on_tag(chip, command, password, given))
        except RefusedError as error:
            return failed(0x16 if error.code is None else refused | error.code, named)

    def _on_tag(self, chip: Chip, command: int, password: bytes, given: bytes) -> bytes:
        match command:
            case 0x39:
                return chip.read(given[0], int.from_bytes(given[1:3]), int.from_bytes(given[3:5]), password)
            case 0x49:
                assert len(given[5:]) == 2 * int.from_bytes(given[3:5])
                chip.write(given[0], int.from_bytes(given[1:3]), given[5:], password)
            case 0x82:
                assert given == LOCK_EPC_AND_PASSWORDS
                chip.lock(password)
            case 0x65:
                chip.die(password)
        return OK

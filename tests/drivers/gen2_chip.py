"""A Gen2 tag in front of a simulated serial reader: memory, passwords, lock, kill, as EPC Gen2 has them."""

from dataclasses import dataclass

OTHER, NO_MEMORY, LOCKED = 0x0, 0x3, 0x4  # error codes of EPC Gen2
NONE = bytes(4)


class RefusedError(Exception):
    """The tag says no; `code` is its reason, None = it does not know the password."""

    def __init__(self, code: int | None) -> None:
        super().__init__(code)
        self.code = code


@dataclass
class Chip:
    """`stubborn`: it says yes to everything and keeps nothing."""

    epc: bytes
    rssi: int = -55
    antenna: int = 1
    access: bytes = NONE
    kill: bytes = NONE
    locked: bool = False
    stubborn: bool = False
    killed: bool = False

    @property
    def pc(self) -> bytes:
        return (len(self.epc) // 2 << 11).to_bytes(2)

    def read(self, bank: int, word: int, count: int, password: bytes) -> bytes:
        secured = self._secured(password)
        if bank == 0 and self.locked and not secured:
            raise RefusedError(LOCKED)
        found = self._memory(bank)[2 * word : 2 * (word + count)]
        if len(found) < 2 * count:
            raise RefusedError(NO_MEMORY)
        return bytes(found)

    def write(self, bank: int, word: int, data: bytes, password: bytes) -> None:
        secured = self._secured(password)
        if self.locked and not secured:
            raise RefusedError(LOCKED)
        memory = self._memory(bank)
        if 2 * word + len(data) > len(memory):
            raise RefusedError(NO_MEMORY)
        memory[2 * word : 2 * word + len(data)] = data
        if self.stubborn:
            return
        if bank == 0:
            self.kill, self.access = bytes(memory[:4]), bytes(memory[4:])
        else:
            self.epc = bytes(memory[4 : 4 + 2 * (memory[2] >> 3)])

    def lock(self, password: bytes) -> None:
        if not self._secured(password) or self.access == NONE:
            raise RefusedError(LOCKED)
        self.locked = not self.stubborn

    def die(self, password: bytes) -> None:
        if NONE in (self.kill, password):
            raise RefusedError(OTHER)
        if password != self.kill:
            raise RefusedError(None)
        self.killed = not self.stubborn

    def _secured(self, password: bytes) -> bool:
        """Tell whether the password opens the tag. A zero password is not sent at all."""
        if password not in (NONE, self.access):
            raise RefusedError(None)
        return self.access in (NONE, password)

    def _memory(self, bank: int) -> bytearray:
        if bank == 0:
            return bytearray(self.kill + self.access)
        if bank == 1:
            return bytearray(b"\0\0" + self.pc + self.epc + bytes(62 - len(self.epc)))
        raise RefusedError(NO_MEMORY)

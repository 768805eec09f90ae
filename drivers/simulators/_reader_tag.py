"""One simulated UHF tag: what it says, where it is, its memory, locks and passwords (EPC Gen2, 6.3.2.1).

Its memory is made when somebody first asks for it: a hundred thousand tags that are only inventoried stay small.
Not here: who hears it (`_reader_radio.py`), access operations over LLRP (`_reader_access.py`).
"""

from typing import TYPE_CHECKING

from drivers.simulators._reader_entry import Face, face

if TYPE_CHECKING:
    from drivers.simulators._reader_layout import Zone

RESERVED, EPC, TID, USER = range(4)
USER_BYTES = 64
EPC_BYTES = 16  # a chip with 128 bits, unless it was born with more
_TID_HEAD = bytes.fromhex("e2801105")


class Tag:
    """A tag on an item. `hit`: how easily it is read, 1 = well; seconds are those of the timeline."""

    __slots__ = (
        "_memory", "epc", "face", "gtin", "hit", "killed", "left_s", "locks", "number", "since_s", "slot", "sold_s",
        "zone",
    )  # fmt: skip

    def __init__(self, number: int, epc: bytes, gtin: str | None, hit: float) -> None:
        self.number = number
        self.gtin = gtin
        self.hit = hit
        self.zone: Zone | None = None
        self.slot = 0  # its place in the zone's list
        self.since_s = 0.0
        self.left_s: float | None = None
        self.sold_s: float | None = None
        self.killed = False
        self.locks: dict[int, int] = {}  # LLRP data field -> privilege that was set last
        self._memory: dict[int, bytearray] | None = None
        self.epc = epc
        self.face: Face = face(epc, self.tid)

    @property
    def tid(self) -> bytes:
        """Return its TID, 96 bits, unlike any other's."""
        return _TID_HEAD + self.number.to_bytes(8, "big")

    def bank(self, bank: int) -> bytes:
        """Return a memory bank: reserved, EPC (CRC, PC, EPC, spare), TID or user."""
        return bytes(self._banks()[bank])

    def write(self, bank: int, at: int, data: bytes) -> bool:
        """Write bytes; False when they do not fit. What it says of itself follows its EPC bank."""
        memory = self._banks()[bank]
        if bank == TID or at + len(data) > len(memory):
            return False
        memory[at : at + len(data)] = data
        if bank == EPC:
            length = min((memory[2] >> 3) * 2, len(memory) - 4)
            self.epc = bytes(memory[4 : 4 + length])
            self.face = face(self.epc, self.tid)
            memory[0:2] = self.face.crc.to_bytes(2, "big")
        return True

    def password(self, at: int) -> int:
        """Return the kill password (at 0) or the access password (at 4)."""
        return 0 if self._memory is None else int.from_bytes(self._memory[RESERVED][at : at + 4], "big")

    def _banks(self) -> dict[int, bytearray]:
        if self._memory is None:
            says = self.face.crc.to_bytes(2, "big") + self.face.pc.to_bytes(2, "big") + self.epc
            self._memory = {
                RESERVED: bytearray(8),
                EPC: bytearray(says.ljust(4 + max(EPC_BYTES, len(self.epc)), b"\0")),
                TID: bytearray(self.tid),
                USER: bytearray(USER_BYTES),
            }
        return self._memory

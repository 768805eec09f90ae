"""Reads and writes memory of one tag with a UHFReader288 (manual 8.2.2 to 8.2.6).

Each command names the tag by its whole EPC. With which antenna the reader then works its manual does not say: therefore
no other tag may be before any of them. Not here: what for, and the proof that it was done (`_serial_writes.py`).
"""

from collections.abc import Sequence

from drivers._uhf288_frames import KILL, LOCK, READ, WITH_TAGS, WRITE, antennas_of, blocks_of
from drivers._uhf288_talk import Reader, Round
from gateway.errors import BadFrame, Rejected

ROUNDS = 3
SCAN_TIME = 3  # tenths of a second, the shortest there is (8.2.1)
Q, SESSION_0, TARGET_A = 4, 0, 0
ACCESS_S = 2.0
TRIES = 3  # reading, writing and locking twice is as good as once; a kill is not repeated blindly
MOST_WORDS = 15  # of an EPC that a command can name (8.2.2)
EPC_MEMORY, KILL_PASSWORD, ACCESS_PASSWORD = 2, 0, 1  # what a lock can be for (8.2.6)
WITH_PASSWORD_ONLY = 2


class ReaderPen:
    """A `Pen` for one reader."""

    def __init__(self, reader: Reader, antennas: Sequence[int], ports: int, *, plain: bool, scan_time: int) -> None:
        self._reader, self._antennas, self._ports = reader, antennas, ports
        self._plain, self._scan_time = plain, scan_time

    async def in_field(self) -> set[tuple[str, int]]:
        """Take several inventories with each antenna. Raises Rejected when the reader does not end them."""
        found = set[tuple[str, int]]()
        for antenna in self._antennas:
            for _ in range(ROUNDS):
                found |= await self._round(antenna)
        return found

    async def _round(self, antenna: int) -> set[tuple[str, int]]:
        answer = await self._inventory(antenna)
        try:
            blocks = [
                block
                for frame in answer.frames
                if frame.status in WITH_TAGS
                for block in blocks_of(frame.data, plain=self._plain)
            ]
        except BadFrame as error:
            raise Rejected(f"an inventory was garbled: {error}") from error
        return {(block.epc, at) for block in blocks for at in antennas_of(block.antennas, self._ports) or (antenna,)}

    async def _inventory(self, antenna: int) -> Round:
        for _ in range(TRIES):
            if self._plain:
                answer = await self._reader.plain_inventory(self._scan_time)
            else:
                answer = await self._reader.inventory(Q, SESSION_0, TARGET_A, antenna, SCAN_TIME)
            if answer.whole:
                return answer
        raise Rejected("the reader does not end its inventories: it may not have told every tag")

    async def read(self, epc: bytes, bank: int, word: int, count: int, password: bytes) -> bytes:
        """Read words (8.2.2)."""
        data = await self._act(READ, named(epc) + bytes((bank, word, count)) + password)
        if len(data) != 2 * count:
            raise Rejected(f"asked for {count} words, the reader gave {len(data)} bytes")
        return data

    async def write(self, epc: bytes, bank: int, word: int, data: bytes, password: bytes) -> None:
        """Write words (8.2.3)."""
        await self._act(WRITE, bytes((len(data) // 2,)) + named(epc) + bytes((bank, word)) + data + password)

    async def lock(self, epc: bytes, password: bytes) -> None:
        """Lock EPC and passwords (8.2.6)."""
        for what in (EPC_MEMORY, KILL_PASSWORD, ACCESS_PASSWORD):
            await self._act(LOCK, named(epc) + bytes((what, WITH_PASSWORD_ONLY)) + password)

    async def kill(self, epc: bytes, password: bytes) -> None:
        """Kill (8.2.5)."""
        await self._act(KILL, named(epc) + password)

    async def _act(self, command: int, data: bytes) -> bytes:
        return await self._reader.ask(command, data, tries=1 if command == KILL else TRIES, wait_s=ACCESS_S)


def named(epc: bytes) -> bytes:
    """Return how a command names its tag. Raises Rejected: an EPC that is too long to be named."""
    if len(epc) > 2 * MOST_WORDS:
        raise Rejected(f"the reader can name EPCs of up to {MOST_WORDS} words, this one has {len(epc) // 2}")
    return bytes((len(epc) // 2,)) + epc

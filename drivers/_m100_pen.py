"""Reads and writes memory of one tag with an M100 module (manual 2.5 to 2.11).

Not here: what for, and the proof that the tag did it (`_serial_writes.py`).
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from drivers._m100_frames import FAILED, KILL, LOCK, READ, SET_QUERY, SET_SELECT, WRITE, tag_of
from drivers._m100_talk import Module
from gateway.errors import BadFrame, Rejected

POLLS = 8  # a weak tag answers every third poll or so: all eight missed = 4 %
ACCESS_S = 2.0  # writing takes a tag up to 20 ms a word
TRIES = 3  # reading, writing and locking twice is as good as once; a kill is not repeated blindly
SELECT_EPC = 0x01  # target and action 0, bank EPC (2.5)
EPC_BIT = 0x20
MOST_MASK_BYTES = 12
NOT_SESSION_0_A = 0x0380  # bits of the Query word (2.13)
LOCK_PASSWORDS_AND_EPC = 0x0A8000 | 0x0002A0  # mask and action, the `write` bit of kill, access and EPC each (2.10)


class ModulePen:
    """A `Pen` for one module."""

    def __init__(self, module: Module) -> None:
        self._module = module

    async def in_field(self) -> set[tuple[str, int]]:
        """Poll several times."""
        found = set[tuple[str, int]]()
        for _ in range(POLLS):
            for frame in await self._module.poll():
                if frame.command != FAILED:
                    try:
                        tag = tag_of(frame.parameters)
                    except BadFrame:
                        continue
                    found.add((tag.epc, tag.antenna))
        return found

    async def read(self, epc: bytes, bank: int, word: int, count: int, password: bytes) -> bytes:
        """Read words (2.8)."""
        where = bytes((bank,)) + word.to_bytes(2) + count.to_bytes(2)
        data = await self._act(READ, epc, password + where)
        if len(data) != 2 * count:
            raise Rejected(f"asked for {count} words, the module gave {len(data)} bytes")
        return data

    async def write(self, epc: bytes, bank: int, word: int, data: bytes, password: bytes) -> None:
        """Write words (2.9)."""
        where = bytes((bank,)) + word.to_bytes(2) + (len(data) // 2).to_bytes(2)
        await self._act(WRITE, epc, password + where + data)

    async def lock(self, epc: bytes, password: bytes) -> None:
        """Lock EPC and passwords (2.10)."""
        await self._act(LOCK, epc, password + LOCK_PASSWORDS_AND_EPC.to_bytes(3))

    async def kill(self, epc: bytes, password: bytes) -> None:
        """Kill (2.11)."""
        await self._act(KILL, epc, password)

    async def _act(self, command: int, epc: bytes, parameters: bytes) -> bytes:
        """Do it with the tag of this EPC; return what follows length, PC and EPC in the answer."""
        mask = epc[:MOST_MASK_BYTES]
        select = bytes((SELECT_EPC,)) + EPC_BIT.to_bytes(4) + bytes((8 * len(mask), 0)) + mask
        await self._module.ask(SET_SELECT, select)
        answer = await self._module.ask(command, parameters, tries=1 if command == KILL else TRIES, wait_s=ACCESS_S)
        told = answer[1 : 1 + answer[0]] if answer else b""
        if told[2:] != epc:
            raise Rejected(f"another tag answered: {told[2:].hex().upper() or 'none'}")
        return answer[1 + len(told) :]


@asynccontextmanager
async def pen_of(module: Module) -> AsyncIterator[ModulePen]:
    """Give a pen; meanwhile tags answer every poll (session 0), whatever the inventory is set to."""
    query = await module.query()
    if query & NOT_SESSION_0_A:
        await module.set_query(0, None)
    try:
        yield ModulePen(module)
    finally:
        if query & NOT_SESSION_0_A:
            await module.ask(SET_QUERY, query.to_bytes(2))

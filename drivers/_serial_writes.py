"""Encode, lock and kill a tag: one tag in the field, the act, and a look whether the tag did it. For any reader family.

A reader that says yes is no proof: after encoding the tag must answer with the new EPC, after locking it must refuse
to show its passwords, after killing nothing may answer. Passwords come from files, as late as possible, and are in no
error text. Source: EPC Gen2 2.x, memory map (6.3.2.1). Not here: which bytes do it (`_m100_pen.py`, `_uhf288_pen.py`).
"""

import re
from pathlib import Path
from typing import Protocol

from drivers._serial_config import SerialReaderConfig
from gateway.driver import TagOrder
from gateway.errors import Rejected

RESERVED, EPC = 0, 1  # memory banks
KILL_WORD, ACCESS_WORD = 0, 2  # words of the reserved bank, two each
PC_WORD, EPC_WORD = 1, 2  # words of the EPC bank
NO_PASSWORD = bytes(4)
MOST_EPC_BYTES = 62


class TagRefused(Rejected):
    """The tag itself answered, and said no: locked, or another password."""


class Pen(Protocol):
    """What a family can do to a tag. Raises TagRefused, else Rejected with the reader's reason."""

    async def in_field(self) -> set[tuple[str, int]]:
        """Return the tags that answer, EPC and antenna, after looking long enough for the weak ones."""

    async def read(self, epc: bytes, bank: int, word: int, count: int, password: bytes) -> bytes:
        """Read words."""

    async def write(self, epc: bytes, bank: int, word: int, data: bytes, password: bytes) -> None:
        """Write words."""

    async def lock(self, epc: bytes, password: bytes) -> None:
        """Make EPC and both passwords writable with the access password only; the passwords unreadable without."""

    async def kill(self, epc: bytes, password: bytes) -> None:
        """Silence the tag for ever."""


async def carry_out(pen: Pen, order: TagOrder, config: SerialReaderConfig) -> None:
    """Do it and check it. Raises Rejected."""
    await _must_be_alone(pen, order)
    epc = bytes.fromhex(order.epc)
    match order.action:
        case "encode":
            await _encode(pen, epc, order.new_epc or "", _optional(config.access_password_file))
        case "lock":
            access = _required(config.access_password_file, "access_password_file")
            await _lock(pen, epc, access, _optional(config.kill_password_file))
        case "kill":
            await _kill(pen, epc, _required(config.kill_password_file, "kill_password_file"))


async def _must_be_alone(pen: Pen, order: TagOrder) -> None:
    found = await pen.in_field()
    epcs = {epc for epc, _ in found}
    if not epcs:
        raise Rejected("no tag answers: hold it closer to the antenna")
    if len(epcs) > 1:
        raise Rejected(f"{len(epcs)} tags answer: take all but one away")
    if epcs != {order.epc}:
        raise Rejected(f"the tag that answers is {epcs.pop()}, not {order.epc}")
    if (order.epc, order.antenna) not in found:
        raise Rejected(f"the tag answers antenna {min(antenna for _, antenna in found)}, not {order.antenna}")


async def _encode(pen: Pen, epc: bytes, new_epc: str, access: bytes | None) -> None:
    if not re.fullmatch(r"(?:[0-9A-F]{4})+", new_epc) or len(new_epc) > 2 * MOST_EPC_BYTES:
        raise Rejected("new_epc must be upper-case hex of 1 to 31 whole words")
    new = bytes.fromhex(new_epc)
    word, data = EPC_WORD, new
    if len(new) != len(epc):  # the PC says how long the EPC is (5 bits, in words)
        pc = int.from_bytes(await pen.read(epc, EPC, PC_WORD, 1, NO_PASSWORD))
        word, data = PC_WORD, (len(new) // 2 << 11 | pc & 0x07FF).to_bytes(2) + new
    refused: Rejected | None = None
    try:
        await _write_epc(pen, epc, word, data, access)
    except Rejected as error:
        refused = error  # also when only the answer was lost: then no tag has the old EPC any more
    if (found := {seen for seen, _ in await pen.in_field()}) != {new_epc}:
        raise refused or Rejected(f"written, but what answers now is {', '.join(sorted(found)) or 'nothing'}")


async def _write_epc(pen: Pen, epc: bytes, word: int, data: bytes, access: bytes | None) -> None:
    try:
        await pen.write(epc, EPC, word, data, NO_PASSWORD)
    except TagRefused:
        if access is None:
            raise
        await pen.write(epc, EPC, word, data, access)


async def _lock(pen: Pen, epc: bytes, access: bytes, kill: bytes | None) -> None:
    if await _shows_passwords(pen, epc):  # a fresh tag has none of its own: it gets ours before it is closed
        await pen.write(epc, RESERVED, ACCESS_WORD, access, NO_PASSWORD)
        if kill is not None:
            await pen.write(epc, RESERVED, KILL_WORD, kill, NO_PASSWORD)
    await pen.lock(epc, access)
    if await _shows_passwords(pen, epc):
        raise Rejected("the tag said yes, but its passwords can still be read: it is not locked")


async def _shows_passwords(pen: Pen, epc: bytes) -> bool:
    try:
        await pen.read(epc, RESERVED, ACCESS_WORD, 2, NO_PASSWORD)
    except TagRefused:
        return False
    return True


async def _kill(pen: Pen, epc: bytes, kill: bytes) -> None:
    await pen.kill(epc, kill)
    if await pen.in_field():
        raise Rejected("the tag said yes, but it still answers")


def _optional(path: Path | None) -> bytes | None:
    return None if path is None else password_of(path)


def _required(path: Path | None, field: str) -> bytes:
    if path is None:
        raise Rejected(f"{field} is not configured")
    return password_of(path)


def check_passwords(config: SerialReaderConfig) -> None:
    """Look whether the files of the passwords are right. Raises Rejected."""
    if config.allow_writes:
        _optional(config.access_password_file)
        _optional(config.kill_password_file)


def password_of(path: Path) -> bytes:
    """Return the password that a file holds. Raises Rejected, and never shows it."""
    try:
        text = path.read_text("ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise Rejected(f"{path}: {getattr(error, 'strerror', 'not readable')}") from None
    if not re.fullmatch(r"[0-9A-Fa-f]{8}", text) or int(text, 16) == 0:
        raise Rejected(f"{path} must hold 8 hex digits, not all of them 0")
    return bytes.fromhex(text)

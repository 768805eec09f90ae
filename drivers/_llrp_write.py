"""Encodes, locks or kills one tag: looks first that it is alone, does it, and looks again.

The inventory pauses meanwhile. A look is a short inventory with one antenna in session 0, so that every tag answers.
The passwords are read from their files for each order and are in no message, log or error.
Source: LLRP 1.0.1, 12 (AccessSpec); Gen2 v2, 6.3.2.1 (memory of a tag: the PC word says how long the EPC is).
"""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from drivers import _llrp_control as control
from drivers._llrp_look import Look
from drivers._llrp_plan import Plan
from drivers._llrp_reader import Reader
from drivers._llrp_reports import OpResult
from drivers._llrp_specs import (
    EPC_BANK,
    LOOK_ID,
    RESERVED_BANK,
    Kill,
    Lock,
    Operation,
    Write,
    add_access,
    add_look,
    code_name,
    delete_access,
    enable_access,
)
from gateway.driver import TagOrder
from gateway.errors import DeviceError, LinkDown, Rejected

LOOK_S = 1.0  # a tag at a desk is heard 20 times in it
WRITE_S = 5.0
EMPTY = 0  # the password of a tag that was given none
PC_WORD, EPC_WORD = 1, 2  # Gen2, 6.3.2.1.2: the EPC bank is CRC, PC, EPC
KILL_WORD, ACCESS_WORD = 0, 2  # Gen2, 6.3.2.1.1: the reserved bank


class NoAnswer(Rejected):
    """Nobody knows what became of the operation."""


async def write(reader: Reader, plan: Plan, order: TagOrder) -> None:
    """Do what is ordered. Raises Rejected: the tag is not alone, or tag or reader refused."""
    ways, gifts = await asyncio.to_thread(_operations, plan, order)
    if order.antenna not in plan.antennas:
        there = ", ".join(map(str, plan.antennas))
        raise Rejected(f"{plan.config.id} does not use antenna {order.antenna}; it uses {there}")
    async with _looking(reader, plan, order.antenna) as look:
        await _must_hear(look, order.epc, "before the write")
        try:
            await _do(reader, look, order, ways, gifts)
        except NoAnswer:
            if order.action != "encode":
                raise  # of an encoding the look will tell; a tag that is not heard may be dead, or taken away
        after = {"encode": order.new_epc, "lock": order.epc, "kill": None}
        await _must_hear(look, after[order.action], "after the write")


def _operations(plan: Plan, order: TagOrder) -> tuple[list[Operation], list[Operation]]:
    """Return ways to do it, and ways to give the tag the password that it lacks if none of them works.

    Reads the passwords: call it in a thread.
    """
    access = _password(plan.config.access_password_file, "access_password_file")
    keys = list(dict.fromkeys((access, EMPTY)))  # a new tag has none yet
    match order.action:
        case "encode":
            return [_encode(order, key) for key in keys], []
        case "lock":
            if access == EMPTY:
                raise Rejected("lock: without access_password_file anybody could unlock the tag")
            return [Lock(access)], [Write(RESERVED_BANK, ACCESS_WORD, access.to_bytes(4), EMPTY)]
        case "kill":
            kill = _password(plan.config.kill_password_file, "kill_password_file")
            if kill == EMPTY:
                raise Rejected("kill: a tag can be killed only with a password; set kill_password_file")
            return [Kill(kill)], [Write(RESERVED_BANK, KILL_WORD, kill.to_bytes(4), key) for key in keys]


def _encode(order: TagOrder, password: int) -> Write:
    if order.new_epc is None or not re.fullmatch("([0-9A-F]{4}){1,31}", order.new_epc):
        raise Rejected("encode: the new EPC must be 1 to 31 words of 4 upper-case hex digits")
    words = bytes.fromhex(order.new_epc)
    if len(order.new_epc) == len(order.epc):
        return Write(EPC_BANK, EPC_WORD, words, password)
    length = len(words) // 2 << 11  # the rest of the PC word is attributes: none
    return Write(EPC_BANK, PC_WORD, length.to_bytes(2) + words, password)


def _password(path: Path | None, field: str) -> int:
    if path is None:
        return EMPTY
    try:
        text = path.read_text("ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise Rejected(f"{field} {path} cannot be read: {type(error).__name__}") from error
    if not re.fullmatch("[0-9A-Fa-f]{8}", text):
        raise Rejected(f"{field} {path}: must hold 8 hex digits")
    return int(text, 16)


@asynccontextmanager
async def _looking(reader: Reader, plan: Plan, antenna: int) -> AsyncIterator[Look]:
    """Pause the inventory and look with one antenna; at the end the inventory goes on, or the session ends."""
    look = reader.look = Look()
    try:
        await reader.pause(plan)
        await reader.asked(add_look(plan, antenna))
        await reader.asked(control.enable(LOOK_ID))
        await reader.asked(control.start(LOOK_ID))
        yield look
    finally:
        await _read_on(reader, plan)


async def _read_on(reader: Reader, plan: Plan) -> None:
    """End the look and the pause. If that fails (LinkDown) the pause stays without a look: `Reader.run` gives up."""
    try:
        with suppress(Rejected):
            await reader.asked(control.delete(LOOK_ID))
        await reader.resume(plan)
    except DeviceError as error:
        raise LinkDown(f"the reader does not read on: look at the tag before you try again ({error})") from error
    finally:
        reader.look = None


async def _must_hear(look: Look, epc: str | None, when: str) -> None:
    look.forget()
    await asyncio.sleep(LOOK_S)
    wanted = set() if epc is None else {epc}
    if look.epcs != wanted:
        heard = f"{len(look.epcs)} tags" if len(look.epcs) != 1 else "another tag"
        raise Rejected(
            f"{when} {heard if look.epcs else 'no tag'} in the field, not {'none' if epc is None else 'the one'}"
        )


async def _do(reader: Reader, look: Look, order: TagOrder, ways: list[Operation], gifts: list[Operation]) -> None:
    result = await _first_that_works(reader, look, order, ways)
    if result.code and gifts:  # perhaps it was never given the shop's password
        _must_succeed(await _first_that_works(reader, look, order, gifts), order)
        result = await _first_that_works(reader, look, order, ways)
    _must_succeed(result, order)


def _must_succeed(result: OpResult, order: TagOrder) -> None:
    if result.code:
        raise Rejected(f"{order.action}: the tag refused ({code_name(result.kind, result.code)})")


async def _first_that_works(reader: Reader, look: Look, order: TagOrder, ways: list[Operation]) -> OpResult:
    result = await _access(reader, look, order, ways[0])
    for way in ways[1:]:
        if result.code:
            result = await _access(reader, look, order, way)
    return result


async def _access(reader: Reader, look: Look, order: TagOrder, operation: Operation) -> OpResult:
    """Let the reader do one thing to the tag; return what became of it."""
    await reader.asked(add_access(order.epc, order.antenna, operation))
    try:
        await reader.asked(enable_access())
        async with asyncio.timeout(WRITE_S):
            return await look.result()
    except TimeoutError as error:
        raise NoAnswer(f"{order.action}: the tag did not answer in {WRITE_S:g} s") from error
    finally:
        with suppress(Rejected):
            await reader.asked(delete_access())

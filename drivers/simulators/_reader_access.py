"""Access operations: AccessSpecs as they come, and what they do to a simulated tag (read, write, lock, kill).

Pure. EPC Gen2 6.3.2.12, LLRP 1.0.1 15.2.1.3. Not here: when a tag answers at all (`_reader_inventory.py`).
"""

import struct
from typing import NamedTuple

from drivers.simulators import _reader_tag as memory
from drivers.simulators._reader_spec import Mask, one
from drivers.simulators._reader_tag import Tag
from drivers.simulators._reader_wire import (
    A_INVALID,
    M_MISSING,
    M_UNSUPPORTED_PARAMETER,
    BadMessage,
    Parameter,
    bits,
    fields,
    parameters,
    tlv,
    words,
)

READ, WRITE, KILL, LOCK, BLOCK_ERASE, BLOCK_WRITE = 341, 342, 343, 344, 346, 347
RESULT = {READ: 349, WRITE: 350, KILL: 351, LOCK: 352, BLOCK_WRITE: 354}
ACCESS_SPEC_ID_TV = b"\x90"
# C1G2...ResultType: 0 = success in each; the others are different lists
READ_TAG_ERROR = 1
WRITE_OVERRUN, WRITE_LOCKED, WRITE_TAG_ERROR = 1, 2, 4
KILL_ZERO_PASSWORD, KILL_TAG_ERROR = 1, 3
LOCK_TAG_ERROR = 2
LOCKED, PERMA_LOCKED, PERMA_UNLOCKED, UNLOCKED = range(4)  # C1G2LockPrivilege
KILL_PASSWORD, ACCESS_PASSWORD = 0, 1  # C1G2LockDataField; the banks EPC, TID and user are 2, 3 and 4


class Op(NamedTuple):
    """One operation. `words`: how many to read; `data`: bytes to write; `locks`: (data field, privilege)."""

    kind: int
    number: int
    password: int
    bank: int = 0
    pointer: int = 0
    words: int = 0
    data: bytes = b""
    locks: tuple[tuple[int, int], ...] = ()


class AccessSpec(NamedTuple):
    """One AccessSpec. `antenna`, `rospec` 0 = any; `most` operations, 0 = no end. A target: mask, data, equal."""

    number: int
    antenna: int
    rospec: int
    most: int
    targets: tuple[tuple[Mask, int, bool], ...]
    ops: tuple[Op, ...]
    report: int | None
    raw: bytes


def read_access_spec(parameter: Parameter) -> AccessSpec:
    """Read an AccessSpec parameter (207). Raises BadMessage."""
    number, antenna, _protocol, state, rospec = fields(">IHBBI", parameter.body, "AccessSpec")
    if number == 0 or state & 0x80:
        raise BadMessage("an AccessSpec is added disabled, and its id is not 0", A_INVALID)
    inside = parameters(parameter.body[12:])
    stop, most = fields(">BH", one(208, inside, "AccessSpecStopTrigger").body, "AccessSpecStopTrigger")
    command = parameters(one(209, inside, "AccessCommand").body)
    found = parameters(one(338, command, "C1G2TagSpec").body)
    targets = tuple(_target(target) for target in found if target.kind == 339)
    ops = tuple(_op(op) for op in command if 341 <= op.kind <= 347)
    if not targets or not ops:
        raise BadMessage("an AccessSpec needs a target and an operation", M_MISSING)
    reports = [fields(">B", spec.body, "AccessReportSpec")[0] for spec in inside if spec.kind == 239]
    report = reports[0] if reports else None
    return AccessSpec(number, antenna, rospec, most if stop == 1 else 0, targets, ops, report, parameter.raw)


def _target(parameter: Parameter) -> tuple[Mask, int, bool]:
    head, pointer = fields(">BH", parameter.body, "C1G2TargetTag")
    count, mask, rest = bits(parameter.body[3:], "TagMask")
    data_count, data, _ = bits(rest, "TagData")
    data = data << count - data_count if data_count <= count else data >> data_count - count
    return Mask(head >> 6, pointer, count, mask), data & mask, bool(head & 0x20)


def _op(parameter: Parameter) -> Op:
    kind, body = parameter.kind, parameter.body
    number, password = fields(">HI", body, "an operation")
    rest = body[6:]
    match kind:
        case 341:
            bank, pointer, count = fields(">BHH", rest, "C1G2Read")
            return Op(kind, number, password, bank >> 6, pointer, count)
        case 342 | 347:
            bank, pointer = fields(">BH", rest, "C1G2Write")
            values, _ = words(rest[3:], "WriteData")
            return Op(kind, number, password, bank >> 6, pointer, data=struct.pack(f">{len(values)}H", *values))
        case 343:
            return Op(kind, number, password)
        case 344:
            payloads = [fields(">BB", lock.body, "C1G2LockPayload") for lock in parameters(rest) if lock.kind == 345]
            if any(privilege > UNLOCKED or field > 4 for privilege, field in payloads):
                raise BadMessage("no such lock", A_INVALID)
            return Op(kind, number, password, locks=tuple((field, privilege) for privilege, field in payloads))
    raise BadMessage(f"operation {kind} is not supported", M_UNSUPPORTED_PARAMETER)


def window(tag: Tag, mask: Mask) -> int | None:
    """Return the bits of a tag's memory at a mask's place; None where there is no such memory."""
    size = mask.pointer + mask.size
    bank = tag.bank(mask.bank) if mask.bank != memory.EPC or mask.pointer < 32 else None
    if bank is None:  # the usual case, without making its memory
        bank, size = tag.epc, size - 32
    if size > len(bank) * 8:
        return None
    return int.from_bytes(bank, "big") >> len(bank) * 8 - size & (1 << mask.size) - 1


def fits(tag: Tag, masks: tuple[Mask, ...]) -> bool:
    """Tell whether a tag takes part in an inventory with these filters (state-unaware actions, in order)."""
    chosen = not masks or masks[0].action in (2, 3)
    for mask in masks:
        hit = window(tag, mask) == mask.value
        after = ((True, False), (True, None), (None, False), (False, None), (False, True), (None, True))[mask.action]
        wanted = after[0] if hit else after[1]
        chosen = chosen if wanted is None else wanted
    return chosen


def is_target(spec: AccessSpec, tag: Tag) -> bool:
    """Tell whether a tag is what an AccessSpec is for. A mask without bits fits every tag."""
    for mask, data, equal in spec.targets:
        found = window(tag, mask) if mask.size else 0
        if (found is not None and found & mask.value == data) is not equal:
            return False
    return True


def perform(spec: AccessSpec, tag: Tag) -> bytes:
    """Do all operations of an AccessSpec to a tag; returns what its report says of them."""
    return ACCESS_SPEC_ID_TV + struct.pack(">I", spec.number) + b"".join(_perform(op, tag) for op in spec.ops)


def _perform(op: Op, tag: Tag) -> bytes:
    match op.kind:
        case 341:
            result, found = _read(op, tag)
            more = struct.pack(">H", len(found) // 2) + found
        case 342 | 347:
            result = _write(op, tag)
            more = struct.pack(">H", 0 if result else len(op.data) // 2)
        case 343:
            result, more = _kill(op, tag), b""
        case _:
            result, more = _lock(op, tag), b""
    return tlv(RESULT[op.kind], struct.pack(">BH", result, op.number), more)


def _state(op: Op, tag: Tag) -> str:
    """Return `secured`, `open` (no password given where one is set) or `wrong`."""
    password = tag.password(4)
    if op.password == password:
        return "secured"
    return "wrong" if op.password else "open"


def _read(op: Op, tag: Tag) -> tuple[int, bytes]:
    state = _state(op, tag)
    bank = tag.bank(op.bank)
    begin = op.pointer * 2
    end = begin + op.words * 2 if op.words else len(bank)
    hidden = op.bank == memory.RESERVED and _locked(tag, KILL_PASSWORD, state)
    if tag.killed or state == "wrong" or hidden or not begin < end <= len(bank):
        return READ_TAG_ERROR, b""
    return 0, bank[begin:end]


def _write(op: Op, tag: Tag) -> int:
    state = _state(op, tag)
    if tag.killed or state == "wrong":
        return WRITE_TAG_ERROR
    field = op.bank + 1 if op.bank else (KILL_PASSWORD if op.pointer < 2 else ACCESS_PASSWORD)
    if op.bank == memory.TID or _locked(tag, field, state):
        return WRITE_LOCKED
    return 0 if tag.write(op.bank, op.pointer * 2, op.data) else WRITE_OVERRUN


def _locked(tag: Tag, field: int, state: str) -> bool:
    privilege = tag.locks.get(field, UNLOCKED)
    return privilege == PERMA_LOCKED or (privilege == LOCKED and state != "secured")


def _kill(op: Op, tag: Tag) -> int:
    if tag.password(0) == 0:
        return KILL_ZERO_PASSWORD
    if tag.killed or op.password != tag.password(0):
        return KILL_TAG_ERROR
    tag.killed, tag.hit = True, 0.0
    return 0


def _lock(op: Op, tag: Tag) -> int:
    fixed = any(tag.locks.get(field) in (PERMA_LOCKED, PERMA_UNLOCKED) for field, _ in op.locks)
    if tag.killed or fixed or _state(op, tag) != "secured":
        return LOCK_TAG_ERROR
    tag.locks.update(op.locks)
    return 0


class AccessSpecs:
    """The AccessSpecs of one reader, and how often each was carried out."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._specs: dict[int, AccessSpec] = {}
        self._done: dict[int, int] = {}  # of those that are enabled

    def add(self, spec: AccessSpec) -> None:
        """Keep one, disabled. Raises BadMessage."""
        if spec.number in self._specs or len(self._specs) >= self._most:
            raise BadMessage(f"AccessSpec {spec.number} is there already, or there are too many", A_INVALID)
        self._specs[spec.number] = spec

    def chosen(self, number: int) -> list[int]:
        """Return the ids that a command means; 0 = all. Raises BadMessage."""
        if number and number not in self._specs:
            raise BadMessage(f"there is no AccessSpec {number}", A_INVALID)
        return [number] if number else list(self._specs)

    def delete(self, number: int) -> None:
        """Forget one, or all. Raises BadMessage."""
        for one_of in self.chosen(number):
            del self._specs[one_of]
            self._done.pop(one_of, None)

    def enable(self, number: int, *, on: bool) -> None:
        """Let one, or all, act on tags, or no more. Raises BadMessage."""
        for one_of in self.chosen(number):
            if on:
                self._done.setdefault(one_of, 0)
            else:
                self._done.pop(one_of, None)

    def __bool__(self) -> bool:
        """Tell whether any is enabled."""
        return bool(self._done)

    def told(self) -> list[bytes]:
        """Return all as parameters, each with its state."""
        return [
            spec.raw[:11] + bytes([0x80 if number in self._done else 0]) + spec.raw[12:]
            for number, spec in self._specs.items()
        ]

    def act(self, tag: Tag, antenna: int, rospec: int) -> tuple[bytes, bool]:
        """Carry out the first that fits this tag here; returns what to report, and whether to report at once."""
        for number in list(self._done):
            spec = self._specs[number]
            if spec.antenna in (0, antenna) and spec.rospec in (0, rospec) and is_target(spec, tag):
                self._done[number] += 1
                over = 0 < spec.most <= self._done[number]
                if over:
                    self.delete(number)
                return perform(spec, tag), over and spec.report == 1
        return b"", False

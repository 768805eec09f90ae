"""Cuts a long array out of a JSON object, so that its items can be read a few at a time. Pure.

One call that parses 30 000 lines keeps the interpreter, and with it every till, for a sixth of a second. Nothing is
judged here: an object that is not plain (no such array, two of them, no JSON) is not cut and is read in one piece.
"""

import json
import re
from typing import NamedTuple

from gateway.prices.work import PAUSE, Work

SHORT_BYTES = 8192  # below, one piece takes less than a millisecond
ITEMS_A_SLICE = 50

_scan = json.JSONDecoder().raw_decode  # the value at a place, and where it ends
_BLANKS = re.compile(r"[ \t\n\r]*")


class Cut(NamedTuple):
    """`head`: the object with the array left empty; `slices`: the items in order, some in each array."""

    head: bytes
    slices: list[bytes]


def cut(payload: bytes, member: str) -> Work[Cut | None]:
    """Cut a member of an object that is a long array; None = it is short, or not to be cut."""
    if len(payload) < SHORT_BYTES:
        return None
    try:
        return (yield from _cut(payload.decode(), member))
    except (ValueError, RecursionError, IndexError):
        return None


def _cut(text: str, member: str) -> Work[Cut | None]:
    found: Cut | None = None
    at = _past(text, 0, "{")
    while True:
        name, at = _scan(text, at)
        at = _past(text, at, ":")
        if name == member:
            if found is not None:
                return None
            begin = at
            slices, at = yield from _slices(text, _past(text, at, "["))
            found = Cut((text[: begin + 1] + text[at - 1 :]).encode(), slices)
        else:
            _, at = _scan(text, at)
        if text[at := _skip(text, at)] == "}":
            return found if _skip(text, at + 1) == len(text) else None
        at = _past(text, at, ",")


def _slices(text: str, at: int) -> Work[tuple[list[bytes], int]]:
    """Return the items from here on, and where the array has ended."""
    slices: list[bytes] = []
    if text[at] == "]":
        return slices, at + 1
    begin, items = at, 0
    while True:
        _, end = _scan(text, at)
        items += 1
        closed = text[at := _skip(text, end)] == "]"
        if closed or items % ITEMS_A_SLICE == 0:
            slices.append(f"[{text[begin:end]}]".encode())
            begin = _skip(text, at + 1)
            yield PAUSE
        if closed:
            return slices, at + 1
        at = _past(text, at, ",")


def _skip(text: str, at: int) -> int:
    match = _BLANKS.match(text, at)
    return at if match is None else match.end()


def _past(text: str, at: int, mark: str) -> int:
    """Return where the next value begins, after this mark. Raises ValueError when something else stands here."""
    at = _skip(text, at)
    if text[at] != mark:
        raise ValueError(mark)
    return _skip(text, at + 1)

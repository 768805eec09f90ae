"""Unsent events out of the raw bytes of a damaged file, where no query reaches them any more.

An event carries its own stream and sequence, so text that parses as a whole event is one, wherever it lies. Rows that
continue on overflow pages (above about 4 kB) do not parse and are lost. What was sent and deleted may be found
again: the caller takes only numbers that head office does not have; a repeat is harmless, it drops repeats by `id`.
"""

import json
import mmap
import re
from collections.abc import Iterator
from pathlib import Path

from gateway.messages import Stream, fact_types
from gateway.store.events import LETTERS

MOST_EVENT_BYTES = 65536
_STREAMS: dict[str, Stream] = {letter: stream for stream, letter in LETTERS.items()}
_HEAD = re.compile(rb'\{"specversion":"1\.0","id":"[^"\\]{1,200}","source":"')
_OWN_ID = re.compile(r".+-([bt])-([0-9]{12})")
_TYPE = re.compile(r"aisled\.(.+)\.v1")
_AMBIGUOUS = {"sensor.event"}  # of either stream, and its id does not say which
_decoder = json.JSONDecoder()


def carve(path: Path) -> Iterator[tuple[Stream, int, bytes]]:
    """Yield `(stream, sequence, event)` for all that is a whole event of a gateway's own making."""
    try:
        size = path.stat().st_size
    except OSError:
        return
    if not size:
        return
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as raw:
        for match in _HEAD.finditer(raw):
            found = whole_event(raw[match.start() : match.start() + MOST_EVENT_BYTES])
            if found is not None:
                yield found


def whole_event(raw: bytes) -> tuple[Stream, int, bytes] | None:
    """Return the event that these bytes begin with, None when it is not whole."""
    text = raw.decode("utf-8", "surrogateescape")
    try:
        event, end = _decoder.raw_decode(text)
        found = _stream(event), int(event["sequence"]), text[:end].encode()
    except (ValueError, KeyError, TypeError, IndexError, RecursionError):  # UnicodeEncodeError is a ValueError
        return None
    return found if "data" in event else None


def _stream(event: dict[str, str]) -> Stream:
    """Return the stream by the id that we gave, else (a sale line has the till's) by the type. Raises ValueError."""
    own, kind = _OWN_ID.fullmatch(event["id"]), _TYPE.fullmatch(event["type"])
    if own is not None:
        if int(own[2]) != int(event["sequence"]):
            raise ValueError("the id is of another number")
        return _STREAMS[own[1]]
    if kind is None or kind[1] in _AMBIGUOUS:
        raise ValueError("nothing says which stream it is of")
    return fact_types()[kind[1]].stream


def is_event(raw: object, sequence: int) -> bool:
    """Tell whether a row's bytes are one whole event with this sequence: what is sent must parse at head office."""
    if not isinstance(raw, bytes):
        return False
    try:
        event = json.loads(raw)
    except (ValueError, RecursionError):
        return False
    return isinstance(event, dict) and event.get("sequence") == str(sequence) and "data" in event

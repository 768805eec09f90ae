"""Numbers that may have been used, kept beside the database: what a damaged or older file cannot tell any more.

A stream's sequence never passes its ceiling before the raised ceiling is on disk, so a file that lost its tail goes on
above it and no number is used twice. After a clean stop the ceilings are exact. 128 bytes, overwritten in place: works
on a full disk too. Not here: what follows from it (`opening.py`).
"""

import os
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from gateway.messages import Stream
from gateway.store.outbox import Counters
from gateway.store.schema import STREAMS

BLOCK = 100_000  # numbers claimed ahead: one small sync for each; also the widest gap that a lost tail declares
RECORD_BYTES = 128


@dataclass(frozen=True)
class Ceiling:
    """`last`: no number above it was used. `freed`: head office has at least everything through it."""

    last: int = 0
    freed: int = 0


@dataclass(frozen=True)
class Known:
    """What the file says; `exact` after a clean stop."""

    streams: Mapping[Stream, Ceiling]
    exact: bool


class Ceilings:
    """The file. `path` None keeps nothing (a database in memory)."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._last: dict[Stream, int] = dict.fromkeys(STREAMS, 0)

    def load(self) -> Known | None:
        """Return what is known, None when there is no readable file."""
        if self._path is None:
            return None
        try:
            known = decode(self._path.read_bytes())
        except OSError:
            return None
        if known is not None:
            self._last = {stream: ceiling.last for stream, ceiling in known.streams.items()}
        return known

    def cover(self, counters: Mapping[Stream, Counters]) -> None:
        """Raise the ceilings that these counters pass, on disk, before the commit that uses the numbers."""
        if self._path is None or all(counters[stream].last <= self._last[stream] for stream in STREAMS):
            return
        self._write({s: Ceiling(max(self._last[s], counters[s].last + BLOCK), counters[s].freed) for s in STREAMS}, 0)

    def begin(self, counters: Mapping[Stream, Counters]) -> None:
        """Claim the first block: the gateway runs, the numbers are not exact any more."""
        if self._path is not None:
            self._write({s: Ceiling(counters[s].last + BLOCK, counters[s].freed) for s in STREAMS}, 0)

    def seal(self, counters: Mapping[Stream, Counters]) -> None:
        """Write the exact numbers: the gateway stops."""
        if self._path is not None:
            self._write({s: Ceiling(counters[s].last, counters[s].freed) for s in STREAMS}, 1)

    def _write(self, streams: Mapping[Stream, Ceiling], exact: int) -> None:
        assert self._path is not None
        handle = os.open(self._path, os.O_WRONLY | os.O_CREAT, 0o640)
        try:
            os.pwrite(handle, encode(Known(streams, bool(exact))), 0)
            os.fsync(handle)
        finally:
            os.close(handle)
        self._last = {stream: ceiling.last for stream, ceiling in streams.items()}


def encode(known: Known) -> bytes:
    """Return the record: one line of decimal numbers, its CRC-32, padded with blanks."""
    numbers = " ".join(f"{known.streams[stream].last} {known.streams[stream].freed}" for stream in STREAMS)
    line = f"aisled-sequences 1 {numbers} {int(known.exact)}"
    return f"{line} {zlib.crc32(line.encode()):08x}".ljust(RECORD_BYTES - 1).encode() + b"\n"


def decode(record: bytes) -> Known | None:
    """Return what the record says, None when it is not whole."""
    line, _, crc = record.decode("ascii", "replace").strip().rpartition(" ")
    fields = line.split()
    if crc != f"{zlib.crc32(line.encode('utf-8', 'replace')):08x}" or len(fields) != 7:
        return None
    numbers = [int(field) for field in fields[2:6]]
    streams = {stream: Ceiling(*numbers[2 * i : 2 * i + 2]) for i, stream in enumerate(STREAMS)}
    return Known(streams, fields[6] == "1")

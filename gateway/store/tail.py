"""Did the write-ahead log lose its end? A cut or damaged log makes SQLite go back in time without a word.

The shared-memory file outlives a killed process and says how many frames the log had. Read before SQLite opens the
database; fewer frames afterwards = commits are missing that were acknowledged. Only for looking, nothing is changed.
Format: sqlite.org/walformat.html, 2.1 (WAL-index header, native byte order, written twice).
"""

import sqlite3
import struct
from pathlib import Path

HEADER_BYTES = 48
WALINDEX_VERSION = 3007000
_START = struct.Struct("=IIIBBHI")  # iVersion unused iChange isInit bigEndCksum szPage mxFrame


def frames_before(database: Path) -> int | None:
    """Return how many frames the log of a stopped process held, None when nothing trustworthy says so."""
    try:
        header = database.with_name(database.name + "-shm").read_bytes()[: 2 * HEADER_BYTES]
    except OSError:
        return None
    if len(header) < 2 * HEADER_BYTES or header[:HEADER_BYTES] != header[HEADER_BYTES:]:
        return None
    version, _, _, is_init, _, _, frames = _START.unpack_from(header)
    return frames if version == WALINDEX_VERSION and is_init else None


def frames_now(connection: sqlite3.Connection) -> int:
    """Return how many frames the log holds after SQLite recovered it."""
    _, frames, _ = connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
    return max(0, int(frames))

"""Which failures of the disk pass when a person mends them, in words for that person; and the pause between tries.

Not here: trying again (`writer.py`), making room (`ballast.py`).
"""

import errno
import os
import sqlite3
from pathlib import Path

FIRST_S = 0.05
LONGEST_S = 5.0  # a disk that has room again is noticed within this

_BY_CODE = {
    sqlite3.SQLITE_FULL: "the disk is full: delete files or give it more room; nothing is lost, the gateway waits",
    sqlite3.SQLITE_READONLY: "the disk or the database is read-only: check mount options, permissions, disk",
    sqlite3.SQLITE_IOERR: "the disk reports input/output errors: check it (dmesg, smartctl) and replace it if need be",
    sqlite3.SQLITE_CANTOPEN: "the database cannot be opened: check the directory's permissions and free file handles",
    sqlite3.SQLITE_BUSY: "another program holds the database locked: end it",
    sqlite3.SQLITE_LOCKED: "another program holds the database locked: end it",
    sqlite3.SQLITE_NOMEM: "the machine is out of memory",
    sqlite3.SQLITE_PERM: "the database may not be written: check its permissions",
    sqlite3.SQLITE_PROTOCOL: "another program holds the database locked: end it",
}
_BY_ERRNO = {
    errno.ENOSPC: sqlite3.SQLITE_FULL,
    errno.EDQUOT: sqlite3.SQLITE_FULL,
    errno.EFBIG: sqlite3.SQLITE_FULL,
    errno.EROFS: sqlite3.SQLITE_READONLY,
    errno.EACCES: sqlite3.SQLITE_PERM,
    errno.EPERM: sqlite3.SQLITE_PERM,
    errno.EIO: sqlite3.SQLITE_IOERR,
    errno.EMFILE: sqlite3.SQLITE_CANTOPEN,
}
_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
# Extended codes (sqlite.org/rescode.html): what a full disk looks like to shared memory, and what a bad sector does.
_NO_ROOM = (sqlite3.SQLITE_IOERR_SHMSIZE, sqlite3.SQLITE_IOERR_SHMMAP)
_BAD_SECTOR = (
    sqlite3.SQLITE_IOERR_READ,
    sqlite3.SQLITE_IOERR_SHORT_READ,
    sqlite3.SQLITE_IOERR_CORRUPTFS,
    sqlite3.SQLITE_IOERR_DATA,
)


def code(error: BaseException) -> int | None:
    """Return SQLite's primary result code for a failure of SQLite or of the file system."""
    if isinstance(error, sqlite3.Error):
        extended = getattr(error, "sqlite_errorcode", None)
        return None if extended is None else extended & 0xFF
    if isinstance(error, OSError) and error.errno is not None:
        return _BY_ERRNO.get(error.errno)
    return None


def describe(error: BaseException) -> str | None:
    """Return what a person should do, or None when another try cannot help."""
    text = _BY_CODE.get(code(error) or -1)
    return None if text is None else f"{text} ({error})"


def is_full(error: BaseException) -> bool:
    """Tell whether room would help."""
    return code(error) == sqlite3.SQLITE_FULL or getattr(error, "sqlite_errorcode", None) in _NO_ROOM


def passes(error: BaseException) -> bool:
    """Tell whether a failure to read has a cause outside the file. Bad sectors are damage."""
    return code(error) in _BY_CODE and getattr(error, "sqlite_errorcode", None) not in _BAD_SECTOR


def is_damage(error: BaseException, path: Path | None = None) -> bool:
    """Tell whether the file itself is broken: only a restart, which salvages, helps.

    A flipped header byte makes SQLite call a file read-only that the system lets us write.
    """
    kind = code(error)
    return kind in _DAMAGED or (kind == sqlite3.SQLITE_READONLY and path is not None and _writable(path))


def _writable(path: Path) -> bool:
    try:
        os.close(os.open(path, os.O_WRONLY))
    except OSError:
        return False
    return True


class Backoff:
    """Pauses between tries: doubling from FIRST_S to LONGEST_S."""

    def __init__(self) -> None:
        self.failures = 0

    def next_s(self) -> float:
        """Return the next pause."""
        self.failures += 1
        return min(LONGEST_S, FIRST_S * 2.0 ** min(self.failures - 1, 16))

"""A file that is nothing but room: given up when the disk is full, so that the outbox can shed and go on.

Not here: deciding that the disk is full (`trouble.py`), what is shed (`quota.py`).
"""

import contextlib
import os
import shutil
from pathlib import Path

BALLAST_BYTES = 8 * 1024 * 1024
ROOM_FACTOR = 8  # made again only when there is this many times as much room: it must not cause what it cures


class Ballast:
    """`BALLAST_BYTES` of reserved disk space beside the database."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def ensure(self) -> bool:
        """Reserve the room when the disk has plenty; return whether the ballast is there."""
        with contextlib.suppress(OSError):
            if self._path.exists() and self._path.stat().st_size == BALLAST_BYTES:
                return True
            if shutil.disk_usage(self._path.parent).free >= ROOM_FACTOR * BALLAST_BYTES:
                self._reserve()
                return True
        return False

    def _reserve(self) -> None:
        handle = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o640)
        try:
            os.posix_fallocate(handle, 0, BALLAST_BYTES)
        except OSError:
            self._path.unlink(missing_ok=True)
            raise
        finally:
            os.close(handle)

    def release(self) -> bool:
        """Give the room back; return whether there was any."""
        with contextlib.suppress(OSError):
            self._path.unlink()
            return True
        return False

"""What to do when the disk is full: give up the ballast, then let the oldest telemetry go, before it is too late.

The log must never hold pages for which the database cannot grow: then it could not be emptied any more, and nothing
could be deleted either. So while the disk is tight, telemetry is shed as soon as the database runs out of free pages
of its own. Business is never dropped; when nothing helps, the writer waits and tries again.
Not here: the quota while there is room (`quota.py`).
"""

import contextlib
import logging
import sqlite3

from gateway.store.ballast import Ballast
from gateway.store.trouble import is_full

FREE_PAGES = 1024  # 4 MiB: room for one full log, kept free inside the database while the disk is tight

log = logging.getLogger(__name__)


class Relief:
    """From the first full disk until the ballast is there again."""

    def __init__(self, connection: sqlite3.Connection, ballast: Ballast | None) -> None:
        self._connection = connection
        self._ballast = ballast
        self._tight = False

    def after_failure(self, error: BaseException) -> None:
        """Make room for the next try, if room is what is missing."""
        if not is_full(error):
            return
        self._tight = True
        if self._ballast is not None and self._ballast.release():
            log.warning("the disk is full: the reserve was given up")
        with contextlib.suppress(sqlite3.Error):
            self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()

    def must_shed(self) -> bool:
        """Tell whether telemetry has to make room in this transaction."""
        if not self._tight:
            return False
        (free,) = self._connection.execute("PRAGMA freelist_count").fetchone()
        return bool(free < FREE_PAGES)

    def after_success(self) -> None:
        """End the episode once the disk has plenty of room."""
        if self._tight and (self._ballast is None or self._ballast.ensure()):
            self._tight = False

    def restore(self) -> None:
        """Make the ballast when there is plenty of room; cheap while it exists."""
        if self._ballast is not None:
            self._ballast.ensure()

"""What to do when the disk is full: give up the ballast, cut the log, then let the oldest telemetry go.

Business is never dropped; when nothing helps, the writer waits and tries again. Not here: the quota while there is
room (`quota.py`).
"""

import contextlib
import logging
import sqlite3

from gateway.store.ballast import Ballast
from gateway.store.trouble import is_full

log = logging.getLogger(__name__)


class Relief:
    """Steps of one disk-full episode, in order. `shedding`: the next commit drops the oldest quarter of telemetry."""

    def __init__(self, connection: sqlite3.Connection, ballast: Ballast | None) -> None:
        self._connection = connection
        self._ballast = ballast
        self.shedding = False

    def after_failure(self, error: BaseException) -> None:
        """Make room for the next try, if room is what is missing."""
        if not is_full(error):
            return
        if self._ballast is not None and self._ballast.release():
            log.warning("the disk is full: the reserve was given up")
        else:
            self.shedding = True
        with contextlib.suppress(sqlite3.Error):
            self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()

    def after_success(self) -> None:
        """End the episode."""
        self.shedding = False

    def restore(self) -> None:
        """Make the ballast again when there is plenty of room; cheap while it exists."""
        if self._ballast is not None:
            self._ballast.ensure()

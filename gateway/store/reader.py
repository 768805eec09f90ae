"""Reading without disturbing the writer: a read-only connection with a thread of its own and a time limit.

A reader that never ends would keep the write-ahead log from being cut, so a query is stopped after READ_LIMIT_S.
"""

import asyncio
import sqlite3
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from gateway.errors import StoreError
from gateway.store.schema import connect_reader, snapshot

READ_LIMIT_S = 10.0
STEPS = 20_000  # of SQLite's virtual machine between two looks at the time: about a millisecond

T = TypeVar("T")


class Reader:
    """One read-only connection; each function sees one moment, whatever is committed meanwhile.

    With `shared`, that connection is used, in the caller's thread, and not closed.
    """

    def __init__(self, name: str, path: Path, shared: sqlite3.Connection | None = None) -> None:
        self._path = path
        self._own = shared
        self._pool = ThreadPoolExecutor(1, thread_name_prefix=name) if shared is None else None
        self._deadline_s = 0.0

    async def run(self, function: Callable[[sqlite3.Connection], T]) -> T:
        """Run the function on the connection. Raises StoreError when it takes longer than READ_LIMIT_S."""
        if self._pool is None:
            return self._query_only(function)
        return await asyncio.get_running_loop().run_in_executor(self._pool, self._limited, function)

    def _limited(self, function: Callable[[sqlite3.Connection], T]) -> T:
        self._deadline_s = time.monotonic() + READ_LIMIT_S
        try:
            with snapshot(self._connection()) as connection:
                return function(connection)
        except sqlite3.OperationalError as error:
            if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_INTERRUPT:
                raise StoreError(f"the query took longer than {READ_LIMIT_S:.0f} s and was stopped") from error
            raise

    def _connection(self) -> sqlite3.Connection:
        if self._own is None:
            self._own = connect_reader(self._path)
            self._own.set_progress_handler(lambda: time.monotonic() > self._deadline_s, STEPS)
        return self._own

    def _query_only(self, function: Callable[[sqlite3.Connection], T]) -> T:
        assert self._own is not None
        self._own.execute("PRAGMA query_only = ON")
        try:
            return function(self._own)
        finally:
            self._own.execute("PRAGMA query_only = OFF")

    def close(self) -> None:
        """End; a query in hand is interrupted."""
        if self._pool is None:
            return
        self._deadline_s = 0.0
        self._pool.submit(self._shut)
        self._pool.shutdown(wait=False)

    def _shut(self) -> None:
        if self._own is not None:
            self._own.close()

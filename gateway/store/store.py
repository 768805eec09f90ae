"""The store as the rest of the gateway sees it: async, one file, one writer. Start here.

`append` returns after the commit that keeps the batch; a disk that takes nothing makes it wait, not fail. What is kept
where: `schema.py`. How: `ledger.py` (one transaction), `writer.py` (thread, group commit, retries), `outbox.py`
(numbers), `opening.py` (checks and salvage at start). Not here: what messages mean (`apply_*.py`, `journal.py`).
"""

import asyncio
import contextlib
import logging
import shutil
import sqlite3
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TypeVar

from gateway.errors import StoreError
from gateway.messages import Message, Stream
from gateway.store.ballast import Ballast
from gateway.store.events import EventEncoder
from gateway.store.journal import Head, head
from gateway.store.ledger import Ledger, Projection
from gateway.store.opening import Opening, OpenReport
from gateway.store.outbox import Outbox, StoreClock, unsent
from gateway.store.quota import Forecast, Quota, refusal
from gateway.store.reader import Reader
from gateway.store.relief import Relief
from gateway.store.schema import MEMORY, transaction
from gateway.store.trouble import describe, is_full
from gateway.store.writer import Committer, Job, WriterThread, quietly

LAZY_FREE_S = 1.0  # rows that head office has are deleted with the next commit, or after this

log = logging.getLogger(__name__)
T = TypeVar("T")


def _ignore(_text: str | None) -> None:
    """Nobody wants to hear of trouble."""


def _nothing() -> None:
    """Nobody wants to hear of commits."""


class Store:
    """One SQLite file. `in_thread=False` runs everything on the caller, for tests in virtual time."""

    def __init__(
        self,
        path: Path,
        *,
        store_id: str,
        gateway_id: str,
        clock: StoreClock,
        projections: Sequence[Projection] = (),
        quota: Quota = Quota(),  # noqa: B008 - frozen
        in_thread: bool = True,
        on_trouble: Callable[[str | None], None] = _ignore,
    ) -> None:
        self._path = path
        self._clock = clock
        self._on_trouble = on_trouble
        self._encoder = EventEncoder(store_id, gateway_id)
        self._opening = Opening(path, self._encoder, clock, [projection.migrations for projection in projections])
        self._quota = quota
        self._forecast = Forecast(quota)
        self._projections = projections
        self._shared = not in_thread or path == MEMORY
        self._in_thread = in_thread
        self._thread: WriterThread | None = None
        self._open = False
        self._loop: asyncio.AbstractEventLoop
        self._lazy: asyncio.TimerHandle | None = None
        self._on_commit: Callable[[], None] = _nothing
        self._turn = asyncio.Lock()

    async def open(self) -> OpenReport:
        """Check, salvage, migrate, count. ConfigError: a person must act first; StoreError: try again later."""
        self._loop = asyncio.get_running_loop()
        report = await asyncio.to_thread(self._start) if self._in_thread else self._start()
        if self._in_thread:
            self._thread = WriterThread(self._committer)
            self._thread.start()
        self._open = True
        return report

    def _start(self) -> OpenReport:
        ballast = None if self._path == MEMORY else Ballast(self._path.with_name(self._path.name + ".ballast"))
        self._outbox, report = self._open_with_room(ballast)
        connection = self._outbox.connection
        relief = Relief(connection, ballast)
        relief.restore()
        self._ledger = Ledger(
            self._outbox,
            projections=self._projections,
            quota=self._quota,
            ceilings=self._opening.ceilings,
            relief=relief,
        )
        self._committer = Committer(self._ledger.commit, relief.after_failure, self._trouble)
        shared = connection if self._shared else None
        self._publisher_reader = Reader("store-unsent", self._path, shared)
        self._reader = Reader("store-read", self._path, shared)
        return report

    def _open_with_room(self, ballast: Ballast | None) -> tuple[Outbox, OpenReport]:
        try:
            try:
                return self._opening.open()
            except (sqlite3.Error, OSError) as error:
                if not is_full(error) or ballast is None or not ballast.release():
                    raise
                return self._opening.open()
        except (sqlite3.Error, OSError) as error:
            raise StoreError(f"the store cannot be opened: {describe(error) or error}") from error

    async def append(self, messages: Sequence[Message]) -> None:
        """Keep the batch in one commit; waits while the disk takes nothing. StoreError: damaged, or over quota."""
        if not messages:
            return
        if refused := refusal(self._quota, self._outbox, messages):
            raise refused
        self._forecast.note(self._loop.time(), self._outbox)
        if self._thread is None:
            await self._append_inline(messages)
            return
        done: asyncio.Future[None] = self._loop.create_future()
        job = Job(messages, partial(self._from_writer, done))
        self._thread.put(job)
        try:
            await done
        except asyncio.CancelledError:
            job.abandoned = True
            raise

    async def _append_inline(self, messages: Sequence[Message]) -> None:
        outcome: list[BaseException | None] = []
        job = Job(messages, outcome.append)
        async with self._turn:
            while (delay_s := self._committer.attempt([job])) is not None:  # noqa: ASYNC110 - a back-off, not a poll
                await asyncio.sleep(delay_s)
        if outcome[0] is not None:
            raise outcome[0]
        self._on_commit()

    def _from_writer(self, done: asyncio.Future[None], error: BaseException | None) -> None:
        self._on_loop(self._settle, done, error)

    def _on_loop(self, function: Callable[..., None], *arguments: object) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has ended: nobody waits any more
            self._loop.call_soon_threadsafe(function, *arguments)

    def _settle(self, done: asyncio.Future[None], error: BaseException | None) -> None:
        if error is None:
            self._on_commit()
        _answer(done, error, None)

    def _trouble(self, text: str | None) -> None:
        self._on_loop(self._on_trouble, text)

    async def unsent(
        self, stream: Stream, after: int, limit: int = 100, max_bytes: int = 65536
    ) -> list[tuple[int, bytes]]:
        """Return committed `(sequence, event)` rows past `after`, in order; one at least if there is any."""
        start = max(after, self._outbox.freed(stream))
        newest = self._outbox.newest[stream].after(start, limit, max_bytes)
        if newest or self._outbox.is_dry(stream, start):
            return newest
        page = await self._publisher_reader.run(lambda db: unsent(db, stream, start, limit, max_bytes))
        if page.damaged:
            log.error("rows were damaged on the disk", extra={"stream": stream, "sequences": page.damaged})
            self._upkeep(partial(self._ledger.discard, stream, page.damaged))
            return page.rows or await self.unsent(stream, page.damaged[-1], limit, max_bytes)
        return page.rows

    def free(self, stream: Stream, through: int) -> None:
        """Head office has every number through this one: the rows go with the next commit, or within LAZY_FREE_S."""
        self._outbox.wish_free(stream, through)
        if self._lazy is None:
            self._lazy = self._loop.call_later(LAZY_FREE_S, self._free_now)

    def _free_now(self) -> None:
        self._lazy = None
        if self._outbox.has_wishes():
            self._upkeep(partial(self._ledger.commit, ()))
        self._upkeep(self._ledger.tidy)

    def _upkeep(self, work: Callable[[], None]) -> None:
        """Let the writer do what nobody waits for; what fails is tried again when it comes up again."""
        if self._thread is None:
            quietly(work)
        else:
            self._thread.put(partial(quietly, work))

    def on_commit(self, call: Callable[[], None]) -> None:
        """Call this in the event loop after each commit from now on. For one listener, the newest: the publisher."""
        self._on_commit = call

    def refusal(self, messages: Sequence[Message]) -> StoreError | None:
        """Return why `append` would not take this batch: new input while business is at its quota."""
        return refusal(self._quota, self._outbox, messages)

    def hours_left(self) -> dict[Stream, float | None]:
        """Return by class how long the buffer lasts at the rate of the last hour; None = cannot be told (yet)."""
        free = 2**62 if self._path == MEMORY else shutil.disk_usage(self._path.parent).free
        return self._forecast.hours_left(self._loop.time(), self._outbox, free)

    def waiting(self) -> dict[Stream, int]:
        """Return how many rows wait for head office, by class."""
        return {stream: counters.rows for stream, counters in self._outbox.counters.items()}

    async def read(self, function: Callable[[sqlite3.Connection], T]) -> T:
        """Run a query on a read-only connection, in its own thread. Raises StoreError when it takes too long."""
        return await self._reader.run(function)

    async def write(self, function: Callable[[sqlite3.Connection], T]) -> T:
        """Run upkeep (not messages) in a transaction of its own, by the writer; a failure is not tried again."""
        if self._thread is None:
            return self._in_transaction(function)
        done: asyncio.Future[T] = self._loop.create_future()

        def work() -> None:
            try:
                result = self._in_transaction(function)
            except Exception as error:  # noqa: BLE001 - goes to the caller
                self._on_loop(_answer, done, error, None)
            else:
                self._on_loop(_answer, done, None, result)

        self._thread.put(work)
        return await done

    def _in_transaction(self, function: Callable[[sqlite3.Connection], T]) -> T:
        with transaction(self._outbox.connection):
            return function(self._outbox.connection)

    async def journal_head(self) -> Head:
        """Return the end of the price journal's chain. Who knows it can tell whether anything before it was changed."""
        return await self.read(head)

    async def settle_doubt(self) -> None:
        """Forget `OpenReport.doubt`: what follows from it is kept."""
        await self.write(lambda connection: connection.execute("DELETE FROM store_state WHERE key = 'doubt'"))

    async def close(self) -> None:
        """Finish what is queued, delete what was freed, mark the file clean. Less than a second; once is enough."""
        if not self._open:
            return
        self._open = False
        if self._lazy is not None:
            self._lazy.cancel()
        self._publisher_reader.close()
        self._reader.close()
        if self._thread is None:
            self._shut()
        else:
            self._thread.put(self._shut)
            await asyncio.to_thread(self._thread.stop)

    def _shut(self) -> None:
        try:
            self._ledger.commit(())
            self._opening.mark_clean(self._outbox)
        except (sqlite3.Error, OSError) as error:
            log.warning(
                "the store could not be closed cleanly; it will be checked at the next start", extra={"why": str(error)}
            )
        self._outbox.connection.close()
        self._opening.release()


def _answer(done: asyncio.Future[T], error: BaseException | None, result: T) -> None:
    if done.done():
        return
    if error is None:
        done.set_result(result)
    else:
        done.set_exception(error)

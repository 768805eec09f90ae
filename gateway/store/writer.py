"""Who runs the ledger: a thread of its own with group commit, or the caller itself (for tests in virtual time).

All that waits when a commit ends shares the next one. A commit that the disk refuses is tried again with back-off until
it works; order is kept, because nothing else is committed before it. Trouble is told once when it starts and once when
it ends. Not here: what is committed (`ledger.py`), which errors can pass (`trouble.py`).
"""

import logging
import sqlite3
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from queue import Empty, SimpleQueue

from gateway.errors import StoreError
from gateway.messages import Message
from gateway.store.trouble import Backoff, describe, is_damage

GROUP_MESSAGES = 8000  # most messages that share one commit
JOIN_S = 0.9
DAMAGED = "the database file is damaged: restart the gateway, it then saves what can be read"

log = logging.getLogger(__name__)
Settle = Callable[[BaseException | None], None]


@dataclass(slots=True, eq=False)
class Job:
    """One append: its messages, how to tell its caller, and whether the caller has gone."""

    messages: Sequence[Message]
    settle: Settle
    abandoned: bool = False


class Committer:
    """Commits groups of jobs; keeps nothing but the back-off."""

    def __init__(
        self,
        commit: Callable[[Sequence[Message]], None],
        relieve: Callable[[BaseException], None],
        on_trouble: Callable[[str | None], None],
    ) -> None:
        self._commit = commit
        self._relieve = relieve
        self._on_trouble = on_trouble
        self._backoff = Backoff()

    def attempt(self, jobs: Sequence[Job]) -> float | None:
        """Try once; settle the jobs and return None, or return how many seconds to wait before the next try."""
        waiting = [job for job in jobs if not job.abandoned]
        if not waiting:
            return None
        try:
            self._commit(waiting[0].messages if len(waiting) == 1 else [m for job in waiting for m in job.messages])
        except Exception as error:  # noqa: BLE001 - a projection's bug must reach its caller, not end the thread
            return self._refused(waiting, error)
        if self._backoff.failures:
            self._backoff = Backoff()
            self._on_trouble(None)
        for job in waiting:
            job.settle(None)
        return None

    def _refused(self, jobs: Sequence[Job], error: Exception) -> float | None:
        text = describe(error)
        if text is not None:
            return self._wait(error, text)
        if len(jobs) == 1:
            jobs[0].settle(StoreError(f"{DAMAGED} ({error})") if is_damage(error) else error)
            return None
        for job in jobs:  # one bad batch must not fail those that shared its commit
            delay_s = self.attempt([job])
            if delay_s is not None:
                return delay_s
            job.abandoned = True  # settled: a later try of the whole group passes it over
        return None

    def _wait(self, error: Exception, text: str) -> float:
        if not self._backoff.failures:
            log.error("the store cannot write", extra={"why": text})
            self._on_trouble(text)
        self._relieve(error)
        return self._backoff.next_s()


class WriterThread:
    """The only thread that writes. `put` from anywhere; jobs are committed in that order."""

    def __init__(self, committer: Committer) -> None:
        self._committer = committer
        self._queue: SimpleQueue[Job | Callable[[], None] | None] = SimpleQueue()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="store-writer", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def put(self, work: Job | Callable[[], None]) -> None:
        """Queue a job, or a piece of work that needs the writer's connection."""
        self._queue.put(work)

    def stop(self) -> bool:
        """Finish what is queued and end; with a disk in trouble the queued jobs fail. Return whether it ended."""
        self._stopping.set()
        self._queue.put(None)
        self._thread.join(JOIN_S)
        return not self._thread.is_alive()

    def _run(self) -> None:
        work = self._queue.get()
        while work is not None:
            if isinstance(work, Job):
                work = self._group(work)
            else:
                work()
                work = self._queue.get()

    def _group(self, first: Job) -> Job | Callable[[], None] | None:
        """Commit this job with all jobs that wait behind it; return the next work."""
        jobs, count = [first], len(first.messages)
        while True:
            try:
                work = self._queue.get_nowait()
            except Empty:
                self._until_kept(jobs)
                return self._queue.get()
            if not isinstance(work, Job) or count >= GROUP_MESSAGES:
                self._until_kept(jobs)
                return work
            jobs.append(work)
            count += len(work.messages)

    def _until_kept(self, jobs: list[Job]) -> None:
        while (delay_s := self._committer.attempt(jobs)) is not None:
            if self._stopping.wait(delay_s):
                for job in jobs:
                    job.settle(StoreError("the gateway stops while the disk takes nothing; this was not kept"))
                return


def quietly(work: Callable[[], None]) -> None:
    """Do some upkeep; a disk that refuses it is told by the appends, which matter more."""
    try:
        work()
    except (sqlite3.Error, OSError) as error:
        log.warning("upkeep of the store was put off", extra={"why": str(error)})
